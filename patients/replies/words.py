"""What a text from a patient asks of us: to stop, to start again, or for a clinician at once. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clinic.packfile import Pack
from patients.registry.states import Language
from patients.replies.states import Urgency


@dataclass(frozen=True)
class Words:
    """Which words, bare of case, accents and signs, stop and start texts, and which of them Twilio confirms itself."""

    stop: frozenset[str]
    start: frozenset[str]
    confirmed_by_twilio: frozenset[str]

    def wish(self, text: str) -> str:
        """Return "stop" or "start" where a text says nothing else, in whatever spelling; else ""."""
        plain = bare(text)
        if plain in self.stop:
            return "stop"
        return "start" if plain in self.start else ""

    def is_twilios(self, text: str) -> bool:
        """Return whether Twilio itself acts on the word and confirms it."""
        return bare(text) in self.confirmed_by_twilio


@dataclass(frozen=True)
class Trigger:
    """One sign of an emergency, and how people may write it."""

    id: str
    level: Urgency
    label: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Canned:
    """An answer the desk can send as it is. `texts` is by language."""

    id: str
    label: str
    texts: dict[str, str]

    def text(self, language: str, phone: str) -> str:
        """Return it in the reader's language where we have it."""
        return self.texts.get(language, self.texts[Language.ENGLISH]).replace("{phone}", phone)


def bare(text: str) -> str:
    """Return the letters of a text alone, without case and accents."""
    return "".join(sign for sign in _folded(text) if sign.isalpha())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKD", text.casefold())


def spoken(text: str) -> str:
    """Return the words of a text, without case, accents and signs, one space between: "can't" is "cant"."""
    letters = "".join(
        sign if sign.isalnum() else "" if unicodedata.category(sign) == "Mn" or sign in "'’‘`´" else " "
        for sign in _folded(text)
    )
    return " ".join(letters.split())


def parse_words(text: str, name: str) -> Words:
    """Return the words of a knowledge file. Raises PackError with file and line, also for a word in both lists."""
    pack = Pack(text, name)
    pack.only("stop", "start")
    found: dict[str, set[str]] = {"stop": set(), "start": set(), "twilio": set()}
    for kind in ("stop", "start"):
        for item in pack.many(kind):
            item.only("language", "words", "twilio", "source", "needs_decision")
            item.source()
            words = {bare(word) for word in item.words("words")}
            if "" in words or not words:
                item.refuse("A word without letters stops nothing.", "words")
            found[kind] |= words
            found["twilio"] |= words if item.flag("twilio") else set()
            if found["stop"] & found["start"]:
                item.refuse("The same word cannot both stop and start.", "words")
    return Words(frozenset(found["stop"]), frozenset(found["start"]), frozenset(found["twilio"]))


def parse_triggers(text: str, name: str) -> tuple[Trigger, ...]:
    """Return the emergency triggers of a knowledge file, in order. Raises PackError with file and line."""
    pack = Pack(text, name)
    pack.only("trigger")
    triggers = []
    for item in pack.many("trigger"):
        item.only("id", "level", "label", "phrases", "source", "needs_decision")
        item.source()
        phrases = item.words("phrases")
        if not phrases:
            item.refuse("“phrases” is empty.", "phrases")
        pattern = "|".join(_phrase(phrase) for phrase in phrases)
        level = Urgency(item.one_of("level", Urgency.values))
        triggers.append(Trigger(item.text("id"), level, item.text("label"), re.compile(rf"\b(?:{pattern})\b")))
    return tuple(triggers)


def _phrase(phrase: str) -> str:
    words = re.escape(spoken(phrase.removesuffix("*")))
    return words + (r"\w*" if phrase.endswith("*") else "")


def parse_answers(text: str, name: str) -> tuple[Canned, ...]:
    """Return the answers of a knowledge file, in order. Raises PackError with file and line."""
    pack = Pack(text, name)
    pack.only("answer")
    answers = []
    for item in pack.many("answer"):
        item.only("id", "label", *Language.values)
        texts = {language: item.text(language) for language in Language.values if language in item.data}
        if Language.ENGLISH not in texts:
            item.refuse("“en” is missing.")
        answers.append(Canned(item.text("id"), item.text("label"), texts))
    return tuple(answers)


def triggers_in(text: str, triggers: Iterable[Trigger]) -> tuple[Trigger, ...]:
    """Return which signs of an emergency a text may speak of. It says nothing about texts in which none is found."""
    said = spoken(text)
    return tuple(trigger for trigger in triggers if trigger.pattern.search(said))


def worst(found: Sequence[Trigger]) -> Urgency | None:
    """Return the most urgent level among them."""
    levels = {trigger.level for trigger in found}
    return next((level for level in Urgency if level in levels), None)
