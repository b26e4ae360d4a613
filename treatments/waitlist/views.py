"""The desk's waitlist, and a patient's page to take a free time or leave it."""

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
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from clinic.transitions import IllegalMove
from patients.registry.access import LinkRequest, link
from patients.registry.models import Patient
from patients.registry.queries import find_patients
from patients.registry.states import LinkScope
from treatments.waitlist.actions import accept_offer, decline_offer, join_waitlist, leave_waitlist, offer_time
from treatments.waitlist.forms import JoinForm
from treatments.waitlist.models import WaitlistEntry, WaitlistOffer
from treatments.waitlist.queries import standing_of
from treatments.waitlist.states import OfferOver, OfferStatus


@staff(Permission.BOOK)
@require_safe
def waitlist(request: StaffRequest) -> HttpResponse:
    """Who waits at this place, whether they are ready, and what is being offered to them."""
    at, text = timezone.now(), request.GET.get("q", "")
    entries = WaitlistEntry.objects.none()
    if request.location is not None:
        entries = WaitlistEntry.objects.waiting().filter(location=request.location)
        entries = entries.select_related("patient", "type", "course", "location", "sooner_than").prefetch_related(
            "practitioners"
        )
    found = find_patients(request.user, text, "") if text.strip() else None
    lines = [(entry, standing_of(entry, at)) for entry in entries]
    return render(request, "treatments/waitlist/waitlist.html", {"lines": lines, "found": found, "q": text})


@staff(Permission.BOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def waitlist_join(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Somebody waits from now on."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user).select_related("location"), ref=ref)
    at, location = timezone.now(), request.location or patient.location
    today = at.astimezone(location.zone).date()
    initial = {"earliest_on": today, "latest_on": today + timedelta(days=28)}
    form = JoinForm(request.POST or None, initial=initial, patient=patient, location=location, at=at)
    if request.method == "POST" and form.is_valid():
        facts = form.cleaned_data
        purpose = form.purposes[facts["what"]]
        try:
            join_waitlist(
                patient=patient,
                type=purpose.type,
                course=purpose.course,
                sooner_than=facts["sooner_than"],
                location=location,
                earliest_on=facts["earliest_on"],
                latest_on=facts["latest_on"],
                practitioners=[form.practitioners[each] for each in facts["people"]],
                weekdays=facts["weekdays"],
                between=facts["between"],
                note=facts["note"],
                by=request.actor,
                at=at,
            )
        except Refused as refused:
            form.refuse(refused)
        else:
            messages.success(request, _("%(who)s is on the waitlist.") % {"who": patient.full_name})
            return redirect("waitlist")
    status = 422 if request.method == "POST" else 200
    return render(request, "treatments/waitlist/join.html", {"form": form, "patient": patient}, status=status)


@staff(Permission.BOOK)
@require_POST
def waitlist_offer(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The soonest time that suits is offered now."""
    entry = _visible(request, ref)
    try:
        offer_time(entry=entry, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.warning(request, refused.for_people)
    else:
        messages.success(request, _("A time is held and offered to %(who)s.") % {"who": entry.patient.full_name})
    return redirect("waitlist")


@staff(Permission.BOOK)
@require_POST
def waitlist_remove(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Somebody no longer waits."""
    entry = _visible(request, ref)
    try:
        leave_waitlist(entry=entry, reason="Taken off by the desk.", by=request.actor, at=timezone.now())
    except IllegalMove as refused:
        messages.warning(request, refused.for_people)
    else:
        messages.success(request, _("%(who)s no longer waits.") % {"who": entry.patient.full_name})
    return redirect("waitlist")


def _visible(request: StaffRequest, ref: UUID) -> WaitlistEntry:
    return get_object_or_404(WaitlistEntry.objects.visible_to(request.user).select_related("patient"), ref=ref)


@require_http_methods(["GET", "HEAD", "POST"])
@link(LinkScope.OFFER)
def my_offer(request: LinkRequest, ref: UUID) -> HttpResponse:
    """The free time; POST takes it or leaves it."""
    offer = _offered(request)
    at, status = timezone.now(), 200
    if request.method == "POST":
        try:
            if request.POST.get("answer") == "yes":
                accept_offer(offer=offer, by=request.actor, at=at)
            elif request.POST.get("answer") == "no":
                decline_offer(offer=offer, by=request.actor, at=at)
            return redirect("my_offer", ref=ref)
        except OfferOver:
            offer, status = _offered(request), 409
        except Refused:
            # Which gate has shut is the clinic's to say: a page on a phone may be read by others.
            offer, status = _offered(request), 409
    is_open = offer.status == OfferStatus.OPEN and at < offer.ends_at
    context = {"offer": offer, "visit": offer.appointment, "is_open": is_open, "location": offer.entry.location}
    return render(request, "treatments/waitlist/my_offer.html", context | {"link": request.link}, status=status)


def _offered(request: LinkRequest) -> WaitlistOffer:
    kind, _colon, ref = request.link.about.partition(":")
    rows = WaitlistOffer.objects.filter(entry__patient=request.link.patient)
    rows = rows.select_related(
        "entry__location", "entry__sooner_than", "entry__patient", "appointment__practitioner", "appointment__type"
    )
    try:
        found = rows.filter(ref=UUID(ref)).first() if kind == "offer" else None
    except ValueError:
        found = None
    if found is None:
        raise Http404
    return found
