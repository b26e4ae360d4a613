"""`slots`: free times of a month against hand-written SQL, in a small diary and in one a hundred times as long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Location
from clinic.staff.models import Practitioner
from treatments.bench import ground
from treatments.bench.rules import Cost, Figure, Goal, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.timing import Clock, each_of, enough_times, in_turn, once_in_turn
from treatments.booking.queries import free_spans, free_times
from treatments.booking.rules import Start, day_bounds

DAYS = 30
MINUTES = 30
A_DAY_EACH = 16  # of the eighteen half hours that are open
LESS = 100
PATIENTS = 1000

# Visits of half an hour: sixteen a day for each practitioner, the two free ones at other times each day, from the last
# day shown back into the past for as many days as it takes.
_FILL = """
WITH day AS (
    SELECT d::date AS day, row_number() OVER () AS number
    FROM generate_series(%(last)s::timestamp, %(last)s::timestamp - interval '200 years', interval '-1 day') AS d
    WHERE extract(isodow FROM d) < 7 LIMIT %(days)s
),
who AS (
    SELECT p.id, row_number() OVER (ORDER BY p.id) AS number
    FROM clinic_practitioner AS p JOIN clinic_openinghours AS h ON h.practitioner_id = p.id
    WHERE h.location_id = %(location)s GROUP BY p.id
),
where_ AS (
    SELECT id, row_number() OVER (ORDER BY id) AS number FROM clinic_room WHERE location_id = %(location)s
),
slot AS (
    SELECT day.day, who.id AS practitioner_id, where_.id AS room_id,
           (day.day + time '09:00' + k * interval '30 minutes') AT TIME ZONE %(zone)s AS starts_at
    FROM day CROSS JOIN who JOIN where_ ON where_.number = who.number CROSS JOIN generate_series(0, 17) AS k
    WHERE k <> (day.number * 5 + who.number * 3) %% 18 AND k <> (day.number * 5 + who.number * 3 + 7) %% 18
    ORDER BY day.number, who.number LIMIT %(count)s
)
INSERT INTO treatments_appointment (ref, status, patient_id, type_id, location_id, practitioner_id, room_id, starts_at,
    ends_at, version, plan_revision, booked_at, form_key, confirmed_by_name, cancel_reason, note, override_reason,
    overrides, booked_online, messages_stamp, changed_at, changed_by_name)
SELECT gen_random_uuid(), CASE WHEN starts_at < %(at)s THEN 'fulfilled' ELSE 'booked' END,
    %(patient)s + (row_number() OVER ()) %% %(patients)s, %(type)s, %(location)s, practitioner_id, room_id, starts_at,
    starts_at + interval '30 minutes', 1, 1, %(at)s, gen_random_uuid(), '', '', '', '', '[]', false, '', %(at)s, 'Dina'
FROM slot
"""
_CLAIM = """
INSERT INTO treatments_claim (appointment_id, resource_id, period, active)
SELECT a.id, r.id, tstzrange(a.starts_at, a.ends_at), true
FROM treatments_appointment AS a
JOIN clinic_resource AS r ON r.practitioner_id = a.practitioner_id OR r.room_id = a.room_id
WHERE a.location_id = %(location)s
"""
# The floor: hours minus claims as multiranges, the grid expanded in SQL.
_HOURS_AND_CLAIMS = """
WITH day AS (
    SELECT d::date AS day, extract(isodow FROM d)::int - 1 AS weekday
    FROM generate_series(%(first)s::timestamp, %(last)s::timestamp, interval '1 day') AS d
),
hours AS (
    SELECT h.practitioner_id, range_agg(tstzrange((day + opens) AT TIME ZONE %(zone)s,
                                                  (day + closes) AT TIME ZONE %(zone)s)) AS open
    FROM clinic_openinghours AS h JOIN day USING (weekday) WHERE location_id = %(location)s GROUP BY practitioner_id
),
busy AS (
    SELECT r.practitioner_id, range_agg(c.period) AS taken
    FROM clinic_resource AS r JOIN treatments_claim AS c ON c.resource_id = r.id
    WHERE r.practitioner_id = ANY(%(who)s) AND c.active
      AND lower(c.period) >= %(opens)s::timestamptz - interval '1 day' AND lower(c.period) < %(closes)s
    GROUP BY r.practitioner_id
)
"""
_ROOMS = """,
room AS (
    SELECT place.open - coalesce(range_agg(c.period) FILTER (WHERE c.period IS NOT NULL), '{}') AS free
    FROM clinic_room AS m JOIN clinic_resource AS r ON r.room_id = m.id AND m.location_id = %(location)s
    JOIN hours AS place ON place.practitioner_id IS NULL
    LEFT JOIN treatments_claim AS c ON c.resource_id = r.id AND c.active
      AND lower(c.period) >= %(opens)s::timestamptz - interval '1 day' AND lower(c.period) < %(closes)s
    GROUP BY r.id, place.open
)
"""
_STARTS = """
SELECT h.practitioner_id, t
FROM hours AS h JOIN hours AS place ON place.practitioner_id IS NULL
LEFT JOIN busy AS b ON b.practitioner_id = h.practitioner_id
CROSS JOIN LATERAL unnest(h.open * place.open - coalesce(b.taken, '{}')) AS span
CROSS JOIN LATERAL generate_series(date_bin('15 minutes', lower(span) + interval '899 seconds', 'epoch'),
                                   upper(span) - interval '30 minutes', interval '15 minutes') AS t
WHERE h.practitioner_id = ANY(%(who)s)
"""
_IN_A_ROOM = "AND EXISTS (SELECT FROM room WHERE room.free @> tstzrange(t, t + interval '30 minutes'))"
_BY_HAND = _HOURS_AND_CLAIMS + _STARTS
# The same with a room: some room of the place must be free for the whole visit.
_BY_HAND_IN_A_ROOM = _HOURS_AND_CLAIMS + _ROOMS + _STARTS + _IN_A_ROOM


class Month:
    """The question: every time in the coming month at which one of ten people can see somebody for half an hour."""

    def __init__(self, location: Location, *, in_a_room: bool) -> None:
        self.location = location
        self.type = AppointmentType(key="bench", kind="consultation", minutes_work=MINUTES, needs_room=in_a_room)
        self.who = list(
            Practitioner.objects.filter(hours__location=location).distinct().order_by("pk").values_list("pk", flat=True)
        )
        self.first: date = ground.AT.date()
        self.last = self.first + timedelta(days=DAYS - 1)
        self.statement = _BY_HAND_IN_A_ROOM if in_a_room else _BY_HAND

    def ask_query(self) -> object:
        """Ask the application's query alone."""
        rooms: list[int] | None = None if self.type.needs_room else []
        return free_spans(self.location, self.first, self.last, practitioners=self.who, rooms=rooms, devices=[])

    def ask_app(self) -> list[Start]:
        """Ask the application as the booking page does, down to the list of times."""
        return free_times(
            type=self.type, location=self.location, first=self.first, last=self.last, practitioners=self.who
        )

    def by_hand(self) -> list[tuple[int, datetime]]:
        """Ask by the hand-written SQL."""
        opens, closes = day_bounds(self.first, self.location.zone)[0], day_bounds(self.last, self.location.zone)[1]
        return ground.run(
            self.statement,
            first=self.first,
            last=self.last,
            opens=opens,
            closes=closes,
            zone=self.location.time_zone,
            location=self.location.pk,
            who=self.who,
        )


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield free times against SQL in diaries of `size` and `size`/100 visits, and what the longer one costs more."""
    location = ground.make_place("Diary")
    first = ground.make_patients(location, PATIENTS)
    with scratch.copy("large") as large:
        large.use()
        fill(location, size, first)
        scratch.use()
        fill(location, max(size // LESS, 1), first)
        for database, count in ((scratch, max(size // LESS, 1)), (large, size)):
            database.use()
            yield from _against_sql(location, f"{count:,}", pairs)
        yield _growth(scratch, large, location, size, pairs)


def fill(location: Location, count: int, patient: int) -> None:
    """The location's diary holds so many visits, the last of them at the end of the month that is asked for."""
    last = ground.AT.date() + timedelta(days=DAYS - 1)
    ground.run("SET synchronous_commit = off")
    # Built once at the end, the index is the same as if visits had come one by one.
    constraint = ground.run("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'claim_no_overlap'")[
        0
    ][0]
    ground.run("ALTER TABLE treatments_claim DROP CONSTRAINT claim_no_overlap")
    ground.run(
        _FILL,
        last=last,
        days=count // A_DAY_EACH // 10 + 2,
        location=location.pk,
        zone=location.time_zone,
        count=count,
        at=ground.AT,
        patient=patient,
        patients=PATIENTS,
        type="consultation",
    )
    ground.run(_CLAIM, location=location.pk)
    ground.run(f"ALTER TABLE treatments_claim ADD CONSTRAINT claim_no_overlap {constraint}")
    ground.run("RESET synchronous_commit")
    ground.settle()


def _against_sql(location: Location, words: str, pairs: int) -> Iterator[Figure]:
    clock = Clock(ground.backend_pid())
    for in_a_room, name in ((False, f"slots.{words}"), (True, f"slots.{words}.room")):
        month = Month(location, in_a_room=in_a_room)
        found = {(start.practitioner_id, start.starts_at) for start in month.ask_app()}
        by_hand = set(month.by_hand())
        if found != by_hand:
            raise RuntimeError(f"The application finds {len(found)} free times, the SQL {len(by_hand)}.")
        yield Ratio(
            name=name,
            unit="look",
            floor="hand-written SQL, the grid expanded in it",
            pairs=in_turn(month.ask_app, month.by_hand, pairs, clock),
            units=1,
            goal=Goal(at_most=1.3),
            note=f"{words} visits, {len(month.who)} practitioners, {DAYS} days, {len(found)} free times",
        )


def _growth(small: Scratch, large: Scratch, location: Location, size: int, pairs: int) -> Figure:
    def at(database: Scratch) -> Cost:
        database.use()
        month = Month(location, in_a_room=False)
        clock = Clock(ground.backend_pid())
        month.ask_app()
        return each_of(month.ask_app, enough_times(month.ask_app, clock), clock)

    return Ratio(
        name="slots.growth",
        unit="look",
        floor=f"the same in a diary of {max(size // LESS, 1):,} visits instead of {size:,}",
        pairs=once_in_turn(lambda number: at(large), lambda number: at(small), pairs),
        units=1,
        goal=Goal(at_most=1.2),
    )
