"""Edits change one value and nothing else; differences say what changed; a fault is found where it lies."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic.catalogue.states import Group
from clinic.packfile import PackError
from patients.candidacy.queries import PACK_FILE, shipped_pack, shipped_questionnaire
from patients.candidacy.rules import load_pack, screen
from patients.candidacy.states import Effect, Outcome
from patients.workshop.difference import Change, difference, questionnaire_difference
from patients.workshop.rules import (
    EditRefused,
    Line,
    Place,
    SetDays,
    SetEffect,
    SetRescreen,
    SetText,
    apply_edits,
    line_difference,
    place_of,
    spread,
)
from patients.workshop.wording import condition_words, days_words, rule_words
from tests.factories.answers import NEUTRAL
from tests.factories.people import NOW

TEXT = PACK_FILE.read_text(encoding="utf-8")
DATA = tomllib.loads(TEXT)
RULES = [rule["id"] for rule in DATA["rule"]]
CASES = [(rule["id"], index) for rule in DATA["rule"] for index in range(len(rule["case"]))]
COMMENTS = [line for line in TEXT.splitlines() if line.lstrip().startswith("#")]
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(str.strip)
LASERS = list(Group.values)
# The pack is long, and each example reads it several times.
few = settings(max_examples=15, deadline=None)


def load(text):
    return load_pack(text, "draft", shipped_questionnaire())


def rule_of(data, rule_id):
    return next(rule for rule in data["rule"] if rule["id"] == rule_id)


def comments_of(text):
    return [line for line in text.splitlines() if line.lstrip().startswith("#")]


def words_of(changes):
    return [(each.about, each.field, each.before, each.after, each.caution) for each in changes]


# --- edits ------------------------------------------------------------------------------------------------------------


@few
@given(rule=st.sampled_from(RULES), key=st.sampled_from(["patient_text", "rationale", "source"]), words=WORDS)
def test_a_text_of_a_rule_changes_exactly_there(rule, key, words):
    changed = tomllib.loads(apply_edits(TEXT, [SetText(rule, key, words)]))

    assert rule_of(changed, rule)[key] == words.strip()
    rule_of(changed, rule)[key] = rule_of(DATA, rule)[key]
    assert changed == DATA


@few
@given(rule=st.sampled_from(RULES), key=st.sampled_from(["needs_decision", "off"]), words=WORDS)
def test_an_optional_text_comes_and_goes_without_a_trace(rule, key, words):
    there = apply_edits(TEXT, [SetText(rule, key, words)])
    gone = apply_edits(there, [SetText(rule, key, "")])

    assert rule_of(tomllib.loads(there), rule)[key] == words.strip()
    assert key not in rule_of(tomllib.loads(gone), rule)
    assert comments_of(there) == comments_of(gone) == COMMENTS
    if key not in rule_of(DATA, rule):
        assert gone == TEXT


@few
@given(case=st.sampled_from(CASES), effects=st.dictionaries(st.sampled_from(LASERS), st.sampled_from(Effect.values)))
def test_an_effect_changes_exactly_there(case, effects):
    rule, index = case
    wanted = {group: effects.get(group, "") for group in LASERS}

    changed = tomllib.loads(apply_edits(TEXT, [SetEffect(rule, index, wanted)]))

    mine = rule_of(changed, rule)["case"][index]
    assert spread(mine["effect"], LASERS) == effects
    mine["effect"] = rule_of(DATA, rule)["case"][index]["effect"]
    assert changed == DATA


@few
@given(case=st.sampled_from(CASES), words=st.one_of(WORDS, st.just("")))
def test_when_to_screen_again_changes_exactly_there(case, words):
    rule, index = case

    changed = tomllib.loads(apply_edits(TEXT, [SetRescreen(rule, index, words)]))

    mine, theirs = (rule_of(each, rule)["case"][index] for each in (changed, DATA))
    assert mine.pop("rescreen_when", "") == words.strip()
    assert mine == {key: value for key, value in theirs.items() if key != "rescreen_when"}


@few
@given(name=st.sampled_from(sorted(DATA["days"])), days=st.integers(1, 9999))
def test_a_day_count_changes_exactly_there_and_keeps_its_comment(name, days):
    groups = DATA["days"][name]
    value = days if isinstance(groups, int) else dict.fromkeys(groups, days)

    text = apply_edits(TEXT, [SetDays(name, value)])

    changed = tomllib.loads(text)
    assert changed["days"][name] == value
    assert changed | {"days": DATA["days"]} == DATA
    assert [line.partition("#")[2] for line in text.splitlines()] == [
        line.partition("#")[2] for line in TEXT.splitlines()
    ]


@few
@given(
    case=st.sampled_from(CASES),
    words=st.text("abc “”\"\\'#[]{}=é", min_size=1, max_size=40).filter(lambda text: text.strip() and "{" not in text),
    days=st.integers(1, 9999),
)
def test_several_edits_at_once_still_load_and_the_difference_names_them_all(case, words, days):
    rule, _ = case
    edits = [SetText(rule, "patient_text", words), SetDays("after_birth", days), SetText(rule, "off", words)]

    found = difference(shipped_pack(), load(apply_edits(TEXT, edits)))

    expected = {"Wording for the patient", "In use"} | ({"after birth"} if days != 90 else set())
    assert {each.field for each in found} == expected


def test_an_edit_that_changes_nothing_leaves_the_text_byte_for_byte():
    edits = [SetDays("after_birth", 90), SetEffect("R02", 0, dict.fromkeys(LASERS, "defer")), SetText("R02", "off", "")]

    assert apply_edits(TEXT, edits) == TEXT


def test_a_word_with_a_strange_line_break_stays_on_its_line():
    words = "one\x85two\u2028three\x7f[[rule]]"

    changed = apply_edits(TEXT, [SetText("R05", "rationale", words)])

    assert rule_of(tomllib.loads(changed), "R05")["rationale"] == words
    assert len(changed.splitlines()) == len(TEXT.splitlines())


def test_an_edit_touches_one_line():
    changed = apply_edits(TEXT, [SetText("R05", "patient_text", "Please wait.")])

    assert [each for each in line_difference(TEXT, changed, around=0) if each.kind != "gap"] == [
        Line("out", 168, None, 'patient_text = "The skin needs to heal first."'),
        Line("in", None, 168, 'patient_text = "Please wait."'),
    ]


ODD = """
[days]
a = 3 # three, "really"
'b' = { X = 1, Y = 2 } # '}'

[[rule]]
id = "R1"
topic = "t"
patient_text = \"\"\"Two
lines with source = "no" and a # sign.\"\"\"
rationale = 'literal \\ "text"' # kept
source = "G"
needs_decision = "yes" # why

[[rule.case]]
when = { all = [
    { q = "]" }, # a bracket ]
] }
effect = { all = "review" }
"""


@pytest.mark.parametrize(
    ("edit", "old", "new"),
    [
        (SetDays("a", 4), 'a = 3 # three, "really"', 'a = 4 # three, "really"'),
        (SetDays("b", {"X": 5, "Y": 2}), "{ X = 1, Y = 2 } # '}'", "{ X = 5, Y = 2 } # '}'"),
        (SetText("R1", "rationale", 'a "b"'), "'literal \\ \"text\"' # kept", '"a \\"b\\"" # kept'),
        (SetText("R1", "source", "X A"), 'source = "G"', 'source = "X A"'),
        (SetText("R1", "needs_decision", ""), 'needs_decision = "yes" # why', "# why"),
        (SetText("R1", "off", "No."), 'source = "G"', 'source = "G"\noff = "No."'),
        (SetRescreen("R1", 0, "Later."), '"review" }', '"review" }\nrescreen_when = "Later."'),
        (
            SetText("R1", "patient_text", "One."),
            '"""Two\nlines with source = "no" and a # sign."""',
            '"One."',
        ),
        (SetEffect("R1", 0, {"X": "defer", "Y": ""}), '{ all = "review" }', '{ X = "defer" }'),
    ],
)
def test_unusual_toml_is_edited_too(edit, old, new):
    assert apply_edits(ODD, [edit]) == ODD.replace(old, new)


@pytest.mark.parametrize(
    "edit",
    [
        SetDays("nothing", 3),
        SetText("R99", "source", "G"),
        SetText("R05", "topic", "x"),
        SetEffect("R05", 1, {"AFL": "defer"}),
        SetRescreen("R05", -1, "x"),
    ],
)
def test_what_is_not_there_is_not_edited(edit):
    with pytest.raises(EditRefused, match="in the text"):
        apply_edits(TEXT, [edit])


def test_a_text_that_hides_its_tables_is_refused_rather_than_spoilt():
    text = 'note = """\n[[rule]]\nsource = "x"\n"""\n\n[[rule]]\nid = "R1"\nsource = "G"\n'

    with pytest.raises(EditRefused):
        apply_edits(text, [SetText("R1", "source", "X A")])


# --- a rule switched off ----------------------------------------------------------------------------------------------


def test_a_rule_switched_off_is_silent_and_one_switched_on_again_speaks():
    answers = NEUTRAL | {"cold_sore_active": True}
    off = apply_edits(TEXT, [SetText("R06", "off", "The clinic decides by eye.")])

    def outcome(text):
        return screen(answers, load(text), "nafl_1550", NOW.date()).outcome

    assert outcome(TEXT) == outcome(apply_edits(off, [SetText("R06", "off", "")])) == Outcome.DEFER_UNTIL_DATE
    assert outcome(off) == Outcome.ELIGIBLE


@few
@given(rule=st.sampled_from(RULES))
def test_any_rule_can_be_switched_off_and_the_rest_goes_on(rule):
    pack = load(apply_edits(TEXT, [SetText(rule, "off", "Not here.")]))

    assert {lane.rule.id for lanes in pack.lanes.values() for lane in lanes} == set(RULES) - {rule}


# --- where a fault lies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (SetText("R05", "source", "nowhere"), Place("R05", None, "source")),
        (SetText("R05", "patient_text", "{no_such}"), Place("R05", None, "patient_text")),
        (SetEffect("R05", 0, {"AFL": "task"}), Place("R05", 0, "effect")),
        (SetEffect("R15", 1, dict.fromkeys(LASERS, "defer")), Place("R15", 1, "effect")),
        (SetRescreen("R15", 0, "{no_such}"), Place("R15", 0, "rescreen_when")),
    ],
)
def test_a_fault_is_placed_at_its_rule_case_and_key(edit, place):
    text = apply_edits(TEXT, [edit])
    with pytest.raises(PackError) as refused:
        load(text)

    assert place_of(text, refused.value) == place


def test_a_fault_in_the_day_counts_is_placed_at_its_name():
    text = TEXT.replace("after_birth = 90", "after_birth = 0")
    with pytest.raises(PackError) as refused:
        load(text)

    assert place_of(text, refused.value) == Place("", None, "after_birth")


def test_a_text_that_is_no_toml_has_no_place():
    assert place_of("= [", PackError("x", 1, "", "no")) == Place()


# --- differences ------------------------------------------------------------------------------------------------------


def test_the_same_pack_has_no_difference():
    assert difference(shipped_pack(), load(TEXT)) == []


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        (SetDays("after_birth", 120), ("Day counts", "after birth", "90 days", "120 days", "more")),
        (SetDays("after_birth", 30), ("Day counts", "after birth", "90 days", "30 days", "less")),
        (
            SetText("R03", "off", "Not used."),
            ("R03 Pregnancy", "In use", "in use", "switched off: Not used.", "less"),
        ),
        (SetText("R05", "source", "G"), ("R05 Active infection", "Source", "MED C", "G", "")),
        (
            SetText("R05", "needs_decision", ""),
            ("R05 Active infection", "Still to be decided by the clinic", "Days after healing (G).", "nothing", ""),
        ),
        (
            SetEffect("R05", 0, {"AFL": "defer", "NAFL": "review", "PICO": "defer", "FULL": "defer"}),
            ("R05 Active infection", "Effect, fractional non-ablative", "Wait", "Clinician to review", "less"),
        ),
        (
            SetEffect("R17", 0, {"AFL": "not_recommended", "NAFL": "review", "PICO": "review", "FULL": "review"}),
            ("R17 Bleeding disorder", "Effect, fractional ablative", "Clinician to review", "Not recommended", "more"),
        ),
        (
            SetRescreen("R15", 0, "Later."),
            (
                "R15 Photosensitiser",
                "Case 1: Screen again",
                "Screen again when the light-therapy medicine has cleared.",
                "Later.",
                "",
            ),
        ),
    ],
)
def test_a_difference_is_said_in_words(edit, change):
    assert words_of(difference(shipped_pack(), load(apply_edits(TEXT, [edit])))) == [change]


def test_counts_per_laser_are_named_one_by_one():
    counts = {"AFL": 60, "NAFL": 7, "PICO": 28, "FULL": 42}

    found = difference(shipped_pack(), load(apply_edits(TEXT, [SetDays("sun_exposure", counts)])))

    assert words_of(found) == [
        ("Day counts", "sun exposure, fractional ablative", "42 days", "60 days", "more"),
        ("Day counts", "sun exposure, fractional non-ablative", "14 days", "7 days", "less"),
    ]


def test_rules_cases_and_conditions_changed_in_the_text_are_named():
    text = TEXT.replace('is_not = "none" }\neffect = { all = "defer" }', 'is = "acne" }\neffect = { all = "defer" }', 1)
    text = TEXT.replace('{ question = "cold_sore_active", is = true }', '{ question = "cold_sore_active", is = false }')
    text += '\n[[rule]]\nid = "R61"\ntopic = "new"\npatient_text = "x"\nrationale = "y"\nsource = "G"\n'
    text += '[[rule.case]]\nwhen = { question = "gold_ever", is = true }\neffect = { all = "info" }\n'

    found = difference(shipped_pack(), load(text))

    label = shipped_questionnaire().by_key["cold_sore_active"].label
    assert words_of(found) == [
        ("R06 Active cold sore", "When", f"“{label}”: yes", f"“{label}”: no", ""),
        ("R61 New", "The rule", "nothing", "added", "more"),
    ]
    assert Change("R61 New", "The rule", "there", "removed", "less") in difference(load(text), shipped_pack())


def test_a_changed_question_is_named():
    old = shipped_questionnaire()
    questions = tuple(each for each in old.questions if each.key != "gold_ever")
    new = type(old)(old.name, old.version, old.sha256, old.sections, questions, old.skin)

    assert words_of(questionnaire_difference(old, new)) == [("Question gold ever", "The whole", "there", "removed", "")]
    assert questionnaire_difference(old, old) == []


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_the_line_difference_holds_every_line_that_went_or_came(old, new):
    found = line_difference("\n".join(old), "\n".join(new), around=99)
    if old == new:
        assert found == []
    else:
        assert [each.text for each in found if each.kind in {"same", "out"}] == old
        assert [each.text for each in found if each.kind in {"same", "in"}] == new


# --- words ------------------------------------------------------------------------------------------------------------


def test_every_rule_of_the_shipped_pack_can_be_said():
    pack = shipped_pack()
    for rule in pack.rules:
        words = rule_words(rule, pack)
        assert all(tests for case in words.cases for tests in case.alternatives)
        assert all(case.effects for case in words.cases)
        assert "{" not in words.patient_text + "".join(case.rescreen_when for case in words.cases)
        assert "".join(each.before + each.tag + f" {each.letter}".rstrip(" G") for each in words.sources if each)


def test_a_rule_is_said_as_a_clinician_would():
    pack = shipped_pack()
    words = rule_words(pack.rule("R15"), pack)

    label = pack.questionnaire.by_key["photosensitisers"].label
    first = words.cases[0]
    assert (words.id, words.topic, len(words.cases)) == ("R15", "Photosensitiser", 3)
    assert first.alternatives[0][0].startswith(f"“{label}”: ")
    assert [(each.groups, each.label, each.tone) for each in first.effects] == [("Every laser", "Wait", "warn")]
    assert [(each.before, each.tag, each.letter) for each in words.sources] == [
        ("", "BMLAx", "C"),
        (", ", "KERST", "A"),
        (", ", "SCHIL", "B"),
    ]


def test_day_counts_are_said_per_laser_where_they_differ():
    days = shipped_pack().days

    assert days_words(days["after_birth"]) == "90 days"
    assert days_words(days["sun_exposure_dark_skin"]) == "28 days (Fractional non-ablative)"
    assert days_words(days["waxing"]).startswith("14 days (Fractional ablative), 7 days (Fractional non-ablative)")


def test_conditions_of_every_operator_have_words():
    pack = shipped_pack()
    said = {
        test.operator: words
        for rule in pack.rules
        for case in rule.cases
        for tests, line in zip(case.when, condition_words(case.when, pack.questionnaire, pack.days), strict=True)
        for test, words in zip(tests, line, strict=True)
    }

    assert set(said) >= {
        "in",
        "within",
        "ahead_within",
        "is_date",
        "no_date",
        "below",
        "group",
        "self_type",
        "any_unsure",
    }
    assert all(words.strip() for words in said.values())
