"""`history`: what a sweep costs among millions of messages that were sent in years past, and among few of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext

from patients.messaging.actions import dispatch
from patients.registry.models import Patient
from treatments.bench import ground, letters
from treatments.bench.claim import PATIENTS, Drain
from treatments.bench.rules import Cost, Count, Figure, Goal, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.timing import Clock, once_in_turn

LESS = 20
_TABLE = "patients_message"


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield claim and mark among `size` sent messages against a twentieth of them, and statements that scan them."""
    location = ground.make_place("Sender", practitioners=0, rooms=0)
    first = ground.make_patients(location, PATIENTS)
    ground.reach_by_email(first, PATIENTS)
    like = letters.make_template(location, Patient.objects.get(pk=first))
    few, drain = max(size // LESS, 1), Drain.of(size // LESS)
    with scratch.copy("large") as large:
        for database, count in ((large, size), (scratch, few)):
            database.use()
            with ground.bare(_TABLE):
                letters.make_history(like, count, first, PATIENTS)
            letters.plan_many(like, (pairs + 2) * drain.messages, first, PATIENTS, too_late=True)
            ground.settle()

        def among(database: Scratch) -> Cost:
            database.use()
            clock = Clock(ground.backend_pid())
            dispatch(at=letters.DUE - timedelta(days=1), limit=1)  # a fresh connection plans its first statements
            return clock.cost(drain.by_app)

        among(large)
        among(scratch)
        yield Ratio(
            name="history",
            unit="message",
            floor=f"the same among {few:,} sent messages instead of {size:,}",
            pairs=once_in_turn(lambda number: among(large), lambda number: among(scratch), pairs),
            units=drain.messages,
            goal=Goal(at_most=1.3),
        )
        large.use()
        yield Count("history.scans", _scans(), "statements of a sweep that read all messages", Goal(at_most=0))


def _scans() -> int:
    with CaptureQueriesContext(connection) as caught:
        dispatch(at=letters.DUE - timedelta(days=1), limit=1)
    statements = [query["sql"] for query in caught if _TABLE in query["sql"]]
    plans = ["\n".join(line for (line,) in ground.run(f"EXPLAIN {each.replace('%', '%%')}")) for each in statements]
    return sum(f"Seq Scan on {_TABLE}" in plan for plan in plans)
