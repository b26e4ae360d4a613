"""A wait ends on its day, not the day before: each count of days, a day either side, by rule and version."""

from datetime import date, timedelta

import pytest

from patients.candidacy.models import Flag
from patients.candidacy.queries import shipped_pack
from patients.candidacy.rules import screen
from tests.factories.answers import GROUPS, NEUTRAL
from tests.factories.people import make_location, make_patient
from tests.factories.screenings import ago, make_screening

ON = date(2026, 6, 1)
DARK = {"fst_confirmed": "5"}
DEEP = {"peel_depth": "medium_deep"}
STOPPED = {"isotretinoin": "stopped"}

# rule, question, days that must lie between (AFL, NAFL, PICO, FULL; None: no wait there), other answers
WAITS = [
    ("R10", "sun_exposure_last", (42, 14, 28, 42), {}),
    ("R10", "sun_exposure_last", (42, 28, 28, 42), DARK),
    ("R11", "self_tanner_last", (14, 14, 14, 14), {}),
    ("R12", "isotretinoin_last", (None, None, None, 183), STOPPED),
    ("R13", "isotretinoin_last", (183, None, None, None), STOPPED),
    ("R14", "isotretinoin_last", (None, 183, 183, None), STOPPED),
    ("R43", "filler_last", (14, 14, 14, 14), {"filler_type": "ha"}),
    ("R44", "toxin_last", (14, 14, 14, 14), {}),
    ("R45", "peel_last", (14, 14, 14, 14), {"peel_depth": "superficial"}),
    ("R45", "peel_last", (183, 90, 90, 183), DEEP),
    ("R46", "laser_last", (56, 28, 28, 56), {"laser_last_kind": "nafl"}),
    ("R46", "laser_last", (56, 56, 56, 56), {"laser_last_kind": "afl"}),
    ("R46", "laser_last", (56, 28, 28, 56), {"laser_last_kind": "other"}),
    ("R47", "wax_last", (14, 7, 7, 14), {}),
    ("R48", "needling_last", (28, 14, 14, 28), {}),
    ("R49", "surgery_last", (183, 183, 183, 183), {}),
    ("R55", "topical_retinoid_last", (14, 14, 7, 14), {}),
    ("R56", "exfoliant_last", (7, 7, 7, 7), {}),
]
EACH = [
    (rule, question, group, days, more)
    for rule, question, counts, more in WAITS
    for group, days in zip(GROUPS, counts, strict=True)
    if days is not None
]


@pytest.mark.parametrize(("rule", "question", "group", "days", "more"), EACH)
def test_a_wait_holds_on_its_last_day_and_is_over_the_day_after(rule, question, group, days, more):
    def fires(days_ago):
        last = (ON - timedelta(days=days_ago)).isoformat()
        result = screen(NEUTRAL | more | {question: last}, shipped_pack(), GROUPS[group], ON)
        return [finding.rule for finding in result.findings if finding.rule == rule] != []

    assert [fires(days - 1), fires(days), fires(days + 1)] == [True, False, False]


def test_every_dated_question_that_a_rule_counts_days_from_is_in_the_table():
    asked = {question for _, question, *_ in WAITS}
    dated = {
        test.question
        for rule in shipped_pack().rules
        for case in rule.cases
        for tests in case.when
        for test in tests
        if test.operator == "within"
    }
    assert dated == asked


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rule", "question", "days", "more"),
    [
        ("R10", "sun_exposure_last", 14, {}),
        ("R45", "peel_last", 90, DEEP),
        ("R46", "laser_last", 28, {"laser_last_kind": "other"}),
        ("R47", "wax_last", 7, {}),
        ("R48", "needling_last", 14, {}),
        ("R49", "surgery_last", 183, {}),
        ("R55", "topical_retinoid_last", 14, {}),
        ("R56", "exfoliant_last", 7, {}),
    ],
)
def test_the_flag_in_the_record_names_the_rule_and_its_version_to_the_day(rule, question, days, more):
    ana = make_patient(make_location())

    before, on_the_day = (make_screening(ana, **more, **{question: ago(count)}) for count in (days - 1, days))

    flag = Flag.objects.get(screening=before)
    assert (flag.rule, flag.status, flag.screening.pack.version) == (rule, "lapsed", 1)
    assert before.result["pack"]["version"] == before.pack.version
    assert before.result["pack"]["sha256"] == before.pack.sha256
    assert not on_the_day.flags.exists()
