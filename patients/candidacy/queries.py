"""What rules are in force, what was found, what a clinician decided and what still waits for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path

from django.db.models import Count, Exists, OuterRef, Q

from clinic.catalogue.models import Modality
from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.premises.models import Device, Location
from clinic.staff.models import User
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision, Flag, Screening, ScreeningQuerySet
from patients.candidacy.rules import Pack, load_pack
from patients.candidacy.rules import Task as PackTask
from patients.candidacy.states import (
    ConditionWork,
    DecisionKind,
    DecisionStatus,
    Effect,
    FlagStatus,
    Outcome,
    ScreeningStatus,
)
from patients.intake.models import QuestionnaireResponse
from patients.intake.pack import load_questionnaire
from patients.intake.queries import frozen_answers, questionnaire_of
from patients.intake.questionnaire import Questionnaire
from patients.registry.models import Patient
from patients.registry.rules import age_on

KNOWLEDGE = Path(__file__).resolve().parent.parent / "knowledge"
QUESTIONNAIRE_FILE = KNOWLEDGE / "questionnaire" / "intake.toml"
PACK_FILE = KNOWLEDGE / "candidacy" / "candidacy.toml"
PACK_NAME = "candidacy"

# How bad a result is for the list of what waits: the worst laser of a patient decides its place.
WORST_FIRST = (
    Outcome.NOT_RECOMMENDED,
    Outcome.DEFER_UNTIL_DATE,
    Outcome.INCOMPLETE,
    Outcome.NEEDS_CLINICIAN_REVIEW,
    Outcome.ELIGIBLE,
)
# After these a person has been told no by a person; new rules or the time that passed are no reason to come back to it.
SETTLED = (DecisionKind.DECLINE, DecisionKind.REFER)
LIVE = (DecisionStatus.IN_FORCE, DecisionStatus.AWAITING_COSIGN)

_compiled: dict[tuple[str, int, str], Pack] = {}


@cache
def shipped_questionnaire() -> Questionnaire:
    """Return the shipped questionnaire, read once."""
    return load_questionnaire(QUESTIONNAIRE_FILE.read_text(encoding="utf-8"), QUESTIONNAIRE_FILE.name)


@cache
def shipped_pack() -> Pack:
    """Return the shipped candidacy rules, read and compiled once."""
    return load_pack(PACK_FILE.read_text(encoding="utf-8"), PACK_FILE.name, shipped_questionnaire())


# --- rules in force ---------------------------------------------------------------------------------------------------


def pack_in_force() -> RulePack:
    """Return the published candidacy rules. Raises PackMissing if there are none."""
    return published(PackKind.CANDIDACY, PACK_NAME)


def compiled(row: RulePack, questionnaire: Questionnaire) -> Pack:
    """Return a version of the rules ready to screen answers to that questionnaire; compiled once per process."""
    key = (row.sha256, row.version, questionnaire.sha256)
    if key not in _compiled:
        _compiled[key] = load_pack(row.body, str(row), questionnaire, version=row.version)
    return _compiled[key]


def pack_of(screening: Screening) -> Pack:
    """Return the rules as they stood when the screening was made."""
    return compiled(screening.pack, questionnaire_of(screening.response))


def offered_modalities(location: Location) -> list[str]:
    """Return the lasers that stand ready at the location, in the catalogue's order."""
    here = set(Device.objects.filter(location=location, is_active=True).values_list("modality", flat=True))
    return list(Modality.objects.filter(key__in=here, is_enabled=True).values_list("key", flat=True))


def engine_answers(response: QuestionnaireResponse, modality: str, reference_on: date) -> dict[str, object]:
    """Return the frozen answers as the engine takes them, with the laser, the day and the age on that day.

    The age is counted from the birth date on record: what was typed beside it can be a slip, the record was checked.
    """
    return frozen_answers(response) | {
        "age_years": age_on(response.patient.born_on, reference_on),
        "modality": modality,
        "reference_date": reference_on.isoformat(),
    }


# --- what stands ------------------------------------------------------------------------------------------------------


def current_screenings(patient: Patient) -> list[Screening]:
    """Return the patient's current screening of each laser, in the catalogue's order."""
    found = patient.screenings.filter(status=ScreeningStatus.CURRENT).select_related("pack", "response")
    return _in_catalogue_order(found)


def screenings_that_matter() -> ScreeningQuerySet:
    """Return the current screenings on which something still depends.

    Undecided ones, because a clinician will decide on them; and those decided for treatment, for a test spot or for
    later, because a visit can still be booked on them for as long as the decision is in force. Whether a course of
    treatments is finished is known on the floor above; a decision that is finished with is withdrawn or replaced.
    Declined and referred patients are left in peace.
    """
    settled = CandidacyDecision.objects.in_force().filter(
        patient=OuterRef("patient"), modality=OuterRef("modality"), kind__in=SETTLED
    )
    return Screening.objects.filter(status=ScreeningStatus.CURRENT).exclude(Exists(settled))


def decision_in_force(patient: Patient, modality: str, *, screened: bool = False) -> CandidacyDecision | None:
    """Return the clinician's decision about the laser, None if there is none or it waits for a second clinician.

    With `screened` its screening is read along with it.
    """
    rows = CandidacyDecision.objects.in_force().filter(patient=patient, modality=modality)
    return (rows.select_related("screening") if screened else rows).first()


def standing_decision(patient: Patient, modality: str) -> CandidacyDecision | None:
    """Return the decision that counts or, before it, the one that waits for a second clinician."""
    live = CandidacyDecision.objects.filter(patient=patient, modality=modality, status__in=LIVE)
    return live.select_related("decided_by", "cosigned_by", "screening").order_by("status", "-decided_at").first()


def decisions_of(patient: Patient, modality: str) -> list[CandidacyDecision]:
    """Return every decision about the laser, the latest first."""
    found = CandidacyDecision.objects.filter(patient=patient, modality=modality)
    return list(found.select_related("decided_by", "cosigned_by"))


def open_flags(patient: Patient, modality: str | None = None) -> list[Flag]:
    """Return what a clinician has still to settle, for one laser or for all; only current screenings count."""
    flags = Flag.objects.filter(
        status=FlagStatus.OPEN, screening__patient=patient, screening__status=ScreeningStatus.CURRENT
    )
    if modality is not None:
        flags = flags.filter(screening__modality=modality)
    return list(flags.select_related("screening"))


def count_open_flags(patients: Collection[int]) -> dict[tuple[int, str], int]:
    """Return how many flags a clinician has still to settle, by patient's key and laser; none is not in it."""
    rows = Flag.objects.filter(
        status=FlagStatus.OPEN, screening__patient__in=patients, screening__status=ScreeningStatus.CURRENT
    )
    return dict(Counter(rows.values_list("screening__patient", "screening__modality")))


def work_of(condition: Mapping[str, object]) -> ConditionWork:
    """Return what a condition of a decision does; one that does not say is a task, before treatment unless noted."""
    if work := condition.get("work"):
        return ConditionWork(str(work))
    return ConditionWork.BEFORE if condition.get("blocks", True) is not False else ConditionWork.NOTED


def told_before(decision: CandidacyDecision) -> tuple[str, ...]:
    """Return the lines that the decision adds to the patient's messages before each visit."""
    return tuple(str(each["told"]) for each in decision.conditions if work_of(each) == ConditionWork.PRECARE)


def asked_after(decision: CandidacyDecision) -> tuple[str, ...]:
    """Return the questions that the decision adds to the patient's check-ins."""
    return tuple(str(each["told"]) for each in decision.conditions if work_of(each) == ConditionWork.QUESTION)


def decision_tasks(decision: CandidacyDecision) -> list[Task]:
    """Return the tasks that came of a decision, first due first."""
    return list(Task.objects.filter(about=f"decision:{decision.ref}").select_related("done_by"))


# --- what waits for a clinician ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """One patient on the list of what waits: why, since when, and the result for each laser."""

    patient: Patient
    screenings: tuple[Screening, ...]
    worst: Outcome
    since: datetime
    cosign: bool
    reopened: bool

    @property
    def first(self) -> Screening:
        """The screening to open: the worst one, or the one that waits for a second clinician."""
        return min(self.screenings, key=lambda each: (not each.awaits, WORST_FIRST.index(Outcome(each.outcome))))  # type: ignore[attr-defined]


def review_queue(user: User) -> list[Waiting]:
    """Return the patients who wait for a clinician: worst result first, then whoever has waited longest.

    Somebody waits while no laser has been decided, while a decision waits for a second clinician, and while a newer
    screening has open flags beside a decision in force. Each screening carries `awaits`, `decided` and `open_count`.
    """
    live = CandidacyDecision.objects.filter(patient=OuterRef("patient"), status__in=LIVE)
    mine = live.filter(modality=OuterRef("modality"))
    flags = Q(flags__status=FlagStatus.OPEN)
    current = Screening.objects.visible_to(user).filter(status=ScreeningStatus.CURRENT)
    marked = current.annotate(
        open_count=Count("flags", filter=flags),
        awaits=Exists(mine.filter(status=DecisionStatus.AWAITING_COSIGN)),
        decided=Exists(mine.filter(status=DecisionStatus.IN_FORCE)),
        any_decided=Exists(live),
    )
    waits = marked.filter(Q(any_decided=False) | Q(awaits=True) | Q(decided=True, open_count__gt=0))
    rows = marked.filter(patient__in=waits.values("patient")).select_related("patient").defer("answers", "result")
    by_patient: dict[int, list[Screening]] = {}
    for row in _in_catalogue_order(rows):
        by_patient.setdefault(row.patient_id, []).append(row)
    return sorted((_waiting(each) for each in by_patient.values()), key=_place_in_queue)


def _waiting(rows: list[Screening]) -> Waiting:
    worst = min((Outcome(row.outcome) for row in rows), key=WORST_FIRST.index)
    return Waiting(
        patient=rows[0].patient,
        screenings=tuple(rows),
        worst=worst,
        since=min(row.screened_at for row in rows),
        cosign=any(row.awaits for row in rows),  # type: ignore[attr-defined]
        reopened=any(row.decided and row.open_count for row in rows),  # type: ignore[attr-defined]
    )


def _place_in_queue(row: Waiting) -> tuple[int, datetime]:
    return WORST_FIRST.index(row.worst), row.since


def _in_catalogue_order(screenings: Iterable[Screening]) -> list[Screening]:
    place: Mapping[str, int] = {key: index for index, key in enumerate(Modality.objects.values_list("key", flat=True))}
    return sorted(screenings, key=lambda each: (place.get(each.modality, len(place)), each.modality))


# --- what a decision must ask for -------------------------------------------------------------------------------------


def required_tasks(screening: Screening, pack: Pack) -> list[PackTask]:
    """Return the tasks that block treatment with this laser until they are closed, in the pack's order.

    Those of findings and of advice; and those of rules that are still undecided, because unknown is not no.
    """
    result = screening.result
    keys = {finding["task"] for finding in result["findings"] if finding["effect"] == Effect.TASK}
    keys.update(key for advice in result["advice"] for key in advice["tasks"])
    group = pack.group_of[screening.modality]
    for undecided in result["undecided"]:
        if undecided["effect"] == Effect.TASK:
            cases = pack.rule(undecided["rule"]).cases
            keys.update(case.task for case in cases if case.effects.get(group) == Effect.TASK)
    return [task for key, task in pack.tasks.items() if key in keys]


def critical_missing(screening: Screening) -> list[str]:
    """Return the questions that are blank and must not be, in the questionnaire's order."""
    critical = set(questionnaire_of(screening.response).critical())
    return [key for key in screening.result["missing"] if key in critical]
