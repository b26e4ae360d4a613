"""Making a visit longer or shorter: the treatment phase changes, what is around it keeps its minutes."""

from __future__ import annotations

from copy import copy
from datetime import datetime

from django.db import IntegrityError, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.transitions import IllegalMove, lock
from treatments.booking.actions import (
    _away,
    _claim,
    _claimed,
    _held_then,
    _lock_resources,
    _moved_wish,
    _override_fields,
    _pass_gates,
    _reconcile,
    _refuse_stale,
    _refuse_taken,
    _save,
    _slot_taken,
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
    wish = _moved_wish(appointment, appointment.starts_at, None, None, None)
    try:
        with transaction.atomic():
            return _resize(appointment, minutes, expected_version, override_reason, by, at)
    except IntegrityError as clash:
        raise _slot_taken(clash, wish, at) from clash


def _resize(
    appointment: Appointment, minutes: int, expected_version: int, why: str, by: Actor, at: datetime
) -> Appointment:
    resources = _lock_resources({}, also=_claimed(appointment))
    fresh = lock(appointment)
    _refuse_stale(fresh, expected_version)
    if fresh.status != AppointmentStatus.BOOKED:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.BOOKED)
    lock(fresh.patient)
    was = fresh.sized_type.minutes_work
    type = copy(fresh.type)
    type.minutes_work = minutes
    wish = _moved_wish(fresh, fresh.starts_at, None, None, None)._replace(type=type)
    held = _held_then(wish, resources)
    _refuse_taken(wish, resources, held)
    overridden = _pass_gates(wish, _away(wish, resources, held), why, by, at)
    fresh.claims.all().delete()
    own = None if minutes == fresh.type.minutes_work else minutes
    _save(fresh, by, at, minutes_work=own, ends_at=wish.ends_at, **_override_fields(fresh, overridden, why, by))
    _claim(fresh, resources)
    record(action="appointment.resized", subject=fresh, by=by, at=at, was_minutes=was, minutes=minutes)
    _reconcile(fresh, by=by, at=at, reason="The length of the visit was changed.")
    return fresh
