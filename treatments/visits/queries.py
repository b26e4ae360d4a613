"""A visit as the patient has it in hand."""

from __future__ import annotations

import uuid
from email.utils import parseaddr

from django.conf import settings

from patients.messaging.difference import CANCELLED, CONFIRMATION, CORRECTION
from patients.messaging.enclosures import CalendarFile
from patients.messaging.models import Message
from treatments.booking.models import Appointment
from treatments.booking.states import CLAIMING
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


def _visit_about(about: str) -> Appointment | None:
    try:
        ref = uuid.UUID(about.removeprefix("appointment:"))
    except ValueError:
        return None
    return Appointment.objects.select_related("location").filter(ref=ref).first()
