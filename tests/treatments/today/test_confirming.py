"""The desk's clicks beside the status, and the list of who to ring tomorrow."""

import pytest
import time_machine
from django.db import connection
from django.db.utils import IntegrityError
from django.test.utils import CaptureQueriesContext

from clinic.transitions import IllegalMove
from tests.factories.desk import text
from tests.factories.people import make_patient
from tests.factories.visits import BY, book, utc
from treatments.booking.actions import cancel_appointment, mark_arrived, move_appointment, undo_status
from treatments.booking.flow import confirm_appointment, log_call, show_in, take_back
from treatments.booking.models import VisitCall
from treatments.booking.states import Step

pytestmark = pytest.mark.django_db

NOW = utc("2026-11-24T10:05")
TOMORROW = utc("2026-11-25T10:00")
BEFORE = utc("2026-11-23T10:00")
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def ana(place):
    return make_patient(place, phone="+442079460123")


def test_a_confirmation_survives_arriving_and_going_back(ana, bo):
    visit = book(ana, bo, utc("2026-11-24T10:00"), at=BEFORE)
    steps = []
    for act in (confirm_appointment, mark_arrived, show_in):
        act(appointment=visit, by=BY, at=NOW)
        visit.refresh_from_db()
        steps.append(visit.step)
    for _ in range(2):
        take_back(appointment=visit, step=visit.step, by=BY, at=NOW)
        visit.refresh_from_db()
        steps.append(visit.step)

    assert steps == [Step.CONFIRMED, Step.ARRIVED, Step.IN_ROOM, Step.ARRIVED, Step.CONFIRMED]
    assert (visit.confirmed_by_name, visit.arrived_at, visit.in_room_at) == ("test", None, None)


def test_a_second_tap_on_undo_takes_back_one_step(ana, bo):
    visit = book(ana, bo, utc("2026-11-24T10:00"), at=BEFORE)
    mark_arrived(appointment=visit, by=BY, at=NOW)
    show_in(appointment=visit, by=BY, at=NOW)

    for _ in range(2):
        take_back(appointment=visit, step=Step.IN_ROOM, by=BY, at=NOW)

    visit.refresh_from_db()
    assert visit.step == Step.ARRIVED


def test_going_back_to_booked_leaves_no_room(ana, bo):
    visit = book(ana, bo, utc("2026-11-24T10:00"), at=BEFORE)
    mark_arrived(appointment=visit, by=BY, at=NOW)
    show_in(appointment=visit, by=BY, at=NOW)

    undo_status(appointment=visit, by=BY, at=NOW)

    visit.refresh_from_db()
    assert (visit.step, visit.in_room_at) == (Step.BOOKED, None)


def test_a_moved_visit_wants_a_new_confirmation(ana, bo):
    visit = book(ana, bo, TOMORROW, at=BEFORE)
    confirm_appointment(appointment=visit, by=BY, at=NOW)

    move_appointment(appointment=visit, starts_at=utc("2026-11-25T12:00"), expected_version=2, by=BY, at=NOW)

    visit.refresh_from_db()
    assert (visit.step, visit.confirmed_at, visit.confirmed_by_name) == (Step.BOOKED, None, "")


def test_nobody_is_rung_about_a_visit_that_is_off(ana, bo):
    visit = book(ana, bo, TOMORROW, at=BEFORE)
    cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW)

    with pytest.raises(IllegalMove):
        log_call(appointment=visit, outcome="confirmed", by=BY, at=NOW)

    assert not VisitCall.objects.exists()


def test_what_was_said_on_a_call_is_never_rewritten(ana, bo):
    call = log_call(appointment=book(ana, bo, TOMORROW, at=BEFORE), outcome="no_answer", by=BY, at=NOW)

    with pytest.raises(IntegrityError, match="frozen"):
        VisitCall.objects.filter(pk=call.pk).update(outcome="confirmed")


# --- the list -----------------------------------------------------------------------------------------------------


def test_tomorrows_list_has_the_number_and_keeps_what_came_of_the_call(desk, place, bo, ana):
    visit = book(ana, bo, TOMORROW, at=BEFORE)
    book(make_patient(place, "Ben", "Okafor"), bo, utc("2026-11-24T15:00"), at=BEFORE)
    number = ana.contacts.get(point__kind="phone").point.value

    page = text(desk.get("/confirmations/"))
    assert "Wednesday 25 November 2026" in page
    assert "Ana Reyes" in page
    assert f"tel:{number}" in page
    assert "Ben Okafor" not in page

    row = text(desk.post(f"/visits/{visit.ref}/call/", {"outcome": "no_answer", "note": "Try after six"}, **HTMX))
    assert "No answer, Tue 10:05, Pia Desk: Try after six" in row
    done = text(desk.post(f"/visits/{visit.ref}/call/", {"outcome": "confirmed"}, **HTMX))
    assert "Undo" in done
    assert "Try after six" in done  # what was said stays in sight
    visit.refresh_from_db()
    assert (visit.step, visit.confirmed_by_name) == (Step.CONFIRMED, "Pia Desk")
    assert "1 visit, 0 to confirm" in text(desk.get("/confirmations/"))


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"outcome": "perhaps", "note": "She hums"}, "perhaps is not one of the available choices"),
        ({"outcome": "note", "note": ""}, "Please write the note first."),
        ({"outcome": "no_answer", "note": "x" * 401}, "at most 400 characters"),
    ],
)
def test_a_call_that_makes_no_sense_keeps_the_note(desk, ana, bo, sent, sentence):
    visit = book(ana, bo, TOMORROW, at=BEFORE)

    refused = desk.post(f"/visits/{visit.ref}/call/", sent, **HTMX)

    assert refused.status_code == 422
    assert sentence in text(refused)
    assert f'value="{sent["note"]}"' in text(refused)
    assert not VisitCall.objects.exists()


def test_names_and_numbers_are_hidden_while_others_can_see_the_screen(desk, ana, bo):
    book(ana, bo, TOMORROW, at=BEFORE)
    desk.post("/today/privacy/")

    page = text(desk.get("/confirmations/"))

    assert "Reyes" not in page
    assert "tel:" not in page


def test_a_long_list_costs_as_many_queries_as_a_short_one(desk, place, ana, bo):
    log_call(appointment=book(ana, bo, TOMORROW, at=BEFORE), outcome="no_answer", by=BY, at=NOW)
    desk.get("/confirmations/")
    with CaptureQueriesContext(connection) as short:
        desk.get("/confirmations/")
    for number in range(5):
        patient = make_patient(place, f"P{number}", "Crowd")
        visit = book(patient, bo, utc(f"2026-11-25T{11 + number}:00"), at=BEFORE)
        log_call(appointment=visit, outcome="left_message", by=BY, at=NOW)

    with CaptureQueriesContext(connection) as long:
        page = text(desk.get("/confirmations/"))

    assert page.count("Left a message,") == 5
    assert len(long) == len(short)


def test_confirmed_and_in_room_are_one_click_each_on_the_list(desk, ana, bo):
    visit = book(ana, bo, utc("2026-11-24T10:30"), at=BEFORE)

    said = []
    for click in ("confirmed", "arrived", "in-room"):
        row = text(desk.post(f"/visits/{visit.ref}/{click}/", {"row": "1"}, **HTMX))
        visit.refresh_from_db()
        said.append((visit.step, "Undo" in row))

    assert said == [(Step.CONFIRMED, True), (Step.ARRIVED, True), (Step.IN_ROOM, True)]
