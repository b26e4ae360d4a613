"""A week of one person, room or device: days for columns, on one wall clock."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from urllib.parse import unquote

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.premises.models import OpeningHours
from tests.factories.desk import text
from tests.factories.people import make_location, make_patient, make_practitioner
from tests.factories.visits import book, utc
from treatments.diary.week import week_of

pytestmark = pytest.mark.django_db

NOW = utc("2026-11-24T10:05")
BEFORE = utc("2026-11-23T08:00")


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


def test_the_week_has_a_column_a_day_and_one_persons_visits(desk, place, bo):
    ida = make_practitioner("Ida Moss", place)
    book(make_patient(place), bo, utc("2026-11-24T11:00"), at=BEFORE)
    book(make_patient(place, "Ben", "Okafor"), bo, utc("2026-11-26T09:00"), at=BEFORE)
    book(make_patient(place, "Cy", "Lee"), ida, utc("2026-11-25T11:00"), at=BEFORE)

    page = text(desk.get("/diary/week/", {"ref": bo.ref}))
    others = text(desk.get("/diary/week/", {"ref": ida.ref}))

    assert page.count('class="dg-col"') == 7
    assert ("Ana Reyes" in page, "Ben Okafor" in page, "Cy Lee" in page) == (True, True, False)
    assert ("Ana Reyes" in others, "Cy Lee" in others) == (False, True)


def test_nine_oclock_stands_in_the_same_row_on_the_day_the_clocks_change(place, bo):
    sunday = week_of(place, date(2026, 10, 19), bo, "practitioner", NOW, private=False).columns[6]
    visit_rows = []
    for day in ("2026-10-23T08:00", "2026-10-26T09:00"):  # nine on the wall, before and after
        monday = date(2026, 10, 19) if day < "2026-10-26" else date(2026, 10, 26)
        with time_machine.travel(utc("2026-10-01T08:00"), tick=False):
            book(make_patient(place, day, "Walls"), bo, utc(day), at=utc("2026-10-01T08:00"))
        shown = week_of(place, monday, bo, "practitioner", NOW, private=False)
        visit_rows += [card.block.row for column in shown.columns for card in column.cards]

    assert len(set(visit_rows)) == 1
    assert len(visit_rows) == 2
    assert sunday.opens == int(utc("2026-10-25T09:00").timestamp())


def test_the_53rd_week_reaches_from_one_year_into_the_next(desk, place, bo):
    book(make_patient(place), bo, utc("2026-12-30T11:00"), at=BEFORE)
    book(make_patient(place, "Ben", "Okafor"), bo, utc("2027-01-02T11:00"), at=BEFORE)

    assert date(2026, 12, 30).isocalendar().week == date(2027, 1, 2).isocalendar().week == 53
    for day in ("2026-12-28", "2026-12-31", "2027-01-01", "2027-01-03"):
        page = text(desk.get("/diary/week/", {"ref": bo.ref, "day": day}))
        assert ("Ana Reyes" in page, "Ben Okafor" in page) == (True, True), day


# --- weeks in which the clocks change --------------------------------------------------------------------------------

# The zone, the Sunday on which the clocks change, the hours of the axis, and what of it a Monday and the Sunday lack.
WEEKS = [
    ("Europe/London", date(2026, 3, 29), 24, None, ("01:00", 60)),
    ("Europe/London", date(2026, 10, 25), 25, ("02:00", 60), None),
    ("Australia/Lord_Howe", date(2026, 10, 4), 24, None, ("02:00", 30)),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5, ("02:00", 30), None),
    ("Asia/Kathmandu", date(2026, 3, 29), 24, None, None),
]


@pytest.fixture
def night_and_day():
    """A place that never closes, with Bo always there."""

    def build(zone):
        place = make_location("Harbour", zone)
        bo = make_practitioner("Bo Lindqvist", place)
        OpeningHours.objects.filter(location=place).delete()
        for weekday, who in product(range(7), (None, bo)):
            OpeningHours.objects.create(
                location=place, practitioner=who, weekday=weekday, opens=time(0), closes=time(23, 59)
            )
        return place, bo

    return build


def shown_week(place, bo, sunday):
    monday = sunday - timedelta(days=6)
    long_before = datetime.combine(monday - timedelta(days=9), time(9), place.zone)
    return week_of(place, monday, bo, "practitioner", long_before, private=False)


def instant_of(column, row):
    """Return the instant of a row from 0, as the script of dragging reckons it."""
    start, rows = (column.missing.row, column.missing.rows) if column.missing else (1, 0)
    return column.opens + (row - min(max(row - start + 1, 0), rows)) * 300


@pytest.mark.parametrize(("zone", "sunday", "hours", "monday_lacks", "sunday_lacks"), WEEKS)
def test_all_days_share_the_axis_though_one_is_longer_or_shorter(
    night_and_day, zone, sunday, hours, monday_lacks, sunday_lacks
):
    place, bo = night_and_day(zone)

    shown = shown_week(place, bo, sunday)

    assert shown.last_row * 5 == hours * 60
    walls = {}
    for column in shown.columns:
        assert len({gap.block.row for gap in column.gaps}) == len(column.gaps)
        for gap in column.gaps:
            at = int(datetime.fromisoformat(unquote(gap.query)).timestamp())
            assert instant_of(column, gap.block.row - 1) == at
            walls.setdefault(gap.block.row, set()).add(gap.label[:5])
    assert all(len(labels) == 1 for labels in walls.values())  # a row is one time on the wall, on every day
    assert all(walls[hour.row] == {hour.label[:5]} for hour in shown.hours if hour.row in walls)
    for column, lacks in ((shown.columns[0], monday_lacks), (shown.columns[6], sunday_lacks)):
        assert (column.missing and column.missing.rows * 5) == (lacks and lacks[1])
        if lacks:
            start, rows = column.missing.row, column.missing.rows
            named = next(hour.row for hour in shown.hours if hour.label.startswith(lacks[0]))
            assert named == (start if column is shown.columns[6] else start + rows)
            assert not [gap for gap in column.gaps if start <= gap.block.row < start + rows]


@pytest.mark.parametrize(("zone", "sunday", "hours", "monday_lacks", "sunday_lacks"), WEEKS)
def test_two_in_the_afternoon_is_one_row_on_all_seven_days(
    night_and_day, zone, sunday, hours, monday_lacks, sunday_lacks
):
    place, bo = night_and_day(zone)
    for number in range(7):
        day = sunday - timedelta(days=number)
        two = datetime.combine(day, time(14), place.zone).astimezone(UTC)
        book(make_patient(place, f"P{number}", "Walls"), bo, two, at=two - timedelta(days=2))

    shown = shown_week(place, bo, sunday)

    [label] = [hour for hour in shown.hours if hour.label == "14:00"]
    blocks = [card.block for column in shown.columns for card in column.cards]
    assert [(block.row, block.rows) for block in blocks] == [(label.row, 6)] * 7
    for column in shown.columns:
        taken = range(label.row, label.row + 6)
        assert not [gap for gap in column.gaps if gap.block.row in taken]


def test_the_hour_that_comes_twice_is_drawn_twice_and_named(night_and_day):
    place, bo = night_and_day("Europe/London")
    for name, start in (("Ana", "2026-10-25T00:30"), ("Ben", "2026-10-25T01:30")):  # half past one, and again
        book(make_patient(place, name, "Night"), bo, utc(start), at=utc("2026-10-20T09:00"))

    shown = shown_week(place, bo, date(2026, 10, 25))

    assert [hour.label for hour in shown.hours][:4] == ["00:00", "01:00 BST", "01:00 GMT", "02:00"]
    assert [(card.starts, card.block.row, card.block.lanes) for card in shown.columns[6].cards] == [
        ("01:30 BST", 19, 1),
        ("01:30 GMT", 31, 1),
    ]


@pytest.mark.parametrize("sunday", [date(2026, 3, 29), date(2026, 10, 25)])
def test_a_place_that_sleeps_at_night_sees_nothing_of_it(place, bo, sunday):
    shown = shown_week(place, bo, sunday)

    assert [hour.label for hour in shown.hours] == [f"{hour:02}:00" for hour in range(9, 18)]
    assert [column.missing for column in shown.columns] == [None] * 7


@pytest.mark.parametrize("by", ["practitioner", "room", "device"])
def test_a_full_week_costs_as_many_queries_as_a_quiet_one(desk, place, bo, by):
    book(make_patient(place), bo, utc("2026-11-24T11:00"), at=BEFORE)
    desk.get("/diary/week/", {"by": by})
    with CaptureQueriesContext(connection) as quiet:
        desk.get("/diary/week/", {"by": by})
    for number in range(8):
        book(make_patient(place, f"P{number}", "Crowd"), bo, utc(f"2026-11-26T{9 + number:02}:00"), at=BEFORE)

    with CaptureQueriesContext(connection) as full:
        assert desk.get("/diary/week/", {"by": by}).status_code == 200

    assert len(full) == len(quiet)


def test_the_week_is_not_sent_again_while_it_is_the_same(desk, place, bo):
    book(make_patient(place), bo, utc("2026-11-24T11:00"), at=BEFORE)
    etag = desk.get("/diary/week/grid/", {"ref": bo.ref}).headers["ETag"]

    same = desk.get("/diary/week/grid/", {"ref": bo.ref}, HTTP_IF_NONE_MATCH=etag)
    book(make_patient(place, "Ben", "Okafor"), bo, utc("2026-11-26T09:00"), at=BEFORE)
    changed = desk.get("/diary/week/grid/", {"ref": bo.ref}, HTTP_IF_NONE_MATCH=etag)

    assert (same.status_code, changed.status_code) == (304, 200)


@pytest.mark.parametrize("asked", [{"ref": "x"}, {"by": "moon"}, {"day": "0001-01-01"}, {"day": "2026-03-29"}])
def test_what_makes_no_sense_shows_a_week_all_the_same(desk, place, bo, asked):
    assert desk.get("/diary/week/", asked).status_code == 200
