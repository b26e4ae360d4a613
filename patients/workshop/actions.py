"""Drafting, checking and publishing the clinic's rules, and looking at current patients by a new version."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.packfile import PackError
from clinic.packs.actions import approve_and_publish, change_draft, draft_from
from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.states import Role
from clinic.transitions import lock
from clinic.worklist.actions import raise_task
from patients.candidacy.actions import screen_response
from patients.candidacy.models import Screening
from patients.candidacy.queries import PACK_NAME, compiled, standing_decision
from patients.candidacy.rules import screen
from patients.candidacy.states import DecisionStatus, FlagStatus
from patients.intake.queries import questionnaire_of
from patients.registry.models import Patient
from patients.workshop.queries import check_text, editable_kinds, file_name, not_yet_applied, screenings_to_look_at
from patients.workshop.states import NotChangedHere, TextRefused
from patients.workshop.trial import gist_of

log = logging.getLogger(__name__)

# So many screenings are looked at while the person who published waits; more are left to a worker.
FEW = 200
BATCH = 200
LOOK_WITHIN = timedelta(days=1)


@dataclass
class Rescreened:
    """What a new version meant for current patients.

    `unreadable`: their answers are to an older questionnaire. `failed`: looking at them broke off, and nothing of it
    stayed; clinicians have a task to look by hand.
    """

    patients: int = 0
    changed: int = 0
    reopened: int = 0
    unreadable: int = 0
    failed: int = 0

    def add(self, other: Rescreened) -> None:
        self.patients += other.patients
        self.changed += other.changed
        self.reopened += other.reopened
        self.unreadable += other.unreadable
        self.failed += other.failed


# --- a version, from draft to publication -----------------------------------------------------------------------------


@transaction.atomic
def start_draft(*, pack: RulePack, by: Actor, at: datetime) -> RulePack:
    """The author has an open draft that starts from this version.

    Raises NotChangedHere and what `draft_from` raises.
    """
    _editable(pack)
    return draft_from(pack=pack, by=by, at=at)


@transaction.atomic
def save_draft(*, pack: RulePack, body: str, shown: str, by: Actor, at: datetime) -> RulePack:
    """The draft has this text, which was read through by the engine: a stored draft can always be put in force.

    Raises NotChangedHere, TextRefused and what `change_draft` raises.
    """
    _editable(pack)
    _check(pack, body)
    return change_draft(pack=pack, body=body, shown=shown, by=by, at=at)


@transaction.atomic
def publish(*, pack: RulePack, shown: str, by: Actor, at: datetime) -> RulePack:
    """The draft that the approver read is in force. `rescreen` then looks at current patients.

    The text is checked once more, because the questionnaire may have changed since it was saved. Raises
    NotChangedHere, TextRefused and what `approve_and_publish` raises.
    """
    _editable(pack)
    fresh = lock(pack)
    _check(fresh, fresh.body)
    return approve_and_publish(pack=fresh, shown=shown, by=by, at=at)


def _editable(pack: RulePack) -> None:
    if pack.kind not in editable_kinds():
        raise NotChangedHere


def _check(pack: RulePack, body: str) -> None:
    try:
        check_text(pack.kind, body, file_name(pack))
    except PackError as error:
        raise TextRefused(error, body) from error


# --- current patients by the new version ------------------------------------------------------------------------------


def rescreen(*, kind: PackKind, by: Actor, at: datetime) -> Rescreened | None:
    """Current patients are looked at by the version in force, at once if they are few.

    Returns None if they are many: the worker's next round finds them, because the version is not marked as applied.
    """
    row = published(PackKind.CANDIDACY, PACK_NAME)
    if kind != PackKind.CANDIDACY or screenings_to_look_at(row)[: FEW + 1].count() <= FEW:
        return rescreen_all(kind=kind, by=by, at=at)
    return None


def rescreen_all(*, kind: PackKind, by: Actor, at: datetime) -> Rescreened:
    """Each current patient of whom the version in force says something else than the last one is screened by it.

    Looked at are undecided screenings and those with a decision that can still lead to a treatment; see
    `screenings_to_look_at`. Each is compared as on its own reference day, so that only the rules can make a
    difference, not the time that passed. Where outcome, dates, findings and tasks stay, nothing is written and the
    record keeps the version it was made by. Where they differ, a new screening takes its place; what a decision had
    settled on the same answers stays settled, what is new is an open flag, which holds the visit, and clinicians have
    one task per patient. The earlier screening and the decision stay as they were.

    One transaction per patient, so that no patient waits for all, and one that fails does so alone. A round that is cut
    short goes on where it stopped; two rounds at once do the same work and write it once. Other kinds of knowledge are
    in force for whatever is written next and need no second look.
    """
    done = Rescreened()
    while (some := rescreen_some(kind=kind, by=by, at=at)) is not None:
        done.add(some)
    return done


def rescreen_some(*, kind: PackKind, by: Actor, at: datetime, limit: int = BATCH) -> Rescreened | None:
    """The next patients are looked at by the version in force, see `rescreen_all`; None when nobody is left."""
    row = not_yet_applied() if kind == PackKind.CANDIDACY else None
    if row is None:
        return None
    ahead = screenings_to_look_at(row).filter(patient_id__gt=row.applied_to)
    patients = list(ahead.order_by("patient_id").values_list("patient_id", flat=True).distinct()[:limit])
    done = Rescreened()
    for patient_id in patients:
        done.add(_rescreen_alone(Patient(pk=patient_id), row, by, at))
    _applied(row, patients[-1] if patients else row.applied_to, done, len(patients) < limit, by, at)
    return done


def _rescreen_alone(patient: Patient, row: RulePack, by: Actor, at: datetime) -> Rescreened:
    """The patient is screened anew, or is as before with a task for clinicians: the others are not kept waiting.

    Every failure counts, because one patient's odd record must not hide what the new rules say of all after them.
    If not even the task can be written, the round ends here and the next one begins again with this batch.
    """
    try:
        return rescreen_patient(patient=patient, row=row, by=by, at=at)
    except SoftTimeLimitExceeded:
        raise
    except Exception:
        log.exception("Patient %s could not be screened by %s", patient.pk, row)
    with transaction.atomic():
        person = lock(patient)
        _ask(person, row, "failed", "Look at {} again: the new rules could not be applied", by, at)
        record(action="rulepack.not_applied", subject=row, by=by, at=at, patient=str(person.ref))
    return Rescreened(patients=1, failed=1)


@transaction.atomic
def rescreen_patient(*, patient: Patient, row: RulePack, by: Actor, at: datetime) -> Rescreened:
    """One patient's current screenings are those of this version, wherever it says something else.

    Clinicians have one task if a decision does not cover what was found, or waits for a second clinician no longer;
    and one if the answers are to a questionnaire that does not ask what the rules now read.
    """
    person = lock(patient)
    reopened: list[Screening] = []
    done = Rescreened(patients=1)
    mine = screenings_to_look_at(row).filter(patient=person)
    for screening in mine.select_related("response__pack").order_by("pk"):
        try:
            pack = compiled(row, questionnaire_of(screening.response))
        except PackError:
            done.unreadable = 1
            continue
        result = screen(screening.answers, pack, screening.modality, screening.reference_on)
        if gist_of(result.as_dict()) == gist_of(screening.result):
            continue
        done.changed = 1
        standing = standing_decision(person, screening.modality)
        fresh = screen_response(
            response=screening.response,
            modality=screening.modality,
            reference_on=screening.reference_on,
            by=by,
            at=at,
        )
        waited = standing is not None and standing.status == DecisionStatus.AWAITING_COSIGN
        if standing and (waited or fresh.flags.filter(status=FlagStatus.OPEN).exists()):
            reopened.append(fresh)
    if reopened:
        done.reopened = 1
        _ask(person, row, f"screening:{reopened[0].ref}", "Decide again about {}: the rules changed", by, at)
    if done.unreadable:
        _ask(person, row, "answers", "Ask {} to fill in today’s questionnaire", by, at)
    return done


def _ask(patient: Patient, row: RulePack, about: str, title: str, by: Actor, at: datetime) -> None:
    """One task for clinicians. Neither title nor reason says what was found: it stands in the chart."""
    what = about.partition(":")[0]
    why = {
        "screening": f"{row} finds something that the decision did not settle. Visits are held until it is settled.",
        "answers": f"{row} asks for answers that the questionnaire of the time did not have. The record is as it was.",
        "failed": f"{row} could not be applied to this patient by itself. The record is as it was: look by hand.",
    }
    raise_task(
        key=f"rescreen:{what}:{row.ref}:{patient.ref}",
        kind="candidacy.answers" if what == "answers" else "candidacy.review",
        title=title.format(patient.full_name[:150]),
        why=why[what],
        role=Role.CLINICIAN,
        location=patient.location,
        due_at=at + LOOK_WITHIN,
        patient_ref=patient.ref,
        about=about if what == "screening" else f"patient:{patient.ref}",
        by=by,
        at=at,
    )


@transaction.atomic
def _applied(row: RulePack, up_to: int, done: Rescreened, is_all: bool, by: Actor, at: datetime) -> None:
    fresh = lock(row)
    fresh.applied_to = max(fresh.applied_to, up_to)
    fresh.applied_at = fresh.applied_at or (at if is_all else None)
    fresh.save(update_fields=["applied_to", "applied_at"])
    record(action="rulepack.applied", subject=fresh, by=by, at=at, is_all=is_all, **vars(done))
