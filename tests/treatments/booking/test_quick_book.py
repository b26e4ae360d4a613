"""Booking beside the grid: the same steps as the pages, answered as fragments, and no step loses the chosen time."""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.db import connections
from django.test import Client

from clinic.staff.states import Role
from patients.registry.models import Patient
from tests.factories.desk import text
from tests.factories.people import make_device, make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import book, make_course, utc
from treatments.booking.models import Appointment

NOW = utc("2026-11-24T10:05")
ELEVEN = utc("2026-11-24T11:00")
PANEL = {"HX-Request": "true", "HX-Target": "quick"}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def slot(bo, **more):
    return {"at": ELEVEN.isoformat(), "practitioner": str(bo.ref), **more}


def form(patient, bo, **more):
    return {
        "patient": patient.ref,
        "what": "consultation",
        "practitioner": bo.ref,
        "starts_at": f"{ELEVEN.isoformat()}~{bo.ref}",
        "at": ELEVEN.isoformat(),
        "form_key": uuid.uuid4(),
        **more,
    }


def person(place, **more):
    return {
        "given_name": "Noor", "family_name": "Haddad", "born_on_day": "3", "born_on_month": "4", "born_on_year": "1990",
        "language": "en", "location": place.ref, "form_key": uuid.uuid4(), **more,
    }  # fmt: skip


@pytest.mark.django_db
class TestSteps:
    def test_each_step_is_a_fragment_for_the_panel_and_a_page_without_it(self, desk, place, bo, ana):
        for address, asked in (
            ("/book/", slot(bo)),
            ("/book/", slot(bo, patient=ana.ref)),
            ("/book/patient/", slot(bo)),
        ):
            fragment, page = desk.get(address, asked, headers=PANEL), desk.get(address, asked)

            assert "Tuesday 24 November" in text(fragment)
            assert "Bo Lindqvist" in text(fragment)
            assert "<html" not in text(fragment)
            assert "<html" in text(page)

    def test_what_was_looked_for_is_not_typed_again(self, desk, place, bo):
        found = text(desk.get("/book/", slot(bo, q="Noor Haddad"), headers={**PANEL, "HX-Target": "people"}))
        assert "Nobody at your locations matches that." in found
        assert f"/book/patient/?q=Noor%20Haddad&amp;at={ELEVEN.isoformat().replace('+', '%2B')}" in found.replace(
            "%3A", ":"
        )

        named = text(desk.get("/book/patient/", slot(bo, q="Noor Haddad")))
        assert 'value="Noor"' in named
        assert 'value="Haddad"' in named
        assert 'value="noor@example.com"' in text(desk.get("/book/patient/", slot(bo, q="noor@example.com")))
        assert 'value="020 7946 0123"' in text(desk.get("/book/patient/", slot(bo, q="020 7946 0123")))

    def test_somebody_new_is_booked_without_losing_the_time(self, desk, place, bo):
        registered = desk.post("/book/patient/", person(place, **slot(bo)), headers=PANEL)

        noor = Patient.objects.get(family_name="Haddad")
        assert registered.status_code == 302
        shown = text(desk.get(registered.headers["Location"], headers=PANEL))
        assert "HADDAD, Noor" in shown
        assert f'value="{ELEVEN.isoformat()}~{bo.ref}" checked' in shown
        assert f"patient={noor.ref}" in registered.headers["Location"]

    def test_a_possible_duplicate_leads_on_with_the_same_time(self, desk, place, bo, ana):
        twin = person(place, given_name="Ana", family_name="Reyes", **slot(bo))
        twin |= dict(zip(("born_on_day", "born_on_month", "born_on_year"), ("14", "5", "1988"), strict=True))

        asked = desk.post("/book/patient/", twin, headers=PANEL)

        assert asked.status_code == 422
        assert f"/book/?patient={ana.ref}&amp;at=" in text(asked)
        assert Patient.objects.count() == 1
        again = desk.post("/book/patient/", {**twin, "seen": str(ana.ref)}, headers=PANEL)
        assert again.status_code == 302
        assert Patient.objects.count() == 2

    def test_what_is_wrong_with_a_person_is_said_and_nothing_is_lost(self, desk, place, bo):
        refused = desk.post("/book/patient/", person(place, family_name="", **slot(bo)), headers=PANEL)

        assert refused.status_code == 422
        assert "Please give a name." in text(refused)
        assert 'value="Noor"' in text(refused)
        assert f'name="at" value="{ELEVEN.isoformat()}"' in text(refused)

    def test_the_type_says_how_long_it_takes(self, desk, place, bo, ana):
        shown = text(desk.get("/book/", slot(bo, patient=ana.ref), headers=PANEL))
        assert "Consultation · 30 min" in shown
        assert "11:00–11:30" in shown

        other = text(desk.post("/book/", form(ana, bo, what="review", show="1", note="By train"), headers=PANEL))
        assert "11:00–11:20" in other
        assert "By train" in other

    def test_booking_closes_the_panel_and_tells_the_diary(self, desk, place, bo, ana):
        booked = desk.post("/book/", form(ana, bo, note="Hello"), headers=PANEL)

        visit = Appointment.objects.get()
        assert (visit.starts_at, visit.practitioner, visit.note) == (ELEVEN, bo, "Hello")
        assert booked.headers["HX-Retarget"] == "#day-notice"
        assert json.loads(booked.headers["HX-Trigger"]) == {"visit-booked": {"ref": str(visit.ref)}}
        assert f'href="/visits/{visit.ref}/"' in text(booked)


@pytest.mark.django_db
class TestRefusals:
    def test_a_taken_time_names_the_next_and_keeps_what_was_typed(self, desk, place, bo, ana):
        book(make_patient(place, "Ben", "Okafor"), bo, ELEVEN, at=NOW)

        refused = desk.post("/book/", form(ana, bo, note="Prefers the quiet room"), headers=PANEL)

        assert refused.status_code == 422
        assert "Bo Lindqvist has just been taken for 11:00." in text(refused)
        assert "Prefers the quiet room" in text(refused)
        assert f"2026-11-24T11:30:00+00:00~{bo.ref}" in text(refused)
        assert 'class="ag-notice ag-tone-good" role="status"' not in text(refused)  # the time is not shown as free

    def test_what_speaks_against_a_time_is_said_before_anybody_presses_book(self, desk, place, bo, ana):
        book(ana, make_practitioner("Cleo Marsh", place), ELEVEN, at=NOW)

        shown = text(desk.get("/book/", slot(bo, patient=ana.ref), headers=PANEL))

        assert "The patient has another visit at that time." in shown

    def test_a_visit_too_long_for_the_gap_says_so(self, desk, place, bo, ana):
        book(make_patient(place, "Ben", "Okafor"), bo, utc("2026-11-24T11:15"), at=NOW)

        shown = text(desk.get("/book/", slot(bo, patient=ana.ref), headers=PANEL))

        assert "Something else is booked for part of that time." in shown
        assert " checked" not in shown.partition('id="times"')[2]

    def test_nobody_else_is_chosen_for_who_may_not_treat(self, desk, place, ana):
        make_device(place)
        eve = make_practitioner("Eve Ash", place, modalities=())
        make_practitioner("Bo Lindqvist", place)
        course = make_course(ana)

        shown = text(desk.get("/book/", slot(eve, patient=ana.ref, what=f"treatment_nafl~{course.ref}"), headers=PANEL))

        assert "Eve Ash is not authorised to treat with" in shown
        assert " checked" not in shown.partition('id="times"')[2]

    def test_a_gate_about_the_kind_of_visit_stands_at_what_for(self, desk, place, bo, ana):
        make_device(place)
        course = make_course(ana, sessions_planned=1, sessions_done=1)
        what = f"treatment_nafl~{course.ref}"

        refused = desk.post("/book/", form(ana, bo, what=what), headers=PANEL)

        assert refused.status_code == 422
        assert 'href="#div_id_what"' in text(refused)
        assert "All 1 sessions of the course are done or booked." in text(refused)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_double_click_on_book_is_one_visit_a_hundred_times():
    place = make_location()
    bo, ana = make_practitioner("Bo Lindqvist", place), make_patient(place)
    pia = make_user("Pia Desk", Role.FRONT_DESK, location=place)
    browsers = [Client(), Client()]
    for each in browsers:
        each.force_login(pia)
    doubles = 0
    with ThreadPoolExecutor(2) as pool:
        for number in range(100):
            sent = form(ana, bo, form_key=uuid.UUID(int=number + 1))
            barrier = threading.Barrier(2)

            def press(browser, sent=sent, barrier=barrier):
                try:
                    barrier.wait()
                    return browser.post("/book/", sent, headers=PANEL)
                finally:
                    connections.close_all()

            answers = list(pool.map(press, browsers))
            made = list(Appointment.objects.filter(status="booked"))
            doubles += len(made) - 1
            assert [answer.status_code for answer in answers] == [200, 200]
            assert {json.loads(answer.headers["HX-Trigger"])["visit-booked"]["ref"] for answer in answers} == {
                str(each.ref) for each in made
            }
            Appointment.objects.filter(status="booked").update(status="cancelled", cancel_reason="mistake")
            for each in made:
                each.claims.update(active=False)
    assert doubles == 0
