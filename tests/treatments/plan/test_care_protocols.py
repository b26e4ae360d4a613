"""The shipped protocols say what the clinical notes say, each line with its source."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clinic.catalogue.rules import parse_catalogue
from treatments.plan.protocols import BANNED
from treatments.plan.queries import CARE, NoProtocol, shipped_protocol
from treatments.plan.rules import LATE_STEP, Visit, late_steps, plan, text_of
from treatments.plan.states import PURPOSES, TEMPLATES, StepKind

MONDAY = datetime(2026, 9, 14, 14, 0)
BOOKED = datetime(2026, 5, 4, 10, tzinfo=UTC)
DONE = datetime(2026, 9, 14, 14, 30, tzinfo=UTC)
PROTOCOLS = {"AFL": "afl_co2", "NAFL": "nafl_1550", "PICO": "pico_755"}


def treatment(**changes):
    return Visit(**{"kind": "treatment", "starts_at": MONDAY, "zone": "Europe/London", "booked_at": BOOKED} | changes)


def days_of(modality, kind, **changes):
    visit = treatment(completed_at=DONE, **changes)
    return {
        each.step: (each.local.date() - MONDAY.date()).days
        for each in plan(visit, shipped_protocol(modality))
        if each.kind == kind
    }


@pytest.mark.parametrize(
    ("modality", "conditions", "days"),
    [
        ("afl_co2", set(), [-60, -42, -28, -14, -7, 0]),
        ("afl_co2", {"hydroquinone_stop"}, [-60, -42, -28, -14, -7, -5, 0]),
        ("afl_co2", {"antiviral_prescribed"}, [-60, -42, -28, -14, -7, -1, 0]),
        ("afl_co2", {"sedation"}, [-60, -42, -28, -14, -7, -1, 0]),
        ("nafl_1550", set(), [-28, -14, -7, 0]),
        ("nafl_1550", {"antiviral_prescribed"}, [-28, -14, -7, -1, 0]),
        ("nafl_1550", {"sedation"}, [-28, -14, -7, 0]),
        ("pico_755", set(), [-28, -14, -7, 0]),
        ("pico_755", {"antiviral_prescribed"}, [-28, -14, -7, -1, 0]),
    ],
)
def test_pre_care_counts_back_from_the_visit(modality, conditions, days):
    assert list(days_of(modality, StepKind.PRECARE, conditions=frozenset(conditions)).values()) == days


@pytest.mark.parametrize(
    ("modality", "checkins", "others"),
    [
        ("afl_co2", [1, 3, 7, 14, 28, 90, 180], [0, 2, 5, 42]),
        ("nafl_1550", [1, 3, 7, 28], [0, 2, 14, 90]),
        ("pico_755", [1, 3, 28], [0, 14]),
    ],
)
def test_aftercare_counts_forward_from_the_completion(modality, checkins, others):
    assert list(days_of(modality, StepKind.CHECKIN).values()) == checkins
    assert list(days_of(modality, StepKind.AFTERCARE).values()) == others


@pytest.mark.parametrize(
    ("modality", "photos"), [("afl_co2", [28, 90, 180]), ("nafl_1550", [28, 90]), ("pico_755", [28])]
)
def test_photos_are_asked_for_on_the_days_of_the_notes(modality, photos):
    wanted = plan(treatment(completed_at=DONE), shipped_protocol(modality))

    assert [each.day for each in wanted if each.photo] == photos


@pytest.mark.parametrize("modality", PROTOCOLS.values())
def test_confirmation_reminders_fitness_and_recalls(modality):
    wanted = {each.step: each for each in plan(treatment(completed_at=DONE), shipped_protocol(modality))}

    assert wanted["confirmation"].due_at == BOOKED + timedelta(minutes=3)
    assert wanted["reminder_48h"].local == datetime(2026, 9, 12, 14)
    assert wanted["reminder_24h"].local == datetime(2026, 9, 13, 14)
    assert wanted["reminder_morning"].local == datetime(2026, 9, 14, 9)
    assert wanted["fitness"].local == datetime(2026, 9, 11, 9)
    assert wanted["recall_6m"].local == datetime(2027, 3, 14, 12)
    assert wanted["recall_12m"].local == datetime(2027, 9, 14, 12)
    assert "review_request" not in wanted


def test_review_requests_need_consent_and_stop_when_anything_is_red():
    protocol = shipped_protocol("afl_co2")
    wanted = plan(treatment(completed_at=DONE, conditions=frozenset({"news_agreed"})), protocol)

    assert "review_request" in {each.step for each in wanted}
    assert {step.id for step in protocol.steps if step.stops_if_red} == {"review_request", "recall_6m", "recall_12m"}


def test_silence_after_early_ablative_check_ins_becomes_a_call():
    assert [step.id for step in shipped_protocol("afl_co2").steps if step.call_after] == ["after_24h", "after_72h"]
    assert not any(step.call_after for step in shipped_protocol("nafl_1550").steps)


def test_day_seven_after_ablative_wants_a_review_visit():
    assert shipped_protocol("afl_eryag").step("after_day7").visit == "review"


@pytest.mark.parametrize(
    ("done", "first_hours", "first_day"),
    [
        (datetime(2026, 9, 11, 17, 0), datetime(2026, 9, 11, 19, 0), datetime(2026, 9, 12, 17, 0)),
        (datetime(2026, 9, 11, 20, 30), datetime(2026, 9, 11, 22, 30), datetime(2026, 9, 13, 9, 0)),
        (datetime(2026, 9, 11, 8, 30), datetime(2026, 9, 11, 10, 30), datetime(2026, 9, 12, 9, 0)),
    ],
)
def test_a_friday_night_treatment_is_helped_in_the_first_hours_and_let_sleep_after(done, first_hours, first_day):
    visit = treatment(starts_at=done, zone="UTC", completed_at=done.replace(tzinfo=UTC))
    wanted = {each.step: each for each in plan(visit, shipped_protocol("afl_co2"))}

    assert wanted["after_2h"].local == first_hours
    assert wanted["after_24h"].local == first_day
    assert wanted["after_24h"].due_at < wanted["after_48h"].due_at < wanted["after_72h"].due_at


def test_day_zero_is_the_completed_treatment_not_the_booked_one():
    late = treatment(completed_at=DONE + timedelta(days=1))

    days = [each.local.date() for each in plan(late, shipped_protocol("pico_755")) if each.day is not None]

    assert days[1] == MONDAY.date() + timedelta(days=2)


def test_reminders_not_yet_due_vanish_when_the_treatment_was_earlier_than_booked():
    early = treatment(completed_at=DONE - timedelta(days=5))

    steps = {each.step for each in plan(early, shipped_protocol("nafl_1550"))}

    assert not steps & {"reminder_48h", "reminder_24h", "reminder_morning", "fitness", "precare_0"}
    assert "precare_7" in steps


def test_late_pre_care_is_joined_and_the_desk_is_told():
    protocol = shipped_protocol("afl_co2")
    visit = treatment(booked_at=datetime(2026, 9, 4, 10, tzinfo=UTC))

    wanted = plan(visit, protocol)
    late = wanted[1]

    assert [each.step for each in wanted[:3]] == ["confirmation", LATE_STEP, "precare_7"]
    assert late.includes == ("precare_60", "precare_42", "precare_28", "precare_14")
    assert [step.id for step in late_steps(visit, protocol)] == list(late.includes)
    words = text_of(late, visit, protocol).do_now
    assert "No sunbeds from now on." in words
    assert "Stop retinol and other retinoid creams on the area." in words


def test_what_was_sent_before_a_move_is_not_said_again_in_the_late_instruction():
    protocol = shipped_protocol("nafl_1550")
    visit = treatment(moved_at=datetime(2026, 9, 4, 10, tzinfo=UTC), sent_steps=frozenset({"precare_28", "precare_14"}))

    assert LATE_STEP not in {each.step for each in plan(visit, protocol)}


def test_a_visit_booked_the_evening_before_gets_no_reminder_on_top_of_the_confirmation():
    visit = treatment(booked_at=datetime(2026, 9, 13, 17, tzinfo=UTC))

    steps = [each.step for each in plan(visit, shipped_protocol("consultation"))]
    treated = [each.step for each in plan(visit, shipped_protocol("nafl_1550"))]

    assert steps == []
    assert treated == ["confirmation", LATE_STEP, "reminder_morning", "fitness", "precare_0"]


def test_a_consultation_booked_at_once_is_only_confirmed():
    visit = treatment(kind="consultation", booked_at=datetime(2026, 9, 14, 9, 30, tzinfo=UTC))

    assert [each.step for each in plan(visit, shipped_protocol("consultation"))] == ["confirmation"]


def test_an_early_visit_is_prepared_the_evening_before():
    wanted = {
        each.step: each for each in plan(treatment(starts_at=MONDAY.replace(hour=9)), shipped_protocol("pico_755"))
    }

    assert wanted["precare_0"].local == datetime(2026, 9, 13, 19)
    assert "too early" in wanted["precare_0"].note


@pytest.mark.parametrize(
    ("conditions", "tan_steps"),
    [(set(), ["precare_28", "precare_14"]), ({"skin_type_4_6"}, ["precare_28"]), ({"skin_type_1_3"}, ["precare_14"])],
)
def test_tanning_ends_earlier_for_darker_skin_and_for_skin_not_yet_typed(conditions, tan_steps):
    protocol = shipped_protocol("nafl_1550")
    visit = treatment(conditions=frozenset(conditions))

    found = [
        each.step
        for each in plan(visit, protocol)
        if any("tanning" in line for line in text_of(each, visit, protocol).do_now)
    ]

    assert found == tan_steps


def test_a_prescribers_retinoid_plan_replaces_the_general_stop():
    protocol = shipped_protocol("afl_co2")
    visit = treatment(conditions=frozenset({"retinoid_plan"}))
    fortnight = next(each for each in plan(visit, protocol) if each.step == "precare_14")

    lines = text_of(fortnight, visit, protocol).do_now

    assert "Follow the retinoid plan your prescriber gave you." in lines
    assert not any(line.startswith("Stop retinol") for line in lines)


@pytest.mark.parametrize(
    ("areas", "lenses"), [(set(), True), ({"periorbital"}, True), ({"neck"}, False), ({"full_face", "neck"}, True)]
)
def test_lines_follow_the_areas_and_unknown_areas_leave_nothing_out(areas, lenses):
    protocol = shipped_protocol("afl_co2")
    visit = treatment(areas=frozenset(areas))
    today = next(each for each in plan(visit, protocol) if each.step == "precare_0")

    assert any("contact lenses" in line for line in text_of(today, visit, protocol).do_now) == lenses


@pytest.mark.parametrize("name", ["afl_co2", "nafl_1550", "pico_755", "consultation"])
def test_every_step_has_its_source_words_and_template(name):
    protocol = shipped_protocol(name)

    for step in protocol.steps:
        assert step.source
        assert step.title
        assert step.kind in PURPOSES
        assert step.template in TEMPLATES
        assert all(line.source for line in step.lines)
        if step.kind in {StepKind.AFTERCARE, StepKind.CHECKIN, StepKind.PRECARE}:
            assert step.contact_if, step.id
            assert step.lines, step.id
            assert step.what_is_normal, step.id


@pytest.mark.parametrize("path", sorted(CARE.glob("*.toml")), ids=lambda path: path.stem)
def test_nothing_is_promised_and_nothing_is_hidden(path):
    text = path.read_text().casefold()

    assert not [phrase for phrase in BANNED if phrase in text]
    assert not re.search(r"results? (?:last|for) ", text)


def test_every_area_named_is_in_the_catalogue():
    catalogue = Path("clinic/knowledge/catalogue.toml")
    known = {area.key for area in parse_catalogue(catalogue.read_text(), catalogue.name).areas}

    named = {
        area
        for name in PROTOCOLS.values()
        for step in shipped_protocol(name).steps
        for line in step.lines
        for area in line.areas
    }

    assert named <= known


def test_full_field_laser_has_no_protocol():
    with pytest.raises(NoProtocol, match="not offered"):
        shipped_protocol("full")


def test_a_word_that_is_no_laser_has_no_protocol():
    with pytest.raises(NoProtocol, match="neither"):
        shipped_protocol("moonbeam")


def test_only_the_first_hours_may_be_written_at_night_and_only_news_stops_for_red():
    wanted = plan(treatment(completed_at=DONE, conditions=frozenset({"news_agreed"})), shipped_protocol("afl_co2"))

    assert [each.step for each in wanted if each.any_hour] == ["after_2h"]
    assert [each.step for each in wanted if each.stops_if_red] == ["review_request", "recall_6m", "recall_12m"]


@pytest.mark.parametrize(("modality", "step"), [("nafl_1550", "after_day2"), ("pico_755", "after_24h")])
def test_makeup_is_allowed_from_day_two_and_after_ablative_only_when_released(modality, step):
    protocol, ablative = shipped_protocol(modality), shipped_protocol("afl_co2")
    said = protocol.step(step).what_is_normal + " ".join(line.text for line in protocol.step(step).lines)

    assert "akeup is allowed" in said
    released = [each.id for each in ablative.steps if any("makeup (day 7 to 10)" in line.text for line in each.lines)]
    assert released == ["after_day7"]
