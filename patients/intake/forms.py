"""One screen of the questionnaire as a form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from django.http import QueryDict

from patients.intake.models import Answer
from patients.intake.questionnaire import AnswerRefused, Question
from patients.intake.rules import NONE_OF_THESE, STILL_USING, parse_day
from patients.intake.states import NEVER, QuestionType, Special
from patients.registry.rules import BirthDateRefused, date_from_boxes

ON_THIS_DATE = "date"
UNKNOWN_LABELS = {
    Special.NOT_SURE.value: "I am not sure",
    Special.PREFER_NOT_TO_SAY.value: "I would rather not say",
}


@dataclass(frozen=True)
class Choice:
    """One thing to tap. `apart` stands below the others: it is an answer, but not one of the question's own."""

    value: str
    label: str
    chosen: bool
    apart: bool = False


@dataclass
class Asked:
    """One question as a screen shows it. `raw` is what a form holds; `boxes` are day, month and year as typed."""

    question: Question
    raw: str | list[str]
    boxes: tuple[str, str, str] = ("", "", "")
    error: str = ""
    is_visible: bool = True
    was: str = ""
    row: Answer | None = None
    choices: list[Choice] = field(default_factory=list)

    def __post_init__(self) -> None:
        chosen = set(self.raw) if isinstance(self.raw, list) else {self.raw}
        self.choices = [
            Choice(value, label, value in chosen, apart) for value, label, apart in _choices_of(self.question)
        ]

    @property
    def is_multi(self) -> bool:
        return self.question.type == QuestionType.MULTI

    @property
    def is_date(self) -> bool:
        return self.question.type == QuestionType.DATE

    @property
    def is_number(self) -> bool:
        return self.question.type == QuestionType.INT and not self.question.options

    @property
    def is_text(self) -> bool:
        return self.question.type == QuestionType.TEXT

    @property
    def named_boxes(self) -> list[tuple[str, str, str, int]]:
        """The three boxes of a date: name of the part, its word, what stands in it, how many figures."""
        words = (("day", "Day", 2), ("month", "Month", 2), ("year", "Year", 4))
        return [(part, label, typed, size) for (part, label, size), typed in zip(words, self.boxes, strict=True)]


def _choices_of(question: Question) -> list[tuple[str, str, bool]]:
    """Return what can be tapped: the question's own options, then those every question of its kind has."""
    own = [(option.key, option.label, False) for option in question.options]
    if question.type == QuestionType.BOOL:
        own = [("true", "Yes", False), ("false", "No", False)]
    elif question.type == QuestionType.MULTI and question.none_option:
        own.append((NONE_OF_THESE, "None of these", False))
    elif question.type == QuestionType.DATE:
        own.append((ON_THIS_DATE, "On this date", False))
        if question.still_using:
            own.append((STILL_USING, "I still use it", False))
        if question.never_allowed:
            own.append((NEVER, "Never", False))
    if question.may_not_apply:
        own.append((Special.NOT_APPLICABLE.value, "Does not apply to me", False))
    unknown = [(value, label, True) for value, label in UNKNOWN_LABELS.items()] if question.offers_unknown else []
    return own + unknown


def raw_of(question: Question, value: object) -> str | list[str]:
    """Return a stored value as a form holds it; "" when there is none."""
    if value is None:
        return [] if question.type == QuestionType.MULTI else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return list(value) or [NONE_OF_THESE]
    return [str(value)] if question.type == QuestionType.MULTI else str(value)


def mark_of(raw: str | list[str]) -> str:
    """Return what the page remembers of the answer it showed, so that only what this person changed is saved."""
    return json.dumps(sorted(raw) if isinstance(raw, list) else raw, ensure_ascii=False)


def read_raw(question: Question, post: QueryDict) -> str | list[str]:
    """Return what was typed or tapped for the question. Raises AnswerRefused for a date that is none."""
    if question.type == QuestionType.MULTI:
        return post.getlist(question.key)
    raw = post.get(question.key, "").strip()
    return _read_date(question, raw, _boxes(question, post)) if question.type == QuestionType.DATE else raw


def _boxes(question: Question, post: QueryDict) -> tuple[str, str, str]:
    day, month, year = (post.get(f"{question.key}-{part}", "").strip()[:20] for part in ("day", "month", "year"))
    return day, month, year


def _read_date(question: Question, raw: str, boxes: tuple[str, str, str]) -> str:
    if raw not in {"", ON_THIS_DATE}:
        if any(boxes):
            raise AnswerRefused(question.key, "You gave a date and chose something else as well. Please keep one.")
        return raw
    if raw == "" and not any(boxes):
        return ""
    try:
        return date_from_boxes(*boxes).isoformat()
    except BirthDateRefused as refused:
        raise AnswerRefused(question.key, refused.for_people) from None


def asked_as_saved(question: Question, row: Answer | None, *, is_visible: bool) -> Asked:
    """Return the question with the answer that counts now, if there is one."""
    raw = raw_of(question, row.value if row else None)
    was = mark_of(raw)
    day = parse_day(raw) if question.type == QuestionType.DATE else None
    if day is not None:
        return Asked(question, ON_THIS_DATE, _parts(day), is_visible=is_visible, was=was, row=row)
    return Asked(question, raw, is_visible=is_visible, was=was, row=row)


def asked_as_formerly(question: Question, value: object) -> Asked:
    """Return the question with what was said last time. It is not saved yet: sending the page makes it an answer."""
    raw, nothing = raw_of(question, value), mark_of(raw_of(question, None))
    day = parse_day(raw) if question.type == QuestionType.DATE else None
    if day is not None:
        return Asked(question, ON_THIS_DATE, _parts(day), was=nothing)
    return Asked(question, raw, was=nothing)


def asked_as_typed(
    question: Question, post: QueryDict, errors: Mapping[str, str], row: Answer | None, *, is_visible: bool
) -> Asked:
    """Return the question with what was just typed, and what is wrong with it."""
    typed = post.getlist(question.key) if question.type == QuestionType.MULTI else post.get(question.key, "")
    was = mark_of(raw_of(question, row.value if row else None))
    boxes = _boxes(question, post)
    return Asked(question, typed, boxes, error=errors.get(question.key, ""), is_visible=is_visible, was=was, row=row)


def _parts(day: date) -> tuple[str, str, str]:
    return str(day.day), str(day.month), str(day.year)
