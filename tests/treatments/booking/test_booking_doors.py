"""Every door to the diary asks the same gates: booking, holding a time or another in its place, moving at the desk or
by the patient's link, and accepting what was held.

Each gate is shut in its own way, then each door is tried; behind a shut gate no row changes.
"""

import uuid
from datetime import date, timedelta

import pytest

from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Absence, Location, OpeningHours
from clinic.staff.models import Authorisation
from tests.factories.people import NOW, make_device, make_location, make_patient, make_practitioner
from tests.factories.visits import BY, book, get_type, make_course, utc
from treatments.booking import actions
from treatments.booking.actions import accept_proposal, move_appointment, propose_appointment
from treatments.booking.instead import propose_instead
from treatments.booking.models import Appointment, Claim
from treatments.booking.states import (
    Away,
    DeviceUnavailable,
    NotAuthorised,
    NotCleared,
    OutsideHours,
    ServiceOverdue,
    TooEarly,
    TooSoon,
)
from treatments.courses.models import Course
from treatments.visits.actions import move_own_visit

pytestmark = pytest.mark.django_db
TEN = utc("2026-11-24T10:00")
NEXT_DAY = TEN + timedelta(days=1)


@pytest.fixture
def laser(place):
    return make_device(place)


@pytest.fixture
def course(place):
    return make_course(make_patient(place))


def overdue(bo, laser, course):
    laser.service_due_on = date(2026, 11, 23)
    laser.save()


def unauthorised(bo, laser, course):
    Authorisation.objects.filter(practitioner=bo).update(may_treat=False)


def healing(bo, laser, course):
    Course.objects.filter(pk=course.pk).update(last_treated_at=NOW - timedelta(days=3), sessions_done=1)


def on_hold(bo, laser, course):
    Course.objects.filter(pk=course.pk).update(status="on-hold")


def on_leave(bo, laser, course):
    Absence.objects.create(resource=bo.resource, starts_at=NOW, ends_at=NOW + timedelta(days=9), reason="Leave")


def laser_away(bo, laser, course):
    Absence.objects.create(resource=laser.resource, starts_at=NOW, ends_at=NOW + timedelta(days=9), reason="Service")


def elsewhere(bo, laser, course):
    OpeningHours.objects.filter(practitioner=bo).delete()


def too_late_to_prepare(bo, laser, course):
    AppointmentType.objects.filter(key="treatment_nafl").update(lead_days=3)


GATES = [
    (overdue, ServiceOverdue),
    (unauthorised, NotAuthorised),
    (healing, TooEarly),
    (on_hold, NotCleared),
    (on_leave, Away),
    (laser_away, DeviceUnavailable),
    (elsewhere, OutsideHours),
    (too_late_to_prepare, TooSoon),
]


def wanted(bo, course):
    course = Course.objects.get(pk=course.pk)
    return {
        "patient": course.patient,
        "type": get_type("treatment_nafl"),
        "location": course.patient.location,
        "practitioner": type(bo).objects.get(pk=bo.pk),
        "course": course,
        "form_key": uuid.uuid4(),
        "by": BY,
        "at": NOW,
    }


def through_booking(bo, course):
    return lambda: actions.book_appointment(starts_at=TEN, **wanted(bo, course))


def through_a_proposal(bo, course):
    return lambda: propose_appointment(starts_at=TEN, **wanted(bo, course))


def through_a_move(bo, course):
    pk = actions.book_appointment(starts_at=NEXT_DAY, **wanted(bo, course)).pk
    return lambda: move_appointment(
        appointment=Appointment.objects.get(pk=pk), starts_at=TEN, expected_version=1, by=BY, at=NOW
    )


def through_the_patients_link(bo, course):
    Location.objects.update(change_notice_hours=12)
    pk = actions.book_appointment(starts_at=NEXT_DAY, **wanted(bo, course)).pk
    return lambda: move_own_visit(
        appointment=Appointment.objects.get(pk=pk), starts_at=TEN, expected_version=1, by=BY, at=NOW
    )


def through_another_in_its_place(bo, course):
    pk = actions.book_appointment(starts_at=NEXT_DAY, **wanted(bo, course)).pk
    return lambda: propose_instead(
        appointment=Appointment.objects.get(pk=pk),
        expected_version=1,
        starts_at=TEN,
        practitioner=type(bo).objects.get(pk=bo.pk),
        by=BY,
        at=NOW,
    )


def through_accepting(bo, course):
    pk = propose_appointment(starts_at=TEN, **wanted(bo, course)).pk
    return lambda: accept_proposal(appointment=Appointment.objects.get(pk=pk), by=BY, at=NOW)


DOORS = [
    through_booking,
    through_a_proposal,
    through_a_move,
    through_the_patients_link,
    through_another_in_its_place,
    through_accepting,
]


def rows():
    return [list(Appointment.objects.order_by("pk").values()), list(Claim.objects.order_by("pk").values())]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("shut", "refusal"), GATES)
def test_a_shut_gate_stops_every_door(bo, laser, course, door, shut, refusal):
    knock = door(bo, course)
    shut(bo, laser, course)
    before = rows()

    with pytest.raises(refusal) as refused:
        knock()

    assert type(refused.value) is refusal
    assert rows() == before


@pytest.mark.parametrize("door", DOORS)
def test_with_every_gate_open_every_door_opens(bo, laser, course, door):
    knock = door(bo, course)

    knock()

    visit = Appointment.objects.exclude(status="cancelled").get()
    assert (visit.starts_at, visit.claims.filter(active=True).count()) == (TEN, 3)


def test_a_visit_is_not_given_to_who_may_not_treat_or_works_elsewhere(place, bo, laser, course):
    visit = actions.book_appointment(starts_at=TEN, **wanted(bo, course))
    novice = make_practitioner("Ida Moss", place, modalities=[])
    stranger = make_practitioner("Ola Berg", make_location("Lisbon", "Europe/Lisbon"))
    before = rows()

    for person, refusal in ((novice, NotAuthorised), (stranger, OutsideHours)):
        with pytest.raises(refusal):
            move_appointment(appointment=visit, starts_at=TEN, expected_version=1, practitioner=person, by=BY, at=NOW)

    assert rows() == before


def test_a_reassignment_that_fails_half_way_leaves_the_row_as_it_was(place, bo, monkeypatch):
    visit = book(make_patient(place), bo, TEN)
    ida = make_practitioner("Ida Moss", place)
    before = rows()

    def breaks(_visit, **_said):
        raise RuntimeError("The last write fails.")

    monkeypatch.setattr(actions, "reconcile_visit", breaks)
    with pytest.raises(RuntimeError):
        move_appointment(appointment=visit, starts_at=TEN, expected_version=1, practitioner=ida, by=BY, at=NOW)

    assert rows() == before
