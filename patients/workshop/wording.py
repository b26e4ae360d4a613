"""A pack of rules in words for a clinician: when a rule speaks, what it does and says, where it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clinic.catalogue.states import Group
from patients.candidacy.reasons import ABBREVIATIONS, EFFECT_TONES, EVIDENCE
from patients.candidacy.rules import Case, Pack, Rule
from patients.candidacy.states import Effect
from patients.conditions.rules import Condition, Days, Test
from patients.intake.questionnaire import Question, Questionnaire
from patients.intake.states import QuestionType

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_TAG = re.compile(r"^(?P<tag>.+?)(?: (?P<letter>[A-D]))?$")
_PARTS = re.compile(r"(, | vs |; )")


@dataclass(frozen=True)
class EffectWords:
    """What a case does in some groups of lasers."""

    groups: str
    effect: str
    label: str
    tone: str


@dataclass(frozen=True)
class CaseWords:
    """One case of a rule: it speaks when all tests of one of the alternatives hold."""

    alternatives: tuple[tuple[str, ...], ...]
    effects: tuple[EffectWords, ...]
    earliest: str
    rescreen_when: str
    task: str


@dataclass(frozen=True)
class SourceWords:
    """One source with its evidence letter and what the letter means; `before` is what joins it to the one before."""

    before: str
    tag: str
    letter: str
    meaning: str


@dataclass(frozen=True)
class RuleWords:
    """One rule as a page shows it. `text` is everything in it, in small letters, to search in."""

    id: str
    topic: str
    off: str
    needs_decision: str
    patient_text: str
    rationale: str
    sources: tuple[SourceWords, ...]
    cases: tuple[CaseWords, ...]
    override: tuple[tuple[str, ...], ...]
    days: tuple[str, ...]
    text: str


def rule_words(rule: Rule, pack: Pack) -> RuleWords:
    """Return a rule in words, its day counts filled in."""
    questionnaire = pack.questionnaire
    cases = tuple(_case(case, pack) for case in rule.cases)
    override = condition_words(rule.override_only_if, questionnaire, pack.days)
    names = days_of(rule)
    days = tuple(f"{name.replace('_', ' ')}: {days_words(pack.days[name])}" for name in names)
    said = [rule.id, rule.topic.replace("_", " "), rule.patient_text, rule.rationale, rule.source, rule.off, *names]
    said += [rule.needs_decision, *(word for case in cases for tests in case.alternatives for word in tests)]
    said += [effect.label for case in cases for effect in case.effects]
    return RuleWords(
        id=rule.id,
        topic=topic_words(rule.topic),
        off=rule.off,
        needs_decision=rule.needs_decision,
        patient_text=filled(rule.patient_text, pack.days),
        rationale=rule.rationale,
        sources=tuple(sources_of(rule.source)),
        cases=cases,
        override=override,
        days=days,
        text=" ".join(said).lower(),
    )


def topic_words(topic: str) -> str:
    """Return a topic as people write it: "hsv_prophylaxis" is "HSV prophylaxis"."""
    words = topic.split("_")
    said = " ".join(word.upper() if word in ABBREVIATIONS else word for word in words)
    return said[:1].upper() + said[1:]


def days_of(rule: Rule) -> tuple[str, ...]:
    """Return the named day counts a rule uses, in its wording, its tests and its dates, each once."""
    names: dict[str, None] = {}
    for case in rule.cases:
        names |= dict.fromkeys(test.days for tests in case.when for test in tests if test.days)
        if case.earliest:
            names[case.earliest.days] = None
        names |= dict.fromkeys(_PLACEHOLDER.findall(case.rescreen_when))
    return tuple(names | dict.fromkeys(_PLACEHOLDER.findall(rule.patient_text)))


def sources_of(source: str) -> Iterable[SourceWords]:
    """Yield each source of a rule with what its evidence letter means."""
    joint = ""
    for part in _PARTS.split(source):
        if _PARTS.fullmatch(part):
            joint = part
            continue
        found = _TAG.match(part)
        tag, letter = (found["tag"], found["letter"] or "") if found else (part, "")
        letter = "G" if tag == "G" else letter
        yield SourceWords(joint, tag, letter, EVIDENCE.get(letter, ""))


def _case(case: Case, pack: Pack) -> CaseWords:
    earliest = ""
    if case.earliest:
        label = pack.questionnaire.by_key[case.earliest.question].label
        earliest = f"“{label}” plus {days_words(pack.days[case.earliest.days])}"
    return CaseWords(
        alternatives=condition_words(case.when, pack.questionnaire, pack.days),
        effects=tuple(effect_words(case.effects, pack)),
        earliest=earliest,
        rescreen_when=filled(case.rescreen_when, pack.days),
        task=pack.tasks[case.task].label if case.task else "",
    )


def effect_words(effects: Mapping[str, Effect], pack: Pack) -> Iterable[EffectWords]:
    """Yield each effect once with the groups of lasers in which it applies, worst first."""
    groups = list(dict.fromkeys(pack.group_of.values()))
    for effect in Effect:
        own = [group for group in groups if effects.get(group) == effect]
        if own:
            where = "Every laser" if own == groups else ", ".join(group_label(group) for group in own)
            yield EffectWords(where, effect.value, str(effect.label), EFFECT_TONES[effect])


def group_label(group: str) -> str:
    return str(Group(group).label) if group in Group.values else group


def filled(text: str, days: Mapping[str, Days]) -> str:
    """Return a wording with its day counts in place of their names."""
    return _PLACEHOLDER.sub(lambda found: _numbers(days[found[1]]) if found[1] in days else found[0], text)


def days_words(days: Days) -> str:
    """Return a day count as people say it: "90 days", or one number for each group of lasers."""
    counts = set(days.by_group.values())
    if len(counts) == 1 and len(days.by_group) == len(Group):
        return plural_days(counts.pop())
    return ", ".join(f"{plural_days(count)} ({group_label(group)})" for group, count in days.by_group.items())


def _numbers(days: Days) -> str:
    counts = list(dict.fromkeys(days.by_group.values()))
    return str(counts[0]) if len(counts) == 1 else "–".join(str(each) for each in (min(counts), max(counts)))


def plural_days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


# --- conditions -------------------------------------------------------------------------------------------------------


def condition_words(
    condition: Condition, questionnaire: Questionnaire, days: Mapping[str, Days]
) -> tuple[tuple[str, ...], ...]:
    """Return a condition as alternatives, each a list of tests in words that must all hold."""
    return tuple(tuple(test_words(test, questionnaire, days) for test in tests) for tests in condition)


def test_words(test: Test, questionnaire: Questionnaire, days: Mapping[str, Days]) -> str:
    """Return one test of one answer in words."""
    if test.operator == "group":
        return "the laser is " + " or ".join(sorted(group_label(str(value)).lower() for value in test.values))
    if test.operator == "self_type":
        return f"no type confirmed yet and the self-scored skin type totals at least {test.number} points"
    if test.operator == "any_unsure":
        return "any health question was answered “not sure”"
    question = questionnaire.by_key[test.question]
    count = days_words(days[test.days]) if test.days else ""
    said = {
        "within": f"less than {count} before the treatment",
        "ahead_within": f"less than {count} after the treatment",
        "is_date": "there is a date",
        "no_date": "there is no date",
        "below": f"below {test.number}",
    }.get(test.operator) or _options(question, test.values)
    return f"“{question.label}”: {said}"


def _options(question: Question, values: frozenset[str | bool]) -> str:
    if question.type == QuestionType.BOOL:
        return " or ".join("yes" if value else "no" for value in sorted(values, reverse=True))
    chosen = [option.label for option in question.options if option.key in values]
    others = [option.label for option in question.options if option.key not in values]
    if not others:
        return "anything chosen" if question.type == QuestionType.MULTI else "any answer"
    if len(others) == 1 and len(chosen) > 1 and question.type == QuestionType.ENUM:
        return f"anything but {others[0]}"
    return " or ".join(chosen)
