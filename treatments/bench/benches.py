"""Which benchmarks there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from treatments.bench import board, claim, diary, dispatch, history, plan, races, screen, search, slots, start, texts
from treatments.bench.rules import Figure
from treatments.bench.scratch import Scratch


class Bench(NamedTuple):
    """A benchmark: its default size, what that counts, and what yields its figures."""

    run: Callable[[Scratch, int, int], Iterator[Figure]]
    size: int
    counts: str


BENCHES: dict[str, Bench] = {
    "screen": Bench(screen.bench, 10_000, "answer sets; ten times as many stored responses"),
    "slots": Bench(slots.bench, 1_000_000, "appointments; and a hundredth of them"),
    "races": Bench(races.bench, 200, "slots that 8 writers want"),
    "diary": Bench(diary.bench, 250, "visits on the day"),
    "claim": Bench(claim.bench, 100_000, "due messages"),
    "history": Bench(history.bench, 10_000_000, "sent messages; and a twentieth of them"),
    "dispatch": Bench(dispatch.bench, 2_000, "messages"),
    "sms": Bench(texts.bench, 2_000, "texts"),
    "plan": Bench(plan.bench, 10_000, "visits"),
    "search": Bench(search.bench, 100_000, "patients"),
    "board": Bench(board.bench, 100, "visits to come; half as many open alarms, a hundred times as many closed"),
    "start": Bench(start.bench, 1, "commands a run"),
}
