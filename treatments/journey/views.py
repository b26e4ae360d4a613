from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from clinic.audit.actions import record
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.registry.access import LinkRequest, link, remember_opened
from patients.registry.actions import issue_link
from patients.registry.models import Patient
from patients.registry.states import LinkScope
from treatments.aftercare.models import CheckIn
from treatments.journey import queries
from treatments.journey.checks import nights


@staff(Permission.SEE_PATIENTS)
def patient_chart(request: StaffRequest, ref: str) -> HttpResponse:
    """The chart, as far as the person may read it; the look is recorded."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user).select_related("location"), ref=ref)
    at = timezone.now()
    with transaction.atomic():
        record(action="patient.viewed", subject=patient, by=request.actor, at=at)
    found = queries.chart(patient, request.user, at)
    return render(request, "treatments/journey/chart.html", {"patient": patient, "chart": found})


@staff(Permission.SEE_TODAY)
def readiness(request: StaffRequest) -> HttpResponse:
    """The readiness board: a row per coming treatment visit at this location, worst first."""
    at = timezone.now()
    rows = queries.readiness_board(request.location, at) if request.location else []
    return render(request, "treatments/journey/readiness.html", {"rows": rows})


@staff(Permission.SEE_MESSAGES)
def message_checks(request: StaffRequest) -> HttpResponse:
    """What each night's comparison of messages with their visits found and put right."""
    return render(request, "treatments/journey/message_checks.html", {"nights": nights(request.user)})


@link(LinkScope.HEALING)
def healing(request: LinkRequest, ref: str) -> HttpResponse:
    """My healing: what day it is, what is normal, what to do, how to call."""
    patient = request.link.patient
    found = queries.healing(patient, timezone.now())
    return render(
        request, "treatments/journey/healing.html", {"healing": found, "location": patient.location, "patient": patient}
    )


@require_POST
@link(LinkScope.HEALING)
def healing_checkin(request: LinkRequest, ref: str, checkin: str) -> HttpResponse:
    """The patient, who has shown who they are, goes on to the check-in that waits."""
    at = timezone.now()
    waiting = get_object_or_404(CheckIn, ref=checkin, patient=request.link.patient)
    way_in, _ = issue_link(
        patient=request.link.patient, scope=LinkScope.CHECKIN, about=waiting.about, by=request.actor, at=at
    )
    remember_opened(request, way_in, at)
    return redirect("checkin", ref=way_in.ref)
