"""Adverse events: on the treatment's record, and in the way of the next one until they are reviewed."""

from __future__ import annotations

from datetime import date, datetime, time

from django.db import transaction

from clinic.audit.actions import record as record_event
from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.transitions import lock
from clinic.worklist.actions import finish_task, raise_task
from clinic.worklist.models import Task
from treatments.aftercare import rules
from treatments.aftercare.alarms import answering_clinician
from treatments.aftercare.models import AdverseEvent, Escalation
from treatments.aftercare.queries import calendar_of, vocabulary
from treatments.aftercare.states import AlreadyReviewed, BadEvent, ClockKind, NotYourAlarm, OutcomeMissing
from treatments.aftercare.vocabulary import Vocabulary
from treatments.sessions.models import TreatmentSession

# An adverse event below grade 3 is reviewed within a working day; no source gives a figure: the clinic's decision.
REVIEW_WITHIN = rules.Clock(ClockKind.WORKING_DAYS, 1)


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
    user = answering_clinician(by)
    if escalation.checkin is None:
        raise BadEvent("A text belongs to no treatment: record it at the treatment it is about.")
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
    user = answering_clinician(by)
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
