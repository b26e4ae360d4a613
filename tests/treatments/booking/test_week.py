"""A week of one person, room or device: days for columns, on one wall clock."""

from datetime import date

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.staff.states import Role
from tests.factories.people import make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import book, utc
from treatments.booking.week import week_of

pytestmark = pytest.mark.django_db

NOW = utc("2026-11-24T10:05")
BEFORE = utc("2026-11-23T08:00")


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def place():
    return make_location()


@pytest.fixture
def bo(place):
    return make_practitioner("Bo Lindqvist", place)


@pytest.fixture
def desk(client, place):
    client.force_login(make_user("Pia Desk", Role.FRONT_DESK, location=place))
    return client


def text(response):
    return response.content.decode()


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
