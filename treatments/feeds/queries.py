"""Visits as they leave the house: a practitioner's calendar, and the clinic's table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from django.db.models import OuterRef, Q, Subquery

from clinic.premises.models import Location
from clinic.staff.models import Practitioner
from patients.registry.models import PatientContact
from treatments.booking.models import Appointment
from treatments.booking.rules import clock_label, day_bounds
from treatments.booking.states import CLAIMING, AppointmentStatus
from treatments.feeds.models import CalendarFeed
from treatments.feeds.rules import AHEAD, BACK, phone_cell, safe_cell
from treatments.visits.rules import Entry, calendar_text

COLUMNS = (
    "Date", "Time", "Ends", "Place", "Visit", "Practitioner", "Room", "Device", "Status", "Confirmed",
    "Cancelled because", "Booked online", "Family name", "First name", "Born", "Email", "Phone", "Note", "Visit ID",
)  # fmt: skip


def feed_of_token(token: str) -> CalendarFeed | None:
    """Return the feed of a token if it is open. Only the hash is looked up: how long it takes tells nothing of it."""
    digest = hashlib.sha256(token.encode()).digest()
    return CalendarFeed.objects.open().select_related("practitioner").filter(token_hash=digest).first()


def open_feed_of(practitioner: Practitioner) -> CalendarFeed | None:
    """Return the practitioner's feed that answers now, None if there is none."""
    return CalendarFeed.objects.filter(practitioner=practitioner, revoked_at=None).first()


def calendar_of(practitioner: Practitioner, at: datetime, *, site: str) -> str:
    """Return the practitioner's visits as a calendar file: when and where, and an address that asks for a sign-in.

    No patient's name, not even initials: the file lies on servers of others for good, and with the hour and the place
    initials are enough to know a neighbour by. No treatment either. Whoever needs them opens the visit's page.
    """
    rows = (
        Appointment.objects.filter(practitioner=practitioner, starts_at__gte=at - BACK, starts_at__lt=at + AHEAD)
        .exclude(status=AppointmentStatus.ENTERED_IN_ERROR)
        .select_related("location", "room")
        .order_by("starts_at", "id")
    )
    return calendar_text((_entry(visit, site) for visit in rows), method="PUBLISH", name="Afterglow")


def _entry(visit: Appointment, site: str) -> Entry:
    """A visit that is off stays, as cancelled: a program that only ever adds would show it for ever otherwise."""
    off = visit.status not in CLAIMING
    held = visit.status == AppointmentStatus.PROPOSED
    return Entry(
        uid=f"{visit.ref}.feed@afterglow",
        sequence=visit.version - 1,  # grows with every change: never lower for what is newer
        starts_at=visit.starts_at,
        ends_at=visit.ends_at,
        stamped_at=visit.changed_at,
        summary="Held" if held else "Visit",
        place=", ".join(part for part in (visit.location.name, visit.room.name if visit.room else "") if part),
        description=f"{site}/visits/{visit.ref}/",
        is_cancelled=off,
        is_tentative=held,
    )


def table_of(places: Sequence[Location], first: date, last: date) -> Iterator[list[str]]:
    """Yield the visits of the local days at the places, a row each under its headings; cells are safe to open."""
    yield list(COLUMNS)
    for place in places:
        opens, closes = day_bounds(first, place.zone)[0], day_bounds(last, place.zone)[1]
        rows = (
            Appointment.objects.filter(location=place, starts_at__gte=opens, starts_at__lt=closes)
            .select_related("patient", "type", "practitioner", "room", "device")
            .annotate(email=_reached("email"), phone=_reached("phone"))
            .order_by("starts_at", "id")
        )
        for visit in rows.iterator(chunk_size=500):
            yield _row(visit, place)


def _reached(kind: str) -> Subquery:
    now = PatientContact.objects.filter(Q(until_at=None), patient=OuterRef("patient"), point__kind=kind)
    return Subquery(now.order_by("-since_at", "-id").values("point__value")[:1])


def _row(visit: Appointment, place: Location) -> list[str]:
    starts, patient = visit.starts_at.astimezone(place.zone), visit.patient
    facts = [
        f"{starts:%Y-%m-%d}",
        clock_label(visit.starts_at, place.zone),
        clock_label(visit.ends_at, place.zone),
        place.name,
        str(visit.type),
        str(visit.practitioner),
        str(visit.room or ""),
        str(visit.device or ""),
        visit.get_status_display(),
        "yes" if visit.confirmed_at else "",
        visit.get_cancel_reason_display() if visit.cancel_reason else "",
        "yes" if visit.booked_online else "",
        patient.family_name,
        patient.given_name,
        patient.born_on.isoformat(),
        getattr(visit, "email", None) or "",
    ]
    phone = phone_cell(getattr(visit, "phone", None) or "")
    return [*map(safe_cell, facts), phone, safe_cell(visit.note), str(visit.ref)]
