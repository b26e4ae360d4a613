"""What a clinician reads before deciding: the reasons, the patient's own answers, what stands and what waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clinic.worklist.models import Task
from clinic.worklist.states import TaskStatus
from patients.candidacy.lanes import (
    OUTCOME_ICONS,
    OUTCOME_TONES,
    Lane,
    all_lasers,
    gentler_lanes,
    lanes_beside,
    lanes_of,
)
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.queries import (
    critical_missing,
    decision_tasks,
    decisions_of,
    pack_of,
    required_tasks,
    standing_decision,
    work_of,
)
from patients.candidacy.reasons import ASK, NOTE, STOP, Reason, reasons_of
from patients.candidacy.rules import RANK, Pack
from patients.candidacy.rules import Task as PackTask
from patients.candidacy.said import Change, Said, changes_since, compared_with, said, sections_of, to_confirm
from patients.candidacy.states import (
    TASKS,
    ConditionWork,
    Effect,
    FlagStatus,
    Outcome,
    ScreeningStatus,
)
from patients.intake.questionnaire import Question, SkinScore

GOALS = ("concerns", "treatment_areas", "expectation", "event_date", "can_avoid_sun", "can_follow_aftercare")

__all__ = [
    "Change",
    "Lane",
    "Reason",
    "Review",
    "Said",
    "Suggestion",
    "ToDo",
    "compared_with",
    "lanes_of",
    "review_of",
    "said",
    "suggested_task",
    "to_confirm",
]


@dataclass(frozen=True)
class Suggestion:
    """A task that the rules know. `needed_by` names the rules that ask for it; nobody can take those away."""

    key: str
    label: str
    text: str
    needed_by: tuple[str, ...]


@dataclass(frozen=True)
class ToDo:
    """A condition of the standing decision: its task, or how else it does its work."""

    text: str
    told: str
    work: ConditionWork
    task: Task | None
    choices: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        return self.task is not None and self.task.status in (TaskStatus.REQUESTED, TaskStatus.ACCEPTED)

    @property
    def is_task(self) -> bool:
        return self.work in TASKS

    @property
    def is_done(self) -> bool:
        return self.task is not None and self.task.status == TaskStatus.COMPLETED


@dataclass(frozen=True)
class Review:
    """Everything on the page about one screening."""

    screening: Screening
    modality_label: str
    outcome_label: str
    tone: str
    icon: str
    is_current: bool
    pack: str
    is_draft: bool
    stops: tuple[Reason, ...]
    asks: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    missing: tuple[Question, ...]
    blank: tuple[Question, ...]
    expired: tuple[Said, ...]
    advice: tuple[str, ...]
    goals: tuple[Said, ...]
    skin: SkinScore
    skin_confirmed: Said
    sections: tuple[tuple[str, tuple[Said, ...]], ...]
    changes: tuple[Change, ...]
    before_at: datetime | None
    lanes: tuple[Lane, ...]
    gentler: tuple[Lane, ...]
    standing: CandidacyDecision | None
    todo: tuple[ToDo, ...]
    earlier: tuple[CandidacyDecision, ...]
    suggestions: tuple[Suggestion, ...]

    @property
    def standing_here(self) -> CandidacyDecision | None:
        """The standing decision if it was made on this very screening."""
        here = self.standing is not None and self.standing.screening_id == self.screening.pk
        return self.standing if here else None

    @property
    def bars(self) -> tuple[str, ...]:
        """Return the topics against which nobody may go ahead in this patient's case."""
        stops = (each for each in self.stops if each.effect == Effect.NOT_RECOMMENDED and not each.may_override)
        return tuple(dict.fromkeys(each.topic for each in stops))

    @property
    def open_count(self) -> int:
        return sum(reason.status == FlagStatus.OPEN for reason in (*self.stops, *self.asks))


def review_of(screening: Screening) -> Review:
    """Return what the page about a screening shows, by the rules and words as they stood when it was made."""
    pack = pack_of(screening)
    reasons = sorted(reasons_of(screening, pack), key=lambda each: (RANK[each.effect], each.rule))
    ranked = {rank: tuple(each for each in reasons if each.rank == rank) for rank in (STOP, ASK, NOTE)}
    critical = set(critical_missing(screening))
    too_old = [key for key in pack.questionnaire.by_key if key in screening.expired]
    never = [pack.questionnaire.by_key[key] for key in screening.result["missing"] if key not in screening.expired]
    standing = standing_decision(screening.patient, screening.modality)
    lasers = all_lasers()
    earlier = compared_with(screening)
    return Review(
        screening=screening,
        modality_label=str(lasers.get(screening.modality, screening.modality)),
        outcome_label=Outcome(screening.outcome).label,
        tone=OUTCOME_TONES[Outcome(screening.outcome)],
        icon=OUTCOME_ICONS[Outcome(screening.outcome)],
        is_current=screening.status == ScreeningStatus.CURRENT,
        pack=str(screening.pack),
        is_draft=screening.pack.approved_by_id is None,
        stops=ranked[STOP],
        asks=ranked[ASK],
        notes=ranked[NOTE],
        missing=tuple(question for question in never if question.key in critical),
        blank=tuple(question for question in never if question.key not in critical),
        expired=tuple(said(screening, pack.questionnaire.by_key[key]) for key in too_old),
        advice=tuple(each["text"] for each in screening.result["advice"]),
        goals=tuple(
            said(screening, pack.questionnaire.by_key[key]) for key in GOALS if key in pack.questionnaire.by_key
        ),
        skin=pack.questionnaire.skin_score(screening.answers),
        skin_confirmed=said(screening, pack.questionnaire.by_key["fst_confirmed"]),
        sections=sections_of(screening, pack.questionnaire),
        changes=changes_since(earlier, screening, pack.questionnaire),
        before_at=earlier.completed_at if earlier else None,
        lanes=lanes_beside(screening, lasers),
        gentler=gentler_lanes(screening, pack, lasers),
        standing=standing,
        todo=_todo(standing),
        earlier=tuple(each for each in decisions_of(screening.patient, screening.modality) if each != standing),
        suggestions=_suggestions(screening, pack),
    )


def _suggestions(screening: Screening, pack: Pack) -> tuple[Suggestion, ...]:
    needed = {task.key for task in required_tasks(screening, pack)}
    asked_by: dict[str, list[str]] = {}
    for finding in screening.result["findings"]:
        if finding["effect"] == Effect.TASK:
            asked_by.setdefault(finding["task"], []).append(finding["rule"])
    return tuple(
        Suggestion(key, task.label, task.text, tuple(asked_by.get(key, ["the rules"])) if key in needed else ())
        for key, task in pack.tasks.items()
    )


def suggested_task(screening: Screening, key: str) -> PackTask | None:
    """Return a task that the rules know, for a condition the clinician ticked."""
    return pack_of(screening).tasks.get(key)


def _todo(standing: CandidacyDecision | None) -> tuple[ToDo, ...]:
    if standing is None:
        return ()
    tasks = {task.key.rpartition(":")[2]: task for task in decision_tasks(standing)}
    return tuple(
        ToDo(
            text=str(each["text"]),
            told=str(each.get("told", "")),
            work=work_of(each),
            task=tasks.get(str(each["key"])),
            choices=tuple(each["closes_with"]),
        )
        for each in standing.conditions
    )
