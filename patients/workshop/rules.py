"""Changing a pack of rules as data without losing a comment: small edits that rewrite only the lines they mean.

An edit is checked against itself: the text it leaves must read as the old one with exactly that value changed, or it
is refused and nothing is changed. What the edits cannot say is written in the text itself.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clinic.packfile import Item, Pack, PackError

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
_ODD = re.compile("[\x7f\x85\u2028\u2029]")


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
        text = _apply(text, edit)
    return text


def _apply(text: str, edit: Edit) -> str:
    data = Pack(text, "").data
    table, key, value = _target(data, edit)
    if _same(table.get(key), value):
        return text
    expected = copy.deepcopy(data)
    wanted, _, _ = _target(expected, edit)
    if value is None:
        wanted.pop(key, None)
    else:
        wanted[key] = value
    changed = _rewritten(text, edit, key, None if value is None else _toml(value))
    try:
        found = tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        found = None
    if found != expected:
        raise EditRefused(_named(edit))
    return changed


def _same(before: object, after: object) -> bool:
    return before == after and type(before) is type(after)


def _target(data: dict[str, Any], edit: Edit) -> tuple[dict[str, Any], str, Any]:
    """Return the table an edit is about, its key, and the value it is to have; None takes the key out."""
    match edit:
        case SetDays(name, days):
            table = data.get("days", {})
            if name not in table:
                raise EditRefused(_named(edit))
            return table, name, days if isinstance(days, int) else dict(days)
        case SetText(_, key, text):
            if key not in RULE_TEXTS:
                raise EditRefused(_named(edit))
            return _rule(data, edit), key, text.strip() or (None if key in OPTIONAL else "")
        case SetRescreen(_, _, text):
            return _case(data, edit), "rescreen_when", text.strip() or None
        case SetEffect(_, _, effects):
            table = _case(data, edit)
            return table, "effect", _effects(table.get("effect"), effects)


def _rule(data: Mapping[str, Any], edit: SetText | SetRescreen | SetEffect) -> dict[str, Any]:
    found: dict[str, Any] | None = next((each for each in data.get("rule", []) if each.get("id") == edit.rule), None)
    if found is None:
        raise EditRefused(_named(edit))
    return found


def _case(data: Mapping[str, Any], edit: SetRescreen | SetEffect) -> dict[str, Any]:
    cases = _rule(data, edit).get("case", [])
    if not 0 <= edit.case < len(cases):
        raise EditRefused(_named(edit))
    found: dict[str, Any] = cases[edit.case]
    return found


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


def _toml(value: object) -> str:
    """Return a text, a number or a small table as TOML writes it on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, str):
        # A JSON string is a basic string of TOML, but for a control character; and a line stays one line.
        return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
    return str(value)


# --- where a value stands in the text ---------------------------------------------------------------------------------


def _rewritten(text: str, edit: Edit, key: str, value: str | None) -> str:
    offsets = _offsets(text)
    lines = _own_lines(text, edit)
    span = _statement(text, offsets, lines, key)
    if span is not None:
        start, value_at, end = span
        return _without(text, start, end) if value is None else text[:value_at] + value + text[end:]
    anchor = _statement(text, offsets, lines, _anchor(edit, key))
    if anchor is None or value is None:
        raise EditRefused(_named(edit))
    at = text.find("\n", anchor[2])
    at = len(text) if at < 0 else at
    return f"{text[:at]}\n{key} = {value}{text[at:]}"


def _anchor(edit: Edit, key: str) -> str:
    return RULE_TEXTS[key] if isinstance(edit, SetText) else "effect"


def _without(text: str, start: int, end: int) -> str:
    """Return the text without the statement; a comment behind it stays, on a line of its own."""
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    comment = text[end:stop].strip()
    return text[:start] + (f"{comment}{text[stop:]}" if comment else text[stop + 1 :])


def _offsets(text: str) -> list[int]:
    """Return where each line begins, as the pack counts lines; one more for the end."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _own_lines(text: str, edit: Edit) -> list[tuple[int, str]]:
    """Return the lines of the table an edit is about, without those of the tables below it."""
    pack = Pack(text, "")
    if isinstance(edit, SetDays):
        return list(pack.one("days").lines)
    item = next(each for each in pack.many("rule") if each.data.get("id") == edit.rule)
    if isinstance(edit, SetText):
        return _above_children(item)
    return list(pack.children(item, "case")[edit.case].lines)


def _above_children(item: Item) -> list[tuple[int, str]]:
    below = next((number for number, line in item.lines[1:] if line.lstrip().startswith("[")), None)
    return [(number, line) for number, line in item.lines if below is None or number < below]


def _statement(
    text: str, offsets: list[int], lines: Iterable[tuple[int, str]], key: str
) -> tuple[int, int, int] | None:
    """Return where the line of a key begins, where its value begins and where its value ends; None without one."""
    pattern = re.compile(rf"""^\s*(["']?){re.escape(key)}\1\s*=\s*""")
    for number, line in lines:
        found = pattern.match(line)
        if found:
            start = offsets[number - 1]
            value_at = start + found.end()
            return start, value_at, _value_end(text, value_at)
    return None


def _value_end(text: str, at: int) -> int:
    """Return where the value that begins at `at` ends: strings, and brackets over several lines, are stepped over."""
    depth = 0
    while at < len(text):
        sign = text[at]
        if sign in "\"'":
            at = _string_end(text, at)
            if depth == 0:
                return at
            continue
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
            if depth == 0:
                return at + 1
        elif sign == "#" and depth:
            at = text.find("\n", at)
            if at < 0:
                return len(text)
        elif sign in "#\r\n" and not depth:
            return len(text[:at].rstrip())
        at += 1
    return len(text.rstrip())


def _string_end(text: str, at: int) -> int:
    mark = text[at]
    fence = mark * 3 if text.startswith(mark * 3, at) else mark
    at += len(fence)
    while at < len(text) and not text.startswith(fence, at):
        at += 2 if text[at] == "\\" and mark == '"' else 1
    at += len(fence)
    # Up to two quotation marks may stand right before the closing fence.
    while len(fence) == 3 and at < len(text) and text[at] == mark:
        at += 1
    return at


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
