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
from treatments.plan.actions import reconcile_plan
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

    def reconcile(self, moved: int = 0) -> int:
        """Each visit's messages say what it asks for, `moved` days later than before. Returns how many changed."""
        self.days += moved
        at = ground.AT + timedelta(minutes=self.days)
        changed = 0
        for number, patient in enumerate(self.patients):
            done = reconcile_plan(
                about=f"bench:{patient.pk}",
                patient=patient,
                location=self.location,
                visit=self._visit(number, at if self.days else None),
                by=BY,
                at=at,
                reason="The visit was moved.",
            )
            changed += done.planned + done.moved + done.withdrawn
        return changed

    def _visit(self, number: int, moved_at: datetime | None) -> Visit:
        starts_at = (ground.AT + AHEAD + timedelta(days=number % 200)).replace(tzinfo=None)
        visit = Visit("treatment", starts_at, self.location.time_zone, ground.AT, modality="nafl_1550")
        return replace(visit, starts_at=starts_at + timedelta(days=self.days), moved_at=moved_at)


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield unchanged visits against reading the rows, moved ones against a bulk update, and queries for 500."""
    location = ground.make_place("Plan", practitioners=0, rooms=0)
    visits = Visits(location, size)
    visits.reconcile()
    abouts = [f"bench:{patient.pk}" for patient in visits.patients]
    ground.settle()
    clock = Clock(ground.backend_pid())
    if visits.reconcile():
        raise RuntimeError("Reconciling twice changed something.")
    messages = Message.objects.filter(about__in=abouts).count()
    note = f"{size:,} visits, {messages:,} messages"

    def read() -> object:
        return [list(Message.objects.filter(about__in=abouts[i : i + BATCH])) for i in range(0, size, BATCH)]

    yield Ratio(
        "plan.unchanged", "visit", "reading the rows, 500 visits a query",
        in_turn(visits.reconcile, read, pairs, clock), size, note=note,
    )  # fmt: skip
    with CaptureQueriesContext(connection) as caught:
        visits.reconcile()
    yield Count("plan.queries", len(caught) * BATCH / size, "queries for 500 unchanged visits", Goal(at_most=2))

    def update() -> None:
        for start in range(0, size, BATCH):
            ground.run(
                "UPDATE patients_message SET due_at = due_at + interval '0 days', try_at = try_at + interval '0 days',"
                " not_after = not_after + interval '0 days', context = context, note = note, visit_at = visit_at"
                " WHERE about = ANY(%(abouts)s)",
                abouts=abouts[start : start + BATCH],
            )

    def move() -> None:
        if not visits.reconcile(moved=1):
            raise RuntimeError("The visits moved and their messages did not.")

    move()
    moved = once_in_turn(lambda number: clock.cost(move), lambda number: clock.cost(update), pairs)
    yield Ratio("plan.moved", "visit", "one bulk update for 500 visits", moved, size, Goal(at_most=3), note=note)
