"""What patients change about their own visits. Booking does it, by the same gates as at the desk."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from clinic.audit.states import Actor
from clinic.transitions import lock
from treatments.booking.actions import cancel_appointment, move_appointment
from treatments.booking.models import Appointment
from treatments.booking.rules import clock_label
from treatments.booking.states import AppointmentStatus, StaleVersion
from treatments.visits.queries import may_change, may_choose
from treatments.visits.states import NotOffered, OwnReason, TooLate


@transaction.atomic
def cancel_own_visit(
    *, appointment: Appointment, expected_version: int, reason: str, by: Actor, at: datetime
) -> Appointment:
    """The visit is off, as by `cancel_appointment`; one that is off already stays as it is.

    `reason` is one of OwnReason. Raises StaleVersion if somebody changed the visit since, TooLate within the notice.
    """
    fresh = lock(appointment)
    if fresh.status == AppointmentStatus.CANCELLED:
        return fresh
    if fresh.version != expected_version:
        when = clock_label(fresh.changed_at, fresh.location.zone)
        raise StaleVersion(fresh.changed_by_name, fresh.changed_at, when)
    if not may_change(fresh, at):
        raise TooLate
    return cancel_appointment(appointment=fresh, reason=OwnReason(reason).value, by=by, at=at)


def move_own_visit(
    *, appointment: Appointment, starts_at: datetime, expected_version: int, by: Actor, at: datetime
) -> Appointment:
    """The visit is at the new time with the same practitioner; one that is there already stays as it is.

    Raises TooLate within the notice, NotOffered for a time that no patient may choose alone, and whatever
    `move_appointment` raises: no rule is set aside for a patient.
    """
    # Not locked: booking locks in an order of its own. It refuses if the version has changed since this was read.
    fresh = Appointment.objects.select_related("location").get(pk=appointment.pk)
    if fresh.status == AppointmentStatus.BOOKED and fresh.starts_at == starts_at:
        return fresh
    if not may_change(fresh, at):
        raise TooLate
    if not may_choose(fresh, starts_at, at):
        raise NotOffered(field="starts_at")
    moved = move_appointment(appointment=fresh, starts_at=starts_at, expected_version=expected_version, by=by, at=at)
    return moved.appointment
