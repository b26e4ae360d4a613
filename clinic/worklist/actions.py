"""Raising, taking and finishing tasks."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.premises.models import Location
from clinic.staff.states import Role
from clinic.transitions import move
from clinic.worklist.models import Task
from clinic.worklist.states import ENDS_WITH_ITS_WORK, TaskStatus


class EndsWithItsWork(Refused):
    """A task that only the work it stands for may end: ticking it off would hide what is still open."""

    sentence = "This is done where it leads to, and is then done here by itself."


class OutcomeMissing(Refused):
    """A task that blocks a treatment cannot be ticked off without saying what was decided."""

    sentence = "Please say what was decided."


@transaction.atomic
def raise_task(
    *,
    key: str,
    kind: str,
    title: str,
    role: Role,
    location: Location,
    due_at: datetime,
    by: Actor,
    at: datetime,
    why: str = "",
    patient_ref: uuid.UUID | None = None,
    about: str = "",
    blocks_treatment: bool = False,
    modality: str = "",
    closes_with: Sequence[str] = (),
) -> Task:
    """The task stands on the list of the role. The same key twice is the same task, left as it is.

    `closes_with` are the words one of which the outcome must begin with, followed by a colon and the reason.
    """
    task, created = Task.objects.get_or_create(
        key=key,
        defaults={
            "kind": kind,
            "title": title,
            "why": why,
            "role": role,
            "location": location,
            "due_at": due_at,
            "created_at": at,
            "patient_ref": patient_ref,
            "about": about,
            "blocks_treatment": blocks_treatment,
            "modality": modality,
            "closes_with": list(closes_with),
        },
    )
    if created:
        record(action="task.requested", subject=task, by=by, at=at, patient_ref=patient_ref, kind=kind)
    return task


@transaction.atomic
def take_task(*, task: Task, by: Actor, at: datetime) -> Task:
    """The task has a named owner. Raises IllegalMove if somebody else was quicker."""
    return move(task, TaskStatus.ACCEPTED, by=by, at=at, owner_id=by.user_id)


@transaction.atomic
def give_back_task(*, task: Task, by: Actor, at: datetime) -> Task:
    """The task waits for anyone of its role again."""
    return move(task, TaskStatus.REQUESTED, by=by, at=at, owner=None)


@transaction.atomic
def finish_task(*, task: Task, outcome: str, by: Actor, at: datetime) -> Task:
    """The task is done, by a named person, with what came of it. Raises OutcomeMissing, IllegalMove."""
    if task.blocks_treatment and not outcome.strip():
        raise OutcomeMissing(field="outcome")
    choice, _, reason = outcome.partition(":")
    if task.closes_with and (choice.strip() not in task.closes_with or not reason.strip()):
        words = ", ".join(task.closes_with)
        raise OutcomeMissing(f"Please write one of: {words}; then a colon and the reason.", field="outcome")
    return move(
        task, TaskStatus.COMPLETED, by=by, at=at, done_at=at, done_by_id=by.user_id, outcome=outcome.strip()[:400]
    )


@transaction.atomic
def finish_by_hand(*, task: Task, outcome: str, by: Actor, at: datetime) -> Task:
    """Somebody ticked the task off. Raises EndsWithItsWork, and what `finish_task` raises."""
    if task.kind in ENDS_WITH_ITS_WORK:
        raise EndsWithItsWork(field="outcome")
    return finish_task(task=task, outcome=outcome, by=by, at=at)


@transaction.atomic
def reopen_task(*, task: Task, by: Actor, at: datetime) -> Task:
    """A task ticked off by mistake is on the list again."""
    return move(task, TaskStatus.REQUESTED, by=by, at=at, done_at=None, done_by=None, outcome="")


@transaction.atomic
def drop_task(*, task: Task, reason: str, by: Actor, at: datetime) -> Task:
    """The task is no longer needed, and says why."""
    return move(task, TaskStatus.CANCELLED, by=by, at=at, reason=reason, outcome=reason[:400])
