"""The arithmetic of a series: nearest free time, wall clock kept, an order of moves in which none is in the way."""

from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.visits import utc
from treatments.series.rules import days_between, in_safe_order, nearest, nearest_by_day, shifted

LONDON = ZoneInfo("Europe/London")


def test_on_each_day_the_time_nearest_to_the_wish_is_taken_the_earlier_of_two():
    free = [utc(f"2026-12-01T{hour}") for hour in ("09:00", "09:45", "10:15", "16:00")] + [utc("2026-12-03T15:00")]

    assert nearest_by_day(free, time(10), LONDON) == {
        date(2026, 12, 1): utc("2026-12-01T09:45"),
        date(2026, 12, 3): utc("2026-12-03T15:00"),
    }


def test_nothing_before_the_wished_day_is_near():
    assert nearest([utc("2026-11-30T10:00"), utc("2026-12-02T16:00")], utc("2026-12-01T10:00"), LONDON) == utc(
        "2026-12-02T16:00"
    )
    assert nearest([utc("2026-11-30T10:00")], utc("2026-12-01T10:00"), LONDON) is None


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_the_wall_clock_is_kept_over_every_night_of_a_year(zone):
    place = ZoneInfo(zone)
    start = datetime(2026, 1, 1, 10, 0, tzinfo=place)
    for days in range(366):
        moved = shifted(start, days, place)
        assert (moved.astimezone(place).time(), days_between(start, moved, place)) == (time(10), days)


@given(
    gaps=st.lists(st.integers(28, 60), min_size=1, max_size=8),
    days=st.integers(-27, 120).filter(bool),
)
def test_in_that_order_two_sessions_are_never_nearer_than_before_or_after(gaps, days):
    start = utc("2026-12-01T10:00")
    old = [start + timedelta(days=sum(gaps[:index])) for index in range(len(gaps) + 1)]
    moves = [(at, at + timedelta(days=days)) for at in old]

    stand = list(old)
    for index in in_safe_order(moves):
        stand[index] = moves[index][1]
        assert all((later - sooner).days >= 28 for sooner, later in pairwise(sorted(stand)))

    assert stand == [new for _, new in moves]
