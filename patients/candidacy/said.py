"""What the patient said, as a clinician reads it: each answer as given, by whom and when, and what changed since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from patients.candidacy.models import Screening
from patients.candidacy.queries import (
    pack_of,
)
from patients.intake.models import QuestionnaireResponse
from patients.intake.queries import Given, author_words, shown
from patients.intake.questionnaire import Question, Questionnaire
from patients.intake.states import Who


@dataclass(frozen=True)
class Said:
    """One answer as it was given. `kind` keeps "no", "not sure", withheld, hidden and never answered apart.

    `is_expired`: it was given, with these words, but too long ago to count.
    """

    question: str
    text: str
    kind: Given
    asked_at: datetime | None
    by: str
    is_expired: bool = False

    @property
    def is_known(self) -> bool:
        return self.kind == Given.ANSWER


@dataclass(frozen=True)
class Change:
    """One answer that reads otherwise than in the answers before it; `was` keeps its own date and author."""

    was: Said
    now: Said


def said(screening: Screening, question: Question) -> Said:
    """Return an answer in the words the patient saw, with when and by whom; what was never answered says so."""
    value = screening.answers.get(question.key)
    entry = (screening.response.snapshot or {}).get(question.key)
    words = shown(question, value)
    if entry is not None and question.key in screening.expired:
        was = shown(question, entry["value"]).text
        return Said(question.label, was, Given.NOT_ANSWERED, _when(entry), author_words(entry["by"]), is_expired=True)
    if entry is None or entry["value"] != value:
        by = "" if value is None else "Afterglow, from the record"
        return Said(question.label, words.text, words.given, None, by)
    return Said(question.label, words.text, words.given, _when(entry), author_words(entry["by"]))


def _when(entry: Mapping[str, object]) -> datetime:
    return datetime.fromisoformat(str(entry["at"]))


def to_confirm(screening: Screening) -> list[Question]:
    """Return the questions a clinician may answer in place: what is blank first, then what is theirs to confirm."""
    questionnaire = pack_of(screening).questionnaire
    blank = [questionnaire.by_key[key] for key in screening.result["missing"]]
    unsure = [question for question in questionnaire.questions if not said(screening, question).is_known]
    theirs = [question for question in questionnaire.questions if Who.CLINICIAN.value in question.who]
    open_now = [question for question in unsure if said(screening, question).kind in _UNSURE]
    ordered = dict.fromkeys(question.key for question in (*blank, *open_now, *theirs))
    return [questionnaire.by_key[key] for key in ordered if questionnaire.by_key[key].who != {Who.SYSTEM.value}]


_UNSURE = (Given.NOT_SURE, Given.PREFER_NOT_TO_SAY)


def compared_with(screening: Screening) -> QuestionnaireResponse | None:
    """Return the earlier answers that a clinician knows best: those last decided on, else those last screened.

    A returning patient's form and what staff found since may lie between: nothing of that was decided on yet. None
    where these are the first answers, and where another screening of these very answers was decided for this laser.
    """
    decisions = screening.patient.decisions.filter(modality=screening.modality, screening__response=screening.response)
    if decisions.exclude(screening=screening).exists():
        return None
    frozen = screening.patient.responses.exclude(completed_at=None).order_by("pk").in_bulk()
    before = []
    earlier = screening.response.amends_id
    while earlier in frozen:
        before.append(frozen[earlier])
        earlier = frozen[earlier].amends_id
    screened = set(screening.patient.screenings.values_list("response_id", flat=True))
    decided = set(screening.patient.decisions.values_list("screening__response_id", flat=True))
    known = [each for each in before if each.pk in decided] or [each for each in before if each.pk in screened]
    return next(iter(known or before), None)


def changes_since(
    earlier: QuestionnaireResponse | None, screening: Screening, questionnaire: Questionnaire
) -> tuple[Change, ...]:
    """Return the questions whose answer reads otherwise than in the earlier ones, in the order asked.

    An answer that was given then and not now is a change too: "not answered" is not what it was.
    """
    if earlier is None:
        return ()
    before, now = earlier.snapshot or {}, screening.response.snapshot or {}
    return tuple(
        Change(_entry_said(question, before.get(question.key)), _entry_said(question, now.get(question.key)))
        for question in questionnaire.questions
        if question.key != "age_years" and not _same(before.get(question.key), now.get(question.key))
    )


def _same(one: Mapping[str, object] | None, other: Mapping[str, object] | None) -> bool:
    values = [entry["value"] if entry else None for entry in (one, other)]
    return type(values[0]) is type(values[1]) and values[0] == values[1]


def _entry_said(question: Question, entry: Mapping[str, object] | None) -> Said:
    words = shown(question, entry["value"] if entry else None)
    at = datetime.fromisoformat(str(entry["at"])) if entry else None
    return Said(question.label, words.text, words.given, at, author_words(entry["by"]) if entry else "")


def sections_of(screening: Screening, questionnaire: Questionnaire) -> tuple[tuple[str, tuple[Said, ...]], ...]:
    """Return every question with its answer, section by section; what skip logic hid is left out."""
    sections = []
    for section in questionnaire.sections:
        items = [said(screening, question) for question in questionnaire.questions if question.section == section.key]
        sections.append((section.title, tuple(item for item in items if item.kind != Given.NOT_APPLICABLE)))
    return tuple((title, items) for title, items in sections if items)
