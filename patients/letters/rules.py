"""What the words of a letter must keep, whoever rewrites them: facts, the way in, who writes, discretion. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clinic.packfile import PackError
from patients.messaging.rules import Value, lint_discreet
from patients.messaging.wording import NAMED, PARTS, Letter, named
from patients.workshop.difference import NOTHING, Change

# A letter may greet without a name, and a text must.
_FREE = frozenset({"first_name"})
PART_LABELS: Mapping[str, str] = {
    "subject": "Subject",
    "text": "Letter",
    "html": "Letter as HTML",
    "sms": "Text message",
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with one part of a letter, as a sentence."""

    part: str
    sentence: str


def must_say(shipped: Letter) -> Mapping[str, frozenset[str]]:
    """Return the variables that each part has to print, as the words that came with Afterglow do.

    Whoever reads a reminder needs the time, whoever is asked to answer needs the link, and a text says who sends it.
    The HTML must print what the text must.
    """
    wanted = {part: (named(getattr(shipped, part)) & NAMED) - _FREE for part in ("subject", "text", "sms")}
    return wanted | {"html": wanted["text"]}


def faults_of(letter: Letter, shipped: Letter) -> Iterator[Fault]:
    """Yield what a letter lacks or gives away, compared with the words that came with Afterglow."""
    for part, wanted in must_say(shipped).items():
        words = getattr(letter, part)
        if part == "html" and not words:
            continue
        for name in sorted(wanted - named(words)):
            yield Fault(part, f"It must say {{{{ {name} }}}}: people rely on it here.")
    for part in ("subject", "sms"):
        # Segments are counted on the filled-in sample: variables are longer or shorter than what they stand for.
        for sentence in lint_discreet(getattr(letter, part), max_segments=None):
            yield Fault(part, sentence)


def as_pack(letter: Letter) -> str:
    """Return a letter as the text of its pack; reading it back gives the same letter."""
    lines = [f"name = {json.dumps(letter.name)}", f"language = {json.dumps(letter.language)}"]
    lines += [f"{part} = {_quoted(getattr(letter, part))}" for part in PARTS if getattr(letter, part) or part != "html"]
    return "[letter]\n" + "\n".join(lines) + "\n"


def _quoted(words: str) -> str:
    if "\n" in words and "'''" not in words and not any(ord(sign) < 32 and sign not in "\n\t" for sign in words):
        return f"'''\n{words}\n'''"
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def changes_between(old: Letter, new: Letter) -> list[Change]:
    """Return the parts in which two versions of a letter differ."""
    return [
        Change("Words", label, getattr(old, part) or NOTHING, getattr(new, part) or NOTHING)
        for part, label in PART_LABELS.items()
        if getattr(old, part) != getattr(new, part)
    ]


def pack_name(template: str, language: str) -> str:
    """Return what the pack of a letter in a language is called."""
    return f"{template}.{language}"


def split_name(name: str) -> tuple[str, str]:
    """Return template and language of a pack's name. Raises PackError for any other name."""
    template, dot, language = name.partition(".")
    if not dot or not template or not language:
        raise PackError(name, 0, "", "A letter's pack is called like reminder.en.")
    return template, language


# --- a sample ---------------------------------------------------------------------------------------------------------

# As long as the longest real ones, so that the segments are counted for the worst day.
SAMPLE_LINK = "https://your-clinic.example/l/" + "k" * 43
SAMPLE: Mapping[str, Value] = {
    "first_name": "Ana",
    "when_local": "Wednesday 30 September 2026, 10:30",
    "link": SAMPLE_LINK,
    "old_when": "Wednesday 23 September 2026, 11:30",
    "new_when": "Wednesday 30 September 2026, 10:30",
    "title": "A title of the care plan",
    "what_is_normal": "What the care plan says is normal on that day.",
    "do_now": ("The first thing to do.", "The second thing to do."),
    "contact_if": ("Something is not as described.",),
}
