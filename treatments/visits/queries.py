"""A visit as the patient has it in hand: in the calendar and on their own page."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parseaddr

from django.conf import settings

from patients.messaging.difference import CANCELLED, CONFIRMATION, CORRECTION
from patients.messaging.enclosures import CalendarFile
from patients.messaging.models import Message
from patients.messaging.states import MessageStatus
from patients.registry.models import SecureLink
from treatments.booking.models import Appointment
from treatments.booking.rules import clock_label
from treatments.booking.states import CLAIMING, AppointmentStatus
from treatments.visits.rules import Entry, Person, calendar_text

_CARRIERS = frozenset({CONFIRMATION, CORRECTION, CANCELLED})


def calendar_file(message: Message, to: str) -> CalendarFile | None:
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
