"""The candidacy engine: answers and a checked pack in, a result with its reasons out.

Outcome, worst first: a fired not_recommended; a fired defer; incomplete (a critical answer is blank);
needs_clinician_review (a fired review, or an undecided rule that could ask for one or worse); eligible. What has
fired stays fired however incomplete the rest is: no further answer can take it back, and a person who must wait
should not be told merely to fill in a form. `missing` is listed beside it either way.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from clinic.catalogue.states import Group
from clinic.packfile import Item
from clinic.packfile import Pack as PackFile
from patients.candidacy.states import Effect, Outcome
from patients.conditions.rules import (
    BLANK,
    All,
    Condition,
    Days,
    Open,
    Run,
    Vocabulary,
    compile_conditions,
    holds_plainly,
    in_group,
    questions_of,
)
from patients.intake.rules import AnswerRefused, Answers, Questionnaire, check_answers, parse_day
from patients.intake.states import QuestionType

RANK: Mapping[Effect, int] = {effect: rank for rank, effect in enumerate(Effect)}
EVERY_GROUP = "all"
_NOT_RECOMMENDED, _DEFER, _REVIEW = (RANK[each] for each in (Effect.NOT_RECOMMENDED, Effect.DEFER, Effect.REVIEW))
_SOURCE = re.compile(r"^(G|seed \d{3}|seeds|design|C\d{1,2}|section \d{1,2}|[A-Z0-9][A-Za-z0-9-]* [A-D])$")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")

# --- what a result is made of -------------------------------------------------------------------------------------


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

    def speaks(self, findings: Sequence[Finding], answers: Answers) -> bool:
        """Whether the findings of one screening, in a group this advice is for, call for it."""
        if any(answers.get(key) != value for key, value in self.answers.items()):
            return False
        fired = {each.said.rule for each in findings if not self.ranks or each.said.rank in self.ranks}
        enough = len(fired) >= self.at_least
        return enough and fired >= self.fired_all and not (self.fired_any and fired.isdisjoint(self.fired_any))

    def as_dict(self) -> dict[str, object]:
        return {
            "key": self.key, "text": self.text, "source": self.source, "tasks": list(self.tasks),
            "show_group": self.show_group,
        }  # fmt: skip


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


# --- a pack, checked and compiled ---------------------------------------------------------------------------------


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


class _Row(NamedTuple):
    """One conjunction of one case in one group."""

    tests: All
    said: Said
    keys: tuple[str, ...]
    earliest: tuple[str, int] | None


class _Settled(NamedTuple):
    """What a pattern of true and undecided rows of one rule comes to."""

    said: Said | None
    keys: tuple[str, ...]
    dates: tuple[tuple[str, int] | None, ...]
    open_effect: Effect | None
    open_counts: bool
    open_keys: tuple[str, ...]


@dataclass(frozen=True)
class _Lane:
    """The rows of one rule that compete: the worst true one speaks. Tasks run beside the outcome in a lane apart."""

    rule: Rule
    rows: tuple[_Row, ...]
    patterns: dict[tuple[int, int], _Settled] = field(default_factory=dict)


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
    advice: Mapping[str, tuple[Interplay, ...]]
    lanes: Mapping[str, tuple[_Lane, ...]]
    runs: Mapping[str, Run]
    known: frozenset[str]

    def modalities(self, group: str) -> tuple[str, ...]:
        return tuple(modality for modality, own in self.group_of.items() if own == group)

    def rule(self, rule_id: str) -> Rule:
        return next(rule for rule in self.rules if rule.id == rule_id)


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
    worst = len(RANK)
    for index, true, open_ in hits:
        lane = lanes[index]
        settled = lane.patterns.get((true, open_)) or _settle(lane, true, open_)
        said = settled.said
        if said is not None:
            findings.append(_finding(lane.rule, said, settled, answers, opened, on))
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
        _advice(pack.advice[group], findings, answers) if findings else (),
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


def _advice(interplays: tuple[Interplay, ...], findings: list[Finding], answers: Answers) -> tuple[Interplay, ...]:
    fired = {finding.said.rule for finding in findings}
    count = len(findings)
    likely = [
        each
        for each in interplays
        if count >= each.at_least
        and (not each.fired_all or fired >= each.fired_all)
        and (not each.fired_any or not fired.isdisjoint(each.fired_any))
    ]
    return tuple(each for each in likely if each.speaks(findings, answers)) if likely else ()


def _latest(findings: Iterable[Finding]) -> date | None:
    """Return the latest date of all deferrals; None if there are none or one of them has no date."""
    dates = [finding.earliest_date for finding in findings if finding.said.rank == _DEFER]
    known = [day for day in dates if day is not None]
    return max(known) if known and len(known) == len(dates) else None


def _finding(rule: Rule, said: Said, settled: _Settled, answers: Answers, opened: list[Open], on: date) -> Finding:
    keys = settled.keys or tuple(question.key for question, why in opened if why == "not_sure" and question.health)
    used = {key: answers[key] for key in keys if answers.get(key) is not None}
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


def _settle(lane: _Lane, true: int, open_: int) -> _Settled:
    """Return what speaks: the worst true rows, and the undecided rows that could make it worse. Remembered."""
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
    settled = _Settled(
        said=said,
        keys=_union(row.keys for row in speaking),
        dates=tuple(row.earliest for row in speaking) if has_date else (),
        open_effect=min((row.said.effect for row in matter), key=RANK.__getitem__, default=None),
        open_counts=any(row.said.rank <= _REVIEW for row in matter),
        open_keys=_union(row.keys for row in matter),
    )
    lane.patterns[true, open_] = settled
    return settled


def _union(keys: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for each in keys for key in each))


# --- reading a pack -----------------------------------------------------------------------------------------------


def load_pack(text: str, name: str, questionnaire: Questionnaire, *, version: int | None = None) -> Pack:
    """Return the compiled pack that a TOML text describes.

    Raises PackError naming file, line and rule for anything the language lacks: an unknown question, option, effect,
    operator, group of modalities, day count, fact or task, a missing source, an id that stands twice. `version` is
    the published version, where the text itself was not renumbered.
    """
    file = PackFile(text, name)
    file.only("pack", "groups", "days", "fact", "task", "rule", "interplay")
    head = file.one("pack")
    head.only("name", "version", "status", "approved_by", "approved_on", "note")
    groups = _groups(file.one("groups"), questionnaire)
    days = _days(file.one("days"), groups)
    words = Vocabulary(questionnaire, frozenset(groups), days, {})
    for item in file.many("fact"):
        item.only("key", "when", "note")
        words = replace(words, facts={**words.facts, item.text("key"): words.read(item, item.data.get("when"))})
    tasks = {task.key: task for task in (_task(item) for item in file.many("task"))}
    rules = tuple(sorted((_rule(file, item, words, tasks) for item in file.many("rule")), key=lambda rule: rule.id))
    advice = (_interplay(item, words, rules, tasks) for item in file.many("interplay"))
    interplays = tuple(sorted(advice, key=lambda each: each.key))
    lanes = {group: tuple(_lanes(rules, group, days, questionnaire)) for group in groups}
    return Pack(
        id=PackName(
            head.text("name"),
            version if version is not None else head.integer("version"),
            hashlib.sha256(text.encode()).hexdigest(),
        ),
        status=head.text("status"),
        approved_by=head.text("approved_by", ""),
        questionnaire=questionnaire,
        group_of={modality: group for group, modalities in groups.items() for modality in modalities},
        days=days,
        rules=rules,
        tasks=tasks,
        interplays=interplays,
        advice={group: tuple(each for each in interplays if group in each.groups) for group in groups},
        lanes=lanes,
        runs={
            group: compile_conditions(
                questionnaire,
                [[row.tests for row in lane.rows] for lane in own],
                {each.name: each.by_group[group] for each in days.values() if group in each.by_group},
            )
            for group, own in lanes.items()
        },
        known=frozenset(questionnaire.by_key),
    )


def _groups(item: Item, questionnaire: Questionnaire) -> dict[str, tuple[str, ...]]:
    item.only(*Group.values)
    options = questionnaire.by_key["modality"].keys
    groups = {group: item.words(group, options) for group in item.data}
    named = [modality for modalities in groups.values() for modality in modalities]
    if len(named) != len(set(named)) or set(named) != options:
        item.refuse("Every modality of the questionnaire must stand in exactly one group.")
    return groups


def _days(item: Item, groups: Iterable[str]) -> dict[str, Days]:
    days = {}
    for name, value in item.data.items():
        by_group = value if isinstance(value, dict) else dict.fromkeys(groups, value)
        if not set(by_group) <= set(groups):
            item.refuse(f"“{name}” names an unknown group of modalities.", name)
        if not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n < 10_000 for n in by_group.values()):
            item.refuse(f"“{name}” must be a number of days, or one for each group.", name)
        days[name] = Days(name, by_group)
    return days


def _task(item: Item) -> Task:
    item.only("key", "label", "text", "closes_with", "needs_reason", "source", "needs_decision")
    item.source()
    return Task(
        item.text("key"), item.text("label"), item.text("text"), item.words("closes_with"), item.flag("needs_reason")
    )


_RULE_KEYS = (
    *("id", "topic", "patient_text", "rationale", "source", "needs_decision", "off", "shows", "override_only_if"),
    "case",
)


def _rule(file: PackFile, item: Item, words: Vocabulary, tasks: Mapping[str, Task]) -> Rule:
    item.only(*_RULE_KEYS)
    rule_id = item.text("id")
    cases = [replace(child, table=rule_id) for child in file.children(item, "case")]
    if not cases:
        item.refuse("A rule needs at least one [[rule.case]].")
    override = item.data.get("override_only_if")
    only_if = words.read(item, override, "override_only_if") if override is not None else ()
    if any(test.operator != "in" for tests in only_if for test in tests):
        item.refuse("“override_only_if” takes tests of options only.", "override_only_if")
    return Rule(
        id=rule_id,
        topic=item.text("topic"),
        patient_text=_with_days(item, "patient_text", item.text("patient_text"), words),
        rationale=item.text("rationale"),
        source=_source(item),
        needs_decision=item.text("needs_decision", ""),
        off=item.text("off", ""),
        shows=item.words("shows", words.questionnaire.by_key),
        override_only_if=only_if,
        cases=tuple(_case(case, words, tasks) for case in cases),
    )


def _source(item: Item) -> str:
    """Return the source column: tags with their evidence letter, "G" for general knowledge."""
    source = item.source()
    for part in re.split(r", | vs |; ", source):
        if not _SOURCE.match(part):
            item.refuse(f"“{part}” in source names neither a tag with evidence A to D, a seed, nor G.", "source")
    return source


def _with_days(item: Item, key: str, text: str, words: Vocabulary) -> str:
    for name in _PLACEHOLDER.findall(text):
        words.check_days(item, name, key)
    return text


def _case(item: Item, words: Vocabulary, tasks: Mapping[str, Task]) -> Case:
    item.only("when", "effect", "earliest", "rescreen_when", "task", "note")
    when = words.read(item, item.data.get("when"))
    effects = _effects(item, words)
    earliest = _earliest(item, words)
    rescreen = _with_days(item, "rescreen_when", item.text("rescreen_when", ""), words)
    if Effect.DEFER in effects.values() and earliest is None and not rescreen:
        item.refuse("A deferral needs “earliest”, or “rescreen_when” where no date can be computed.", "effect")
    if (Effect.TASK in effects.values()) != ("task" in item.data):
        item.refuse("“task” and the effect task belong together.", "effect")
    for group, effect in effects.items():
        for tests in in_group(when, group):
            _check_counts(item, tests, group, words)
        if effect and earliest and group not in words.days[earliest.days].by_group:
            item.refuse(f"[days] has no “{earliest.days}” for {group}.", "earliest")
    return Case(when, effects, earliest, rescreen, item.one_of("task", tasks) if "task" in item.data else "")


def _check_counts(item: Item, tests: All, group: str, words: Vocabulary) -> None:
    for test in tests:
        if test.days and group not in words.days[test.days].by_group:
            item.refuse(f"[days] has no “{test.days}” for {group}.", "when")


def _effects(item: Item, words: Vocabulary) -> dict[str, Effect]:
    raw = item.data.get("effect")
    if not isinstance(raw, dict) or not raw:
        item.refuse("“effect” must name an effect for each group of modalities, or for “all”.", "effect")
    named: dict[str, Effect] = {}
    for scope in sorted(raw, key=lambda each: each != EVERY_GROUP):
        value = raw[scope]
        if value not in Effect.values:
            item.refuse(f"“{value}” is no effect. Known: {', '.join(Effect.values)}.", "effect")
        groups = sorted(words.groups) if scope == EVERY_GROUP else words.check_groups(item, scope, "effect")
        named.update(dict.fromkeys(groups, Effect(str(value))))
    return named


def _earliest(item: Item, words: Vocabulary) -> Earliest | None:
    raw = item.data.get("earliest")
    if raw is None:
        return None
    if not isinstance(raw, dict) or set(raw) != {"after", "days"}:
        item.refuse("“earliest” needs “after” (a question) and “days”.", "earliest")
    question = words.questionnaire.by_key.get(raw["after"])
    if question is None or question.type != QuestionType.DATE:
        item.refuse(f"“{raw['after']}” is no question with a date.", "earliest")
    return Earliest(question.key, words.check_days(item, raw["days"], "earliest"))


def _interplay(item: Item, words: Vocabulary, rules: Sequence[Rule], tasks: Mapping[str, Task]) -> Interplay:
    item.only(
        *("key", "text", "source", "fired_all", "fired_any", "effects", "groups", "at_least", "answers", "tasks"),
        *("show_group", "note", "letter"),
    )
    ids = [rule.id for rule in rules]
    answers = item.data.get("answers", {})
    for key, value in answers.items():
        question = words.questionnaire.by_key.get(key)
        if question is None or value not in question.keys:
            item.refuse(f"“{key}” = “{value}” is no answer of the questionnaire.", "answers")
    show = item.text("show_group", "")
    if show:
        words.check_groups(item, show, "show_group")
    return Interplay(
        key=item.text("key"),
        text=item.text("text"),
        source=_source(item),
        fired_all=frozenset(item.words("fired_all", ids)),
        fired_any=frozenset(item.words("fired_any", ids)),
        ranks=frozenset(RANK[Effect(word)] for word in item.words("effects", Effect.values)),
        groups=frozenset(item.words("groups", words.groups)) or words.groups,
        at_least=item.integer("at_least", 1),
        answers=answers,
        tasks=item.words("tasks", tasks),
        show_group=show,
    )


def _lanes(
    rules: Iterable[Rule], group: str, days: Mapping[str, Days], questionnaire: Questionnaire
) -> Iterable[_Lane]:
    """Yield the lanes of each rule in use in one group, tasks before the outcome, rows worst first."""
    for rule in rules:
        if rule.off:
            continue
        rows = [row for case in rule.cases for row in _rows(rule, case, group, days, questionnaire)]
        rows.sort(key=lambda row: RANK[row.said.effect])
        for own in (
            [row for row in rows if row.said.effect is Effect.TASK],
            [row for row in rows if row.said.effect is not Effect.TASK],
        ):
            if own:
                yield _Lane(rule, tuple(own))


def _rows(rule: Rule, case: Case, group: str, days: Mapping[str, Days], questionnaire: Questionnaire) -> Iterable[_Row]:
    effect = case.effects.get(group)
    if effect is None:
        return
    counts = {each.name: str(each.by_group[group]) for each in days.values() if group in each.by_group}

    def filled(text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: counts.get(found[1], found[0]), text)

    said = Said(
        rule=rule.id,
        topic=rule.topic,
        effect=effect,
        patient_text=filled(rule.patient_text),
        rationale=rule.rationale,
        source=rule.source,
        task=case.task,
        rescreen_when=filled(case.rescreen_when),
        rank=RANK[effect],
    )
    earliest = (case.earliest.question, int(counts[case.earliest.days])) if case.earliest else None
    for tests in in_group(case.when, group):
        keys = _union([questions_of(tests, questionnaire), rule.shows])
        yield _Row(tests, said, keys, earliest)
