"""Reading answers, and where a questionnaire stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache

from django.db.models import QuerySet

from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from patients.intake.models import Answer, QuestionnaireResponse
from patients.intake.pack import load_questionnaire
from patients.intake.questionnaire import AnswerRefused, Group, Question, Questionnaire
from patients.intake.rules import check_value, expired_answers, parse_day
from patients.intake.states import QUESTIONNAIRE, QuestionType, ResponseStatus, Special, Who
from patients.registry.models import Patient

# Known from elsewhere, so nobody is asked.
DERIVED = frozenset({"age_years"})


class Given(StrEnum):
    """What stands where an answer belongs. Five different things; none may look like another."""

    ANSWER = "answer"
    NOT_SURE = "not_sure"
    PREFER_NOT_TO_SAY = "prefer_not_to_say"
    NOT_APPLICABLE = "not_applicable"
    NOT_ANSWERED = "not_answered"


WORDS = {
    Given.NOT_SURE: "Not sure",
    Given.PREFER_NOT_TO_SAY: "Prefers not to say",
    Given.NOT_APPLICABLE: "Does not apply",
    Given.NOT_ANSWERED: "Not answered",
}


# Who stands in the record as a task of ours, in words.
AUTHORS = {"intake.age": "From the date of birth"}


def author_words(by: object) -> str:
    """Return who gave an answer as a page says it."""
    return AUTHORS.get(str(by), str(by))


@dataclass(frozen=True)
class Shown:
    """One question with its answer as a page shows it. `row` says when and by whom, if somebody answered."""

    question: Question
    given: Given
    text: str
    row: Answer | None = None


@dataclass(frozen=True)
class ShownGroup:
    """The questions of one screen with their answers."""

    key: str
    title: str
    section: str
    items: tuple[Shown, ...]


@lru_cache(maxsize=16)
def _parsed(sha256: str, pack_id: int) -> Questionnaire:
    pack = RulePack.objects.get(pk=pack_id, sha256=sha256)
    return load_questionnaire(pack.body, f"{pack.name} v{pack.version}", version=pack.version)


def questionnaire_of(response: QuestionnaireResponse) -> Questionnaire:
    """Return the version of the questionnaire this response answers; read once per version and process."""
    if QuestionnaireResponse.pack.is_cached(response):
        return _parsed(response.pack.sha256, response.pack_id)
    # Each saved answer comes by here: the digest is enough, the text of a known version need not travel again.
    return _parsed(RulePack.objects.values_list("sha256", flat=True).get(pk=response.pack_id), response.pack_id)


def questionnaire_in_force() -> Questionnaire:
    """Return the questionnaire that patients answer now. Raises PackMissing if there is none."""
    row = published(PackKind.QUESTIONNAIRE, QUESTIONNAIRE)
    return _parsed(row.sha256, row.pk)


def latest_rows(response: QuestionnaireResponse) -> dict[str, Answer]:
    """Return the answer that counts for each question answered."""
    return {row.question: row for row in response.answers.filter(is_latest=True)}


def latest_answers(response: QuestionnaireResponse) -> dict[str, object]:
    """Return the value that counts for each question answered in this form; an unanswered question has no key.

    For a form being filled in. An amended response has rows for the amended questions alone: what stands of a frozen
    one is in its snapshot (`frozen_answers`).
    """
    return {key: row.value for key, row in latest_rows(response).items()}


def frozen_answers(response: QuestionnaireResponse) -> dict[str, object]:
    """Return the values of a frozen response: what skip logic hid reads "not_applicable", the unanswered has no key."""
    return {key: entry["value"] for key, entry in (response.snapshot or {}).items()}


def expired_keys(response: QuestionnaireResponse, on: date) -> frozenset[str]:
    """Return the questions of a frozen response whose answer is too old on that day, at the patient's location.

    How long an answer counts is what the questionnaire in force says, whichever version it was given to: a clinic
    that shortens it means everybody. What skip logic hid was never said, and does not grow old.
    """
    questionnaire, zone = questionnaire_in_force(), response.patient.location.zone
    answered_on = {
        key: datetime.fromisoformat(str(entry["at"])).astimezone(zone).date()
        for key, entry in (response.snapshot or {}).items()
        if key in questionnaire.by_key and not _was_hidden(questionnaire.by_key[key], entry["value"])
    }
    return expired_answers(answered_on, questionnaire, on)


def _was_hidden(question: Question, value: object) -> bool:
    return question.ask_if is not None and value == Special.NOT_APPLICABLE


def answers_in_force(patient: Patient) -> dict[str, object]:
    """Return the frozen values of the patient's answers in force, amended or not; {} before any are sent in."""
    response = completed_response(patient)
    return frozen_answers(response) if response is not None else {}


def open_response(patient: Patient) -> QuestionnaireResponse | None:
    """Return the questionnaire the patient is filling in now."""
    return _responses(patient).filter(status=ResponseStatus.IN_PROGRESS).first()


def completed_response(patient: Patient) -> QuestionnaireResponse | None:
    """Return the patient's answers in force: the completed ones that nothing newer replaced."""
    return _responses(patient).filter(status=ResponseStatus.COMPLETED).order_by("-completed_at", "-id").first()


@dataclass(frozen=True)
class FormState:
    """Where a patient's questionnaire stands, in words that tell nothing of an answer.

    `sent_in_at`: when the answers in force were handed in. `begun_at`: since when one is being filled in. `too_old`:
    some answers count no longer and have to be given again.
    """

    sent_in_at: datetime | None
    begun_at: datetime | None
    too_old: bool


def form_state(patient: Patient, at: datetime) -> FormState:
    """Return where the patient's questionnaire stands, for whoever may send it but not read it."""
    done, begun = completed_response(patient), open_response(patient)
    today = at.astimezone(patient.location.zone).date()
    return FormState(
        sent_in_at=done.completed_at if done else None,
        begun_at=begun.started_at if begun else None,
        too_old=done is not None and bool(expired_keys(done, today)),
    )


def _responses(patient: Patient) -> QuerySet[QuestionnaireResponse]:
    """The questionnaire's text stays in the database: it is read once per version, by _parsed."""
    return patient.responses.select_related("pack").defer("pack__body")


def response_about(about: str, patient: Patient) -> QuestionnaireResponse | None:
    """Return the patient's own response that a link is about ("response:<ref>"), else None."""
    kind, _, ref = about.partition(":")
    return _responses(patient).filter(ref=ref).first() if kind == "response" else None


def former_answers(response: QuestionnaireResponse) -> dict[str, Mapping[str, object]]:
    """Return what the patient said last time and may still stand: question to frozen entry (value, at, by).

    Nothing here counts before somebody confirms it. Left out are questions already answered in this form; those the
    pack asks anew on the treatment day; what skip logic had hidden; and what today's questionnaire no longer accepts.
    """
    if response.amends is None:
        return {}
    known = set(response.answers.filter(is_latest=True).values_list("question", flat=True))
    asked = questionnaire_of(response).by_key
    entries = response.amends.snapshot or {}
    return {
        key: entry
        for key, entry in entries.items()
        if key in asked and key not in known and _may_stand(asked[key], entry["value"])
    }


def _may_stand(question: Question, value: object) -> bool:
    if not question.by_patient or question.key in DERIVED or question.expires:
        return False
    if value == Special.NOT_APPLICABLE and not question.may_not_apply:
        return False
    try:
        check_value(question, value)
    except AnswerRefused:
        return False
    return True


def asked_groups(questionnaire: Questionnaire, answers: Mapping[str, object]) -> list[Group]:
    """Return the screens a patient goes through, given the answers so far; what we know ourselves is left out."""
    groups = questionnaire.groups(answers, Who.PATIENT.value)
    return [group for group in groups if any(question.key not in DERIVED for question in group.questions)]


def next_group(questionnaire: Questionnaire, answers: Mapping[str, object], after: str = "") -> str:
    """Return the key of the next screen with something to answer, looking behind `after` first; "" when none has."""
    keys = [group.key for group in asked_groups(questionnaire, answers)]
    at = keys.index(after) + 1 if after in keys else 0
    open_keys = {
        group.key
        for group in asked_groups(questionnaire, answers)
        if any(question.key not in answers and not question.optional for question in group.questions)
    }
    return next((key for key in (*keys[at:], *keys[:at]) if key in open_keys), "")


def critical_unanswered(questionnaire: Questionnaire, answers: Mapping[str, object]) -> tuple[Question, ...]:
    """Return the starred questions that apply to the patient and have no answer, not even “not sure”.

    `answers` maps to values or to rows: what skip logic needs is read from either.
    """
    values = {key: value.value if isinstance(value, Answer) else value for key, value in answers.items()}
    asked = questionnaire.visible(values, Who.PATIENT.value)
    return tuple(question for question in asked if question.critical and question.key not in values)


def given(question: Question, value: object | None) -> Given:
    """Return which of the five things a stored value is. None means there is none."""
    if value is None:
        return Given.NOT_ANSWERED
    if isinstance(value, str) and value in Special.values and value not in question.keys:
        return Given(value)
    return Given.ANSWER


def shown(question: Question, value: object | None, row: Answer | None = None) -> Shown:
    """Return the answer in words. "No", "not sure", "prefers not to say", nothing and hidden read differently."""
    what = given(question, value)
    return Shown(question, what, _words(question, value) if what == Given.ANSWER else WORDS[what], row)


def _words(question: Question, value: object) -> str:
    day = parse_day(value) if question.type == QuestionType.DATE else None
    return f"{day.day} {day:%B %Y}" if day else question.label_of(value)


def shown_groups(
    questionnaire: Questionnaire, rows: Mapping[str, Answer], *, hidden_too: bool = False
) -> list[ShownGroup]:
    """Return every patient question with its answer, screen by screen.

    A question that skip logic hides is left out unless somebody had answered it, or `hidden_too`.
    """
    frozen = questionnaire.with_not_applicable({key: row.value for key, row in rows.items()})
    visible = {question.key for question in questionnaire.visible({k: r.value for k, r in rows.items()})}
    groups = []
    for section in questionnaire.sections:
        for key, title in section.groups:
            items = tuple(
                shown(question, frozen.get(question.key), rows.get(question.key))
                for question in questionnaire.questions
                if (question.section, question.group) == (section.key, key)
                and question.by_patient
                and question.key not in DERIVED
                and (question.key in visible or question.key in rows or hidden_too)
            )
            if items:
                groups.append(ShownGroup(key, title, section.key, items))
    return groups
