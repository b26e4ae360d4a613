"""The desk's clicks beside the status: confirmed, rung, shown in. Each can be taken back while that is harmless."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.transitions import IllegalMove, lock
from treatments.booking.actions import undo_status
from treatments.booking.models import Appointment, VisitCall
from treatments.booking.states import AppointmentStatus, CallOutcome, Step

_S = AppointmentStatus


@transaction.atomic
def confirm_appointment(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The patient has said that they will come. Confirming again changes nothing; raises IllegalMove unless booked."""
    fresh = _locked_in(appointment, _S.BOOKED)
    if fresh.confirmed_at is None:
        _keep(fresh, "appointment.confirmed", by, at, confirmed_at=at, confirmed_by_name=by.name)
    return fresh


@transaction.atomic
def unconfirm_appointment(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """Whether the patient will come is not known again. Raises IllegalMove unless booked."""
    fresh = _locked_in(appointment, _S.BOOKED)
    if fresh.confirmed_at is not None:
        _keep(fresh, "appointment.unconfirmed", by, at, confirmed_at=None, confirmed_by_name="")
    return fresh


@transaction.atomic
def log_call(*, appointment: Appointment, outcome: str, note: str = "", by: Actor, at: datetime) -> VisitCall:
    """What came of a call about a visit to come is on record; one that confirmed it confirms it.

    `outcome` is one of CallOutcome. Raises IllegalMove unless the visit is booked.
    """
    fresh = _locked_in(appointment, _S.BOOKED)
    call = VisitCall.objects.create(
        appointment=fresh, outcome=CallOutcome(outcome), note=note, called_at=at, called_by_name=by.name
    )
    record(action="appointment.called", subject=fresh, by=by, at=at, outcome_of_call=call.outcome)
    if call.outcome == CallOutcome.CONFIRMED:
        confirm_appointment(appointment=fresh, by=by, at=at)
    return call


@transaction.atomic
def show_in(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The patient is in the room. Again changes nothing; raises IllegalMove unless they have arrived."""
    fresh = _locked_in(appointment, _S.ARRIVED)
    if fresh.in_room_at is None:
        _keep(fresh, "appointment.shown_in", by, at, in_room_at=at)
    return fresh


@transaction.atomic
def show_out(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The patient waits again, not in the room yet. Raises IllegalMove unless they have arrived."""
    fresh = _locked_in(appointment, _S.ARRIVED)
    if fresh.in_room_at is not None:
        _keep(fresh, "appointment.shown_out", by, at, in_room_at=None)
    return fresh


def take_back(*, appointment: Appointment, step: str, by: Actor, at: datetime) -> Appointment:
    """The step that was marked by mistake is taken back: confirmed, shown in, arrived or no-show.

    `step` is the one the page showed, so that a second tap does not take two. Raises IllegalMove if there is nothing
    to take back, SlotTaken if a no-show's time is somebody else's now.
    """
    act = _BACK.get(step)
    if act is None:
        raise IllegalMove(appointment, appointment.status, step)
    return act(appointment=appointment, by=by, at=at)


_BACK: dict[str, Callable[..., Appointment]] = {
    Step.CONFIRMED: unconfirm_appointment,
    Step.IN_ROOM: show_out,
    Step.ARRIVED: undo_status,
    Step.NOSHOW: undo_status,
}


def _locked_in(appointment: Appointment, status: str) -> Appointment:
    fresh = lock(appointment)
    if fresh.status != status:
        raise IllegalMove(fresh, fresh.status, status)
    return fresh


def _keep(appointment: Appointment, action: str, by: Actor, at: datetime, **facts: object) -> None:
    facts |= {"version": appointment.version + 1, "changed_at": at, "changed_by_name": by.name}
    for name, value in facts.items():
        setattr(appointment, name, value)
    appointment.save(update_fields=list(facts))
    record(action=action, subject=appointment, by=by, at=at)
