"""A patient's own visit, behind its secure link."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients.registry.access import LinkRequest, link
from patients.registry.states import LinkScope
from treatments.booking.models import Appointment
from treatments.visits.queries import entry_of, shown, visit_behind
from treatments.visits.rules import calendar_text


@require_safe
@link(LinkScope.VISIT)
def my_visit(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """When and where, what to prepare, and what has become of the visit."""
    visit = _visit(request)
    context = {"shown": shown(visit, timezone.now()), "location": visit.location, "link": request.link}
    return render(request, "treatments/visits/my_visit.html", context)


@require_safe
@link(LinkScope.VISIT)
def my_visit_calendar(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The visit as a file for the patient's calendar: when and where, never what for."""
    text = calendar_text([entry_of(_visit(request))], method="PUBLISH")
    answer = HttpResponse(text, content_type="text/calendar; charset=utf-8; method=PUBLISH")
    answer["Content-Disposition"] = 'attachment; filename="visit.ics"'
    return answer


def _visit(request: LinkRequest) -> Appointment:
    """Return the visit the link is about; 404 unless it is this patient's and was meant."""
    visit = visit_behind(request.link)
    if visit is None:
        raise Http404
    return visit
