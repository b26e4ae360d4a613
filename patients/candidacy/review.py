"""What a clinician reads before deciding: reasons ranked, each with the patient's own answer, rule and source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from clinic.catalogue.models import Modality
from clinic.worklist.models import Task
from clinic.worklist.states import TaskStatus
from patients.candidacy.models import CandidacyDecision, Flag, Screening
from patients.candidacy.queries import (
    critical_missing,
    current_screenings,
    decision_tasks,
    decisions_of,
    pack_of,
    required_tasks,
    standing_decision,
)
from patients.candidacy.rules import RANK, Pack, alternative, screen
from patients.candidacy.rules import Task as PackTask
from patients.candidacy.states import DecisionStatus, Effect, FlagStatus, Outcome, ScreeningStatus
from patients.intake.queries import Given, shown
from patients.intake.rules import Question, Questionnaire, SkinScore
from patients.intake.states import Who

STOP, ASK, NOTE = "stop", "ask", "note"
RANKS: Mapping[str, str] = {
    Effect.NOT_RECOMMENDED: STOP,
    Effect.DEFER: STOP,
    Effect.REVIEW: ASK,
    Effect.TASK: NOTE,
    Effect.INFO: NOTE,
}
EFFECT_TONES = {
    Effect.NOT_RECOMMENDED: "alarm", Effect.DEFER: "warn", Effect.REVIEW: "calm", Effect.TASK: "quiet",
    Effect.INFO: "quiet",
}  # fmt: skip
OUTCOME_TONES = {
    Outcome.NOT_RECOMMENDED: "alarm",
    Outcome.DEFER_UNTIL_DATE: "warn",
    Outcome.INCOMPLETE: "warn",
    Outcome.NEEDS_CLINICIAN_REVIEW: "calm",
    Outcome.ELIGIBLE: "good",
}
OUTCOME_ICONS = {
    Outcome.NOT_RECOMMENDED: "alarm",
    Outcome.DEFER_UNTIL_DATE: "clock",
    Outcome.INCOMPLETE: "question",
    Outcome.NEEDS_CLINICIAN_REVIEW: "review",
    Outcome.ELIGIBLE: "check",
}
EVIDENCE = {
    "A": "trial, systematic review or consensus",
    "B": "cohort or case series",
    "C": "textbook, guideline extract or opinion",
    "D": "leaflet: convention, not evidence",
    "G": "general knowledge, no source",
}
GOALS = ("concerns", "treatment_areas", "expectation", "event_date", "can_avoid_sun", "can_follow_aftercare")
ABBREVIATIONS = frozenset({"bdd", "ctd", "hsv", "pih"})
_TAG = re.compile(r"^(?P<tag>.+?)(?: (?P<letter>[A-D]))?$")


@dataclass(frozen=True)
class Said:
    """One answer as it was given. `kind` keeps "no", "not sure", withheld, hidden and never answered apart."""

    question: str
    text: str
    kind: Given
    asked_at: datetime | None
    by: str

    @property
    def is_known(self) -> bool:
        return self.kind == Given.ANSWER


@dataclass(frozen=True)
class Change:
    """One answer that reads otherwise than in the answers before it; `was` keeps its own date and author."""

    was: Said
    now: Said


@dataclass(frozen=True)
class Source:
    """One source with its evidence letter and what the letter means."""

    tag: str
    letter: str
    meaning: str


@dataclass(frozen=True)
class Reason:
    """One rule that speaks: why, on which answers, and whether a decision has settled it."""

    rank: str
    rule: str
    topic: str
    effect: Effect
    effect_label: str
    tone: str
    undecided: bool
    said: tuple[Said, ...]
    rationale: str
    patient_text: str
    sources: tuple[Source, ...]
    earliest: date | None
    rescreen_when: str
    may_override: bool
    status: str


@dataclass(frozen=True)
class Lane:
    """The result for one laser, as a chip; `ref` opens it, None where the laser is not offered here."""

    label: str
    short: str
    outcome: Outcome
    outcome_label: str
    tone: str
    icon: str
    ref: object | None
    is_here: bool
    decided: str


@dataclass(frozen=True)
class Suggestion:
    """A task that the rules know. `needed_by` names the rules that ask for it; nobody can take those away."""

    key: str
    label: str
    text: str
    needed_by: tuple[str, ...]


@dataclass(frozen=True)
class ToDo:
    """A condition of the standing decision and its task."""

    text: str
    task: Task | None
    choices: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        return self.task is not None and self.task.status in (TaskStatus.REQUESTED, TaskStatus.ACCEPTED)

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
    def open_count(self) -> int:
        return sum(reason.status == FlagStatus.OPEN for reason in (*self.stops, *self.asks))


def review_of(screening: Screening) -> Review:
    """Return what the page about a screening shows, by the rules and words as they stood when it was made."""
    pack = pack_of(screening)
    reasons = sorted(_reasons(screening, pack), key=lambda each: (RANK[each.effect], each.rule))
    ranked = {rank: tuple(each for each in reasons if each.rank == rank) for rank in (STOP, ASK, NOTE)}
    critical = set(critical_missing(screening))
    missing = [pack.questionnaire.by_key[key] for key in screening.result["missing"]]
    standing = standing_decision(screening.patient, screening.modality)
    lasers = _lasers()
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
        missing=tuple(question for question in missing if question.key in critical),
        blank=tuple(question for question in missing if question.key not in critical),
        advice=tuple(each["text"] for each in screening.result["advice"]),
        goals=tuple(
            said(screening, pack.questionnaire.by_key[key]) for key in GOALS if key in pack.questionnaire.by_key
        ),
        skin=pack.questionnaire.skin_score(screening.answers),
        skin_confirmed=said(screening, pack.questionnaire.by_key["fst_confirmed"]),
        sections=_sections(screening, pack.questionnaire),
        changes=_changes(screening, pack.questionnaire),
        before_at=_before_at(screening),
        lanes=_lanes(screening, lasers),
        gentler=_gentler(screening, pack, lasers),
        standing=standing,
        todo=_todo(standing),
        earlier=tuple(each for each in decisions_of(screening.patient, screening.modality) if each != standing),
        suggestions=_suggestions(screening, pack),
    )


def said(screening: Screening, question: Question) -> Said:
    """Return an answer in the words the patient saw, with when and by whom; what was never answered says so."""
    value = screening.answers.get(question.key)
    entry = (screening.response.snapshot or {}).get(question.key)
    words = shown(question, value)
    if entry is None or entry["value"] != value:
        by = "" if value is None else "Afterglow, from the record"
        return Said(question.label, words.text, words.given, None, by)
    return Said(question.label, words.text, words.given, datetime.fromisoformat(entry["at"]), entry["by"])


def to_confirm(screening: Screening) -> list[Question]:
    """Return the questions a clinician may answer in place: what is blank first, then what is theirs to confirm."""
    questionnaire = pack_of(screening).questionnaire
    blank = [questionnaire.by_key[key] for key in screening.result["missing"]]
    unsure = [question for question in questionnaire.questions if not said(screening, question).is_known]
    theirs = [question for question in questionnaire.questions if Who.CLINICIAN.value in question.who]
    open_now = [question for question in unsure if said(screening, question).kind in _UNSURE]
    ordered = dict.fromkeys(question.key for question in (*blank, *open_now, *theirs))
    return [questionnaire.by_key[key] for key in ordered if questionnaire.by_key[key].who != {Who.SYSTEM.value}]


_UNSURE = (Given.NOT_SURE, Given.PREFER_NOT_TO_SAY)


# --- reasons ----------------------------------------------------------------------------------------------------------


def _reasons(screening: Screening, pack: Pack) -> Iterable[Reason]:
    flags = {flag.rule: flag for flag in screening.flags.all()}
    for finding in screening.result["findings"]:
        yield _fired(screening, pack, finding, flags.get(finding["rule"]))
    for undecided in screening.result["undecided"]:
        yield _undecided(screening, pack, undecided, flags.get(undecided["rule"]))


def _fired(screening: Screening, pack: Pack, finding: Mapping[str, object], flag: Flag | None) -> Reason:
    effect = Effect(str(finding["effect"]))
    needs_person = RANK[effect] <= RANK[Effect.REVIEW]
    earliest = finding["earliest_date"]
    return Reason(
        rank=RANKS[effect],
        rule=str(finding["rule"]),
        topic=_topic(finding),
        effect=effect,
        effect_label=effect.label,
        tone=EFFECT_TONES[effect],
        undecided=False,
        said=_answers(screening, pack, str(finding["rule"]), finding["answers"]),
        rationale=str(finding["rationale"]),
        patient_text=str(finding["patient_text"]),
        sources=_sources(str(finding["source"])),
        earliest=date.fromisoformat(str(earliest)) if earliest else None,
        rescreen_when=str(finding["rescreen_when"]),
        may_override=bool(finding["may_override"]),
        status=flag.status if flag and needs_person else "",
    )


def _undecided(screening: Screening, pack: Pack, undecided: Mapping[str, object], flag: Flag | None) -> Reason:
    """An undecided rule asks, whatever it could become: nobody has said yes."""
    effect = Effect(str(undecided["effect"]))
    rule = pack.rule(str(undecided["rule"]))
    needs_person = RANK[effect] <= RANK[Effect.REVIEW]
    return Reason(
        rank=ASK if needs_person else NOTE,
        rule=rule.id,
        topic=_topic(undecided),
        effect=Effect.REVIEW if needs_person else effect,
        effect_label=f"Open: could be “{effect.label.lower()}”",
        tone="warn" if needs_person else "quiet",
        undecided=True,
        said=_answers(screening, pack, rule.id, undecided["answers"]),
        rationale=rule.rationale,
        patient_text="",
        sources=_sources(rule.source),
        earliest=None,
        rescreen_when="",
        may_override=True,
        status=flag.status if flag and needs_person else "",
    )


def _answers(screening: Screening, pack: Pack, rule_id: str, used: object) -> tuple[Said, ...]:
    keys = list(used) if isinstance(used, Mapping) else []
    keys += [key for key in pack.rule(rule_id).shows if key not in keys]
    by_key = pack.questionnaire.by_key
    return tuple(said(screening, by_key[key]) for key in keys if key in by_key)


def _topic(finding: Mapping[str, object]) -> str:
    words = str(finding["topic"]).split("_")
    first = words[0].upper() if words[0] in ABBREVIATIONS else words[0].capitalize()
    return " ".join([first, *words[1:]])


def _sources(text: str) -> tuple[Source, ...]:
    found = []
    for part in re.split(r", | vs |; ", text):
        match = _TAG.match(part)
        tag = match["tag"] if match else part
        letter = (match["letter"] or "") if match else ""
        letter = "G" if tag == "G" else letter
        found.append(Source(tag, letter, EVIDENCE.get(letter, "")))
    return tuple(found)


# --- since last time --------------------------------------------------------------------------------------------------


def _before_at(screening: Screening) -> datetime | None:
    """Return when the answers before these were handed in, None where these are the first."""
    earlier = screening.response.amends
    return earlier.completed_at if earlier else None


def _changes(screening: Screening, questionnaire: Questionnaire) -> tuple[Change, ...]:
    """Return the questions whose answer differs from the response before this one, in the order asked.

    An answer that was given then and not now is a change too: "not answered" is not what it was.
    """
    earlier = screening.response.amends
    if earlier is None or earlier.snapshot is None:
        return ()
    before, now = earlier.snapshot, screening.response.snapshot or {}
    return tuple(
        Change(_entry_said(question, before.get(question.key)), _entry_said(question, now.get(question.key)))
        for question in questionnaire.questions
        if question.key != "age_years" and not _same(before.get(question.key), now.get(question.key))
    )


def _same(one: Mapping[str, object] | None, other: Mapping[str, object] | None) -> bool:
    values = [entry["value"] if entry else None for entry in (one, other)]
    return type(values[0]) is type(values[1]) and values[0] == values[1]


def _entry_said(question: Question, entry: Mapping[str, object] | None) -> Said:
    words = shown(question, entry["value"] if entry else None)
    at = datetime.fromisoformat(str(entry["at"])) if entry else None
    return Said(question.label, words.text, words.given, at, str(entry["by"]) if entry else "")


# --- around them ------------------------------------------------------------------------------------------------------


def _sections(screening: Screening, questionnaire: Questionnaire) -> tuple[tuple[str, tuple[Said, ...]], ...]:
    """Return every question with its answer, section by section; what skip logic hid is left out."""
    sections = []
    for section in questionnaire.sections:
        items = [said(screening, question) for question in questionnaire.questions if question.section == section.key]
        sections.append((section.title, tuple(item for item in items if item.kind != Given.NOT_APPLICABLE)))
    return tuple((title, items) for title, items in sections if items)


def lanes_of(screenings: Sequence[Screening]) -> tuple[Lane, ...]:
    """Return the results of several screenings as chips; one query however many."""
    lasers = _lasers()
    return tuple(_lane(row, lasers) for row in screenings)


def _lasers() -> dict[str, Modality]:
    return {laser.key: laser for laser in Modality.objects.all()}


def _lanes(screening: Screening, lasers: Mapping[str, Modality]) -> tuple[Lane, ...]:
    live = (DecisionStatus.IN_FORCE, DecisionStatus.AWAITING_COSIGN)
    decisions = CandidacyDecision.objects.filter(patient=screening.patient, status__in=live)
    words = {
        each.modality: each.get_kind_display() if each.status == DecisionStatus.IN_FORCE else each.get_status_display()
        for each in decisions
    }
    rows = current_screenings(screening.patient)
    return tuple(_lane(row, lasers, is_here=row == screening, decided=words.get(row.modality, "")) for row in rows)


def _lane(row: Screening, lasers: Mapping[str, Modality], *, is_here: bool = False, decided: str = "") -> Lane:
    return _chip(row.modality, lasers, Outcome(row.outcome), row.ref, is_here=is_here, decided=decided)


def _chip(
    modality: str,
    lasers: Mapping[str, Modality],
    outcome: Outcome,
    ref: object | None,
    *,
    is_here: bool = False,
    decided: str = "",
) -> Lane:
    laser = lasers.get(modality)
    short = f"{laser.group} {laser.wavelength_nm:,}" if laser and laser.wavelength_nm else modality
    label = laser.label if laser else modality
    return Lane(
        label, short, outcome, outcome.label, OUTCOME_TONES[outcome], OUTCOME_ICONS[outcome], ref, is_here, decided
    )


def _gentler(screening: Screening, pack: Pack, lasers: Mapping[str, Modality]) -> tuple[Lane, ...]:
    """Return the gentler lasers' results beside a refused ablative one. For the clinician only, never the patient."""
    result = screen(screening.answers, pack, screening.modality, screening.reference_on)
    other = alternative(result, screening.answers, pack)
    if other is None:
        return ()
    group = pack.modalities(pack.group_of[other.modality])
    offered = [row for row in current_screenings(screening.patient) if row.modality in group]
    found = tuple(_lane(row, lasers) for row in offered)
    return found or (_chip(other.modality, lasers, other.outcome, None),)


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
        ToDo(str(each["text"]), tasks.get(str(each["key"])), tuple(each["closes_with"])) for each in standing.conditions
    )
