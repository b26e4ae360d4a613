"""All addresses of the house, and the table that says who may open each."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from clinic.staff.middleware import library_of

TABLE = Path(__file__).parent / "urls.csv"


@dataclass(frozen=True)
class Address:
    """One URL of ours: its name, its mark, the names of what stands in it."""

    name: str
    access: str
    holes: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """One line of the table. `rows` says which row fills each hole, as "ref=session row=pass"."""

    name: str
    access: str
    rows: str

    @property
    def kinds(self) -> dict[str, str]:
        return dict(pair.split("=") for pair in self.rows.split())

    def url(self, found: dict[str, object]) -> str:
        return reverse(self.name, kwargs=found)


def addresses() -> list[Address]:
    """Return every address whose view is ours."""
    return [
        Address(name, getattr(pattern.callback, "access", ""), tuple(pattern.pattern.regex.groupindex))
        for name, pattern in every_view()
        if library_of(name) is None
    ]


def every_view(resolver: URLResolver | None = None, space: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Yield the full name and pattern of every view of the house, libraries' too."""
    for each in (resolver or get_resolver()).url_patterns:
        if isinstance(each, URLResolver):
            yield from every_view(each, f"{space}{each.namespace}:" if each.namespace else space)
        else:
            yield f"{space}{each.name or ''}", each


def table() -> list[Line]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [Line(row["name"], row["access"], row["rows"] or "") for row in csv.DictReader(file)]
