"""What the desk's pages of visits share: the visit somebody may see, the day asked for, words for a moment."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.dateparse import parse_date

from clinic.premises.models import Location
from clinic.staff.http import StaffRequest
from treatments.booking.models import Appointment
from treatments.booking.rules import clock_label


def visible_visit(request: StaffRequest, ref: UUID) -> Appointment:
    """Return the visit with all its page shows; 404 if it is not theirs to see."""
    rows = Appointment.objects.visible_to(request.user).select_related(
        "patient__location", "type", "location", "course", "practitioner", "room", "device", "override_by"
    )
    return get_object_or_404(rows, ref=ref)


def nowhere(request: StaffRequest) -> HttpResponse:
    """Say that nobody has given this person a place to work at yet."""
    return render(request, "treatments/booking/nowhere.html")


def local_day(at: datetime, location: Location) -> date:
    """Return the day it is at the location."""
    return at.astimezone(location.zone).date()


def local_today(request: StaffRequest) -> date:
    """Return the day it is where the person works."""
    return local_day(timezone.now(), request.location)


def asked_day(text: str) -> date | None:
    """Return the day an address names, None for anything else."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    # A year before and after is all a diary is asked for; it also keeps day arithmetic within the calendar.
    return day if day and date(2000, 1, 1) <= day <= date(2100, 1, 1) else None


def moment_words(at: datetime, location: Location) -> str:
    """Return a moment as the desk says it: day and time on the wall."""
    local = at.astimezone(location.zone)
    return f"{local:%a} {local.day} {local:%b}, {clock_label(at, location.zone)}"


def when_words(visit: Appointment) -> str:
    """Return when the visit begins, in words."""
    return moment_words(visit.starts_at, visit.location)
