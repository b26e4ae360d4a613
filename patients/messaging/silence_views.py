"""One page to end all contact with somebody: they asked for it, or they have died."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from clinic.audit.states import Refused
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.messaging.forms import AskedForm, DiedForm
from patients.messaging.silence import allow_contact, correct_death, note_death, stop_contact
from patients.registry.models import Patient

# What a button of the page does, and what is said of it.
ACTS = {
    "allow": (
        allow_contact,
        gettext_lazy("They may be contacted again. Messages of coming visits are planned within a minute."),
    ),
    "undo": (correct_death, gettext_lazy("Corrected. Messages of coming visits are planned within a minute.")),
}


@staff(Permission.EDIT_PATIENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def patient_silence(request: StaffRequest, ref: UUID) -> HttpResponse:
    """All contact ends, or may begin again; everything that waited to be said is taken back silently."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user).select_related("location"), ref=ref)
    if request.method != "POST":
        return _page(request, patient, DiedForm())
    if request.POST.get("act") == "died":
        return _died(request, patient)
    if request.POST.get("act") == "stop":
        return _asked(request, patient)
    if request.POST.get("act") not in ACTS:
        return HttpResponseBadRequest()
    act, said = ACTS[request.POST["act"]]
    act(patient=patient, by=request.actor, at=timezone.now())
    messages.success(request, str(said))
    return redirect("patient_silence", patient.ref)


def _asked(request: StaffRequest, patient: Patient) -> HttpResponse:
    form = AskedForm(request.POST)
    if form.is_valid():
        try:
            stop_contact(patient=patient, reason=form.cleaned_data["reason"], by=request.actor, at=timezone.now())
        except Refused as refused:
            form.add_error(refused.field, refused.for_people)
        else:
            messages.success(request, _("Nothing is sent to them any more. What waited was taken back."))
            return redirect("patient_silence", patient.ref)
    return _page(request, patient, DiedForm(), asked=form, status=422)


def _died(request: StaffRequest, patient: Patient) -> HttpResponse:
    form = DiedForm(request.POST)
    if form.is_valid():
        try:
            note_death(patient=patient, died_on=form.cleaned_data["died_on"], by=request.actor, at=timezone.now())
        except Refused as refused:
            form.add_error(refused.field, refused.for_people)
        else:
            messages.success(request, _("Noted. Nothing is sent any more, and nobody was told anything."))
            return redirect("patient_silence", patient.ref)
    return _page(request, patient, form, status=422)


def _page(
    request: StaffRequest, patient: Patient, form: DiedForm, *, asked: AskedForm | None = None, status: int = 200
) -> HttpResponse:
    context = {"patient": patient, "form": form, "asked_form": asked or AskedForm()}
    return render(request, "patients/messaging/silence.html", context, status=status)
