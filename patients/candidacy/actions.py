"""Screening answers, deciding, co-signing and taking a decision back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.staff.models import User
from clinic.staff.states import Role
from clinic.transitions import lock, move
from clinic.worklist.actions import drop_task, finish_task, raise_task
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision, Flag, Screening
from patients.candidacy.queries import (
    compiled,
    critical_missing,
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
from patients.candidacy.rules import Task as PackTask
from patients.candidacy.states import (
    ALLOWING,
    AlreadyDecided,
    ConditionMissing,
    ConditionsNotMeant,
    ConditionUnclear,
    DateNotAhead,
    DateNotMeant,
    DateOrConditionMissing,
    DecisionKind,
    DecisionStatus,
    Effect,
    FlagStatus,
    MayNotBeOverridden,
    NotAuthorised,
    NotCompleted,
    Outcome,
    OutcomeNotOffered,
    OverrideReasonTooShort,
    ReasonMissing,
    SameClinician,
    ScreeningIncomplete,
    ScreeningReplaced,
    ScreeningStatus,
)
from patients.intake.actions import amend_response, complete_response
from patients.intake.models import QuestionnaireResponse
from patients.intake.queries import questionnaire_of
from patients.intake.states import ResponseStatus
from patients.messaging.actions import queue_message, withdraw
from patients.messaging.models import Message
from patients.messaging.rules import UNDO, WantedMessage
from patients.messaging.states import UNSENT, Channel, Purpose
from patients.registry.models import Patient
from patients.registry.states import ContactKind

# How long the clinic gives itself; a visit that comes earlier shows them as missing anyway.
REVIEW_WITHIN = timedelta(days=2)
COSIGN_WITHIN = timedelta(days=1)
CONDITIONS_WITHIN = timedelta(days=7)
TELL_WITHIN = timedelta(days=7)
FURTHEST = timedelta(days=3 * 366)
OVERRIDE_REASON = 20
CONDITION_LENGTH = 300
REASON_LENGTH = 4000
# Outcomes of a task after which the treatment does not go on: the decision is taken back instead.
STOPS = frozenset({"read_not_ok"})

Condition = Mapping[str, object]


# --- screening --------------------------------------------------------------------------------------------------------


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
    _ask_for_review(done, screenings, by, at)
    return screenings


@transaction.atomic
def screen_response(
    *, response: QuestionnaireResponse, modality: str, reference_on: date, by: Actor, at: datetime
) -> Screening:
    """The laser's current screening is of these answers, for this day, by the rules in force.

    The same answers, rules and day again change nothing: the result is the same, byte for byte. An earlier screening
    is superseded and its open flags lapse. What a decision in force already settled, on the same answers, stays
    settled; what is new is an open flag, and a decision that waits for a second clinician is taken back.
    """
    if response.snapshot is None:
        raise NotCompleted
    patient = lock(response.patient)
    row = pack_in_force()
    answers = engine_answers(response, modality, reference_on)
    result = screen(answers, compiled(row, questionnaire_of(response)), modality, reference_on)
    digest = hashlib.sha256(result.as_json().encode()).hexdigest()
    earlier = _current(patient, modality)
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
        _raise_tasks(decision, _conditions([], required_tasks(screening, pack_of(screening))), by, at)
    return screening


@transaction.atomic
def record_answers(*, screening: Screening, answers: Mapping[str, object], by: Actor, at: datetime) -> list[Screening]:
    """What a clinician found stands beside the patient's answers in an amended response; each laser is screened anew.

    The patient's own frozen answers stay as they were. Raises NotAuthorised unless `by` is a practitioner,
    ScreeningReplaced if the answers were amended meanwhile, and what `amend_response` raises for a value that fits
    no question.
    """
    _practitioner(by)
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
    today = _local_day(response.patient, at)
    return [
        screen_response(response=response, modality=modality, reference_on=today, by=by, at=at)
        for modality in modalities
    ]


def _current(patient: Patient, modality: str) -> Screening | None:
    return patient.screenings.filter(modality=modality, status=ScreeningStatus.CURRENT).first()


def _supersede(screening: Screening, by: Actor, at: datetime) -> None:
    move(screening, ScreeningStatus.SUPERSEDED, by=by, at=at)
    for flag in screening.flags.filter(status=FlagStatus.OPEN):
        move(flag, FlagStatus.LAPSED, by=by, at=at)
    waiting = standing_decision(screening.patient, screening.modality)
    if waiting is not None and waiting.status == DecisionStatus.AWAITING_COSIGN:
        _take_back(waiting, "The answers were screened again before a second clinician had looked.", by, at)


def _raise_flags(
    screening: Screening, result: ScreeningResult, decision: CandidacyDecision | None, at: datetime
) -> list[Flag]:
    settled = _settled_by(decision)
    flags = []
    for rule, finding in _needing_a_person(result).items():
        said = [finding["fired"], finding["open"]]
        effects = [Effect(str(each["effect"])) for each in said if each]
        carried = decision if _gist(finding) in settled else None
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


def _needing_a_person(result: ScreeningResult) -> dict[str, dict[str, dict[str, object] | None]]:
    """Return the findings and the undecided rules that only a person can settle, by rule."""
    found: dict[str, dict[str, dict[str, object] | None]] = {}
    for finding in result.findings:
        if RANK[finding.effect] <= RANK[Effect.REVIEW]:
            found.setdefault(finding.rule, {"fired": None, "open": None})["fired"] = finding.as_dict()
    for undecided in result.undecided:
        if RANK[undecided.effect] <= RANK[Effect.REVIEW]:
            found.setdefault(undecided.rule, {"fired": None, "open": None})["open"] = undecided.as_dict()
    return found


def _settled_by(decision: CandidacyDecision | None) -> set[str]:
    if decision is None:
        return set()
    return {_gist(flag.finding) for flag in Flag.objects.filter(closed_by=decision)}


def _gist(finding: Mapping[str, Mapping[str, object] | None]) -> str:
    """Return what was settled: rule, effect, date and the answers it rests on, whatever the wording of the rule."""
    keys = ("rule", "effect", "answers", "earliest_date")
    said = (finding["fired"], finding["open"])
    return json.dumps([{key: each.get(key) for key in keys} if each else None for each in said], sort_keys=True)


def _ask_for_review(response: QuestionnaireResponse, screenings: Sequence[Screening], by: Actor, at: datetime) -> None:
    patient = response.patient
    raise_task(
        key=f"review:{response.ref}",
        kind="candidacy.review",
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
    "key", "blocks" (treatment waits for it, unless false) and "closes_with" as it likes. `earliest_on` is the first
    local date of a treatment. `replaces` is the decision on this same screening that the clinician has read and means
    to replace; without it, whoever decides second is refused.

    Raises NotAuthorised, ScreeningReplaced, AlreadyDecided, ReasonMissing, ScreeningIncomplete, ConditionMissing,
    ConditionsNotMeant, ConditionUnclear, DateOrConditionMissing, DateNotAhead, DateNotMeant, MayNotBeOverridden,
    OverrideReasonTooShort.
    """
    kind = DecisionKind(kind)
    user = _authorised(by, screening.modality)
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
    _check_kind(fresh, kind, own, earliest_on, _local_day(patient, at))
    needed = required_tasks(fresh, pack_of(fresh)) if kind in ALLOWING else []
    whole = _conditions(own, needed)
    if kind == DecisionKind.PROCEED_WITH_CONDITIONS and not whole:
        raise ConditionMissing(field="conditions")
    if standing is not None and standing.status == DecisionStatus.AWAITING_COSIGN:
        _take_back(standing, "Another decision was made instead.", by, at)
    if not overrides:
        _end_current(patient, fresh.modality, by, at)
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
    _finish_review(patient, by, at)
    if overrides:
        _ask_for_second(decision, by, at)
    else:
        _take_effect(decision, by, at)
    return decision


@transaction.atomic
def cosign(*, decision: CandidacyDecision, by: Actor, at: datetime) -> CandidacyDecision:
    """A second, different clinician agrees: the decision is in force and does its work.

    Raises NotAuthorised, SameClinician, ScreeningReplaced, and IllegalMove unless the decision waits for it.
    """
    user = _authorised(by, decision.modality)
    patient = lock(decision.patient)
    fresh = lock(decision)
    if fresh.decided_by_id == user.pk:
        raise SameClinician
    if fresh.status == DecisionStatus.AWAITING_COSIGN:
        if lock(fresh.screening).status != ScreeningStatus.CURRENT:
            raise ScreeningReplaced
        _end_current(patient, fresh.modality, by, at)
    fresh = move(fresh, DecisionStatus.IN_FORCE, by=by, at=at, cosigned_by=user, cosigned_at=at)
    for task in Task.objects.unfinished().filter(kind="candidacy.cosign", about=f"decision:{fresh.ref}"):
        finish_task(task=task, outcome="A second clinician agreed.", by=by, at=at)
    _take_effect(fresh, by, at)
    return fresh


@transaction.atomic
def withdraw_decision(*, decision: CandidacyDecision, reason: str, by: Actor, at: datetime) -> CandidacyDecision:
    """The decision no longer counts: its laser's flags are open again, its tasks dropped, its unsent message stopped.

    Raises NotAuthorised, ReasonMissing, and IllegalMove if it no longer counted.
    """
    _authorised(by, decision.modality)
    text = _clean_reason(reason)
    patient = lock(decision.patient)
    fresh = _take_back(decision, text, by, at)
    current = _current(patient, fresh.modality)
    if current is not None and decision_in_force(patient, fresh.modality) is None:
        for flag in current.flags.filter(status=FlagStatus.CLOSED):
            move(flag, FlagStatus.OPEN, by=by, at=at, closed_by=None)
    return fresh


@transaction.atomic
def settle_condition(*, task: Task, choice: str, reason: str, by: Actor, at: datetime) -> Task:
    """A task that a decision raised is closed, by a clinician authorised for its laser, with an outcome and the reason.

    An outcome after which treatment may not go on, as a test spot that read badly, takes the decision back instead.
    Raises NotAuthorised, OutcomeNotOffered, ReasonMissing, IllegalMove.
    """
    _authorised(by, task.modality)
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


def _practitioner(by: Actor) -> User:
    user = User.objects.select_related("practitioner").filter(pk=by.user_id or 0, is_active=True).first()
    practitioner = getattr(user, "practitioner", None)
    if user is None or practitioner is None or not practitioner.is_active:
        raise NotAuthorised
    return user


def _authorised(by: Actor, modality: str) -> User:
    user = _practitioner(by)
    if not user.practitioner.may_decide(modality):
        raise NotAuthorised
    return user


def _check_unseen(standing: CandidacyDecision | None, screening: Screening, replaces: CandidacyDecision | None) -> None:
    """Refuse a decision by somebody who has not seen the one that stands on the same screening."""
    if standing is None or standing.screening_id != screening.pk:
        return
    if replaces is None or replaces.pk != standing.pk:
        waits = standing.status == DecisionStatus.AWAITING_COSIGN
        raise AlreadyDecided(standing.decided_by.display_name, standing.get_kind_display(), waits=waits)


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
        text = str(condition.get("text", "")).strip()
        if not text or len(text) > CONDITION_LENGTH:
            raise ConditionUnclear(field="conditions")
        words = condition.get("closes_with") or []
        cleaned.append(
            {
                "key": str(condition.get("key") or f"own-{number}")[:40],
                "text": text,
                "blocks": condition.get("blocks", True) is not False,
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
    if kind == DecisionKind.DEFER and earliest_on is None and not conditions:
        raise DateOrConditionMissing(field="earliest_on")
    if kind in (DecisionKind.DECLINE, DecisionKind.REFER):
        if earliest_on is not None:
            raise DateNotMeant(field="earliest_on")
        if conditions:
            raise ConditionsNotMeant("Declining and referring take no conditions. Please take them out.", field="kind")
    if earliest_on is not None and not today < earliest_on <= today + FURTHEST:
        raise DateNotAhead(field="earliest_on")


def _check_may_treat(screening: Screening) -> None:
    if screening.outcome == Outcome.INCOMPLETE or critical_missing(screening):
        raise ScreeningIncomplete(field="kind")
    findings = screening.result["findings"]
    barred = [each for each in findings if each["effect"] == Effect.NOT_RECOMMENDED and not each["may_override"]]
    if barred:
        raise MayNotBeOverridden(", ".join(str(each["topic"]).replace("_", " ") for each in barred))


# --- the work a decision does -----------------------------------------------------------------------------------------


def _conditions(own: Sequence[dict[str, object]], needed: Iterable[PackTask]) -> list[dict[str, object]]:
    """Return what must be done before treatment: the rules' own tasks first, then what the clinician added."""
    asked = [
        {"key": task.key, "text": f"{task.label}. {task.text}", "blocks": True, "closes_with": list(task.closes_with)}
        for task in needed
    ]
    known = {each["key"] for each in asked}
    return [*asked, *(each for each in own if each["key"] not in known)]


def _end_current(patient: Patient, modality: str, by: Actor, at: datetime) -> None:
    earlier = decision_in_force(patient, modality)
    if earlier is not None:
        move(earlier, DecisionStatus.SUPERSEDED, by=by, at=at)
        _undo_work(earlier, "A newer decision took its place.", by, at)


def _take_back(decision: CandidacyDecision, reason: str, by: Actor, at: datetime) -> CandidacyDecision:
    # The reason can tell of health, so it is sealed in the row and not repeated in the trail.
    fresh = move(decision, DecisionStatus.WITHDRAWN, by=by, at=at, withdrawn_at=at, withdrawn_reason=reason)
    _undo_work(fresh, "The decision was taken back.", by, at)
    return fresh


def _undo_work(decision: CandidacyDecision, reason: str, by: Actor, at: datetime) -> None:
    for task in Task.objects.unfinished().filter(about=f"decision:{decision.ref}"):
        drop_task(task=task, reason=reason, by=by, at=at)
    later = CandidacyDecision.objects.in_force().filter(patient=decision.patient, decided_at__gte=decision.decided_at)
    if decision.kind == DecisionKind.DEFER or not later.exclude(pk=decision.pk).exists():
        withdraw(about=f"decision:{decision.ref}", reason=reason, by=by, at=at)


def _take_effect(decision: CandidacyDecision, by: Actor, at: datetime) -> None:
    """The decision closes its flags, raises its tasks and tells the patient, kindly and without a diagnosis."""
    for flag in decision.screening.flags.filter(status=FlagStatus.OPEN):
        move(flag, FlagStatus.CLOSED, by=by, at=at, closed_by=decision)
    _raise_tasks(decision, decision.conditions, by, at)
    if decision.kind == DecisionKind.TEST_SPOT_FIRST:
        _desk_task(decision, "test_spot_visit", "Book a test spot for {}", at + CONDITIONS_WITHIN, by, at)
    if decision.kind == DecisionKind.DEFER and decision.earliest_on:
        zone = decision.patient.location.zone
        due_at = datetime.combine(decision.earliest_on, time(9), tzinfo=zone)
        _desk_task(decision, "recall", "Invite {} again: the waiting time is over", due_at, by, at)
    _tell_patient(decision, by, at)


def _raise_tasks(decision: CandidacyDecision, conditions: Iterable[Condition], by: Actor, at: datetime) -> None:
    patient = decision.patient
    for condition in conditions:
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


def _ask_for_second(decision: CandidacyDecision, by: Actor, at: datetime) -> None:
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


def _finish_review(patient: Patient, by: Actor, at: datetime) -> None:
    for task in Task.objects.unfinished().filter(kind="candidacy.review", patient_ref=patient.ref):
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
        ),
        by=by,
        at=at,
    )


def _local_day(patient: Patient, at: datetime) -> date:
    return at.astimezone(patient.location.zone).date()
