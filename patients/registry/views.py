"""Pages about people: finding, registering, correcting; and the door that secure links open."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from clinic.audit.states import Refused
from clinic.staff.access import public, staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.registry.access import remember_opened
from patients.registry.actions import (
    LinkExpired,
    LinkLocked,
    LinkUnknown,
    WrongBirthDate,
    correct_patient,
    open_link,
)
from patients.registry.forms import BirthDateForm, CorrectForm, RegisterForm
from patients.registry.models import Patient, SecureLink
from patients.registry.queries import contact_for, find_patients, link_of_token
from patients.registry.registering import register_from, suspects_for
from patients.registry.states import ContactKind, LinkScope

# The page each scope opens, by URL name.
LANDING = {
    LinkScope.INTAKE: "intake",
    LinkScope.CONSENT: "consent",
    LinkScope.CHECKIN: "checkin",
    LinkScope.FITNESS: "fitness",
    LinkScope.VISIT: "my_visit",
    LinkScope.HEALING: "healing",
    LinkScope.OFFER: "my_offer",
    LinkScope.CONTACT: "my_wishes",
    LinkScope.DECISION: "next_steps",
}


# --- people -----------------------------------------------------------------------------------------------------------


@staff(Permission.SEE_PATIENTS)
@require_safe
def patients(request: StaffRequest) -> HttpResponse:
    """Everyone, or who matches what is being typed. htmx gets the list alone."""
    text = request.GET.get("q", "")
    found = find_patients(request.user, text, request.GET.get("after", ""))
    template = "patients/registry/_found.html" if request.htmx else "patients/registry/patients.html"
    return render(request, template, {"found": found, "q": text})


@staff(Permission.EDIT_PATIENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def patient_new(request: StaffRequest) -> HttpResponse:
    """Register a patient; whoever may be the same person is shown first, and nothing is decided for the desk."""
    form = RegisterForm(request.user, request.location, request.POST or None)
    if request.method != "POST":
        return render(request, "patients/registry/patient_new.html", {"form": form})
    seen = request.POST.get("seen", "")
    patient, suspects = register_from(form, seen=seen, by=request.actor, at=timezone.now())
    if patient is not None:
        messages.success(request, f"{patient.full_name} is registered.")
        return redirect("patient_chart", patient.ref)
    context = {"form": form, **suspects_for(request.user, suspects)}
    return render(request, "patients/registry/patient_new.html", context, status=422)


@staff(Permission.EDIT_PATIENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def patient_edit(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    patient = get_object_or_404(Patient.objects.visible_to(request.user), ref=ref)
    facts = CorrectForm.facts_of(patient, _value(patient, ContactKind.EMAIL), _value(patient, ContactKind.PHONE))
    form = CorrectForm(request.POST or None, initial=facts)
    if request.method == "POST" and form.is_valid() and _correct(request, patient, form):
        messages.success(request, "The changes are saved.")
        return redirect("patient_chart", patient.ref)
    status = 422 if request.method == "POST" else 200
    return render(request, "patients/registry/patient_edit.html", {"form": form, "patient": patient}, status=status)


def _correct(request: StaffRequest, patient: Patient, form: CorrectForm) -> bool:
    """True when the corrections stand; else the form says why none does."""
    try:
        correct_patient(patient=patient, **form.cleaned_data, by=request.actor, at=timezone.now())
    except Refused as refused:
        form.refuse(refused)
    return not form.errors


def _value(patient: Patient, kind: ContactKind) -> str:
    point = contact_for(patient, kind)
    return point.value if point else ""


# --- the door of secure links -----------------------------------------------------------------------------------------


@public
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link_open(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a page and does nothing, whoever fetches it; POST with the birth date opens.

    A token that never was, one whose time is over and one withdrawn get the same page.
    """
    link = link_of_token(token)
    at = timezone.now()
    if link is None or link.revoked_at or link.expires_at <= at:
        return _discreet(render(request, "patients/registry/link_over.html", {"token": token}, status=404))
    if link.locked_at:
        return _locked(request, link)
    form = BirthDateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            opened = open_link(token=token, born_on=form.cleaned_data["born_on"], by=request.actor, at=at)  # type: ignore[attr-defined]
        except WrongBirthDate as refused:
            form.refuse(refused)
        except LinkLocked:
            return _locked(request, link)
        except (LinkExpired, LinkUnknown):
            return _discreet(render(request, "patients/registry/link_over.html", {"token": token}, status=404))
        else:
            remember_opened(request, opened, at)
            return _landing(request, opened)
    context = {"form": form, "location": link.patient.location}
    status = 422 if request.method == "POST" else 200
    return _discreet(render(request, "patients/registry/link_open.html", context, status=status))


def _landing(request: HttpRequest, link: SecureLink) -> HttpResponse:
    """Lead to the page of the link's scope, or say that there is nothing to do where no room offers one."""
    try:
        return redirect(reverse(LANDING[LinkScope(link.scope)], args=[link.ref]))
    except NoReverseMatch:
        return _discreet(
            render(request, "patients/registry/link_nothing.html", {"location": link.patient.location}, status=404)
        )


def _locked(request: HttpRequest, link: SecureLink) -> HttpResponse:
    context = {"location": link.patient.location}
    return _discreet(render(request, "patients/registry/link_locked.html", context, status=403))


def _discreet(response: HttpResponse) -> HttpResponse:
    """The address of this page is a key: it goes into no Referer, no search index, and not into Django's log.

    Django logs the address of every refused request, unless the answer says that somebody did already.
    """
    response["Referrer-Policy"] = "strict-origin"
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
