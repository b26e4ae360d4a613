from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treatments.courses.rules import Earliest, Treated, earliest_next, earliest_of, later, propose_dates

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("completed", "zone", "days", "earliest"),
    [
        ("2026-03-01T10:00+00:00", "Europe/London", 28, date(2026, 3, 29)),  # the clocks go forward that night
        ("2026-10-01T10:00+00:00", "Europe/London", 28, date(2026, 10, 29)),  # and back on the way
        ("2026-03-01T23:30+00:00", "Europe/London", 28, date(2026, 3, 29)),  # late in the evening is still that day
        ("2026-03-01T23:30+00:00", "Asia/Kathmandu", 28, date(2026, 3, 30)),  # there it is the 2nd already
        ("2026-03-01T03:00+00:00", "America/New_York", 28, date(2026, 3, 28)),  # there it is still the 28th
        ("2028-02-01T12:00+00:00", "Europe/London", 28, date(2028, 2, 29)),
        ("2026-01-05T12:00+00:00", "Europe/London", 56, date(2026, 3, 2)),
        ("2026-01-05T12:00+00:00", "Europe/London", 0, date(2026, 1, 5)),
    ],
)
def test_earliest_next_counts_whole_local_days_from_the_completed_session(completed, zone, days, earliest):
    assert earliest_next(datetime.fromisoformat(completed), days, ZoneInfo(zone)) == earliest


def test_a_completion_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        earliest_next(datetime(2026, 3, 1, 10), 28, LONDON)


def treated(modality, label, day, days):
    return Treated(modality, label, datetime.fromisoformat(f"{day}T12:00+00:00"), days)


@pytest.mark.parametrize(
    ("history", "own", "expected"),
    [
        ([], 28, Earliest(None)),
        (
            [treated("nafl_1550", "1550", "2026-04-16", 28)],
            28,
            Earliest(date(2026, 5, 14), "1550 was on 16 April 2026, and 28 days must lie between"),
        ),
        # After an ablative treatment the gentler laser waits as long as the ablative one asks.
        (
            [treated("afl_co2", "CO2", "2026-04-16", 56)],
            28,
            Earliest(date(2026, 6, 11), "CO2 was on 16 April 2026, and 56 days must lie between"),
        ),
        # Before an ablative treatment the ablative one's interval counts.
        (
            [treated("nafl_1550", "1550", "2026-04-16", 28)],
            56,
            Earliest(date(2026, 6, 11), "1550 was on 16 April 2026, and 56 days must lie between"),
        ),
        # Of two treatments the one that holds back longest, not the latest one.
        (
            [treated("afl_co2", "CO2", "2026-04-01", 56), treated("nafl_1550", "1550", "2026-04-16", 28)],
            28,
            Earliest(date(2026, 5, 27), "CO2 was on 1 April 2026, and 56 days must lie between"),
        ),
    ],
)
def test_the_longer_interval_of_two_lasers_counts(history, own, expected):
    assert earliest_of(history, own, LONDON) == expected


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.integers(0, 200),
    st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_exactly_that_many_midnights_lie_between(completed, days, zone):
    found = earliest_next(completed, days, ZoneInfo(zone))

    assert (found - completed.astimezone(ZoneInfo(zone)).date()).days == days


def test_the_later_of_two_reasons_holds():
    none, early, late = Earliest(None), Earliest(date(2026, 1, 1), "a"), Earliest(date(2026, 2, 1), "b")

    assert [later(none, early), later(late, early), later(early, late), later(none, none)] == [early, late, late, none]


def test_proposed_dates_keep_the_interval():
    assert propose_dates(date(2026, 3, 2), 3, 28) == [date(2026, 3, 2), date(2026, 3, 30), date(2026, 4, 27)]
