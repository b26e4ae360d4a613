"""The facts that decide whether one visit may be, read from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db.models import Q

from clinic.catalogue.models import AppointmentType, Modality
from clinic.catalogue.states import VisitKind
from clinic.premises.models import Device, Location, OpeningHours, Room
from clinic.staff.models import Practitioner
from patients.candidacy.queries import decision_in_force
from patients.registry.models import Patient
from treatments.booking.models import Appointment, AppointmentQuerySet
from treatments.booking.queries import shape_of
from treatments.booking.rules import CourseFacts, Facts, Kind, Neighbour, Span, hours_of_day, phases
from treatments.booking.states import CLAIMING, PENDING
from treatments.courses.models import Course
from treatments.courses.queries import earliest_next, own_interval
from treatments.courses.states import CourseStatus


class Wish(NamedTuple):
    """A visit as somebody wants it. `leaving_out` is the key of the visit that is being moved."""

    patient: Patient
    type: AppointmentType
    location: Location
    practitioner: Practitioner
    starts_at: datetime
    room: Room | None = None
    device: Device | None = None
    course: Course | None = None
    leaving_out: int | None = None

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.type.minutes)


def facts_of(wish: Wish, away: Sequence[tuple[Kind, str]], at: datetime) -> Facts:
    """Return what decides whether the visit may be; see `rules.refusals`. `away` is what cannot be used then."""
    zone = wish.location.zone
    day = wish.starts_at.astimezone(zone).date()
    spans = {part.kind: _seconds(part.starts_at, part.ends_at) for part in phases(shape_of(wish.type), wish.starts_at)}
    place_open, own_open = _hours_around(wish, day)
    earliest_on, reason = _earliest(wish)
    modality = wish.course.modality if wish.course else ""
    return Facts(
        today=at.astimezone(zone).date(),
        day=day,
        kind=wish.type.kind,
        span=_seconds(wish.starts_at, wish.ends_at),
        practitioner_span=spans["practitioner"],
        place_name=wish.location.name,
        practitioner_name=wish.practitioner.name,
        place_open=tuple(place_open),
        practitioner_open=tuple(own_open),
        away=tuple(away),
        service_due_on=wish.device.service_due_on if wish.device else None,
        device_name=str(wish.device or ""),
        may_treat=not modality or wish.practitioner.may_treat(modality),
        course=_course_facts(wish),
        earliest_on=earliest_on,
        earliest_reason=reason,
        neighbours=tuple(_neighbours(wish)),
        patient_busy=_patient_busy(wish),
    )


def _seconds(starts_at: datetime, ends_at: datetime) -> Span:
    return int(starts_at.timestamp()), int(ends_at.timestamp())


def _hours_around(wish: Wish, day: date) -> tuple[list[Span], list[Span]]:
    zone = wish.location.zone
    rows = OpeningHours.objects.filter(
        Q(practitioner=None) | Q(practitioner=wish.practitioner), location=wish.location, weekday=day.weekday()
    ).values_list("practitioner_id", "opens", "closes")
    place = [(opens, closes) for person, opens, closes in rows if person is None]
    own = [(opens, closes) for person, opens, closes in rows if person is not None]
    return hours_of_day(place, day, zone), hours_of_day(own, day, zone)


def _earliest(wish: Wish) -> tuple[date | None, str]:
    if wish.course is None or wish.type.kind != VisitKind.TREATMENT:
        return None, ""
    return earliest_next(wish.patient, wish.course.modality)


def _course_facts(wish: Wish) -> CourseFacts | None:
    course = wish.course
    if course is None or course.patient_id != wish.patient.pk:
        return None
    decision = decision_in_force(wish.patient, course.modality)
    booked = _treatments_to_come(wish).filter(course=course).count()
    return CourseFacts(
        modality=course.modality,
        modality_label=Modality.objects.get(key=course.modality).label,
        is_active=course.status == CourseStatus.ACTIVE,
        status_label=course.get_status_display(),
        sessions_planned=course.sessions_planned,
        sessions_taken=course.sessions_done + booked,
        own_interval_days=own_interval(wish.patient, course.modality),
        decision_kind=decision.kind if decision else "",
    )


def _treatments_to_come(wish: Wish) -> AppointmentQuerySet:
    return Appointment.objects.filter(
        patient=wish.patient, type__kind=VisitKind.TREATMENT, status__in=PENDING, course__isnull=False
    ).exclude(pk=wish.leaving_out or 0)


def _neighbours(wish: Wish) -> Iterable[Neighbour]:
    if wish.type.kind == VisitKind.TREATMENT and wish.course is not None:
        zone = wish.location.zone
        rows = _treatments_to_come(wish).values_list("starts_at", "course__min_interval_days")
        for starts_at, days in rows:
            yield Neighbour(starts_at.astimezone(zone).date(), days)


def _patient_busy(wish: Wish) -> bool:
    others = Appointment.objects.filter(patient=wish.patient, status__in=CLAIMING).exclude(pk=wish.leaving_out or 0)
    return others.filter(starts_at__lt=wish.ends_at, ends_at__gt=wish.starts_at).exists()
