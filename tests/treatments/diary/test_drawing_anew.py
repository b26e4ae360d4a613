"""What a page that looks again is sent: the columns that differ, and of the others only where now is."""

import re
from datetime import timedelta

import pytest
import time_machine

from tests.factories.people import make_patient, make_practitioner
from tests.factories.visits import BY, book, utc
from treatments.booking.actions import mark_arrived, move_appointment

pytestmark = pytest.mark.django_db

NOW = utc("2026-11-24T09:05")
TEN = utc("2026-11-24T10:00")
BEFORE = utc("2026-11-23T10:00")


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def ida(place):
    return make_practitioner("Ida Moss", place)


def look(desk, *marks):
    """Return the columns by mark, True where a column came with its cells; and all of the answer."""
    page = desk.get("/diary/grid/", HTTP_X_SHOWN=",".join(marks)).content.decode()
    return {mark: "data-kept" not in rest for mark, rest in re.findall(r'data-mark="(\w+)"([^>]*)>', page)}, page


def test_only_the_column_that_changed_is_sent(desk, place, bo, ida):
    ana = book(make_patient(place), bo, TEN, at=BEFORE)
    book(make_patient(place, "Ben", "Okafor"), ida, TEN, at=BEFORE)
    shown, _ = look(desk)
    bos, idas = shown

    mark_arrived(appointment=ana, by=BY, at=NOW)
    again, page = look(desk, *shown)

    assert list(shown.values()) == [True, True]
    assert list(again.values()) == [True, False]
    assert bos not in again
    assert idas in again
    assert ("Ana Reyes" in page, "Ben Okafor" in page) == (True, False)


def test_a_visit_that_goes_to_somebody_else_changes_both_columns(desk, place, bo, ida):
    cy = make_practitioner("Cy Lee", place)
    ana = book(make_patient(place), bo, TEN, at=BEFORE)
    shown, _ = look(desk)

    move_appointment(appointment=ana, starts_at=TEN, expected_version=1, practitioner=cy, by=BY, at=NOW)
    again, _ = look(desk, *shown)

    assert sorted(again.values()) == [False, True, True]


def test_time_that_passes_moves_the_line_and_sends_no_column(desk, place, bo, clock):
    book(make_patient(place), bo, TEN, at=BEFORE)
    shown, page = look(desk)
    assert '<i class="dg-now r-2">' in page

    clock.shift(timedelta(minutes=40))  # two quarters of an hour are over and cannot be booked any more
    again, later = look(desk, *shown)

    assert again == dict.fromkeys(shown, False)
    assert '<i class="dg-now r-10">' in later
    assert 'data-over="9"' in later
    assert "09:15" in page
    assert "09:15" not in look(desk)[1]


def test_a_page_that_shows_another_day_is_sent_everything(desk, place, bo):
    shown, _ = look(desk)

    other = desk.get("/diary/grid/?day=2026-11-25", HTTP_X_SHOWN=",".join(shown)).content.decode()

    assert "data-kept" not in other


@pytest.mark.parametrize("mark", ["", ",", "x", "é", "0" * 5000])
def test_marks_that_make_no_sense_are_no_columns(desk, bo, mark):
    assert list(look(desk, mark)[0].values()) == [True]


# --- a step from the grid -------------------------------------------------------------------------------------------


def step(desk, visit, act, **sent):
    return desk.post(f"/visits/{visit.ref}/{act}/", {"notice": "1", **sent}, HTTP_HX_REQUEST="true")


def test_an_arrival_is_said_in_the_notice_and_taken_back_there(desk, place, bo):
    ana = book(make_patient(place), bo, TEN, at=BEFORE)

    arrived = step(desk, ana, "arrived")
    undone = step(desk, ana, "undo", step="arrived")

    assert (arrived.status_code, undone.status_code) == (200, 200)
    assert "Ana Reyes: Arrived." in arrived.content.decode()
    assert f"/visits/{ana.ref}/undo/" in arrived.content.decode()
    assert "Ana Reyes: Booked." in undone.content.decode()
    assert "undo" not in undone.content.decode()


def test_who_cannot_have_arrived_is_said_so(desk, place, bo):
    ana = book(make_patient(place), bo, TEN + timedelta(days=1), at=BEFORE)

    answer = step(desk, ana, "arrived")

    ana.refresh_from_db()
    assert (answer.status_code, ana.status) == (422, "booked")
    assert "The visit is on a later day." in answer.content.decode()


def test_the_notice_hides_names_as_the_page_does(desk, place, bo):
    ana = book(make_patient(place), bo, TEN, at=BEFORE)
    desk.post("/today/privacy/")

    assert "A. R.: Arrived." in step(desk, ana, "arrived").content.decode()
