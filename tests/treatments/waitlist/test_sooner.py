"""Somebody with a visit would come earlier: a time is held and offered, and taking it moves that very visit."""

from datetime import timedelta

import pytest

from clinic.audit.states import Actor
from patients.messaging.models import Message
from tests.factories.people import NOW, make_device, make_location, make_patient, make_practitioner
from tests.factories.treating import sign
from tests.factories.visits import BY, book, get_type, make_course, utc
from tests.treatments.booking.test_booking_races import overlaps, together
from tests.treatments.visits.test_my_visit import opened, text
from treatments.booking.actions import cancel_appointment
from treatments.booking.models import Appointment
from treatments.visits.actions import ask_for_sooner
from treatments.visits.states import NotSooner
from treatments.waitlist.actions import accept_offer, decline_offer, sweep_waitlist
from treatments.waitlist.models import WaitlistEntry, WaitlistOffer

SWEEP = Actor.task("waitlist.sweep")
FRIDAY = utc("2026-12-04T10:00")


@pytest.fixture
def place(db, time_machine):
    time_machine.move_to(NOW, tick=False)
    return make_location()


@pytest.fixture
def visit(place, bo):
    return book(make_patient(place), bo, FRIDAY)


def ask(visit):
    return ask_for_sooner(appointment=visit, by=BY, at=NOW)


def offered():
    sweep_waitlist(by=SWEEP, at=NOW)
    return WaitlistOffer.objects.get()


def test_an_earlier_time_is_held_while_the_visit_stays(visit):
    ask(visit)

    offer = offered()

    visit.refresh_from_db()
    assert (visit.status, visit.starts_at) == ("booked", FRIDAY)
    assert offer.appointment.status == "proposed"
    assert offer.appointment.starts_at < FRIDAY


def test_taking_it_moves_the_very_visit_and_one_is_left(visit):
    ask(visit)
    offer = offered()
    held = offer.appointment

    moved = accept_offer(offer=offer, by=BY, at=NOW)

    assert (moved.pk, moved.starts_at, moved.status) == (visit.pk, held.starts_at, "booked")
    assert list(Appointment.objects.filter(status="booked")) == [visit]
    held.refresh_from_db()
    assert (held.status, held.cancel_reason) == ("cancelled", "moved_here")
    assert moved.claims.filter(active=True).count() == 2
    assert not held.claims.filter(active=True).exists()
    assert WaitlistEntry.objects.get().status == "placed"
    waiting = Message.objects.filter(about=visit.about, status="planned")
    assert {each.visit_at for each in waiting} == {moved.starts_at}


def test_leaving_it_keeps_the_visit_where_it_is(visit):
    ask(visit)

    decline_offer(offer=offered(), by=BY, at=NOW)

    visit.refresh_from_db()
    assert (visit.starts_at, visit.version) == (FRIDAY, 1)


def test_a_session_is_offered_earlier_with_time_to_prepare_and_does_not_stand_in_its_own_way(place, bo):
    get_type("treatment_nafl")
    make_device(place, service_due_on=None)
    course = make_course(make_patient(place), sessions_planned=1)
    sign(course, at=NOW - timedelta(days=3))
    visit = book(course.patient, bo, utc("2027-01-11T10:00"), "treatment_nafl", course=course)
    ask(visit)

    moved = accept_offer(offer=offered(), by=BY, at=NOW)

    assert moved.pk == visit.pk
    assert NOW + timedelta(days=28) <= moved.starts_at < utc("2027-01-11T09:00")


def test_when_the_visit_is_off_the_wait_and_the_offer_are_too(visit):
    ask(visit)
    offer = offered()
    cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW)

    sweep_waitlist(by=SWEEP, at=NOW)

    offer.refresh_from_db()
    offer.appointment.refresh_from_db()
    assert (WaitlistEntry.objects.get().status, offer.status) == ("removed", "withdrawn")
    assert offer.appointment.status == "cancelled"


def test_asking_twice_is_asking_once_and_a_visit_that_is_off_cannot_be_earlier(visit):
    assert ask(visit) == ask(visit)

    cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW)
    WaitlistEntry.objects.update(status="removed")
    with pytest.raises(NotSooner):
        ask(visit)


def test_the_patient_asks_and_takes_it_back_on_their_own_page(visit):
    phone, link = opened(visit.patient, visit.about)
    home = f"/my/{link.ref}/visit/"
    assert "Write to me if an earlier time is free" in text(phone.get(home))

    phone.post(f"{home}sooner/", {"ask": "yes"})
    assert WaitlistEntry.objects.get().sooner_than == visit
    assert "No earlier time after all" in text(phone.get(home))

    phone.post(f"{home}sooner/", {"ask": "no"})
    assert WaitlistEntry.objects.get().status == "removed"
    assert "Write to me if an earlier time is free" in text(phone.get(home))


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(900)
def test_taking_it_while_the_desk_cancels_the_visit_leaves_one_legal_end_40_times():
    place = make_location()
    bo = make_practitioner("Bo Lindqvist", place)
    for number in range(40):
        visit = book(make_patient(place, "Ana", f"Reyes{number}"), bo, FRIDAY)
        ask(visit)
        offer = offered_of(visit)

        together(
            lambda offer=offer: accept_offer(offer=offer, by=BY, at=NOW),
            lambda visit=visit: cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW),
        )

        visit.refresh_from_db()
        held = Appointment.objects.get(pk=offer.appointment_id)
        assert (visit.status, held.status) == ("cancelled", "cancelled")
        assert not visit.claims.filter(active=True).exists()
        assert not held.claims.filter(active=True).exists()
    assert overlaps() == 0


def offered_of(visit):
    sweep_waitlist(by=SWEEP, at=NOW)
    return WaitlistOffer.objects.get(entry__sooner_than=visit)


# --- asked for at the desk ------------------------------------------------------------------------------------------


def join(desk, patient, **sent):
    days = {"earliest_on": "2026-11-23", "latest_on": "2026-12-20"}
    return desk.post(f"/waitlist/add/{patient.ref}/", {"what": "consultation", **days, **sent})


def test_the_desk_asks_first_whether_the_visit_is_to_be_earlier(desk, visit):
    page = desk.get(f"/waitlist/add/{visit.patient.ref}/").content.decode()

    assert f'<option value="{visit.ref}" selected>It replaces Consultation, Fri 4 Dec' in page
    assert "It is one more visit" in page


def test_an_earlier_time_wanted_at_the_desk_moves_the_visit_and_makes_no_second(desk, visit):
    assert join(desk, visit.patient, sooner_than=visit.ref).status_code == 302

    accept_offer(offer=offered(), by=BY, at=NOW)

    visit.refresh_from_db()
    assert visit.starts_at < FRIDAY
    assert list(Appointment.objects.filter(status="booked")) == [visit]
    assert WaitlistEntry.objects.get().status == "placed"


def test_one_more_visit_can_be_waited_for_too(desk, visit):
    assert join(desk, visit.patient, sooner_than="").status_code == 302

    assert WaitlistEntry.objects.get().sooner_than is None


def test_the_list_says_which_visit_it_would_replace(desk, visit):
    join(desk, visit.patient, sooner_than=visit.ref)

    page = desk.get("/waitlist/").content.decode()

    assert "Instead of" in page
    assert f'href="/visits/{visit.ref}/"' in page


def test_a_visit_for_something_else_is_not_replaced(desk, visit):
    get_type("review")

    refused = join(desk, visit.patient, what="review", sooner_than=visit.ref)

    assert refused.status_code == 422
    assert "That visit is for something else." in refused.content.decode()
    assert not WaitlistEntry.objects.exists()


def test_who_has_no_visit_is_not_asked(desk, place):
    page = desk.get(f"/waitlist/add/{make_patient(place).ref}/").content.decode()

    assert "If a time is taken" not in page
