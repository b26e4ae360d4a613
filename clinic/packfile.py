"""A file of knowledge in TOML as items that know their line, so that a refusal can name it.

A lone file below the rooms: the catalogue reads its TOML with it as the packs do.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

_HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_.\-\"]+)\s*\]\]?\s*(#.*)?$")
_TOML_LINE = re.compile(r"at line (\d+)")


class PackError(ValueError):
    """A pack of knowledge cannot be used: which file, which line, which item, and why in one sentence.

    `line` counts from 1; 0 where the fault belongs to the whole file.
    """

    def __init__(self, name: str, line: int, item: str, sentence: str) -> None:
        self.name = name
        self.line = line
        self.item = item
        self.sentence = sentence
        super().__init__(f"{name}:{line}: {item}: {sentence}" if item else f"{name}:{line}: {sentence}")


@dataclass(frozen=True)
class Item:
    """One table of a pack. Reading a value checks it; what is wrong is refused with file, line and item."""

    name: str
    table: str
    data: Mapping[str, Any]
    line: int
    lines: tuple[tuple[int, str], ...] = field(repr=False)

    @property
    def label(self) -> str:
        """What people call the item: its `id` or `key`, else its table's name."""
        return str(self.data.get("id") or self.data.get("key") or self.table)

    def refuse(self, sentence: str, key: str = "") -> NoReturn:
        """Raise PackError at the line of `key`, or at the item's first line."""
        pattern = re.compile(rf"^\s*{re.escape(key)}\s*=") if key else None
        line = next((number for number, text in self.lines if pattern and pattern.match(text)), self.line)
        raise PackError(self.name, line, self.label, sentence)

    def only(self, *keys: str) -> None:
        """Refuse any key that is not among these: a misspelt key must not silently do nothing."""
        for key in self.data:
            if key not in keys:
                self.refuse(f"“{key}” is not known here.", key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.data.get(key, default)
        if value is None:
            self.refuse(f"“{key}” is missing.")
        if not isinstance(value, str) or (default is None and not value.strip()):
            self.refuse(f"“{key}” must be a text.", key)
        return value.strip()

    def one_of(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in allowed and value != default:
            self.refuse(f"“{value}” is not a known {key}. Known: {', '.join(sorted(allowed))}.", key)
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        value = self.data.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse(f"“{key}” must be a whole number.", key)
        return value

    def maybe_integer(self, key: str) -> int | None:
        return self.integer(key) if key in self.data else None

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            self.refuse(f"“{key}” must be true or false.", key)
        return value

    def words(self, key: str, allowed: Collection[str] | None = None) -> tuple[str, ...]:
        """Return a list of texts, empty when the key is absent; each among `allowed` if given."""
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(word, str) and word.strip() for word in value):
            self.refuse(f"“{key}” must be a list of texts.", key)
        for word in value:
            if allowed is not None and word not in allowed:
                self.refuse(f"“{word}” is not known in {key}. Known: {', '.join(sorted(allowed))}.", key)
        return tuple(word.strip() for word in value)

    def numbers(self, key: str) -> tuple[int, ...]:
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, int) for each in value):
            self.refuse(f"“{key}” must be a list of whole numbers.", key)
        return tuple(value)

    def source(self) -> str:
        """Return where the item comes from; every clinical item must say."""
        if not str(self.data.get("source", "")).strip():
            self.refuse("“source” is missing: every item says where it comes from.")
        return self.text("source")


class Pack:
    """The tables of one TOML text. Raises PackError, with the line, where it is not TOML."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self._lines = text.splitlines()
        try:
            self.data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = _TOML_LINE.search(str(error))
            raise PackError(name, int(found[1]) if found else len(self._lines), "", f"Not TOML: {error}.") from None
        self._starts = [
            (number, found[1].replace('"', ""))
            for number, line in enumerate(self._lines, 1)
            if (found := _HEADER.match(line))
        ]

    def only(self, *tables: str) -> None:
        """Refuse any table that is not among these."""
        for table in self.data:
            if table not in tables:
                line = next((number for number, head in self._starts if head.split(".")[0] == table), 1)
                raise PackError(self.name, line, table, f"“{table}” is not known here.")

    def one(self, table: str) -> Item:
        """Return the single table of that name."""
        value = self.data.get(table)
        if not isinstance(value, dict):
            raise PackError(self.name, 1, table, f"[{table}] is missing.")
        return self._item(table, value, 0)

    def many(self, table: str) -> list[Item]:
        """Return the array of tables of that name, in order, with unique ids. Empty when absent."""
        value = self.data.get(table, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise PackError(self.name, 1, table, f"[[{table}]] must be a list of tables.")
        items = [self._item(table, each, index) for index, each in enumerate(value)]
        _refuse_twins(items)
        return items

    def children(self, item: Item, key: str) -> list[Item]:
        """Return the tables [[item.key]] that stand under one item, in order. Empty when absent."""
        value = item.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            item.refuse(f"“{key}” must be a list of tables.", key)
        inside = {number for number, _ in item.lines}
        table = f"{item.table}.{key}"
        before = sum(1 for number, head in self._starts if head == table and number < item.line)
        mine = [self._item(table, each, before + index) for index, each in enumerate(value)]
        return [
            replace(child, table=f"{item.label}.{key}", line=child.line if child.line in inside else item.line)
            for child in mine
        ]

    def _item(self, table: str, data: Mapping[str, Any], index: int) -> Item:
        heads = [number for number, head in self._starts if head == table]
        first = heads[index] if index < len(heads) else 1
        following = (n for n, head in self._starts if n > first and not head.startswith(f"{table}."))
        last = next(following, len(self._lines) + 1)
        lines = tuple((number, self._lines[number - 1]) for number in range(first, last))
        return Item(self.name, table, data, first, lines)


def _refuse_twins(items: Iterable[Item]) -> None:
    seen: dict[str, int] = {}
    for item in items:
        label = str(item.data.get("id") or item.data.get("key") or "")
        if label and label in seen:
            item.refuse(f"“{label}” stands twice; first at line {seen[label]}.")
        seen[label] = item.line
