"""`races`: eight desks want the same slots at once; nobody is booked twice, nobody deadlocks, and what it costs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, connection, transaction

from clinic.audit.states import Actor
from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Location, Resource
from clinic.staff.models import Practitioner
from patients.registry.models import Patient
from treatments.bench import ground
from treatments.bench.crew import Crew
from treatments.bench.rules import Cost, Count, Figure, Goal, Ratio, quantile
from treatments.bench.scratch import Scratch
from treatments.bench.timing import once_in_turn
from treatments.booking.actions import book_appointment
from treatments.booking.states import SlotTaken

WRITERS = 8
DESK = Actor.command("bench")
_OPEN_SLOTS = 18


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield doubles, deadlocks and how long a booking takes against lock and insert in raw SQL."""
    location = ground.make_place("Race", practitioners=1, rooms=2)
    first = ground.make_patients(location, WRITERS)
    ground.settle()
    app, floor = _Race("book", location, first, size), _Race("insert", location, first, size)
    with Crew(WRITERS, scratch.url(), ground.FOLDER) as crew:
        app.run(crew, 0)
        floor.run(crew, 0)
        ground.settle()  # as in a diary with visits in it: what was planned on empty tables is planned anew
        found = once_in_turn(
            lambda number: app.run(crew, number + 1), lambda number: floor.run(crew, number + 1), pairs
        )
    yield Count("races.doubles", doubles(), "slots given twice", Goal(at_most=0))
    yield Count("races.deadlocks", app.deadlocks, "deadlocks", Goal(at_most=0))
    _check_each_slot_was_given(app)
    note = f"{WRITERS} writers, {size} slots a race; the floor writes visit and claims, and nothing else"
    yield Ratio("races", "booking", "lock and insert in raw SQL", found, 1, Goal(at_most=3), note=note)
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        yield Count(f"races.{name}", quantile(app.won, share) * 1000, "ms a booking")
        yield Count(f"races.{name}.floor", quantile(floor.won, share) * 1000, "ms a booking in raw SQL")
    yield Count("races.refusal", quantile(app.lost, 0.5) * 1000, "ms to be told that it is taken, and what is free")


class _Race:
    """Races of one kind, each for slots of its own. Its cost is the median booking of those who won."""

    def __init__(self, kind: str, location: Location, patient: int, slots: int) -> None:
        self.kind, self.slots = kind, slots
        self.practitioner = Practitioner.objects.get(hours__weekday=0, hours__location=location)
        self.location, self.patient = location, patient
        self.won: list[float] = []
        self.lost: list[float] = []
        self.deadlocks = 0
        self.given = 0

    def run(self, crew: Crew, number: int) -> Cost:
        """Everybody wants every slot of this race; the first race only warms up."""
        offset = (2 * number + (self.kind == "insert")) * self.slots
        answers = crew.work(
            f"treatments.bench.races:{self.kind}_all",
            each=[{"patient": self.patient + writer} for writer in range(WRITERS)],
            practitioner=self.practitioner.pk,
            location=self.location.pk,
            starts=[each.isoformat() for each in slots_from(offset, self.slots, self.location)],
        )
        won = [seconds for each in answers for seconds in each["won"]]
        self.deadlocks += sum(each["deadlocks"] for each in answers)
        self.given += len(won)
        if number:
            self.won += won
            self.lost += [seconds for each in answers for seconds in each["lost"]]
        return Cost(quantile(won, 0.5), sum(each["cpu"] for each in answers) / self.slots)


def slots_from(offset: int, count: int, location: Location) -> list[datetime]:
    """Return so many half hours of opening time in order, behind the first `offset` of them."""
    found: list[datetime] = []
    day = ground.AT.date() + timedelta(days=1)
    while len(found) < offset + count:
        if day.weekday() < 6:
            nine = datetime(day.year, day.month, day.day, 9, tzinfo=location.zone)
            found += [nine + timedelta(minutes=30 * number) for number in range(_OPEN_SLOTS)]
        day += timedelta(days=1)
    return found[offset : offset + count]


def book_all(patient: int, practitioner: int, location: int, starts: list[str]) -> dict[str, Any]:
    """Try to book every slot for the patient, as the desk does."""
    who, where = Practitioner.objects.get(pk=practitioner), Location.objects.get(pk=location)
    person, kind = Patient.objects.get(pk=patient), AppointmentType.objects.get(key="consultation")

    def book(start: datetime) -> bool:
        try:
            book_appointment(
                patient=person,
                type=kind,
                location=where,
                practitioner=who,
                starts_at=start,
                form_key=uuid.uuid4(),
                by=DESK,
                at=ground.AT,
            )
        except SlotTaken:
            return False
        return True

    return _timed(book, starts)


_LOCK = "SELECT id FROM clinic_resource WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_TAKEN = "SELECT 1 FROM treatments_claim WHERE resource_id = ANY(%s) AND active AND period && tstzrange(%s, %s)"
_INSERT = """
INSERT INTO treatments_appointment (ref, status, patient_id, type_id, location_id, practitioner_id, room_id, starts_at,
    ends_at, version, plan_revision, booked_at, form_key, confirmed_by_name, cancel_reason, note, override_reason,
    overrides, booked_online, messages_stamp, changed_at, changed_by_name)
VALUES (gen_random_uuid(), 'booked', %s, 'consultation', %s, %s, %s, %s, %s, 1, 1, %s, %s, '', '', '', '', '[]',
    false, '', %s, 'Dina')
RETURNING id
"""
_CLAIM = """
INSERT INTO treatments_claim (appointment_id, resource_id, period, active)
SELECT %s, r, tstzrange(%s, %s), true FROM unnest(%s) AS r
"""


def insert_all(patient: int, practitioner: int, location: int, starts: list[str]) -> dict[str, Any]:
    """Try to insert every slot: lock the resources, look, insert visit and claims. The floor."""
    room = Resource.objects.filter(room__location=location).order_by("pk").values_list("pk", "room_id").first()
    assert room is not None
    resources = [Resource.objects.get(practitioner=practitioner).pk, room[0]]

    def insert(start: datetime) -> bool:
        end = start + timedelta(minutes=30)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_LOCK, [resources])
            cursor.execute(_TAKEN, [resources, start, end])
            if cursor.fetchone():
                return False
            at = ground.AT
            cursor.execute(_INSERT, [patient, location, practitioner, room[1], start, end, at, str(uuid.uuid4()), at])
            cursor.execute(_CLAIM, [cursor.fetchone()[0], start, end, resources])
        return True

    return _timed(insert, starts)


def _timed(attempt: Callable[[datetime], bool], starts: list[str]) -> dict[str, Any]:
    """Return the seconds of each attempt that won and of each that lost, deadlocks, and the CPU time of it all."""
    won: list[float] = []
    lost: list[float] = []
    deadlocks, cpu = 0, time.process_time()
    for text in starts:
        start, began = datetime.fromisoformat(text), time.perf_counter()
        try:
            (won if attempt(start) else lost).append(time.perf_counter() - began)
        except OperationalError as error:
            if "deadlock" not in str(error):
                raise
            deadlocks += 1
    return {"won": won, "lost": lost, "deadlocks": deadlocks, "cpu": time.process_time() - cpu}


def doubles() -> int:
    """Return how many pairs of active claims on one resource overlap."""
    return int(
        ground.run(
            "SELECT count(*) FROM treatments_claim a JOIN treatments_claim b ON a.resource_id = b.resource_id"
            " AND a.id < b.id AND a.period && b.period WHERE a.active AND b.active"
        )[0][0]
    )


def _check_each_slot_was_given(race: _Race) -> None:
    visits = ground.run("SELECT count(*) FROM treatments_appointment WHERE changed_by_name = %(who)s", who=DESK.name)
    if visits[0][0] != race.given or race.given == 0:
        raise RuntimeError(f"{race.given} bookings were confirmed and {visits[0][0]} are in the diary.")
