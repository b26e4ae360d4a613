"""The drawn grid of days on which the clocks change: as many rows as the day has, each at its time on the wall."""

import uuid
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from clinic.premises.models import OpeningHours
from tests.factories.people import make_location, make_patient, make_practitioner
from tests.factories.visits import book
from treatments.diary.cells import Cells
from treatments.diary.grid import diary_of
from treatments.diary.rules import ROW_MINUTES

pytestmark = pytest.mark.django_db

# The zone, the day, and how many hours it has.
DAYS = [
    ("Europe/London", date(2027, 3, 28), 23),
    ("Europe/London", date(2027, 10, 31), 25),
    ("America/New_York", date(2027, 3, 14), 23),
    ("America/New_York", date(2027, 11, 7), 25),
    ("Australia/Lord_Howe", date(2027, 10, 3), 23.5),
    ("Australia/Lord_Howe", date(2027, 4, 4), 24.5),
    ("Asia/Kathmandu", date(2027, 3, 28), 24),
    ("Asia/Kathmandu", date(2027, 10, 31), 24),
]
ROW = ROW_MINUTES * 60


@pytest.fixture
def open_all_day():
    """A place that is open round the clock on every day of the week, with Bo always there."""

    def build(zone):
        place = make_location("Harbour", zone)
        bo = make_practitioner("Bo Lindqvist", place)
        OpeningHours.objects.filter(location=place).delete()
        for weekday in range(7):
            for who in (None, bo):
                OpeningHours.objects.create(
                    location=place, practitioner=who, weekday=weekday, opens=time(0), closes=time(23, 59)
                )
        return place, bo

    return build


def before(day, zone):
    return datetime.combine(day - timedelta(days=2), time(9), ZoneInfo(zone))


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
def test_the_grid_has_the_rows_of_the_day_and_each_stands_at_its_wall_time(open_all_day, zone, day, hours):
    place, _bo = open_all_day(zone)

    shown = diary_of(place, day, "practitioner", before(day, zone), private=False)

    [column] = shown.columns
    assert shown.last_row * ROW == hours * 3600
    assert datetime.fromtimestamp(column.opens, ZoneInfo(zone)).time() == time(0)
    rows = [gap.block.row for gap in column.gaps]
    assert len(set(rows)) == len(rows)  # no two quarters on the same row, though 01:30 may be twice
    for gap in column.gaps:
        there = datetime.fromtimestamp(column.opens + (gap.block.row - 1) * ROW, ZoneInfo(zone))
        assert gap.label.startswith(f"{there:%H:%M}")
        assert there.date() == day
    for hour in shown.hours:
        there = datetime.fromtimestamp(column.opens + (hour.row - 1) * ROW, ZoneInfo(zone))
        assert hour.label.startswith(f"{there:%H:%M}")


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
def test_a_visit_in_the_afternoon_is_drawn_where_the_clock_says(open_all_day, zone, day, hours):
    place, bo = open_all_day(zone)
    two = datetime.combine(day, time(14), ZoneInfo(zone)).astimezone(UTC)
    visit = book(make_patient(place), bo, two, at=before(day, zone), form_key=uuid.uuid4())

    shown = diary_of(place, day, "practitioner", before(day, zone), private=False)

    [column] = shown.columns
    [card] = column.cards
    label = next(hour for hour in shown.hours if hour.label == "14:00")
    assert (card.block.row, card.starts) == (label.row, "14:00")
    drawn = Cells(may_book=True).of(column, shown.last_row)
    assert f"r-{label.row} h-6" in drawn
    assert f'data-start="{int(two.timestamp())}"' in drawn
    assert str(visit.ref) in drawn
    # Nothing that is free lies under the visit.
    taken = range(card.block.row, card.block.row + card.block.rows)
    assert not [gap for gap in column.gaps if gap.block.row in taken]
