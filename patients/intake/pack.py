"""How a questionnaire is read from its file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from clinic.packfile import Item, Pack
from patients.intake.questionnaire import (
    ROMAN,
    UNKNOWN,
    AskIf,
    Option,
    Question,
    Questionnaire,
    Section,
    SkinInstrument,
    Validity,
)
from patients.intake.rules import NONE_OF_THESE
from patients.intake.states import QuestionType, Who


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
