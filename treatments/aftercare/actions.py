"""Ending a treatment, and answering the check-ins that follow it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from clinic.audit.states import Actor
from clinic.catalogue.states import VisitKind
from clinic.packs.models import RulePack
from clinic.staff.states import Role
from clinic.transitions import lock, move
from clinic.worklist.actions import raise_task
from patients.messaging.actions import skip_message
from patients.messaging.models import Message
from patients.messaging.states import UNSENT
from patients.registry.states import LinkScope
from treatments.aftercare import rules
from treatments.aftercare.alarms import raise_alarm
from treatments.aftercare.models import CheckIn, CheckInAnswer
from treatments.aftercare.queries import calendar_of, day_of, draft_of, graded, visit_after
from treatments.aftercare.silence import end_silence
from treatments.aftercare.states import ALARMING, CheckInStatus, Level, NothingAnswered
from treatments.booking.actions import mark_fulfilled
from treatments.courses.actions import note_treated
from treatments.plan.actions import protocol_in_force, reconcile_plan
from treatments.plan.clock import to_wall
from treatments.plan.rules import Visit, Wanted, merge_series, plan
from treatments.plan.states import Phase
from treatments.sessions.actions import complete_session
from treatments.sessions.models import TreatmentSession

logger = logging.getLogger(__name__)


# Unanswered for so long, a check-in counts as not heard from, where the protocol names no call.
SILENCE = timedelta(hours=48)


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
    links = plan_checkins(done, planned, at)
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


def plan_checkins(session: TreatmentSession, visit: Visit, at: datetime) -> dict[str, tuple[str, str]]:
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
        times = {
            "day": (to_wall(wanted.due_at, visit.clinic_clock).date() - ended_on).days
            if step.day is None
            else step.day,
            "due_at": wanted.due_at,
            "nudge_at": wanted.due_at + step.nudge_after if step.nudge_after else None,
            "silent_at": wanted.due_at + (step.call_after or SILENCE),
        }
        checkin, is_new = CheckIn.objects.get_or_create(
            session=session,
            step=wanted.step,
            defaults={
                "patient": session.patient,
                "call_if_silent": step.call_after is not None,
                "wants_photo": wanted.photo,
                **times,
            },
        )
        if not is_new and checkin.status == CheckInStatus.PLANNED and checkin.due_at != wanted.due_at:
            # The treatment ended at another time than was written down: what is still to be asked moves with it.
            CheckIn.objects.filter(pk=checkin.pk, status=CheckInStatus.PLANNED).update(**times)
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
        for message in waiting:
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
    end_silence(fresh, by, at)
    if result.level in ALARMING:
        raise_alarm(fresh, answer, result, by, at)
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


def _ask_staff(checkin: CheckIn, answer: CheckInAnswer, result: rules.Triage, by: Actor, at: datetime) -> None:
    """A routine answer is on the clinicians' list, once for each set of answers that was not yet dealt with."""
    raise_task(
        key=f"checkin-reply:{checkin.ref}:{answer.pk if answer.is_complete else 'draft'}",
        kind="checkin_reply",
        title=f"Reply to the day {answer.day_answered} check-in",
        why="; ".join(match.staff_text for match in result.matched)[:400],
        role=Role.CLINICIAN,
        location=checkin.location,
        due_at=rules.act_by(result, at, calendar_of(checkin.location)) or at,
        patient_ref=checkin.patient.ref,
        about=checkin.about,
        by=by,
        at=at,
    )
