"""The facts that decide whether one visit may be, read from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from clinic.catalogue.models import AppointmentType, Modality
from clinic.catalogue.states import TREATING, VisitKind
from clinic.premises.models import Device, Location, Room
from clinic.premises.rules import Hours, Row, hours_on
from clinic.prepared import Prepared
from clinic.staff.models import Practitioner
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.queries import decision_in_force
from patients.candidacy.states import ALLOWING
from patients.registry.models import Patient
from treatments.booking.gates import CourseFacts, Facts, Neighbour
from treatments.booking.queries import shape_of
from treatments.booking.rules import Kind, Part, Span, hours_of_day, phases
from treatments.booking.states import ANNOUNCED, CLAIMING, PENDING
from treatments.courses.models import Course
from treatments.courses.queries import earliest_by, own_interval
from treatments.courses.states import CourseStatus


class Wish(NamedTuple):
    """A visit as somebody wants it. `leaving_out` is the key of the visit that is being moved.

    `is_change` says that this very visit will be so, not another in its place.
    """

    patient: Patient
    type: AppointmentType
    location: Location
    practitioner: Practitioner
    starts_at: datetime
    room: Room | None = None
    device: Device | None = None
    course: Course | None = None
    leaving_out: int | None = None
    is_change: bool = False

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.type.minutes)


def modality_of(wish: Wish) -> str:
    """Return the laser of the visit's course, empty for a visit without one."""
    return wish.course.modality if wish.course else ""


class Own(NamedTuple):
    """Another visit of the patient. `days` is what its course wants between sessions."""

    pk: int
    starts_at: datetime
    ends_at: datetime
    status: str
    kind: str
    course_id: int | None
    days: int | None
    form_key: UUID


class Around(NamedTuple):
    """What is around a wished visit: who holds and who is away then, the day's hours, the patient's own visits.

    Of those the visits that lie there, the sessions to come, the visit that is left out, and that of the same form.
    """

    claims: tuple[tuple[int, datetime, datetime], ...]
    absences: tuple[tuple[int, datetime, datetime], ...]
    hours: Hours
    own: tuple[Own, ...]

    def is_claimed(self, resource: int, part: Part) -> bool:
        return _overlap(self.claims, resource, part)

    def is_away(self, resource: int, part: Part) -> bool:
        return _overlap(self.absences, resource, part)


def _overlap(spans: Iterable[tuple[int, datetime, datetime]], resource: int, part: Part) -> bool:
    return any(each == resource and starts < part.ends_at and part.starts_at < ends for each, starts, ends in spans)


# One statement, because every booking asks it while it holds its locks. Each row says first what it is about.
_AROUND = Prepared(
    "around_visit",
    """
SELECT 'claim', resource_id, lower(period), upper(period), NULL::date, NULL::time, NULL::time,
       '', '', NULL::bigint, NULL::int, NULL::uuid
FROM treatments_claim
WHERE active AND resource_id = ANY(%(resources)s) AND period && tstzrange(%(starts)s, %(ends)s)
  AND appointment_id IS DISTINCT FROM %(leaving_out)s
UNION ALL
SELECT 'absence', resource_id, starts_at, ends_at, NULL, NULL, NULL, '', '', NULL, NULL, NULL
FROM clinic_absence
WHERE resource_id = ANY(%(resources)s) AND starts_at < %(ends)s AND ends_at > %(starts)s
UNION ALL
SELECT 'hours', practitioner_id, NULL, NULL, NULL, opens, closes, '', '', NULL, weekday, NULL
FROM clinic_openinghours
WHERE location_id = %(location)s AND weekday = %(weekday)s
  AND (practitioner_id IS NULL OR practitioner_id = %(practitioner)s)
UNION ALL
SELECT 'hours', practitioner_id, NULL, NULL, day, opens, closes, '', '', NULL, NULL, NULL
FROM clinic_datedhours
WHERE location_id = %(location)s AND day = %(day)s
  AND (practitioner_id IS NULL OR practitioner_id = %(practitioner)s)
UNION ALL
SELECT 'own', a.id, a.starts_at, a.ends_at, NULL, NULL, NULL, a.status, t.kind, a.course_id, c.min_interval_days,
       a.form_key
FROM treatments_appointment AS a
JOIN clinic_appointmenttype AS t ON t.key = a.type_id
LEFT JOIN treatments_course AS c ON c.id = a.course_id
WHERE a.patient_id = %(patient)s
  AND (a.starts_at < %(ends)s AND a.ends_at > %(starts)s OR a.course_id IS NOT NULL AND a.status = ANY(%(pending)s)
       OR a.id = %(leaving_out)s OR a.form_key = %(form_key)s)
""",
    resources="bigint[]",
    starts="timestamptz",
    ends="timestamptz",
    leaving_out="bigint",
    location="bigint",
    practitioner="bigint",
    weekday="smallint",
    day="date",
    patient="bigint",
    pending="text[]",
    form_key="uuid",
)
# In the same breath: a statement after another sees what was committed while the first one waited.
_LOCK_PATIENT = "SELECT FROM patients_patient WHERE id = %(patient)s FOR NO KEY UPDATE;"


def around(wish: Wish, resources: Iterable[int], *, form_key: UUID | None = None, lock: bool = False) -> Around:
    """Return what is around the wished visit; with `lock` the patient is locked first, until the transaction ends.

    After the resources are locked nobody else can change what they hold.
    """
    day = wish.starts_at.astimezone(wish.location.zone).date()
    claims, absences, own = [], [], []
    rows: list[Row] = []
    asked = _LOCK_PATIENT + _AROUND.ready() if lock else _AROUND.ready()
    with connection.cursor() as cursor:
        cursor.execute(
            asked,
            {
                "resources": list(resources),
                "starts": wish.starts_at,
                "ends": wish.ends_at,
                "leaving_out": wish.leaving_out,
                "location": wish.location.pk,
                "practitioner": wish.practitioner.pk,
                "weekday": day.weekday(),
                "day": day,
                "patient": wish.patient.pk,
                "pending": list(PENDING),
                "form_key": form_key,
            },
        )
        if lock:
            cursor.nextset()
        for what, key, starts, ends, on, opens, closes, status, kind, course, number, form in cursor.fetchall():
            if what == "claim":
                claims.append((key, starts, ends))
            elif what == "absence":
                absences.append((key, starts, ends))
            elif what == "hours":
                rows.append(Row(key, number, on, opens, closes))
            else:
                own.append(Own(key, starts, ends, status, kind, course, number, form))
    return Around(tuple(claims), tuple(absences), hours_on(rows, day), tuple(own))


def facts_of(wish: Wish, away: Sequence[tuple[Kind, str]], at: datetime, found: Around | None = None) -> Facts:
    """Return what decides whether the visit may be; see `gates.refusals`.

    `away` is what cannot be used then, `found` what is around the visit if that was read already.
    """
    found = found or around(wish, ())
    zone, who = wish.location.zone, wish.practitioner.pk
    day = wish.starts_at.astimezone(zone).date()
    spans = {part.kind: _seconds(part.starts_at, part.ends_at) for part in phases(shape_of(wish.type), wish.starts_at)}
    modality = modality_of(wish)
    decision = decision_in_force(wish.patient, modality) if modality else None
    earliest_on, reason = _earliest(wish, decision)
    others = [visit for visit in found.own if visit.pk != wish.leaving_out]
    may_treat = not modality or wish.practitioner.may_treat(modality)
    return Facts(
        today=at.astimezone(zone).date(),
        day=day,
        kind=wish.type.kind,
        span=_seconds(wish.starts_at, wish.ends_at),
        practitioner_span=spans["practitioner"],
        place_name=wish.location.name,
        practitioner_name=wish.practitioner.name,
        place_open=tuple(hours_of_day(found.hours.get(None, ()), day, zone)),
        practitioner_open=tuple(hours_of_day(found.hours.get(who, ()), day, zone)),
        away=tuple(away),
        service_due_on=wish.device.service_due_on if wish.device else None,
        device_name=str(wish.device or ""),
        may_treat=may_treat,
        course=_course_facts(wish, decision, others, may_treat=may_treat),
        earliest_on=earliest_on,
        earliest_reason=reason,
        lead_days=wish.type.lead_days,
        stands_on=_stands_on(wish, found.own),
        neighbours=tuple(_neighbours(wish, others)),
        patient_busy=any(
            visit.status in CLAIMING and visit.starts_at < wish.ends_at and wish.starts_at < visit.ends_at
            for visit in others
        ),
    )


def _seconds(starts_at: datetime, ends_at: datetime) -> Span:
    return int(starts_at.timestamp()), int(ends_at.timestamp())


def _stands_on(wish: Wish, own: Iterable[Own]) -> date | None:
    """Return the day of the visit that is being changed. A time that is only held has told nobody to prepare yet."""
    if not wish.is_change:
        return None
    stands = (each for each in own if each.pk == wish.leaving_out and each.status in ANNOUNCED)
    return next((each.starts_at.astimezone(wish.location.zone).date() for each in stands), None)


def _earliest(wish: Wish, decision: CandidacyDecision | None) -> tuple[date | None, str]:
    if wish.course is None or wish.type.kind not in TREATING:
        return None, ""
    return earliest_by(decision, wish.patient, wish.course.modality, is_spot=wish.type.kind == VisitKind.TEST_SPOT)


def _course_facts(
    wish: Wish, decision: CandidacyDecision | None, others: Iterable[Own], *, may_treat: bool
) -> CourseFacts | None:
    course = wish.course
    if course is None or course.patient_id != wish.patient.pk:
        return None
    booked = sum(visit.course_id == course.pk for visit in _treatments_to_come(others))
    # The laser's name is only read for the sentence of a refusal.
    cleared = may_treat and decision is not None and decision.kind in ALLOWING
    return CourseFacts(
        modality=course.modality,
        modality_label="" if cleared else Modality.objects.get(key=course.modality).label,
        is_active=course.status == CourseStatus.ACTIVE,
        status_label=course.get_status_display(),
        sessions_planned=course.sessions_planned,
        sessions_taken=course.sessions_done + booked,
        own_interval_days=own_interval(wish.patient, course.modality),
        decision_kind=decision.kind if decision else "",
    )


def _treatments_to_come(others: Iterable[Own]) -> Iterable[Own]:
    return (
        visit
        for visit in others
        if visit.kind == VisitKind.TREATMENT and visit.status in PENDING and visit.course_id is not None
    )


def _neighbours(wish: Wish, others: Iterable[Own]) -> Iterable[Neighbour]:
    if wish.type.kind == VisitKind.TREATMENT and wish.course is not None:
        for visit in _treatments_to_come(others):
            assert visit.days is not None, "a visit with a course has its interval"
            yield Neighbour(visit.starts_at.astimezone(wish.location.zone).date(), visit.days)
