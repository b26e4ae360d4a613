"""A visit as the patient has it in hand: in the calendar and on their own page."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parseaddr
from zoneinfo import ZoneInfo

from django.conf import settings

from clinic.catalogue.states import VisitKind
from patients.messaging.difference import CANCELLED, CONFIRMATION, CORRECTION
from patients.messaging.due import AnyMessage
from patients.messaging.enclosures import CalendarFile
from patients.messaging.models import Message
from patients.messaging.states import MessageStatus
from patients.registry.models import SecureLink
from treatments.booking.models import Appointment
from treatments.booking.queries import devices_for, free_times
from treatments.booking.rules import clock_label, prepared_from
from treatments.booking.states import CLAIMING, AppointmentStatus
from treatments.courses.queries import earliest_next
from treatments.visits.rules import Entry, Person, calendar_text, is_choosable, is_in_time, offered_days

_CARRIERS = frozenset({CONFIRMATION, CORRECTION, CANCELLED})


def calendar_file(message: AnyMessage, to: str) -> CalendarFile | None:
    """Return the visit a letter is about for the reader's calendar, as it stands now; None for other letters.

    Read when the letter leaves: one that waited tells the time the visit has by then.
    """
    if message.template not in _CARRIERS:
        return None
    visit = _visit_about(message.about)
    if visit is None:
        return None
    off = visit.status not in CLAIMING
    if off != (message.template == CANCELLED):
        return None  # the next letter says what is true
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    entry = entry_of(visit, organizer=Person(address, name), attendee=Person(to))
    method = "CANCEL" if off else "REQUEST"
    return CalendarFile(method, calendar_text([entry], method=method))


def entry_of(visit: Appointment, *, organizer: Person | None = None, attendee: Person | None = None) -> Entry:
    """Return the visit as a calendar shows it: when and where, never what for.

    It keeps its UID for good. SEQUENCE is how often it was moved, one more once it is off.
    """
    off = visit.status not in CLAIMING
    return Entry(
        uid=f"{visit.ref}@afterglow",
        sequence=visit.plan_revision - 1 + off,
        starts_at=visit.starts_at,
        ends_at=visit.ends_at,
        stamped_at=visit.changed_at,
        summary=f"Visit at {visit.location.name}",
        place=visit.location.address,
        description=f"Questions? Call {visit.location.phone}.",
        is_cancelled=off,
        organizer=organizer,
        attendee=attendee,
    )


@dataclass(frozen=True)
class Shown:
    """A visit as its patient's page shows it, by the clock of the place."""

    visit: Appointment
    day: date
    starts: str
    state: str
    prepare: list[str]
    may_change: bool

    @property
    def is_coming(self) -> bool:
        return self.state == "coming"

    @property
    def was_moved(self) -> bool:
        return self.is_coming and self.visit.moved_at is not None


def shown(visit: Appointment, at: datetime) -> Shown:
    """Return what the patient's page says now.

    `state` is one of coming, held (nobody has confirmed it), here, cancelled, missed, over.
    """
    return Shown(
        visit=visit,
        day=visit.starts_at.astimezone(visit.location.zone).date(),
        starts=clock_label(visit.starts_at, visit.location.zone),
        state=_state(visit, at),
        prepare=_prepare(visit, at),
        may_change=may_change(visit, at),
    )


def _state(visit: Appointment, at: datetime) -> str:
    named = {
        AppointmentStatus.CANCELLED: "cancelled",
        AppointmentStatus.NOSHOW: "missed",
        AppointmentStatus.FULFILLED: "over",
    }
    if visit.status in named:
        return named[AppointmentStatus(visit.status)]
    if at >= visit.ends_at:
        return "over"
    if visit.status == AppointmentStatus.ARRIVED:
        return "here"
    return "held" if visit.status == AppointmentStatus.PROPOSED else "coming"


def _prepare(visit: Appointment, at: datetime) -> list[str]:
    """Return what messages about this visit have told the patient to do so far, each line once, latest message last.

    What is not due yet is not told early: a step may change until its day.
    """
    if visit.status not in (AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED):
        return []
    told = (
        Message.objects.filter(about=visit.about, patient=visit.patient, due_at__lte=at)
        .exclude(status=MessageStatus.SUPERSEDED)
        .order_by("due_at", "id")
    )
    lines = [line for message in told for line in message.context.get("do_now", ()) if isinstance(line, str)]
    return list(dict.fromkeys(lines))


# --- changing it ------------------------------------------------------------------------------------------------------


def may_change(visit: Appointment, at: datetime) -> bool:
    """Return True while the patient may move or cancel the visit alone."""
    return visit.status == AppointmentStatus.BOOKED and is_in_time(
        visit.starts_at, visit.location.change_notice_hours, at
    )


def may_choose(visit: Appointment, starts_at: datetime, at: datetime) -> bool:
    """Return True for a time a patient may ask for; whether it is free is for booking to say."""
    return is_choosable(starts_at, visit.location.change_notice_hours, visit.location.zone, at)


@dataclass(frozen=True)
class FreeDay:
    """A local day with the times at which the visit could be."""

    day: date
    times: list[tuple[datetime, str]]


def free_days(visit: Appointment, at: datetime) -> list[FreeDay]:
    """Return when the visit could be instead, with the same practitioner, in the next 30 days; days with none left out.

    Not before the first date on which the skin may be treated again, nor so soon that no time is left to prepare.
    """
    location = visit.location
    modality = visit.course.modality if visit.course else ""
    first, last = offered_days(location.zone, at)
    if visit.type.kind == VisitKind.TREATMENT and modality:
        first = max(first, earliest_next(visit.patient, modality)[0] or first)
    # An earlier day than its own must leave time to prepare; on a later one the patient is preparing already.
    stands_on = visit.starts_at.astimezone(location.zone).date()
    first = max(first, min(stands_on, prepared_from(at.astimezone(location.zone).date(), visit.type.lead_days)))
    if first > last:
        return []
    starts = free_times(
        type=visit.sized_type,
        location=location,
        first=first,
        last=last,
        practitioners=[visit.practitioner_id],
        devices=[device.pk for device in devices_for(location, visit.type, modality)],
        not_before=at,
        leaving_out=visit.pk,
    )
    return by_day(
        (
            start.starts_at
            for start in starts
            if start.starts_at != visit.starts_at and may_choose(visit, start.starts_at, at)
        ),
        location.zone,
    )


def by_day(starts: Iterable[datetime], zone: ZoneInfo) -> list[FreeDay]:
    """Return the times by local day, each once, in the order they come."""
    days: dict[date, list[tuple[datetime, str]]] = {}
    for starts_at in dict.fromkeys(starts):
        days.setdefault(starts_at.astimezone(zone).date(), []).append((starts_at, clock_label(starts_at, zone)))
    return [FreeDay(day, times) for day, times in days.items()]


def visit_behind(link: SecureLink) -> Appointment | None:
    """Return the visit a link is about, if it is the same patient's and was not entered in error."""
    visit = _visit_about(link.about)
    if visit is None or visit.patient_id != link.patient_id or visit.status == AppointmentStatus.ENTERED_IN_ERROR:
        return None
    return visit


def _visit_about(about: str) -> Appointment | None:
    try:
        ref = uuid.UUID(about.removeprefix("appointment:"))
    except ValueError:
        return None
    return (
        Appointment.objects.select_related("location", "patient", "practitioner", "type", "course")
        .filter(ref=ref)
        .first()
    )
