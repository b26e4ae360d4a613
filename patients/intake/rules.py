"""The questionnaire: its pack, which questions apply, and what counts as an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from clinic.packfile import Item, Pack
from patients.intake.states import NEVER, QuestionType, Special, Who

Value = str | bool | int | list[str]
Answers = Mapping[str, object]

UNKNOWN = frozenset({Special.NOT_SURE.value, Special.PREFER_NOT_TO_SAY.value})
SPECIAL = frozenset(Special.values)
NONE_OF_THESE = "none_of_these"
STILL_USING = "still_using"
TEXT_LIMIT = 500
EARLIEST_YEAR = 1900


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


def expired_answers(answered_on: Mapping[str, date], questionnaire: Questionnaire, on: date) -> frozenset[str]:
    """Return the questions whose answer is too old to count on the day `on`.

    An answer that is valid for N days counts up to day N - 1 after the day it was given; from day N it is unknown.
    """
    return frozenset(
        key
        for key, days in questionnaire.timed().items()
        if key in answered_on and (on - answered_on[key]).days >= days
    )


# --- what counts as an answer -------------------------------------------------------------------------------------


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


# --- reading the pack ---------------------------------------------------------------------------------------------


def load_questionnaire(text: str, name: str, *, version: int | None = None) -> Questionnaire:
    """Return the questionnaire that a TOML text describes. Raises PackError naming file, line and question.

    `version` is the published version, where the text itself was not renumbered.
    """
    pack = Pack(text, name)
    pack.only("pack", "skin_type", "section", "question")
    head = pack.one("pack")
    head.only("name", "version", "status", "approved_by", "approved_on", "note", "wording")
    sections = tuple(_section(item) for item in pack.many("section"))
    places = {section.key: [key for key, _ in section.groups] for section in sections}
    items = pack.many("question")
    questions = tuple(_question(item, places) for item in items)
    by_key = {question.key: question for question in questions}
    for item, question in zip(items, questions, strict=True):
        _check_ask_if(item, question, by_key)
    return Questionnaire(
        name=head.text("name"),
        version=version if version is not None else head.integer("version"),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        sections=sections,
        questions=questions,
        skin=_skin(pack.one("skin_type"), by_key),
    )


def _section(item: Item) -> Section:
    item.only("key", "title", "intro", "groups")
    groups = item.data.get("groups")
    if not isinstance(groups, dict) or not groups or not all(isinstance(title, str) for title in groups.values()):
        item.refuse("“groups” must name the screens of the section.", "groups")
    return Section(item.text("key"), item.text("title"), item.text("intro", ""), tuple(groups.items()))


_QUESTION_KEYS = (
    *("key", "type", "label", "why", "help", "who", "section", "group", "options", "low", "high", "critical"),
    *(
        "expires",
        "health",
        "optional",
        "none_option",
        "never_allowed",
        "past",
        "still_using",
        "may_not_apply",
        "valid",
        "ask_if",
    ),
    *("wording", "note"),
)


def _question(item: Item, places: Mapping[str, Sequence[str]]) -> Question:
    item.only(*_QUESTION_KEYS)
    kind = QuestionType(item.one_of("type", QuestionType.values))
    section = item.one_of("section", places)
    who = frozenset(item.words("who", Who.values))
    if not who:
        item.refuse("“who” must say who answers.", "who")
    return Question(
        key=item.text("key"),
        type=kind,
        label=item.text("label"),
        why=item.text("why"),
        help=item.text("help", ""),
        who=who,
        section=section,
        group=item.one_of("group", places[section]),
        options=_options(item, kind),
        low=item.integer("low", 0),
        high=item.integer("high", 0),
        critical=item.flag("critical"),
        expires=item.flag("expires"),
        health=item.flag("health", Who.PATIENT.value in who),
        optional=item.flag("optional"),
        none_option=item.flag("none_option", True),
        never_allowed=item.flag("never_allowed", True),
        past=item.flag("past"),
        still_using=item.flag("still_using"),
        may_not_apply=item.flag("may_not_apply"),
        valid=_valid(item, who),
        ask_if=_ask_if(item),
        wording=item.text("wording", "ours"),
        note=item.text("note", ""),
    )


def _options(item: Item, kind: QuestionType) -> tuple[Option, ...]:
    options = item.data.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(label, str) for label in options.values()):
        item.refuse("“options” must be a table of option and label.", "options")
    if not options and kind in {QuestionType.ENUM, QuestionType.MULTI}:
        item.refuse("“options” is missing.", "options")
    if clash := (UNKNOWN | {NONE_OF_THESE}).intersection(options):
        item.refuse(f"“{min(clash)}” is offered by the page itself and cannot be an option.", "options")
    return tuple(Option(key, label) for key, label in options.items())


def _valid(item: Item, who: frozenset[str]) -> Validity | None:
    raw = item.data.get("valid")
    if raw is None:
        return None
    if not isinstance(raw, dict) or set(raw) != {"days", "source"}:
        item.refuse("“valid” needs days and source, and nothing else.", "valid")
    days, source = raw["days"], raw["source"]
    if not isinstance(days, int) or isinstance(days, bool) or days < 1:
        item.refuse("“days” in “valid” must be a whole number above 0.", "valid")
    if not isinstance(source, str) or not source.strip():
        item.refuse("“source” in “valid” must say where the number comes from.", "valid")
    if who == {Who.SYSTEM.value}:
        item.refuse("Nobody is asked this, so its answer cannot grow old.", "valid")
    return Validity(days, source.strip())


_ASK_TESTS = ("in", "has_any", "is_date", "unanswered")


def _ask_if(item: Item) -> AskIf | None:
    raw = item.data.get("ask_if")
    if raw is None:
        return None
    tests = [key for key in raw if key != "question"] if isinstance(raw, dict) else []
    if len(tests) != 1 or tests[0] not in _ASK_TESTS or not isinstance(raw.get("question"), str):
        item.refuse(f"“ask_if” needs a question and one of {', '.join(_ASK_TESTS)}.", "ask_if")
    values = raw[tests[0]]
    return AskIf(raw["question"], tests[0], frozenset(values if isinstance(values, list) else ()))


def _check_ask_if(item: Item, question: Question, by_key: Mapping[str, Question]) -> None:
    if question.ask_if is None:
        return
    parent = by_key.get(question.ask_if.question)
    if parent is None:
        item.refuse(f"“ask_if” names “{question.ask_if.question}”, which is no question.", "ask_if")
    if parent.ask_if is not None:
        item.refuse(f"“ask_if” names “{parent.key}”, which is itself not always asked.", "ask_if")
    known: Iterable[object] = (True, False) if parent.type == QuestionType.BOOL else parent.keys
    if stray := sorted(str(value) for value in question.ask_if.values.difference(known)):
        item.refuse(f"“{stray[0]}” is no option of “{parent.key}”.", "ask_if")


def _skin(item: Item, by_key: Mapping[str, Question]) -> SkinInstrument:
    item.only("instrument_version", "items", "starts", "borderline_margin", "source", "note")
    item.source()
    items = item.words("items", by_key)
    starts = item.numbers("starts")
    if len(starts) != len(ROMAN) or list(starts) != sorted(set(starts)) or starts[0] != 0:
        item.refuse("“starts” must be the lowest total of each type I to VI, rising from 0.", "starts")
    if any(by_key[key].type != QuestionType.INT for key in items):
        item.refuse("Every item of the score must be a number.", "items")
    return SkinInstrument(item.text("instrument_version"), items, starts, item.integer("borderline_margin"))
