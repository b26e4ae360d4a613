"""`manage.py bench`: each figure as a ratio to a floor measured in the same run on the same data."""

from __future__ import annotations

import json
import os
import platform
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from treatments.bench.benches import BENCHES
from treatments.bench.rules import Figure, chosen
from treatments.bench.scratch import Scratch, ScratchRefused, scratch_database
from treatments.bench.states import FEWEST_PAIRS


def _as_interrupt(*_args: Any) -> None:
    raise KeyboardInterrupt


class Command(BaseCommand):
    help = (
        "Measure against a floor in the same run, in turn. Works in a scratch database on the server of DATABASE_URL, "
        "or on an embedded PostgreSQL without it; never in the clinic's own."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        sizes = "; ".join(f"{name}: {bench.size:,} {bench.counts}" for name, bench in BENCHES.items())
        parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(BENCHES)}; else all")
        parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object at the end")
        parser.add_argument("--size", type=int, help=f"instead of each one's own: {sizes}")
        parser.add_argument("--pairs", type=int, default=FEWEST_PAIRS, help="app and floor in turn, so often")

    def handle(self, *args: Any, names: list[str], as_json: bool, size: int | None, pairs: int, **options: Any) -> None:
        try:
            asked = chosen(names, list(BENCHES))
        except ValueError as unknown:
            raise CommandError(str(unknown), returncode=2) from None
        if pairs < FEWEST_PAIRS:
            raise CommandError(f"--pairs: at least {FEWEST_PAIRS}, or chance decides.", returncode=2)
        if size is not None and size < 1:
            raise CommandError("--size: at least 1.", returncode=2)
        document: dict[str, Any] = {"python": platform.python_version(), "cores": os.cpu_count(), "benches": []}
        stopped = signal.signal(signal.SIGTERM, _as_interrupt)  # or the scratch database would stay behind
        try:
            with scratch_database(os.environ.get("DATABASE_URL", "")) as ready:
                connection.ensure_connection()
                document["postgresql"] = connection.pg_version // 10_000  # type: ignore[attr-defined]
                for name in asked:
                    with ready.copy("one") as scratch:
                        scratch.use()
                        self._bench(scratch, name, size or BENCHES[name].size, pairs, as_json, document)
        except ScratchRefused as refused:
            raise CommandError(str(refused)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped. The scratch database is gone.", returncode=130) from None
        finally:
            signal.signal(signal.SIGTERM, stopped)
        if as_json:
            self.stdout.write(json.dumps(document, indent=1))

    def _bench(
        self, scratch: Scratch, name: str, size: int, pairs: int, as_json: bool, document: dict[str, Any]
    ) -> None:
        figures: list[Figure] = []
        if not as_json:
            self.stdout.write(f"{name}: {size:,} {BENCHES[name].counts}")
        for figure in BENCHES[name].run(scratch, size, pairs):
            figures.append(figure)
            if not as_json:
                self.stdout.write(f"  {figure.line()}")
                self.stdout.flush()
        document["benches"].append({"bench": name, "size": size, "figures": [each.as_dict() for each in figures]})
