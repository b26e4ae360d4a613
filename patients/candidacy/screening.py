"""Screening answers: what was handed in, what a clinician found, and what of it a decision has settled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.staff.models import User
from clinic.staff.states import Role
from clinic.transitions import lock, move
from clinic.worklist.actions import drop_task, raise_task
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision, Flag, Screening
from patients.candidacy.queries import (
    compiled,
    current_screenings,
    decision_in_force,
    engine_answers,
    offered_modalities,
    pack_in_force,
    pack_of,
    required_tasks,
    standing_decision,
)
from patients.candidacy.rules import RANK, ScreeningResult, screen
from patients.candidacy.settled import gist, needing_a_person, settled_by
from patients.candidacy.states import (
    ALLOWING,
    DecisionStatus,
    Effect,
    FlagStatus,
    NotAuthorised,
    NotCompleted,
    ScreeningReplaced,
    ScreeningStatus,
)
from patients.candidacy.work import (
    EXPIRED,
    REVIEW,
    all_conditions,
    current_screening,
    local_day,
    raise_tasks,
    take_back,
)
from patients.intake.actions import amend_response, complete_response
from patients.intake.models import QuestionnaireResponse
from patients.intake.queries import expired_keys, questionnaire_of
from patients.intake.states import ResponseStatus

# How long a clinician has to look at new answers.
REVIEW_WITHIN = timedelta(days=2)


@transaction.atomic
def submit_intake(*, response: QuestionnaireResponse, by: Actor, at: datetime) -> list[Screening]:
    """The answers are frozen and screened for each laser at the patient's location; clinicians have a task.

    Sent twice, the second time changes nothing. Raises what `complete_response` raises while answers are missing.
    """
    lock(response.patient)
    fresh = lock(response)
    if fresh.status != ResponseStatus.IN_PROGRESS:
        return current_screenings(fresh.patient)
    done = complete_response(response=fresh, by=by, at=at)
    screenings = _screen_all(done, offered_modalities(done.patient.location), by, at)
    for task in Task.objects.unfinished().filter(kind=EXPIRED, patient_ref=done.patient.ref):
        drop_task(task=task, reason="The patient answered again.", by=by, at=at)
    _ask_for_review(done, screenings, by, at)
    return screenings


@transaction.atomic
def screen_response(
    *, response: QuestionnaireResponse, modality: str, reference_on: date, by: Actor, at: datetime
) -> Screening:
    """The laser's current screening is of these answers, for this day, by the rules in force.

    An answer that is too old to count by now is left out, and so is as unknown as one never given.
    The same answers, rules and day again change nothing: the result is the same, byte for byte. An earlier screening
    is superseded and its open flags lapse. What a decision in force already settled, on the same answers, stays
    settled; what is new is an open flag, and a decision that waits for a second clinician is taken back.
    """
    if response.snapshot is None:
        raise NotCompleted
    patient = lock(response.patient)
    row = pack_in_force()
    expired = expired_keys(response, local_day(patient, at))
    known = engine_answers(response, modality, reference_on)
    answers = {key: value for key, value in known.items() if key not in expired}
    result = screen(answers, compiled(row, questionnaire_of(response)), modality, reference_on)
    digest = hashlib.sha256(result.as_json().encode()).hexdigest()
    earlier = current_screening(patient, modality)
    if earlier is not None:
        if earlier.response_id == response.pk and earlier.result_sha256 == digest:
            return earlier
        _supersede(earlier, by, at)
    screening = Screening.objects.create(
        patient=patient,
        response=response,
        modality=modality,
        pack=row,
        reference_on=reference_on,
        answers=answers,
        expired=sorted(expired),
        result=json.loads(result.as_json()),
        result_sha256=digest,
        outcome=result.outcome,
        earliest_on=result.earliest_date,
        screened_at=at,
    )
    decision = decision_in_force(patient, modality)
    flags = _raise_flags(screening, result, decision, at)
    record(action="candidacy.screened", subject=screening, by=by, at=at, modality=modality, pack=row, flags=len(flags))
    if decision is not None and decision.kind in ALLOWING:
        raise_tasks(decision, all_conditions([], required_tasks(screening, pack_of(screening))), by, at)
    return screening


@transaction.atomic
def record_answers(*, screening: Screening, answers: Mapping[str, object], by: Actor, at: datetime) -> list[Screening]:
    """What a clinician found stands beside the patient's answers in an amended response; each laser is screened anew.

    The patient's own frozen answers stay as they were. Raises NotAuthorised unless `by` is a practitioner,
    ScreeningReplaced if the answers were amended meanwhile, and what `amend_response` raises for a value that fits
    no question.
    """
    practitioner_of(by)
    patient = lock(screening.patient)
    fresh = lock(screening)
    if fresh.status != ScreeningStatus.CURRENT:
        raise ScreeningReplaced
    before = {each.modality: each.reference_on for each in current_screenings(patient)}
    amended = amend_response(response=fresh.response, answers=answers, by=by, at=at)
    return [
        screen_response(response=amended, modality=modality, reference_on=on, by=by, at=at)
        for modality, on in before.items()
    ]


def _screen_all(response: QuestionnaireResponse, modalities: Iterable[str], by: Actor, at: datetime) -> list[Screening]:
    today = local_day(response.patient, at)
    return [
        screen_response(response=response, modality=modality, reference_on=today, by=by, at=at)
        for modality in modalities
    ]


def _supersede(screening: Screening, by: Actor, at: datetime) -> None:
    move(screening, ScreeningStatus.SUPERSEDED, by=by, at=at)
    for flag in screening.flags.filter(status=FlagStatus.OPEN):
        move(flag, FlagStatus.LAPSED, by=by, at=at)
    waiting = standing_decision(screening.patient, screening.modality)
    if waiting is not None and waiting.status == DecisionStatus.AWAITING_COSIGN:
        take_back(waiting, "The answers were screened again before a second clinician had looked.", by, at)


def _raise_flags(
    screening: Screening, result: ScreeningResult, decision: CandidacyDecision | None, at: datetime
) -> list[Flag]:
    settled = settled_by(decision)
    flags = []
    for rule, finding in needing_a_person(result).items():
        said = [finding["fired"], finding["open"]]
        effects = [Effect(str(each["effect"])) for each in said if each]
        carried = decision if gist(finding) in settled else None
        flags.append(
            Flag(
                screening=screening,
                rule=rule,
                topic=next(str(each["topic"]) for each in said if each),
                effect=min(effects, key=RANK.__getitem__),
                finding=finding,
                raised_at=at,
                status=FlagStatus.CLOSED if carried else FlagStatus.OPEN,
                closed_by=carried,
            )
        )
    return Flag.objects.bulk_create(flags)


def _ask_for_review(response: QuestionnaireResponse, screenings: Sequence[Screening], by: Actor, at: datetime) -> None:
    patient = response.patient
    raise_task(
        key=f"review:{response.ref}",
        kind=REVIEW,
        title=f"Review the answers of {patient.full_name[:150]}",
        why="" if screenings else "No laser is set up at this location, so nothing could be screened.",
        role=Role.CLINICIAN,
        location=patient.location,
        due_at=at + REVIEW_WITHIN,
        patient_ref=patient.ref,
        about=f"screening:{screenings[0].ref}" if screenings else f"response:{response.ref}",
        by=by,
        at=at,
    )


def practitioner_of(by: Actor) -> User:
    user = User.objects.select_related("practitioner").filter(pk=by.user_id or 0, is_active=True).first()
    practitioner = getattr(user, "practitioner", None)
    if user is None or practitioner is None or not practitioner.is_active:
        raise NotAuthorised
    return user


def authorised(by: Actor, modality: str) -> User:
    user = practitioner_of(by)
    if not user.practitioner.may_decide(modality):
        raise NotAuthorised
    return user
