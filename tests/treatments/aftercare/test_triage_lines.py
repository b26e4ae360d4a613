"""Every line of the red-flag table on both sides, and what holds for any answers at all."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import treatments
from treatments.aftercare.rules import grade, parse_triage, questions_for
from treatments.aftercare.states import SEVERITY, AnswerKind, Level

PATH = Path(treatments.__file__).parent / "knowledge" / "triage" / "triage.toml"
TRIAGE = parse_triage(PATH.read_text(), PATH.name)
AFL, NAFL, PICO = "afl_co2", "nafl_1550", "pico_755"
OK = "ok"


def level(answers, day=3, modality=AFL, history=()):
    return grade(answers, day=day, modality=modality, history=history, triage=TRIAGE).level.value


@pytest.mark.parametrize(
    ("answers", "worse", "milder", "else_"),
    [
        # E
        ({"systemic": "breathless"}, "E", {"systemic": "none"}, OK),
        ({"systemic": ["faint"]}, "E", {"systemic": ["none"]}, OK),
        ({"emergency": ["lip_or_tongue_swelling"]}, "E", {"emergency": ["none"]}, OK),
        ({"emergency": ["collapse"]}, "E", {"emergency": []}, OK),
        ({"emergency": ["seizure"]}, "E", {"emergency": ["none"]}, OK),
        ({"emergency": ["numbing_signs"]}, "E", {"emergency": ["none"]}, OK),
        ({"systemic": "confused"}, "E", {"systemic": "none"}, OK),
        ({"temp_c": 38.0, "systemic": "shivers"}, "E", {"temp_c": 37.9, "systemic": "shivers"}, "U1"),
        ({"redness": "spreading", "systemic": "shivers"}, "E", {"redness": "fading", "systemic": "shivers"}, "U1"),
        ({"ooze": "pus", "systemic": "shivers"}, "E", {"ooze": "clear", "systemic": "shivers"}, "U1"),
        ({"emergency": ["sepsis_signs"]}, "E", {"emergency": ["none"]}, OK),
        ({"eye": "vision_change"}, "E", {"eye": "none"}, OK),
        ({"eye": "pain_or_light_hurts"}, "E", {"eye": "gritty_or_red"}, "U2"),
        ({"blisters": "grouped", "eye": "gritty_or_red"}, "E", {"blisters": "grouped", "eye": "none"}, "U1"),
        ({"lip_tingle": True, "eye": "gritty_or_red"}, "E", {"lip_tingle": False, "eye": "none"}, OK),
        ({"mood": "very_low"}, "E", {"mood": "low"}, "R"),
        ({"emergency": ["self_harm"]}, "E", {"mood": "ok"}, OK),
        # U1
        ({"blisters": "grouped"}, "U1", {"blisters": "single"}, "U2"),
        ({"blisters": "many"}, "U1", {"blisters": "none"}, OK),
        ({"lip_tingle": True, "raw_area": "shrinking"}, "U1", {"lip_tingle": False, "raw_area": "shrinking"}, OK),
        ({"temp_c": 38.0}, "U1", {"temp_c": 37.9}, OK),
        ({"temp_c": "felt_hot"}, "U1", {"temp_c": 36.8}, OK),
        ({"redness": "spreading"}, "U1", {"redness": "same"}, OK),
        ({"ooze": "pus"}, "U1", {"ooze": "clear"}, OK),
        ({"ooze": "green_or_smelly"}, "U1", {"ooze": "none"}, OK),
        ({"pain_now": 7}, "U1", {"pain_now": 6}, OK),
        ({"pain_trend": "worse"}, "U1", {"pain_trend": "same"}, OK),
        ({"swelling": "eye_closing"}, "U1", {"swelling": "mild"}, OK),
        # U2
        ({"ooze": "yellow_crust"}, "U2", {"ooze": "clear"}, OK),
        ({"itch": 7}, "U2", {"itch": 6}, "R"),
        ({"rash_beyond_area": True}, "U2", {"rash_beyond_area": False}, OK),
        ({"new_spots": "grid_pustules"}, "U2", {"new_spots": "few"}, "R"),
        # U3
        ({"colour": "lighter"}, "U3", {"colour": "normal"}, OK),
        ({"colour": "blue_grey"}, "U3", {"colour": "normal"}, OK),
        # R
        ({"new_spots": "few"}, "R", {"new_spots": "none"}, OK),
        ({"itch": 1}, "R", {"itch": 0}, OK),
        ({"mood": "low"}, "R", {"mood": "ok"}, OK),
        ({"wants_call": True}, "R", {"wants_call": False}, OK),
        ({"aftercare_ok": False}, "R", {"aftercare_ok": True}, OK),
        ({"note": "When may I swim?"}, "R", {"note": "  "}, OK),
    ],
)
def test_each_line_on_both_sides(answers, worse, milder, else_):
    assert level(answers) == worse
    assert level(milder) == else_


@pytest.mark.parametrize(
    ("answers", "modality", "before", "was", "from_day", "becomes"),
    [
        ({"pain_trend": "worse"}, AFL, 1, "R", 2, "U1"),
        ({"pain_trend": "worse"}, PICO, 1, "R", 2, "U1"),
        ({"raw_area": "not_healing"}, AFL, 6, "R", 7, "U2"),
        ({"raw_area": "shrinking"}, AFL, 13, OK, 14, "U2"),
        ({"raw_area": "shrinking"}, NAFL, 2, "R", 3, "U2"),
        ({"firm_or_raised": True}, AFL, 6, "R", 7, "U3"),
        ({"colour": "darker"}, AFL, 6, "R", 7, "U3"),
        ({"colour": "darker"}, NAFL, 6, "R", 7, "U3"),
        ({"redness": "same"}, AFL, 27, OK, 28, "U3"),
        ({"redness": "same"}, NAFL, 6, OK, 7, "U3"),
        ({"redness": "same"}, PICO, 2, OK, 3, "U3"),
        ({"swelling": "mild"}, NAFL, 7, OK, 8, "R"),
    ],
)
def test_the_same_answer_means_more_from_a_day_on(answers, modality, before, was, from_day, becomes):
    assert level(answers, day=before, modality=modality) == was
    assert level(answers, day=from_day, modality=modality) == becomes


@pytest.mark.parametrize(("day", "rule"), [(4, "T40"), (5, "T39"), (28, "T39"), (29, "T41")])
def test_pustules_in_the_grid_between_day_5_and_28_speak_of_mycobacteria(day, rule):
    result = grade({"new_spots": "grid_pustules"}, day=day, modality=NAFL, triage=TRIAGE)

    assert [match.rule for match in result.matched] == [rule]
    assert result.level == Level.SAME_DAY


@pytest.mark.parametrize(
    ("answers", "modality", "history", "expected"),
    [
        ({"lip_tingle": True}, AFL, (), "U1"),
        ({"lip_tingle": True}, NAFL, (), "R"),
        ({"lip_tingle": True}, NAFL, ("cold_sores",), "U1"),
        ({"lip_tingle": True, "pain_now": 4}, NAFL, (), "U1"),
        ({"lip_tingle": True, "pain_now": 3}, NAFL, (), "R"),
        ({"colour": "darker"}, PICO, (), "U3"),
        ({"raw_area": "shrinking"}, PICO, (), "U2"),
        ({"raw_area": "shrinking"}, AFL, (), OK),
    ],
)
def test_laser_and_history_change_what_an_answer_means(answers, modality, history, expected):
    assert level(answers, modality=modality, history=history) == expected


def test_the_worst_line_leads_and_every_match_shows_its_rule_answers_and_source():
    result = grade({"itch": 3, "eye": "vision_change", "pain_now": 8}, day=1, modality=AFL, triage=TRIAGE)

    assert [(match.rule, match.level.value) for match in result.matched] == [("T05", "E"), ("T21", "U1"), ("T62", "R")]
    assert result.matched[0].answers == {"eye": ["vision_change"]}
    assert result.advice == ("Go to an eye emergency department today, now.",)
    assert all(match.source and match.staff_text and match.patient_text for match in result.matched)
    assert str(result.respond) == "15 minutes, day and night"


def test_a_red_answer_acts_before_the_rest_is_given():
    assert level({"eye": "vision_change"}) == "E"


def test_nothing_answered_is_as_expected_but_says_to_come_back():
    result = grade({}, day=3, modality=AFL, triage=TRIAGE)

    assert (result.level, result.matched, result.respond) == (Level.EXPECTED, (), None)
    assert "tell us at once" in result.advice[0]


@pytest.mark.parametrize(
    "note",
    [
        "I can't breathe",
        "i can’t BREATHE properly",
        "cannot  breathe",
        "my tongue is swollen",
        "I passed out this morning",
        "everything is blurry",
        "I want to kill myself",
        "shall I call an ambulance?",
    ],
)
def test_emergency_words_raise_to_a_call_at_once_and_name_the_emergency_number(note):
    result = grade({"note": note}, day=2, modality=NAFL, triage=TRIAGE)

    assert result.level == Level.URGENT
    assert "emergency number" in result.advice[0]
    assert result.matched[0].needs_decision


@pytest.mark.parametrize(
    ("note", "expected"), [("there is pus on my chin", "U2"), ("the fever is back", "U2"), ("thank you all", "R")]
)
def test_worrying_words_raise_to_a_call_today(note, expected):
    assert level({"note": note}) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("38,2", "U1"),
        ("101", "U1"),
        (100.3, OK),
        (100.4, "U1"),
        (36, OK),
        ("hot", "R"),
        (12, "R"),
        (400, "R"),
        (True, "R"),
    ],
)
def test_temperatures_as_people_write_them(given, expected):
    assert level({"temp_c": given}) == expected


@pytest.mark.parametrize(
    "answers",
    [
        {"pain_now": "a lot"},
        {"pain_now": 11},
        {"redness": "purple"},
        {"lip_tingle": "perhaps"},
        {"new_question": 1},
        {"systemic": ["none", "sparkling"]},
        {"note": 5},
    ],
)
def test_an_answer_that_makes_no_sense_is_never_no(answers):
    result = grade(answers, day=3, modality=AFL, triage=TRIAGE)

    assert result.level == Level.ROUTINE
    assert result.unreadable == tuple(answers)


def test_an_unknown_laser_is_held_against_the_rules_of_all():
    assert level({"raw_area": "shrinking"}, day=3, modality="moonbeam") == "U2"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3),
)


def sensible(question):
    if question.kind in {AnswerKind.CHOICE, AnswerKind.MULTI}:
        return st.sampled_from(sorted(question.options))
    return {
        AnswerKind.SCALE: st.integers(0, 10),
        AnswerKind.BOOL: st.booleans(),
        AnswerKind.TEMPERATURE: st.floats(35, 42),
        AnswerKind.TEXT: st.text(max_size=40),
        AnswerKind.PHOTO: st.just("photo.jpg"),
    }[question.kind]


answer_sets = st.fixed_dictionaries({}, optional={key: sensible(q) for key, q in TRIAGE.questions.items()})
days = st.integers(-5, 400)
lasers = st.sampled_from([AFL, NAFL, PICO, "afl_eryag", "full", ""])
histories = st.sets(st.sampled_from(["cold_sores", "numbing", "neck"]))


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(TRIAGE.questions)) | st.text(max_size=5), anything), days, lasers, histories
)
def test_grading_is_total(answers, day, modality, history):
    result = grade(answers, day=day, modality=modality, history=history, triage=TRIAGE)

    assert result.level in SEVERITY
    assert result.advice


@settings(max_examples=400, deadline=None)
@given(answer_sets, days, lasers, histories, st.data())
def test_saying_more_never_makes_it_less_urgent(answers, day, modality, history, data):
    key = data.draw(st.sampled_from(sorted(TRIAGE.questions)))
    fewer = {question: value for question, value in answers.items() if question != key}

    more = grade(answers, day=day, modality=modality, history=history, triage=TRIAGE).level
    less = grade(fewer, day=day, modality=modality, history=history, triage=TRIAGE).level

    assert SEVERITY.index(more) <= SEVERITY.index(less)


@settings(max_examples=200, deadline=None)
@given(answer_sets, days, lasers)
def test_the_level_is_the_highest_matched_and_order_changes_nothing(answers, day, modality):
    result = grade(answers, day=day, modality=modality, triage=TRIAGE)
    turned = grade(dict(reversed(answers.items())), day=day, modality=modality, triage=TRIAGE)

    assert result == turned
    if result.matched:
        assert result.level == min((match.level for match in result.matched), key=SEVERITY.index)


@pytest.mark.parametrize("modality", [AFL, NAFL, PICO])
@pytest.mark.parametrize("day", [0, 1, 2, 3, 6, 7, 14, 28, 90, 180, 400])
def test_three_to_six_questions_and_the_emergency_always(modality, day):
    asked = questions_for(TRIAGE, day=day, modality=modality)
    keys = [question.key for question in asked]

    assert 3 <= len(keys) - 3 <= 6
    assert keys[-3:] == ["emergency", "wants_call", "note"]
    assert [q.key for q in questions_for(TRIAGE, day=day, modality=modality, photo=True)][-1] == "photo"


def test_the_questions_are_those_of_the_notes():
    expected = {
        "pain_now": [],
        "pain_trend": ["better", "same", "worse"],
        "temp_c": [],
        "redness": ["fading", "same", "spreading"],
        "swelling": ["none", "mild", "eye_closing"],
        "ooze": ["none", "clear", "yellow_crust", "green_or_smelly", "pus"],
        "blisters": ["none", "single", "grouped", "many"],
        "lip_tingle": [],
        "eye": ["none", "gritty_or_red", "pain_or_light_hurts", "vision_change"],
        "raw_area": ["none", "shrinking", "not_healing"],
        "new_spots": ["none", "few", "grid_pustules"],
        "colour": ["normal", "darker", "lighter", "blue_grey"],
        "firm_or_raised": [],
        "itch": [],
        "rash_beyond_area": [],
        "systemic": ["none", "shivers", "faint", "confused", "breathless"],
        "mood": ["ok", "low", "very_low"],
        "aftercare_ok": [],
        "photo": [],
        "wants_call": [],
        "note": [],
    }

    assert {key: list(q.options) for key, q in TRIAGE.questions.items() if key != "emergency"} == expected


def test_every_rule_has_its_source_and_texts():
    for rule in TRIAGE.rules:
        assert rule.source
        assert rule.patient_text
        assert rule.staff_text
        if rule.level in {Level.EMERGENCY, Level.URGENT}:
            assert rule.respond.kind == "minutes", rule.id
        if rule.source.rstrip().endswith(" G") or "G," in rule.source:
            assert rule.needs_decision, rule.id
