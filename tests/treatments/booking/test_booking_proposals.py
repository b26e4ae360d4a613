"""A time that is held for a patient: nobody else gets it, nobody is told, and it ends one way."""

import uuid
from datetime import timedelta

import pytest
from django.db import transaction

from clinic.audit.models import AuditEvent
from clinic.transitions import IllegalMove, lock
from patients.messaging.models import Message
from tests.factories.people import NOW, make_device, make_patient
from tests.factories.visits import BY, book, get_type, make_course, utc
from tests.treatments.booking.test_booking_races import half_hours, overlaps, together
from treatments.booking.actions import accept_proposal, cancel_appointment, propose_appointment
from treatments.booking.models import Appointment
from treatments.booking.states import NotCleared, SlotTaken
from treatments.courses.models import Course

TEN = utc("2026-11-24T10:00")


def propose(patient, practitioner, starts_at=TEN, type="consultation", **fields):
    return propose_appointment(
        patient=patient,
        type=get_type(type),
        location=patient.location,
        practitioner=practitioner,
        starts_at=starts_at,
        form_key=fields.pop("form_key", uuid.uuid4()),
        by=BY,
        at=NOW,
        **fields,
    )


@pytest.mark.django_db
def test_a_held_time_is_nobody_elses_and_nobody_is_told(place, bo):
    held = propose(make_patient(place), bo)

    with pytest.raises(SlotTaken) as taken:
        book(make_patient(place, "Eva", "Moss"), bo, TEN)

    assert taken.value.next_free[0].starts_at == TEN + timedelta(minutes=30)
    assert held.status == "proposed"
    assert [claim.active for claim in held.claims.all()] == [True, True]
    assert list(Message.objects.filter(about=held.about)) == []


@pytest.mark.django_db
def test_an_accepted_proposal_is_a_visit_with_its_trace(place, bo):
    held = propose(make_patient(place), bo)
    later = NOW + timedelta(hours=1)

    visit = accept_proposal(appointment=held, by=BY, at=later)

    assert (visit.status, visit.booked_at, visit.version) == ("booked", later, 2)
    trail = AuditEvent.objects.filter(subject_type="appointment", subject_id=str(visit.ref)).order_by("id")
    assert [event.action for event in trail] == [
        "appointment.proposed",
        "appointment.booked",
        "messages.reconciled",
    ]


@pytest.mark.django_db
def test_a_time_given_back_is_free_and_cannot_be_accepted(place, bo):
    held = propose(make_patient(place), bo)
    cancel_appointment(appointment=held, reason="clinic", by=BY, at=NOW)

    with pytest.raises(IllegalMove):
        accept_proposal(appointment=held, by=BY, at=NOW)

    assert book(make_patient(place, "Eva", "Moss"), bo, TEN).status == "booked"


@pytest.mark.django_db
def test_a_second_tap_holds_one_time_and_accepting_twice_says_so(place, bo):
    ana, key = make_patient(place), uuid.uuid4()
    held = propose(ana, bo, form_key=key)

    assert propose(ana, bo, form_key=key) == held
    accept_proposal(appointment=held, by=BY, at=NOW)
    with pytest.raises(IllegalMove):
        accept_proposal(appointment=held, by=BY, at=NOW)
    assert Appointment.objects.count() == 1


@pytest.mark.django_db
def test_a_course_put_on_hold_since_stops_the_acceptance(place, bo):
    make_device(place)
    ana = make_patient(place)
    course = make_course(ana)
    held = propose(ana, bo, type="treatment_nafl", course=course)
    Course.objects.filter(pk=course.pk).update(status="on-hold")

    with pytest.raises(NotCleared):
        accept_proposal(appointment=held, by=BY, at=NOW)

    held.refresh_from_db()
    assert held.status == "proposed"


@pytest.mark.django_db
def test_nothing_is_held_for_who_is_not_cleared(place, bo):
    make_device(place)

    with pytest.raises(NotCleared):
        propose(make_patient(place), bo, type="treatment_nafl")

    assert Appointment.objects.count() == 0


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_accepting_at_the_moment_the_hold_ends_resolves_one_way(place, bo):
    """The hold ends in the sweep's transaction, the acceptance in the patient's: whoever is first is right."""
    ana, ends = make_patient(place), []

    for starts_at in half_hours(60):
        held = propose(ana, bo, starts_at)
        accepted, ended = together(
            lambda held=held: accept_proposal(appointment=held, by=BY, at=NOW),
            lambda held=held: end_if_held(held),
        )

        held.refresh_from_db()
        active = held.claims.filter(active=True).count()
        if isinstance(accepted, Appointment):
            assert (held.status, active, ended) == ("booked", 2, None)
        else:
            assert (held.status, active, type(accepted)) == ("cancelled", 0, IllegalMove)
        ends.append(held.status)

    assert len(ends) == 60
    assert overlaps() == 0


def end_if_held(held):
    """What a sweep does: give the time back unless it was accepted."""
    with transaction.atomic():
        if lock(held).status != "proposed":
            return None
        return cancel_appointment(appointment=held, reason="clinic", by=BY, at=NOW)
