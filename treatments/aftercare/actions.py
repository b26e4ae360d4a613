"""Ending a treatment, answering check-ins, and alarms that somebody owns until they have an outcome."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.urls import reverse

from clinic.audit.actions import record as record_event
from clinic.audit.states import Actor, Refused
from clinic.catalogue.states import VisitKind
from clinic.packs.models import RulePack
from clinic.premises.models import Location
from clinic.staff.models import User
from clinic.staff.states import Permission, Role
from clinic.transitions import lock, move
from clinic.worklist.actions import drop_task, finish_task, raise_task
from clinic.worklist.models import Task
from patients.messaging.actions import alert_staff, queue_message, skip_message, withdraw
from patients.messaging.models import Message
from patients.messaging.rules import WantedMessage
from patients.messaging.states import UNSENT, Channel, Purpose
from patients.registry.states import LinkScope
from treatments.aftercare import rules
from treatments.aftercare.models import AdverseEvent, CheckIn, CheckInAnswer, Escalation
from treatments.aftercare.queries import (
    SILENCE_TASK,
    calendar_of,
    day_of,
    draft_of,
    graded,
    ladder,
    visit_after,
    vocabulary,
)
from treatments.aftercare.states import (
    ALARMING,
    RED,
    CheckInStatus,
    ClockKind,
    EscalationOutcome,
    EscalationStatus,
    Level,
    at_least,
)
from treatments.aftercare.vocabulary import Vocabulary
from treatments.booking.actions import mark_fulfilled
from treatments.courses.actions import note_treated
from treatments.plan.actions import protocol_in_force, reconcile_plan
from treatments.plan.clock import to_wall
from treatments.plan.rules import Visit, Wanted, merge_series, plan
from treatments.plan.states import Phase
from treatments.sessions.actions import complete_session
from treatments.sessions.models import TreatmentSession
from treatments.sessions.queries import ALARM_TASK

logger = logging.getLogger(__name__)

# Unanswered for so long, a check-in counts as not heard from, where the protocol names no call.
SILENCE = timedelta(hours=48)
# An adverse event below grade 3 is reviewed within a working day; no source gives a figure: the clinic's decision.
REVIEW_WITHIN = rules.Clock(ClockKind.WORKING_DAYS, 1)
# After the first clock has run out each next person gets as long again, but never longer than this.
NEXT_RUNG = timedelta(hours=1)


class NothingAnswered(Refused):
    sentence = "Please answer at least one question."


class NotYourAlarm(Refused):
    sentence = "Only its owner or a lead clinician can do this."


class MayNotAnswerAlarms(Refused):
    sentence = "Only a clinician can take an alarm."


class AlreadyTaken(Refused):
    """Somebody else took the alarm first."""


class BadEvent(Refused):
    """An adverse event in words, grades or dates that make no sense."""


class AlreadyReviewed(Refused):
    sentence = "This has been reviewed already."


class OutcomeMissing(Refused):
    """An alarm cannot be closed without saying what came of it."""

    sentence = "Please say what came of it."


@transaction.atomic
def finish_treatment(
    *,
    session: TreatmentSession,
    completed_at: datetime,
    record: Mapping[str, Any],
    by: Actor,
    at: datetime,
    stopped_reason: str = "",
) -> TreatmentSession:
    """The treatment is over: recorded, counted, its visit fulfilled, its check-ins and care messages planned.

    All of it or nothing. Day 0 is the true `completed_at`. An earlier treatment whose healing is still being followed
    hands over to this one: nobody is asked on two different days at once. Refusals are those of complete_session.
    """
    done = complete_session(
        session=session, completed_at=completed_at, record=record, stopped_reason=stopped_reason, by=by, at=at
    )
    visit = mark_fulfilled(appointment=done.appointment, by=by, at=at)
    note_treated(
        course=done.course, treated_at=completed_at, counts=visit.type.kind == VisitKind.TREATMENT, by=by, at=at
    )
    planned = visit_after(done)
    _take_over(done, planned, by, at)
    links = _plan_checkins(done, planned, at)
    reconcile_plan(
        about=done.about,
        patient=done.patient,
        location=visit.location,
        visit=planned,
        links=links,
        reason="the treatment is done",
        by=by,
        at=at,
    )
    return done


def _wanted_after(visit: Visit) -> list[Wanted]:
    """Return what the protocol says after the treatment; nothing for a laser without one."""
    protocol = protocol_in_force(visit)
    return [each for each in plan(visit, protocol) if each.phase != Phase.BEFORE] if protocol else []


def _plan_checkins(session: TreatmentSession, visit: Visit, at: datetime) -> dict[str, tuple[str, str]]:
    """The check-ins stand. Returns where the message of each step must lead: its scope and what it is about.

    One whose time had passed when the treatment was written down is not asked any more.
    """
    links: dict[str, tuple[str, str]] = {}
    protocol = protocol_in_force(visit)
    if protocol is None:
        return links
    ended_on = to_wall(session.completed_at or at, visit.clinic_clock).date()
    for wanted in _wanted_after(visit):
        if not wanted.checkin or wanted.not_after <= at:
            continue
        step = protocol.step(wanted.step)
        checkin, _ = CheckIn.objects.get_or_create(
            session=session,
            step=wanted.step,
            defaults={
                "patient": session.patient,
                "day": (to_wall(wanted.due_at, visit.clinic_clock).date() - ended_on).days
                if step.day is None
                else step.day,
                "due_at": wanted.due_at,
                "nudge_at": wanted.due_at + step.nudge_after if step.nudge_after else None,
                "silent_at": wanted.due_at + (step.call_after or SILENCE),
                "call_if_silent": step.call_after is not None,
                "wants_photo": wanted.photo,
            },
        )
        links[wanted.step] = (LinkScope.CHECKIN.value, checkin.about)
    return links


def _take_over(session: TreatmentSession, visit: Visit, by: Actor, at: datetime) -> None:
    """What earlier treatments had yet to say about healing, or ask as this one does too, is no longer said or asked."""
    later = _wanted_after(visit)
    earlier = TreatmentSession.objects.treated().filter(patient=session.patient, checkins__status=CheckInStatus.PLANNED)
    for other in earlier.exclude(pk=session.pk).distinct():
        mine = _wanted_after(visit_after(other))
        kept = {each.step for each in merge_series(mine, later, completed_at=session.completed_at) if each in mine}
        for checkin in other.checkins.filter(status=CheckInStatus.PLANNED).exclude(step__in=kept):
            move(checkin, CheckInStatus.CANCELLED, by=by, at=at, reason="a later treatment took over")
        waiting = Message.objects.filter(about=other.about, status__in=UNSENT).exclude(step__in=kept)
        for message in waiting.exclude(purpose=Purpose.NEWS):
            skip_message(message=message, reason="A later treatment's messages took over.", by=by, at=at)


@transaction.atomic
def save_checkin_answer(
    *, checkin: CheckIn, question: str, value: object, by: Actor, at: datetime
) -> CheckInAnswer | None:
    """One answer is saved as given. If it makes things worse by an urgent rule, it acts now, before the rest is given.

    Returns the incomplete set of answers that opened an alarm, else None.
    """
    fresh = lock(checkin)
    given = draft_of(fresh, at)
    before, _ = graded(fresh, given, at)
    given[question] = value
    after, _ = graded(fresh, given, at)
    fresh.draft = {"day": day_of(fresh.session, at), "answers": given}
    fresh.save(update_fields=["draft"])
    known = {match.rule for match in before.matched}
    if any(match.level in ALARMING and match.rule not in known for match in after.matched):
        return answer_checkin(checkin=fresh, answers=given, is_complete=False, by=by, at=at)
    return None


@transaction.atomic
def answer_checkin(
    *, checkin: CheckIn, answers: Mapping[str, Any], is_complete: bool, by: Actor, at: datetime
) -> CheckInAnswer:
    """The answers are kept and graded on the day they are given; an urgent one is somebody's before this returns.

    Answered twice, both sets stay and the latest counts; a better one closes no alarm. Nothing here needs a broker, a
    gateway or a network: the alarm is rows, and paging somebody is extra. Raises NothingAnswered.
    """
    if not answers:
        raise NothingAnswered
    fresh = lock(checkin)
    result, pack = graded(fresh, answers, at)
    answer = CheckInAnswer.objects.create(
        checkin=fresh,
        answers=dict(answers),
        triage=_as_stored(result, pack),
        level=result.level,
        day_answered=day_of(fresh.session, at),
        is_complete=is_complete,
        answered_at=at,
    )
    draft = None if is_complete else fresh.draft
    fresh = move(fresh, CheckInStatus.ANSWERED, by=by, at=at, answered_at=at, level=result.level, draft=draft)
    _end_silence(fresh, by, at)
    if result.level in ALARMING:
        _raise_alarm(fresh, answer, result, by, at)
    elif result.level == Level.ROUTINE:
        _ask_staff(fresh, answer, result, by, at)
    return answer


def _as_stored(result: rules.Triage, pack: RulePack) -> dict[str, object]:
    """Return the triage as it is sealed: with rules, texts and sources as they stood when it was made."""
    return {
        "level": result.level.value,
        "heading": result.heading,
        "advice": list(result.advice),
        "unreadable": list(result.unreadable),
        "pack": {"name": pack.name, "version": pack.version, "sha256": pack.sha256},
        "matched": [
            {
                "rule": match.rule,
                "level": match.level.value,
                "answers": dict(match.answers),
                "patient_text": match.patient_text,
                "staff_text": match.staff_text,
                "source": match.source,
                "respond": str(match.respond),
                "needs_decision": match.needs_decision,
            }
            for match in result.matched
        ],
    }


def _end_silence(checkin: CheckIn, by: Actor, at: datetime) -> None:
    task = Task.objects.unfinished().filter(key=_silence_key(checkin)).first()
    if task is not None:
        drop_task(task=task, reason="The patient has answered.", by=by, at=at)
    _take_back([checkin.about], "The patient has answered.", None, by, at)


def _take_back(abouts: list[str], reason: str, purposes: set[Purpose] | None, by: Actor, at: datetime) -> None:
    """What waits to be said is not said any more. Extra, like paging: whatever goes wrong with it costs no alarm."""
    try:
        with transaction.atomic():
            for about in abouts:
                withdraw(about=about, reason=reason, purposes=purposes, by=by, at=at)
    except Exception:
        logger.exception("Messages could not be taken back.")


def _silence_key(checkin: CheckIn) -> str:
    return f"{SILENCE_TASK}:{checkin.ref}"


def _where(checkin: CheckIn) -> Location:
    return checkin.session.appointment.location


def _raise_alarm(checkin: CheckIn, answer: CheckInAnswer, result: rules.Triage, by: Actor, at: datetime) -> Escalation:
    """An alarm stands that a named person is asked to take. A storm of answers to one check-in is one alarm."""
    location = _where(checkin)
    deadline = rules.act_by(result, at, calendar_of(location)) or at
    standing = _standing_alarm(checkin, result.level)
    if standing is not None:
        return _add_to_alarm(standing, deadline, answer, by, at)
    asked = ladder(location, at)
    alarm = Escalation.objects.create(
        patient=checkin.patient,
        location=location,
        checkin=checkin,
        level=result.level,
        raised_at=at,
        act_by=deadline,
        asked=asked.rung(1),
        fault=asked.fault,
        climbs_at=rules.halfway(at, deadline),
    )
    record_event(action="escalation.raised", subject=alarm, by=by, at=at, level=alarm.level, asked=alarm.asked)
    _block_next_treatment(alarm, by, at)
    if result.level in RED:
        # Nobody is asked for a review while something red is open.
        abouts = [checkin.session.about, checkin.session.appointment.about]
        _take_back(abouts, "An alarm is open.", {Purpose.NEWS}, by, at)
    return _page(alarm, f"page_{alarm.rung}_{alarm.pages}", by, at)


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
    return _page(alarm, f"again_{answer.pk}", by, at, to=alarm.owner)


def _block_next_treatment(alarm: Escalation, by: Actor, at: datetime) -> None:
    raise_task(
        key=_alarm_key(alarm),
        kind=ALARM_TASK,
        title="Close the alarm before the next treatment",
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


def _page(alarm: Escalation, step: str, by: Actor, at: datetime, to: User | None = None) -> Escalation:
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


def _ask_staff(checkin: CheckIn, answer: CheckInAnswer, result: rules.Triage, by: Actor, at: datetime) -> None:
    """A routine answer is on the clinicians' list, once for each set of answers that was not yet dealt with."""
    raise_task(
        key=f"checkin-reply:{checkin.ref}:{answer.pk if answer.is_complete else 'draft'}",
        kind="checkin_reply",
        title=f"Reply to the day {answer.day_answered} check-in",
        why="; ".join(match.staff_text for match in result.matched)[:400],
        role=Role.CLINICIAN,
        location=_where(checkin),
        due_at=rules.act_by(result, at, calendar_of(_where(checkin))) or at,
        patient_ref=checkin.patient.ref,
        about=checkin.about,
        by=by,
        at=at,
    )


@transaction.atomic
def acknowledge(*, escalation: Escalation, by: Actor, at: datetime) -> Escalation:
    """The alarm is this person's: it stops climbing. Done twice by the same person it stays theirs.

    Raises AlreadyTaken with the owner's name, MayNotAnswerAlarms, IllegalMove once closed.
    """
    user = _clinician(by)
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
    return _page(moved, f"handed_{to.pk}_{int(at.timestamp())}", by, at)


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


def _clinician(by: Actor) -> User:
    user = User.objects.filter(pk=by.user_id, is_active=True).first() if by.user_id is not None else None
    if user is None or not user.may(Permission.ANSWER_ALARMS):
        raise MayNotAnswerAlarms
    return user


def _owner_or_lead(alarm: Escalation, by: Actor) -> User:
    user = _clinician(by)
    if alarm.owner_id != user.pk and Role.LEAD_CLINICIAN not in user.roles:
        raise NotYourAlarm
    return user


@transaction.atomic
def record_adverse_event(
    *,
    escalation: Escalation,
    term: str,
    grade: int,
    relatedness: str,
    onset_on: date,
    by: Actor,
    at: datetime,
    note: str = "",
    is_expected: bool = False,
) -> AdverseEvent:
    """Something went wrong with a treatment and is on its record, by its word, grade 1 to 5 and first day.

    The next treatment waits until it has been reviewed, from grade 3 on by a lead clinician the same day. The same
    event twice is one. Raises BadEvent, MayNotAnswerAlarms.
    """
    user = _clinician(by)
    session = lock(escalation.checkin.session)
    words = vocabulary()
    _check_event(words, session, term, grade, relatedness, onset_on, at)
    same = session.adverse_events.filter(term=term, grade=grade, onset_on=onset_on, struck_at=None).first()
    if same is not None:
        return same
    event = AdverseEvent.objects.create(
        patient=session.patient,
        session=session,
        escalation=escalation,
        term=term,
        grade=grade,
        is_serious=grade >= words.close_review_from_grade,
        is_expected=is_expected,
        relatedness=relatedness,
        onset_on=onset_on,
        note=note.strip() or None,
        recorded_at=at,
        recorded_by=user,
    )
    record_event(action="adverse_event.recorded", subject=event, by=by, at=at, term=term, grade=grade)
    _ask_review(event, by, at)
    return event


def _check_event(
    words: Vocabulary,
    session: TreatmentSession,
    term: str,
    grade: int,
    relatedness: str,
    onset_on: date,
    at: datetime,
) -> None:
    zone = session.appointment.location.zone
    try:
        word = words.event(term)
    except KeyError:
        raise BadEvent("Choose what happened from the list.", field="term") from None
    if not word.min_grade <= grade <= len(words.grades):
        raise BadEvent(f"{word.label} is at least grade {word.min_grade}.", field="grade")
    if relatedness not in dict(words.relatedness):
        raise BadEvent("Say how likely the treatment caused it.", field="relatedness")
    first = (session.started_at or at).astimezone(zone).date()
    if not first <= onset_on <= at.astimezone(zone).date():
        raise BadEvent("It began between the treatment and today.", field="onset_on")


def _ask_review(event: AdverseEvent, by: Actor, at: datetime) -> None:
    location = event.session.appointment.location
    local = at.astimezone(location.zone)
    raise_task(
        key=_event_key(event),
        kind="adverse_event",
        title="Review an adverse event",
        role=Role.LEAD_CLINICIAN if event.is_serious else Role.CLINICIAN,
        location=location,
        due_at=datetime.combine(local.date(), time(23, 59), location.zone)
        if event.is_serious
        else rules.due_by(REVIEW_WITHIN, at, calendar_of(location)),
        patient_ref=event.patient.ref,
        about=event.escalation.about if event.escalation else event.session.about,
        blocks_treatment=True,
        by=by,
        at=at,
    )


def _event_key(event: AdverseEvent) -> str:
    return f"adverse_event:{event.ref}"


@transaction.atomic
def review_adverse_event(*, event: AdverseEvent, note: str, by: Actor, at: datetime) -> AdverseEvent:
    """The event has been looked at by a clinician, a serious one by a lead; it no longer holds up the next treatment.

    Raises OutcomeMissing without a note, NotYourAlarm, AlreadyReviewed.
    """
    user = _clinician(by)
    fresh = lock(event)
    if fresh.is_serious and Role.LEAD_CLINICIAN not in user.roles:
        raise NotYourAlarm("A lead clinician reviews this one.")
    if fresh.reviewed_at is not None:
        raise AlreadyReviewed
    if not note.strip():
        raise OutcomeMissing("Please write what the review found.", field="note")
    fresh.reviewed_at, fresh.reviewed_by = at, user
    fresh.save(update_fields=["reviewed_at", "reviewed_by"])
    record_event(action="adverse_event.reviewed", subject=fresh, by=by, at=at)
    task = Task.objects.unfinished().filter(key=_event_key(fresh)).first()
    if task is not None:
        finish_task(task=task, outcome=note, by=by, at=at)
    return fresh


def climb_due(*, by: Actor, at: datetime) -> int:
    """Every alarm nobody took in time has been paged again or has gone to the next person. Returns how many.

    At half of its clock the same person is paged again, at the end of it the next is asked. Each climbs by itself: one
    that fails never holds up another. Run twice for the same instant, the second changes nothing.
    """
    due = Escalation.objects.filter(status=EscalationStatus.OPEN, climbs_at__lte=at).order_by("climbs_at")
    return sum(_alone(_climb, pk, by, at) for pk in list(due.values_list("pk", flat=True)))


def _alone(act: Any, pk: int, by: Actor, at: datetime) -> bool:
    """Return whether the act changed something; its failure is logged and stays its own."""
    try:
        with transaction.atomic():
            return bool(act(pk, by, at))
    except (Refused, DatabaseError):
        logger.exception("%s failed for row %s.", act.__name__, pk)
        return False


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
    _page(alarm, f"page_{alarm.rung}_{alarm.pages}", by, at)
    return True


def _top_reached(rung: int, people: int) -> str:
    return "Everybody on call was asked and nobody has taken it: they are asked again." if rung > people else ""


def _rung_window(alarm: Escalation) -> timedelta:
    """Return how long the person whose turn it is has: the alarm's clock, and no more than an hour after it ran out."""
    return min(alarm.act_by - alarm.raised_at, NEXT_RUNG)


def _end_of_rung(alarm: Escalation, at: datetime) -> datetime:
    """Return when the next person is asked: at the end of the clock; after that, half a turn from now."""
    return alarm.act_by if alarm.rung == 1 and alarm.act_by > at else at + _rung_window(alarm) / 2


def nudge_checkins(*, by: Actor, at: datetime) -> int:
    """Whoever has not answered an early check-in was asked once more. Returns how many. Safe twice."""
    due = CheckIn.objects.filter(status=CheckInStatus.PLANNED, nudge_at__lte=at, silent_at__gt=at).order_by("nudge_at")
    return sum(_alone(_nudge, pk, by, at) for pk in list(due.values_list("pk", flat=True)))


def _nudge(pk: int, by: Actor, at: datetime) -> bool:
    checkin = CheckIn.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=pk).first()
    if checkin is None or checkin.status != CheckInStatus.PLANNED or checkin.nudge_at is None:
        return False
    checkin.nudge_at = None
    checkin.save(update_fields=["nudge_at"])
    asked = Message.objects.filter(about=checkin.session.about, step=checkin.step).order_by("-revision").first()
    queue_message(
        patient=checkin.patient,
        location=_where(checkin),
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
    return sum(_alone(_note_silence, pk, by, at) for pk in list(due.values_list("pk", flat=True)))


def _note_silence(pk: int, by: Actor, at: datetime) -> bool:
    checkin = CheckIn.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=pk).first()
    if checkin is None or checkin.status != CheckInStatus.PLANNED or checkin.silent_at > at:
        return False
    checkin = move(checkin, CheckInStatus.MISSED, by=by, at=at)
    if checkin.call_if_silent:
        raise_task(
            key=_silence_key(checkin),
            kind=SILENCE_TASK,
            title=f"Call {checkin.patient}: not heard from on day {checkin.day}",
            why="An early check-in was not answered. Silence is a signal: call today.",
            role=Role.CLINICIAN,
            location=_where(checkin),
            due_at=checkin.silent_at,
            patient_ref=checkin.patient.ref,
            about=checkin.about,
            by=by,
            at=at,
        )
    return True
