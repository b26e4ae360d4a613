"""Threads on the real database: several desks want the same time at the same instant."""

import random
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, connections

from clinic.audit.models import AuditEvent
from clinic.audit.states import Refused
from clinic.transitions import IllegalMove
from tests.factories.people import NOW, make_device, make_patient, make_practitioner
from tests.factories.visits import BY, book, get_type, make_course, utc
from treatments.booking.actions import Moved, cancel_appointment, mark_arrived, move_appointment
from treatments.booking.models import Appointment, Claim
from treatments.booking.states import SlotTaken, StaleVersion

# A busy machine is slow, not wrong: the limit is for what hangs.
pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

WRITERS = 8
TEN = utc("2026-11-24T10:00")
OVERLAPS = """
    SELECT count(*) FROM treatments_claim a JOIN treatments_claim b
    ON a.resource_id = b.resource_id AND a.id < b.id AND a.period && b.period AND a.active AND b.active
"""


def together(*acts):
    """Run the acts in threads that start at one instant. Returns what each returned or raised."""
    barrier = threading.Barrier(len(acts))

    def run(act):
        try:
            barrier.wait()
            return act()
        except Exception as raised:
            return raised
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def overlaps():
    with connection.cursor() as cursor:
        cursor.execute(OVERLAPS)
        return cursor.fetchone()[0]


def half_hours(count):
    """Bookable half hours from Tuesday on, eighteen a day, Sundays left out."""
    days = [utc("2026-11-24T09:00") + timedelta(days=each) for each in range(count // 15 + 2)]
    return [day + timedelta(minutes=30 * each) for day in days if day.weekday() != 6 for each in range(18)][:count]


def crowd(place, count=WRITERS):
    return [make_patient(place, f"P{number}", "Crowd") for number in range(count)]


@pytest.mark.parametrize("desks", [2, WRITERS])
def test_desks_that_want_the_same_two_hundred_slots(place, bo, desks, capsys):
    """One wins each; every other is told that it is just taken, with the next free times. How long it took is said."""
    patients, slots = crowd(place, desks), half_hours(200)
    barrier, seconds = threading.Barrier(desks), []

    def desk(patient):
        results = []
        for starts_at in slots:
            barrier.wait()
            began = time.perf_counter()
            try:
                results.append(book(patient, bo, starts_at))
            except Exception as raised:
                results.append(raised)
            seconds.append(time.perf_counter() - began)
        return results

    rounds = list(zip(*at_desks(desk, patients), strict=True))

    for results in rounds:
        winners = [each for each in results if isinstance(each, Appointment)]
        losers = [each for each in results if not isinstance(each, Appointment)]
        assert len(winners) == 1
        assert [type(each) for each in losers] == [SlotTaken] * (desks - 1)
        assert all(
            loser.for_people == f"{bo} has just been taken for {winners[0].starts_at:%H:%M}." for loser in losers
        )
    assert all(each.next_free for results in rounds[:-1] for each in results if isinstance(each, SlotTaken))
    assert [Appointment.objects.count(), overlaps()] == [200, 0]
    assert AuditEvent.objects.filter(action="appointment.booked").count() == 200
    with capsys.disabled():
        print(f"\n{desks} desks, 200 slots: p50 {middle(seconds, 0.5):.0f} ms, p99 {middle(seconds, 0.99):.0f} ms")  # noqa: T201


def at_desks(work, each):
    """Run the work for each in a thread of its own, with one connection for all of it. Returns what they returned."""

    def run(one):
        try:
            return work(one)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(each)) as pool:
        return list(pool.map(run, each))


def middle(seconds, share):
    """The time, in milliseconds, that this share of them did not exceed."""
    return 1000 * sorted(seconds)[int(share * (len(seconds) - 1))]


def test_six_hundred_visits_that_would_share_somebody_or_something_are_refused(place, bo):
    """The same room with somebody else, the same person in another room, and the minutes before and after a visit."""
    laser, ida, ana = make_device(place), make_practitioner("Ida Moss", place), make_patient(place)
    rooms = list(place.rooms.all())
    course = make_course(ana)
    # Numbing from ten, the laser from eleven to half past, cleaning until a quarter to twelve; all in room 1.
    visit = book(ana, bo, TEN, "treatment_nafl", course=course, room=rooms[0])
    others = crowd(place, 4)
    draw = random.Random(6)
    refused = Counter()

    def desk(patient):
        tally = Counter()
        for number in range(150):
            minutes = draw.randrange(-29, 105)
            with_room = number % 2 == 0
            # In room 1 at any minute of the visit with somebody else; or with Bo, elsewhere, while Bo is at work.
            starts_at = TEN + timedelta(minutes=minutes if with_room else 60 + minutes % 30)
            who, where = (ida, rooms[0]) if with_room else (bo, rooms[1])
            try:
                book(patient, who, starts_at, room=where)
                tally["booked"] += 1
            except SlotTaken as taken:
                tally[str(taken.for_people.partition(" has ")[0])] += 1
        return tally

    for tally in at_desks(desk, others):
        refused += tally

    assert refused == {"Room 1": 300, "Bo Lindqvist": 300}
    assert list(Appointment.objects.values_list("pk", flat=True)) == [visit.pk]
    assert (visit.device, overlaps()) == (laser, 0)


def test_desks_that_claim_crosswise_never_wait_for_each_other(place):
    """Different people, rooms and times in any order: no deadlock, no overlap, only the domain's own refusals."""
    people = [make_practitioner(f"P {number}", place) for number in range(3)]
    rooms, patients = list(place.rooms.all()), crowd(place)

    def desk(number):
        draw, results = random.Random(number), []
        try:
            for _ in range(30):
                starts_at = TEN + timedelta(minutes=15 * draw.randrange(12))
                try:
                    visit = book(patients[number], draw.choice(people), starts_at, room=draw.choice([*rooms, None]))
                    results.append("booked")
                    step = timedelta(minutes=15 * draw.randrange(12))
                    if draw.random() < 0.5:
                        move_appointment(
                            appointment=visit,
                            starts_at=TEN + step,
                            expected_version=1,
                            practitioner=draw.choice(people),
                            by=BY,
                            at=NOW,
                        )
                        results.append("moved")
                    if draw.random() < 0.7:
                        cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW)
                        results.append("cancelled")
                except Refused as refused:
                    results.append(type(refused).__name__)
        finally:
            connections.close_all()
        return results

    with ThreadPoolExecutor(WRITERS) as pool:
        seen = Counter(word for words in pool.map(desk, range(WRITERS)) for word in words)

    assert set(seen) <= {"booked", "moved", "cancelled", "SlotTaken", "PatientBusy"}
    assert seen["booked"] == Appointment.objects.count()
    assert seen["SlotTaken"] > 0
    assert seen["moved"] > 0
    assert overlaps() == 0
    assert Claim.objects.filter(active=True, appointment__status="cancelled").count() == 0


def test_two_taps_on_book_are_one_visit_a_hundred_times(place, bo):
    patient = make_patient(place)

    for number, starts_at in enumerate(half_hours(100)):
        key = uuid.UUID(int=number + 1)
        first, second = together(*[lambda key=key, at=starts_at: book(patient, bo, at, form_key=key)] * 2)
        assert first == second

    assert [Appointment.objects.count(), overlaps()] == [100, 0]
    assert AuditEvent.objects.filter(action="appointment.booked").count() == 100


def test_two_taps_for_different_rooms_with_one_form_are_one_visit(place, bo):
    """Nothing they lock is shared but the patient: the form's key decides."""
    patient, ida = make_patient(place), make_practitioner("Ida Moss", place)
    first_room, second_room = place.rooms.all()

    for number, starts_at in enumerate(half_hours(10)):
        key = uuid.UUID(int=number + 1)
        results = together(
            lambda key=key, at=starts_at: book(patient, bo, at, form_key=key, room=first_room),
            lambda key=key, at=starts_at: book(patient, ida, at, form_key=key, room=second_room),
        )
        assert len({each.pk for each in results}) == 1

    assert Appointment.objects.count() == 10


def test_one_patient_wanted_in_two_places_at_once_is_in_one(place, bo):
    """Nothing they lock is shared but the patient: whoever waited for that sees what the other has booked."""
    patient, ida = make_patient(place), make_practitioner("Ida Moss", place)
    first_room, second_room = place.rooms.all()

    for starts_at in half_hours(20):
        results = together(
            lambda at=starts_at: book(patient, bo, at, room=first_room),
            lambda at=starts_at: book(patient, ida, at, room=second_room),
        )
        assert sorted(type(each).__name__ for each in results) == ["Appointment", "PatientBusy"]

    assert Appointment.objects.count() == 20


def test_move_and_cancel_at_once_end_in_one_legal_state(place, bo):
    """Five hundred rounds: the cancellation always holds; the move came before it or was told."""
    rounds = 500
    visits = put_in_the_diary(make_patient(place), bo, place.rooms.first(), half_hours(rounds))
    barrier = threading.Barrier(2)

    def moves(visit):
        return move_appointment(
            appointment=visit, starts_at=visit.starts_at + timedelta(days=364), expected_version=1, by=BY, at=NOW
        )

    def cancels(visit):
        return cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW)

    def desk(act):
        results = []
        for visit in visits:
            barrier.wait()
            try:
                results.append(act(visit))
            except Exception as raised:
                results.append(raised)
        return results

    moved, cancelled = at_desks(desk, [moves, cancels])

    assert [each for each in cancelled if isinstance(each, Exception)] == []
    assert {type(each) for each in moved} <= {Moved, StaleVersion, IllegalMove}
    came_first = [not isinstance(each, Exception) for each in moved]
    rows = Appointment.objects.order_by("pk").values_list("status", "version")
    assert list(rows) == [("cancelled", 3 if first else 2) for first in came_first]
    assert Claim.objects.filter(active=True).count() == 0


def put_in_the_diary(patient, practitioner, room, starts):
    """Booked half hours with their claims, as quickly as the database takes them."""
    visits = Appointment.objects.bulk_create(
        Appointment(
            patient=patient,
            type=get_type(),
            location=room.location,
            practitioner=practitioner,
            room=room,
            starts_at=at,
            ends_at=at + timedelta(minutes=30),
            booked_at=NOW,
            changed_at=NOW,
            changed_by_name="test",
            form_key=uuid.uuid4(),
        )
        for at in starts
    )
    Claim.objects.bulk_create(
        Claim(appointment=visit, resource=resource, period=(visit.starts_at, visit.ends_at))
        for visit in visits
        for resource in (practitioner.resource, room.resource)
    )
    return visits


def test_two_moves_at_once_lose_nothing(place, bo):
    patient = make_patient(place)

    for starts_at in half_hours(20):
        visit = book(patient, bo, starts_at)
        results = together(
            *[
                lambda visit=visit, days=days: move_appointment(
                    appointment=visit,
                    starts_at=visit.starts_at + timedelta(days=days),
                    expected_version=1,
                    by=BY,
                    at=NOW,
                )
                for days in (14, 21)
            ]
        )
        assert sorted(type(each).__name__ for each in results) == ["Moved", "StaleVersion"]
        winner = next(each for each in results if not isinstance(each, Exception))
        visit.refresh_from_db()
        assert visit.starts_at == winner.appointment.starts_at
        assert {each.period.lower for each in visit.claims.all()} == {visit.starts_at}
        cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW)


def test_arrive_and_cancel_at_once(place, bo):
    """The patient cancels by link while the desk checks them in: one comes first, and both ends are legal."""
    patient = make_patient(place)

    for starts_at in half_hours(18):
        visit = book(patient, bo, starts_at)
        arrived, cancelled = together(
            lambda visit=visit: mark_arrived(appointment=visit, by=BY, at=visit.starts_at),
            lambda visit=visit: cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW),
        )
        assert not isinstance(cancelled, Exception)
        assert isinstance(arrived, Appointment | IllegalMove)
        visit.refresh_from_db()
        assert (visit.status, visit.claims.filter(active=True).count()) == ("cancelled", 0)


def test_what_slips_past_the_check_meets_the_constraint(place, bo):
    """Somebody writes a claim without asking (an import, say) and has not committed yet: the check cannot see it."""
    patients = crowd(place, 2)
    visit = book(patients[0], bo, utc("2026-11-25T10:00"))
    settings = connection.settings_dict
    info = {"dbname": settings["NAME"], "user": settings["USER"], "host": settings["HOST"], "port": settings["PORT"]}

    with psycopg.connect(**info, password=settings["PASSWORD"] or None) as careless:
        careless.execute(
            "INSERT INTO treatments_claim (appointment_id, resource_id, period, active)"
            " VALUES (%s, %s, tstzrange(%s, %s), true)",
            [visit.pk, bo.resource.pk, TEN, TEN + timedelta(minutes=30)],
        )

        def desk():
            try:
                return book(patients[1], bo, TEN)
            except Exception as raised:
                return raised
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(desk)
            wait_until_somebody_waits(info | {"password": settings["PASSWORD"] or None})
            careless.commit()
            refused = waiting.result()

    assert type(refused) is SlotTaken
    assert refused.next_free[0].starts_at == TEN + timedelta(minutes=30)
    assert Appointment.objects.count() == 1


WAITING = (
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE NOT granted AND pg_stat_activity.datname = current_database()"
)


def wait_until_somebody_waits(info):
    """Return once a backend waits for another transaction to end."""
    with psycopg.connect(**info, autocommit=True) as watcher:
        for _ in range(10_000):
            if watcher.execute(WAITING).fetchone()[0]:
                return
            threading.Event().wait(0.01)
    raise AssertionError("Nobody waited for the uncommitted claim.")
