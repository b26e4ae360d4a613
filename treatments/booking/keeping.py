"""Keeping a visit's row: what stands against it, how a refusal is worded, and its messages set right."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from clinic.audit.states import Actor, Refused
from clinic.premises.models import Device, Room
from clinic.staff.models import Practitioner, User
from clinic.staff.states import Permission
from clinic.transitions import move
from patients.messaging.actions import Reconciled
from treatments.booking.gates import refusals
from treatments.booking.models import Appointment
from treatments.booking.queries import devices_for, free_times, visit_of, visits_of
from treatments.booking.rules import Kind, Start, clock_label
from treatments.booking.standing import Around, Wish, facts_of, modality_of
from treatments.booking.states import ANNOUNCED, OverrideRefused, SlotTaken, StaleVersion
from treatments.plan.actions import Wish as MessageWish
from treatments.plan.actions import reconcile_plan, reconcile_plans

NEXT_FREE_FIRST, NEXT_FREE_DAYS = 2, 14
NEXT_FREE = 6


def next_free(wish: Wish, at: datetime) -> list[Start]:
    """Return the next times at which the visit could be, with the same practitioner, from the wished day on.

    The first days are looked at alone: whoever was a moment late is mostly served by them, and many may ask at once.
    """
    first = max(wish.starts_at, at).astimezone(wish.location.zone).date()
    devices = [wish.device] if wish.device else devices_for(wish.location, wish.type, modality_of(wish))
    for days in (NEXT_FREE_FIRST, NEXT_FREE_DAYS):
        starts = free_times(
            type=wish.type,
            location=wish.location,
            first=first,
            last=first + timedelta(days=days - 1),
            practitioners=[wish.practitioner.pk],
            devices=[device.pk for device in devices],
            not_before=max(at, wish.starts_at),
            leaving_out=wish.leaving_out,
        )
        if len(starts) >= NEXT_FREE:
            break
    return starts[:NEXT_FREE]


def pass_gates(
    wish: Wish, away: Sequence[tuple[Kind, str]], found: Around, override_reason: str, by: Actor, at: datetime
) -> list[str]:
    """Return the sentences of the rules that were set aside; raise the first that stands."""
    against = refusals(facts_of(wish, away, at, found))
    for refusal in against:
        if not getattr(refusal, "may_be_overridden", False) or not override_reason.strip():
            raise refusal
    if against and not _may_override(by):
        raise OverrideRefused
    return [refusal.for_people for refusal in against]


def _may_override(by: Actor) -> bool:
    user = User.objects.filter(pk=by.user_id, is_active=True).first() if by.user_id else None
    return user is not None and user.may(Permission.OVERRIDE)


def override_fields(appointment: Appointment, overridden: list[str], why: str, by: Actor) -> dict[str, object]:
    """An override is shown on the visit for ever: a later one is added, none is taken away."""
    if not overridden:
        return {}
    reasons = [appointment.override_reason, why] if appointment.override_reason else [why]
    return {
        "override_reason": " / ".join(reasons)[:400],
        "override_by_id": by.user_id,
        "overrides": [*appointment.overrides, *overridden],
    }


def refuse_stale(appointment: Appointment, expected_version: int) -> None:
    if appointment.version != expected_version:
        when = clock_label(appointment.changed_at, appointment.location.zone)
        raise StaleVersion(appointment.changed_by_name, appointment.changed_at, when)


def already_booked(clash: IntegrityError, form_key: uuid.UUID) -> Appointment | None:
    """Return the visit of the same form, if that is what the database refused."""
    if "form_key" in constraint_of(clash):
        return Appointment.objects.filter(form_key=form_key).first()
    return None


def slot_taken(clash: IntegrityError, wish: Wish, at: datetime) -> Refused | IntegrityError:
    """Return the domain's word for what the database refused, or the clash itself if it was something else."""
    if constraint_of(clash) == "claim_no_overlap":
        return SlotTaken(next_free=next_free(wish, at))
    return clash


def constraint_of(clash: IntegrityError) -> str:
    """Return the name of the constraint that the database refused with; empty if it was none."""
    diagnosis = getattr(clash.__cause__, "diag", None)
    return str(getattr(diagnosis, "constraint_name", None) or "")


def wish_to_move(
    appointment: Appointment,
    starts_at: datetime,
    practitioner: Practitioner | None,
    room: Room | None,
    device: Device | None,
) -> Wish:
    return Wish(
        patient=appointment.patient,
        type=appointment.sized_type,
        location=appointment.location,
        practitioner=practitioner or appointment.practitioner,
        starts_at=starts_at,
        room=room or appointment.room,
        device=device or appointment.device,
        course=appointment.course,
        leaving_out=appointment.pk,
        is_change=True,
    )


def moved_to(
    appointment: Appointment, status: str, by: Actor, at: datetime, *, reason: str = "", **fields: object
) -> Appointment:
    version = appointment.version + 1
    return move(
        appointment,
        status,
        by=by,
        at=at,
        reason=reason,
        version=version,
        changed_at=at,
        changed_by_name=by.name,
        **fields,
    )


def save_visit(appointment: Appointment, by: Actor, at: datetime, **fields: object) -> None:
    fields |= {"version": appointment.version + 1, "changed_at": at, "changed_by_name": by.name}
    for name, value in fields.items():
        setattr(appointment, name, value)
    appointment.save(update_fields=list(fields))


def reconcile_visit(
    appointment: Appointment, *, by: Actor, at: datetime, reason: str = "", is_new: bool = False
) -> Reconciled:
    return reconcile_plan(
        about=appointment.about,
        patient=appointment.patient,
        location=appointment.location,
        visit=visit_of(appointment) if appointment.status in ANNOUNCED else None,
        by=by,
        at=at,
        reason=reason,
        is_new=is_new,
    )


@transaction.atomic
def replan_visits(*, appointments: Sequence[Appointment], by: Actor, at: datetime) -> dict[str, Reconciled]:
    """As `replan_visit`, for many visits at once: all of them or none. Returns what came of each, by its `about`."""
    rows = Appointment.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=[a.pk for a in appointments])
    locked = list(rows.select_related("patient", "location", "type", "course").order_by("pk"))
    visits = visits_of(locked)
    wishes = [
        MessageWish(row.about, row.patient, row.location, visits[row.pk] if row.status in ANNOUNCED else None)
        for row in locked
    ]
    return reconcile_plans(wishes=wishes, by=by, at=at, reason="What the visit needs has changed.")


def moved_sentence(appointment: Appointment, messages: Reconciled) -> str:
    local = appointment.starts_at.astimezone(appointment.location.zone)
    when = f"{local:%A} {local.day} {local:%B}, {clock_label(appointment.starts_at, appointment.location.zone)}"
    return f"Moved to {when} with {appointment.practitioner}. {messages.sentence}."
