"""How a patient wants to be reached: the desk's page, and the patient's own."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from clinic.audit.states import Actor, Refused
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.messaging.settling import Settled
from patients.registry.access import LinkRequest, link, remember_opened
from patients.registry.actions import issue_link
from patients.registry.models import Patient
from patients.registry.states import LinkScope
from patients.wishes import actions, queries
from patients.wishes.forms import WishesForm


def _told(settled: Settled) -> str:
    """Say what saving did to the messages that wait."""
    said = [_("Saved.")]
    if settled.stopped:
        text = ngettext("%d message will not go out.", "%d messages will not go out.", settled.stopped)
        said.append(text % settled.stopped)
    if settled.freed:
        text = ngettext("%d message goes out again.", "%d messages go out again.", settled.freed)
        said.append(text % settled.freed)
    return " ".join(said)


def _save(form: WishesForm, patient: Patient, how: str, by: Actor, at: datetime) -> Settled | None:
    """Return what saving did, None when the form says why nothing was saved."""
    if not form.is_valid():
        return None
    try:
        return actions.set_wishes(patient=patient, **form.wishes(), how=how, by=by, at=at)
    except Refused as refused:
        form.refuse(refused)
        return None


# --- the desk ---------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@staff(Permission.EDIT_PATIENTS)
def wishes(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """How the patient wants to be reached, and what that does to what is planned."""
    patient, at = _patient(request, ref), timezone.now()
    ways = queries.ways_of(patient, at)
    if request.method != "POST":
        return _page(request, patient, ways, WishesForm(patient, ways))
    form = WishesForm(patient, ways, request.POST)
    settled = _save(form, patient, f"told {request.actor.name}", request.actor, at)
    if settled is None:
        return _page(request, patient, ways, form, status=422)
    messages.success(request, _told(settled))
    return redirect("wishes", ref=ref)


@require_POST
@staff(Permission.EDIT_PATIENTS)
def number_start(request: StaffRequest, ref: uuid.UUID, kind: str) -> HttpResponse:
    """Somebody at the number wants messages again: the STOP for everyone there ends."""
    patient, at = _patient(request, ref), timezone.now()
    way = next((each for each in queries.ways_of(patient, at) if each.point.kind == kind), None)
    if way is None:
        raise Http404
    if actions.start_again(way=way, by=request.actor, at=at):
        messages.success(request, _("Messages go there again."))
    return redirect("wishes", ref=ref)


@require_POST
@staff(Permission.EDIT_PATIENTS)
def wishes_send(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The patient gets a link to say it themselves."""
    patient = _patient(request, ref)
    actions.send_wishes_link(patient=patient, by=request.actor, at=timezone.now())
    messages.success(request, _("A link is on its way."))
    return redirect("wishes", ref=ref)


def _patient(request: StaffRequest, ref: uuid.UUID) -> Patient:
    return get_object_or_404(Patient.objects.visible_to(request.user).select_related("location"), ref=ref)


def _page(
    request: StaffRequest,
    patient: Patient,
    ways: list[queries.Way],
    form: WishesForm,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {
        "patient": patient,
        "form": form,
        "ways": [(way, *queries.visible_others(way, request.user)) for way in ways],
        "coming": queries.coming_messages(patient, timezone.now()),
        "stops": queries.stops_of(patient),
    }
    return render(request, "patients/wishes/wishes.html", context, status=status)


# --- the patient ------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@link(LinkScope.CONTACT)
def my_wishes(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """What the patient wants to hear from us, and how."""
    patient, at = request.link.patient, timezone.now()
    ways = queries.ways_of(patient, at)
    form = WishesForm(patient, ways, request.POST if request.method == "POST" else None, is_mine=True)
    if request.method == "POST":
        settled = _save(form, patient, "on their own page", request.actor, at)
        if settled is not None:
            messages.success(request, _told(settled))
            return redirect("my_wishes", ref=ref)
    context = {"link": request.link, "form": form, "ways": ways, "coming": queries.coming_messages(patient, at)}
    return render(request, "patients/wishes/my_wishes.html", context, status=422 if form.errors else 200)


def _open(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The patient, who has shown who they are, goes on to how we reach them."""
    patient, at = request.link.patient, timezone.now()
    about = f"patient:{patient.ref}"
    way_in, _token = issue_link(patient=patient, scope=LinkScope.CONTACT, about=about, by=request.actor, at=at)
    remember_opened(request, way_in, at)
    return redirect("my_wishes", ref=way_in.ref)


healing_wishes = require_POST(link(LinkScope.HEALING)(_open))
visit_wishes = require_POST(link(LinkScope.VISIT)(_open))
