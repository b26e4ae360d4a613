"""A pack that cannot be meant is refused with file, line and rule; a good one says where it comes from."""

import hashlib
from datetime import date

import pytest

from clinic.packfile import PackError
from patients.candidacy.queries import PACK_FILE, shipped_pack, shipped_questionnaire
from patients.candidacy.rules import load_pack, screen
from tests.factories.answers import NEUTRAL

HEAD = """[pack]
name = "small"
version = 3
status = "draft"

[groups]
AFL = ["afl_co2", "afl_eryag"]
NAFL = ["nafl_1410", "nafl_1440", "nafl_1540", "nafl_1550", "nafl_1927"]
PICO = ["pico_755"]
FULL = ["full"]

[days]
pause = { AFL = 10, NAFL = 5 }
wait = 7

[[task]]
key = "look"
label = "Look"
text = "Look at it."
source = "G"
"""
RULE = """
[[rule]]
id = "R90"
topic = "eczema"
patient_text = "Please wait."
rationale = "Barrier."
source = "MED C"

[[rule.case]]
when = { question = "eczema", is = "past" }
effect = { all = "review" }
"""


def load(text):
    return load_pack(text, "small.toml", shipped_questionnaire())


def with_case(case):
    return HEAD + RULE.split("[[rule.case]]")[0] + "[[rule.case]]\n" + case


def test_a_small_pack_loads_and_screens():
    pack = load(HEAD + RULE)

    result = screen({"eczema": "past"}, pack, "full", date(2026, 6, 1))

    assert pack.id == ("small", 3, hashlib.sha256((HEAD + RULE).encode()).hexdigest())
    assert [(finding.rule, finding.effect) for finding in result.findings] == [("R90", "review")]
    assert load_pack(HEAD + RULE, "small.toml", shipped_questionnaire(), version=8).id.version == 8


# how the rule is spoilt: (old text, new text, part of the sentence, text of the line that is named)
FAULTS = [
    ('question = "eczema"', 'question = "exzema"', "no question", "when ="),
    ('is = "past"', 'is = "gone"', "no option", "when ="),
    ('is = "past"', "is = true", "no option", "when ="),
    ('is = "past"', 'equals = "past"', "Unknown operator", "when ="),
    ('is = "past"', 'within = "wait"', "cannot be asked", "when ="),
    ('{ all = "review" }', '{ all = "refuse" }', "no effect", "effect ="),
    ('{ all = "review" }', '{ CO2 = "review" }', "no group", "effect ="),
    ('{ all = "review" }', "{}", "must name an effect", "effect ="),
    ('{ all = "review" }', '{ all = "defer" }', "A deferral needs", "effect ="),
    ('{ all = "review" }', '{ all = "task" }', "belong together", "effect ="),
    ('source = "MED C"\n', "", "“source” is missing", "[[rule]]"),
    ('source = "MED C"', 'source = "my cousin"', "evidence", "source ="),
    ('source = "MED C"', 'source = "MED E"', "evidence", "source ="),
    ('topic = "eczema"', 'topik = "eczema"', "not known here", "topik ="),
    ('patient_text = "Please wait."', 'patient_text = "Wait {weeks} days."', "not among the [days]", "patient_text ="),
    ('rationale = "Barrier."\n', "", "“rationale” is missing", "[[rule]]"),
]


@pytest.mark.parametrize(("old", "new", "sentence", "at"), FAULTS)
def test_a_faulty_rule_is_refused_with_file_line_and_rule(old, new, sentence, at):
    text = HEAD + RULE.replace(old, new)

    with pytest.raises(PackError) as refused:
        load(text)

    assert (refused.value.name, refused.value.item) == ("small.toml", "R90")
    assert sentence in refused.value.sentence
    assert text.splitlines()[refused.value.line - 1].startswith(at)


CASES = [
    ('when = { question = "wax_last", within = "pause" }\neffect = { PICO = "review" }', "has no “pause” for PICO"),
    ('when = { question = "wax_last", within = "weeks" }\neffect = { AFL = "review" }', "not among the [days]"),
    ('when = { fact = "grown_up" }\neffect = { all = "review" }', "no fact"),
    ('when = { all = [] }\neffect = { all = "review" }', "hold a list"),
    ('when = { all = [{ question = "eczema", is = "past" }], any = [] }\neffect = { all = "review" }', "stand alone"),
    ('when = "always"\neffect = { all = "review" }', "must be a condition"),
    ('effect = { all = "review" }', "must be a condition"),
    ('when = { group = ["CO2"] }\neffect = { all = "review" }', "no group"),
    ('when = { question = "fst_q1", below = 2 }\neffect = { all = "review" }', "always asked"),
    ('when = { self_type_at_least = 9 }\neffect = { all = "review" }', "1 to 6"),
    ('when = { any_answer = "never" }\neffect = { all = "review" }', "Unknown operator"),
    (
        'when = { question = "gold_ever", is = true }\neffect = { all = "task" }\ntask = "dance"',
        "is not a known task",
    ),
    (
        'when = { question = "gold_ever", is = true }\neffect = { all = "defer" }\n'
        'earliest = { after = "eczema", days = "wait" }',
        "no question with a date",
    ),
    (
        'when = { question = "gold_ever", is = true }\neffect = { PICO = "defer" }\n'
        'earliest = { after = "wax_last", days = "pause" }',
        "has no “pause” for PICO",
    ),
]


@pytest.mark.parametrize(("case", "sentence"), CASES)
def test_a_faulty_case_is_refused(case, sentence):
    with pytest.raises(PackError) as refused:
        load(with_case(case))

    assert refused.value.item == "R90"
    assert sentence in refused.value.sentence


def test_an_id_that_stands_twice_is_refused():
    with pytest.raises(PackError) as refused:
        load(HEAD + RULE + RULE)

    assert refused.value.item == "R90"
    assert "twice" in refused.value.sentence


def test_a_rule_without_a_case_is_refused():
    with pytest.raises(PackError, match=r"R90.*at least one"):
        load(HEAD + RULE.split("[[rule.case]]")[0])


def test_a_modality_without_a_group_is_refused():
    with pytest.raises(PackError, match="exactly one group"):
        load((HEAD + RULE).replace(', "afl_eryag"', ""))


@pytest.mark.parametrize("days", ["0", '"soon"', "true", "{ CO2 = 3 }"])
def test_a_day_count_that_is_none_is_refused(days):
    with pytest.raises(PackError) as refused:
        load((HEAD + RULE).replace("wait = 7", f"wait = {days}"))

    assert (HEAD + RULE).splitlines()[refused.value.line - 1] == "wait = 7"


def test_a_file_that_is_no_toml_is_refused_with_its_line():
    with pytest.raises(PackError) as refused:
        load(HEAD + "\n[[rule]]\nid = R90\n")

    assert refused.value.line == len(HEAD.splitlines()) + 3


def test_interplays_name_rules_that_exist():
    advice = '[[interplay]]\nkey = "both"\ntext = "Both."\nsource = "G"\nfired_all = ["R91"]\n'

    with pytest.raises(PackError, match="both"):
        load(HEAD + RULE + advice)


def test_day_counts_of_a_clinic_move_the_boundary():
    text = PACK_FILE.read_text(encoding="utf-8").replace("toxin = 14", "toxin = 21")
    pack = load_pack(text, "clinic.toml", shipped_questionnaire())
    answers = NEUTRAL | {"toxin_last": "2026-05-12"}

    shipped, own = (screen(answers, each, "afl_co2", date(2026, 6, 1)) for each in (shipped_pack(), pack))

    assert (shipped.outcome, own.outcome, own.earliest_date) == ("eligible", "defer_until_date", date(2026, 6, 2))


def test_the_policy_switch_turns_isotretinoin_into_a_wait():
    text = PACK_FILE.read_text(encoding="utf-8").replace('effect = { AFL = "review" }', 'effect = { AFL = "defer" }', 1)
    pack = load_pack(text, "clinic.toml", shipped_questionnaire())
    answers = NEUTRAL | {"isotretinoin": "stopped", "isotretinoin_last": "2026-03-01"}

    result = screen(answers, pack, "afl_co2", date(2026, 6, 1))

    assert (result.outcome, result.earliest_date) == ("defer_until_date", date(2026, 8, 31))


def test_the_shipped_pack_is_a_draft_and_every_rule_says_all_it_must():
    pack = shipped_pack()

    assert (pack.status, pack.approved_by) == ("draft", "")
    assert pack.id.sha256 == hashlib.sha256(PACK_FILE.read_bytes()).hexdigest()
    for rule in pack.rules:
        assert rule.patient_text
        assert rule.rationale
        assert rule.source
        assert "refused" not in rule.patient_text.lower()
