"""The diary: a day or a week as a grid, and what is dragged on it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from clinic.audit.states import Refused
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from treatments.booking.actions import move_appointment
from treatments.booking.models import Appointment
from treatments.booking.pages import nowhere, visible_visit
from treatments.booking.resizing import resize_appointment
from treatments.booking.rules import Kind, clock_label
from treatments.booking.states import StaleVersion
from treatments.diary.cells import Cells, legend
from treatments.diary.forms import DropForm, ResizeForm
from treatments.diary.grid import Diary, diary_of
from treatments.diary.week import things_at, week_of
from treatments.today.pages import day_context, is_private, shown_day, shown_name, unless_same

KINDS: tuple[tuple[Kind, str], ...] = (("practitioner", "Clinician"), ("room", "Room"), ("device", "Device"))


@staff(Permission.SEE_TODAY)
@require_safe
def diary(request: StaffRequest) -> HttpResponse:
    """A day as a grid, a column for each clinician, room or device."""
    if request.location is None:
        return nowhere(request)
    return render(request, "treatments/diary/diary.html", _grid_context(request))


@staff(Permission.SEE_TODAY)
@require_safe
def diary_grid(request: StaffRequest) -> HttpResponse:
    """The grid alone, for pages that look again; 304 while nothing has changed."""
    if request.location is None:
        return HttpResponse(status=204)
    context = _grid_context(request)
    return unless_same(request, context["diary"].etag, "treatments/diary/_grid.html", context)


def _drawn(request: StaffRequest, shown: Diary) -> dict[str, Any]:
    """Return the grid for its template. It is drawn when the page is written: a 304 draws nothing.

    A page that looks again says which columns it shows, and is sent the others.
    """
    cells = Cells(may_book=request.user.may(Permission.BOOK))
    has = frozenset(request.headers.get("X-Shown", "").split(","))
    return {"diary": shown, "axis": partial(cells.axis, shown), "columns": cells.drawn(shown, has)}


def _grid_context(request: StaffRequest) -> dict[str, Any]:
    day, by = shown_day(request), request.GET.get("by", "practitioner")
    kind: Kind = next((key for key, _label in KINDS if key == by), "practitioner")
    shown = diary_of(request.location, day, kind, timezone.now(), private=is_private(request))
    return {
        **day_context(request, day),
        **_drawn(request, shown),
        "kinds": KINDS,
        "legend": legend(get_language() or ""),
    }


@staff(Permission.SEE_TODAY)
@require_safe
def diary_week(request: StaffRequest) -> HttpResponse:
    """A week of one clinician, room or device, a column a day."""
    if request.location is None:
        return nowhere(request)
    return render(request, "treatments/diary/week.html", _week_context(request))


@staff(Permission.SEE_TODAY)
@require_safe
def diary_week_grid(request: StaffRequest) -> HttpResponse:
    """The week's grid alone, for pages that look again; 304 while nothing has changed."""
    if request.location is None:
        return HttpResponse(status=204)
    context = _week_context(request)
    return unless_same(request, context["etag"], "treatments/diary/_grid.html", context)


def _week_context(request: StaffRequest) -> dict[str, Any]:
    day, by = shown_day(request), request.GET.get("by", "practitioner")
    kind: Kind = next((key for key, _label in KINDS if key == by), "practitioner")
    things = things_at(request.location, kind)
    asked = request.GET.get("ref", "")
    thing = next((each for each in things if str(each.ref) == asked), things[0] if things else None)
    monday = day - timedelta(days=day.weekday())
    context = {**day_context(request, day), "kinds": KINDS, "by": kind, "things": things, "thing": thing, "etag": ""}
    context["legend"] = legend(get_language() or "")
    if thing is None:
        return context
    shown = week_of(request.location, monday, thing, kind, timezone.now(), private=is_private(request))
    return {**context, **_drawn(request, shown), "etag": shown.etag}


@staff(Permission.BOOK)
@require_POST
def appointment_drop(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A visit was dropped elsewhere on the grid. Says what came of it, with one button to take it back."""
    visit = visible_visit(request, ref)
    form = DropForm(request.POST, location=visit.location)
    if not form.is_valid():
        return _dropped(request, visit, refusal=next(iter(form.errors.values()))[0], status=422)
    back = {"starts_at": visit.starts_at, "practitioner": visit.practitioner, "room": visit.room}
    try:
        moved = move_appointment(
            appointment=visit,
            starts_at=form.cleaned_data["starts_at"],
            expected_version=form.cleaned_data["version"],
            practitioner=form.cleaned_data["practitioner"],
            room=form.cleaned_data["room"],
            device=form.cleaned_data["device"],
            by=request.actor,
            at=timezone.now(),
        )
    except StaleVersion as stale:
        return _dropped(request, visit, refusal=stale.for_people, status=409)
    except Refused as refused:
        return _dropped(request, visit, refusal=refused.for_people, status=422)
    back["device"] = visit.device if moved.appointment.device_id != visit.device_id else None
    return _dropped(request, moved.appointment, said=moved.sentence, back=back)


@staff(Permission.BOOK)
@require_POST
def appointment_resize(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A visit is longer or shorter: from the grid by its lower edge, or from the visit's page by number."""
    visit, form = visible_visit(request, ref), ResizeForm(request.POST)
    refusal, status = "", 422
    if form.is_valid():
        try:
            sized = resize_appointment(
                appointment=visit,
                minutes=form.cleaned_data["minutes"],
                expected_version=form.cleaned_data["version"],
                by=request.actor,
                at=timezone.now(),
            )
        except StaleVersion as stale:
            refusal, status = stale.for_people, 409
        except Refused as refused:
            refusal = refused.for_people
    else:
        refusal = str(next(iter(form.errors.values()))[0])
    if not refusal:
        end = clock_label(sized.ends_at, sized.location.zone)
        said = _("%(who)s: until %(time)s now.") % {"who": shown_name(request, sized.patient), "time": end}
        if request.htmx:
            return _dropped(request, sized, said=said, minutes=visit.sized_type.minutes_work)
        messages.success(request, said)
    elif request.htmx:
        return _dropped(request, visit, refusal=refusal, status=status)
    else:
        messages.error(request, refusal)
    return redirect("appointment", ref)


def _dropped(request: StaffRequest, visit: Appointment, status: int = 200, **more: Any) -> HttpResponse:
    context = {"visit": visit, "name": shown_name(request, visit.patient), **more}
    return render(request, "treatments/diary/_dropped.html", context, status=status)
