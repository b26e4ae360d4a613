"""The work a decision does, and its undoing: flags, tasks, the word to the patient. Called by acts, within theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.transitions import move
from clinic.worklist.actions import drop_task, finish_task, raise_task
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.queries import (
    decision_in_force,
    work_of,
)
from patients.candidacy.rules import Task as PackTask
from patients.candidacy.states import (
    TASKS,
    ConditionWork,
    DecisionKind,
    DecisionStatus,
    FlagStatus,
    ScreeningStatus,
)
from patients.messaging.actions import queue_message, withdraw
from patients.messaging.models import Message
from patients.messaging.rules import UNDO, WantedMessage
from patients.messaging.states import UNSENT, Channel, Purpose
from patients.registry.models import Patient
from patients.registry.states import ContactKind, LinkScope

# How long the clinic gives itself; a visit that comes earlier shows them as missing anyway.
COSIGN_WITHIN = timedelta(days=1)
CONDITIONS_WITHIN = timedelta(days=7)
TELL_WITHIN = timedelta(days=7)
# Tasks that ask a clinician to look at somebody's answers: a decision finishes them all.
REVIEW, EXPIRED = "candidacy.review", "candidacy.expired"
# Outcomes of a task after which the treatment does not go on: the decision is taken back instead.
STOPS = frozenset({"read_not_ok"})

Condition = Mapping[str, object]


def all_conditions(own: Sequence[dict[str, object]], needed: Iterable[PackTask]) -> list[dict[str, object]]:
    """Return what must be done before treatment: the rules' own tasks first, then what the clinician added."""
    asked = [
        {
            "key": task.key,
            "text": f"{task.label}. {task.text}",
            "told": "",
            "work": ConditionWork.BEFORE.value,
            "blocks": True,
            "closes_with": list(task.closes_with),
        }
        for task in needed
    ]
    known = {each["key"] for each in asked}
    return [*asked, *(each for each in own if each["key"] not in known)]


def end_current(patient: Patient, modality: str, by: Actor, at: datetime) -> None:
    earlier = decision_in_force(patient, modality)
    if earlier is not None:
        move(earlier, DecisionStatus.SUPERSEDED, by=by, at=at)
        _undo_work(earlier, "A newer decision took its place.", by, at)
        # The newer decision settles them itself: what it settled must not hang on one that no longer counts.
        open_again(patient, modality, by, at)


def open_again(patient: Patient, modality: str, by: Actor, at: datetime) -> None:
    current = current_screening(patient, modality)
    if current is not None:
        for flag in current.flags.filter(status=FlagStatus.CLOSED):
            move(flag, FlagStatus.OPEN, by=by, at=at, closed_by=None)


def take_back(decision: CandidacyDecision, reason: str, by: Actor, at: datetime) -> CandidacyDecision:
    # The reason can tell of health, so it is sealed in the row and not repeated in the trail.
    fresh = move(
        decision, DecisionStatus.WITHDRAWN, by=by, at=at, withdrawn_at=at, withdrawn_by=by.name, withdrawn_reason=reason
    )
    _undo_work(fresh, "The decision was taken back.", by, at)
    return fresh


def _undo_work(decision: CandidacyDecision, reason: str, by: Actor, at: datetime) -> None:
    for task in Task.objects.unfinished().filter(about=f"decision:{decision.ref}"):
        drop_task(task=task, reason=reason, by=by, at=at)
    later = CandidacyDecision.objects.in_force().filter(patient=decision.patient, decided_at__gte=decision.decided_at)
    if decision.kind == DecisionKind.DEFER or not later.exclude(pk=decision.pk).exists():
        withdraw(about=f"decision:{decision.ref}", reason=reason, by=by, at=at)


def take_effect(decision: CandidacyDecision, by: Actor, at: datetime) -> None:
    """The decision closes its flags, raises its tasks and tells the patient, kindly and without a diagnosis."""
    for flag in decision.screening.flags.filter(status=FlagStatus.OPEN):
        move(flag, FlagStatus.CLOSED, by=by, at=at, closed_by=decision)
    raise_tasks(decision, decision.conditions, by, at)
    if decision.kind == DecisionKind.TEST_SPOT_FIRST:
        _desk_task(decision, "test_spot_visit", "Book a test spot for {}", at + CONDITIONS_WITHIN, by, at)
    if decision.kind == DecisionKind.DEFER and decision.earliest_on:
        zone = decision.patient.location.zone
        due_at = datetime.combine(decision.earliest_on, time(9), tzinfo=zone)
        _desk_task(decision, "recall", "Invite {} again: the waiting time is over", due_at, by, at)
    if decision.kind == DecisionKind.REFER:
        _ask_for_letter(decision, by, at)
    _tell_patient(decision, by, at)


def raise_tasks(decision: CandidacyDecision, conditions: Iterable[Condition], by: Actor, at: datetime) -> None:
    patient = decision.patient
    for condition in conditions:
        if work_of(condition) not in TASKS:
            continue
        text, closes_with = str(condition["text"]), condition["closes_with"]
        raise_task(
            key=f"decision:{decision.ref}:{condition['key']}",
            kind=f"candidacy.{condition['key']}" if closes_with else "candidacy.condition",
            title=f"{text.partition('. ')[0][:100]}: {patient.full_name[:90]}",
            why=text,
            role=Role.CLINICIAN,
            location=patient.location,
            due_at=at + CONDITIONS_WITHIN,
            patient_ref=patient.ref,
            about=f"decision:{decision.ref}",
            blocks_treatment=bool(condition["blocks"]),
            modality=decision.modality,
            closes_with=[word for word in closes_with if word not in STOPS] if isinstance(closes_with, list) else [],
            by=by,
            at=at,
        )


def _desk_task(decision: CandidacyDecision, what: str, title: str, due_at: datetime, by: Actor, at: datetime) -> None:
    """The desk has something to arrange; the title says nothing of why."""
    raise_task(
        key=f"decision:{decision.ref}:{what}",
        kind=f"candidacy.{what}",
        title=title.format(decision.patient.full_name[:120]),
        role=Role.FRONT_DESK,
        location=decision.patient.location,
        due_at=due_at,
        patient_ref=decision.patient.ref,
        about=f"decision:{decision.ref}",
        modality=decision.modality,
        by=by,
        at=at,
    )


def _ask_for_letter(decision: CandidacyDecision, by: Actor, at: datetime) -> None:
    raise_task(
        key=f"decision:{decision.ref}:referral",
        kind="candidacy.referral",
        title=f"Write the referral for {decision.patient.full_name[:150]}",
        why="Say to whom and when it went: the patient has read that we get in touch about where and when.",
        role=Role.CLINICIAN,
        location=decision.patient.location,
        due_at=at + CONDITIONS_WITHIN,
        patient_ref=decision.patient.ref,
        about=f"decision:{decision.ref}",
        modality=decision.modality,
        by=by,
        at=at,
    )


def ask_for_second(decision: CandidacyDecision, by: Actor, at: datetime) -> None:
    raise_task(
        key=f"decision:{decision.ref}:cosign",
        kind="candidacy.cosign",
        title=f"A second clinician is needed for {decision.patient.full_name[:140]}",
        role=Role.CLINICIAN,
        location=decision.patient.location,
        due_at=at + COSIGN_WITHIN,
        patient_ref=decision.patient.ref,
        about=f"decision:{decision.ref}",
        modality=decision.modality,
        by=by,
        at=at,
    )


def finish_review(patient: Patient, by: Actor, at: datetime) -> None:
    for task in Task.objects.unfinished().filter(kind__in=[REVIEW, EXPIRED], patient_ref=patient.ref):
        finish_task(task=task, outcome="Decided.", by=by, at=at)


def _tell_patient(decision: CandidacyDecision, by: Actor, at: datetime) -> None:
    patient = decision.patient
    deferred = decision.kind == DecisionKind.DEFER
    day = decision.earliest_on
    # Several lasers decided in one go: one message says that there is news.
    untold = Message.objects.filter(patient=patient, template="decision", status__in=UNSENT)
    if not deferred and untold.exists():
        return
    queue_message(
        patient=patient,
        location=patient.location,
        about=f"decision:{decision.ref}",
        wanted=WantedMessage(
            step="decision",
            purpose=Purpose.CARE,
            channel=Channel.SMS if patient.preferred_channel == ContactKind.PHONE else Channel.EMAIL,
            template="deferred" if deferred else "decision",
            context={"when_local": f"{day.day} {day:%B %Y}"} if deferred and day else {},
            due_at=at + UNDO,
            not_after=at + TELL_WITHIN,
            important=True,
            link_scope=LinkScope.DECISION,
            link_about=f"decision:{decision.ref}",
        ),
        by=by,
        at=at,
    )


def local_day(patient: Patient, at: datetime) -> date:
    return at.astimezone(patient.location.zone).date()


def current_screening(patient: Patient, modality: str) -> Screening | None:
    return patient.screenings.filter(modality=modality, status=ScreeningStatus.CURRENT).first()
