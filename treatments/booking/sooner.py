"""A visit goes to a time that was held for it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from clinic.audit.states import Actor
from clinic.transitions import IllegalMove, lock
from treatments.booking.actions import cancel_appointment, move_appointment
from treatments.booking.claims import claimed_by, lock_resources
from treatments.booking.models import Appointment
from treatments.booking.states import AppointmentStatus, CancelReason


@transaction.atomic
def move_to_held(*, appointment: Appointment, held: Appointment, by: Actor, at: datetime) -> Appointment:
    """The visit is where the proposal was, with whom and what that held; the proposal is off. Both or neither.

    Raises IllegalMove if either is no longer what it was, else as `move_appointment`.
    """
    # Resources before visits, as in every act: what one holds and what the other held, in one order.
    lock_resources({}, also=[*claimed_by(appointment), *claimed_by(held)])
    fresh, place = lock(appointment), lock(held)
    if fresh.status != AppointmentStatus.BOOKED:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.BOOKED)
    if place.status != AppointmentStatus.PROPOSED:
        raise IllegalMove(place, place.status, AppointmentStatus.BOOKED)
    cancel_appointment(appointment=place, reason=CancelReason.MOVED_HERE, by=by, at=at)
    return move_appointment(
        appointment=fresh,
        starts_at=place.starts_at,
        expected_version=fresh.version,
        practitioner=place.practitioner,
        room=place.room,
        device=place.device,
        by=by,
        at=at,
    ).appointment
