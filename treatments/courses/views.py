"""Pages of a course: planning it, changing it, pausing it, ending it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from clinic.audit.states import Refused
from clinic.catalogue.models import BodyArea, Modality
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.states import ALLOWING
from patients.intake.queries import answers_in_force
from patients.registry.models import Patient
from treatments.courses.actions import change_course_plan, end_course, hold_course, plan_course, resume_course
from treatments.courses.forms import ChangeForm, NewCourseForm, WhyForm
from treatments.courses.models import Course
from treatments.courses.queries import consent_for, course_for, earliest_next


@staff(Permission.DECIDE)
@require_http_methods(["GET", "HEAD", "POST"])
def course_new(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Plan a course on a decision in force; the patient is asked to consent to exactly that plan."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user).select_related("location"), ref=ref)
    decisions = _open_decisions(patient)
    form = NewCourseForm(
        request.POST if request.method == "POST" else None, decisions=decisions, initial=_initial(patient, decisions)
    )
    if form.is_valid():
        facts = form.cleaned_data
        try:
            course = plan_course(
                patient=patient, modality=facts["decision"].modality, **facts, by=request.actor, at=timezone.now()
            )
        except Refused as refused:
            form.refuse(refused)
        else:
            messages.success(request, _("Planned. %(name)s is asked to agree to it.") % {"name": patient.first_name})
            return redirect("course", course.ref)
    context = {"form": form, "patient": patient, "decisions": decisions}
    return render(request, "treatments/courses/course_new.html", context, status=422 if form.errors else 200)


def _open_decisions(patient: Patient) -> list[CandidacyDecision]:
    """Return the decisions that allow treatment and have no open course yet."""
    found = CandidacyDecision.objects.in_force().filter(patient=patient, kind__in=ALLOWING)
    return [each for each in found if course_for(patient, each.modality) is None]


def _initial(patient: Patient, decisions: list[CandidacyDecision]) -> dict[str, Any]:
    """Return where the patient asked to be treated, and the only laser if there is only one."""
    wanted = answers_in_force(patient).get("treatment_areas")
    known = set(BodyArea.objects.values_list("key", flat=True))
    return {
        "areas": [area for area in wanted if area in known] if isinstance(wanted, list) else [],
        "decision": str(decisions[0].ref) if len(decisions) == 1 else None,
    }


@staff(Permission.SEE_CHART)
@require_http_methods(["GET", "HEAD", "POST"])
def course(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The course as it stands; POST changes its plan, which asks for consent anew."""
    row = _visible(request, ref)
    initial = {"areas": row.areas, "sessions_planned": row.sessions_planned}
    form = ChangeForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_valid():
        try:
            change_course_plan(course=row, **form.cleaned_data, by=request.actor, at=timezone.now())
        except Refused as refused:
            form.refuse(refused)
        else:
            messages.success(request, _("The plan is changed."))
            return redirect("course", ref)
    return render(request, "treatments/courses/course.html", _context(row, form), status=422 if form.errors else 200)


def _context(row: Course, form: ChangeForm) -> dict[str, Any]:
    earliest_on, reason = earliest_next(row.patient, row.modality)
    labels = dict(BodyArea.objects.values_list("key", "label"))
    return {
        "course": row,
        "patient": row.patient,
        "form": form,
        "modality": Modality.objects.get(key=row.modality),
        "areas": ", ".join(labels.get(area, area) for area in row.areas),
        "earliest_on": earliest_on if row.status == "active" else None,
        "earliest_reason": reason,
        "consent": consent_for(row),
        "visits": row.appointments.select_related("type", "location", "practitioner").order_by("starts_at", "id"),
        "is_open": row.status in ("active", "on-hold"),
    }


@staff(Permission.DECIDE)
@require_POST
def course_hold(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Nothing more can be booked on the course until it goes on."""
    return _act(request, ref, hold_course, _("The course is on hold."))


@staff(Permission.DECIDE)
@require_POST
def course_resume(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The course goes on."""
    return _act(request, ref, resume_course, _("The course goes on."))


@staff(Permission.DECIDE)
@require_POST
def course_end(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The course ends before its last session."""
    return _act(request, ref, end_course, _("The course is ended."))


def _act(request: StaffRequest, ref: UUID, act: Callable[..., Course], said: str) -> HttpResponse:
    row, form = _visible(request, ref), WhyForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Please say why."))
        return redirect("course", ref)
    try:
        act(course=row, reason=form.cleaned_data["reason"], by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    else:
        messages.success(request, said)
    return redirect("course", ref)


def _visible(request: StaffRequest, ref: UUID) -> Course:
    rows = Course.objects.visible_to(request.user).select_related("patient__location", "decision")
    return get_object_or_404(rows, ref=ref)
