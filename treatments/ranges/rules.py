"""Check-in triage and treatment ranges as fields of a form, and back as small edits of the text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clinic.packedit import set_value, table_at
from clinic.packfile import Pack
from patients.workshop.difference import LESS, MORE, NOTHING, Change
from treatments.aftercare.states import SEVERITY
from treatments.sessions.rules import ANAESTHESIA_FACTS, CONTEXT_FACTS, ROW_FACTS

# A limit in a condition: what is compared, and with which number.
_LIMIT = re.compile(r"(>=|<=|>|<)\s*(\d+(?:\.\d+)?)")
_PREFIX = "limit"


@dataclass(frozen=True)
class Table:
    """One list of a pack: what people call it, which key names an entry on a page, and what the form changes."""

    key: str
    title: str
    named_by: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Limit:
    """One number of a condition. `number` is as the text writes it."""

    field: str
    label: str
    sign: str
    number: str


@dataclass(frozen=True)
class Part:
    """One entry of a pack, as its form shows it."""

    table: Table
    id: str
    title: str
    said: Mapping[str, Any]
    limits: tuple[Limit, ...]
    only: str
    needs_decision: bool

    @property
    def clock(self) -> str:
        return str(self.said.get("respond", "")).replace("_", " ")


_SOURCED = ("source", "note", "needs_decision")
TABLES: Mapping[str, tuple[Table, ...]] = {
    "triage": (
        Table("level", "How fast we answer", "heading", ("heading", "who", "respond", *_SOURCED)),
        Table(
            "rule",
            "When an answer is urgent",
            "staff_text",
            ("level", "patient_text", "staff_text", "respond", *_SOURCED),
        ),
        Table("question", "What we ask", "label", ("label", "help", *_SOURCED)),
    ),
    "sessions": (
        Table("warning", "Warnings about settings", "text", ("text", *_SOURCED)),
        Table("anaesthesia", "Warnings about numbing", "text", ("text", *_SOURCED)),
        Table("usual", "Published values, shown beside the form", "text", ("text", *_SOURCED)),
    ),
}
FLAGS = frozenset({"needs_decision"})
OPTIONAL = frozenset({"help", "respond", "note", "needs_decision"})
# What every entry has: behind it stands what it did not have.
_BEHIND: Mapping[str, str] = {"question": "label", "level": "heading", "rule": "patient_text"}
FIELD_LABELS: Mapping[str, str] = {
    "heading": "Heading the patient reads",
    "who": "Who acts",
    "respond": "Answered within",
    "level": "How urgent",
    "patient_text": "What the patient reads",
    "staff_text": "What staff read",
    "label": "Question",
    "help": "Help below it",
    "text": "Words",
    "source": "Source",
    "note": "Note",
    "needs_decision": "Still to be decided by the clinic",
}
_FACTS = ROW_FACTS | CONTEXT_FACTS | ANAESTHESIA_FACTS


def parts(kind: str, text: str) -> list[Part]:
    """Return every entry of a pack that a form changes, list by list, in the order of the text."""
    data = Pack(text, "").data
    labels = {each["key"]: each["label"] for each in data.get("question", ())}
    return [_part(table, each, labels) for table in TABLES[kind] for each in data.get(table.key, ())]


def _part(table: Table, data: Mapping[str, Any], questions: Mapping[str, str]) -> Part:
    return Part(
        table=table,
        id=_id(data),
        title=str(data.get(table.named_by, _id(data))),
        said={key: data.get(key, False if key in FLAGS else "") for key in table.fields},
        limits=tuple(_limits(data.get("when"), questions)),
        only=_only(data.get("when"), questions),
        needs_decision=bool(data.get("needs_decision")),
    )


def _id(data: Mapping[str, Any]) -> str:
    return str(data.get("id") or data.get("key"))


def _limits(when: object, questions: Mapping[str, str]) -> Iterator[Limit]:
    for index, condition in enumerate(_alternatives(when)):
        for fact, value in condition.items():
            found = _LIMIT.fullmatch(value) if isinstance(value, str) else None
            if found:
                label = questions.get(fact) or _FACTS.get(fact, fact)
                yield Limit(f"{_PREFIX}_{index}_{fact}", label, found[1], found[2])


def _only(when: object, questions: Mapping[str, str]) -> str:
    """Return the rest of a condition, which is changed in the text, in words."""
    said = [
        " and ".join(
            f"{questions.get(fact) or _FACTS.get(fact, fact)}: {_words(value)}"
            for fact, value in condition.items()
            if not (isinstance(value, str) and _LIMIT.fullmatch(value))
        )
        for condition in _alternatives(when)
    ]
    return "; or ".join(each for each in said if each)


def _alternatives(when: object) -> list[dict[str, Any]]:
    return [when] if isinstance(when, dict) else list(when) if isinstance(when, list) else []


def apply_part(text: str, part: Part, given: Mapping[str, Any]) -> str:
    """Return the text with what a form says of an entry, and every other line as it was.

    Raises CannotRewrite where a value cannot be changed line by line: it is changed in the text itself.
    """
    path = (part.table.key, part.id)
    after = _BEHIND.get(part.table.key, "text")
    for key in part.table.fields:
        if given[key] != part.said[key]:
            value = given[key] or None if key in OPTIONAL else given[key]
            text = set_value(text, path, key, value, after=after)
    changed = {
        each.field: f"{each.sign}{given[each.field]}" for each in part.limits if given[each.field] != each.number
    }
    if changed:
        when = table_at(Pack(text, "").data, path)["when"]
        fresh: Any = [
            {fact: changed.get(f"{_PREFIX}_{index}_{fact}", value) for fact, value in condition.items()}
            for index, condition in enumerate(_alternatives(when))
        ]
        text = set_value(text, path, "when", fresh[0] if isinstance(when, dict) else fresh, after=after)
    return text


# --- what differs -----------------------------------------------------------------------------------------------------


def differences(old: str, new: str) -> list[Change]:
    """Return every value in which two texts of a pack differ, list by list. Raises PackError where one is no TOML."""
    before, after = Pack(old, "old").data, Pack(new, "new").data
    found: list[Change] = []
    for table in dict.fromkeys([*before, *after]):
        was, now = _entries(before.get(table)), _entries(after.get(table))
        for key in dict.fromkeys([*was, *now]):
            found += _entry(table, was.get(key), now.get(key), key)
    return found


def _entries(value: object) -> dict[str, Mapping[str, Any]]:
    if isinstance(value, dict):
        return {"": value}
    rows = value if isinstance(value, list) else []
    return {str(row.get("id") or row.get("key") or _days(row)): row for row in rows}


def _days(row: Mapping[str, Any]) -> str:
    """Return what a set of questions is known by: its lasers and its days."""
    return f"{', '.join(row.get('groups', ()))} from day {row.get('from_day', 0)}"


def _entry(table: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, key: str) -> Iterator[Change]:
    about = " ".join(word for word in (table.replace("_", " ").capitalize(), key) if word)
    if old is None or new is None:
        row = old or new or {}
        said = _words(next((row[name] for name in ("staff_text", "text", "label", "heading") if name in row), row))
        yield Change(about, "Entry", said if old else NOTHING, said if new else NOTHING)
        return
    for field in dict.fromkeys([*old, *new]):
        was, now = old.get(field), new.get(field)
        if was != now:
            label = FIELD_LABELS.get(field, field.replace("_", " ").capitalize())
            yield Change(about, label, _words(was), _words(now), _caution(field, was, now))


def _caution(field: str, was: object, now: object) -> str:
    """Return "more" or "less" where a rule became more or less urgent."""
    levels = [level.value for level in SEVERITY]
    if field != "level" or was not in levels or now not in levels:
        return ""
    return MORE if levels.index(str(now)) < levels.index(str(was)) else LESS


def _words(value: object) -> str:
    match value:
        case None | "" | []:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{_FACTS.get(key, key.replace('_', ' '))}: {_words(each)}" for key, each in value.items())
        case list():
            joint = " or " if isinstance(value[0], dict) else ", "
            return joint.join(_words(each) for each in value)
    limit = _LIMIT.fullmatch(str(value))
    return f"{limit[1]} {limit[2]}" if limit else str(value).removeprefix("=")
