"""Screening answers, deciding, co-signing and taking a decision back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.clock import day_and_clock
from clinic.transitions import lock, move
from clinic.worklist.actions import finish_task
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.queries import (
    critical_missing,
    decision_in_force,
    pack_of,
    required_tasks,
    standing_decision,
    work_of,
)
from patients.candidacy.screening import authorised, record_answers, screen_response, submit_intake
from patients.candidacy.states import (
    ALLOWING,
    READ_BY_PATIENT,
    TASKS,
    AlreadyDecided,
    AlreadyTakenBack,
    ConditionMissing,
    ConditionsNotMeant,
    ConditionUnclear,
    ConditionWork,
    DateNotAhead,
    DateNotMeant,
    DateOrConditionMissing,
    DecisionKind,
    DecisionStatus,
    Effect,
    MayNotBeOverridden,
    Outcome,
    OutcomeNotOffered,
    OverrideReasonTooShort,
    PatientWordsMissing,
    ReasonMissing,
    SameClinician,
    ScreeningIncomplete,
    ScreeningReplaced,
    ScreeningStatus,
)
from patients.candidacy.work import (
    EXPIRED,
    REVIEW,
    STOPS,
    Condition,
    all_conditions,
    ask_for_second,
    end_current,
    finish_review,
    local_day,
    open_again,
    take_back,
    take_effect,
)

FURTHEST = timedelta(days=3 * 366)
OVERRIDE_REASON = 20
CONDITION_LENGTH = 300
REASON_LENGTH = 4000

__all__ = [
    "CONDITION_LENGTH",
    "EXPIRED",
    "REASON_LENGTH",
    "REVIEW",
    "cosign",
    "decide",
    "record_answers",
    "screen_response",
    "settle_condition",
    "submit_intake",
    "withdraw_decision",
]


# --- deciding ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def decide(
    *,
    screening: Screening,
    kind: DecisionKind,
    reason: str,
    conditions: Sequence[Condition],
    earliest_on: date | None = None,
    replaces: CandidacyDecision | None = None,
    by: Actor,
    at: datetime,
) -> CandidacyDecision:
    """A clinician's decision about one laser is in force: its flags are closed and its work is done.

    Tasks that the rules ask for are part of every decision to treat, whatever the clinician adds. Treating against
    “not recommended” waits for a second clinician, and until then nothing changes. A condition is {"text"}, with
    "key", "told" (what the patient reads of it), "work" (a ConditionWork; unless it says, treatment waits for it) and
    "closes_with" as it likes. `earliest_on` is the first local date of a treatment. `replaces` is the decision on this
    same screening that the clinician has read and means to replace; without it, whoever decides second is refused.

    Raises NotAuthorised, ScreeningReplaced, AlreadyDecided, ReasonMissing, ScreeningIncomplete, ConditionMissing,
    ConditionsNotMeant, ConditionUnclear, PatientWordsMissing, DateOrConditionMissing, DateNotAhead, DateNotMeant,
    MayNotBeOverridden, OverrideReasonTooShort.
    """
    kind = DecisionKind(kind)
    user = authorised(by, screening.modality)
    # The patient first, then the screening: every act here locks in this order.
    patient = lock(screening.patient)
    fresh = lock(screening)
    if fresh.status != ScreeningStatus.CURRENT:
        raise ScreeningReplaced
    standing = standing_decision(patient, fresh.modality)
    _check_unseen(standing, fresh, replaces)
    overrides = fresh.outcome == Outcome.NOT_RECOMMENDED and kind in ALLOWING
    own = _clean_conditions(conditions)
    text = _clean_reason(reason, overrides=overrides)
    _check_kind(fresh, kind, own, earliest_on, local_day(patient, at))
    needed = required_tasks(fresh, pack_of(fresh)) if kind in ALLOWING else []
    whole = all_conditions(own, needed)
    if kind == DecisionKind.PROCEED_WITH_CONDITIONS and not whole:
        raise ConditionMissing(field="conditions")
    if standing is not None and standing.status == DecisionStatus.AWAITING_COSIGN:
        take_back(standing, "Another decision was made instead.", by, at)
    if not overrides:
        end_current(patient, fresh.modality, by, at)
    decision = CandidacyDecision.objects.create(
        status=DecisionStatus.AWAITING_COSIGN if overrides else DecisionStatus.IN_FORCE,
        patient=patient,
        screening=fresh,
        modality=fresh.modality,
        kind=kind,
        reason=text,
        conditions=whole,
        earliest_on=earliest_on,
        decided_by=user,
        decided_at=at,
        overrides=overrides,
    )
    record(action="candidacy.decided", subject=decision, by=by, at=at, modality=fresh.modality, overrides=overrides)
    finish_review(patient, by, at)
    if overrides:
        ask_for_second(decision, by, at)
    else:
        take_effect(decision, by, at)
    return decision


@transaction.atomic
def cosign(*, decision: CandidacyDecision, by: Actor, at: datetime) -> CandidacyDecision:
    """A second, different clinician agrees: the decision is in force and does its work.

    Raises NotAuthorised, SameClinician, ScreeningReplaced, and IllegalMove unless the decision waits for it.
    """
    user = authorised(by, decision.modality)
    patient = lock(decision.patient)
    fresh = lock(decision)
    if fresh.decided_by_id == user.pk:
        raise SameClinician
    if fresh.status == DecisionStatus.AWAITING_COSIGN:
        if lock(fresh.screening).status != ScreeningStatus.CURRENT:
            raise ScreeningReplaced
        end_current(patient, fresh.modality, by, at)
    fresh = move(fresh, DecisionStatus.IN_FORCE, by=by, at=at, cosigned_by=user, cosigned_at=at)
    for task in Task.objects.unfinished().filter(kind="candidacy.cosign", about=f"decision:{fresh.ref}"):
        finish_task(task=task, outcome="A second clinician agreed.", by=by, at=at)
    take_effect(fresh, by, at)
    return fresh


@transaction.atomic
def withdraw_decision(*, decision: CandidacyDecision, reason: str, by: Actor, at: datetime) -> CandidacyDecision:
    """The decision no longer counts: its laser's flags are open again, its tasks dropped, its unsent message stopped.

    Raises NotAuthorised, ReasonMissing, AlreadyTakenBack, and AlreadyDecided if a newer one has taken its place.
    """
    authorised(by, decision.modality)
    text = _clean_reason(reason)
    patient = lock(decision.patient)
    _check_still_stands(lock(decision))
    fresh = take_back(decision, text, by, at)
    if decision_in_force(patient, fresh.modality) is None:
        open_again(patient, fresh.modality, by, at)
    return fresh


@transaction.atomic
def settle_condition(*, task: Task, choice: str, reason: str, by: Actor, at: datetime) -> Task:
    """A task that a decision raised is closed, by a clinician authorised for its laser, with an outcome and the reason.

    An outcome after which treatment may not go on, as a test spot that read badly, takes the decision back instead.
    Raises NotAuthorised, OutcomeNotOffered, ReasonMissing, IllegalMove, and what `withdraw_decision` raises.
    """
    authorised(by, task.modality)
    decision = CandidacyDecision.objects.get(ref=task.about.removeprefix("decision:"))
    lock(decision.patient)
    text = _clean_reason(reason)
    if choice in STOPS and choice in _choices_of(decision, task):
        withdraw_decision(decision=decision, reason=f"{choice}: {text}", by=by, at=at)
        return lock(task)
    if task.closes_with and choice not in task.closes_with:
        raise OutcomeNotOffered(field="choice")
    return finish_task(task=task, outcome=f"{choice}: {text}" if choice else text, by=by, at=at)


def _choices_of(decision: CandidacyDecision, task: Task) -> list[str]:
    key = task.key.rpartition(":")[2]
    return next((list(each["closes_with"]) for each in decision.conditions if each["key"] == key), [])


# --- who may, and what a decision must say ----------------------------------------------------------------------------


def _check_unseen(standing: CandidacyDecision | None, screening: Screening, replaces: CandidacyDecision | None) -> None:
    """Refuse a decision by somebody who has not seen the one that stands on the same screening."""
    if standing is None or standing.screening_id != screening.pk:
        return
    if replaces is None or replaces.pk != standing.pk:
        raise _already(standing)


def _check_still_stands(decision: CandidacyDecision) -> None:
    """Refuse to take back what no longer counts, and say whose act that was."""
    if decision.status == DecisionStatus.WITHDRAWN and decision.withdrawn_at:
        zone = decision.patient.location.zone
        raise AlreadyTakenBack(decision.withdrawn_by or "Somebody", day_and_clock(decision.withdrawn_at, zone))
    newer = standing_decision(decision.patient, decision.modality)
    if decision.status == DecisionStatus.SUPERSEDED and newer is not None:
        raise _already(newer)


def _already(standing: CandidacyDecision) -> AlreadyDecided:
    waits = standing.status == DecisionStatus.AWAITING_COSIGN
    when = day_and_clock(standing.decided_at, standing.patient.location.zone)
    return AlreadyDecided(standing.decided_by.display_name, standing.get_kind_display(), when, waits=waits)


def _clean_reason(reason: str, *, overrides: bool = False) -> str:
    text = reason.strip()
    if not text:
        raise ReasonMissing(field="reason")
    if len(text) > REASON_LENGTH:
        raise ReasonMissing(f"Please keep the reason to {REASON_LENGTH} characters.", field="reason")
    if overrides and len(text) < OVERRIDE_REASON:
        raise OverrideReasonTooShort(field="reason")
    return text


def _clean_conditions(conditions: Sequence[Condition]) -> list[dict[str, object]]:
    cleaned: list[dict[str, object]] = []
    for number, condition in enumerate(conditions, 1):
        told = str(condition.get("told", "")).strip()
        text = str(condition.get("text", "")).strip() or told
        if not text or len(text) > CONDITION_LENGTH or len(told) > CONDITION_LENGTH:
            raise ConditionUnclear(field="conditions")
        work = work_of(condition)
        if work in READ_BY_PATIENT and not told:
            raise PatientWordsMissing(field=f"own_{number}_told")
        words = condition.get("closes_with") or []
        cleaned.append(
            {
                "key": str(condition.get("key") or f"own-{number}")[:40],
                "text": text,
                "told": told,
                "work": work.value,
                "blocks": work == ConditionWork.BEFORE,
                "closes_with": [str(word) for word in words] if isinstance(words, (list, tuple)) else [],
            }
        )
    if len({each["key"] for each in cleaned}) != len(cleaned):
        raise ConditionUnclear("Two conditions are the same.", field="conditions")
    return cleaned


def _check_kind(
    screening: Screening,
    kind: DecisionKind,
    conditions: Sequence[Condition],
    earliest_on: date | None,
    today: date,
) -> None:
    """Refuse what this kind of decision cannot say, or what this result does not allow."""
    if kind in ALLOWING:
        _check_may_treat(screening)
    if kind == DecisionKind.PROCEED and conditions:
        raise ConditionsNotMeant(field="kind")
    if kind == DecisionKind.DEFER and earliest_on is None and not any(work_of(each) in TASKS for each in conditions):
        raise DateOrConditionMissing(field="earliest_on")
    if kind in (DecisionKind.DECLINE, DecisionKind.REFER):
        if earliest_on is not None:
            raise DateNotMeant(field="earliest_on")
        if conditions:
            raise ConditionsNotMeant("Declining and referring take no conditions. Please take them out.", field="kind")
    if earliest_on is not None and earliest_on <= today:
        raise DateNotAhead(field="earliest_on")
    if earliest_on is not None and earliest_on > today + FURTHEST:
        raise DateNotAhead("This date is more than three years away. Please check the year.", field="earliest_on")


def _check_may_treat(screening: Screening) -> None:
    if screening.outcome == Outcome.INCOMPLETE or critical_missing(screening):
        raise ScreeningIncomplete(field="kind")
    findings = screening.result["findings"]
    barred = [each for each in findings if each["effect"] == Effect.NOT_RECOMMENDED and not each["may_override"]]
    if barred:
        raise MayNotBeOverridden(", ".join(str(each["topic"]).replace("_", " ") for each in barred))
