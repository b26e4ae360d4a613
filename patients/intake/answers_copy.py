"""The answers copy: one frozen response as it stands on paper and in a file, each state in words of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from patients.intake.models import QuestionnaireResponse
from patients.intake.queries import Given, author_words, questionnaire_of, shown
from patients.intake.questionnaire import Question, Questionnaire
from patients.intake.states import QuestionType

Entry = Mapping[str, object]

# A page shows "Does not apply" beside a question that was asked; on a copy, what was never asked says so.
NOT_ASKED = "Not asked (does not apply)"


@dataclass(frozen=True)
class Line:
    """What was said to one question: which of the five things, in which words, when and by whom.

    `value` is the stored value, None unless somebody answered. `at` is None and `by` empty where nobody said anything.
    """

    given: Given
    words: str
    value: object
    at: datetime | None
    by: str


@dataclass(frozen=True)
class CopyItem:
    """One question of the copy. `was` is what stood there before, where this response changed it."""

    question: Question
    line: Line
    was: Line | None


@dataclass(frozen=True)
class CopySection:
    """The questions of one section, in the order in which they are asked."""

    key: str
    title: str
    items: tuple[CopyItem, ...]


@dataclass(frozen=True)
class AnswersCopy:
    """Every question of one frozen response. `since` is when the answers before it were sent in, None for the first."""

    response: QuestionnaireResponse
    questionnaire: Questionnaire
    since: datetime | None
    sections: tuple[CopySection, ...]

    @property
    def changed(self) -> int:
        return sum(item.was is not None for section in self.sections for item in section.items)


def answers_copy(response: QuestionnaireResponse) -> AnswersCopy:
    """Return the copy of a frozen response, whatever replaced it since; nothing is left out, not even the unasked."""
    questionnaire = questionnaire_of(response)
    before = response.amends if response.amends and response.amends.snapshot is not None else None
    asked_before = questionnaire_of(before).by_key if before else {}
    now, then = response.snapshot or {}, (before.snapshot or {}) if before else {}
    items = {
        question.key: CopyItem(
            question,
            _line(question, now.get(question.key)),
            _was(asked_before.get(question.key), then.get(question.key), now.get(question.key)),
        )
        for question in questionnaire.questions
    }
    sections = tuple(
        CopySection(section.key, section.title, tuple(i for i in items.values() if i.question.section == section.key))
        for section in questionnaire.sections
    )
    since = before.completed_at if before else None
    return AnswersCopy(response, questionnaire, since, tuple(section for section in sections if section.items))


def _was(question: Question | None, then: Entry | None, now: Entry | None) -> Line | None:
    """Return what stood before if it read otherwise. A question that the version before did not have is no change."""
    if question is None:
        return None
    before, after = (entry["value"] if entry else None for entry in (then, now))
    same = type(before) is type(after) and before == after
    return None if same else _line(question, then)


def _line(question: Question, entry: Entry | None) -> Line:
    value = entry["value"] if entry else None
    what = shown(question, value)
    return Line(
        given=what.given,
        words=_words(question, what.given, what.text),
        value=value if what.given == Given.ANSWER else None,
        at=datetime.fromisoformat(str(entry["at"])) if entry else None,
        by=author_words(entry["by"]) if entry else "",
    )


def _words(question: Question, given: Given, text: str) -> str:
    """Quote a person's own words: somebody may well have typed "Not sure" or "Not answered"."""
    if given == Given.NOT_APPLICABLE and not question.may_not_apply:
        return NOT_ASKED
    return f"“{text}”" if given == Given.ANSWER and question.type == QuestionType.TEXT else text


# --- the file ---------------------------------------------------------------------------------------------------------


def as_fhir(copy: AnswersCopy) -> dict[str, object]:
    """Return the copy in the words of FHIR's QuestionnaireResponse, with the state of each item spelled out.

    FHIR leaves out an item without an answer, so "not asked" and "not answered" would look alike. Here every question
    has an item, and its `state` (see `Given`) says which; `changed` holds what stood before. It is not a profile that
    another system has agreed to.
    """
    response = copy.response
    return {
        "resourceType": "QuestionnaireResponse",
        "identifier": {"value": str(response.ref)},
        "questionnaire": f"{copy.questionnaire.name}|{copy.questionnaire.version}",
        "status": str(response.status),
        "subject": {
            "identifier": {"value": str(response.patient.ref)},
            "display": response.patient.full_name,
        },
        "authored": response.completed_at.isoformat() if response.completed_at else None,
        "amends": str(response.amends.ref) if response.amends else None,
        "amendsAuthored": copy.since.isoformat() if copy.since else None,
        "item": [
            {"linkId": section.key, "text": section.title, "item": [_fhir_item(each) for each in section.items]}
            for section in copy.sections
        ],
    }


def _fhir_item(item: CopyItem) -> dict[str, object]:
    found: dict[str, object] = {"linkId": item.question.key, "text": item.question.label}
    found |= _fhir_line(item.question, item.line)
    if item.was is not None:
        found["changed"] = _fhir_line(item.question, item.was)
    return found


def _fhir_line(question: Question, line: Line) -> dict[str, object]:
    return {
        "state": str(line.given),
        "stateText": line.words,
        "answer": [] if line.given != Given.ANSWER else _fhir_values(question, line.value),
        "answeredAt": line.at.isoformat() if line.at else None,
        "answeredBy": line.by or None,
    }


def _fhir_values(question: Question, value: object) -> list[dict[str, object]]:
    """Return FHIR's value[x] of each answer. An empty list is "none of these": `state` still says answered."""
    values = value if isinstance(value, list) else [value]
    return [_fhir_value(question, each) for each in values]


def _fhir_value(question: Question, value: object) -> dict[str, object]:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int) and not question.options:
        return {"valueInteger": value}
    if str(value) in question.keys or isinstance(value, int):
        return {"valueCoding": {"code": str(value), "display": question.label_of(value)}}
    if question.type == QuestionType.DATE:
        return {"valueDate": value} if value[:1].isdigit() else {"valueCoding": {"code": value}}  # type: ignore[index]
    return {"valueString": str(value)}
