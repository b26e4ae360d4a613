"""What a pack of candidacy rules is once it is read and compiled.

Everything a screening needs is laid out here once per group of lasers, so that `rules.screen` only looks up and adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from patients.candidacy.states import Effect
from patients.conditions.rules import All, Condition, Days, Pattern, Run
from patients.intake.questionnaire import Questionnaire

RANK: Mapping[Effect, int] = {effect: rank for rank, effect in enumerate(Effect)}


class PackName(NamedTuple):
    """Which rules spoke."""

    name: str
    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Said:
    """What one rule says for one group of modalities with one effect; the same for every patient."""

    rule: str
    topic: str
    effect: Effect
    patient_text: str
    rationale: str
    source: str
    task: str
    rescreen_when: str
    rank: int


@dataclass(frozen=True)
class Interplay:
    """What several findings mean together, for the clinician. Never changes the outcome."""

    key: str
    text: str
    source: str
    fired_all: frozenset[str]
    fired_any: frozenset[str]
    ranks: frozenset[int]
    groups: frozenset[str]
    at_least: int
    answers: Mapping[str, str]
    tasks: tuple[str, ...]
    show_group: str

    def as_dict(self) -> dict[str, object]:
        return {
            "key": self.key, "text": self.text, "source": self.source, "tasks": list(self.tasks),
            "show_group": self.show_group,
        }  # fmt: skip


@dataclass(frozen=True)
class Earliest:
    """Last day of something plus a named number of days."""

    question: str
    days: str


@dataclass(frozen=True)
class Case:
    """One condition of a rule with its effect per group of modalities."""

    when: Condition
    effects: Mapping[str, Effect]
    earliest: Earliest | None
    rescreen_when: str
    task: str


@dataclass(frozen=True)
class Rule:
    """One rule as the pack states it. `off` is why the clinic does not use it; "" where it does."""

    id: str
    topic: str
    patient_text: str
    rationale: str
    source: str
    needs_decision: str
    off: str
    shows: tuple[str, ...]
    override_only_if: Condition
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Task:
    """A blocking task that a finding raises: what must be recorded before treatment."""

    key: str
    label: str
    text: str
    closes_with: tuple[str, ...]
    needs_reason: bool


class Row(NamedTuple):
    """One conjunction of one case in one group."""

    tests: All
    said: Said
    keys: tuple[str, ...]
    earliest: tuple[str, int] | None


class Settled(NamedTuple):
    """What a pattern of true and undecided rows of one rule comes to."""

    said: Said | None
    keys: tuple[str, ...]
    dates: tuple[tuple[str, int] | None, ...]
    open_effect: Effect | None
    open_counts: bool
    open_keys: tuple[str, ...]


@dataclass(frozen=True)
class Lane:
    """The rows of one rule that compete: the worst true one speaks. Tasks run beside the outcome in a lane apart.

    `bit` stands for the rule in sets of rules that fired.
    """

    rule: Rule
    bit: int
    rows: tuple[Row, ...]
    patterns: dict[Pattern, Settled] = field(default_factory=dict)


class Likely(NamedTuple):
    """An interplay and the cheap test that rules it out: which rules must all, and of which any, have fired."""

    all_of: int
    any_of: int
    at_least: int
    interplay: Interplay


@dataclass(frozen=True)
class Pack:
    """A checked set of rules, compiled once per group of modalities."""

    id: PackName
    status: str
    approved_by: str
    questionnaire: Questionnaire
    group_of: Mapping[str, str]
    days: Mapping[str, Days]
    rules: tuple[Rule, ...]
    tasks: Mapping[str, Task]
    interplays: tuple[Interplay, ...]
    advice: Mapping[str, tuple[Likely, ...]]
    lanes: Mapping[str, tuple[Lane, ...]]
    runs: Mapping[str, Run]
    known: frozenset[str]

    def modalities(self, group: str) -> tuple[str, ...]:
        return tuple(modality for modality, own in self.group_of.items() if own == group)

    def rule(self, rule_id: str) -> Rule:
        return next(rule for rule in self.rules if rule.id == rule_id)


def union(keys: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for each in keys for key in each))
