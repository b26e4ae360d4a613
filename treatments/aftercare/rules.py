"""How urgent a patient's answers are, and by when somebody must act. Pure and total: never fails on an answer."""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clinic.catalogue.rules import group_of
from treatments.aftercare.hours import Calendar, Clock, due_by, halfway
from treatments.aftercare.states import SEVERITY, AnswerKind, Level
from treatments.aftercare.triage import FELT_HOT, NO_FEVER, Check, Question, Rule, TriagePack, parse_triage

__all__ = [
    "Calendar",
    "Clock",
    "Match",
    "Triage",
    "TriagePack",
    "act_by",
    "due_by",
    "grade",
    "halfway",
    "parse_triage",
    "questions_for",
]

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Match:
    """One rule that an answer met, and what it said."""

    rule: str
    level: Level
    answers: Mapping[str, Any]
    patient_text: str
    staff_text: str
    source: str
    respond: Clock
    needs_decision: bool


@dataclass(frozen=True)
class Triage:
    """What the answers mean on this day: the worst level, why, and what the patient is told at once.

    `unreadable` are questions whose answer made no sense; it is never read as "no".
    """

    level: Level
    heading: str
    matched: tuple[Match, ...]
    advice: tuple[str, ...]
    unreadable: tuple[str, ...]

    @property
    def respond(self) -> Clock | None:
        """The clock of the worst match, None when nothing matched."""
        return self.matched[0].respond if self.matched else None


def grade(
    answers: Mapping[str, Any], *, day: int, modality: str, triage: TriagePack, history: Collection[str] = ()
) -> Triage:
    """Return the highest level the answers meet, with every rule that matched, worst first.

    `answers` may be partial: a red item acts before the rest is given. `day` counts from the completed treatment and
    is the day the answers were given. A modality of no known laser is held against the rules of all of them.
    """
    read, unreadable = _read(answers, triage)
    group = _group(modality)
    matches = [
        _match(rule, used)
        for rule in triage.rules
        if _in_scope(rule, day, group, frozenset(history)) and (used := _used(rule, read)) is not None
    ]
    if unreadable:
        matches.append(_match(triage.unreadable, {key: str(answers[key])[:100] for key in unreadable}))
    matches.sort(key=lambda match: SEVERITY.index(match.level))
    level = matches[0].level if matches else Level.EXPECTED
    advice = tuple(dict.fromkeys(match.patient_text for match in matches if match.level == level))
    heading = triage.levels[level].heading if matches else triage.expected
    return Triage(level, heading, tuple(matches), advice or (triage.expected,), unreadable)


def act_by(result: Triage, opened_at: datetime, calendar: Calendar) -> datetime | None:
    """Return when somebody must have acted on all that matched at the latest: the earliest of its clocks.

    None when nothing matched.
    """
    return min((due_by(match.respond, opened_at, calendar) for match in result.matched), default=None)


def questions_for(triage: TriagePack, *, day: int, modality: str, photo: bool = False) -> tuple[Question, ...]:
    """Return what is asked on a day after this laser, and what may always be said; an unknown laser asks as AFL."""
    group = _group(modality) or "AFL"
    keys = next(
        (ask.questions for ask in triage.asks if group in ask.groups and ask.from_day <= max(day, 0) <= ask.to_day), ()
    )
    wanted = [*keys, *triage.always]
    return tuple(
        question
        for question in (triage.questions[key] for key in dict.fromkeys(wanted))
        if photo or question.kind != AnswerKind.PHOTO
    )


def _group(modality: str) -> str | None:
    try:
        group = group_of(modality)
    except ValueError:
        return None
    return group.value if group.value in {"AFL", "NAFL", "PICO"} else None


def _in_scope(rule: Rule, day: int, group: str | None, history: frozenset[str]) -> bool:
    return (
        (not rule.groups or group is None or group in rule.groups)
        and rule.from_day <= max(day, 0) <= rule.to_day
        and rule.history <= history
        and not rule.unless_history & history
    )


def _used(rule: Rule, read: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the answers that meet the rule, None if they do not."""
    used: dict[str, Any] = {}
    for checks in rule.when:
        if all(_holds(check, read) for check in checks):
            used |= {check.question: read[check.question] for check in checks}
    for key, value in read.items():
        if rule.words and isinstance(value, _Text) and (word := _found(rule.words, value)):
            used[key] = word
    return used or None


def _holds(check: Check, read: Mapping[str, Any]) -> bool:
    if check.question not in read:
        return False
    value = read[check.question]
    if check.truth is not None:
        return isinstance(value, _Text) or value is check.truth
    if check.operator:
        return isinstance(value, float) and _COMPARE[check.operator](value, check.number)
    return bool(check.options & set(value)) if isinstance(value, tuple) else value in check.options


class _Text(str):
    """Free text, folded for finding words in it."""

    __slots__ = ()


def _found(words: Collection[str], text: _Text) -> str:
    return next((word for word in words if re.search(rf"\b{re.escape(_fold(word))}", text)), "")


def _fold(text: str) -> str:
    """Return text as compared: lower case, no accents, plain apostrophes, single spaces."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())
    return " ".join("".join(sign for sign in plain if not unicodedata.combining(sign)).split())


def _read(answers: Mapping[str, Any], triage: TriagePack) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the answers as rules compare them, and the keys of those that make no sense."""
    read: dict[str, Any] = {}
    unreadable = []
    for key, value in answers.items():
        question = triage.questions.get(key)
        if value is None or value == [] or (isinstance(value, str) and not value.strip()):
            continue  # asked and left blank: not answered
        if question is None:
            unreadable.append(key)
            continue
        known, complete = _READERS[question.kind](value, question)
        if known is not None:
            read[key] = known
        if not complete:
            unreadable.append(key)
    return read, tuple(unreadable)


# Each reader returns what it understood (None: nothing) and whether that was all of it.
def _choice(value: Any, question: Question) -> tuple[Any, bool]:
    chosen = [value] if isinstance(value, str) else value if isinstance(value, list | tuple | set | frozenset) else []
    known = tuple(each for each in chosen if isinstance(each, str) and each in question.options)
    return (known or None), bool(known) and len(known) == len(chosen)


def _scale(value: Any, question: Question) -> tuple[Any, bool]:
    number = _number(value)
    return (number, True) if number is not None and 0 <= number <= 10 else (None, False)


def _yes_no(value: Any, question: Question) -> tuple[Any, bool]:
    return (value, True) if isinstance(value, bool) else (None, False)


def _temperature(value: Any, question: Question) -> tuple[Any, bool]:
    if value == FELT_HOT:
        return value, True
    if value == NO_FEVER:
        return None, True
    number = _number(value)
    if number is not None and 86 <= number <= 115:  # can only be Fahrenheit
        number = round((number - 32) * 5 / 9, 1)
    return (number, True) if number is not None and 30 <= number <= 45 else (None, False)


def _text(value: Any, question: Question) -> tuple[Any, bool]:
    return (_Text(_fold(value)), True) if isinstance(value, str) else (None, False)


def _photo(value: Any, question: Question) -> tuple[Any, bool]:
    return None, True  # never assessed by a machine


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value.strip().replace(",", ".") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if number == number else None  # a "not a number" is no number


_READERS: Mapping[AnswerKind, Callable[[Any, Question], tuple[Any, bool]]] = {
    AnswerKind.CHOICE: _choice,
    AnswerKind.MULTI: _choice,
    AnswerKind.SCALE: _scale,
    AnswerKind.BOOL: _yes_no,
    AnswerKind.TEMPERATURE: _temperature,
    AnswerKind.TEXT: _text,
    AnswerKind.PHOTO: _photo,
}


def _match(rule: Rule, used: Mapping[str, Any]) -> Match:
    shown = {
        key: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, _Text) else value
        for key, value in used.items()
    }
    return Match(
        rule=rule.id,
        level=rule.level,
        answers=shown,
        patient_text=rule.patient_text,
        staff_text=rule.staff_text,
        source=rule.source,
        respond=rule.respond,
        needs_decision=rule.needs_decision,
    )
