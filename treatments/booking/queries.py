"""Free times in one query, the day's visits in one, and a visit as planning sees it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple, cast
from uuid import UUID

from django.db import connection
from django.db.models import CharField, Exists, OuterRef, Q, Value
from django.db.models.functions import Cast, Coalesce, Concat

from clinic.catalogue.models import AppointmentType, Modality
from clinic.premises.models import Device, Location, Room
from clinic.staff.models import Practitioner
from clinic.worklist.models import Task
from clinic.worklist.states import TaskStatus
from patients.candidacy.models import CandidacyDecision, Flag
from patients.candidacy.queries import decision_in_force
from patients.candidacy.states import ALLOWING, FlagStatus
from patients.consent.models import Consent
from patients.consent.states import ConsentScope
from patients.intake.models import QuestionnaireResponse
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
from treatments.booking.states import AppointmentStatus, Step, step_of
from treatments.plan.rules import Visit

# One row per free span: whose it is (no id at all: the location's own hours), from when to when, in whole seconds.
# Hours are wall times, so each day is turned to instants by itself: a day of 23 hours comes out right.
_FREE = """
WITH day AS (
    SELECT d::date AS day, extract(isodow FROM d)::int - 1 AS weekday
    FROM generate_series(%(first)s::timestamp, %(last)s::timestamp, interval '1 day') AS d
),
hours AS (
    SELECT h.practitioner_id, range_agg(tstzrange(w.opens, greatest(w.opens, w.closes))) AS open
    FROM clinic_openinghours AS h
    JOIN day USING (weekday)
    CROSS JOIN LATERAL (SELECT (day.day + h.opens) AT TIME ZONE %(zone)s AS opens,
                               (day.day + h.closes) AT TIME ZONE %(zone)s AS closes) AS w
    WHERE h.location_id = %(location)s
    GROUP BY h.practitioner_id
),
wanted AS (
    SELECT r.id, r.practitioner_id, NULL::bigint AS room_id, NULL::bigint AS device_id, NULL::date AS service_due_on
    FROM clinic_resource AS r JOIN clinic_practitioner AS p ON p.id = r.practitioner_id AND p.is_active
    WHERE %(practitioners)s::bigint[] IS NULL OR p.id = ANY(%(practitioners)s::bigint[])
    UNION ALL
    SELECT r.id, NULL, m.id, NULL, NULL
    FROM clinic_resource AS r
    JOIN clinic_room AS m ON m.id = r.room_id AND m.is_active AND m.location_id = %(location)s
    WHERE %(rooms)s::bigint[] IS NULL OR m.id = ANY(%(rooms)s::bigint[])
    UNION ALL
    SELECT r.id, NULL, NULL, d.id, d.service_due_on
    FROM clinic_resource AS r
    JOIN clinic_device AS d ON d.id = r.device_id AND d.is_active AND d.location_id = %(location)s
    WHERE %(devices)s::bigint[] IS NULL OR d.id = ANY(%(devices)s::bigint[])
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL
)
SELECT w.practitioner_id, w.room_id, w.device_id,
       ceil(extract(epoch FROM lower(span)))::bigint, floor(extract(epoch FROM upper(span)))::bigint
FROM wanted AS w
JOIN hours AS h ON h.practitioner_id IS NOT DISTINCT FROM w.practitioner_id
JOIN hours AS place ON place.practitioner_id IS NULL
LEFT JOIN LATERAL (
    SELECT range_agg(busy.period) AS periods
    FROM (
        SELECT c.period
        FROM treatments_claim AS c
        WHERE c.resource_id = w.id AND c.active
          AND lower(c.period) >= %(opens)s::timestamptz - interval '1 day' AND lower(c.period) < %(closes)s
          AND c.appointment_id IS DISTINCT FROM %(except)s::bigint
        UNION ALL
        SELECT tstzrange(a.starts_at, a.ends_at)
        FROM clinic_absence AS a
        WHERE a.resource_id = w.id AND a.ends_at > %(opens)s AND a.starts_at < %(closes)s
        UNION ALL
        SELECT tstzrange((w.service_due_on + 1)::timestamp AT TIME ZONE %(zone)s, NULL)
        WHERE w.service_due_on IS NOT NULL
        UNION ALL
        SELECT tstzrange(NULL, %(not_before)s::timestamptz) WHERE %(not_before)s::timestamptz IS NOT NULL
    ) AS busy
) AS taken ON true
CROSS JOIN LATERAL unnest(h.open * place.open - coalesce(taken.periods, '{}'::tstzmultirange)) AS span
ORDER BY w.practitioner_id, w.room_id, w.device_id, lower(span)
"""


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
            _FREE,
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
                "except": leaving_out,
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
    return list(Room.objects.filter(location=location, is_active=True))


def practitioners_at(location: Location, modality: str = "") -> list[Practitioner]:
    """Return who sees patients at the location, and treats with the modality if one is named."""
    people = Practitioner.objects.filter(is_active=True, hours__location=location)
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


class DayVisit(NamedTuple):
    """A visit as the day's pages show it. The last five say what is known, never what was answered."""

    ref: UUID
    status: str
    starts_at: datetime
    ends_at: datetime
    version: int
    type_label: str
    kind: str
    minutes_before: int
    minutes_work: int
    minutes_after: int
    joins_after: int
    patient_ref: UUID
    given_name: str
    family_name: str
    practitioner_id: int
    practitioner: str
    room_id: int | None
    room: str | None
    device_id: int | None
    device_make: str | None
    device_model: str | None
    modality: str | None
    note: str
    override_reason: str
    arrived_at: datetime | None
    confirmed_at: datetime | None
    in_room_at: datetime | None
    has_answers: bool
    is_cleared: bool
    has_consent: bool
    has_open_flags: bool
    has_been_here: bool

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip()

    @property
    def device(self) -> str:
        return f"{self.device_make} {self.device_model}" if self.device_make else ""

    @property
    def step(self) -> Step:
        return step_of(self.status, is_confirmed=self.confirmed_at is not None, is_in_room=self.in_room_at is not None)


_DAY_COLUMNS = (
    "ref",
    "status",
    "starts_at",
    "ends_at",
    "version",
    "type__label",
    "type__kind",
    "type__minutes_before",
    Coalesce("minutes_work", "type__minutes_work"),
    "type__minutes_after",
    "type__practitioner_joins_after",
    "patient__ref",
    "patient__given_name",
    "patient__family_name",
    "practitioner_id",
    "practitioner__name",
    "room_id",
    "room__name",
    "device_id",
    "device__make",
    "device__model",
    "course__modality",
    "note",
    "override_reason",
    "arrived_at",
    "confirmed_at",
    "in_room_at",
)


def visits_of_day(location: Location, day: date) -> list[DayVisit]:
    """Return every visit of the local day, cancelled ones included, in order. One query, however many there are."""
    opens, closes = day_bounds(day, location.zone)
    rows = (
        Appointment.objects.filter(location=location, starts_at__gte=opens, starts_at__lt=closes)
        .exclude(status=AppointmentStatus.ENTERED_IN_ERROR)
        .order_by("starts_at", "id")
        .values_list(*_DAY_COLUMNS, *_known())
    )
    return [DayVisit(*row) for row in rows]


def _known() -> list[Exists]:
    """Return what the desk may know of a visit's patient: that things are there, not what they say."""
    patient = OuterRef("patient")
    about = Concat(Value("course:"), Cast(OuterRef("course__ref"), CharField()))
    answers = QuestionnaireResponse.objects.filter(patient=patient, status__in=["completed", "amended"])
    decision = CandidacyDecision.objects.in_force().filter(
        patient=patient, modality=OuterRef("course__modality"), kind__in=ALLOWING
    )
    consent = Consent.objects.in_force().filter(patient=patient, scope=ConsentScope.TREATMENT, about=about)
    # Another laser's flags are no concern of this treatment; before any decision every flag is.
    decided = CandidacyDecision.objects.in_force().filter(patient=OuterRef("screening__patient"))
    flags = Flag.objects.filter(screening__patient=patient, status=FlagStatus.OPEN).filter(
        Q(screening__modality=OuterRef("course__modality")) | ~Exists(decided)
    )
    earlier = Appointment.objects.filter(
        patient=patient, status=AppointmentStatus.FULFILLED, starts_at__lt=OuterRef("starts_at")
    )
    return [Exists(rows) for rows in (answers, decision, consent, flags, earlier)]


def visit_of(appointment: Appointment, completed_at: datetime | None = None) -> Visit:
    """Return the visit as planning sees it; `completed_at` once the treatment is done."""
    course, patient, location = appointment.course, appointment.patient, appointment.location
    modality = course.modality if course else ""
    return Visit(
        kind=appointment.type.kind,
        starts_at=appointment.starts_at.astimezone(location.zone).replace(tzinfo=None, fold=0),
        zone=location.time_zone,
        booked_at=appointment.booked_at,
        modality=modality,
        completed_at=completed_at,
        moved_at=appointment.moved_at,
        areas=frozenset(course.areas if course else ()),
        conditions=_conditions(appointment),
        language=patient.language,
        patient_zone=patient.time_zone or None,
    )


def _conditions(appointment: Appointment) -> frozenset[str]:
    course = appointment.course
    decision = decision_in_force(appointment.patient, course.modality) if course else None
    numbing = appointment.type.minutes_before > 0
    if decision is None:
        return conditions_of({}, (), {}, numbing=numbing)
    about = f"decision:{decision.ref}"
    done = Task.objects.filter(about=about, status=TaskStatus.COMPLETED).values_list("key", "outcome")
    return conditions_of(
        cast("dict[str, object]", decision.screening.answers),
        [str(each["key"]) for each in cast("list[dict[str, object]]", decision.conditions)],
        {key.rpartition(":")[2]: outcome for key, outcome in done},
        numbing=numbing,
    )
