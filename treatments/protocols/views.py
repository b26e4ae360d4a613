"""The rehearsal of a care protocol: every message of a journey on a sample visit, before any patient gets one."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from clinic.packfile import PackError
from clinic.premises.models import Location
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.messaging.rendering import Unwritable
from treatments.protocols.forms import RehearsalForm
from treatments.protocols.queries import rehearsable, rehearsed


@require_safe
@staff(Permission.SEE_MESSAGES)
def rehearsal(request: StaffRequest) -> HttpResponse:
    """Every message of a protocol around a sample visit, as it would read. Nothing is stored or sent."""
    location = request.location
    if not request.GET or location is None:
        return render(request, "treatments/protocols/rehearsal.html", {"form": _first_form(location)})
    form = RehearsalForm(request.GET)
    rows = None
    if form.is_valid():
        given = form.cleaned_data
        try:
            rows = rehearsed(given["protocol"], given["visit"], given["zone"], location)
        except (PackError, Unwritable) as error:
            form.add_error("protocol", str(error))
    context = {"form": form, "rows": rows}
    return render(request, "treatments/protocols/rehearsal.html", context, status=422 if rows is None else 200)


def _first_form(location: Location | None) -> RehearsalForm:
    zone = location.time_zone if location else "UTC"
    day = timezone.now().date() + timedelta(days=70)
    first = rehearsable().first()
    return RehearsalForm(
        initial={"protocol": first.ref if first else None, "visit": datetime.combine(day, time(10)), "zone": zone}
    )
