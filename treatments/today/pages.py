"""What the day's pages share: which day, whether names are hidden, and looking again without a new answer."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from clinic.staff.http import StaffRequest
from patients.registry.models import Patient
from treatments.booking.pages import asked_day, local_today

PRIVATE = "private"  # session key: names are hidden while others can see the screen


def is_private(request: StaffRequest) -> bool:
    """Return True while names are hidden from those who can see the screen."""
    return bool(request.session.get(PRIVATE))


def shown_name(request: StaffRequest, patient: Patient) -> str:
    """Return the patient's name, or initials while names are hidden."""
    if not is_private(request):
        return patient.full_name
    return " ".join(f"{part[0]}." for part in (patient.given_name, patient.family_name) if part)


def shown_day(request: StaffRequest) -> date:
    """Return the day the page shows: the asked one, else today."""
    return asked_day(request.GET.get("day", "")) or local_today(request)


def day_context(request: StaffRequest, day: date) -> dict[str, Any]:
    """Return what the row of days needs."""
    monday, now = day - timedelta(days=day.weekday()), local_today(request)
    return {
        "day": day,
        "week": [monday + timedelta(days=each) for each in range(7)],
        "before": day - timedelta(days=1),
        "after": day + timedelta(days=1),
        "week_before": day - timedelta(days=7),
        "week_after": day + timedelta(days=7),
        "today": now,
        "is_today": day == now,
        "private": is_private(request),
    }


def unless_same(request: StaffRequest, etag: str, template: str, context: dict[str, Any]) -> HttpResponse:
    """Return the fragment, or 304 to a page that shows it already."""
    same = request.headers.get("If-None-Match") == etag
    response = HttpResponse(status=304) if same else render(request, template, context)
    response["ETag"] = etag
    return response
