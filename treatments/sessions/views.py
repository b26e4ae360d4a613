"""The working page of a treatment: ready, started, recorded, signed off."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from clinic.audit.actions import record
from clinic.audit.states import Refused
from clinic.catalogue.models import BodyArea, Modality
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.photos.queries import shelf_of
from treatments.booking.models import Appointment
from treatments.sessions import actions, fitness, passes, states
from treatments.sessions.forms import AddendumForm, FitnessForm, PassForm, ReasonForm, RecordForm, StartForm
from treatments.sessions.models import TreatmentSession
from treatments.sessions.queries import (
    fitness_in_words,
    last_session,
    pass_lines,
    said_at_home,
    settings_in_words,
    standing_passes,
    usual_for,
)
from treatments.sessions.readiness import readiness
from treatments.sessions.states import RECORDING, TREATED, Endpoint, SessionStatus

PAGE = "treatments/sessions/session.html"


@require_POST
@staff(Permission.TREAT)
def session_open(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Open the working page of a visit whose patient has arrived."""
    visit = get_object_or_404(Appointment.objects.visible_to(request.user), ref=ref)
    try:
        session = actions.open_session(appointment=visit, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
        return redirect("appointment", ref=visit.ref)
    return redirect("session", ref=session.ref)


@staff(Permission.SEE_CHART)
def session(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The whole session on one calm page; the look is recorded."""
    found = find_session(request, ref)
    with transaction.atomic():
        record(action="session.viewed", subject=found, by=request.actor, at=timezone.now())
    return working_page(request, found)


@require_POST
@staff(Permission.TREAT)
def session_fitness(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = find_session(request, ref)
    form = FitnessForm(request.POST)
    if form.is_valid():
        try:
            check = fitness.record_fitness(
                session=found, answers=form.cleaned_data, by=request.actor, at=timezone.now()
            )
        except Refused as refused:
            form.add_error(refused.field, refused.for_people)
        else:
            said = (
                "Checked: nothing stands in the way." if check.is_fit else "Checked: a clinician must look at it first."
            )
            (messages.success if check.is_fit else messages.warning)(request, said)
            return redirect("session", ref=found.ref)
    return working_page(request, found, status=422, fitness_form=form)


@require_POST
@staff(Permission.TREAT)
def session_start(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = find_session(request, ref)
    form = StartForm(request.POST, asks_why=bool(request.POST.get("override_reason")))
    if form.is_valid():
        try:
            actions.start_session(
                session=found,
                override_reason=form.cleaned_data.get("override_reason", ""),
                eye_protection=form.cleaned_data["eye_protection"],
                by=request.actor,
                at=timezone.now(),
            )
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
        else:
            messages.success(request, "Treatment under way.")
            return redirect("session", ref=found.ref)
    return working_page(request, found, status=422, start_form=form)


@require_POST
@staff(Permission.TREAT)
def session_abandon(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = find_session(request, ref)
    form = ReasonForm(request.POST)
    if form.is_valid():
        try:
            actions.abandon_session(
                session=found, reason=form.cleaned_data["reason"], by=request.actor, at=timezone.now()
            )
        except Refused as refused:
            form.add_error(refused.field, refused.for_people)
        else:
            messages.success(request, "Closed as not done. Move or cancel the visit so that the patient knows.")
            return redirect("appointment", ref=found.appointment.ref)
    return working_page(request, found, status=422, abandon_form=form)


@require_POST
@staff(Permission.TREAT)
def pass_add(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Record one group of passes; by htmx only the list and the empty form come back."""
    found = find_session(request, ref)
    form = PassForm(request.POST, session=found, warned=bool(request.POST.get("warning_reason")))
    warnings: list[str] = []
    if form.is_valid():
        try:
            passes.record_pass(session=found, **form.settings(), by=request.actor, at=timezone.now())
        except states.WarningsNeedReason as refused:
            form = PassForm(request.POST, session=found, warned=True)
            form.add_error("warning_reason", refused.for_people)
            warnings = refused.warnings
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
        else:
            return _passes(request, found)
    return _passes(request, found, form=form, warnings=warnings, status=422)


def _passes(
    request: StaffRequest,
    found: TreatmentSession,
    form: PassForm | None = None,
    warnings: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    if not request.htmx and status == 200:
        return redirect("session", ref=found.ref)
    if not request.htmx:
        return working_page(request, found, status=status, pass_form=form, warnings=warnings)
    context = _recording(find_session(request, found.ref)) | {"session": found, "warnings": warnings}
    if form is not None:
        context["pass_form"] = form
    with timezone.override(found.appointment.location.zone):
        return render(request, "treatments/sessions/_passes.html", context, status=status)


@require_POST
@staff(Permission.TREAT)
def pass_strike(request: StaffRequest, ref: uuid.UUID, row: uuid.UUID) -> HttpResponse:
    found = find_session(request, ref)
    struck = get_object_or_404(found.passes, form_key=row)
    form = ReasonForm(request.POST)
    if form.is_valid():
        try:
            passes.strike_pass(row=struck, reason=form.cleaned_data["reason"], by=request.actor, at=timezone.now())
        except Refused as refused:
            messages.error(request, refused.for_people)
    else:
        messages.error(request, "Say why the row is struck.")
    return redirect("session", ref=found.ref)


@require_POST
@staff(Permission.TREAT)
def session_sign_off(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = find_session(request, ref)
    try:
        actions.sign_off(session=found, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    else:
        messages.success(request, "Signed off. From now on the record is only added to.")
    return redirect("session", ref=found.ref)


@require_POST
@staff(Permission.TREAT)
def session_addendum(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = find_session(request, ref)
    form = AddendumForm(request.POST)
    if form.is_valid():
        try:
            actions.add_addendum(session=found, body=form.cleaned_data["body"], by=request.actor, at=timezone.now())
        except Refused as refused:
            form.add_error(refused.field, refused.for_people)
        else:
            return redirect("session", ref=found.ref)
    return working_page(request, found, status=422, addendum_form=form)


def find_session(request: StaffRequest, ref: uuid.UUID) -> TreatmentSession:
    """Return the session if the person may see its patient, else 404."""
    rows = TreatmentSession.objects.visible_to(request.user).select_related(
        "patient", "course", "device", "operator", "appointment__location", "appointment__type", "signed_off_by"
    )
    return get_object_or_404(rows, ref=ref)


def working_page(request: StaffRequest, found: TreatmentSession, status: int = 200, **given: Any) -> HttpResponse:
    """Show the session as it stands; `given` are forms that were refused, with everything typed still in them."""
    at = timezone.now()
    with timezone.override(found.appointment.location.zone):
        context = {
            "session": found,
            "patient": found.patient,
            "shelf": shelf_of(found.patient),
            "place": found.appointment.location,
            "modality": Modality.objects.filter(key=found.modality).first(),
            **_stage(found, at),
            **given,
        }
        return render(request, PAGE, context, status=status)


def _stage(found: TreatmentSession, at: Any) -> dict[str, Any]:
    """Return what the page needs at the stage the session is in."""
    if found.status == SessionStatus.PREPARATION:
        return _preparing(found, at)
    context = _recording(found)
    if found.status in {SessionStatus.IN_PROGRESS, SessionStatus.ON_HOLD}:
        context |= {"stage": "record", "record_form": RecordForm(session=found, at=timezone.localtime(at))}
    elif found.status in TREATED:
        context |= {
            "stage": "done",
            "addendum_form": AddendumForm(),
            "addenda": found.addenda.select_related("added_by"),
        }
        known = dict(Endpoint.choices)
        context |= {"endpoint_words": [known.get(word, word) for word in found.endpoints]}
    else:
        context |= {"stage": "closed"}
    return context


def _preparing(found: TreatmentSession, at: Any) -> dict[str, Any]:
    ready = readiness(found.appointment, at)
    check = found.fitness
    at_home = said_at_home(found.appointment)
    return {
        "stage": "prepare",
        "readiness": ready,
        "fitness": check,
        "fitness_lines": fitness_in_words(check.answers) if check else [],
        "fitness_form": FitnessForm(),
        "at_home": at_home,
        "at_home_lines": fitness_in_words(at_home.answers) if at_home else [],
        "start_form": StartForm(asks_why=ready.can_override),
        "abandon_form": ReasonForm(),
        "usual": usual_for(found.modality),
        "last_session": last_session(found),
        "last_rows": _last_rows(found),
    }


def _recording(found: TreatmentSession) -> dict[str, Any]:
    can_record = found.signed_off_at is None and found.status in RECORDING
    areas = dict(BodyArea.objects.values_list("key", "label"))
    return {
        "lines": [
            (line, areas.get(line.row.area, line.row.area), settings_in_words(line.row)) for line in pass_lines(found)
        ],
        "can_record": can_record,
        "pass_form": PassForm(session=found) if can_record else None,
        "usual": usual_for(found.modality),
        "last_session": last_session(found),
        "last_rows": _last_rows(found),
    }


def _last_rows(found: TreatmentSession) -> list[tuple[str, str]]:
    """Return last session's settings in words, area by area."""
    before = last_session(found)
    if before is None:
        return []
    areas = dict(BodyArea.objects.values_list("key", "label"))
    return [(areas.get(row.area, row.area), settings_in_words(row)) for row in standing_passes(before)]
