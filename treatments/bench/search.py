"""`search`: patients as you type, against a prefix query by hand on the same index."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.premises.models import Location
from clinic.staff.models import User
from patients.registry.models import Patient
from patients.registry.queries import search_patients
from patients.registry.rules import search_key
from treatments.bench import ground
from treatments.bench.rules import Cost, Count, Figure, Goal, Ratio, quantile
from treatments.bench.scratch import Scratch
from treatments.bench.timing import Clock, once_in_turn

WORDS = 200
SHOWN = 20
PLACES = 2
_COLUMNS = ", ".join(f"p.{field.column}" for field in Patient._meta.local_concrete_fields)
_PREFIX = f"""
SELECT {_COLUMNS}, l.name, l.time_zone FROM patients_patient AS p JOIN clinic_location AS l ON l.id = p.location_id
WHERE p.{{column}} COLLATE "C" >= %(key)s AND p.{{column}} COLLATE "C" < %(end)s AND p.location_id = ANY(%(places)s)
ORDER BY p.{{column}}, p.id LIMIT %(limit)s
"""  # noqa: S608 - our own columns


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield the search's p50 and p99 against the floor's among `size` patients, and what its plans scan."""
    places = [ground.make_place(f"Place {number}", practitioners=0, rooms=0) for number in range(PLACES)]
    for place in places:
        ground.make_patients(place, -(-size // PLACES))
    user = ground.make_staff(places[0], "desk@search.example")
    places[1].staff.add(user)
    ground.settle()
    typed = words(WORDS)
    _check_agreement(user, places, typed[:40])
    taken: dict[str, list[tuple[float, float]]] = {"app": [], "floor": []}

    clock = Clock(ground.backend_pid())

    def run(side: str, search: Callable[[str], object]) -> Cost:
        seconds: list[float] = []
        whole = clock.cost(lambda: seconds.extend(_seconds(search, text) for text in typed))
        taken[side].append((quantile(seconds, 0.5), quantile(seconds, 0.99)))
        return Cost(quantile(seconds, 0.99), whole.cpu / len(typed))

    by_hand = _ByHand(places)
    run("app", lambda text: search_patients(user, text))
    run("floor", by_hand)
    found = once_in_turn(
        lambda number: run("app", lambda text: search_patients(user, text)),
        lambda number: run("floor", by_hand),
        pairs,
    )
    note = f"{len(typed)} beginnings of names, 1 to 8 letters, {PLACES} places"
    yield Ratio("search", "search", "prefix query by hand, the slowest of a hundred", found, 1, Goal(at_most=1.5),
                note=note)  # fmt: skip
    for which, name in enumerate(("p50", "p99")):
        for side in ("app", "floor"):
            values = [each[which] * 1000 for each in taken[side][1:]]
            yield Count(f"search.{name}.{side}", quantile(values, 0.5), "ms a search")
    yield from _plans(user, typed[:40])


class _ByHand:
    """The floor: the same people by hand-written prefix queries, as rows."""

    def __init__(self, places: list[Location]) -> None:
        self.places = [place.pk for place in places]

    def __call__(self, text: str) -> list[tuple[object, ...]]:
        key = search_key(text)
        rows = self._begins("search_text", key, SHOWN + 1)
        if len(rows) <= SHOWN:
            known = {row[0] for row in rows}
            rows += [row for row in self._begins("search_given", key, SHOWN + 1) if row[0] not in known]
        return rows[:SHOWN]

    def _begins(self, column: str, key: str, limit: int) -> list[tuple[object, ...]]:
        end = key[:-1] + chr(ord(key[-1]) + 1)
        return ground.run(_PREFIX.format(column=column), key=key, end=end, places=self.places, limit=limit)


def words(count: int) -> list[str]:
    """Return beginnings of names as somebody types them, one letter more each time; the same every run."""
    dice = random.Random(ground.CHANCE)  # noqa: S311 - made-up people need no secrecy
    names = [name for (name,) in ground.run("SELECT family_name FROM patients_patient ORDER BY id LIMIT 200")]
    names += [name for (name,) in ground.run("SELECT given_name FROM patients_patient ORDER BY id LIMIT 100")]
    return [(name := dice.choice(names))[: dice.randint(1, min(len(name), 8))] for _ in range(count)]


def _seconds(search: Callable[[str], object], text: str) -> float:
    began = time.perf_counter()
    search(text)
    return time.perf_counter() - began


def _check_agreement(user: User, places: list[Location], typed: list[str]) -> None:
    by_hand = _ByHand(places)
    for text in typed:
        ours, theirs = [patient.pk for patient in search_patients(user, text)], [row[0] for row in by_hand(text)]
        if len(ours) != len(theirs) or ours[:1] != theirs[:1]:
            raise RuntimeError(f"Search and floor differ on “{text}”: {len(ours)} and {len(theirs)} people.")


def _plans(user: User, typed: list[str]) -> Iterator[Figure]:
    """Yield how many of the search's statements scan all patients, or count or skip rows."""
    with CaptureQueriesContext(connection) as caught:
        for text in typed:
            search_patients(user, text)
    statements = [query["sql"] for query in caught.captured_queries]
    plans = ["\n".join(line for (line,) in ground.run(f"EXPLAIN {each.replace('%', '%%')}")) for each in statements]
    scans = sum("Seq Scan on patients_patient" in plan for plan in plans)
    skips = sum("OFFSET" in each or "COUNT(" in each.upper() for each in statements)
    yield Count("search.scans", scans, "statements that scan all patients", Goal(at_most=0))
    yield Count("search.skips", skips, "statements with OFFSET or count", Goal(at_most=0))
    yield Count("search.queries", len(statements) / len(typed), "queries a search")
