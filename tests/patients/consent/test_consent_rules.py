"""Wordings as data: what they must say and may not say."""

import pytest

from clinic.packfile import PackError
from patients.consent.queries import shipped_wordings
from patients.consent.rules import load_wording, plan_sha256, read_strokes
from patients.consent.states import ConsentScope, SignatureRefused

GOOD = """
[wording]
scope = "treatment"
group = "AFL"
language = "en"
title = "Laser"
summary = ["It has risks."]
reflection_hours = 0
source = "seed 002"

[[paragraph]]
key = "aim"
heading = "Aim"
text = "Results vary."
source = "C5"

[[risk]]
key = "scars"
text = "The skin can scar."
serious = true
source = "seed 002"
"""


def test_each_scope_and_each_group_of_lasers_has_words_in_english():
    have = {(wording.scope, wording.group, wording.language) for wording in shipped_wordings()}

    assert have == {
        *(("treatment", group, "en") for group in ("AFL", "NAFL", "PICO")),
        *((scope.value, "", "en") for scope in ConsentScope if scope != ConsentScope.TREATMENT),
    }


def test_every_treatment_names_the_harms_that_the_sources_name():
    for wording in shipped_wordings():
        if wording.scope == ConsentScope.TREATMENT:
            serious = {risk.key for risk in wording.risks if risk.serious}
            assert serious >= {"burns", "scars", "pigment", "infection", "cold_sores", "eyes", "numbing"}
            assert {"expected", "result"} <= {risk.key for risk in wording.risks}
            assert any("Results vary, and maintenance may be needed." in line for line in wording.summary)


def test_every_risk_says_where_it_is_stated():
    assert all(risk.source for wording in shipped_wordings() for risk in wording.risks)


def test_the_healing_time_is_a_range_and_says_that_redness_can_last_longer():
    ranges = {"AFL": "5 to 14 days", "NAFL": "3 to 7 days", "PICO": "1 to 3 days"}
    for wording in shipped_wordings():
        if wording.group:
            assert any(ranges[wording.group] in line and "Redness can last" in line for line in wording.summary)


@pytest.mark.parametrize(
    "phrase",
    [
        "It is safe and effective.",
        "Results last one year.",
        "Results can last for up to six months.",
        "We guarantee it.",
        "It gives long lasting change.",
        "Minimal discomfort.",
        "It is non-invasive.",
        "It is Non-wounding.",
        "It works by leaving the surface intact.",
        "It is painless.",
    ],
)
def test_words_that_promise_or_belittle_are_refused_with_their_line(phrase):
    with pytest.raises(PackError) as refused:
        load_wording(GOOD.replace("Results vary.", phrase), "afl.toml")

    assert str(refused.value).startswith("afl.toml:14: aim: ")


@pytest.mark.parametrize(
    ("change", "line", "word"),
    [
        (("serious = true", "serious = false"), 2, "serious risks"),
        (('group = "AFL"', ""), 2, "names its group"),
        (('scope = "treatment"', 'scope = "teaching"'), 4, "names its group"),
        (('source = "seed 002"\n\n[[para', 'source = ""\n\n[[para'), 2, "source"),
        (('text = "The skin can scar."', ""), 17, "text"),
        (("reflection_hours = 0", "reflection_hours = -1"), 8, "reflection_hours"),
        (("reflection_hours = 0", "reflection_hours = 0\nreflexion = 1"), 9, "reflexion"),
        (('summary = ["It has risks."]', "summary = []"), 2, "summary"),
        (('language = "en"', "language = en"), 5, "TOML"),
    ],
)
def test_a_wording_that_cannot_be_used_is_refused_with_its_line(change, line, word):
    with pytest.raises(PackError) as refused:
        load_wording(GOOD.replace(*change, 1), "afl.toml")

    assert refused.value.line == line
    assert word in str(refused.value)


def test_a_comma_more_is_another_wording():
    one, other = load_wording(GOOD, "a"), load_wording(GOOD.replace("The skin can", "The skin, can"), "a")

    assert one.sha256 != other.sha256
    assert one.sha256 == load_wording(GOOD, "another name").sha256


def test_the_hash_of_a_plan_does_not_hang_on_the_order_of_its_keys_but_on_that_of_its_areas():
    assert plan_sha256({"a": 1, "b": [1, 2]}) == plan_sha256({"b": [1, 2], "a": 1})
    assert plan_sha256({"b": [1, 2]}) != plan_sha256({"b": [2, 1]})


@pytest.mark.parametrize("text", ["{", "[[", "drop table", "[" * 100_000])
def test_a_drawing_that_is_no_data_is_refused(text):
    with pytest.raises(SignatureRefused):
        read_strokes(text)


def test_no_drawing_is_no_drawing():
    assert read_strokes("  ") == []
