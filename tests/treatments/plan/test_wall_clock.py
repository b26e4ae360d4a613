from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from treatments.plan.clock import QuietHours, add_months, oddity, to_utc, to_wall

QUIET = QuietHours(time(20), time(9), time(19))
LONDON, NEW_YORK = ZoneInfo("Europe/London"), ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("wall", "zone", "utc", "says"),
    [
        (datetime(2026, 3, 29, 1, 30), LONDON, datetime(2026, 3, 29, 1, 30), "does not exist"),
        (datetime(2026, 10, 25, 1, 30), LONDON, datetime(2026, 10, 25, 0, 30), "comes twice"),
        (datetime(2026, 3, 8, 2, 30), NEW_YORK, datetime(2026, 3, 8, 7, 30), "does not exist"),
        (datetime(2026, 11, 1, 1, 30), NEW_YORK, datetime(2026, 11, 1, 5, 30), "comes twice"),
        (datetime(2026, 6, 1, 9, 0), LONDON, datetime(2026, 6, 1, 8, 0), ""),
        (datetime(2026, 6, 1, 9, 0), ZoneInfo("Asia/Kathmandu"), datetime(2026, 6, 1, 3, 15), ""),
    ],
)
def test_wall_times_that_never_or_twice_exist_follow_one_rule(wall, zone, utc, says):
    assert to_utc(wall, zone) == utc.replace(tzinfo=UTC)
    assert says in oddity(wall, zone)
    assert bool(oddity(wall, zone)) == bool(says)


@pytest.mark.parametrize(
    ("wall", "allowed"),
    [
        (datetime(2026, 6, 1, 8, 59), datetime(2026, 6, 1, 9, 0)),
        (datetime(2026, 6, 1, 9, 0), datetime(2026, 6, 1, 9, 0)),
        (datetime(2026, 6, 1, 19, 59), datetime(2026, 6, 1, 19, 59)),
        (datetime(2026, 6, 1, 20, 0), datetime(2026, 6, 2, 9, 0)),
        (datetime(2026, 6, 1, 0, 0), datetime(2026, 6, 1, 9, 0)),
        (datetime(2026, 12, 31, 23, 0), datetime(2027, 1, 1, 9, 0)),
        (datetime(2026, 3, 28, 23, 0), datetime(2026, 3, 29, 9, 0)),
    ],
)
def test_quiet_hours_end_at_nine_on_the_wall(wall, allowed):
    assert to_wall(QUIET.next_allowed(to_utc(wall, LONDON), LONDON), LONDON) == allowed


@pytest.mark.parametrize(
    ("wall", "evening"),
    [
        (datetime(2026, 6, 2, 7, 0), datetime(2026, 6, 1, 19, 0)),
        (datetime(2026, 6, 2, 19, 0), datetime(2026, 6, 2, 19, 0)),
        (datetime(2026, 6, 2, 18, 59), datetime(2026, 6, 1, 19, 0)),
    ],
)
def test_the_evening_before(wall, evening):
    assert to_wall(QUIET.evening_before(to_utc(wall, LONDON), LONDON), LONDON) == evening


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2027, 8, 31), 6, date(2028, 2, 29)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 1, 15), 12, date(2027, 1, 15)),
    ],
)
def test_months_are_counted_on_the_calendar(day, months, later):
    assert add_months(day, months) == later
