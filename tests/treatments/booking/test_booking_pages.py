import re
import uuid
from datetime import date, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.staff.states import Role
from tests.factories.desk import text
from tests.factories.people import (
    make_clinician,
    make_device,
    make_location,
    make_patient,
    make_practitioner,
    make_user,
)
from tests.factories.visits import BY, book, get_type, make_course, utc
from treatments.booking.actions import cancel_appointment, mark_arrived, mark_noshow, move_appointment
from treatments.booking.models import Appointment

pytestmark = pytest.mark.django_db

NOW = utc("2026-11-24T10:05")
TEN = utc("2026-11-24T10:00")
BEFORE = utc("2026-11-23T10:00")


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def clinician(client, place):
    user = make_clinician("Eve Ash", place)
    client.force_login(user)
    client.user = user
    return client


def crowd(place, person, count, first=0):
    """Visits of as many people, a half hour each, today and the days after in one room each."""
    for number in range(first, first + count):
        patient = make_patient(place, f"P{number}", "Crowd")
        visit = book(
            patient, person(number), utc("2026-11-24T09:00") + timedelta(minutes=30 * (number % 17)), at=BEFORE
        )
        assert visit.status == "booked"


# --- today --------------------------------------------------------------------------------------------------------


def test_the_list_shows_the_day_in_order_with_what_is_missing(desk, place, bo, ana):
    book(make_patient(place, "Ben", "Okafor"), bo, utc("2026-11-24T11:00"), at=BEFORE, note="Needs the ramp")
    book(ana, bo, TEN, at=BEFORE)
    book(make_patient(place, "Cy", "Lee"), bo, utc("2026-11-25T11:00"), at=BEFORE)

    page = text(desk.get("/today/"))

    assert page.index("Ana Reyes") < page.index("Ben Okafor")
    assert "Cy Lee" not in page
    assert "Needs the ramp" in page
    assert "Questionnaire missing" in page
    assert "2 visits" in page


def test_one_click_says_who_is_here_and_one_takes_it_back(desk, place, bo, ana):
    visit = book(ana, bo, TEN, at=BEFORE)
    htmx = {"HTTP_HX_REQUEST": "true"}

    arrived = desk.post(f"/visits/{visit.ref}/arrived/", {"row": "1"}, **htmx)
    visit.refresh_from_db()
    assert (arrived.status_code, visit.status) == (200, "arrived")
    assert f'id="line-{visit.ref}"' in text(arrived)
    assert "Undo" in text(arrived)

    undone = desk.post(f"/visits/{visit.ref}/undo/", {"next": "/today/"})
    visit.refresh_from_db()
    assert (undone.status_code, undone.headers["Location"], visit.status) == (302, "/today/", "booked")


def test_a_refused_click_says_why_in_the_row(desk, place, bo, ana):
    visit = book(ana, bo, utc("2026-11-24T12:00"), at=BEFORE)

    refused = desk.post(f"/visits/{visit.ref}/no-show/", {"row": "1"}, HTTP_HX_REQUEST="true")

    assert "The visit begins at 12:00." in text(refused)
    visit.refresh_from_db()
    assert visit.status == "booked"


def test_after_an_act_nobody_is_sent_elsewhere(desk, place, bo, ana):
    visit = book(ana, bo, TEN, at=BEFORE)

    answer = desk.post(f"/visits/{visit.ref}/arrived/", {"next": "https://evil.example/"})

    assert answer.headers["Location"] == f"/visits/{visit.ref}/"


def test_names_can_be_hidden_while_patients_see_the_screen(desk, place, bo, ana):
    book(ana, bo, TEN, at=BEFORE)

    desk.post("/today/privacy/", {"next": "/diary/"})

    for page in ("/today/", "/diary/", "/today/list/", "/diary/grid/"):
        shown = text(desk.get(page))
        assert "Reyes" not in shown
        assert "A. R." in shown
    desk.post("/today/privacy/")
    assert "Ana Reyes" in text(desk.get("/today/"))


def test_a_treatment_is_not_done_by_a_click(clinician, place, bo, ana):
    make_device(place)
    visit = book(ana, bo, TEN, "treatment_nafl", course=make_course(ana), at=BEFORE)
    mark_arrived(appointment=visit, by=BY, at=NOW)

    clinician.post(f"/visits/{visit.ref}/done/")

    visit.refresh_from_db()
    assert visit.status == "arrived"


@pytest.mark.parametrize(
    "page", ["/today/", "/diary/", "/diary/?by=room", "/diary/?by=device", "/today/list/", "/diary/grid/"]
)
def test_a_full_day_costs_as_many_queries_as_a_quiet_one(desk, place, page):
    people = [make_practitioner(f"P {number}", place) for number in range(2)]
    crowd(place, lambda number: people[number // 17], 1)
    desk.get(page)
    with CaptureQueriesContext(connection) as quiet:
        desk.get(page)

    crowd(place, lambda number: people[number // 17], 29, first=1)
    with CaptureQueriesContext(connection) as full:
        response = desk.get(page)

    assert text(response).count("/visits/") >= 30 or "device" in page
    assert len(full) == len(quiet)
    assert sum("treatments_" in each["sql"] for each in full) == 1


# --- looking again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/today/list/", "/diary/grid/"])
def test_a_page_that_looks_again_gets_nothing_new_until_there_is(desk, place, bo, ana, page):
    visit = book(ana, bo, TEN, at=BEFORE)
    etag = desk.get(page).headers["ETag"]

    same = desk.get(page, HTTP_IF_NONE_MATCH=etag)
    mark_arrived(appointment=visit, by=BY, at=NOW)
    changed = desk.get(page, HTTP_IF_NONE_MATCH=etag)

    assert (same.status_code, same.content) == (304, b"")
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_the_first_page_names_the_state_it_shows(desk, place, bo, ana):
    book(ana, bo, TEN, at=BEFORE)

    for page, again in (("/today/", "/today/list/"), ("/diary/", "/diary/grid/")):
        assert f'data-etag="{desk.get(again).headers["ETag"].replace(chr(34), "&quot;")}"' in text(desk.get(page))


# --- diary --------------------------------------------------------------------------------------------------------


def test_the_grid_places_visits_by_their_time(desk, place, bo, ana):
    make_device(place)
    book(ana, bo, TEN, "treatment_nafl", course=make_course(ana), at=BEFORE)

    by_person = text(desk.get("/diary/grid/"))
    by_room = text(desk.get("/diary/grid/?by=room"))
    by_device = text(desk.get("/diary/grid/?by=device"))

    # The day opens at nine, a row is five minutes: the practitioner joins at eleven, the room is held from ten.
    assert "is-booked r-25 h-6" in by_person
    assert "numbing from 10:00" in by_person
    assert "is-booked r-13 h-21" in by_room
    assert "is-booked r-25 h-6" in by_device


def test_an_empty_slot_leads_to_booking_and_a_taken_one_does_not(desk, place, bo, ana):
    book(ana, bo, utc("2026-11-24T11:00"), at=BEFORE)

    page = text(desk.get("/diary/grid/"))

    assert f"/book/?at=2026-11-24T10%3A45%3A00%2B00%3A00&amp;practitioner={bo.ref}" in page
    assert "at=2026-11-24T11%3A00" not in page
    assert "at=2026-11-24T11%3A15" not in page
    assert "at=2026-11-24T09%3A45" not in page  # it is over


def test_the_cancelled_leave_the_grid_and_no_shows_stay(desk, place, bo, ana):
    ben = make_patient(place, "Ben", "Okafor")
    cancel_appointment(appointment=book(ana, bo, TEN, at=BEFORE), reason="patient", by=BY, at=BEFORE)
    mark_noshow(appointment=book(ben, bo, TEN, at=BEFORE), by=BY, at=NOW)

    page = text(desk.get("/diary/grid/"))

    assert "Ana Reyes" not in page
    assert "Ben Okafor" in page


@pytest.mark.parametrize("day", ["2026-13-45", "yesterday", "9999-99-99", "0001-01-01", "9999-12-31", ""])
def test_a_day_that_makes_no_sense_is_today(desk, place, bo, day):
    for page in ("/today/", "/diary/", "/book/"):
        assert desk.get(page, {"day": day}).status_code == 200
    assert "Tuesday 24 November" in text(desk.get("/diary/", {"day": day}))


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_days_on_which_the_clocks_change_have_a_grid(desk, place, bo, day):
    assert desk.get("/diary/", {"day": day.isoformat()}).status_code == 200


# --- booking ------------------------------------------------------------------------------------------------------


def form(patient, starts_at, person, **more):
    return {
        "patient": patient.ref,
        "what": "consultation",
        "starts_at": f"{starts_at.isoformat()}~{person.ref}",
        "form_key": uuid.uuid4(),
        **more,
    }


def test_booking_from_an_empty_slot(desk, place, bo, ana):
    found = desk.get("/book/", {"q": "rey", "at": "2026-11-24T11:00:00+00:00", "practitioner": bo.ref})
    assert "REYES, Ana" in text(found)

    page = text(desk.get("/book/", {"patient": ana.ref, "at": "2026-11-24T11:00:00+00:00", "practitioner": bo.ref}))
    assert f'value="2026-11-24T11:00:00+00:00~{bo.ref}" checked' in page

    answer = desk.post("/book/", form(ana, utc("2026-11-24T11:00"), bo, note="Hello"))
    visit = Appointment.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/visits/{visit.ref}/")
    assert (visit.starts_at, visit.practitioner, visit.note) == (utc("2026-11-24T11:00"), bo, "Hello")


def test_two_taps_are_one_visit(desk, place, bo, ana):
    sent = form(ana, utc("2026-11-24T11:00"), bo)

    first, second = desk.post("/book/", sent), desk.post("/book/", sent)

    assert first.headers["Location"] == second.headers["Location"]
    assert Appointment.objects.count() == 1


def test_a_taken_slot_keeps_what_was_typed_and_offers_the_next(desk, place, bo, ana):
    book(make_patient(place, "Ben", "Okafor"), bo, utc("2026-11-24T11:00"), at=BEFORE)

    refused = desk.post("/book/", form(ana, utc("2026-11-24T11:00"), bo, note="Prefers the quiet room"))

    assert refused.status_code == 422
    assert "Bo Lindqvist has just been taken for 11:00." in text(refused)
    assert "Prefers the quiet room" in text(refused)
    assert f"2026-11-24T11:30:00+00:00~{bo.ref}" in text(refused)
    assert Appointment.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"starts_at": ""}, "Please choose a time."),
        ({"starts_at": "noon"}, "Please choose one of the times."),
        ({"starts_at": "2026-11-24T11:00~x"}, "Please choose one of the times."),
        ({"starts_at": f"2026-11-24T11:00+00:00~{uuid.uuid4()}"}, "Please choose somebody from the list."),
        ({"what": "surgery"}, "surgery is not one of the available choices"),
        ({"note": "x" * 401}, "at most 400 characters"),
        ({"starts_at": "", "other_time": "25:00"}, "Enter a valid time."),
        ({"starts_at": "", "other_time": "11:00"}, "Please choose a day."),
        ({"starts_at": "", "other_time": "11:00", "day": "2026-11-24"}, "Please say with whom."),
        ({"starts_at": "", "other_time": "11:00", "day": "2026-02-30"}, "Enter a valid date."),
    ],
)
def test_what_makes_no_sense_is_said_at_its_place(desk, place, bo, ana, wrong, sentence):
    refused = desk.post("/book/", {**form(ana, utc("2026-11-24T11:00"), bo), **wrong})

    assert refused.status_code == 422
    assert sentence in text(refused).replace("&#x27;", "'")
    assert not Appointment.objects.exists()


def test_showing_other_times_books_nothing(desk, place, bo, ana):
    shown = desk.post("/book/", {**form(ana, utc("2026-11-24T11:00"), bo), "show": "2026-11-26"})

    assert shown.status_code == 200
    assert "Thursday 26 November" in text(shown)
    assert not Appointment.objects.exists()


def test_a_patient_of_another_place_is_not_there(desk, bo):
    stranger = make_patient(make_location("Lisbon", "Europe/Lisbon"), "Rui", "Costa")

    assert desk.get("/book/", {"patient": stranger.ref}).status_code == 404
    assert desk.post("/book/", form(stranger, TEN, bo)).status_code == 404


def test_the_desk_sees_the_earliest_safe_date_and_cannot_pass_it(desk, place, bo, ana):
    make_device(place)
    course = make_course(ana, last_treated_at=utc("2026-11-10T10:00"), sessions_done=1)
    what = {"what": f"treatment_nafl~{course.ref}"}

    page = text(desk.get("/book/", {"patient": ana.ref, **what}))
    assert "Earliest safe date 8 December 2026" in page
    assert "2026-12-08T09:00:00+00:00" in page

    refused = desk.post("/book/", {**form(ana, utc("2026-11-25T11:00"), bo), **what, "override_reason": "She insists"})
    assert refused.status_code == 422
    assert "Setting a rule aside needs a clinician and a reason." in text(refused)


def test_a_clinician_sets_a_rule_aside_and_the_visit_shows_it_for_ever(clinician, place, bo, ana):
    make_device(place)
    course = make_course(ana, last_treated_at=utc("2026-11-10T10:00"), sessions_done=1)
    sent = {**form(ana, utc("2026-11-25T11:00"), bo), "what": f"treatment_nafl~{course.ref}"}

    refused = clinician.post("/book/", sent)
    assert refused.status_code == 422
    assert 'name="override_reason"' in text(refused)

    clinician.post("/book/", {**sent, "override_reason": "Healed early, seen today"})
    page = text(clinician.get(f"/visits/{Appointment.objects.get().ref}/"))
    assert "Eve Ash set a rule aside" in page
    assert "Healed early, seen today" in page
    assert "The earliest date is 8 December 2026" in page


def test_a_visit_outside_hours_is_asked_for_by_another_time(clinician, place, bo, ana):
    sent = {
        **form(ana, TEN, bo),
        "starts_at": "",
        "day": "2026-11-24",
        "other_time": "18:30",
        "practitioner": bo.ref,
        "override_reason": "Comes from the airport",
    }

    assert clinician.post("/book/", sent).status_code == 302
    assert Appointment.objects.get().starts_at == utc("2026-11-24T18:30")


# --- moving and cancelling ----------------------------------------------------------------------------------------


def test_moving_says_what_becomes_of_the_messages(desk, place, bo, ana):
    visit = book(ana, bo, utc("2026-11-27T10:00"), at=BEFORE)
    assert "Move the visit" in text(desk.get(f"/visits/{visit.ref}/move/"))

    answer = desk.post(
        f"/visits/{visit.ref}/move/",
        {"version": 1, "starts_at": f"2026-11-30T10:00:00+00:00~{bo.ref}"},
        follow=True,
    )

    assert "Moved to Monday 30 November, 10:00 with Bo Lindqvist." in text(answer)
    assert "Move it back" in text(answer)
    assert "Moved, from Fri 27 Nov, 10:00" in text(answer)


def test_an_accidental_move_is_undone_with_one_click(desk, place, bo, ana):
    ida = make_practitioner("Ida Moss", place)
    visit = book(ana, bo, utc("2026-11-27T10:00"), at=BEFORE)
    desk.post(f"/visits/{visit.ref}/move/", {"version": 1, "starts_at": f"2026-11-30T10:00:00+00:00~{ida.ref}"})

    desk.post(f"/visits/{visit.ref}/move/", {"version": 2, "starts_at": f"2026-11-27T10:00:00+00:00~{bo.ref}"})

    visit.refresh_from_db()
    assert (visit.starts_at, visit.practitioner) == (utc("2026-11-27T10:00"), bo)


def test_a_stale_page_is_told_who_and_keeps_what_was_chosen(desk, place, bo, ana):
    visit = book(ana, bo, utc("2026-11-27T10:00"), at=BEFORE)
    move_appointment(
        appointment=visit, starts_at=utc("2026-11-27T12:00"), expected_version=1, by=BY, at=utc("2026-11-24T10:01")
    )
    wanted = f"2026-11-30T10:00:00+00:00~{bo.ref}"

    refused = desk.post(f"/visits/{visit.ref}/move/", {"version": 1, "starts_at": wanted, "day": "2026-11-30"})

    assert refused.status_code == 409
    assert "test changed this visit at 10:01." in text(refused)
    assert f'value="{wanted}" checked' in text(refused)
    assert 'name="version" value="2"' in text(refused)
    visit.refresh_from_db()
    assert visit.starts_at == utc("2026-11-27T12:00")


def test_a_cancellation_wants_a_reason(desk, place, bo, ana):
    visit = book(ana, bo, utc("2026-11-27T10:00"), at=BEFORE)

    assert desk.post(f"/visits/{visit.ref}/cancel/").status_code == 422
    assert desk.post(f"/visits/{visit.ref}/cancel/", {"reason": "mood"}).status_code == 422
    answer = desk.post(f"/visits/{visit.ref}/cancel/", {"reason": "unwell"}, follow=True)

    assert "Cancelled: Ana Reyes, Fri 27 Nov, 10:00. 4 messages withdrawn." in text(answer)
    assert "The patient is unwell" in text(answer)


def test_a_course_whose_laser_is_elsewhere_is_not_what_is_booked_first_and_says_why_nothing_is_free(desk, bo, ana):
    course = make_course(ana)
    get_type("treatment_nafl")

    first = text(desk.get("/book/", {"patient": ana.ref}))
    wanted = {"patient": ana.ref, "what": f"treatment_nafl~{course.ref}", "show": "1"}
    shown = text(desk.post("/book/", wanted))

    assert re.search(r'value="consultation"[^>]*checked', first)
    assert "Harley Street has no device in use for this treatment." in shown
    assert "Nothing is free in these three weeks" not in shown


def test_the_next_treatment_is_offered_far_enough_after_the_one_that_is_booked(desk, place, bo, ana):
    make_device(place, service_due_on=None)
    course = make_course(ana)
    book(ana, bo, utc("2026-11-27T10:00"), "treatment_nafl", course=course, at=BEFORE)
    said = "another treatment is booked for 27 November 2026"

    first = text(desk.get("/book/", {"patient": ana.ref}))
    asked = {"patient": ana.ref, "what": f"treatment_nafl~{course.ref}", "show": "1"}
    between = text(desk.post("/book/", {**asked, "day": "2026-12-01"}))
    before = text(desk.post("/book/", {**asked, "day": "2026-11-25"}))

    assert "Earliest safe date 25 December 2026" in first
    assert said in first
    assert "Time: Friday 25 December" in first
    assert "A day before it needs a clinician." in between
    assert said not in before


def test_a_treatment_says_when_each_phase_is_and_who_is_held_when(desk, place, bo, ana):
    make_device(place)
    visit = book(ana, bo, utc("2026-11-27T10:00"), "treatment_nafl", course=make_course(ana), at=BEFORE)
    talk = book(make_patient(place, "Ben", "Okafor"), bo, utc("2026-11-27T15:00"), at=BEFORE)

    page = " ".join(re.sub(r"<[^>]+>", " ", text(desk.get(f"/visits/{visit.ref}/"))).split())
    plain = text(desk.get(f"/visits/{talk.ref}/"))

    assert "numbing until 11:00, the room is cleaned from 11:30" in page
    assert "Bo Lindqvist , 11:00 to 11:30" in page
    assert "re:store , 11:00 to 11:30" in page
    assert "numbing" not in plain


def test_a_visit_of_another_place_is_not_there(desk, place, bo):
    lisbon = make_location("Lisbon", "Europe/Lisbon")
    visit = book(make_patient(lisbon, "Rui", "Costa"), make_practitioner("Rita Sol", lisbon), TEN, at=BEFORE)

    for page in ("", "move/", "cancel/"):
        assert desk.get(f"/visits/{visit.ref}/{page}").status_code == 404
    assert desk.post(f"/visits/{visit.ref}/arrived/").status_code == 404


def test_somebody_without_a_place_is_told_so(client):
    client.force_login(make_user("Nia New", Role.FRONT_DESK))

    for page in ("/today/", "/diary/", "/book/"):
        assert "You do not work at any location yet." in text(client.get(page))
