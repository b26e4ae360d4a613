"""The questionnaire: its questions and screens, and which of them apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from patients.intake.states import NEVER, QuestionType, Special, Who

Value = str | bool | int | list[str]
Answers = Mapping[str, object]

UNKNOWN = frozenset({Special.NOT_SURE.value, Special.PREFER_NOT_TO_SAY.value})
SPECIAL = frozenset(Special.values)


class AnswerRefused(ValueError):
    """A value is no answer to the question. `for_people` is the sentence to show beside `field`."""

    def __init__(self, field: str, for_people: str) -> None:
        super().__init__(f"{field}: {for_people}")
        self.field = field
        self.for_people = for_people


@dataclass(frozen=True)
class Option:
    """One choice: `key` is stored, `label` is read."""

    key: str
    label: str


@dataclass(frozen=True)
class AskIf:
    """When a question applies: one test of one other answer that itself always applies."""

    question: str
    test: str
    values: frozenset[str | bool]

    def holds(self, answers: Answers) -> bool | None:
        """Return true, false, or None where the other answer leaves it open."""
        value = answers.get(self.question)
        known = value is not None and not (isinstance(value, str) and value in UNKNOWN)
        if self.test == "unanswered":
            return not known
        if not known:
            return None
        if self.test == "is_date":
            return value != NEVER
        if isinstance(value, list):
            return not self.values.isdisjoint(value)
        return value in self.values


@dataclass(frozen=True)
class Validity:
    """For how many days an answer counts before it must be given again, and who says so."""

    days: int
    source: str

    def __str__(self) -> str:
        return f"{self.days} days ({self.source})"


@dataclass(frozen=True)
class Question:
    """One question. `critical`: a blank leaves a screening incomplete. `expires`: asked again on the treatment day.

    `health`: a patient may be unsure, and then a person looks (rule R57). `none_option`: an empty list is an answer.
    `never_allowed`: "never" is an answer to a date. `past`: the date lies behind the person who answers.
    `may_not_apply`: the person may say that the question does not apply, and then it counts as no. `valid`: how long
    an answer counts; None where the clinic has not decided that it ever grows old.
    """

    key: str
    type: QuestionType
    label: str
    why: str
    help: str
    who: frozenset[str]
    section: str
    group: str
    options: tuple[Option, ...]
    low: int
    high: int
    critical: bool
    expires: bool
    health: bool
    optional: bool
    none_option: bool
    never_allowed: bool
    past: bool
    still_using: bool
    may_not_apply: bool
    valid: Validity | None
    ask_if: AskIf | None
    wording: str
    note: str

    @cached_property
    def keys(self) -> frozenset[str]:
        """The option strings that may be stored."""
        return frozenset(option.key for option in self.options)

    @property
    def by_patient(self) -> bool:
        return Who.PATIENT.value in self.who

    @property
    def offers_unknown(self) -> bool:
        """Whether the page offers "not sure" and "rather not say"."""
        return self.health and self.by_patient

    def label_of(self, value: object) -> str:
        """Return a stored value in the words the person saw."""
        labels = {option.key: option.label for option in self.options}
        if isinstance(value, list):
            return ", ".join(labels.get(str(each), str(each)) for each in value) or "None of these"
        if isinstance(value, bool):
            return "Yes" if value else "No"
        if str(value) in labels:
            return labels[str(value)]
        if value == NEVER:
            return "Never"
        return str(Special(value).label) if value in SPECIAL else str(value)


@dataclass(frozen=True)
class Group:
    """The few questions of one phone screen."""

    key: str
    title: str
    section: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Section:
    key: str
    title: str
    intro: str
    groups: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SkinScore:
    """A self-scored skin type: a suggestion for the clinician, never a refusal.

    `total` is None until all items are answered; `band` then reads "I" to "III" or "IV-VI".
    """

    total: int | None
    suggested: str
    band: str
    for_clinician: str
    instrument: str


@dataclass(frozen=True)
class SkinInstrument:
    """Items, lowest total of each type I to VI, and how near type IV counts as IV-VI."""

    version: str
    items: tuple[str, ...]
    starts: tuple[int, ...]
    margin: int

    def threshold(self, skin_type: int) -> int:
        """Return the lowest total that reads as this type or darker. Borderline IV counts as IV."""
        return self.starts[skin_type - 1] - (self.margin if skin_type == 4 else 0)


ROMAN = ("I", "II", "III", "IV", "V", "VI")


@dataclass(frozen=True)
class Questionnaire:
    """One version of the questionnaire, in the order in which it is asked."""

    name: str
    version: int
    sha256: str
    sections: tuple[Section, ...]
    questions: tuple[Question, ...]
    skin: SkinInstrument

    @cached_property
    def by_key(self) -> dict[str, Question]:
        return {question.key: question for question in self.questions}

    def question(self, key: str) -> Question:
        """Return the question. Raises AnswerRefused for a key that no question has."""
        if key not in self.by_key:
            raise AnswerRefused(key, "There is no such question.")
        return self.by_key[key]

    def visible(self, answers: Answers, who: str | None = None) -> tuple[Question, ...]:
        """Return the questions that apply, given the answers so far; of one answerer if `who` is given."""
        return tuple(
            question
            for question in self.questions
            if (who is None or who in question.who) and (question.ask_if is None or question.ask_if.holds(answers))
        )

    def groups(self, answers: Answers, who: str = Who.PATIENT) -> tuple[Group, ...]:
        """Return the screens that have a question for this person, in order."""
        shown = self.visible(answers, who)
        pages = []
        for section in self.sections:
            for key, title in section.groups:
                asked = tuple(q for q in shown if q.section == section.key and q.group == key)
                if asked:
                    pages.append(Group(key, title, section.key, asked))
        return tuple(pages)

    def next_group(self, answers: Answers, who: str = Who.PATIENT, after: str = "") -> Group | None:
        """Return the first screen with an unanswered question, looking behind `after` first; None when all are done."""
        pages = self.groups(answers, who)
        at = next((index + 1 for index, page in enumerate(pages) if page.key == after), 0)
        for page in (*pages[at:], *pages[:at]):
            if any(question.key not in answers and not question.optional for question in page.questions):
                return page
        return None

    def critical(self) -> tuple[str, ...]:
        """Return the keys that must be answered before anything can be said."""
        return tuple(question.key for question in self.questions if question.critical)

    def expiring(self) -> tuple[str, ...]:
        """Return the keys that are asked again on the treatment day."""
        return tuple(question.key for question in self.questions if question.expires)

    def timed(self) -> dict[str, int]:
        """Return the questions whose answers grow old, each with the days for which one counts."""
        return {question.key: question.valid.days for question in self.questions if question.valid}

    def unanswered(self, answers: Answers, who: str | None = None) -> tuple[str, ...]:
        """Return the questions that apply and have no answer, optional ones left out."""
        return tuple(q.key for q in self.visible(answers, who) if q.key not in answers and not q.optional)

    def with_not_applicable(self, answers: Answers) -> dict[str, object]:
        """Return the answers to freeze: what skip logic hides reads `not_applicable`, the unasked stays absent.

        A self-scored skin type that was given stays as given, for the clinician to see beside the confirmed one.
        """
        frozen = {key: value for key, value in answers.items() if value is not None}
        for question in self.questions:
            hidden = question.ask_if is not None and question.ask_if.holds(answers) is False
            if hidden and not (question.key in self.skin.items and question.key in frozen):
                frozen[question.key] = Special.NOT_APPLICABLE.value
        return frozen

    def skin_score(self, answers: Answers) -> SkinScore:
        """Return what the eight self-scored items suggest. Source: FST8 C; steps from III upwards G."""
        points = [answers.get(key) for key in self.skin.items]
        if not all(isinstance(point, int) for point in points):
            return SkinScore(None, "", "", "Not all items of the self-score are answered.", self.skin.version)
        total = sum(point for point in points if isinstance(point, int))
        reached = sum(1 for start in self.skin.starts if total >= start)
        suggested = ROMAN[reached - 1]
        if total >= self.skin.threshold(4):
            return SkinScore(total, suggested, "IV-VI", "IV-VI band, clinician to confirm", self.skin.version)
        return SkinScore(total, suggested, suggested, f"Self-score suggests type {suggested}", self.skin.version)
