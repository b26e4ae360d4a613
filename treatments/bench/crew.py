"""Processes with Django set up that wait for work: `python -m treatments.bench.crew`, one JSON line per job.

Writers and senders that race must be processes: threads of one Python would only take turns.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import django

_OURS = "\x1e"  # marks our lines; whatever else is printed is not an answer


class Crew:
    """So many processes on one database. Leaving the block ends them."""

    def __init__(self, count: int, database_url: str, folder: str, **environment: str) -> None:
        env = {**os.environ, **environment, "DATABASE_URL": database_url, "DATABASE_POOL": "0", "PYTHONPATH": folder}
        env.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
        self._members = [
            subprocess.Popen(
                [sys.executable, "-m", "treatments.bench.crew"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=env,
                cwd=folder,
                text=True,
            )
            for _ in range(count)
        ]

    def __enter__(self) -> Crew:
        for member in self._members:
            self._answer(member)  # each says that it is ready
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for member in self._members:
            assert member.stdin is not None
            member.stdin.close()
        for member in self._members:
            try:
                member.wait(timeout=10)
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()
            assert member.stdout is not None
            member.stdout.close()

    def work(self, job: str, each: list[Mapping[str, object]] | None = None, **given: object) -> list[Any]:
        """Every member does the job, "module:function", at the same time; return what each answers.

        `given` goes to all, `each` holds what only one member gets. Raises RuntimeError if one fails.
        """
        for number, member in enumerate(self._members):
            assert member.stdin is not None
            member.stdin.write(json.dumps({"job": job, "given": {**given, **(each[number] if each else {})}}) + "\n")
            member.stdin.flush()
        return [self._answer(member) for member in self._members]

    def _answer(self, member: subprocess.Popen[str]) -> Any:
        assert member.stdout is not None
        for line in member.stdout:
            if line.startswith(_OURS):
                return json.loads(line[1:])
        raise RuntimeError(f"A process of the benchmark ended with {member.wait()}; see its error above.")


def main() -> None:
    """Do each job that comes in, until there are no more."""
    django.setup()
    _say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        module, _, name = order["job"].partition(":")
        _say(getattr(importlib.import_module(module), name)(**order["given"]))


def _say(answer: object) -> None:
    sys.stdout.write(_OURS + json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
