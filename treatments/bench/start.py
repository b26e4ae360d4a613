"""`start`: how long a command takes to begin, against Django's empty project."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from treatments.bench import ground
from treatments.bench.rules import Cost, Figure, Goal, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.states import Basis
from treatments.bench.timing import once_in_turn


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield `manage.py check` against that of a project that Django has just made."""
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as folder:
        subprocess.run([sys.executable, "-m", "django", "startproject", "empty", folder], check=True)
        _checked(ground.FOLDER)
        _checked(folder)
        yield Ratio(
            name="start",
            unit="command",
            floor="the same in Django's empty project",
            pairs=once_in_turn(lambda number: _times(ground.FOLDER, size), lambda number: _times(folder, size), pairs),
            units=size,
            goal=Goal(at_most=2),
            basis=Basis.CPU,
            note="manage.py check",
        )


def _times(folder: str, times: int) -> Cost:
    costs = [_checked(folder) for _ in range(times)]
    return Cost(sum(cost.wall for cost in costs), sum(cost.cpu for cost in costs))


def _checked(folder: str) -> Cost:
    cpu, wall = _children_cpu(), time.perf_counter()
    subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=folder, check=True, capture_output=True, env=_environment(folder)
    )
    return Cost(time.perf_counter() - wall, _children_cpu() - cpu)


def _environment(folder: str) -> dict[str, str]:
    """Return our environment; the empty project must find its own settings."""
    kept = {key: value for key, value in os.environ.items() if key not in {"DJANGO_SETTINGS_MODULE", "PYTHONPATH"}}
    return kept if folder == ground.FOLDER else {**kept, "DJANGO_SETTINGS_MODULE": "empty.settings"}


def _children_cpu() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
