"""Reading a pack of candidacy rules: its text checked word by word, each fault with its line, and compiled."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from clinic.catalogue.states import Group
from clinic.packfile import Item
from clinic.packfile import Pack as PackFile
from patients.candidacy.pack import (
    RANK,
    Case,
    Earliest,
    Interplay,
    Lane,
    Likely,
    Pack,
    PackName,
    Row,
    Rule,
    Said,
    Task,
    union,
)
from patients.candidacy.states import Effect
from patients.conditions.rules import (
    All,
    Days,
    Vocabulary,
    compile_conditions,
    in_group,
    questions_of,
)
from patients.intake.questionnaire import Questionnaire
from patients.intake.states import QuestionType

EVERY_GROUP = "all"
_SOURCE = re.compile(r"^(G|seed \d{3}|seeds|design|C\d{1,2}|section \d{1,2}|[A-Z0-9][A-Za-z0-9-]* [A-D])$")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


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
        advice={group: tuple(_likely(each, rules) for each in interplays if group in each.groups) for group in groups},
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


def _likely(interplay: Interplay, rules: Sequence[Rule]) -> Likely:
    bits = {rule.id: 1 << number for number, rule in enumerate(rules)}
    all_of, any_of = (sum(bits[key] for key in keys) for keys in (interplay.fired_all, interplay.fired_any))
    return Likely(all_of, any_of, interplay.at_least, interplay)


def _lanes(rules: Iterable[Rule], group: str, days: Mapping[str, Days], questionnaire: Questionnaire) -> Iterable[Lane]:
    """Yield the lanes of each rule in use in one group, tasks before the outcome, rows worst first."""
    for number, rule in enumerate(rules):
        if rule.off:
            continue
        rows = [row for case in rule.cases for row in _rows(rule, case, group, days, questionnaire)]
        rows.sort(key=lambda row: RANK[row.said.effect])
        for own in (
            [row for row in rows if row.said.effect is Effect.TASK],
            [row for row in rows if row.said.effect is not Effect.TASK],
        ):
            if own:
                yield Lane(rule, 1 << number, tuple(own))


def _rows(rule: Rule, case: Case, group: str, days: Mapping[str, Days], questionnaire: Questionnaire) -> Iterable[Row]:
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
        keys = union([questions_of(tests, questionnaire), rule.shows])
        yield Row(tests, said, keys, earliest)
