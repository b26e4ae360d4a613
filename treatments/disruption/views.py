"""Somebody is unwell, a laser is down, the place is closed: which visits that hits, and each in another place."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.audit.states import Refused
from clinic.premises.actions import usual_hours_again
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.models import Practitioner
from clinic.staff.states import Permission
from treatments.booking.models import Appointment
from treatments.booking.pages import asked_day, local_day, nowhere
from treatments.booking.zone import change_time_zone, visits_to_come
from treatments.disruption.actions import change_hours, end_disruption, note_disruption, rearrange
from treatments.disruption.forms import ClockForm, DisruptionForm, HoursForm, usual_range, wanted_of
from treatments.disruption.models import Disruption
from treatments.disruption.queries import affected, in_a_sentence, preview, settled, special_days

KEPT_DAYS = 14  # how long one that is over stays on the list


@staff(Permission.REARRANGE)
@require_safe
def disruptions(request: StaffRequest) -> HttpResponse:
    """Who and what is out now and soon."""
    if request.location is None:
        return nowhere(request)
    at = timezone.now()
    rows = Disruption.objects.visible_to(request.user).filter(
        location=request.location, ends_at__gt=at - timedelta(days=KEPT_DAYS)
    )
    rows = rows.select_related("resource__practitioner", "resource__room", "resource__device", "location")
    lines = [(row, len(affected(row, request.user, at))) for row in rows.order_by("starts_at", "id")]
    return render(request, "treatments/disruption/disruptions.html", {"lines": lines, "at": at})


@staff(Permission.REARRANGE)
@require_http_methods(["GET", "HEAD", "POST"])
def disruption_new(request: StaffRequest) -> HttpResponse:
    """Somebody or something is out from now on; its visits wait to be rearranged."""
    if request.location is None:
        return nowhere(request)
    at = timezone.now()
    today = local_day(at, request.location)
    day = asked_day(request.GET.get("day", "")) or today
    initial = {"thing": request.GET.get("thing", ""), "starts_on": day, "ends_on": day}
    form = DisruptionForm(request.POST or None, initial=initial, location=request.location)
    if request.method == "POST" and form.is_valid():
        facts = form.cleaned_data
        try:
            noted = note_disruption(
                what=facts["what"],
                location=request.location,
                resource=facts["resource"],
                starts_at=facts["starts_at"],
                ends_at=facts["ends_at"],
                reason=facts["reason"],
                by=request.actor,
                at=at,
            )
        except Refused as refused:
            form.refuse(refused)
        else:
            return redirect("disruption", ref=noted.ref)
    status = 422 if form.errors else 200
    return render(request, "treatments/disruption/new.html", {"form": form}, status=status)


@staff(Permission.REARRANGE)
@require_http_methods(["GET", "HEAD", "POST"])
def disruption(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The visits it hits and what could be done with each; POST does what was chosen, one visit after the other."""
    row = _visible(request, ref)
    at = timezone.now()
    if request.method == "POST":
        return _rearranged(request, row)
    lines = preview(row, request.user, at)
    done = settled(row, lines)
    context = {
        "disruption": row,
        "lines": lines,
        "done": done,
        "sentence": in_a_sentence(done, lines),
        "easy": sum(line.is_easy for line in lines),
    }
    return render(request, "treatments/disruption/disruption.html", context)


def _rearranged(request: StaffRequest, row: Disruption) -> HttpResponse:
    wanted = wanted_of(request.POST)
    visits = {
        visit.ref: visit
        for visit in Appointment.objects.visible_to(request.user)
        .filter(ref__in=[each.ref for each in wanted])
        .select_related("patient", "type", "location", "course", "practitioner", "room", "device")
    }
    people = Practitioner.objects.in_bulk(
        [each.practitioner_ref for each in wanted if each.practitioner_ref], field_name="ref"
    )
    failed = 0
    for each in wanted:
        if each.ref not in visits or (each.practitioner_ref and each.practitioner_ref not in people):
            raise Http404
    for each in wanted:
        result = rearrange(
            disruption=row,
            appointment=visits[each.ref],
            choice=each.choice,
            expected_version=each.version,
            starts_at=each.starts_at,
            practitioner=people[each.practitioner_ref] if each.practitioner_ref else None,
            by=request.actor,
            at=timezone.now(),
        )
        failed += result.outcome == "failed"
    if failed:
        messages.warning(request, _("Some could not be done. Each says why."))
    elif not wanted:
        messages.info(request, _("Nothing was chosen."))
    return redirect("disruption", ref=row.ref)


@staff(Permission.REARRANGE)
@require_POST
def disruption_over(request: StaffRequest, ref: UUID) -> HttpResponse:
    """It can be used again."""
    row = _visible(request, ref)
    try:
        end_disruption(disruption=row, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.warning(request, refused.for_people)
    else:
        messages.success(request, _("%(thing)s can be booked again.") % {"thing": row.thing})
    return redirect("disruption", ref=ref)


def _visible(request: StaffRequest, ref: UUID) -> Disruption:
    rows = Disruption.objects.visible_to(request.user).select_related(
        "location", "absence", "resource__practitioner", "resource__room", "resource__device"
    )
    return get_object_or_404(rows, ref=ref)


# --- days that are not as usual -----------------------------------------------------------------------------------


@staff(Permission.MANAGE_STAFF)
@require_http_methods(["GET", "HEAD", "POST"])
def special_hours(request: StaffRequest) -> HttpResponse:
    """Days on which the place is closed, or open at other times; POST sets one or several alike."""
    if request.location is None:
        return nowhere(request)
    at = timezone.now()
    today = local_day(at, request.location)
    form = HoursForm(request.POST or None, location=request.location, today=today)
    if request.method == "POST" and form.is_valid():
        facts = form.cleaned_data
        try:
            hit = change_hours(
                location=request.location,
                first=facts["first"],
                last=facts["last"],
                spans=facts["spans"],
                people=facts["people"],
                reason=facts["reason"],
                by=request.actor,
                at=at,
            )
        except Refused as refused:
            form.refuse(refused)
        else:
            if hit is not None:
                messages.warning(request, _("Saved. These visits no longer fit; none was changed yet."))
                return redirect("disruption", ref=hit.ref)
            messages.success(request, _("Saved. Every visit still fits."))
            return redirect("special_hours")
    return _hours_page(request, form)


def _hours_page(request: StaffRequest, form: HoursForm, clock: ClockForm | None = None) -> HttpResponse:
    at = timezone.now()
    clock = clock or ClockForm(initial={"time_zone": request.location.time_zone})
    context = {
        "form": form,
        "days": special_days(request.location, local_day(at, request.location)),
        "clock": clock,
        "to_come": visits_to_come(request.location, at).count(),
    }
    status = 422 if form.errors or clock.errors else 200
    return render(request, "treatments/disruption/hours.html", context, status=status)


@staff(Permission.MANAGE_STAFF)
@require_POST
def special_hours_clock(request: StaffRequest) -> HttpResponse:
    """The place lives by another time zone; its visits to come keep their time on the wall."""
    if request.location is None:
        raise Http404
    at = timezone.now()
    clock = ClockForm(request.POST)
    if clock.is_valid():
        try:
            kept = change_time_zone(
                location=request.location, time_zone=clock.cleaned_data["time_zone"], by=request.actor, at=at
            )
        except Refused as refused:
            clock.refuse(refused)
        else:
            said = _("The clock is changed. %(n)s visits keep their time on the wall.") % {"n": kept}
            messages.success(request, said)
            return redirect("special_hours")
    return _hours_page(request, HoursForm(location=request.location, today=local_day(at, request.location)), clock)


@staff(Permission.MANAGE_STAFF)
@require_POST
def special_hours_end(request: StaffRequest) -> HttpResponse:
    """These days are as their weekday again."""
    days = usual_range(request.POST.get("first", ""), request.POST.get("last", ""))
    if request.location is None or days is None:
        raise Http404
    usual_hours_again(location=request.location, first=days[0], last=days[1], by=request.actor, at=timezone.now())
    messages.success(request, _("These days are as usual again."))
    return redirect("special_hours")
