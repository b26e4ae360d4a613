"""`plan`: setting visits' messages right, when nothing changed and when every visit moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.audit.states import Actor
from clinic.premises.models import Location
from patients.messaging.models import Message
from patients.registry.models import Patient
from treatments.bench import ground
from treatments.bench.rules import Count, Figure, Goal, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.timing import Clock, in_turn, once_in_turn
from treatments.plan.actions import Wish, differing, reconcile_plans
from treatments.plan.rules import Visit

BY = Actor.command("bench")
BATCH = 500
AHEAD = timedelta(days=60)


class Visits:
    """So many treatment visits that somebody may move."""

    def __init__(self, location: Location, count: int) -> None:
        first = ground.make_patients(location, count)
        self.location = location
        self.patients = list(Patient.objects.filter(pk__gte=first).select_related("location").order_by("pk")[:count])
        self.days = 0

    def look(self) -> None:
        """Each visit's messages are compared with what it asks for, as at night, and nothing differs."""
        for batch in self._batches():
            if differing(batch, ground.AT):
                raise RuntimeError("Looking again found a difference.")

    def move(self, days: int = 1) -> None:
        """Each visit's messages are set right, as by whoever moved it, `days` later than before."""
        self.days += days
        at = ground.AT + timedelta(minutes=self.days)
        for batch in self._batches(at if self.days else None):
            done = reconcile_plans(wishes=batch, by=BY, at=at, reason="The visit was moved.")
            if not all(each.is_change for each in done.values()):
                raise RuntimeError("A visit moved and its messages did not.")

    def _batches(self, moved_at: datetime | None = None) -> Iterator[list[Wish]]:
        wishes = [
            Wish(f"bench:{patient.pk}", patient, self.location, self._visit(number, moved_at))
            for number, patient in enumerate(self.patients)
        ]
        yield from (wishes[start : start + BATCH] for start in range(0, len(wishes), BATCH))

    def _visit(self, number: int, moved_at: datetime | None) -> Visit:
        starts_at = (ground.AT + AHEAD + timedelta(days=number % 200)).replace(tzinfo=None)
        visit = Visit("treatment", starts_at, self.location.time_zone, ground.AT, modality="nafl_1550")
        return replace(visit, starts_at=starts_at + timedelta(days=self.days), moved_at=moved_at)


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield unchanged visits against reading the rows, moved ones against a bulk update, and queries for 500."""
    location = ground.make_place("Plan", practitioners=0, rooms=0)
    visits = Visits(location, size)
    visits.move(days=0)
    abouts = [f"bench:{patient.pk}" for patient in visits.patients]
    ground.settle()
    clock = Clock(ground.backend_pid())
    messages = Message.objects.filter(about__in=abouts).count()
    note = f"{size:,} visits, {messages:,} messages"

    def read() -> object:
        return [list(Message.objects.filter(about__in=abouts[i : i + BATCH])) for i in range(0, size, BATCH)]

    yield Ratio(
        "plan.unchanged", "visit", "reading the rows, 500 visits a query",
        in_turn(visits.look, read, pairs, clock), size, note=note,
    )  # fmt: skip
    with CaptureQueriesContext(connection) as caught:
        visits.look()
    yield Count("plan.queries", len(caught) * BATCH / size, "queries for 500 unchanged visits", Goal(at_most=2))

    def update() -> None:
        # By a second: an update that leaves every indexed value as it was would be spared the indexes.
        for start in range(0, size, BATCH):
            ground.run(
                "UPDATE patients_message SET due_at = due_at + interval '1 s', try_at = try_at + interval '1 s',"
                " not_after = not_after + interval '1 s', visit_at = visit_at + interval '1 s', context = context,"
                " note = note WHERE about = ANY(%(abouts)s)",
                abouts=abouts[start : start + BATCH],
            )

    visits.move()
    moved = once_in_turn(lambda number: clock.cost(visits.move), lambda number: clock.cost(update), pairs)
    yield Ratio("plan.moved", "visit", "one bulk update for 500 visits", moved, size, Goal(at_most=3), note=note)
