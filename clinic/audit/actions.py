"""The one way an act or a look enters the audit trail."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from django.db import models, transaction

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor, Outcome
from clinic.rows import insert

# How one statement that acts on many rows records them all: what follows is a SELECT of these columns, a row an act.
INTO_TRAIL = (
    "INSERT INTO clinic_auditevent (at, actor_kind, actor_id, actor_name, action, subject_type, subject_id,"
    " patient_ref, outcome, detail)"
)


def record(
    *,
    action: str,
    subject: models.Model | str,
    by: Actor,
    at: datetime,
    outcome: Outcome = Outcome.DONE,
    patient_ref: uuid.UUID | None = None,
    **detail: object,
) -> AuditEvent:
    """The audit trail holds this act, in the same transaction as the act itself.

    `subject` is the row acted upon, or a word for what has no row. The patient is taken from `patient_ref`, else
    from the subject: a patient's `ref`, `subject.patient.ref` or `subject.patient_ref`. Raises RuntimeError outside a
    transaction: an act and its trace stand or fall together.
    """
    event = trace(action=action, subject=subject, by=by, at=at, outcome=outcome, patient_ref=patient_ref, **detail)
    record_all([event])
    return event


def record_all(events: Iterable[AuditEvent]) -> None:
    """The audit trail holds all these acts, in the order given: one statement, however many they are.

    Raises RuntimeError outside a transaction, as `record` does.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("record() outside a transaction: the act and its trace must stand or fall together.")
    insert(list(events))


def trace(
    *,
    action: str,
    subject: models.Model | str,
    by: Actor,
    at: datetime,
    outcome: Outcome = Outcome.DONE,
    patient_ref: uuid.UUID | None = None,
    **detail: object,
) -> AuditEvent:
    """Return the event of an act, for `record_all`; nothing is stored yet."""
    if isinstance(subject, models.Model):
        subject_type, subject_id = subject._meta.model_name or "", str(getattr(subject, "ref", None) or subject.pk)
        patient_ref = patient_ref or _patient_ref(subject)
    else:
        subject_type, _, subject_id = subject.partition(":")
    return AuditEvent(
        at=at,
        actor_kind=by.kind,
        actor_id=by.id,
        actor_name=by.name[:200],
        action=action,
        subject_type=subject_type,
        subject_id=subject_id,
        patient_ref=patient_ref,
        outcome=outcome,
        detail={key: _plain(value) for key, value in detail.items()},
    )


def _patient_ref(subject: models.Model) -> uuid.UUID | None:
    if subject._meta.model_name == "patient":
        return subject.ref  # type: ignore[attr-defined,no-any-return]
    patient = getattr(subject, "patient", None)
    return getattr(patient, "ref", None) or getattr(subject, "patient_ref", None)


def _plain(value: object) -> object:
    """Return the value as JSON can hold it; rows become their public ref."""
    if isinstance(value, models.Model):
        return str(getattr(value, "ref", None) or value.pk)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, Decimal)):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    return value
