"""The candidacy engine: answers and a checked pack in, a result with its reasons out.

Outcome, worst first: a fired not_recommended; a fired defer; incomplete (a critical answer is blank);
needs_clinician_review (a fired review, or an undecided rule that could ask for one or worse); eligible. What has
fired stays fired however incomplete the rest is: no further answer can take it back, and a person who must wait
should not be told merely to fill in a form. `missing` is listed beside it either way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from patients.candidacy.pack import (
    RANK,
    Case,
    Interplay,
    Lane,
    Likely,
    Pack,
    PackName,
    Rule,
    Said,
    Settled,
    Task,
    union,
)
from patients.candidacy.reading import load_pack
from patients.candidacy.states import Effect, Outcome
from patients.conditions.rules import BLANK, Open, Pattern, holds_plainly
from patients.intake.questionnaire import AnswerRefused, Answers, Questionnaire
from patients.intake.rules import check_answers, parse_day

__all__ = [
    "RANK",
    "Case",
    "Finding",
    "Interplay",
    "Pack",
    "PackName",
    "Rule",
    "Said",
    "ScreeningResult",
    "Task",
    "Undecided",
    "alternative",
    "load_pack",
    "screen",
]

_NOT_RECOMMENDED, _DEFER, _REVIEW = (RANK[each] for each in (Effect.NOT_RECOMMENDED, Effect.DEFER, Effect.REVIEW))

# --- what a result is made of -------------------------------------------------------------------------------------


class Finding(NamedTuple):
    """A rule that is true: what it says, the answers that made it true, and its own earliest date if it has one."""

    said: Said
    answers: dict[str, object]
    earliest_date: date | None
    may_override: bool

    @property
    def rule(self) -> str:
        return self.said.rule

    @property
    def topic(self) -> str:
        return self.said.topic

    @property
    def effect(self) -> Effect:
        return self.said.effect

    def as_dict(self) -> dict[str, object]:
        said = self.said
        return {
            "rule": said.rule,
            "topic": said.topic,
            "effect": said.effect.value,
            "answers": self.answers,
            "earliest_date": _iso(self.earliest_date),
            "rescreen_when": said.rescreen_when,
            "patient_text": said.patient_text,
            "rationale": said.rationale,
            "source": said.source,
            "task": said.task,
            "may_override": self.may_override,
        }


class Undecided(NamedTuple):
    """A rule that may be true: the worst effect it could have and the open answers (null: never answered)."""

    rule: str
    topic: str
    effect: Effect
    answers: dict[str, object]

    def as_dict(self) -> dict[str, object]:
        return {"rule": self.rule, "topic": self.topic, "effect": self.effect.value, "answers": self.answers}


class ScreeningResult(NamedTuple):
    """The engine's answer. Equal inputs give equal bytes from `as_json()`."""

    outcome: Outcome
    earliest_date: date | None
    modality: str
    reference_date: date
    pack: PackName
    findings: tuple[Finding, ...]
    undecided: tuple[Undecided, ...]
    missing: tuple[str, ...]
    advice: tuple[Interplay, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The blocking tasks that findings and advice raise, each once, by key of the pack's [[task]]."""
        raised = [each.said.task for each in self.findings if each.said.effect is Effect.TASK]
        return tuple(dict.fromkeys([*raised, *(key for each in self.advice for key in each.tasks)]))

    def as_dict(self) -> dict[str, object]:
        return {
            "outcome": self.outcome.value,
            "earliest_date": _iso(self.earliest_date),
            "modality": self.modality,
            "reference_date": self.reference_date.isoformat(),
            "pack": self.pack._asdict(),
            "findings": [each.as_dict() for each in self.findings],
            "undecided": [each.as_dict() for each in self.undecided],
            "missing": list(self.missing),
            "advice": [each.as_dict() for each in self.advice],
        }

    def as_json(self) -> str:
        """Return one line of JSON, keys sorted: the bytes that are stored, hashed and replayed."""
        return json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


# --- screening ----------------------------------------------------------------------------------------------------


def screen(answers: Answers, pack: Pack, modality: str, on: date) -> ScreeningResult:
    """Return what the pack says of these answers for one modality, compared with the day `on`.

    `on` is the planned treatment date, else the day of screening. Answers are in their stored form; `modality` and
    `reference_date` among them are not read. Total on well-formed answers; raises AnswerRefused, naming the question,
    on any other and on an unknown modality.
    """
    group = pack.group_of.get(modality)
    if group is None:
        raise AnswerRefused("modality", f"“{modality}” is unknown. Known: {', '.join(pack.group_of)}.")
    if not pack.known.issuperset(answers):
        check_answers(pack.questionnaire, answers)
    try:
        hits, opened = pack.runs[group](answers.get, on.toordinal())
    except TypeError:
        # A list where one option belongs cannot be hashed; the careful check names the question.
        check_answers(pack.questionnaire, answers)
        raise
    findings: list[Finding] = []
    undecided: list[Undecided] = []
    lanes = pack.lanes[group]
    worst, fired = len(RANK), 0
    for index, pattern in hits:
        lane = lanes[index]
        settled = lane.patterns.get(pattern) or _settle(lane, pattern)
        said = settled.said
        if said is not None:
            findings.append(_finding(lane.rule, said, settled, answers, opened, on))
            fired |= lane.bit
            if said.rank < worst:
                worst = said.rank
        if settled.open_effect is not None:
            unknown = _open_answers(settled.open_keys, opened)
            undecided.append(Undecided(lane.rule.id, lane.rule.topic, settled.open_effect, unknown))
            if settled.open_counts and worst > _REVIEW:
                worst = _REVIEW
    missing, incomplete = _blank(opened, pack.questionnaire) if opened else ((), False)
    return ScreeningResult(
        _outcome(worst, incomplete=incomplete),
        _latest(findings) if worst <= _DEFER else None,
        modality,
        on,
        pack.id,
        tuple(findings),
        tuple(undecided),
        missing,
        _advice(pack.advice[group], fired, findings, answers) if fired else (),
    )


def alternative(result: ScreeningResult, answers: Answers, pack: Pack) -> ScreeningResult | None:
    """Return the gentler group's result where advice asks to show it to the clinician, else None."""
    group = next((advice.show_group for advice in result.advice if advice.show_group), "")
    return screen(answers, pack, pack.modalities(group)[0], result.reference_date) if group else None


def _outcome(worst: int, *, incomplete: bool) -> Outcome:
    """Return the outcome for the worst effect that fired or, up to review, might."""
    if worst == _NOT_RECOMMENDED:
        return Outcome.NOT_RECOMMENDED
    if worst == _DEFER:
        return Outcome.DEFER_UNTIL_DATE
    if incomplete:
        return Outcome.INCOMPLETE
    return Outcome.NEEDS_CLINICIAN_REVIEW if worst == _REVIEW else Outcome.ELIGIBLE


def _blank(opened: list[Open], questionnaire: Questionnaire) -> tuple[tuple[str, ...], bool]:
    """Return the questions never answered, in the questionnaire's order, and whether one of them is critical."""
    blank = [question for question, why in opened if why == BLANK]
    keys = {question.key for question in blank}
    missing = tuple(key for key in questionnaire.by_key if key in keys) if len(keys) > 1 else tuple(keys)
    return missing, any(question.critical for question in blank)


def _advice(advice: tuple[Likely, ...], fired: int, findings: list[Finding], answers: Answers) -> tuple[Interplay, ...]:
    count = len(findings)
    likely = [
        interplay
        for all_of, any_of, at_least, interplay in advice
        if count >= at_least and fired & all_of == all_of and (not any_of or fired & any_of)
    ]
    return tuple([each for each in likely if _speaks(each, findings, answers)]) if likely else ()


def _speaks(interplay: Interplay, findings: Sequence[Finding], answers: Answers) -> bool:
    """Whether the findings of one screening, in a group this advice is for, call for it."""
    if any(answers.get(key) != value for key, value in interplay.answers.items()):
        return False
    fired = {each.said.rule for each in findings if not interplay.ranks or each.said.rank in interplay.ranks}
    enough = len(fired) >= interplay.at_least
    return (
        enough and fired >= interplay.fired_all and not (interplay.fired_any and fired.isdisjoint(interplay.fired_any))
    )


def _latest(findings: Iterable[Finding]) -> date | None:
    """Return the latest date of all deferrals; None if there are none or one of them has no date."""
    dates = [finding.earliest_date for finding in findings if finding.said.rank == _DEFER]
    known = [day for day in dates if day is not None]
    return max(known) if known and len(known) == len(dates) else None


def _finding(rule: Rule, said: Said, settled: Settled, answers: Answers, opened: list[Open], on: date) -> Finding:
    keys = settled.keys or tuple(question.key for question, why in opened if why == "not_sure" and question.health)
    used = {key: value for key in keys if (value := answers.get(key)) is not None}
    if not settled.dates:
        earliest = None
    else:
        days = [_add(answers, formula, on) for formula in settled.dates]
        known = [day for day in days if day is not None]
        earliest = max(known) if len(known) == len(days) else None
    may_override = not rule.override_only_if or holds_plainly(rule.override_only_if, answers)
    return Finding(said, used, earliest, may_override)


def _add(answers: Answers, formula: tuple[str, int] | None, on: date) -> date | None:
    """Return the day a formula gives; None without a date, or where the day is not after the reference day."""
    day = parse_day(answers.get(formula[0])) if formula else None
    if formula is None or day is None:
        return None
    ordinal = day.toordinal() + formula[1]
    return date.fromordinal(ordinal) if on.toordinal() < ordinal <= date.max.toordinal() else None


def _open_answers(keys: tuple[str, ...], opened: list[Open]) -> dict[str, object]:
    """Return the open ones among the keys with what was said: null where nothing was."""
    if keys:
        return {q.key: None if why == BLANK else why for q, why in opened if q.key in keys}
    return {q.key: None if why == BLANK else why for q, why in opened if q.health and why != "not_sure"}


def _settle(lane: Lane, pattern: Pattern) -> Settled:
    """Return what speaks: the worst true rows, and the undecided rows that could make it worse. Remembered."""
    true, open_ = pattern
    fired = [row for bit, row in enumerate(lane.rows) if true >> bit & 1]
    unsettled = [row for bit, row in enumerate(lane.rows) if open_ >> bit & 1]
    worst = min((row.said.rank for row in fired), default=len(RANK))
    speaking = [row for row in fired if row.said.rank == worst]
    # An equal effect adds nothing, except that a second deferral may be the later one.
    matter = [row for row in unsettled if row.said.rank < worst or row.said.rank == worst == _DEFER]
    said = speaking[0].said if speaking else None
    if said is not None and len(speaking) > 1:
        when = dict.fromkeys(row.said.rescreen_when for row in speaking if row.said.rescreen_when)
        said = replace(said, rescreen_when=" ".join(when))
    has_date = any(row.earliest for row in speaking)
    settled = Settled(
        said=said,
        keys=union(row.keys for row in speaking),
        dates=tuple(row.earliest for row in speaking) if has_date else (),
        open_effect=min((row.said.effect for row in matter), key=RANK.__getitem__, default=None),
        open_counts=any(row.said.rank <= _REVIEW for row in matter),
        open_keys=union(row.keys for row in matter),
    )
    lane.patterns[pattern] = settled
    return settled
