"""Check-in questions and triage rules as data, checked when they are read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clinic.catalogue.states import Group
from clinic.packfile import Item, Pack
from treatments.aftercare.hours import Clock
from treatments.aftercare.states import SEVERITY, AnswerKind, ClockKind, Level

FELT_HOT = "felt_hot"
NO_FEVER = "no_fever"  # said so, which is not the same as left blank
_COMPARISON = re.compile(r"(>=|<=|>|<)\s*(\d+(?:\.\d+)?)")
_CLOCK = re.compile(r"(\d+)\s*(minutes|working_hours|working_days)")
_LAST_DAY = 100_000
OWN_SOURCE = "The clinician's decision about this patient"
_GROUPS = [Group.AFL.value, Group.NAFL.value, Group.PICO.value]
# What grading may know of the patient and the treatment beside the answers.
HISTORY = frozenset({"cold_sores", "numbing", "periorbital", "neck", "skin_type_4_6", "antiviral_prescribed"})


@dataclass(frozen=True)
class Question:
    key: str
    kind: AnswerKind
    label: str
    help: str
    options: Mapping[str, str]
    source: str


@dataclass(frozen=True)
class Ask:
    """Which questions a check-in of these days asks."""

    groups: frozenset[str]
    from_day: int
    to_day: int
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """One condition on one answer: among options, compared with a number, yes or no, or (a text) written at all."""

    question: str
    options: frozenset[str] = frozenset()
    operator: str = ""
    number: float = 0
    truth: bool | None = None


@dataclass(frozen=True)
class Rule:
    """If any of `when` holds in full, on these days, for these lasers and histories, the answer is this urgent."""

    id: str
    level: Level
    when: tuple[tuple[Check, ...], ...]
    words: tuple[str, ...]
    groups: frozenset[str]
    from_day: int
    to_day: int
    history: frozenset[str]
    unless_history: frozenset[str]
    patient_text: str
    staff_text: str
    respond: Clock
    source: str
    needs_decision: bool


@dataclass(frozen=True)
class LevelInfo:
    level: Level
    heading: str
    who: str
    respond: Clock
    source: str


@dataclass(frozen=True)
class TriagePack:
    name: str
    always: tuple[str, ...]
    expected: str
    unreadable: Rule
    levels: Mapping[Level, LevelInfo]
    questions: Mapping[str, Question]
    asks: tuple[Ask, ...]
    rules: tuple[Rule, ...]


def parse_triage(text: str, name: str) -> TriagePack:
    """Return the checked questions and rules. Raises PackError with file, line and item."""
    pack = Pack(text, name)
    pack.only("triage", "level", "question", "ask", "rule", "unreadable")
    head = pack.one("triage")
    head.only("name", "title", "always", "expected", "source", "note")
    levels = {info.level: info for info in (_level(item) for item in pack.many("level"))}
    missing = [level.value for level in SEVERITY if level not in levels and level != Level.EXPECTED]
    if missing:
        head.refuse(f"Levels without a clock: {', '.join(missing)}.")
    questions = {each.key: each for each in (_question(item) for item in pack.many("question"))}
    asks = tuple(_ask(item, questions) for item in pack.many("ask"))
    _refuse_gaps(head, asks)
    return TriagePack(
        name=head.text("name"),
        always=head.words("always", questions),
        expected=head.text("expected"),
        unreadable=_rule(pack.one("unreadable"), questions, levels),
        levels=levels,
        questions=questions,
        asks=asks,
        rules=tuple(_rule(item, questions, levels) for item in pack.many("rule")),
    )


def with_own_questions(triage: TriagePack, known: Sequence[str], asked: Collection[str]) -> TriagePack:
    """Return the triage with a clinician's own questions to one patient; `asked` of those `known` are asked now.

    They are asked at every check-in, after the day's questions, and answered yes or no. A yes is a routine matter: it
    says no more than that somebody should look.
    """
    if not known:
        return triage
    own = {own_key(text): text for text in known}
    keys = tuple(key for key, text in own.items() if text in asked)
    info = triage.levels[Level.ROUTINE]
    return replace(
        triage,
        questions={**triage.questions, **{key: _own_question(key, text) for key, text in own.items()}},
        asks=tuple(replace(ask, questions=(*ask.questions, *keys)) for ask in triage.asks),
        rules=(*triage.rules, *(_own_rule(key, text, info) for key, text in own.items())),
    )


def own_key(text: str) -> str:
    """Return the key of a clinician's own question: the same words are the same question."""
    return f"own-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _own_question(key: str, text: str) -> Question:
    return Question(key, AnswerKind.BOOL, text, "", {}, OWN_SOURCE)


def _own_rule(key: str, text: str, info: LevelInfo) -> Rule:
    return Rule(
        id=key,
        level=Level.ROUTINE,
        when=((Check(key, truth=True),),),
        words=(),
        groups=frozenset(_GROUPS),
        from_day=0,
        to_day=_LAST_DAY,
        history=frozenset(),
        unless_history=frozenset(),
        patient_text="Thank you for telling us. Your clinician reads this.",
        staff_text=f"Yes to your own question: {text}",
        respond=info.respond,
        source=OWN_SOURCE,
        needs_decision=False,
    )


def _level(item: Item) -> LevelInfo:
    item.only("key", "heading", "who", "respond", "source", "needs_decision", "note")
    urgent = [level.value for level in SEVERITY if level != Level.EXPECTED]
    return LevelInfo(
        level=Level(item.one_of("key", urgent)),
        heading=item.text("heading"),
        who=item.text("who"),
        respond=_clock(item),
        source=item.source(),
    )


def _question(item: Item) -> Question:
    item.only("key", "kind", "label", "help", "options", "source", "needs_decision", "note")
    kind = AnswerKind(item.one_of("kind", AnswerKind.values))
    options = item.data.get("options", {})
    if (kind in {AnswerKind.CHOICE, AnswerKind.MULTI}) != bool(options):
        item.refuse("Options belong to choices, and choices need them.", "options")
    if not isinstance(options, dict) or not all(isinstance(label, str) and label for label in options.values()):
        item.refuse("“options” must be a table of labels.", "options")
    return Question(item.text("key"), kind, item.text("label"), item.text("help", ""), dict(options), item.source())


def _ask(item: Item, questions: Mapping[str, Question]) -> Ask:
    item.only("groups", "from_day", "to_day", "questions", "source", "needs_decision", "note")
    item.source()
    keys = item.words("questions", questions)
    if not 3 <= len(keys) <= 6 or len(set(keys)) != len(keys):
        item.refuse("A check-in asks 3 to 6 different questions.", "questions")
    return Ask(
        groups=frozenset(item.words("groups", _GROUPS)),
        from_day=item.integer("from_day"),
        to_day=item.integer("to_day", _LAST_DAY),
        questions=keys,
    )


def _refuse_gaps(head: Item, asks: tuple[Ask, ...]) -> None:
    """Every day of every laser has exactly one set of questions: a patient may report at any time."""
    for group in _GROUPS:
        next_day = 0
        for ask in sorted((ask for ask in asks if group in ask.groups), key=lambda ask: ask.from_day):
            if ask.from_day != next_day:
                head.refuse(f"{group}: day {min(ask.from_day, next_day)} has no questions, or two sets of them.")
            next_day = ask.to_day + 1
        if next_day <= _LAST_DAY:
            head.refuse(f"{group}: no questions from day {next_day} on.")


def _rule(item: Item, questions: Mapping[str, Question], levels: Mapping[Level, LevelInfo]) -> Rule:
    item.only(
        *Rule.__dataclass_fields__,
        "note",
    )
    level = Level(item.one_of("level", [each.value for each in levels]))
    when = item.data.get("when", [])
    if not isinstance(when, list) or not all(isinstance(each, dict) and each for each in when):
        item.refuse("“when” must be a list of tables.", "when")
    words = item.words("words")
    if not when and not words and item.table == "rule":
        item.refuse("The rule says neither “when” nor “words”: it would never match, or always.")
    return Rule(
        id=item.text("id"),
        level=level,
        when=tuple(tuple(_check(item, key, value, questions) for key, value in each.items()) for each in when),
        words=words,
        groups=frozenset(item.words("groups", _GROUPS)),
        from_day=item.integer("from_day", 0),
        to_day=item.integer("to_day", _LAST_DAY),
        history=frozenset(item.words("history", HISTORY)),
        unless_history=frozenset(item.words("unless_history", HISTORY)),
        patient_text=item.text("patient_text"),
        staff_text=item.text("staff_text"),
        respond=_clock(item) if "respond" in item.data else levels[level].respond,
        source=item.source(),
        needs_decision=item.flag("needs_decision"),
    )


def _check(item: Item, key: str, value: Any, questions: Mapping[str, Question]) -> Check:
    question = questions.get(key)
    if question is None:
        item.refuse(f"“{key}” is not a question.", "when")
    if isinstance(value, bool):
        if question.kind != AnswerKind.BOOL and not (question.kind == AnswerKind.TEXT and value):
            item.refuse(f"“{key}” is neither a yes-or-no question nor a text that may have been written.", "when")
        return Check(key, truth=value)
    compared = _COMPARISON.fullmatch(value) if isinstance(value, str) else None
    if compared:
        if question.kind not in {AnswerKind.SCALE, AnswerKind.TEMPERATURE}:
            item.refuse(f"“{key}” has no number to compare.", "when")
        return Check(key, operator=compared[1], number=float(compared[2]))
    known = {FELT_HOT} if question.kind == AnswerKind.TEMPERATURE else set(question.options)
    chosen = [value] if isinstance(value, str) else value
    if not isinstance(chosen, list) or not chosen or not all(each in known for each in chosen):
        item.refuse(f"“{value}” is not an answer to “{key}”.", "when")
    return Check(key, options=frozenset(chosen))


def _clock(item: Item) -> Clock:
    found = _CLOCK.fullmatch(item.text("respond"))
    if not found or found[1] == "0":
        item.refuse("“respond” must be like “60 minutes”, “4 working_hours” or “1 working_days”.", "respond")
    return Clock(ClockKind(found[2]), int(found[1]))
