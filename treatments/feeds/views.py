"""A practitioner's private calendar address, and the manager's table of visits."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.premises.models import Location
from clinic.staff.access import public, staff
from clinic.staff.http import StaffRequest
from clinic.staff.models import Practitioner
from clinic.staff.states import Permission
from treatments.feeds.actions import close_feed, note_export, open_feed
from treatments.feeds.forms import ExportForm
from treatments.feeds.models import CalendarFeed, FeedQuerySet
from treatments.feeds.queries import calendar_of, feed_of_token, open_feed_of, table_of
from treatments.feeds.rules import csv_lines


@public
@require_safe
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The practitioner's visits for a calendar program: no name, no treatment. 404 for every other token alike."""
    found = feed_of_token(token)
    if found is None:
        # Not the house's page: a calendar program has no use for it, and every wrong token gets the same bytes.
        return _kept_nowhere(HttpResponse("Not found\n", status=404, content_type="text/plain"))
    text = calendar_of(found.practitioner, timezone.now(), site=settings.PUBLIC_URL)
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == etag:
        answer = HttpResponse(status=304)
    else:
        answer = HttpResponse(text, content_type="text/calendar; charset=utf-8")
    answer["ETag"] = etag
    return _kept_nowhere(answer)


def _kept_nowhere(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "private, no-store"
    answer["X-Robots-Tag"] = "noindex, nofollow"
    return answer


@staff(Permission.SEE_TODAY)
@require_http_methods(["GET", "HEAD", "POST"])
def my_feed(request: StaffRequest) -> HttpResponse:
    """One's own calendar address; POST makes a new one, shown on the page that answers and never again."""
    me, address = _me(request), ""
    if request.method == "POST" and me is not None:
        _row, address = open_feed(practitioner=me, by=request.actor, at=timezone.now())
    others = _feeds_here(request).open() if request.user.may(Permission.MANAGE_STAFF) else None
    context = {
        "practitioner": me,
        "address": address,
        "feed": open_feed_of(me) if me else None,
        "others": list(others) if others is not None else None,
    }
    return render(request, "treatments/feeds/my_feed.html", context)


@staff(Permission.SEE_TODAY)
@require_POST
def my_feed_close(request: StaffRequest) -> HttpResponse:
    """One's own address answers no more."""
    me = _me(request)
    if me is not None and close_feed(practitioner=me, by=request.actor, at=timezone.now()):
        messages.success(request, _("The address no longer answers."))
    return redirect("my_feed")


@staff(Permission.MANAGE_STAFF)
@require_POST
def feed_close(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Somebody's address answers no more: a telephone was lost, or they have left."""
    row = get_object_or_404(_feeds_here(request), ref=ref)
    if close_feed(practitioner=row.practitioner, by=request.actor, at=timezone.now()):
        messages.success(request, _("The address of %(name)s no longer answers.") % {"name": row.practitioner})
    return redirect("my_feed")


@staff(Permission.MANAGE_STAFF)
@require_http_methods(["GET", "HEAD", "POST"])
def export(request: StaffRequest) -> HttpResponseBase:
    """Which days; POST answers with the table and leaves it on record who took it."""
    today = timezone.localdate()
    form = ExportForm(request.POST or None, initial={"first": today.replace(day=1), "last": today + timedelta(days=30)})
    if not form.is_valid():
        return render(request, "treatments/feeds/export.html", {"form": form}, status=422 if form.errors else 200)
    first, last = form.cleaned_data["first"], form.cleaned_data["last"]
    places = list(Location.objects.visible_to(request.user))
    note_export(places=places, first=first, last=last, by=request.actor, at=timezone.now())
    lines = csv_lines(table_of(places, first, last))
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="visits-{first}-to-{last}.csv"'
    answer["Cache-Control"] = "no-store"
    return answer


def _me(request: StaffRequest) -> Practitioner | None:
    return Practitioner.objects.filter(user=request.user, is_active=True).first()


def _feeds_here(request: StaffRequest) -> FeedQuerySet:
    """Return the feeds of whoever sees patients at the person's places."""
    here = Practitioner.objects.filter(hours__location__in=Location.objects.visible_to(request.user))
    return CalendarFeed.objects.filter(practitioner__in=here.values("pk")).select_related("practitioner")
