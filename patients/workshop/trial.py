"""What a draft would have said of past intakes: each screened by two packs, differences counted, nothing stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from patients.candidacy.queries import WORST_FIRST
from patients.candidacy.rules import ScreeningResult
from patients.candidacy.states import Outcome

# How many intakes of one kind of change a page lists; the counts are always complete.
LISTED = 40


@dataclass(frozen=True)
class Shift:
    """How one screening would change. `rules` are those that speak otherwise, fall silent or begin to speak."""

    before: Outcome
    after: Outcome
    date_before: date | None
    date_after: date | None
    rules: tuple[str, ...]

    @property
    def moves(self) -> bool:
        """Whether the outcome or its earliest date changes, not the reasons alone."""
        return (self.before, self.date_before) != (self.after, self.date_after)

    @property
    def caution(self) -> str:
        """Return "more" where the result gets worse for the patient, "less" where it gets milder, else ""."""
        was, now = WORST_FIRST.index(self.before), WORST_FIRST.index(self.after)
        if was != now:
            return "more" if now < was else "less"
        if self.date_before and self.date_after and self.date_before != self.date_after:
            return "more" if self.date_after > self.date_before else "less"
        return ""


def shift_of(before: ScreeningResult, after: ScreeningResult) -> Shift | None:
    """Return how the result changes, None where outcome, date and every reason stay. Wording alone changes nothing."""
    was, now = _speaking(before), _speaking(after)
    rules = tuple(sorted(key for key in was | now if was.get(key) != now.get(key)))
    shift = Shift(before.outcome, after.outcome, before.earliest_date, after.earliest_date, rules)
    return shift if rules or shift.moves else None


def _speaking(result: ScreeningResult) -> dict[str, list[object]]:
    said: dict[str, list[object]] = {}
    for each in result.findings:
        gist = (each.effect, each.earliest_date, each.may_override, each.said.task)
        said.setdefault(each.rule, []).append(gist)
    for undecided in result.undecided:
        said.setdefault(undecided.rule, []).append((undecided.effect, "open"))
    for advice in result.advice:
        said.setdefault(f"advice {advice.key}", []).append(advice.tasks)
    return said


def gist_of(result: Mapping[str, Any]) -> str:
    """Return what a stored or fresh result says, without wording, rationale and the name of the pack.

    Two results with the same gist ask the same of a clinician: the same outcome, dates, findings and tasks, resting
    on the same answers.
    """
    keys = ("rule", "effect", "answers", "earliest_date", "task", "may_override")
    said = {
        "outcome": result["outcome"],
        "earliest_date": result["earliest_date"],
        "missing": result["missing"],
        "findings": [{key: each[key] for key in keys} for each in result["findings"]],
        "undecided": [{key: each[key] for key in keys[:3]} for each in result["undecided"]],
        "advice": [{"key": each["key"], "tasks": each["tasks"]} for each in result["advice"]],
    }
    return json.dumps(said, sort_keys=True)


@dataclass(frozen=True)
class TrialRow:
    """One intake in one group of lasers that would change."""

    intake: Any
    group: str
    shift: Shift


@dataclass(frozen=True)
class Move:
    """How many screenings of a group of lasers would go from one outcome to another."""

    group: str
    before: Outcome
    after: Outcome
    caution: str
    count: int


@dataclass
class Trial:
    """The count of a whole try-out. It holds numbers and a few rows of each kind, however many intakes there are."""

    total: int = 0
    changed: int = 0
    reasons_only: int = 0
    stricter: int = 0
    milder: int = 0
    unreadable: int = 0
    counts: Counter[tuple[str, Outcome, Outcome, str]] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)
    kept: dict[tuple[str, Outcome, Outcome, str], list[TrialRow]] = field(default_factory=dict)
    listed: int = LISTED

    def add(self, intake: Any, shifts: Iterable[tuple[str, Shift | None]]) -> None:
        """Count one intake, with how it changes in each group of lasers."""
        found = [(group, shift) for group, shift in shifts if shift]
        moved = [(group, shift) for group, shift in found if shift.moves]
        self.total += 1
        self.changed += bool(moved)
        self.reasons_only += bool(found) and not moved
        cautions = {shift.caution for _, shift in moved}
        self.stricter += "more" in cautions
        self.milder += "less" in cautions
        self.by_rule.update({rule for _, shift in found for rule in shift.rules})
        for group, shift in moved:
            key = (group, shift.before, shift.after, shift.caution)
            self.counts[key] += 1
            rows = self.kept.setdefault(key, [])
            if len(rows) < self.listed:
                rows.append(TrialRow(intake, group, shift))

    def moves(self) -> list[Move]:
        """Return the kinds of change: what gets milder first, because that is what a clinic must look at hardest."""
        found = [Move(*key, count=count) for key, count in self.counts.items()]
        order = {"less": 0, "more": 1, "": 2}
        return sorted(found, key=lambda each: (order[each.caution], -each.count, each.group, each.before, each.after))

    def rules(self) -> list[tuple[str, int]]:
        """Return the rules that speak otherwise with the number of intakes each, most first."""
        return self.by_rule.most_common()

    def rows(self) -> list[TrialRow]:
        """Return the listed intakes in the order of `moves`."""
        return [row for move in self.moves() for row in self.kept[move.group, move.before, move.after, move.caution]]
