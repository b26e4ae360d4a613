"""Changing a pack of rules as data without losing a comment: small edits that rewrite only the lines they mean.

What the edits cannot say is written in the text itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clinic.packedit import CannotRewrite, set_value, table_at
from clinic.packfile import Pack, PackError

# Fields of a rule that a form edits, and where a missing one is put. The empty text takes an optional one out.
RULE_TEXTS: Mapping[str, str] = {
    "patient_text": "topic",
    "rationale": "patient_text",
    "source": "rationale",
    "needs_decision": "source",
    "off": "source",
}
OPTIONAL = frozenset({"needs_decision", "off", "rescreen_when"})
EVERY = "all"


class EditRefused(ValueError):
    """This change cannot be made line by line; the text itself can. `for_people` says so."""

    def __init__(self, what: str) -> None:
        self.for_people = f"{what} cannot be changed in the form. Please change it in the text."
        super().__init__(self.for_people)


@dataclass(frozen=True)
class SetDays:
    """A named day count: one number, or one for each group of lasers that has it."""

    name: str
    days: int | Mapping[str, int]


@dataclass(frozen=True)
class SetText:
    """A text of a rule: one of RULE_TEXTS. `off` is why the clinic does not use the rule; "" switches it on."""

    rule: str
    key: str
    text: str


@dataclass(frozen=True)
class SetRescreen:
    """What must be true before a deferred patient is screened again, for one case of a rule (counted from 0)."""

    rule: str
    case: int
    text: str


@dataclass(frozen=True)
class SetEffect:
    """What one case of a rule does in each group of lasers; a group not named, or with "", is left alone by it."""

    rule: str
    case: int
    effects: Mapping[str, str]


Edit = SetDays | SetText | SetRescreen | SetEffect


@dataclass(frozen=True)
class Place:
    """Where in a pack a fault lies: the rule, its case (counted from 0, None for the rule itself) and the key."""

    rule: str = ""
    case: int | None = None
    key: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a text difference. `kind` is "same", "out", "in" or "gap"; numbers count from 1."""

    kind: str
    old: int | None
    new: int | None
    text: str


# --- edits ------------------------------------------------------------------------------------------------------------


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with these values changed and every other line as it was, comments included.

    A value that is already so leaves the text as it is, byte for byte. Raises PackError where the text is no TOML,
    EditRefused where a rule, a case or a day count is not there, or where more than the value would change.
    """
    for edit in edits:
        try:
            text = _apply(text, edit)
        except CannotRewrite:
            raise EditRefused(_named(edit)) from None
    return text


def _apply(text: str, edit: Edit) -> str:
    match edit:
        case SetDays(name, days):
            if name not in table_at(Pack(text, "").data, ("days",)):
                raise CannotRewrite(name)
            value = days if isinstance(days, int) else dict(days)
            return set_value(text, ("days",), name, value, after=name)
        case SetText(rule, key, words):
            if key not in RULE_TEXTS:
                raise CannotRewrite(key)
            given = words.strip() or (None if key in OPTIONAL else "")
            return set_value(text, ("rule", rule), key, given, after=RULE_TEXTS[key])
        case SetRescreen(rule, case, words):
            path = ("rule", rule, "case", case)
            return set_value(text, path, "rescreen_when", words.strip() or None, after="effect")
        case SetEffect(rule, case, effects):
            path = ("rule", rule, "case", case)
            before = table_at(Pack(text, "").data, path).get("effect")
            return set_value(text, path, "effect", _effects(before, effects), after="effect")


def _effects(before: object, effects: Mapping[str, str]) -> dict[str, str]:
    """Return the effects as the text states them: as before where they mean the same, "all" where all are alike."""
    meant = {group: effect for group, effect in effects.items() if effect}
    if isinstance(before, dict) and spread(before, effects) == meant:
        return before
    alike = set(meant.values())
    return {EVERY: alike.pop()} if len(meant) == len(effects) > 1 and len(alike) == 1 else meant


def spread(effects: Mapping[str, str], groups: Iterable[str]) -> dict[str, str]:
    """Return what a case does in each group, "all" spelt out; a group it leaves alone is not named."""
    named = {group: effects.get(group, effects.get(EVERY, "")) for group in groups}
    return {group: effect for group, effect in named.items() if effect}


def _named(edit: Edit) -> str:
    match edit:
        case SetDays(name, _):
            return f"The day count “{name}”"
        case SetText(rule, key, _):
            return f"“{key}” of {rule}"
        case SetRescreen(rule, case, _):
            return f"“rescreen_when” of {rule}, case {case + 1},"
        case SetEffect(rule, case, _):
            return f"The effect of {rule}, case {case + 1},"


# --- where a fault lies -----------------------------------------------------------------------------------------------


def place_of(text: str, error: PackError) -> Place:
    """Return which rule, case and key a refusal of this text is about, as far as its line tells."""
    try:
        pack = Pack(text, error.name)
        rules = pack.many("rule")
    except PackError:
        return Place()
    item = next((each for each in rules if each.lines and each.lines[0][0] <= error.line <= each.lines[-1][0]), None)
    if item is None:
        return Place("", None, _key_at(pack, error.line))
    cases = pack.children(item, "case")
    case = next((i for i, each in enumerate(cases) if each.lines[0][0] <= error.line <= each.lines[-1][0]), None)
    return Place(str(item.data.get("id", "")), case, _key_in(item.lines, error.line))


def _key_in(lines: Iterable[tuple[int, str]], line: int) -> str:
    text = next((each for number, each in lines if number == line), "")
    found = re.match(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*=", text)
    return found[1] if found else ""


def _key_at(pack: Pack, line: int) -> str:
    return _key_in(pack.one("days").lines, line) if isinstance(pack.data.get("days"), dict) else ""


# --- the text beside the text -----------------------------------------------------------------------------------------


def line_difference(old: str, new: str, around: int = 2) -> list[Line]:
    """Return the lines that differ with a few around them; a "gap" stands for what is left out between them."""
    before, after = old.splitlines(), new.splitlines()
    found: list[Line] = []
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(around):
        if found:
            found.append(Line("gap", None, None, ""))
        for word, low, high, left, right in group:
            if word == "equal":
                found += [Line("same", low + i + 1, left + i + 1, before[low + i]) for i in range(high - low)]
                continue
            found += [Line("out", number + 1, None, before[number]) for number in range(low, high)]
            found += [Line("in", None, number + 1, after[number]) for number in range(left, right)]
    return found
