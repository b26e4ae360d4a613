"""Who said STOP, where, and who said START again. What waits for them says so at once."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import models, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.transitions import lock
from patients.messaging.models import OptOut
from patients.messaging.settling import settle_waiting
from patients.registry.models import ContactPoint, Patient


@transaction.atomic
def opt_out(
    *, point: ContactPoint, how: str, by: Actor, at: datetime, patient: Patient | None = None, purpose: str = ""
) -> OptOut:
    """Nothing more goes to the contact point: for everyone reached there, or one patient, or one purpose only.

    Said twice, also at the same instant, it is said once.
    """
    lock(point)
    known = stops_in_force(point, at).filter(patient=patient, purpose=purpose).first()
    if known is not None:
        return known
    made = _begin(point, patient, purpose, how, by, at)
    settle_waiting(patients=_whose(point, patient), by=by, at=at)
    return made


@transaction.atomic
def opt_in(
    *, point: ContactPoint, by: Actor, at: datetime, patient: Patient | None = None, everyone: bool = True
) -> int:
    """Messages go to the contact point again. With a patient only what that patient stopped ends. Returns how many.

    Without `everyone` only what was stopped for the whole contact point ends: what one person of several had stopped
    for themself stays.
    """
    rows = stops_in_force(point, at)
    if patient is not None:
        rows = rows.filter(patient=patient)
    elif not everyone:
        rows = rows.filter(patient=None)
    ended = _end(rows, by, at)
    settle_waiting(patients=_whose(point, patient), by=by, at=at)
    return ended


@transaction.atomic
def set_stops(
    *, point: ContactPoint, patient: Patient, purposes: Collection[str], how: str, by: Actor, at: datetime
) -> None:
    """What the patient stopped at the contact point is exactly these purposes; "" among them is everything.

    What was stopped for everyone there stands, whatever one of them asks for. Whoever calls this for each of the
    patient's contacts settles what waits afterwards, once.
    """
    lock(point)
    mine = stops_in_force(point, at).filter(patient=patient)
    _end(mine.exclude(purpose__in=list(purposes)), by, at)
    standing = set(mine.values_list("purpose", flat=True))
    for purpose in sorted(set(purposes) - standing):
        _begin(point, patient, purpose, how, by, at)


def stops_in_force(point: ContactPoint, at: datetime) -> models.QuerySet[OptOut]:
    """Return what was stopped at the contact point and has not been allowed again."""
    return OptOut.objects.filter(point=point).exclude(until_at__lte=at)


def _begin(point: ContactPoint, patient: Patient | None, purpose: str, how: str, by: Actor, at: datetime) -> OptOut:
    made = OptOut.objects.create(point=point, patient=patient, purpose=purpose, since_at=at, how=how[:200])
    record(action="optout.begun", subject=made, by=by, at=at, purpose=purpose, how=how)
    return made


def _end(rows: models.QuerySet[OptOut], by: Actor, at: datetime) -> int:
    ended = list(rows.select_for_update(no_key=True))
    for row in ended:
        row.until_at = max(at, row.since_at)  # two machines' clocks may differ by a moment
        row.save(update_fields=["until_at"])
        record(action="optout.ended", subject=row, by=by, at=at)
    return len(ended)


def _whose(point: ContactPoint, patient: Patient | None) -> list[int]:
    """Return whose messages a wish is about: one patient's, or those of everybody reached at the contact point."""
    if patient is not None:
        return [patient.pk]
    return list(point.people.filter(until_at=None).values_list("patient_id", flat=True))
