"""Two sides in turn, on the same machine, in the same minute."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable

import psutil

from treatments.bench.rules import Cost, Pair

# Shorter runs measure the clock: a server's CPU time is told in hundredths of a second.
LEAST_SECONDS = 0.3
Run = Callable[[], object]


class Clock:
    """Wall time, and CPU time of this process plus the named local ones, such as its database backend."""

    def __init__(self, pids: Iterable[int] = ()) -> None:
        self.others = [psutil.Process(pid) for pid in pids]

    def cost(self, run: Run, times: int = 1) -> Cost:
        """Return what that many runs took together."""
        gc.collect()
        cpu, wall = self._cpu(), time.perf_counter()
        for _ in range(times):
            run()
        return Cost(time.perf_counter() - wall, self._cpu() - cpu)

    def _cpu(self) -> float:
        spent = (other.cpu_times() for other in self.others)
        return time.process_time() + sum(each.user + each.system for each in spent)


def in_turn(app: Run, floor: Run, pairs: int, clock: Clock) -> tuple[Pair, ...]:
    """Return so many pairs: app, floor, app, floor. Both run once before, unmeasured.

    Where one run is short, each side runs several times; the cost is that of one.
    """
    app()
    floor()
    times = enough_times(floor, clock)
    return tuple(Pair(each_of(app, times, clock), each_of(floor, times, clock)) for _ in range(pairs))


def enough_times(run: Run, clock: Clock) -> int:
    """Return how often to run it so that its time can be told."""
    return max(1, round(LEAST_SECONDS / max(clock.cost(run).wall, 1e-7)))


def once_in_turn(app: Callable[[int], Cost], floor: Callable[[int], Cost], pairs: int) -> tuple[Pair, ...]:
    """Return so many pairs of sides that measure themselves; each is told the number of its pair, from 0."""
    return tuple(Pair(app(number), floor(number)) for number in range(pairs))


def each_of(run: Run, times: int, clock: Clock) -> Cost:
    """Return the cost of one run, by running it so often."""
    whole = clock.cost(run, times)
    return Cost(whole.wall / times, whole.cpu / times)
