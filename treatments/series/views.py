"""The desk's pages for a whole course: all dates at once, and moving one with those after it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from clinic.catalogue.models import Modality
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from treatments.booking.forms import parse_start
from treatments.booking.models import Appointment
from treatments.booking.queries import practitioners_at
from treatments.booking.rules import clock_label
from treatments.courses.models import Course
from treatments.courses.states import CourseStatus
from treatments.series.actions import Move, Result, book_series, shift_series
from treatments.series.forms import ShiftForm, WantedForm
from treatments.series.queries import (
    Pick,
    booked_sessions,
    earliest_of_series,
    later_visits,
    proposed_series,
    sessions_to_plan,
    shift_plan,
)
from treatments.series.rules import days_between

MOST = 20  # sessions of a course


@staff(Permission.BOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def series(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Every session without a date gets one to look at; POST books all, or holds them, each with its result."""
    rows = Course.objects.visible_to(request.user).select_related("patient__location")
    course = get_object_or_404(rows, ref=ref)
    place, at = course.patient.location, timezone.now()
    people = practitioners_at(place, course.modality)
    results: list[Result] = []
    if "count" in request.POST:  # the dates again, counted on from those picked; a page to come back to
        kept = {name: request.POST.getlist(name) for name in (*WantedForm.base_fields, "pick")}
        return redirect(f"{request.path}?{urlencode(kept, doseq=True)}")
    if request.method == "POST":
        picks = [each for each in _picks(request.POST.getlist("pick"), people) if each is not None]
        results = book_series(
            course=course,
            location=place,
            picks=picks[: sessions_to_plan(course) or MOST],
            only_hold="hold" in request.POST,
            form_key=_key(request.POST.get("form_key", "")),
            by=request.actor,
            at=at,
        )
        if results and all(each.visit for each in results):
            messages.success(request, _all_done(len(results), held="hold" in request.POST))
            return redirect("patient_chart", course.patient.ref)
    today = at.astimezone(place.zone).date()
    earliest, _why = earliest_of_series(course, place, today)
    form = WantedForm(request.GET, course=course, people=people, earliest=earliest, today=today)
    picked = _picks(request.GET.getlist("pick"), people)
    is_open = course.status == CourseStatus.ACTIVE
    context = {
        "course": course,
        "patient": course.patient,
        "modality": Modality.objects.get(key=course.modality),
        "form": form,
        "place": place,
        "is_open": is_open,
        "booked": [(each, _local(each.starts_at, each.location)) for each in booked_sessions(course)],
        "sessions": proposed_series(course, place, form.wanted, picked, at) if is_open else [],
        "left": sessions_to_plan(course),
        "results": [(each, _local(each.starts_at, place)) for each in results],
        "form_key": uuid.uuid4(),
    }
    refused = form.errors or any(each.visit is None for each in results) or request.method == "POST"
    return render(request, "treatments/series/series.html", context, status=422 if refused else 200)


def _all_done(count: int, *, held: bool) -> str:
    if held:
        said = ngettext("%(n)s session is held. Nobody was told.", "%(n)s sessions are held. Nobody was told.", count)
    else:
        said = ngettext("%(n)s session is booked.", "%(n)s sessions are booked.", count)
    return said % {"n": count}


def _picks(values: list[str], people: list[Any]) -> list[Pick | None]:
    """Return the picks that were sent, None for each that makes no sense."""
    by_ref = {each.ref: each for each in people}
    found: list[Pick | None] = []
    for value in values[:MOST]:
        start = parse_start(value)
        person = by_ref.get(start[1]) if start else None
        found.append(Pick(start[0], person) if start and person else None)
    return found


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return uuid.uuid4()


# --- moving one with those after it ---------------------------------------------------------------------------------


@staff(Permission.BOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def series_shift(request: StaffRequest, ref: UUID) -> HttpResponse:
    """What moving a visit, or having moved it, means for those after it: old and new side by side, one confirm."""
    visit, at = _visible(request, ref), timezone.now()
    zone, results = visit.location.zone, []
    if request.method == "POST":
        moves = _moves(request, visit)
        results = list(zip(moves, shift_series(moves=moves, by=request.actor, at=at), strict=True))
        if results and all(each.visit for _, each in results):
            count = len(results)
            said = ngettext("%(n)s visit is moved.", "%(n)s visits are moved.", count)
            messages.success(request, said % {"n": count} + " " + _("Their messages follow."))
            return redirect("appointment", ref)
        visit = _visible(request, ref)
    was = _instant(request.GET.get("was", "").partition("~")[0])
    wall = visit.starts_at.astimezone(zone)
    initial = {"to_day": wall.date(), "to_time": wall.time()}
    form = ShiftForm(request.GET if "to_day" in request.GET else None, initial=initial)
    plan = None
    if was is not None:
        plan = shift_plan(visit, days_between(was, visit.starts_at, zone), None, moved_from=was, at=at)
    elif form.is_bound and form.is_valid():
        to = form.starts_at(zone)
        plan = shift_plan(visit, days_between(visit.starts_at, to, zone), to, moved_from=None, at=at)
    context = {
        "visit": visit,
        "patient": visit.patient,
        "form": form,
        "moved_from": was,
        "rows": [(each, _local(each.visit.starts_at, visit.location), each.new and _local(each.new, visit.location))
                 for each in plan] if plan is not None else None,
        "rest": len(later_visits(visit, was or visit.starts_at)),
        "results": [(move.visit, each, _local(each.starts_at, visit.location)) for move, each in results],
    }  # fmt: skip
    status = 422 if form.errors or request.method == "POST" else 200
    return render(request, "treatments/series/shift.html", context, status=status)


def _visible(request: StaffRequest, ref: UUID) -> Appointment:
    rows = Appointment.objects.visible_to(request.user).select_related(
        "patient__location", "location", "practitioner", "type", "course", "room", "device"
    )
    return get_object_or_404(rows, ref=ref)


def _moves(request: StaffRequest, visit: Appointment) -> list[Move]:
    """Return the moves that were confirmed, of this visit and others of its course only."""
    mine = Appointment.objects.filter(pk=visit.pk)
    if visit.course is not None:
        mine = mine | Appointment.objects.filter(course=visit.course)
    known = {
        str(each.ref): each for each in mine.select_related("patient", "location", "practitioner", "type", "course")
    }
    found = []
    for value in request.POST.getlist("move")[: MOST * 2]:
        ref, _tilde, rest = value.partition("~")
        version, _tilde, when = rest.partition("~")
        starts_at = _instant(when)
        if ref in known and version.isdecimal() and starts_at is not None:
            found.append(Move(known[ref], int(version), starts_at))
    return found


def _instant(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _local(at: datetime, place: Any) -> str:
    local = at.astimezone(place.zone)
    return f"{local:%A} {local.day} {local:%B %Y}, {clock_label(at, place.zone)}"
