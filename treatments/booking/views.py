"""Booking a visit, and one visit: what became of it, another time for it, and its end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import retarget, trigger_client_event

from clinic.audit.models import AuditEvent
from clinic.audit.states import Refused
from clinic.premises.models import Location
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.models import Practitioner
from clinic.staff.states import Permission
from patients.intake.queries import form_state
from patients.messaging.models import Message, MessageQuerySet
from patients.registry.forms import RegisterForm
from patients.registry.models import Patient
from patients.registry.queries import find_patients
from patients.registry.registering import register_from, suspects_for
from treatments.booking.actions import book_appointment, cancel_telling, move_appointment
from treatments.booking.choosing import (
    chosen_thing,
    first_values,
    is_picked,
    kept_of,
    moment_of,
    next_free_of,
    offer_of,
    sent_of,
    show_refusal,
    slot_of,
)
from treatments.booking.forms import BookForm, CancelForm, MoveForm
from treatments.booking.looks import LOOKS
from treatments.booking.models import Appointment
from treatments.booking.offers import late_precare, value_of
from treatments.booking.pages import asked_day, local_day, moment_words, nowhere, visible_visit, when_words
from treatments.booking.queries import shape_of
from treatments.booking.rules import Kind, clock_label
from treatments.booking.states import UNDO, AppointmentStatus, CallOutcome, StaleVersion, Step
from treatments.plan.rules import UNDO as UNDO_WINDOW

PANEL = "quick"  # the element of the diary in which the steps of booking open

# --- booking ------------------------------------------------------------------------------------------------------


@staff(Permission.BOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def book(request: StaffRequest) -> HttpResponse:
    """Find the patient, choose what for and a free time, book. `show` in a POST only looks for times again.

    The diary opens the same steps in a panel beside its grid: what it asks for as `quick` is answered without a page.
    """
    if request.location is None:
        return nowhere(request)
    patient = _patient(request)
    if patient is None:
        return _find(request)
    form = _book_form(request, patient)
    if request.method == "POST" and "show" not in request.POST:
        booked = _book(request, form, patient)
        if booked is not None:
            return booked
        return _book_page(request, form, patient, status=422)
    return _book_page(request, form, patient)


@staff(Permission.EDIT_PATIENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def book_patient(request: StaffRequest) -> HttpResponse:
    """Register who is not there yet, and go on booking the time that was chosen."""
    kept, typed = kept_of(request), request.GET.get("q", "")
    form = RegisterForm(request.user, request.location, request.POST or None, typed=typed)
    context: dict[str, Any] = {"form": form, "kept": kept, **_asked(request, kept)}
    status = 200
    if request.method == "POST":
        seen = request.POST.get("seen", "")
        patient, suspects = register_from(form, seen=seen, by=request.actor, at=timezone.now())
        if patient is not None:
            return redirect(f"{reverse('book')}?{urlencode({'patient': str(patient.ref), **kept})}")
        status, context = 422, {**context, **suspects_for(request.user, suspects)}
    template = "_quick_patient" if _in_panel(request) else "patient"
    return render(request, f"treatments/booking/{template}.html", context, status=status)


def _in_panel(request: StaffRequest) -> bool:
    return bool(request.htmx) and request.htmx.target == PANEL


def _patient(request: StaffRequest) -> Patient | None:
    ref = request.POST.get("patient") or request.GET.get("patient")
    if not ref:
        return None
    return get_object_or_404(Patient.objects.visible_to(request.user).select_related("location"), ref=_uuid(ref))


def _find(request: StaffRequest) -> HttpResponse:
    """Who comes? What was chosen in the diary stays in the address."""
    text, kept = request.GET.get("q", ""), kept_of(request)
    found = find_patients(request.user, text, "") if text.strip() else None
    template = "_quick_find" if _in_panel(request) else "_people" if request.htmx else "find"
    context = {"found": found, "q": text, "kept": kept, **_asked(request, kept)}
    return render(request, f"treatments/booking/{template}.html", context)


def _asked(request: StaffRequest, kept: dict[str, str]) -> dict[str, Any]:
    """Return the chosen time and column in words, for the head of a step."""
    return {"asked": moment_of(kept.get("at", "")), "asked_of": chosen_thing(kept), "place": request.location}


def _book_form(request: StaffRequest, patient: Patient) -> BookForm:
    more: dict[str, Any] = {
        "patient": patient,
        "location": request.location,
        "may_override": request.user.may(Permission.OVERRIDE),
    }
    if request.method == "POST":
        return BookForm(sent_of(request), **more)
    initial = first_values(kept_of(request), request.location)
    if request.GET.get("what"):
        initial["what"] = request.GET["what"]
    return BookForm(initial=initial, **more)


def _book(request: StaffRequest, form: BookForm, patient: Patient) -> HttpResponse | None:
    """Book, or leave in the form why not."""
    if not form.is_valid():
        return None
    facts = form.cleaned_data
    purpose, at = facts["what"], timezone.now()
    try:
        visit = book_appointment(
            patient=patient,
            type=purpose.type,
            location=request.location,
            course=purpose.course,
            by=request.actor,
            at=at,
            practitioner=facts["practitioner"],
            starts_at=facts["starts_at"],
            room=facts["room"],
            device=facts["device"],
            note=facts["note"],
            override_reason=facts["override_reason"],
            form_key=facts["form_key"],
        )
    except Refused as refused:
        show_refusal(form, refused)
        return None
    if _in_panel(request):
        return _booked(request, visit)
    messages.success(request, _("Booked: %(who)s, %(when)s.") % {"who": patient.full_name, "when": when_words(visit)})
    _warn_of_late_precare(request, visit)
    return redirect("appointment", visit.ref)


def _booked(request: StaffRequest, visit: Appointment) -> HttpResponse:
    """Tell the diary: its notice says what was booked, the panel closes, the grid looks again."""
    context = {"visit": visit, "when": when_words(visit), "late": "; ".join(late_precare(visit))}
    response = render(request, "treatments/booking/_quick_booked.html", context)
    retarget(response, "#day-notice")
    return trigger_client_event(response, "visit-booked", {"ref": str(visit.ref)})


def _book_page(request: StaffRequest, form: BookForm, patient: Patient, status: int = 200) -> HttpResponse:
    at, purpose = timezone.now(), form.purpose
    offer = offer_of(form, patient, purpose.type, purpose.modality, at) if purpose else None
    if offer is not None:
        form.show_day(offer.day)
    kept = kept_of(request)
    context = {
        "form": form,
        "patient": patient,
        "offer": offer,
        "slot": slot_of(form, patient, offer, at) if offer else None,
        "picked": is_picked(form),
        "next_free": next_free_of(form),
        "kept": kept,
        "back": {"at": kept["at"]} if "at" in kept else {},
        **_asked(request, kept),
    }
    template = "_quick_book" if _in_panel(request) else "_times" if request.htmx and status == 200 else "book"
    return render(request, f"treatments/booking/{template}.html", context, status=status)


def _warn_of_late_precare(request: StaffRequest, visit: Appointment) -> None:
    late = late_precare(visit)
    if late:
        said = _("The day for this had passed already, so the patient is told at once: %(steps)s.")
        messages.warning(request, said % {"steps": "; ".join(late)})


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


# --- one visit ----------------------------------------------------------------------------------------------------


@staff(Permission.SEE_TODAY)
@require_safe
def appointment(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A visit: what, when, with whom, what became of it, and what can be done now."""
    visit, at = visible_visit(request, ref), timezone.now()
    history = list(
        AuditEvent.objects.filter(
            subject_type="appointment", subject_id=str(visit.ref), action__startswith="appointment."
        ).order_by("-id")[:20]
    )
    context = {
        "visit": visit,
        "patient": visit.patient,
        "look": LOOKS[visit.step],
        "day": visit.starts_at.astimezone(visit.location.zone).date(),
        "is_treatment": visit.course is not None,
        "can_undo": visit.status in UNDO or visit.step == Step.CONFIRMED,
        "has_begun": at >= visit.starts_at,
        "is_today_or_past": local_day(at, visit.location) >= local_day(visit.starts_at, visit.location),
        "history": [(event, _told(event, visit.location)) for event in history],
        "move_back": _move_back(visit, history, at),
        "held": _held_in_words(visit),
        "messages_of": _messages_of(request, visit),
        "form": form_state(visit.patient, at) if visit.ends_at > at else None,
    }
    return render(request, "treatments/booking/appointment.html", context)


def _held_in_words(visit: Appointment) -> dict[str, str]:
    """Return the wall times of a visit's phases, and from when to when it holds what it does not hold throughout."""
    shape, zone = shape_of(visit.sized_type), visit.location.zone

    def wall(minutes: int) -> str:
        return clock_label(visit.starts_at + timedelta(minutes=minutes), zone)

    found = {}
    if shape.before:
        found["numbing_until"] = wall(shape.before)
    if shape.after:
        found["cleaning_from"] = wall(shape.before + shape.work)
    kinds: tuple[Kind, ...] = ("practitioner", "device")
    for kind in kinds:
        first, last = shape.window(kind)
        if (first, last) != (0, shape.minutes):
            found[kind] = _("%(from)s to %(to)s") % {"from": wall(first), "to": wall(last)}
    return found


def _messages_of(request: StaffRequest, visit: Appointment) -> MessageQuerySet:
    """Return the visit's messages, soonest due first; none for who may not see messages."""
    if not request.user.may(Permission.SEE_MESSAGES):
        return Message.objects.none()
    rows = Message.objects.visible_to(request.user).filter(about=visit.about)
    return rows.select_related("patient", "staff", "location", "point").order_by("due_at", "id")


_TOLD = {
    "appointment.proposed": "Held for the patient",
    "appointment.booked": "Booked",
    "appointment.moved": "Moved",
    "appointment.resized": "Made longer or shorter",
    "appointment.confirmed": "Confirmed",
    "appointment.unconfirmed": "Not confirmed after all",
    "appointment.shown_in": "In the room",
    "appointment.shown_out": "Not in the room yet",
    "appointment.arrived": "Arrived",
    "appointment.fulfilled": "Done",
    "appointment.noshow": "Did not come",
    "appointment.cancelled": "Cancelled",
    "appointment.entered-in-error": "Entered in error",
}


def _told(event: AuditEvent, location: Location) -> str:
    """Return what an event did, in words."""
    word = _TOLD.get(event.action, event.action)
    was = event.detail.get("was")
    if event.action == "appointment.booked" and was and was != AppointmentStatus.PROPOSED:
        return _("Taken back: booked again")
    if event.action == "appointment.called":
        return _("Rang: %(outcome)s") % {"outcome": CallOutcome(event.detail["outcome_of_call"]).label.lower()}
    if event.action == "appointment.moved" and was:
        return _("Moved, from %(when)s") % {"when": moment_words(datetime.fromisoformat(was), location)}
    return word


def _move_back(visit: Appointment, history: list[AuditEvent], at: datetime) -> str:
    """Return the time to undo the last move to, while nobody has been told of it; empty otherwise."""
    last = next((event for event in history if event.action == "appointment.moved"), None)
    if visit.status != "booked" or last is None or last is not history[0] or at - last.at > UNDO_WINDOW:
        return ""
    who = Practitioner.objects.filter(ref=last.detail.get("was_practitioner")).first() or visit.practitioner
    return value_of(datetime.fromisoformat(last.detail["was"]), who)


@staff(Permission.BOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def appointment_move(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Another time for a visit. 409 when somebody else changed it since the page was loaded."""
    visit = visible_visit(request, ref)
    form = _move_form(request, visit)
    status = 200
    if request.method == "POST" and "show" not in request.POST:
        status = 422
        if form.is_valid():
            try:
                return _move(request, form, visit)
            except StaleVersion as stale:
                # What was chosen stays; sending it again means it, now that the other change has been seen.
                status, visit = 409, visible_visit(request, ref)
                form = _move_form(request, visit, version=visit.version)
                form.full_clean()
                show_refusal(form, stale)
            except Refused as refused:
                show_refusal(form, refused)
    modality = visit.course.modality if visit.course else ""
    offer = offer_of(form, visit.patient, visit.sized_type, modality, timezone.now(), leaving_out=visit.pk)
    context = {
        "form": form,
        "visit": visit,
        "patient": visit.patient,
        "offer": offer,
        "picked": is_picked(form),
        "next_free": next_free_of(form),
    }
    template = "treatments/booking/_times.html" if request.htmx and status == 200 else "treatments/booking/move.html"
    return render(request, template, context, status=status)


def _move_form(request: StaffRequest, visit: Appointment, version: int | None = None) -> MoveForm:
    more: dict[str, Any] = {
        "appointment": visit,
        "location": visit.location,
        "may_override": request.user.may(Permission.OVERRIDE),
    }
    if request.method == "POST":
        sent = sent_of(request)
        if version is not None:
            sent["version"] = str(version)
        return MoveForm(sent, **more)
    initial = {
        "practitioner": str(visit.practitioner.ref),
        "day": asked_day(request.GET.get("day", "")) or local_day(visit.starts_at, visit.location),
        "version": visit.version,
    }
    return MoveForm(initial=initial, **more)


def _move(request: StaffRequest, form: MoveForm, visit: Appointment) -> HttpResponse:
    facts = form.cleaned_data
    moved = move_appointment(
        appointment=visit,
        starts_at=facts["starts_at"],
        expected_version=facts["version"],
        practitioner=facts["practitioner"],
        room=facts["room"],
        device=facts.get("device"),
        override_reason=facts["override_reason"],
        by=request.actor,
        at=timezone.now(),
    )
    messages.success(request, moved.sentence)
    _warn_of_late_precare(request, moved.appointment)
    return redirect("appointment", visit.ref)


@staff(Permission.BOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def appointment_cancel(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The visit is off, with a reason."""
    visit = visible_visit(request, ref)
    form = CancelForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            told = cancel_telling(appointment=visit, **form.cleaned_data, by=request.actor, at=timezone.now())
        except Refused as refused:
            form.refuse(refused)
        else:
            said = _("Cancelled: %(who)s, %(when)s.") % {"who": visit.patient.full_name, "when": when_words(visit)}
            messages.success(request, f"{said} {told.sentence}")
            return redirect("appointment", visit.ref)
    status = 422 if form.errors else 200
    context = {"form": form, "visit": visit, "patient": visit.patient}
    return render(request, "treatments/booking/cancel.html", context, status=status)
