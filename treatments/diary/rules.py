"""Where things stand on the day's grid. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from treatments.booking.rules import Span

ROW_MINUTES = 5


class Block(NamedTuple):
    """Where something stands on the day's grid: first row (from 1), rows it takes, lane and lanes side by side."""

    row: int
    rows: int
    lane: int = 1
    lanes: int = 1


def rows_between(opens: int, starts: int, ends: int, last_row: int) -> Block | None:
    """Return the rows for a span on a grid that opens at `opens` (seconds) and has `last_row` rows; None if outside."""
    row = ROW_MINUTES * 60
    first = max((starts - opens) // row, 0)
    end = min(-((opens - ends) // row), last_row)
    return Block(first + 1, end - first) if end > first else None


class Fold(NamedTuple):
    """The clocks go back in a week: the `minutes` before minute `until` of the wall clock come twice on one day."""

    until: int
    minutes: int


def wall_row(minute: int, is_second: bool, opens: int, fold: Fold | None) -> int:
    """Return the row (from 0) of a minute of the wall clock on an axis that begins at minute `opens`.

    In a week in which the clocks go back, the minutes that come twice have rows twice, on every day of it.
    """
    again = fold is not None and fold.until > opens and (is_second or minute >= fold.until)
    return (minute - opens + (fold.minutes if again and fold else 0)) // ROW_MINUTES


def side_by_side(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Return (lane, lanes) for each span, so that spans that overlap stand beside each other. Lanes count from 1.

    Spans come in order of their start. Those that hang together through overlaps share the number of lanes.
    """
    placed: list[tuple[int, int]] = []
    cluster: list[int] = []
    ends: list[int] = []
    for index, (starts, finish) in enumerate(spans):
        if ends and starts >= max(ends):
            _close(placed, cluster, len(ends))
            cluster, ends = [], []
        lane = next((number for number, end in enumerate(ends) if end <= starts), len(ends))
        ends[lane : lane + 1] = [finish]
        cluster.append(index)
        placed.append((lane + 1, 1))
    _close(placed, cluster, len(ends))
    return placed


def _close(placed: list[tuple[int, int]], cluster: Sequence[int], lanes: int) -> None:
    for index in cluster:
        placed[index] = (placed[index][0], lanes)
