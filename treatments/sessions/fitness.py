"""Whether the patient is fit on the day: what they say at home, and what is asked again at the door."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction

from clinic.audit.actions import record as record_event
from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.transitions import IllegalMove, lock
from clinic.worklist.actions import raise_task
from treatments.booking.models import Appointment
from treatments.sessions.models import FitnessAnswers, FitnessCheck, TreatmentSession
from treatments.sessions.queries import awaits_answers, modality_of, user_key
from treatments.sessions.states import (
    FIT_ANSWERS,
    FitnessAnswer,
    FitnessIncomplete,
    FitnessQuestion,
    SessionStatus,
    VisitOver,
)

LOOK_AHEAD = timedelta(days=1)  # answers given at home are looked at this long before the visit, or at once


@transaction.atomic
def record_fitness(*, session: TreatmentSession, answers: Mapping[str, str], by: Actor, at: datetime) -> FitnessCheck:
    """The answers that expire have been asked again at the door.

    Fit only if every one is a clear “no” (pregnancy may also not apply). Anything else keeps the session from starting
    and stands on the clinicians' list at once. Raises FitnessIncomplete for a question without a known answer.
    """
    fresh = lock(session)
    if fresh.status != SessionStatus.PREPARATION:
        raise IllegalMove(fresh, fresh.status, SessionStatus.IN_PROGRESS)
    concerns = _concerns(answers)
    check = FitnessCheck.objects.create(
        session=fresh,
        answers=_asked(answers),
        is_fit=not concerns,
        checked_at=at,
        checked_by_id=user_key(by),
    )
    record_event(
        action="fitness.checked", subject=check, by=by, at=at, patient_ref=fresh.patient.ref, is_fit=check.is_fit
    )
    if concerns:
        _tell_clinicians(fresh, check, by, at)
    return check


def _concerns(answers: Mapping[str, str]) -> list[str]:
    """Return the questions with any answer but a clear “no”. Raises FitnessIncomplete where one has no known answer."""
    for question in FitnessQuestion.values:
        if answers.get(question, "") not in FIT_ANSWERS[question] | {FitnessAnswer.YES, FitnessAnswer.NOT_SURE}:
            raise FitnessIncomplete(field=question)
    return [question for question in FitnessQuestion.values if answers[question] not in FIT_ANSWERS[question]]


def _asked(answers: Mapping[str, str]) -> dict[str, str]:
    return {question: str(answers[question]) for question in FitnessQuestion.values}


@transaction.atomic
def answer_fitness(
    *,
    appointment: Appointment,
    answers: Mapping[str, str],
    by: Actor,
    at: datetime,
    form_key: uuid.UUID | None = None,
) -> FitnessAnswers:
    """What the patient says at home stands beside the visit; the check at the door is still to be made.

    Any answer but a clear “no” (pregnancy may also not apply) holds the visit until a clinician has looked. Answers
    given again are a further row; the same `form_key` twice is one. Raises VisitOver, FitnessIncomplete.
    """
    visit = lock(appointment)
    if form_key is not None and (double := visit.fitness_answers.filter(form_key=form_key).first()):
        return double
    if not awaits_answers(visit, at):
        raise VisitOver
    concerns = _concerns(answers)
    said = FitnessAnswers.objects.create(
        appointment=visit,
        answers=_asked(answers),
        is_clear=not concerns,
        answered_at=at,
        form_key=form_key or uuid.uuid4(),
    )
    record_event(
        action="fitness.answered",
        subject=said,
        by=by,
        at=at,
        patient_ref=visit.patient.ref,
        visit=visit,
        is_clear=said.is_clear,
    )
    if concerns:
        _hold_visit(visit, by, at)
    return said


def _hold_visit(visit: Appointment, by: Actor, at: datetime) -> None:
    raise_task(
        key=f"fitness:{visit.ref}:{visit.fitness_answers.count()}",
        kind="fitness",
        title="Look at what the patient answered before the visit",
        why="An answer given at home may change the decision. It stands in the chart. Call if something changes.",
        role=Role.CLINICIAN,
        location=visit.location,
        due_at=max(at, visit.starts_at - LOOK_AHEAD),
        patient_ref=visit.patient.ref,
        about=visit.about,
        blocks_treatment=True,
        modality=modality_of(visit),
        by=by,
        at=at,
    )


def _tell_clinicians(session: TreatmentSession, check: FitnessCheck, by: Actor, at: datetime) -> None:
    raise_task(
        key=f"unfit:{session.ref}:{check.pk}",
        kind="fitness",
        title="Look at the answers given at the door before treatment",
        why="An answer given at the door today may change the decision.",
        role=Role.CLINICIAN,
        location=session.appointment.location,
        due_at=at,
        patient_ref=session.patient.ref,
        about=session.about,
        blocks_treatment=True,
        modality=session.modality,
        by=by,
        at=at,
    )
