"""The dates a course could have, and what moving one of its visits would do to those after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import QuerySet

from clinic.catalogue.models import AppointmentType, Modality
from clinic.catalogue.states import VisitKind
from clinic.premises.models import Location
from clinic.staff.models import Practitioner
from treatments.booking.gates import refusals
from treatments.booking.models import Appointment
from treatments.booking.queries import devices_for, free_times, practitioners_at
from treatments.booking.rules import clock_label, lead_reason, prepared_from
from treatments.booking.standing import Wish, facts_of
from treatments.booking.states import PENDING, AppointmentStatus
from treatments.courses.models import Course
from treatments.courses.queries import earliest_next
from treatments.courses.rules import say
from treatments.series.rules import LOOK_DAYS, SHOWN_DAYS, nearest, nearest_by_day, shifted
from treatments.waitlist.models import WaitlistOffer
from treatments.waitlist.states import OfferStatus


@dataclass(frozen=True)
class Pick:
    """A time with somebody: one session as it would be booked."""

    starts_at: datetime
    practitioner: Practitioner

    @property
    def value(self) -> str:
        return f"{self.starts_at.isoformat()}~{self.practitioner.ref}"


@dataclass(frozen=True)
class Session:
    """One session to plan: from when it may be and why, what is free, and what was picked of it."""

    number: int
    earliest_on: date
    why: str
    options: list[tuple[Pick, str]]
    pick: Pick | None
    against: str = ""


@dataclass(frozen=True)
class Wanted:
    """How the sessions are wanted: from a day on, so many days apart, at about that time, with somebody or anybody."""

    first: date
    interval_days: int
    around: time
    practitioner: Practitioner | None = None


def treatment_type(course: Course) -> AppointmentType | None:
    """Return the kind of visit in which the course's laser is used; None where the catalogue has none."""
    group = Modality.objects.values_list("group", flat=True).get(key=course.modality)
    return AppointmentType.objects.filter(kind=VisitKind.TREATMENT, modality_group=group).first()


def booked_sessions(course: Course) -> list[Appointment]:
    """Return the treatments of the course that are still to come, in order."""
    rows = course.appointments.filter(status__in=PENDING, type__kind=VisitKind.TREATMENT)
    return list(rows.select_related("location", "practitioner", "type").order_by("starts_at", "id"))


def sessions_to_plan(course: Course) -> int:
    """Return how many sessions have no date yet."""
    return max(course.sessions_left - len(booked_sessions(course)), 0)


def earliest_of_series(course: Course, location: Location, today: date) -> tuple[date, str]:
    """Return the first day for the next session without a date, and why not before."""
    booked = booked_sessions(course)
    if booked:
        last = booked[-1].starts_at.astimezone(location.zone).date()
        on = last + timedelta(days=course.min_interval_days)
        return max(on, today), _after(course, course.sessions_done + len(booked), last)
    on_or_none, reason = earliest_next(course.patient, course.modality)
    if on_or_none is None or on_or_none <= today:
        return today, ""
    return on_or_none, f"Earliest safe date {say(on_or_none)}, because {reason}."


def _after(course: Course, number: int, on: date) -> str:
    safe = on + timedelta(days=course.min_interval_days)
    return f"Earliest safe date {say(safe)}, because session {number} is on {say(on)}."


def proposed_series(
    course: Course, location: Location, wanted: Wanted, picked: Sequence[Pick | None], at: datetime
) -> list[Session]:
    """Return every session without a date with the first day it may be, and the free time nearest to the wish.

    Each counts from the one before as it is picked, so that a later day moves all that follow. A pick that is too
    early by now, or no longer free, gives way to the nearest that is.
    """
    kind = treatment_type(course)
    if kind is None:
        return []
    today = at.astimezone(location.zone).date()
    earliest, why = earliest_of_series(course, location, today)
    prepared = prepared_from(today, kind.lead_days)
    if kind.lead_days and earliest < prepared:
        earliest, why = prepared, f"Earliest date {say(prepared)}, because {lead_reason(kind.lead_days)}."
    first, before = len(booked_sessions(course)) + course.sessions_done + 1, None
    found: list[Session] = []
    for index in range(sessions_to_plan(course)):
        target = max(earliest, wanted.first if before is None else before + timedelta(days=wanted.interval_days))
        mine = picked[index] if index < len(picked) else None
        session = _session(course, kind, location, wanted, first + index, (earliest, target), why, mine, at)
        found.append(session)
        if session.pick is None:
            break  # the next one counts from a day that nobody knows yet
        before = session.pick.starts_at.astimezone(location.zone).date()
        earliest, why = before + timedelta(days=course.min_interval_days), _after(course, first + index, before)
    return found


def _session(
    course: Course,
    kind: AppointmentType,
    location: Location,
    wanted: Wanted,
    number: int,
    days: tuple[date, date],
    why: str,
    mine: Pick | None,
    at: datetime,
) -> Session:
    earliest, target = days
    start = target
    if mine is not None and mine.starts_at.astimezone(location.zone).date() >= earliest:
        start = min(target, mine.starts_at.astimezone(location.zone).date())
    picks = _free_picks(course, kind, location, wanted.practitioner, start, at)
    days_free = nearest_by_day(picks, wanted.around, location.zone)
    offered = [picks[each] for day, each in sorted(days_free.items()) if day >= target][:SHOWN_DAYS]
    kept = picks.get(mine.starts_at) if mine is not None else None
    if kept is not None and kept not in offered:
        offered = sorted([kept, *offered], key=lambda each: each.starts_at)
    pick = kept or (offered[0] if offered else None)
    against = (
        _against(course, kind, location, pick, at) if pick else f"Nothing is free in the {LOOK_DAYS} days from then."
    )
    return Session(number, earliest, why, [(each, _label(each, location)) for each in offered], pick, against)


def _free_picks(
    course: Course,
    kind: AppointmentType,
    location: Location,
    practitioner: Practitioner | None,
    first: date,
    at: datetime,
) -> dict[datetime, Pick]:
    people = {each.pk: each for each in practitioners_at(location, course.modality)}
    if practitioner is not None:
        people = {key: each for key, each in people.items() if key == practitioner.pk}
    starts = free_times(
        type=kind,
        location=location,
        first=first,
        last=first + timedelta(days=LOOK_DAYS - 1),
        practitioners=list(people),
        devices=[each.pk for each in devices_for(location, kind, course.modality)],
        not_before=at,
    )
    found: dict[datetime, Pick] = {}
    for start in starts:
        found.setdefault(start.starts_at, Pick(start.starts_at, people[start.practitioner_id]))
    return found


def _against(course: Course, kind: AppointmentType, location: Location, pick: Pick, at: datetime) -> str:
    wish = Wish(course.patient, kind, location, pick.practitioner, pick.starts_at, course=course)
    found = refusals(facts_of(wish, (), at))
    return found[0].for_people if found else ""


def _label(pick: Pick, location: Location) -> str:
    local = pick.starts_at.astimezone(location.zone)
    return f"{local:%a} {local.day} {local:%b %Y}, {clock_label(pick.starts_at, location.zone)}, {pick.practitioner}"


def offered() -> QuerySet[WaitlistOffer, int]:
    """Return the keys of the visits whose time is held because it is being offered."""
    return WaitlistOffer.objects.filter(status=OfferStatus.OPEN).values_list("appointment_id", flat=True)


# --- moving one and those after it ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shift:
    """A visit, and where it would go; `new` is None where nothing is free. `note` says why it differs from the wish."""

    visit: Appointment
    new: datetime | None
    note: str = ""

    @property
    def value(self) -> str:
        return f"{self.visit.ref}~{self.visit.version}~{self.new.isoformat()}" if self.new else ""


def later_visits(visit: Appointment, after: datetime) -> list[Appointment]:
    """Return the visits of the same course, booked or only held, that begin later than a time, in order.

    A time that is being offered to the patient stays where they were told it is.
    """
    if visit.course is None:
        return []
    statuses = [AppointmentStatus.BOOKED, AppointmentStatus.PROPOSED]
    rows = visit.course.appointments.filter(status__in=statuses, starts_at__gt=after).exclude(pk=visit.pk)
    rows = rows.exclude(pk__in=offered()).order_by("starts_at", "id")
    return list(rows.select_related("location", "practitioner", "type", "course", "patient", "room", "device"))


def shift_plan(
    visit: Appointment, days: int, to: datetime | None, *, moved_from: datetime | None, at: datetime
) -> list[Shift]:
    """Return where the visit and all after it would go, so many days later at the same wall times.

    `to` is where the visit itself goes, None when it has gone already from `moved_from`. Nothing comes sooner after a
    session than its interval allows: what would, goes to the first free day that may be.
    """
    before = moved_from or visit.starts_at
    rest = later_visits(visit, before)
    zone = visit.location.zone
    going = {each.starts_at for each in [visit, *rest]}
    found, last = ([Shift(visit, to)], to) if to is not None else ([], visit.starts_at)
    for each in rest:
        wished = shifted(each.starts_at, days, zone)
        new = _nearest_for(each, wished, last if _is_session(each) and _is_session(visit) else None, going, at)
        found.append(Shift(each, new, _note(each, wished, new)))
        last = new if new is not None and _is_session(each) else last
    return found


def _is_session(visit: Appointment) -> bool:
    return visit.type.kind == VisitKind.TREATMENT


def _nearest_for(
    visit: Appointment, wished: datetime, last: datetime | None, going: set[datetime], at: datetime
) -> datetime | None:
    zone, course = visit.location.zone, visit.course
    assert course is not None, "only visits of a course are shifted together"
    stands_on = visit.starts_at.astimezone(zone).date()
    today = at.astimezone(zone).date()
    earliest = max(today, min(stands_on, prepared_from(today, visit.type.lead_days)))
    if last is not None:
        earliest = max(earliest, last.astimezone(zone).date() + timedelta(days=course.min_interval_days))
    if wished.astimezone(zone).date() < earliest:
        wished = datetime.combine(earliest, wished.astimezone(zone).time(), tzinfo=zone)
    first = wished.astimezone(zone).date()
    starts = free_times(
        type=visit.sized_type,
        location=visit.location,
        first=first,
        last=first + timedelta(days=LOOK_DAYS - 1),
        practitioners=[visit.practitioner_id],
        devices=[each.pk for each in devices_for(visit.location, visit.type, course.modality)],
        not_before=at,
        leaving_out=visit.pk,
    )
    # A time that another visit of the same move leaves is as good as free: it goes first.
    return nearest({*(each.starts_at for each in starts), *(each for each in going if each == wished)}, wished, zone)


def _note(visit: Appointment, wished: datetime, new: datetime | None) -> str:
    if new is None:
        return f"Nothing is free with {visit.practitioner} in the {LOOK_DAYS} days from then. It stays where it is."
    if new == wished:
        return ""
    local = wished.astimezone(visit.location.zone)
    return (
        f"{local:%a} {local.day} {local:%b}, {clock_label(wished, visit.location.zone)} cannot be; this is the nearest."
    )
