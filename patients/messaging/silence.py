"""Nothing more is said to somebody: they have died, or asked not to be contacted. At once, and silently."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.staff.states import Role
from clinic.transitions import lock
from clinic.worklist.actions import raise_task
from patients.messaging.actions import withdraw
from patients.messaging.models import Message
from patients.messaging.states import UNSENT, MessageStatus
from patients.registry.models import Patient

TIDY_WITHIN = timedelta(days=1)
DIED = "The patient has died: nothing is sent any more."
ASKED = "The patient asked not to be contacted."


class BadDay(Refused):
    sentence = "Please give the day of death: not before the date of birth, not in the future."


class WhyMissing(Refused):
    """Whoever ends all contact says who asked for it."""

    sentence = "Please say who asked for it, and how."


def why_silent(patient: Patient) -> str:
    """Return why nothing is said to the patient; empty where something may be."""
    return DIED if patient.died_on is not None else ASKED if patient.do_not_contact else ""


@transaction.atomic
def note_death(*, patient: Patient, died_on: date, by: Actor, at: datetime) -> Patient:
    """The patient has died: what waited to be said is withdrawn, and nobody is told anything. Raises BadDay."""
    fresh = lock(patient)
    today = at.astimezone(fresh.location.zone).date()
    if not fresh.born_on <= died_on <= today:
        raise BadDay(field="died_on")
    fresh.died_on = died_on
    fresh.save(update_fields=["died_on"])
    record(action="patient.died", subject=fresh, by=by, at=at, died_on=died_on)
    _withdraw_all(fresh, by, at)
    raise_task(
        key=f"died:{fresh.ref}",
        kind="died",
        title=f"{fresh.full_name[:120]} has died: take their visits off the diary",
        why="Cancelling them tells nobody.",
        role=Role.FRONT_DESK,
        location=fresh.location,
        due_at=at + TIDY_WITHIN,
        patient_ref=fresh.ref,
        by=by,
        at=at,
    )
    return fresh


@transaction.atomic
def correct_death(*, patient: Patient, by: Actor, at: datetime) -> Patient:
    """The death was written down by mistake. What coming visits have to say is planned again at the next look."""
    fresh = lock(patient)
    was, fresh.died_on = fresh.died_on, None
    fresh.save(update_fields=["died_on"])
    record(action="patient.died_in_error", subject=fresh, by=by, at=at, was=was)
    return fresh


@transaction.atomic
def stop_contact(*, patient: Patient, reason: str, by: Actor, at: datetime) -> Patient:
    """The patient is not contacted any more: everything that waited to be said is withdrawn. Raises WhyMissing."""
    text = " ".join(reason.split())[:300]
    if not text:
        raise WhyMissing(field="reason")
    fresh = lock(patient)
    fresh.do_not_contact, fresh.do_not_contact_reason = True, text
    fresh.save(update_fields=["do_not_contact", "do_not_contact_reason"])
    record(action="patient.do_not_contact", subject=fresh, by=by, at=at, reason=text)
    _withdraw_all(fresh, by, at)
    return fresh


@transaction.atomic
def allow_contact(*, patient: Patient, by: Actor, at: datetime) -> Patient:
    """The patient may be contacted again. What coming visits have to say is planned again by the next look at them."""
    fresh = lock(patient)
    was, fresh.do_not_contact, fresh.do_not_contact_reason = fresh.do_not_contact_reason, False, ""
    fresh.save(update_fields=["do_not_contact", "do_not_contact_reason"])
    record(action="patient.may_be_contacted", subject=fresh, by=by, at=at, was=was)
    return fresh


def _withdraw_all(patient: Patient, by: Actor, at: datetime) -> None:
    waiting = Message.objects.filter(patient=patient, status__in=[*UNSENT, MessageStatus.SENDING])
    for about in sorted(set(waiting.values_list("about", flat=True))):
        withdraw(about=about, reason=why_silent(patient), by=by, at=at)
