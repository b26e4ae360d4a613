from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import treatments
from treatments.aftercare.rules import Calendar, Clock, act_by, due_by, grade, halfway, parse_triage
from treatments.aftercare.states import ClockKind

TRIAGE = parse_triage((Path(treatments.__file__).parent / "knowledge/triage/triage.toml").read_text(), "triage.toml")
WEEK = {day: ((time(9), time(13)), (time(14), time(18))) for day in range(5)}
LONDON = Calendar("Europe/London", WEEK, {date(2026, 12, 25): ()})
MINUTES, HOURS, DAYS = ClockKind.MINUTES, ClockKind.WORKING_HOURS, ClockKind.WORKING_DAYS


def at(day, hour, minute=0, month=1):
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("clock", "opened", "due"),
    [
        # Friday 9 January 2026 and the weekend after it; London winter time is UTC.
        (Clock(MINUTES, 60), at(10, 23, 30), at(11, 0, 30)),
        (Clock(HOURS, 4), at(9, 9), at(9, 13)),
        (Clock(HOURS, 4), at(9, 10), at(9, 15)),
        (Clock(HOURS, 4), at(9, 13, 30), at(9, 18)),
        (Clock(HOURS, 4), at(9, 16), at(12, 11)),
        (Clock(HOURS, 4), at(10, 3), at(12, 13)),
        (Clock(DAYS, 1), at(8, 17), at(9, 18)),
        (Clock(DAYS, 1), at(9, 17), at(12, 18)),
        (Clock(DAYS, 1), at(10, 17), at(12, 18)),
        (Clock(DAYS, 3), at(8, 8), at(13, 18)),
        (Clock(DAYS, 1), at(24, 10, month=12), at(28, 18, month=12)),
        (Clock(HOURS, 2), at(24, 17, month=12), at(28, 10, month=12)),
    ],
)
def test_minutes_run_at_night_and_working_time_only_by_day(clock, opened, due):
    assert due_by(clock, opened, LONDON) == due


def test_working_hours_follow_the_clinics_wall_clock():
    assert due_by(Clock(HOURS, 1), at(6, 8, 0, month=7), LONDON) == at(6, 9, 0, month=7)
    assert due_by(Clock(HOURS, 1), at(6, 7, 0, month=7), LONDON) == at(6, 9, 0, month=7)


@pytest.mark.parametrize(
    ("clock", "hours"), [(Clock(HOURS, 4), 4), (Clock(DAYS, 1), 24), (Clock(DAYS, 3), 72), (Clock(MINUTES, 15), 0.25)]
)
def test_a_clinic_without_hours_answers_sooner_not_never(clock, hours):
    closed = Calendar("Europe/London", {})

    assert due_by(clock, at(9, 12), closed) == at(9, 12) + timedelta(hours=hours)


def test_a_night_emergency_is_due_within_minutes_and_a_question_on_the_next_working_day():
    night = at(10, 2)
    red = grade({"eye": "vision_change", "itch": 2}, day=1, modality="afl_co2", triage=TRIAGE)
    calm = grade({"itch": 2}, day=1, modality="afl_co2", triage=TRIAGE)
    fine = grade({"itch": 0}, day=1, modality="afl_co2", triage=TRIAGE)

    assert act_by(red, night, LONDON) == night + timedelta(minutes=15)
    assert act_by(calm, night, LONDON) == at(12, 18)
    assert act_by(fine, night, LONDON) is None


def test_an_alarm_is_paged_again_at_half_of_its_clock():
    assert halfway(at(9, 10), at(9, 11)) == at(9, 10, 30)


@given(
    st.sampled_from([Clock(MINUTES, 60), Clock(HOURS, 4), Clock(DAYS, 1), Clock(DAYS, 3)]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_every_clock_runs_out_after_it_started_and_within_two_weeks(clock, opened, zone):
    due = due_by(clock, opened, Calendar(zone, WEEK))

    assert opened < due < opened + timedelta(days=14)
