"""Which hours hold on a day, and what is left of them when part of the day is closed. Pure, in wall times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, time, timedelta
from itertools import pairwise
from typing import NamedTuple

Walls = tuple[time, time]
MOST_DAYS = 366


class Row(NamedTuple):
    """A span of hours of the location (`who` None) or of a practitioner: of a weekday, or of one day.

    A day's row without times says that it has none.
    """

    who: int | None
    weekday: int | None
    day: date | None
    opens: time | None
    closes: time | None


Hours = dict[int | None, list[Walls]]


def days_from(first: date, last: date) -> list[date]:
    """Return each day from first to last."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def hours_on(rows: Iterable[Row], day: date) -> Hours:
    """Return whose hours hold on the day: a day's own rows, where there are any, instead of the weekday's.

    Who does not work that day has no entry. The place comes first, then people by their key.
    """
    usual: Hours = defaultdict(list)
    dated: Hours = defaultdict(list)
    for row in rows:
        if row.day is None and row.weekday != day.weekday():
            continue
        if row.day is not None and row.day != day:
            continue
        spans = (usual if row.day is None else dated)[row.who]
        if row.opens is not None and row.closes is not None:
            spans.append((row.opens, row.closes))
    whose = sorted({**usual, **dated}.items(), key=lambda each: each[0] or 0)
    return {who: sorted(spans) for who, spans in whose if spans}


def without(spans: Iterable[Walls], starts: time, ends: time) -> list[Walls]:
    """Return what is left of a day's spans without the time from `starts` to `ends`, which comes after."""
    left: list[Walls] = []
    for opens, closes in spans:
        for piece in ((opens, min(closes, starts)), (max(opens, ends), closes)):
            if piece[0] < piece[1]:
                left.append(piece)
    return left


def against_spans(spans: Sequence[Walls]) -> str:
    """Return what is wrong with the spans of a day, in a sentence; empty when nothing is."""
    ordered = sorted(spans)
    if any(opens >= closes for opens, closes in ordered):
        return "Closing comes after opening."
    if any(later[0] < earlier[1] for earlier, later in pairwise(ordered)):
        return "These hours overlap."
    return ""
