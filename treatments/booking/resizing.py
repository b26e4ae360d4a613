"""Making a visit longer or shorter: the treatment phase changes, what is around it keeps its minutes."""

from __future__ import annotations

from copy import copy
from datetime import datetime

from django.db import IntegrityError, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.transitions import IllegalMove, lock
from treatments.booking.claims import away_then, claim, claimed_by, held_then, lock_resources, refuse_taken
from treatments.booking.keeping import (
    override_fields,
    pass_gates,
    reconcile_visit,
    refuse_stale,
    save_visit,
    slot_taken,
    wish_to_move,
)
from treatments.booking.models import Appointment
from treatments.booking.states import AppointmentStatus, BookingRefused

SHORTEST, LONGEST = 5, 480  # minutes


class LengthRefused(BookingRefused):
    sentence = "A visit lasts between 5 minutes and 8 hours, in steps of 5 minutes."

    def __init__(self) -> None:
        super().__init__(field="minutes")


def resize_appointment(
    *,
    appointment: Appointment,
    minutes: int,
    expected_version: int,
    override_reason: str = "",
    by: Actor,
    at: datetime,
) -> Appointment:
    """The visit has so many minutes of work, and claims its practitioner, room and device for as long as that takes.

    Numbing before and cleaning after stay as the type has them; the start stays. The same locks, gates and words as
    for a move: raises StaleVersion, SlotTaken, or whichever rule stands against it.
    """
    if minutes % 5 or not SHORTEST <= minutes <= LONGEST:
        raise LengthRefused
    wish = wish_to_move(appointment, appointment.starts_at, None, None, None)
    try:
        with transaction.atomic():
            return _resize(appointment, minutes, expected_version, override_reason, by, at)
    except IntegrityError as clash:
        raise slot_taken(clash, wish, at) from clash


def _resize(
    appointment: Appointment, minutes: int, expected_version: int, why: str, by: Actor, at: datetime
) -> Appointment:
    resources = lock_resources({}, also=claimed_by(appointment))
    fresh = lock(appointment)
    refuse_stale(fresh, expected_version)
    if fresh.status != AppointmentStatus.BOOKED:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.BOOKED)
    was = fresh.sized_type.minutes_work
    type = copy(fresh.type)
    type.minutes_work = minutes
    wish = wish_to_move(fresh, fresh.starts_at, None, None, None)._replace(type=type)
    held = held_then(wish, resources)
    refuse_taken(wish, resources, held)
    overridden = pass_gates(wish, away_then(wish, resources, held), held, why, by, at)
    fresh.claims.all().delete()
    own = None if minutes == fresh.type.minutes_work else minutes
    save_visit(fresh, by, at, minutes_work=own, ends_at=wish.ends_at, **override_fields(fresh, overridden, why, by))
    claim(fresh, resources)
    record(action="appointment.resized", subject=fresh, by=by, at=at, was_minutes=was, minutes=minutes)
    reconcile_visit(fresh, by=by, at=at, reason="The length of the visit was changed.")
    return fresh
