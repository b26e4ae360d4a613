"""Another time in place of a visit that cannot be: the visit is off and the other time is held, in one act."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction

from clinic.audit.states import Actor
from clinic.staff.models import Practitioner
from clinic.transitions import IllegalMove, lock
from treatments.booking.actions import cancel_appointment, propose_appointment
from treatments.booking.claims import candidates_of, claimed_by, lock_resources
from treatments.booking.keeping import refuse_stale
from treatments.booking.models import Appointment
from treatments.booking.standing import Wish
from treatments.booking.states import AppointmentStatus, CancelReason


@transaction.atomic
def propose_instead(
    *,
    appointment: Appointment,
    expected_version: int,
    starts_at: datetime,
    practitioner: Practitioner,
    by: Actor,
    at: datetime,
) -> Appointment:
    """The visit is cancelled by the clinic, and the other time is held for its patient through every gate.

    Both or neither. Raises StaleVersion naming who changed the visit since, IllegalMove if it is not booked, else as
    `propose_appointment`. Returns the held time.
    """
    wish = Wish(
        appointment.patient,
        appointment.type,
        appointment.location,
        practitioner,
        starts_at,
        course=appointment.course,
    )
    # Resources before the visit, as in every act: what it holds and what it will hold, in one order.
    lock_resources(candidates_of(wish), also=claimed_by(appointment))
    fresh = lock(appointment)
    refuse_stale(fresh, expected_version)
    if fresh.status != AppointmentStatus.BOOKED:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.CANCELLED)
    cancel_appointment(appointment=fresh, reason=CancelReason.CLINIC, by=by, at=at)
    return propose_appointment(
        patient=wish.patient,
        type=wish.type,
        location=wish.location,
        practitioner=practitioner,
        starts_at=starts_at,
        course=wish.course,
        form_key=uuid.uuid4(),
        by=by,
        at=at,
    )
