"""A step of a care protocol as fields of a form, and back as small edits of the text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from clinic.packedit import Path, set_value, table_at
from clinic.packfile import Pack, PackError

_MISSING = re.compile(r"“(\w+)” is missing")

# Keys of a step that the form edits, and the one behind which a missing one is put.
BEHIND: Mapping[str, str] = {
    "title": "id",
    "what_is_normal": "title",
    "contact_if": "title",
    "offset": "anchor",
    "at": "offset",
    "channel": "offset",
    "important": "template",
    "latest": "important",
    "keep": "important",
    "source": "title",
    "needs_decision": "source",
    "note": "source",
}
LINES = frozenset({"contact_if"})
FLAGS = frozenset({"important", "needs_decision"})
OPTIONAL = frozenset({"what_is_normal", "contact_if", "at", "latest", "needs_decision", "note"})


def stated(text: str, step: str) -> dict[str, Any]:
    """Return what a text states of a step, by the form's field names. Raises CannotRewrite where it has none."""
    table = table_at(Pack(text, "").data, ("step", step))
    fields: dict[str, Any] = {key: table.get(key, False if key in FLAGS else "") for key in BEHIND if key not in LINES}
    fields |= {key: "\n".join(table.get(key, [])) for key in LINES}
    fields |= {f"do_{index}": line.get("text", "") for index, line in enumerate(table.get("do", []))}
    return fields


def apply_step(text: str, step: str, given: Mapping[str, Any]) -> str:
    """Return the text with what a form says of a step, and every other line as it was.

    Raises CannotRewrite where a value cannot be changed line by line: it is changed in the text itself.
    """
    before = stated(text, step)
    for path, key, value, field in _edits(step, given):
        if given[field] != before.get(field):
            after = BEHIND[key] if field in BEHIND else "text"
            text = set_value(text, path, key, value, after=after)
    return text


def _edits(step: str, given: Mapping[str, Any]) -> Iterator[tuple[Path, str, object, str]]:
    """Yield for each field of the form the table it is about, the key, the value of the text, and the field."""
    for key in BEHIND:
        if key not in given:
            continue
        value: object = given[key]
        if key in LINES:
            value = [line.strip() for line in str(value).splitlines() if line.strip()]
        yield ("step", step), key, (value or None) if key in OPTIONAL else value, key
    for field in (name for name in given if name.startswith("do_")):
        yield ("step", step, "do", int(field.removeprefix("do_"))), "text", given[field], field


def field_of(error: PackError, text: str) -> str | None:
    """Return the field of the form that a fault in the text is about; None for one that lies elsewhere."""
    missing = _MISSING.match(error.sentence)
    lines = text.splitlines()
    line = lines[error.line - 1] if 0 < error.line <= len(lines) else ""
    key = missing[1] if missing else line.partition("=")[0].strip()
    return key if key in BEHIND else None
