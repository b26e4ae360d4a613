"""Changing one value of a TOML text without losing a comment: only the line it means is rewritten. Pure.

A change is checked against itself: the text it leaves must read as the old one with exactly that value changed, or it
is refused. A lone file below the rooms, beside the one that reads such texts.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from clinic.packfile import Item, Pack

# The way to a table: ("days",), ("rule", "R05") by its id or key, ("rule", "R05", "case", 1) for its second child.
Path = tuple[str | int, ...]

_ODD = re.compile("[\x7f\x85\u2028\u2029]")


class CannotRewrite(ValueError):
    """This change cannot be made line by line; whoever asked for it says what it was."""


def set_value(text: str, path: Path, key: str, value: object, *, after: str) -> str:
    """Return the text with this value at the key of a table, and every other line as it was, comments included.

    None takes the key out; a key that was not there is put behind `after`. A value that is already so leaves the text
    as it is, byte for byte. Raises PackError where the text is no TOML, CannotRewrite where the table is not there or
    more than the value would change.
    """
    data = Pack(text, "").data
    before = table_at(data, path).get(key)
    if before == value and type(before) is type(value):
        return text
    expected = copy.deepcopy(data)
    table = table_at(expected, path)
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
    changed = _rewritten(text, path, key, None if value is None else as_toml(value), after)
    try:
        found = tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        found = None
    if found != expected:
        raise CannotRewrite(key)
    return changed


def table_at(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the table at the end of a path. Raises CannotRewrite where there is none."""
    found: Any = data.get(str(path[0]))
    if len(path) > 1:
        found = next((each for each in found or () if _named(each) == path[1]), None)
    if len(path) > 2 and found is not None:
        children, index = found.get(str(path[2]), []), int(path[3])
        found = children[index] if 0 <= index < len(children) else None
    if not isinstance(found, dict):
        raise CannotRewrite(str(path))
    return found


def _named(table: Mapping[str, Any]) -> object:
    """Return what tells a table from the others of its list."""
    return table.get("id", table.get("key"))


def as_toml(value: object) -> str:
    """Return a text, a number, a truth value, a list or a small table as TOML writes it on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {as_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_toml(each) for each in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a basic string of TOML, but for a control character; and a line stays one line.
        return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
    return str(value)


# --- where a value stands in the text ---------------------------------------------------------------------------------


def _rewritten(text: str, path: Path, key: str, value: str | None, after: str) -> str:
    offsets = _offsets(text)
    lines = _own_lines(text, path)
    span = _statement(text, offsets, lines, key)
    if span is not None:
        start, value_at, end = span
        return _without(text, start, end) if value is None else text[:value_at] + value + text[end:]
    anchor = _statement(text, offsets, lines, after)
    if anchor is None or value is None:
        raise CannotRewrite(key)
    at = text.find("\n", anchor[2])
    at = len(text) if at < 0 else at
    return f"{text[:at]}\n{key} = {value}{text[at:]}"


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


def _own_lines(text: str, path: Path) -> list[tuple[int, str]]:
    """Return the lines of the table at the end of a path, without those of the tables below it."""
    pack = Pack(text, "")
    if len(path) == 1:
        return list(pack.one(str(path[0])).lines)
    item = next(each for each in pack.many(str(path[0])) if _named(each.data) == path[1])
    if len(path) == 2:
        return _above_children(item)
    return list(pack.children(item, str(path[2]))[int(path[3])].lines)


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
