"""Booking a consultation from the public pages, without an account: where and what, when, who, done.

Every answer is the same whether or not somebody is on record, and no page shows anything about anyone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from clinic.audit.states import Refused
from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Location
from clinic.staff.access import public
from patients.registry.states import Language
from treatments.booking.rules import clock_label
from treatments.online.actions import Visitor, book_consultation
from treatments.online.forms import DetailsForm
from treatments.online.queries import free_days, may_choose, open_kinds, open_places
from treatments.online.states import TooMany
from treatments.visits.forms import InstantField
from treatments.visits.queries import FreeDay

BOOKED = "booked_online"  # session key: what the last page tells, a time and a place
NEXT_FREE = 6


@public
@never_cache
@require_safe
def online(request: HttpRequest) -> HttpResponse:
    """Where, and what for."""
    context = {"places": open_places(), "kinds": open_kinds()}
    return render(request, "treatments/online/where.html", context)


@public
@never_cache
@require_safe
def online_times(request: HttpRequest, place: UUID, kind: str) -> HttpResponse:
    """The free times, a day at a time."""
    where, what = _offer(place, kind)
    days = free_days(where, what, timezone.now())
    try:
        wanted = parse_date(request.GET.get("day", ""))
    except ValueError:
        wanted = None
    one = next((each for each in days if each.day == wanted), None) or (days[0] if days and not wanted else None)
    context = {"location": where, "kind": what, "days": days, "one": one}
    return render(request, "treatments/online/times.html", context)


@public
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def online_details(request: HttpRequest, place: UUID, kind: str) -> HttpResponse:
    """Who comes. A time that is taken meanwhile leaves everything typed and shows the next free ones."""
    where, what = _offer(place, kind)
    at = timezone.now()
    sent = request.method == "POST"
    form, status = DetailsForm(request.POST if sent else None, starts_at=request.GET.get("at", "")), 200
    if sent:
        if form.is_a_trap:
            return redirect("online_done")
        status = 422
        if form.is_valid():
            try:
                return _booked(request, where, what, form, at)
            except TooMany as refused:
                form.refuse(refused)
                status = 429
            except Refused as refused:
                form.refuse(refused)
    chosen = _instant((request.POST if sent else request.GET).get("starts_at" if sent else "at", ""))
    if not sent and (chosen is None or not may_choose(where, chosen, at)):
        return redirect("online_times", place, kind)
    context = {"form": form, "location": where, "kind": what, **_said(chosen, where)}
    if "starts_at" in form.errors:  # taken meanwhile, or too soon by now: the next ones stand on this very page
        context |= {"chosen": None, "later": _later(free_days(where, what, at), chosen or at)}
    return render(request, "treatments/online/details.html", context, status=status)


def _booked(
    request: HttpRequest, where: Location, what: AppointmentType, form: DetailsForm, at: datetime
) -> HttpResponse:
    facts = form.cleaned_data
    names = ("given_name", "family_name", "born_on", "email", "phone")
    visit = book_consultation(
        place=where,
        kind=what,
        starts_at=facts["starts_at"],
        visitor=Visitor(**{name: facts[name] for name in names}, language=_language()),
        network=get_adapter().get_client_ip(request),
        form_key=facts["form_key"],
        by=request.actor,  # type: ignore[attr-defined]
        at=at,
    )
    request.session[BOOKED] = {"at": visit.starts_at.isoformat(), "place": str(where.ref)}
    return redirect("online_done")


@public
@never_cache
@require_safe
def online_done(request: HttpRequest) -> HttpResponse:
    """What was booked from this browser, and what comes next."""
    told = request.session.get(BOOKED, {})
    where = Location.objects.filter(ref=told["place"]).first() if told else None
    context = {"location": where, **_said(_instant(told.get("at", "")), where)}
    return render(request, "treatments/online/done.html", context)


def _offer(place: UUID, kind: str) -> tuple[Location, AppointmentType]:
    """Return the place and the kind of visit, if visitors may book them."""
    where = next((each for each in open_places() if each.ref == place), None)
    what = next((each for each in open_kinds() if each.key == kind), None)
    if where is None or what is None:
        raise Http404
    return where, what


def _said(chosen: datetime | None, where: Location | None) -> dict[str, Any]:
    """Return a time as the clock of the place shows it."""
    if chosen is None or where is None:
        return {"chosen": None}
    return {
        "chosen": chosen,
        "day": chosen.astimezone(where.zone).date(),
        "starts": clock_label(chosen, where.zone),
    }


def _later(days: list[FreeDay], chosen: datetime) -> list[tuple[Any, datetime, str]]:
    """Return the next free times from the wished one on; the soonest of all where none is later."""
    every = [(each.day, *time) for each in days for time in each.times]
    return ([each for each in every if each[1] >= chosen] or every)[:NEXT_FREE]


def _instant(text: str) -> datetime | None:
    try:
        return InstantField().clean(text)
    except ValidationError:
        return None


def _language() -> str:
    own = (get_language() or "")[:2]
    return own if own in Language.values else Language.ENGLISH.value
