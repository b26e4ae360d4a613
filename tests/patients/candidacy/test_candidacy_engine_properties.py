"""What must hold for any answers at all."""

import json
import random
from datetime import date, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from patients.candidacy.queries import PACK_FILE, shipped_pack, shipped_questionnaire
from patients.candidacy.rules import alternative, load_pack, screen
from patients.candidacy.states import Effect, Outcome
from patients.intake.questionnaire import AnswerRefused
from patients.intake.rules import check_answers
from tests.factories.answers import GROUPS, MODALITIES, NEUTRAL

PACK = shipped_pack()
QUESTIONS = shipped_questionnaire().by_key
ON = date(2026, 6, 1)
UNKNOWN = ["not_sure", "prefer_not_to_say"]
# Worst last. Incomplete stands between: what has fired stays, but nothing blank may look eligible.
ORDER = [
    Outcome.ELIGIBLE,
    Outcome.NEEDS_CLINICIAN_REVIEW,
    Outcome.INCOMPLETE,
    Outcome.DEFER_UNTIL_DATE,
    Outcome.NOT_RECOMMENDED,
]

days = st.dates(date(2025, 6, 1), date(2027, 6, 1)).map(date.isoformat)
BY_TYPE = {
    "enum": lambda q: st.sampled_from(sorted(q.keys)),
    "multi": lambda q: st.lists(st.sampled_from(sorted(q.keys)), unique=True, max_size=4),
    "bool": lambda q: st.booleans(),
    "int": lambda q: st.integers(q.low, q.high),
    "date": lambda q: st.one_of(st.just("never"), days) if q.key != "reference_date" else days,
    "text": lambda q: st.text(max_size=40),
}
VALUES = {
    key: st.one_of(BY_TYPE[question.type.value](question), st.sampled_from([*UNKNOWN, "not_applicable"]))
    for key, question in QUESTIONS.items()
}
KNOWN_VALUES = {key: BY_TYPE[question.type.value](question) for key, question in QUESTIONS.items()}

modalities = st.sampled_from(MODALITIES)


@st.composite
def answer_sets(draw):
    """A neutral adult with up to a dozen answers changed and up to four taken away, or any answers at all."""
    if draw(st.integers(0, 4)) == 0:
        keys = draw(st.lists(st.sampled_from(sorted(QUESTIONS)), unique=True))
        return {key: draw(VALUES[key]) for key in keys}
    answers = dict(NEUTRAL)
    for key in draw(st.lists(st.sampled_from(sorted(QUESTIONS)), unique=True, max_size=12)):
        answers[key] = draw(VALUES[key])
    for key in draw(st.lists(st.sampled_from(sorted(answers)), unique=True, max_size=4)):
        del answers[key]
    return answers


def run(answers, modality, on=ON):
    return screen(answers, PACK, modality, on)


@settings(max_examples=400, deadline=None)
@given(answer_sets(), modalities, st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_total_and_pure_on_well_formed_answers(answers, modality, on):
    before = json.dumps(answers)

    first, second = run(answers, modality, on).as_json(), run(json.loads(before), modality, on).as_json()

    assert first == second
    assert json.dumps(answers) == before
    assert json.loads(first)["outcome"] in Outcome.values
    assert check_answers(shipped_questionnaire(), answers) == answers


@settings(max_examples=300, deadline=None)
@given(answer_sets(), modalities, st.randoms(use_true_random=False))
def test_the_order_of_answers_changes_nothing(answers, modality, shuffle):
    items = list(answers.items())
    shuffle.shuffle(items)
    shuffled = {key: shuffle.sample(value, len(value)) if isinstance(value, list) else value for key, value in items}

    one, other = run(answers, modality).as_dict(), run(shuffled, modality).as_dict()

    assert without_answers(one) == without_answers(other)
    assert run(dict(items), modality).as_json() == run(answers, modality).as_json()


def without_answers(result):
    """The lists a patient chose keep their order in a finding; nothing else may depend on it."""
    for finding in (*result["findings"], *result["undecided"]):
        finding["answers"] = sorted(finding["answers"])
    return result


def test_the_order_of_rules_changes_nothing():
    head, *rules = PACK_FILE.read_text(encoding="utf-8").split("[[rule]]\n")
    last, tail = rules[-1].split("[[interplay]]\n", 1)
    rules[-1] = last
    random.Random(7).shuffle(rules)
    text = "[[rule]]\n".join([head, *rules]) + "[[interplay]]\n" + tail
    shuffled = load_pack(text, "shuffled.toml", shipped_questionnaire())

    for answers in (NEUTRAL, {}, NEUTRAL | {"eczema": "not_sure", "pregnancy": "yes", "fst_confirmed": "5"}):
        one, other = screen(answers, PACK, "afl_co2", ON).as_dict(), screen(answers, shuffled, "afl_co2", ON).as_dict()
        del one["pack"], other["pack"]
        assert one == other


@settings(max_examples=600, deadline=None)
@given(answer_sets(), modalities, st.data())
def test_removing_an_answer_never_makes_anyone_eligible(answers, modality, data):
    assume(answers)
    key = data.draw(st.sampled_from(sorted(answers)))

    before = run(answers, modality).outcome
    after = run({k: v for k, v in answers.items() if k != key}, modality).outcome

    assert after != Outcome.ELIGIBLE or before == Outcome.ELIGIBLE


@settings(max_examples=600, deadline=None)
@given(answer_sets(), modalities, st.data())
def test_an_unknown_answer_never_makes_anyone_eligible(answers, modality, data):
    key = data.draw(st.sampled_from(sorted(QUESTIONS)))

    before = run(answers, modality).outcome
    after = run(answers | {key: data.draw(st.sampled_from(UNKNOWN))}, modality).outcome

    assert after != Outcome.ELIGIBLE or before == Outcome.ELIGIBLE


@pytest.mark.parametrize("modality", GROUPS.values())
@pytest.mark.parametrize("key", [k for k, q in QUESTIONS.items() if q.by_patient and q.health])
@pytest.mark.parametrize("unknown", [None, *UNKNOWN])
def test_no_health_question_left_open_leaves_a_neutral_adult_eligible(modality, key, unknown):
    question = QUESTIONS[key]
    parents = {"pregnancy_due": {"pregnancy": "yes"}, "isotretinoin_last": {"isotretinoin": "stopped"}}
    dated = {"laser_last_kind": "laser_last", "peel_depth": "peel_last", "filler_type": "filler_last"}
    asked = parents.get(key, {})
    if key in dated:
        asked = {dated[key]: "2020-01-01"}
    if question.ask_if and question.ask_if.question == "appearance_preoccupied":
        asked = {"appearance_preoccupied": True, "appearance_hours": "lt1", "appearance_impact": "none"}

    result = run(NEUTRAL | asked | {key: unknown}, modality)

    assert result.outcome != Outcome.ELIGIBLE
    assert (key in result.missing) == (unknown is None)
    if unknown == "not_sure":
        assert "R57" in {finding.rule for finding in result.findings}


@pytest.mark.parametrize("key", sorted(set(shipped_questionnaire().critical()) - {"modality", "reference_date"}))
@pytest.mark.parametrize("modality", ["afl_co2", "nafl_1550", "pico_755"])
def test_a_blank_critical_answer_leaves_the_screening_incomplete(key, modality):
    answers = {k: v for k, v in NEUTRAL.items() if k != key}

    result = run(answers, modality)

    assert result.outcome == Outcome.INCOMPLETE
    assert key in result.missing
    assert run(answers | {"silver": "argyria"}, modality).outcome == Outcome.NOT_RECOMMENDED


# Answers that speak against treatment, each beside the harmless one of the neutral adult.
CONTRAINDICATIONS = [
    ("age_years", 17), ("pregnancy", "yes"), ("pregnancy", "possible"), ("breastfeeding", True),
    ("infection_area", "viral"), ("cold_sore_active", True), ("cold_sores", "yes"), ("open_wound_area", True),
    ("tan_present", "tanned"), ("tan_present", "sunburned"), ("isotretinoin", "current"),
    ("photosensitisers", ["pdt_agent"]), ("photosensitisers", ["minocycline"]), ("anticoagulants", ["warfarin"]),
    ("bleeding_disorder", True), ("gold_ever", True), ("silver", "argyria"), ("silver", "silver_dressings"),
    ("scar_tendency", "keloid"), ("scar_tendency", "hypertrophic"), ("radiotherapy_area", True),
    ("vitiligo", "active"), ("psoriasis", "active_in_area"), ("eczema", "active_in_area"), ("eczema", "past"),
    ("active_acne", "nodulocystic"), ("active_acne", "inflammatory"), ("fst_confirmed", "6"), ("fst_confirmed", "4"),
    ("pih_history", True), ("melasma", "current"), ("eye_history", ["ectropion_or_lid_laxity"]),
    ("changing_lesion", True), ("precancer_ak", "suspected"), ("skin_cancer", "melanoma"),
    ("immunosuppression", "medicine"), ("diabetes", "uncontrolled"), ("ctd", "lupus"), ("poor_healing", True),
    ("unwell_today", True), ("lidocaine_risk", ["liver"]), ("tattoo_area", True), ("expectation", "complete_removal"),
    ("can_avoid_sun", False), ("can_follow_aftercare", False), ("laser_reaction", True), ("rosacea", "flaring"),
    ("allergies", ["antiviral"]), ("wax_last", "2026-05-31"), ("exfoliant_last", "2026-05-31"),
    ("topical_retinoid_last", "2026-05-31"), ("needling_last", "2026-05-31"), ("toxin_last", "2026-05-31"),
    ("surgery_last", "2026-05-31"), ("smoking", "not_sure"), ("gold_ever", "prefer_not_to_say"),
]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(CONTRAINDICATIONS), max_size=8), st.sampled_from(CONTRAINDICATIONS), modalities)
def test_adding_a_contraindication_never_improves_the_outcome(before, extra, modality):
    changed = dict(before)
    assume(extra[0] not in changed)

    result = run(NEUTRAL | changed, modality)
    worse = run(NEUTRAL | changed | dict([extra]), modality)

    assert ORDER.index(worse.outcome) >= ORDER.index(result.outcome)
    if result.outcome == worse.outcome == Outcome.DEFER_UNTIL_DATE and worse.earliest_date:
        assert result.earliest_date is not None
        assert worse.earliest_date >= result.earliest_date


@settings(max_examples=500, deadline=None)
@given(answer_sets(), modalities)
def test_the_earliest_date_is_the_latest_of_the_deferrals(answers, modality):
    result = run(answers, modality)

    dates = [finding.earliest_date for finding in result.findings if finding.effect == Effect.DEFER]
    expected = max(dates) if dates and None not in dates else None
    assert result.earliest_date == expected
    assert expected is None or expected > ON
    assert all(finding.earliest_date or finding.said.rescreen_when for finding in result.findings
               if finding.effect == Effect.DEFER)  # fmt: skip


WASHOUTS = [
    "sun_exposure_last", "self_tanner_last", "topical_retinoid_last", "exfoliant_last", "filler_last", "toxin_last",
    "peel_last", "laser_last", "wax_last", "needling_last", "surgery_last",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(WASHOUTS), st.integers(0, 200), min_size=1),
    st.sampled_from(["superficial", "medium_deep"]),
    st.sampled_from(["afl", "nafl"]),
    modalities,
)
def test_the_day_before_the_earliest_date_still_waits_and_the_day_itself_does_not(past, peel, laser, modality):
    last = {key: (ON - timedelta(days=ago)).isoformat() for key, ago in past.items()}
    answers = NEUTRAL | {"peel_depth": peel, "laser_last_kind": laser, "filler_type": "ha"} | last
    earliest = run(answers, modality).earliest_date

    if earliest is None:
        assert run(answers, modality).outcome != Outcome.DEFER_UNTIL_DATE
    else:
        assert run(answers, modality, earliest - timedelta(days=1)).earliest_date == earliest
        assert run(answers, modality, earliest).outcome != Outcome.DEFER_UNTIL_DATE


@settings(max_examples=300, deadline=None)
@given(answer_sets(), modalities)
def test_every_finding_shows_answers_that_were_given(answers, modality):
    result = run(answers, modality)

    for finding in result.findings:
        assert finding.answers or finding.rule == "R57"
        assert finding.answers.items() <= answers.items()
    for undecided in result.undecided:
        assert undecided.answers
        assert all(value in {None, *UNKNOWN} for value in undecided.answers.values())


MALFORMED = [
    ({"eczema": "sometimes"}, "eczema"),
    ({"eczema": ["past"]}, "eczema"),
    ({"eczema": True}, "eczema"),
    ({"eczema": {}}, "eczema"),
    ({"gold_ever": "no"}, "gold_ever"),
    ({"gold_ever": 0}, "gold_ever"),
    ({"gold_ever": 1}, "gold_ever"),
    ({"age_years": "40"}, "age_years"),
    ({"age_years": True}, "age_years"),
    ({"age_years": -1}, "age_years"),
    ({"age_years": 40.5}, "age_years"),
    ({"fst_confirmed": 7}, "fst_confirmed"),
    ({"fst_confirmed": "II"}, "fst_confirmed"),
    ({"fst_q3": 5, "fst_confirmed": None}, "fst_q3"),
    ({"fst_q3": 5}, "fst_q3"),
    ({"treatment_areas": "full_face"}, "treatment_areas"),
    ({"treatment_areas": ["moon"]}, "treatment_areas"),
    ({"treatment_areas": [3]}, "treatment_areas"),
    ({"treatment_areas": [["nose"]]}, "treatment_areas"),
    ({"wax_last": "31.05.2026"}, "wax_last"),
    ({"wax_last": "2026-02-30"}, "wax_last"),
    ({"wax_last": "20260531"}, "wax_last"),
    ({"wax_last": 20260531}, "wax_last"),
    ({"wax_last": "never ever"}, "wax_last"),
    ({"isotretinoin_last": "soon"}, "isotretinoin_last"),
    ({"smokes": "never"}, "smokes"),
]


@pytest.mark.parametrize(("changes", "key"), MALFORMED)
def test_malformed_answers_are_refused_by_name(changes, key):
    with pytest.raises(AnswerRefused) as refused:
        run(NEUTRAL | changes, "afl_co2")
    assert refused.value.field == key
    assert refused.value.for_people

    with pytest.raises(AnswerRefused) as refused:
        check_answers(shipped_questionnaire(), NEUTRAL | changes)
    assert refused.value.field == key


def test_an_unknown_modality_is_refused():
    with pytest.raises(AnswerRefused, match="modality"):
        run(NEUTRAL, "afl")


def test_empty_answers_are_incomplete_and_name_everything():
    result = run({}, "afl_co2")

    assert result.outcome == Outcome.INCOMPLETE
    assert set(result.missing) == {
        key for key, question in QUESTIONS.items()
        if key not in {"modality", "reference_date"} and (not question.ask_if or key.startswith("fst_q"))
    }  # fmt: skip


def test_a_fired_refusal_stays_however_incomplete_the_rest():
    assert run({"age_years": 17}, "nafl_1550").outcome == Outcome.NOT_RECOMMENDED
    assert run({"unwell_today": True}, "nafl_1550").outcome == Outcome.DEFER_UNTIL_DATE


def test_not_sure_not_said_not_asked_and_no_stay_four_different_things():
    def of(value):
        result = run(NEUTRAL | {"psoriasis": value}, "nafl_1550")
        return (
            result.outcome.value,
            [each.rule for each in result.findings],
            [(each.rule, each.answers) for each in result.undecided],
            result.missing,
        )

    assert [of("none"), of("not_sure"), of("prefer_not_to_say"), of(None)] == [
        ("eligible", [], [], ()),
        ("needs_clinician_review", ["R57"], [("R24", {"psoriasis": "not_sure"})], ()),
        (
            "needs_clinician_review", [],
            [("R24", {"psoriasis": "prefer_not_to_say"}), ("R57", {"psoriasis": "prefer_not_to_say"})], (),
        ),
        ("needs_clinician_review", [], [("R24", {"psoriasis": None}), ("R57", {"psoriasis": None})], ("psoriasis",)),
    ]  # fmt: skip


def test_not_applicable_counts_only_where_skip_logic_says_so():
    hidden = run(NEUTRAL | {"pregnancy_due": "not_applicable", "filler_type": "not_applicable"}, "afl_co2")
    claimed = run(NEUTRAL | {"changing_lesion": "not_applicable"}, "afl_co2")

    assert hidden.outcome == Outcome.ELIGIBLE
    assert run(NEUTRAL | {"pregnancy": "not_applicable", "breastfeeding": "not_applicable"}, "afl_co2").missing == ()
    assert (claimed.outcome, claimed.missing) == (Outcome.INCOMPLETE, ("changing_lesion",))


def test_a_refused_ablative_result_brings_the_non_ablative_one_for_the_clinician():
    answers = NEUTRAL | {"scar_tendency": "keloid"}
    result = run(answers, "afl_co2")

    beside = alternative(result, answers, PACK)

    assert result.outcome == Outcome.NOT_RECOMMENDED
    assert (beside.modality, beside.outcome) == ("nafl_1410", Outcome.NEEDS_CLINICIAN_REVIEW)
    assert alternative(run(NEUTRAL, "afl_co2"), NEUTRAL, PACK) is None


# withheld answer, modality, the rules it leaves undecided with the worst they could say
OPEN = [
    ("age_years", "nafl_1550", [("R01", "not_recommended")]),
    ("gold_ever", "pico_755", [("R18", "not_recommended"), ("R57", "review")]),
    ("scar_tendency", "afl_co2", [("R20", "not_recommended"), ("R21", "review"), ("R57", "review")]),
    ("photosensitisers", "nafl_1550", [("R15", "defer"), ("R57", "review")]),
    ("wax_last", "nafl_1550", [("R47", "defer"), ("R57", "review")]),
    ("sun_exposure_last", "afl_co2", [("R10", "defer"), ("R57", "review")]),
    ("filler_last", "afl_co2", [("R43", "defer"), ("R57", "review")]),
    ("filler_last", "nafl_1550", [("R43", "review"), ("R57", "review")]),
    ("laser_last", "pico_755", [("R46", "defer"), ("R57", "review")]),
    ("isotretinoin", "afl_co2", [("R13", "review"), ("R57", "review")]),
    ("isotretinoin", "full", [("R12", "defer"), ("R57", "review")]),
    ("cold_sores", "nafl_1550", [("R08", "task"), ("R57", "review")]),
    ("event_date", "nafl_1550", [("R54", "info")]),
    ("smoking", "nafl_1550", [("R38", "info"), ("R57", "review")]),
    ("treatment_areas", "afl_co2", [("R07", "task"), ("R33", "review"), ("R57", "review")]),
    ("can_avoid_sun", "afl_co2", [("R53", "defer"), ("R57", "review")]),
    ("appearance_preoccupied", "afl_co2", [("R52", "defer"), ("R57", "review")]),
]


@pytest.mark.parametrize(("key", "modality", "rules"), OPEN)
def test_a_withheld_answer_leaves_the_rules_that_read_it_undecided(key, modality, rules):
    result = run(NEUTRAL | {key: "prefer_not_to_say"}, modality)

    assert [(each.rule, each.effect) for each in result.undecided] == rules
    assert all(each.answers == {key: "prefer_not_to_say"} for each in result.undecided)


def test_a_clinician_who_is_not_sure_has_not_confirmed_the_skin_type():
    result = run(NEUTRAL | {"fst_confirmed": "not_sure"}, "afl_co2")

    assert (result.outcome, result.missing) == (Outcome.INCOMPLETE, ("fst_confirmed",))
    assert "R57" not in {finding.rule for finding in result.findings}


def test_a_wait_that_may_be_longer_says_so():
    result = run(NEUTRAL | {"sun_exposure_last": "2026-05-30", "fst_confirmed": None}, "nafl_1550")

    assert (result.outcome, result.earliest_date) == (Outcome.DEFER_UNTIL_DATE, date(2026, 6, 13))
    assert [(each.effect, each.answers) for each in result.undecided if each.rule == "R10"] == [
        ("defer", {"fst_confirmed": None})
    ]


def test_a_self_score_that_could_still_reach_type_four_is_open():
    half = NEUTRAL | {"fst_confirmed": None, "fst_q1": 4, "fst_q2": 4, "fst_q3": 4, "fst_q4": 4}
    open_ = dict.fromkeys(("fst_q5", "fst_q6", "fst_q7", "fst_q8"))
    low = NEUTRAL | {"fst_confirmed": None, "fst_q8": None}

    def skin_type(answers):
        (open_to_review,) = [
            each for each in run(answers, "nafl_1550").undecided if (each.rule, each.effect) == ("R28", "review")
        ]
        return open_to_review.answers

    assert skin_type(half | open_) == open_ | {"fst_confirmed": None}
    assert skin_type(low) == {"fst_confirmed": None}
