"""Patients' pages: who may open them. A page at /my/<ref>/ belongs to one secure link that this browser opened.

The session keeps which links it opened and when it last used each. A link closes after 40 quiet minutes, after 12
hours in any case, and at once when it is revoked.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.staff.access import mark
from patients.registry.models import SecureLink
from patients.registry.states import LinkScope

KEY = "opened_links"
QUIET_SECONDS = 40 * 60
LONGEST_SECONDS = 12 * 60 * 60
# The session is written at most once a minute: reading a page should not cost a write each time.
TOUCH_SECONDS = 60

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class LinkRequest(HttpRequest):
    """A request as views marked `@link` get it: the link this browser opened, and its patient as the actor."""

    link: SecureLink
    actor: Actor
    htmx: Any


def remember_opened(request: HttpRequest, link: SecureLink, at: datetime) -> None:
    """This browser may use the link's pages. The session gets a new key, and forgets links of other people."""
    now = int(at.timestamp())
    mine = {str(ref) for ref in SecureLink.objects.filter(patient=link.patient).values_list("ref", flat=True)}
    kept = {ref: times for ref, times in request.session.get(KEY, {}).items() if ref in mine}
    request.session.cycle_key()
    request.session[KEY] = {**kept, str(link.ref): {"opened": now, "used": now}}


def link(scope: LinkScope) -> Callable[[View], View]:
    """Only a browser that opened a link of this scope may use the view, whose address carries the link's `ref`.

    Sets `request.link` and `request.actor`, and shows times as the clock at the patient's clinic. A session that
    opened nothing, or whose time is over, gets a calm page; one that opened another link gets 404, whatever the ref.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: LinkRequest, ref: uuid.UUID, *args: Any, **kwargs: Any) -> HttpResponseBase:
            at = timezone.now()
            opened = request.session.get(KEY, {})
            if not opened:
                return closed_page(request)
            if str(ref) not in opened:
                raise Http404
            found = SecureLink.objects.select_related("patient__location").filter(ref=ref, scope=scope).first()
            if found is None:
                raise Http404
            if found.revoked_at or not _still_open(opened[str(ref)], at):
                return closed_page(request)
            _touch(request, str(ref), at)
            request.link = found
            request.actor = Actor.patient(found.patient.ref, found.patient.full_name)
            with timezone.override(found.patient.location.zone):
                return view(request, ref, *args, **kwargs)

        return mark(guarded, f"link:{scope.value}")  # type: ignore[return-value]

    return decorate


def _still_open(times: dict[str, int], at: datetime) -> bool:
    now = int(at.timestamp())
    return now - times["used"] <= QUIET_SECONDS and now - times["opened"] <= LONGEST_SECONDS


def _touch(request: HttpRequest, ref: str, at: datetime) -> None:
    times = request.session[KEY][ref]
    if int(at.timestamp()) - times["used"] >= TOUCH_SECONDS:
        times["used"] = int(at.timestamp())
        request.session.modified = True


def closed_page(request: HttpRequest) -> HttpResponse:
    """Asks to open the link again; says nothing about whose it is or whether it exists."""
    return render(request, "patients/registry/link_closed.html", status=403)
