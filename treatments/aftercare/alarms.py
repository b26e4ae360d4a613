"""Alarms: somebody's from the first second, climbing until one takes it, closed only with an outcome."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.urls import reverse

from clinic.audit.actions import record as record_event
from clinic.audit.states import Actor, Refused
from clinic.premises.models import Location
from clinic.staff.models import User
from clinic.staff.states import Permission, Role
from clinic.transitions import lock, move
from clinic.worklist.actions import finish_task, raise_task
from clinic.worklist.models import Task
from patients.messaging.actions import alert_staff
from patients.registry.models import Patient
from patients.replies.models import Conversation
from treatments.aftercare import rules
from treatments.aftercare.models import CheckIn, CheckInAnswer, Escalation
from treatments.aftercare.queries import calendar_of, ladder
from treatments.aftercare.states import (
    AlreadyTaken,
    EscalationOutcome,
    EscalationStatus,
    Level,
    MayNotAnswerAlarms,
    NotYourAlarm,
    OutcomeMissing,
    at_least,
)
from treatments.sessions.readiness import ALARM_TASK

logger = logging.getLogger(__name__)


# After the first clock has run out each next person gets as long again, but never longer than this.
NEXT_RUNG = timedelta(hours=1)


def raise_alarm(checkin: CheckIn, answer: CheckInAnswer, result: rules.Triage, by: Actor, at: datetime) -> Escalation:
    """An alarm stands that a named person is asked to take. A storm of answers to one check-in is one alarm."""
    location = checkin.location
    deadline = rules.act_by(result, at, calendar_of(location)) or at
    standing = _standing_alarm(checkin, result.level)
    if standing is not None:
        return _add_to_alarm(standing, deadline, answer, by, at)
    return open_alarm(checkin.patient, location, result.level, deadline, by, at, checkin=checkin)


def open_alarm(
    patient: Patient,
    location: Location,
    level: str,
    deadline: datetime,
    by: Actor,
    at: datetime,
    *,
    checkin: CheckIn | None = None,
    conversation: Conversation | None = None,
) -> Escalation:
    """A new alarm stands, for an answer or a text: who is on call is asked, the next treatment waits for its end."""
    asked = ladder(location, at)
    alarm = Escalation.objects.create(
        patient=patient,
        location=location,
        checkin=checkin,
        conversation=conversation,
        level=level,
        raised_at=at,
        act_by=deadline,
        asked=asked.rung(1),
        fault=asked.fault,
        climbs_at=rules.halfway(at, deadline),
    )
    record_event(action="escalation.raised", subject=alarm, by=by, at=at, level=alarm.level, asked=alarm.asked)
    _block_next_treatment(alarm, by, at)
    return page(alarm, f"page_{alarm.rung}_{alarm.pages}", by, at)


def _standing_alarm(checkin: CheckIn, level: Level) -> Escalation | None:
    """Return the unfinished alarm of the check-in that is at least as urgent, if there is one."""
    rows = Escalation.objects.unfinished().filter(checkin=checkin).select_for_update(no_key=True).order_by("id")
    return next((row for row in rows if at_least(row.level, level)), None)


def _add_to_alarm(alarm: Escalation, deadline: datetime, answer: CheckInAnswer, by: Actor, at: datetime) -> Escalation:
    if deadline < alarm.act_by:
        alarm.act_by = deadline
        alarm.climbs_at = min(alarm.climbs_at, rules.halfway(at, deadline))
        alarm.save(update_fields=["act_by", "climbs_at"])
    record_event(action="escalation.answered_again", subject=alarm, by=by, at=at, level=answer.level)
    return page(alarm, f"again_{answer.pk}", by, at, to=alarm.owner)


def _block_next_treatment(alarm: Escalation, by: Actor, at: datetime) -> None:
    raise_task(
        key=_alarm_key(alarm),
        kind=ALARM_TASK,
        title=f"Close the alarm of {alarm.patient.full_name[:130]} before the next treatment",
        role=Role.CLINICIAN,
        location=alarm.location,
        due_at=alarm.act_by,
        patient_ref=alarm.patient.ref,
        about=alarm.about,
        blocks_treatment=True,
        by=by,
        at=at,
    )


def _alarm_key(alarm: Escalation) -> str:
    return f"{ALARM_TASK}:{alarm.ref}"


def page(alarm: Escalation, step: str, by: Actor, at: datetime, to: User | None = None) -> Escalation:
    """The person whose turn it is gets a letter. It is extra: whatever goes wrong with it, the alarm stands."""
    person = to or alarm.asked
    if person is None:
        return alarm
    try:
        with transaction.atomic():
            alert_staff(
                user=person,
                location=alarm.location,
                about=alarm.about,
                step=step,
                template="alarm",
                context={"link": settings.PUBLIC_URL + reverse("alarm", args=[alarm.ref])},
                by=by,
                at=at,
            )
    except Exception as error:
        logger.exception("Paging for an alarm failed.")
        said = f"{person} could not be paged ({type(error).__name__}). Tell them yourself."
        alarm.fault = f"{alarm.fault} {said}".strip()[:200]
        alarm.save(update_fields=["fault"])
    return alarm


@transaction.atomic
def acknowledge(*, escalation: Escalation, by: Actor, at: datetime) -> Escalation:
    """The alarm is this person's: it stops climbing. Done twice by the same person it stays theirs.

    Raises AlreadyTaken with the owner's name, MayNotAnswerAlarms, IllegalMove once closed.
    """
    user = answering_clinician(by)
    fresh = lock(escalation)
    if fresh.status == EscalationStatus.ACKNOWLEDGED and fresh.owner is not None:
        if fresh.owner_id == user.pk:
            return fresh
        when = f"{fresh.acknowledged_at.astimezone(fresh.location.zone):%H:%M}" if fresh.acknowledged_at else ""
        raise AlreadyTaken(f"{fresh.owner} took it at {when}.")
    return move(fresh, EscalationStatus.ACKNOWLEDGED, by=by, at=at, owner=user, asked=user, acknowledged_at=at)


@transaction.atomic
def hand_over(*, escalation: Escalation, to: User, by: Actor, at: datetime) -> Escalation:
    """The alarm waits for the named person to take it; if they do not, it climbs on. Until then it stays the giver's.

    Raises NotYourAlarm, MayNotAnswerAlarms (also for a receiver who may not answer alarms there).
    """
    fresh = lock(escalation)
    _owner_or_lead(fresh, by)
    if not to.may(Permission.ANSWER_ALARMS) or not to.locations.filter(pk=fresh.location_id).exists():
        raise MayNotAnswerAlarms(f"{to} cannot take alarms here.", field="to")
    if to.pk == fresh.owner_id:
        raise NotYourAlarm(f"{to} has it already.", field="to")
    window = _rung_window(fresh)
    moved = move(
        fresh,
        EscalationStatus.OPEN,
        by=by,
        at=at,
        reason=f"handed to {to}",
        asked=to,
        pages=1,
        climbs_at=rules.halfway(at, at + window),
    )
    return page(moved, f"handed_{to.pk}_{int(at.timestamp())}", by, at)


@transaction.atomic
def close_escalation(*, escalation: Escalation, outcome: str, note: str, by: Actor, at: datetime) -> Escalation:
    """The alarm is closed with what came of it; the next treatment is no longer held up by it.

    Only its owner or a lead clinician, only with an outcome and a note. Raises OutcomeMissing, NotYourAlarm,
    IllegalMove.
    """
    fresh = lock(escalation)
    user = _owner_or_lead(fresh, by)
    if outcome not in EscalationOutcome.values:
        raise OutcomeMissing(field="outcome")
    if not note.strip():
        raise OutcomeMissing("Please write what was found and done.", field="note")
    closed = move(
        fresh,
        EscalationStatus.CLOSED,
        by=by,
        at=at,
        closed_at=at,
        closed_by=user,
        outcome=outcome,
        outcome_note=note.strip(),
    )
    task = Task.objects.unfinished().filter(key=_alarm_key(closed)).first()
    if task is not None:
        finish_task(task=task, outcome=EscalationOutcome(outcome).label, by=by, at=at)
    return closed


def answering_clinician(by: Actor) -> User:
    """Return who acts. Raises MayNotAnswerAlarms unless they may."""
    user = User.objects.filter(pk=by.user_id, is_active=True).first() if by.user_id is not None else None
    if user is None or not user.may(Permission.ANSWER_ALARMS):
        raise MayNotAnswerAlarms
    return user


def _owner_or_lead(alarm: Escalation, by: Actor) -> User:
    user = answering_clinician(by)
    if alarm.owner_id != user.pk and Role.LEAD_CLINICIAN not in user.roles:
        raise NotYourAlarm
    return user


def climb_due(*, by: Actor, at: datetime) -> int:
    """Every alarm nobody took in time has been paged again or has gone to the next person. Returns how many.

    At half of its clock the same person is paged again, at the end of it the next is asked. Each climbs by itself: one
    that fails never holds up another. Run twice for the same instant, the second changes nothing.
    """
    due = Escalation.objects.filter(status=EscalationStatus.OPEN, climbs_at__lte=at).order_by("climbs_at")
    return sum(each_alone(_climb, pk, by, at) for pk in list(due.values_list("pk", flat=True)))


def _climb(pk: int, by: Actor, at: datetime) -> bool:
    alarm = Escalation.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=pk).first()
    if alarm is None or alarm.status != EscalationStatus.OPEN or alarm.climbs_at > at:
        return False
    if alarm.pages == 1:
        alarm.pages, alarm.climbs_at = 2, _end_of_rung(alarm, at)
    else:
        asked = ladder(alarm.location, at)
        alarm.rung, alarm.pages = alarm.rung + 1, 1
        alarm.asked, alarm.fault = asked.rung(alarm.rung), asked.fault or _top_reached(alarm.rung, len(asked.people))
        alarm.climbs_at = rules.halfway(at, at + _rung_window(alarm))
    alarm.save(update_fields=["pages", "rung", "asked", "fault", "climbs_at"])
    record_event(
        action="escalation.paged_again" if alarm.pages == 2 else "escalation.climbed",
        subject=alarm,
        by=by,
        at=at,
        rung=alarm.rung,
        asked=alarm.asked,
    )
    page(alarm, f"page_{alarm.rung}_{alarm.pages}", by, at)
    return True


def _top_reached(rung: int, people: int) -> str:
    return "Everybody on call was asked and nobody has taken it: they are asked again." if rung > people else ""


def _rung_window(alarm: Escalation) -> timedelta:
    """Return how long the person whose turn it is has: the alarm's clock, and no more than an hour after it ran out."""
    return min(alarm.act_by - alarm.raised_at, NEXT_RUNG)


def _end_of_rung(alarm: Escalation, at: datetime) -> datetime:
    """Return when the next person is asked: at the end of the clock; after that, half a turn from now."""
    return alarm.act_by if alarm.rung == 1 and alarm.act_by > at else at + _rung_window(alarm) / 2


def each_alone(act: Any, pk: int, by: Actor, at: datetime) -> bool:
    """Return whether the act changed something; its failure is logged and stays its own."""
    try:
        with transaction.atomic():
            return bool(act(pk, by, at))
    except (Refused, DatabaseError):
        logger.exception("%s failed for row %s.", act.__name__, pk)
        return False
