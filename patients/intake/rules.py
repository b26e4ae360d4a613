"""What counts as an answer, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from patients.intake.questionnaire import SPECIAL, UNKNOWN, AnswerRefused, Question, Questionnaire, Value
from patients.intake.states import NEVER, QuestionType

NONE_OF_THESE = "none_of_these"
STILL_USING = "still_using"
TEXT_LIMIT = 500
EARLIEST_YEAR = 1900


def expired_answers(answered_on: Mapping[str, date], questionnaire: Questionnaire, on: date) -> frozenset[str]:
    """Return the questions whose answer is too old to count on the day `on`.

    An answer that is valid for N days counts up to day N - 1 after the day it was given; from day N it is unknown.
    """
    return frozenset(
        key
        for key, days in questionnaire.timed().items()
        if key in answered_on and (on - answered_on[key]).days >= days
    )


def parse_day(value: object) -> date | None:
    """Return the date of a text YYYY-MM-DD, else None."""
    if not isinstance(value, str) or len(value) != 10 or value[4] != "-" or value[7] != "-":
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def check_value(question: Question, value: object) -> Value:
    """Return the value as it is stored, or raise AnswerRefused with a sentence for people.

    Expects the stored form (see the module of states): strings, true or false, numbers, lists. A skin type may be
    the number 1 to 6. "not_applicable" is taken from any question: only skip logic decides whether it counts.
    """
    if isinstance(value, str) and value in SPECIAL:
        return value
    check = _CHECKS[question.type]
    return check(question, value)


def check_answers(questionnaire: Questionnaire, answers: object) -> dict[str, Value]:
    """Return well-formed answers; null means never answered. Raises AnswerRefused naming the first bad key."""
    if not isinstance(answers, Mapping):
        raise AnswerRefused("", "Answers must be an object of question and value.")
    checked = {}
    for key, value in answers.items():
        question = questionnaire.question(str(key))
        if value is not None:
            checked[question.key] = check_value(question, value)
    return checked


def clean_answer(question: Question, raw: object, *, today: date | None = None) -> Value:
    """Return what a person typed or chose as the value to store, or raise AnswerRefused saying what to do.

    Takes form strings ("true", "42", a list of choices, `none_of_these`, `still_using`). `today` bounds dates that
    must lie in the past and is what "still using" means.
    """
    if isinstance(raw, str):
        raw = raw.strip()
    if raw is None or raw == "" or raw == []:
        raise AnswerRefused(question.key, "Please choose an answer." if question.options else "Please answer this.")
    if isinstance(raw, list) and len(raw) == 1 and raw[0] in UNKNOWN:
        raw = raw[0]
    if isinstance(raw, str) and raw in SPECIAL and raw not in question.keys:
        if (raw in UNKNOWN and question.offers_unknown) or (raw not in UNKNOWN and question.may_not_apply):
            return raw
        raise AnswerRefused(question.key, "Please choose one of the answers shown.")
    return _CLEANERS.get(question.type, _clean_plain)(question, raw, today)


def _clean_plain(question: Question, raw: object, today: date | None) -> Value:
    return check_value(question, raw)


def _clean_multi(question: Question, raw: object, today: date | None) -> Value:
    chosen = list(raw) if isinstance(raw, list | tuple) else [raw]
    if NONE_OF_THESE in chosen:
        if len(chosen) > 1:
            raise AnswerRefused(question.key, "You chose “None of these” together with something else. Keep one.")
        if not question.none_option:
            raise AnswerRefused(question.key, "Please choose at least one.")
        return []
    if UNKNOWN.intersection(str(each) for each in chosen):
        raise AnswerRefused(question.key, "You chose “not sure” together with something else. Keep one.")
    return check_value(question, [key for key in (o.key for o in question.options) if key in chosen] or chosen)


def _clean_bool(question: Question, raw: object, today: date | None) -> Value:
    return check_value(question, {"true": True, "false": False, "yes": True, "no": False}.get(str(raw).lower(), raw))


def _clean_int(question: Question, raw: object, today: date | None) -> Value:
    try:
        return check_value(question, int(str(raw)))
    except ValueError as error:
        if isinstance(error, AnswerRefused):
            raise
        raise AnswerRefused(question.key, "Please give a whole number, for example 4.") from None


def _clean_date(question: Question, raw: object, today: date | None) -> Value:
    if raw == STILL_USING and question.still_using and today is not None:
        return today.isoformat()
    if raw == NEVER and not question.never_allowed:
        raise AnswerRefused(question.key, "Please give a date, or choose “I am not sure”.")
    value = check_value(question, raw)
    day = parse_day(value)
    if day and question.past and today and day > today:
        raise AnswerRefused(question.key, "This date is in the future. Please check the year.")
    return value


def _check_enum(question: Question, value: object) -> Value:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and value in question.keys:
        return value
    raise AnswerRefused(question.key, f"Please choose one of: {_choices(question)}.")


def _check_multi(question: Question, value: object) -> Value:
    if isinstance(value, list) and all(isinstance(each, str) and each in question.keys for each in value):
        return list(value)
    raise AnswerRefused(question.key, f"Please choose from: {_choices(question)}.")


def _check_bool(question: Question, value: object) -> Value:
    if isinstance(value, bool):
        return value
    raise AnswerRefused(question.key, "Please answer yes or no (true or false).")


def _check_int(question: Question, value: object) -> Value:
    if isinstance(value, int) and not isinstance(value, bool) and question.low <= value <= question.high:
        return value
    raise AnswerRefused(question.key, f"Please give a whole number from {question.low} to {question.high}.")


def _check_date(question: Question, value: object) -> Value:
    if value == NEVER and question.key != "reference_date":
        return NEVER
    day = parse_day(value)
    if day is None or day.year < EARLIEST_YEAR:
        raise AnswerRefused(question.key, "Please give a date as year-month-day, for example 2026-03-31.")
    return day.isoformat()


def _check_text(question: Question, value: object) -> Value:
    if isinstance(value, str) and len(value) <= TEXT_LIMIT:
        return value
    raise AnswerRefused(question.key, f"Please keep this to {TEXT_LIMIT} characters.")


def _choices(question: Question) -> str:
    return ", ".join(option.key for option in question.options)


_CHECKS = {
    QuestionType.ENUM: _check_enum,
    QuestionType.MULTI: _check_multi,
    QuestionType.BOOL: _check_bool,
    QuestionType.INT: _check_int,
    QuestionType.DATE: _check_date,
    QuestionType.TEXT: _check_text,
}
_CLEANERS = {
    QuestionType.MULTI: _clean_multi,
    QuestionType.BOOL: _clean_bool,
    QuestionType.INT: _clean_int,
    QuestionType.DATE: _clean_date,
}
