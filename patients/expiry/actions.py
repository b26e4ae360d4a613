"""Answers that grew too old: what used them is open again, and a clinician knows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.transitions import lock
from clinic.worklist.actions import raise_task
from clinic.worklist.models import Task
from patients.candidacy.actions import EXPIRED, screen_response
from patients.candidacy.models import Screening
from patients.candidacy.queries import standing_decision
from patients.candidacy.states import DecisionStatus, FlagStatus
from patients.expiry.queries import may_have_expired
from patients.intake.queries import expired_keys
from patients.registry.models import Patient

log = logging.getLogger(__name__)

BATCH = 200
LOOK_WITHIN = timedelta(days=1)
NOT_DONE = "candidacy.expiry"


@dataclass
class Expired:
    """How many patients were looked at, of how many something grew old, and what came of it."""

    patients: int = 0
    changed: int = 0
    reopened: int = 0
    failed: int = 0

    def add(self, other: Expired) -> None:
        self.patients += other.patients
        self.changed += other.changed
        self.reopened += other.reopened
        self.failed += other.failed


def expire_all(*, by: Actor, at: datetime) -> Expired:
    """Every answer that is too old today, where its patient is treated, counts as unknown; see `expire_answers`."""
    done, after = Expired(), 0
    while True:
        some, after = expire_some(after=after, by=by, at=at)
        done.add(some)
        if not after:
            return done


def expire_some(*, after: int, by: Actor, at: datetime, limit: int = BATCH) -> tuple[Expired, int]:
    """The next patients are seen to. Returns what came of it and whom to go on behind, 0 when nobody is left."""
    ahead = may_have_expired(at).filter(patient_id__gt=after).order_by("patient_id")
    patients = list(ahead.values_list("patient_id", flat=True).distinct()[:limit])
    done = Expired()
    for patient_id in patients:
        done.add(_expire_alone(Patient(pk=patient_id), by, at))
    return done, patients[-1] if len(patients) == limit else 0


def _expire_alone(patient: Patient, by: Actor, at: datetime) -> Expired:
    """The patient is seen to, or is as before with a task for clinicians: the others are not kept waiting."""
    try:
        return expire_answers(patient=patient, by=by, at=at)
    except SoftTimeLimitExceeded:
        raise
    except Exception:
        log.exception("Answers of patient %s could not be looked at", patient.pk)
    _tell_not_done(patient=patient, by=by, at=at)
    return Expired(patients=1, failed=1)


@transaction.atomic
def expire_answers(*, patient: Patient, by: Actor, at: datetime) -> Expired:
    """What the patient said too long ago counts as unknown in each current screening that still matters.

    Where that changes what the rules say, a new screening takes the place of the one before. What a decision settled
    on other answers stays settled; what used the old answer is an open flag, which holds the visit, and clinicians
    have one task. The answers, the earlier screening and the decision stay as they were. Twice is once.
    """
    person = lock(patient)
    today = at.astimezone(person.location.zone).date()
    done = Expired(patients=1)
    reopened: list[Screening] = []
    for screening in may_have_expired(at).filter(patient=person).select_related("response__pack").order_by("pk"):
        newly = expired_keys(screening.response, today).difference(screening.expired)
        if not newly:
            continue
        standing = standing_decision(person, screening.modality)
        fresh = screen_response(
            response=screening.response,
            modality=screening.modality,
            reference_on=screening.reference_on,
            by=by,
            at=at,
        )
        if fresh == screening:
            continue  # no rule for this laser reads it
        done.changed = 1
        record(action="answers.expired", subject=fresh, by=by, at=at, questions=sorted(newly))
        waited = standing is not None and standing.status == DecisionStatus.AWAITING_COSIGN
        if standing and (waited or fresh.flags.filter(status=FlagStatus.OPEN).exists()):
            reopened.append(fresh)
    if reopened:
        done.reopened = 1
        _tell(person, reopened[0], by, at)
    return done


def _tell(patient: Patient, screening: Screening, by: Actor, at: datetime) -> None:
    """One task for clinicians. Neither title nor reason says what was answered: it stands in the chart."""
    raise_task(
        key=f"expired:{screening.ref}",
        kind=EXPIRED,
        title=f"Ask {patient.full_name[:150]} again: some answers are too old",
        why="A decision rests on them. Visits are held until they are given or confirmed again, or decided anew.",
        role=Role.CLINICIAN,
        location=patient.location,
        due_at=at + LOOK_WITHIN,
        patient_ref=patient.ref,
        about=f"screening:{screening.ref}",
        by=by,
        at=at,
    )


@transaction.atomic
def _tell_not_done(*, patient: Patient, by: Actor, at: datetime) -> None:
    """Clinicians have one open task to look by hand, however often it fails."""
    person = lock(patient)
    if Task.objects.unfinished().filter(kind=NOT_DONE, patient_ref=person.ref).exists():
        return
    raise_task(
        key=f"expiry:failed:{person.ref}:{at:%Y-%m-%d-%H}",
        kind=NOT_DONE,
        title=f"Look at {person.full_name[:150]}: the age of the answers could not be checked",
        why="Some answers may be too old to count. The record is as it was: look by hand.",
        role=Role.CLINICIAN,
        location=person.location,
        due_at=at + LOOK_WITHIN,
        patient_ref=person.ref,
        about=f"patient:{person.ref}",
        by=by,
        at=at,
    )
