"""Answer sets as a clinic gets them: mostly harmless, some not, some unsure or left blank. The same every time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

from patients.intake.questionnaire import Question, Questionnaire
from patients.intake.states import NEVER, QuestionType, Special

CHANCE = 20261121
# Of a thousand answers so many are other than harmless, "not sure" and blank. With about seventy questions a person
# this makes three telling answers each, one in four unsure of something, one in six with a blank.
TELLING, UNSURE, BLANK = 40, 5, 3
_HARMLESS = ("none", "never", "no", "improvement", "fine_lines")
_YEARS = 3 * 365


def answer_sets(questionnaire: Questionnaire, count: int, on: date) -> list[dict[str, object]]:
    """Return so many sets in their stored form, with what skip logic hides marked as not applicable."""
    dice = random.Random(CHANCE)  # noqa: S311 - made-up answers need no secrecy
    return [questionnaire.with_not_applicable(dict(_one(questionnaire, on, dice))) for _ in range(count)]


def _one(questionnaire: Questionnaire, on: date, dice: random.Random) -> Iterator[tuple[str, object]]:
    said: dict[str, object] = {}
    for question in questionnaire.questions:
        if question.key in {"modality", "reference_date"} or _is_hidden(question, said):
            continue
        value = _value(question, on, dice)
        if value is not None:
            said[question.key] = value
            yield question.key, value


def _is_hidden(question: Question, said: dict[str, object]) -> bool:
    return question.ask_if is not None and question.ask_if.holds(said) is not True


def _value(question: Question, on: date, dice: random.Random) -> object:
    chance = dice.randrange(1000)
    if chance < BLANK:
        return None
    if chance < BLANK + UNSURE and question.offers_unknown:
        return Special.NOT_SURE.value
    telling = chance < BLANK + UNSURE + TELLING
    match question.type:
        case QuestionType.ENUM:
            return dice.choice(question.options).key if telling else _harmless(question)
        case QuestionType.MULTI:
            return [dice.choice(question.options).key] if telling or not question.none_option else []
        case QuestionType.BOOL:
            return telling != question.key.startswith("can_")
        case QuestionType.INT:
            return _number(question, dice, telling=telling)
        case QuestionType.DATE:
            if telling or not question.never_allowed:
                return (on - timedelta(days=dice.randrange(_YEARS))).isoformat()
            return NEVER
    return None


def _number(question: Question, dice: random.Random, *, telling: bool) -> int:
    if question.key == "age_years":
        return dice.randint(15, 17) if telling else dice.randint(18, 75)
    return dice.randint(question.low, question.high) if telling else min(question.low + 1, question.high)


def _harmless(question: Question) -> str:
    return next((key for key in _HARMLESS if key in question.keys), question.options[0].key)
