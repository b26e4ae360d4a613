"""The day's list, each step of a visit by one click, and who is rung the day before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from clinic.audit.states import Refused
from clinic.staff.access import staff
from clinic.staff.actions import set_single_keys
from clinic.staff.http import StaffRequest, back_to
from clinic.staff.states import Permission
from treatments.booking.actions import accept_proposal, mark_arrived, mark_fulfilled, mark_noshow
from treatments.booking.flow import confirm_appointment, log_call, show_in, take_back
from treatments.booking.looks import LOOKS
from treatments.booking.models import Appointment
from treatments.booking.pages import asked_day, local_day, local_today, nowhere, visible_visit
from treatments.booking.queries import practitioners_at
from treatments.booking.rules import clock_label
from treatments.booking.states import UNDO
from treatments.today.confirming import to_ring
from treatments.today.forms import CallForm
from treatments.today.lines import counted, etag_of, line_of, lines_of
from treatments.today.pages import PRIVATE, day_context, is_private, shown_day, shown_name, unless_same
from treatments.today.queries import visits_of_day


@staff(Permission.SEE_TODAY)
@require_safe
def today(request: StaffRequest) -> HttpResponse:
    """Everybody who comes on a day, in order; a click says that they are here, done, or did not come."""
    if request.location is None:
        return nowhere(request)
    return render(request, "treatments/today/today.html", _list_context(request))


@staff(Permission.SEE_TODAY)
@require_safe
def today_list(request: StaffRequest) -> HttpResponse:
    """The list alone, for pages that look again; 304 while nothing has changed."""
    if request.location is None:
        return HttpResponse(status=204)
    context = _list_context(request)
    return unless_same(request, context["etag"], "treatments/today/_list.html", context)


def _list_context(request: StaffRequest) -> dict[str, Any]:
    at, day = timezone.now(), shown_day(request)
    people = practitioners_at(request.location)
    who = request.GET.get("who", "")
    visits = visits_of_day(request.location, day)
    chosen = next((person for person in people if str(person.ref) == who), None)
    if chosen is not None:
        visits = [visit for visit in visits if visit.practitioner_id == chosen.pk]
    lines = lines_of(visits, request.location, at, private=is_private(request))
    before_now = sum(line.visit.starts_at <= at for line in lines)
    return {
        **day_context(request, day),
        "lines": lines,
        "counted": counted(lines),
        "people": people,
        "who": str(chosen.ref) if chosen else "",
        "now_after": before_now if day == local_today(request) and before_now > 0 else None,
        "now_label": clock_label(at, request.location.zone),
        "etag": etag_of(lines, is_private(request)),
    }


@staff(Permission.SEE_TODAY)
@require_POST
def today_keys(request: StaffRequest) -> HttpResponse:
    """Single letters are shortcuts for this person from here on, or no longer."""
    set_single_keys(user=request.user, on="on" in request.POST, by=request.actor, at=timezone.now())
    return HttpResponse(status=204) if request.htmx else redirect(back_to(request, reverse("today")))


@staff(Permission.SEE_TODAY)
@require_POST
def today_privacy(request: StaffRequest) -> HttpResponse:
    """Names are initials on the day's pages from here on, or names again."""
    request.session[PRIVATE] = not is_private(request)
    return redirect(back_to(request, reverse("today")))


@staff(Permission.BOOK)
@require_safe
def confirmations(request: StaffRequest) -> HttpResponse:
    """Who to ring: tomorrow's visits with telephone, last message and last call; another day by `day`."""
    if request.location is None:
        return nowhere(request)
    day = asked_day(request.GET.get("day", "")) or local_today(request) + timedelta(days=1)
    rows = to_ring(request.location, day, timezone.now(), private=is_private(request))
    context = {
        **day_context(request, day),
        "rows": rows,
        "open": sum(row.is_open for row in rows),
        "is_tomorrow": day == local_today(request) + timedelta(days=1),
    }
    return render(request, "treatments/today/confirmations.html", context)


@staff(Permission.BOOK)
@require_POST
def appointment_called(request: StaffRequest, ref: UUID) -> HttpResponse:
    """What came of a call; htmx gets the row of the confirmation list, a browser without it the list."""
    visit, form, refusal = visible_visit(request, ref), CallForm(request.POST), ""
    if form.is_valid():
        try:
            log_call(appointment=visit, **form.cleaned_data, by=request.actor, at=timezone.now())
        except Refused as refused:
            refusal = refused.for_people
    else:
        refusal = str(next(iter(form.errors.values()))[0])
    day = local_day(visit.starts_at, visit.location)
    if request.htmx:
        rows = to_ring(visit.location, day, timezone.now(), private=is_private(request))
        row = next((each for each in rows if each.visit.ref == visit.ref), None)
        kept = request.POST.get("note", "") if refusal else ""
        context = {"row": row, "refusal": refusal, "kept": kept, "acted": True, "private": is_private(request)}
        return render(request, "treatments/today/_ring.html", context, status=422 if refusal else 200)
    if refusal:
        messages.error(request, refusal)
    return redirect(f"{reverse('confirmations')}?day={day:%Y-%m-%d}")


Act = Callable[..., Appointment]


@staff(Permission.BOOK)
@require_POST
def appointment_arrived(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The patient is here."""
    return _act(request, ref, mark_arrived)


@staff(Permission.BOOK)
@require_POST
def appointment_noshow(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The patient did not come."""
    return _act(request, ref, mark_noshow)


@staff(Permission.BOOK)
@require_POST
def appointment_done(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A visit without a treatment record took place. One with a course ends on its session page."""
    visit = visible_visit(request, ref)
    if visit.course is not None:
        messages.error(request, _("A treatment ends on its record’s page."))
        return redirect("appointment", ref)
    return _act(request, ref, mark_fulfilled)


@staff(Permission.BOOK)
@require_POST
def appointment_accept(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A time that was held is the patient's visit."""
    return _act(request, ref, accept_proposal)


@staff(Permission.BOOK)
@require_POST
def appointment_confirmed(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The patient has said that they will come."""
    return _act(request, ref, confirm_appointment)


@staff(Permission.BOOK)
@require_POST
def appointment_in_room(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The patient is shown in."""
    return _act(request, ref, show_in)


@staff(Permission.BOOK)
@require_POST
def appointment_undo(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The last step was marked by mistake: confirmed, in the room, arrived or no-show."""
    visit = visible_visit(request, ref)
    return _act(request, ref, partial(take_back, step=request.POST.get("step") or visit.step))


def _act(request: StaffRequest, ref: UUID, act: Act) -> HttpResponse:
    """Do it; htmx gets the row as it is now, a browser without it goes back to where it was."""
    visit, refusal = visible_visit(request, ref), ""
    try:
        act(appointment=visit, by=request.actor, at=timezone.now())
    except Refused as refused:
        refusal = refused.for_people
    if request.htmx and request.POST.get("row"):
        return _row(request, visit, refusal)
    if request.htmx and request.POST.get("notice"):
        return _notice(request, visible_visit(request, ref), refusal)
    if refusal:
        messages.error(request, refusal)
    return redirect(back_to(request, reverse("appointment", args=[ref])))


def _notice(request: StaffRequest, visit: Appointment, refusal: str) -> HttpResponse:
    """Say on the diary what came of a step, with one button to take it back where it can be."""
    context = {
        "visit": visit,
        "name": shown_name(request, visit.patient),
        "look": LOOKS[visit.step],
        "refusal": refusal,
        "can_undo": visit.status in UNDO,
    }
    return render(request, "treatments/today/_acted.html", context, status=422 if refusal else 200)


def _row(request: StaffRequest, visit: Appointment, refusal: str) -> HttpResponse:
    day = local_day(visit.starts_at, visit.location)
    shown = next(each for each in visits_of_day(visit.location, day) if each.ref == visit.ref)
    line = line_of(shown, visit.location, timezone.now(), private=is_private(request))
    context = {"line": line, "refusal": refusal, "is_today": day == local_today(request), "acted": True}
    return render(request, "treatments/today/_line.html", context)
