"""Check-ins that nobody answers: asked once more, then not heard from. Silence is a signal too."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.transitions import move
from clinic.worklist.actions import drop_task, raise_task
from clinic.worklist.models import Task
from patients.messaging.actions import queue_message, withdraw
from patients.messaging.models import Message
from patients.messaging.rules import WantedMessage
from patients.messaging.silence import why_silent
from patients.messaging.states import Channel, Purpose
from patients.registry.states import LinkScope
from treatments.aftercare.alarms import each_alone
from treatments.aftercare.models import CheckIn
from treatments.aftercare.queries import SILENCE_TASK
from treatments.aftercare.states import CheckInStatus

logger = logging.getLogger(__name__)


def nudge_checkins(*, by: Actor, at: datetime) -> int:
    """Whoever has not answered an early check-in was asked once more. Returns how many. Safe twice."""
    due = CheckIn.objects.filter(status=CheckInStatus.PLANNED, nudge_at__lte=at, silent_at__gt=at).order_by("nudge_at")
    return sum(each_alone(_nudge, pk, by, at) for pk in list(due.values_list("pk", flat=True)))


def _nudge(pk: int, by: Actor, at: datetime) -> bool:
    checkin = CheckIn.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=pk).first()
    if checkin is None or checkin.status != CheckInStatus.PLANNED or checkin.nudge_at is None:
        return False
    checkin.nudge_at = None
    checkin.save(update_fields=["nudge_at"])
    if checkin.patient.is_silent:
        return True
    asked = Message.objects.filter(about=checkin.session.about, step=checkin.step).order_by("-revision").first()
    queue_message(
        patient=checkin.patient,
        location=checkin.location,
        about=checkin.about,
        wanted=WantedMessage(
            step="nudge",
            purpose=Purpose.CHECKIN,
            channel=Channel(asked.sent_channel or asked.channel) if asked else Channel.EMAIL,
            template="checkin_nudge",
            context={},
            due_at=at,
            not_after=checkin.silent_at,
            important=False,
            link_scope=LinkScope.CHECKIN.value,
            link_about=checkin.about,
            note="No answer yet.",
        ),
        by=by,
        at=at,
    )
    return True


def note_missed_checkins(*, by: Actor, at: datetime) -> int:
    """Every check-in unanswered for too long is marked as not heard from; early ablative ones make a call task.

    Returns how many. Safe twice.
    """
    due = CheckIn.objects.filter(status=CheckInStatus.PLANNED, silent_at__lte=at).order_by("silent_at")
    return sum(each_alone(_note_silence, pk, by, at) for pk in list(due.values_list("pk", flat=True)))


def _note_silence(pk: int, by: Actor, at: datetime) -> bool:
    checkin = CheckIn.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=pk).first()
    if checkin is None or checkin.status != CheckInStatus.PLANNED or checkin.silent_at > at:
        return False
    if silent := why_silent(checkin.patient):
        move(checkin, CheckInStatus.CANCELLED, by=by, at=at, reason=silent)
        return True
    checkin = move(checkin, CheckInStatus.MISSED, by=by, at=at)
    if checkin.call_if_silent:
        raise_task(
            key=_silence_key(checkin),
            kind=SILENCE_TASK,
            title=f"Call {checkin.patient}: not heard from on day {checkin.day}",
            why="An early check-in was not answered. Silence is a signal: call today.",
            role=Role.CLINICIAN,
            location=checkin.location,
            due_at=checkin.silent_at,
            patient_ref=checkin.patient.ref,
            about=checkin.about,
            by=by,
            at=at,
        )
    return True


def end_silence(checkin: CheckIn, by: Actor, at: datetime) -> None:
    """The patient is heard: nobody need call, and no reminder of ours goes out any more."""
    task = Task.objects.unfinished().filter(key=_silence_key(checkin)).first()
    if task is not None:
        drop_task(task=task, reason="The patient has answered.", by=by, at=at)
    try:  # extra, like paging: whatever goes wrong with it costs no alarm
        with transaction.atomic():
            withdraw(about=checkin.about, reason="The patient has answered.", by=by, at=at)
    except Exception:
        logger.exception("A message could not be taken back.")


def _silence_key(checkin: CheckIn) -> str:
    return f"{SILENCE_TASK}:{checkin.ref}"
