"""Free times in one query, and a visit as planning sees it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple, cast

from django.db import connection
from django.db.models import Exists, OuterRef

from clinic.catalogue.models import AppointmentType, Modality
from clinic.premises.models import DatedHours, Device, Location, OpeningHours, Room
from clinic.prepared import Prepared
from clinic.staff.models import Practitioner
from clinic.worklist.models import Task
from clinic.worklist.states import TaskStatus
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.queries import decision_in_force, told_before
from patients.consent.queries import withdrawn_plans
from treatments.booking.models import Appointment
from treatments.booking.rules import (
    MOST_DAYS,
    STEP_MINUTES,
    Shape,
    Span,
    Start,
    conditions_of,
    day_bounds,
    grid,
    open_starts,
)
from treatments.plan.rules import Visit

# One row per free span: whose it is (no id at all: the location's own hours), from when to when, in whole seconds.
# Hours are wall times, so each day is turned to instants by itself: a day of 23 hours comes out right. A day's own
# hours stand instead of its weekday's. The location itself is nobody (0).
_FREE = Prepared(
    "free_spans",
    """
WITH day AS (
    SELECT d::date AS day, extract(isodow FROM d)::int - 1 AS weekday
    FROM generate_series(%(first)s::timestamp, %(last)s::timestamp, interval '1 day') AS d
),
dated AS (
    SELECT coalesce(practitioner_id, 0) AS who, day, opens, closes
    FROM clinic_datedhours
    WHERE location_id = %(location)s AND day BETWEEN %(first)s AND %(last)s
),
walls AS (
    SELECT coalesce(h.practitioner_id, 0) AS who, day.day, h.opens, h.closes
    FROM clinic_openinghours AS h
    JOIN day USING (weekday)
    WHERE h.location_id = %(location)s
      AND NOT EXISTS (
        SELECT FROM dated AS d WHERE d.who = coalesce(h.practitioner_id, 0) AND d.day = day.day)
    UNION ALL
    SELECT who, day, opens, closes FROM dated WHERE opens IS NOT NULL
),
hours AS (
    SELECT walls.who, range_agg(tstzrange(w.opens, greatest(w.opens, w.closes))) AS open
    FROM walls
    CROSS JOIN LATERAL (SELECT (walls.day + walls.opens) AT TIME ZONE %(zone)s AS opens,
                               (walls.day + walls.closes) AT TIME ZONE %(zone)s AS closes) AS w
    GROUP BY walls.who
),
wanted AS (
    SELECT r.id, r.practitioner_id, NULL::bigint AS room_id, NULL::bigint AS device_id, NULL::date AS service_due_on
    FROM clinic_resource AS r JOIN clinic_practitioner AS p ON p.id = r.practitioner_id AND p.is_active
    WHERE %(practitioners)s IS NULL OR p.id = ANY(%(practitioners)s)
    UNION ALL
    SELECT r.id, NULL, m.id, NULL, NULL
    FROM clinic_resource AS r
    JOIN clinic_room AS m ON m.id = r.room_id AND m.is_active AND m.location_id = %(location)s
    WHERE %(rooms)s IS NULL OR m.id = ANY(%(rooms)s)
    UNION ALL
    SELECT r.id, NULL, NULL, d.id, d.service_due_on
    FROM clinic_resource AS r
    JOIN clinic_device AS d ON d.id = r.device_id AND d.is_active AND d.location_id = %(location)s
    WHERE %(devices)s IS NULL OR d.id = ANY(%(devices)s)
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL
)
SELECT w.practitioner_id, w.room_id, w.device_id,
       ceil(extract(epoch FROM lower(span)))::bigint, floor(extract(epoch FROM upper(span)))::bigint
FROM wanted AS w
JOIN hours AS h ON h.who = coalesce(w.practitioner_id, 0)
JOIN hours AS place ON place.who = 0
LEFT JOIN LATERAL (
    SELECT range_agg(busy.period) AS periods
    FROM (
        SELECT c.period
        FROM treatments_claim AS c
        WHERE c.resource_id = w.id AND c.active
          AND lower(c.period) >= %(opens)s - interval '1 day' AND lower(c.period) < %(closes)s
          AND c.appointment_id IS DISTINCT FROM %(leaving_out)s
        UNION ALL
        SELECT tstzrange(a.starts_at, a.ends_at)
        FROM clinic_absence AS a
        WHERE a.resource_id = w.id AND a.ends_at > %(opens)s AND a.starts_at < %(closes)s
        UNION ALL
        SELECT tstzrange((w.service_due_on + 1)::timestamp AT TIME ZONE %(zone)s, NULL)
        WHERE w.service_due_on IS NOT NULL
        UNION ALL
        SELECT tstzrange(NULL, %(not_before)s) WHERE %(not_before)s IS NOT NULL
    ) AS busy
) AS taken ON true
CROSS JOIN LATERAL unnest(h.open * place.open - coalesce(taken.periods, '{}'::tstzmultirange)) AS span
ORDER BY w.practitioner_id, w.room_id, w.device_id, lower(span)
""",
    location="bigint",
    zone="text",
    first="date",
    last="date",
    opens="timestamptz",
    closes="timestamptz",
    practitioners="bigint[]",
    rooms="bigint[]",
    devices="bigint[]",
    not_before="timestamptz",
    leaving_out="bigint",
)


# By hand: every booking asks it, and building it anew cost more than asking.
_ROOMS = "SELECT * FROM clinic_room WHERE location_id = %s AND is_active ORDER BY name, id"


class Free(NamedTuple):
    """Free spans in seconds since 1970: of the location itself, and by id of each practitioner, room and device."""

    place: list[Span]
    practitioners: dict[int, list[Span]]
    rooms: dict[int, list[Span]]
    devices: dict[int, list[Span]]


def free_spans(
    location: Location,
    first: date,
    last: date,
    *,
    practitioners: Sequence[int] | None = None,
    rooms: Sequence[int] | None = None,
    devices: Sequence[int] | None = None,
    not_before: datetime | None = None,
    leaving_out: int | None = None,
) -> Free:
    """Return when each resource is free on the local days from first to last: hours minus absences minus claims.

    One query, whatever the number of resources, days and appointments. None means every one of the location, [] none.
    A device is not free after the day its service is due. `leaving_out` is the key of a visit whose claims do not
    count. Raises ValueError for more than 60 days.
    """
    if not 0 <= (last - first).days < MOST_DAYS:
        raise ValueError(f"Free times are looked up for 1 to {MOST_DAYS} days.")
    opens, closes = day_bounds(first, location.zone)[0], day_bounds(last, location.zone)[1]
    with connection.cursor() as cursor:
        cursor.execute(
            _FREE.ready(),
            {
                "location": location.pk,
                "zone": location.time_zone,
                "first": first,
                "last": last,
                "opens": opens,
                "closes": closes,
                "practitioners": None if practitioners is None else list(practitioners),
                "rooms": None if rooms is None else list(rooms),
                "devices": None if devices is None else list(devices),
                "not_before": not_before,
                "leaving_out": leaving_out,
            },
        )
        return _sorted_out(cursor.fetchall())


def _sorted_out(rows: Iterable[tuple[int | None, int | None, int | None, int, int]]) -> Free:
    free = Free([], defaultdict(list), defaultdict(list), defaultdict(list))
    for practitioner, room, device, opens, closes in rows:
        if practitioner is not None:
            free.practitioners[practitioner].append((opens, closes))
        elif room is not None:
            free.rooms[room].append((opens, closes))
        elif device is not None:
            free.devices[device].append((opens, closes))
        else:
            free.place.append((opens, closes))
    return free


def free_times(
    *,
    type: AppointmentType,
    location: Location,
    first: date,
    last: date,
    practitioners: Sequence[int] | None = None,
    rooms: Sequence[int] | None = None,
    devices: Sequence[int] | None = None,
    not_before: datetime | None = None,
    leaving_out: int | None = None,
    step_minutes: int = STEP_MINUTES,
) -> list[Start]:
    """Return every time at which such a visit can begin on the local days from first to last, soonest first.

    Each names a practitioner and the first free room and device. `devices` should hold the devices of the modality;
    see `devices_for`. Other arguments as for `free_spans`.
    """
    shape = shape_of(type)
    free = free_spans(
        location,
        first,
        last,
        practitioners=practitioners,
        rooms=rooms if shape.needs_room else [],
        devices=devices if shape.needs_device else [],
        not_before=not_before,
        leaving_out=leaving_out,
    )
    return open_starts(
        shape,
        grid(first, last, location.zone, step_minutes),
        place=free.place,
        practitioners=free.practitioners,
        rooms=free.rooms,
        devices=free.devices,
    )


def shape_of(type: AppointmentType) -> Shape:
    """Return how the type of visit spends its minutes."""
    return Shape(
        before=type.minutes_before,
        work=type.minutes_work,
        after=type.minutes_after,
        joins_after=type.practitioner_joins_after,
        needs_room=type.needs_room,
        needs_device=bool(type.modality_group),
    )


def rooms_at(location: Location) -> list[Room]:
    """Return the rooms in use at the location, in order."""
    return list(Room.objects.raw(_ROOMS, [location.pk]))


def practitioners_at(location: Location, modality: str = "") -> list[Practitioner]:
    """Return who sees patients at the location, and treats with the modality if one is named."""
    own = {"practitioner": OuterRef("pk"), "location": location}
    usual = OpeningHours.objects.filter(**own)
    dated = DatedHours.objects.filter(**own, opens__isnull=False)
    people = Practitioner.objects.filter(Exists(usual) | Exists(dated), is_active=True)
    if modality:
        people = people.filter(authorisations__modality=modality, authorisations__may_treat=True)
    return list(people.distinct())


def devices_for(location: Location, type: AppointmentType, modality: str = "") -> list[Device]:
    """Return the devices in use at the location that such a visit could claim, in order."""
    if not type.modality_group:
        return []
    devices = Device.objects.filter(location=location, is_active=True)
    if modality:
        return list(devices.filter(modality=modality))
    return list(devices.filter(modality__in=Modality.objects.filter(group=type.modality_group).values("key")))


# --- the day ----------------------------------------------------------------------------------------------------


def visit_of(appointment: Appointment, completed_at: datetime | None = None) -> Visit:
    """Return the visit as planning sees it; `completed_at` once the treatment is done."""
    course = appointment.course
    decision = decision_in_force(appointment.patient, course.modality, screened=True) if course else None
    outcomes = _outcomes([decision]) if decision else {}
    withdrawn = course is not None and completed_at is None and bool(withdrawn_plans([course.about]))
    return _visit(appointment, decision, outcomes, completed_at, is_withdrawn=withdrawn)


def visits_of(appointments: Sequence[Appointment]) -> dict[int, Visit]:
    """Return each visit as planning sees it, by the appointment's key, in three queries for any number."""
    wanted = {each.patient_id for each in appointments if each.course}
    rows = CandidacyDecision.objects.in_force().filter(patient__in=wanted).select_related("screening")
    decisions: dict[tuple[int, str], CandidacyDecision] = {}
    for row in rows:
        decisions.setdefault((row.patient_id, row.modality), row)
    outcomes = _outcomes(decisions.values())
    withdrawn = withdrawn_plans([each.course.about for each in appointments if each.course])
    return {
        each.pk: _visit(
            each,
            decisions.get((each.patient_id, each.course.modality)) if each.course else None,
            outcomes,
            is_withdrawn=each.course is not None and each.course.about in withdrawn,
        )
        for each in appointments
    }


Outcomes = dict[str, dict[str, str]]


def _outcomes(decisions: Iterable[CandidacyDecision]) -> Outcomes:
    """Return what the tasks of each decision came to, by what they are about and the last word of their key."""
    found: Outcomes = defaultdict(dict)
    abouts = [f"decision:{decision.ref}" for decision in decisions]
    if abouts:
        done = Task.objects.filter(about__in=abouts, status=TaskStatus.COMPLETED)
        for about, key, outcome in done.values_list("about", "key", "outcome"):
            found[about][key.rpartition(":")[2]] = outcome
    return found


def _visit(
    appointment: Appointment,
    decision: CandidacyDecision | None,
    outcomes: Outcomes,
    completed_at: datetime | None = None,
    *,
    is_withdrawn: bool = False,
) -> Visit:
    course, patient, location = appointment.course, appointment.patient, appointment.location
    return Visit(
        kind=appointment.type.kind,
        starts_at=appointment.starts_at.astimezone(location.zone).replace(tzinfo=None, fold=0),
        zone=location.time_zone,
        booked_at=appointment.booked_at,
        modality=course.modality if course else "",
        completed_at=completed_at,
        moved_at=appointment.moved_at,
        areas=frozenset(course.areas if course else ()),
        conditions=_conditions(appointment, decision, outcomes),
        own_lines=told_before(decision) if decision else (),
        language=patient.language,
        patient_zone=patient.time_zone or None,
        is_withdrawn=is_withdrawn and completed_at is None,
    )


def _conditions(appointment: Appointment, decision: CandidacyDecision | None, outcomes: Outcomes) -> frozenset[str]:
    numbing, news = appointment.type.minutes_before > 0, appointment.patient.news_agreed
    if decision is None:
        return conditions_of({}, (), {}, numbing=numbing, news=news)
    return conditions_of(
        cast("dict[str, object]", decision.screening.answers),
        [str(each["key"]) for each in cast("list[dict[str, object]]", decision.conditions)],
        outcomes.get(f"decision:{decision.ref}", {}),
        numbing=numbing,
        news=news,
    )
