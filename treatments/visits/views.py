"""A patient's own visit, behind its secure link."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.audit.states import Refused
from clinic.premises.models import Location
from clinic.transitions import IllegalMove
from patients.registry.access import LinkRequest, link
from patients.registry.states import LinkScope
from treatments.booking.models import Appointment
from treatments.booking.states import SlotTaken, StaleVersion
from treatments.visits.actions import (
    ask_for_sooner,
    cancel_own_visit,
    confirm_own_visit,
    move_own_visit,
    no_longer_sooner,
)
from treatments.visits.forms import InstantField, OwnCancelForm, OwnConfirmForm, OwnMoveForm
from treatments.visits.queries import FreeDay, entry_of, free_days, shown, visit_behind
from treatments.visits.rules import calendar_text
from treatments.visits.states import NotOffered, NotSooner, TooLate
from treatments.waitlist.queries import waits_sooner

NEXT_FREE = 6


@require_safe
@link(LinkScope.VISIT)
def my_visit(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """When and where, what to prepare, and what has become of the visit."""
    visit = _visit(request)
    context = {"shown": shown(visit, timezone.now()), "location": visit.location, "link": request.link}
    context["waits_sooner"] = waits_sooner(visit)
    return render(request, "treatments/visits/my_visit.html", context)


@require_safe
@link(LinkScope.VISIT)
def my_visit_calendar(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The visit as a file for the patient's calendar: when and where, never what for."""
    text = calendar_text([entry_of(_visit(request))], method="PUBLISH")
    answer = HttpResponse(text, content_type="text/calendar; charset=utf-8; method=PUBLISH")
    answer["Content-Disposition"] = 'attachment; filename="visit.ics"'
    return answer


@require_POST
@link(LinkScope.VISIT)
def my_visit_confirm(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The patient will come; not to a visit that the clinic changed since the page was loaded."""
    form = OwnConfirmForm(request.POST)
    if form.is_valid():
        version = form.cleaned_data["version"]
        try:
            confirm_own_visit(
                appointment=_visit(request), expected_version=version, by=request.actor, at=timezone.now()
            )
        except StaleVersion:
            messages.warning(request, _changed_meanwhile())
        except IllegalMove:
            pass  # the page says what has become of it
        else:
            messages.success(request, _("Thank you. We expect you."))
    return redirect("my_visit", ref)


@require_POST
@link(LinkScope.VISIT)
def my_visit_sooner(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """An earlier time, please; or no longer."""
    visit, at = _visit(request), timezone.now()
    try:
        if request.POST.get("ask") == "no":
            no_longer_sooner(appointment=visit, by=request.actor, at=at)
            messages.success(request, _("You keep your time. We will not write about earlier ones."))
        else:
            ask_for_sooner(appointment=visit, by=request.actor, at=at)
            messages.success(request, _("We write to you when an earlier time is free. You keep yours until then."))
    except NotSooner as refused:
        messages.warning(request, refused.for_people)
    except IllegalMove:
        pass  # an offer was taken at this very moment: the page says what is true now
    return redirect("my_visit", ref)


@require_http_methods(["GET", "HEAD", "POST"])
@link(LinkScope.VISIT)
def my_visit_cancel(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """Cancel, with a reason. 409 when the clinic changed the visit since the page was loaded."""
    visit, at = _visit(request), timezone.now()
    now = shown(visit, at)
    if not now.is_coming:
        return redirect("my_visit", ref)
    form, status = OwnCancelForm(initial={"version": visit.version}), 200
    if request.method == "POST":
        form, status = OwnCancelForm(request.POST), 422
        if form.is_valid():
            told = form.cleaned_data
            try:
                cancel_own_visit(
                    appointment=visit,
                    expected_version=told["version"],
                    reason=told["reason"],
                    by=request.actor,
                    at=at,
                )
                return redirect("my_visit", ref)
            except StaleVersion:
                form, status = OwnCancelForm(_as_it_is_now(request, visit)), 409
                form.add_error(None, _changed_meanwhile())
            except TooLate as late:
                form.refuse(late)
    context = {"form": form, "shown": now, "location": visit.location, "link": request.link}
    return render(request, "treatments/visits/cancel.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@link(LinkScope.VISIT)
def my_visit_move(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """Choose another time. 409 when the clinic changed the visit since the page was loaded."""
    visit, at = _visit(request), timezone.now()
    now = shown(visit, at)
    if not now.is_coming:
        return redirect("my_visit", ref)
    form, status, taken = OwnMoveForm(initial={"version": visit.version}), 200, False
    if request.method == "POST":
        form, status = OwnMoveForm(request.POST), 422
        if form.is_valid():
            told = form.cleaned_data
            try:
                move_own_visit(
                    appointment=visit,
                    starts_at=told["starts_at"],
                    expected_version=told["version"],
                    by=request.actor,
                    at=at,
                )
                messages.success(request, _("Your visit is at the new time now."))
                return redirect("my_visit", ref)
            except StaleVersion:
                form, status = OwnMoveForm(_as_it_is_now(request, visit)), 409
                form.add_error(None, _changed_meanwhile())
            except SlotTaken:
                taken = True
                form.add_error("starts_at", _("That time has just been taken. These are the next free times."))
            except (TooLate, NotOffered) as refused:
                form.refuse(refused)
            except Refused:
                # The desk's sentence may tell what is nobody's business on a phone: leave, devices, decisions.
                form.add_error("starts_at", _("That time is not possible. Please choose another one, or call us."))
    days = free_days(visit, at) if now.may_change else []
    context = _choice(request, visit.location, days, taken=taken) | {
        "form": form,
        "shown": now,
        "location": visit.location,
        "link": request.link,
    }
    return render(request, "treatments/visits/move.html", context, status=status)


def _choice(request: LinkRequest, place: Location, days: list[FreeDay], *, taken: bool) -> dict[str, Any]:
    """Return the days, the one shown, and what was chosen; the next free times where the chosen one was taken."""
    chosen = _typed_time(request)
    asked = request.GET.get("day") or request.POST.get("day") or ""
    try:
        wanted = parse_date(asked)
    except ValueError:
        wanted = None
    if wanted is None and chosen:
        wanted = chosen.astimezone(place.zone).date()
    one = next((each for each in days if each.day == wanted), None) or (days[0] if days and not wanted else None)
    later: list[Any] = []
    if taken and chosen:
        later = [(each.day, *time) for each in days for time in each.times if time[0] >= chosen][:NEXT_FREE]
    return {"days": days, "one": one, "chosen": chosen, "next_free": later}


def _typed_time(request: LinkRequest) -> datetime | None:
    try:
        return InstantField().clean(request.POST.get("starts_at", ""))
    except ValidationError:
        return None


def _as_it_is_now(request: LinkRequest, visit: Appointment) -> QueryDict:
    """Return what was sent with the visit's present version: sending it again means it."""
    sent = request.POST.copy()
    sent["version"] = str(visit.version)
    return sent


def _changed_meanwhile() -> str:
    return _("We changed this visit meanwhile. Please read again when it is before you go on.")


def _visit(request: LinkRequest) -> Appointment:
    """Return the visit the link is about; 404 unless it is this patient's and was meant."""
    visit = visit_behind(request.link)
    if visit is None:
        raise Http404
    return visit
