"""The desk's day: the list, the diary, booking, and one visit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.audit.models import AuditEvent
from clinic.audit.states import Refused
from clinic.premises.models import Location
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.models import Practitioner
from clinic.staff.states import Permission
from patients.messaging.models import Message, MessageQuerySet
from patients.registry.models import Patient
from patients.registry.queries import find_patients
from treatments.booking.actions import (
    accept_proposal,
    book_appointment,
    cancel_appointment,
    mark_arrived,
    mark_fulfilled,
    mark_noshow,
    move_appointment,
)
from treatments.booking.cells import Cells
from treatments.booking.confirming import to_ring
from treatments.booking.diary import LOOKS, Column, Diary, counted, diary_of, etag_of, line_of, lines_of
from treatments.booking.flow import confirm_appointment, log_call, show_in, take_back
from treatments.booking.forms import BookForm, CallForm, CancelForm, DropForm, MoveForm, ResizeForm, WhenForm
from treatments.booking.models import Appointment
from treatments.booking.offers import Ask, Offer, late_precare, offer_for, value_of
from treatments.booking.queries import practitioners_at, visits_of_day
from treatments.booking.resizing import resize_appointment
from treatments.booking.rules import Kind, clock_label
from treatments.booking.states import UNDO, AppointmentStatus, CallOutcome, SlotTaken, StaleVersion, Step
from treatments.booking.week import things_at, week_of
from treatments.plan.rules import UNDO as UNDO_WINDOW

PRIVATE = "private"  # session key: names are hidden while others can see the screen
KINDS: tuple[tuple[Kind, str], ...] = (("practitioner", "Clinician"), ("room", "Room"), ("device", "Device"))


# --- the list -----------------------------------------------------------------------------------------------------


@staff(Permission.SEE_TODAY)
@require_safe
def today(request: StaffRequest) -> HttpResponse:
    """Everybody who comes on a day, in order; a click says that they are here, done, or did not come."""
    if request.location is None:
        return _nowhere(request)
    return render(request, "treatments/booking/today.html", _list_context(request))


@staff(Permission.SEE_TODAY)
@require_safe
def today_list(request: StaffRequest) -> HttpResponse:
    """The list alone, for pages that look again; 304 while nothing has changed."""
    if request.location is None:
        return HttpResponse(status=204)
    context = _list_context(request)
    return _unless_same(request, context["etag"], "treatments/booking/_list.html", context)


def _list_context(request: StaffRequest) -> dict[str, Any]:
    at, day = timezone.now(), _day(request)
    people = practitioners_at(request.location)
    who = request.GET.get("who", "")
    visits = visits_of_day(request.location, day)
    chosen = next((person for person in people if str(person.ref) == who), None)
    if chosen is not None:
        visits = [visit for visit in visits if visit.practitioner_id == chosen.pk]
    lines = lines_of(visits, request.location, at, private=_private(request))
    before_now = sum(line.visit.starts_at <= at for line in lines)
    return {
        **_day_context(request, day),
        "lines": lines,
        "counted": counted(lines),
        "people": people,
        "who": str(chosen.ref) if chosen else "",
        "now_after": before_now if day == _local_today(request) and before_now > 0 else None,
        "now_label": clock_label(at, request.location.zone),
        "etag": etag_of(lines, _private(request)),
    }


@staff(Permission.SEE_TODAY)
@require_POST
def today_privacy(request: StaffRequest) -> HttpResponse:
    """Names are initials on the day's pages from here on, or names again."""
    request.session[PRIVATE] = not _private(request)
    return redirect(_next(request, reverse("today")))


# --- the diary ----------------------------------------------------------------------------------------------------


@staff(Permission.SEE_TODAY)
@require_safe
def diary(request: StaffRequest) -> HttpResponse:
    """A day as a grid, a column for each clinician, room or device."""
    if request.location is None:
        return _nowhere(request)
    return render(request, "treatments/booking/diary.html", _grid_context(request))


@staff(Permission.SEE_TODAY)
@require_safe
def diary_grid(request: StaffRequest) -> HttpResponse:
    """The grid alone, for pages that look again; 304 while nothing has changed."""
    if request.location is None:
        return HttpResponse(status=204)
    context = _grid_context(request)
    return _unless_same(request, context["diary"].etag, "treatments/booking/_grid.html", context)


def _drawn(request: StaffRequest, shown: Diary) -> Iterator[tuple[Column, SafeString]]:
    """Yield each column with its cells, when the page is written: a 304 draws nothing."""
    cells = Cells(may_book=request.user.may(Permission.BOOK))
    return ((column, cells.of(column)) for column in shown.columns)


def _grid_context(request: StaffRequest) -> dict[str, Any]:
    day, by = _day(request), request.GET.get("by", "practitioner")
    kind: Kind = next((key for key, _label in KINDS if key == by), "practitioner")
    shown = diary_of(request.location, day, kind, timezone.now(), private=_private(request))
    return {
        **_day_context(request, day),
        "diary": shown,
        "columns": _drawn(request, shown),
        "kinds": KINDS,
        "looks": LOOKS.values(),
    }


@staff(Permission.SEE_TODAY)
@require_safe
def diary_week(request: StaffRequest) -> HttpResponse:
    """A week of one clinician, room or device, a column a day."""
    if request.location is None:
        return _nowhere(request)
    return render(request, "treatments/booking/week.html", _week_context(request))


@staff(Permission.SEE_TODAY)
@require_safe
def diary_week_grid(request: StaffRequest) -> HttpResponse:
    """The week's grid alone, for pages that look again; 304 while nothing has changed."""
    if request.location is None:
        return HttpResponse(status=204)
    context = _week_context(request)
    return _unless_same(request, context["etag"], "treatments/booking/_grid.html", context)


def _week_context(request: StaffRequest) -> dict[str, Any]:
    day, by = _day(request), request.GET.get("by", "practitioner")
    kind: Kind = next((key for key, _label in KINDS if key == by), "practitioner")
    things = things_at(request.location, kind)
    asked = request.GET.get("ref", "")
    thing = next((each for each in things if str(each.ref) == asked), things[0] if things else None)
    monday = day - timedelta(days=day.weekday())
    context = {**_day_context(request, day), "kinds": KINDS, "by": kind, "things": things, "thing": thing, "etag": ""}
    if thing is None:
        return {**context, "looks": LOOKS.values()}
    shown = week_of(request.location, monday, thing, kind, timezone.now(), private=_private(request))
    return {
        **context,
        "diary": shown,
        "etag": shown.etag,
        "columns": _drawn(request, shown),
        "looks": LOOKS.values(),
    }


# --- booking ------------------------------------------------------------------------------------------------------


@staff(Permission.BOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def book(request: StaffRequest) -> HttpResponse:
    """Find the patient, choose what for and a free time, book. `show` in a POST only looks for times again."""
    if request.location is None:
        return _nowhere(request)
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


def _patient(request: StaffRequest) -> Patient | None:
    ref = request.POST.get("patient") or request.GET.get("patient")
    if not ref:
        return None
    return get_object_or_404(Patient.objects.visible_to(request.user).select_related("location"), ref=_uuid(ref))


def _find(request: StaffRequest) -> HttpResponse:
    """Who comes? What was chosen in the diary stays in the address."""
    text = request.GET.get("q", "")
    found = find_patients(request.user, text, "") if text.strip() else None
    kept = {key: request.GET.get(key, "") for key in ("at", "day", "practitioner", "room", "device")}
    kept = {key: value for key, value in kept.items() if value}
    template = "treatments/booking/_people.html" if request.htmx else "treatments/booking/find.html"
    asked = parse_datetime(kept["at"]) if _is_moment(kept.get("at", "")) else None
    return render(request, template, {"found": found, "q": text, "kept": kept, "asked": asked})


def _book_form(request: StaffRequest, patient: Patient) -> BookForm:
    more: dict[str, Any] = {
        "patient": patient,
        "location": request.location,
        "may_override": request.user.may(Permission.OVERRIDE),
    }
    if request.method == "POST":
        return BookForm(_shown(request), **more)
    asked = request.GET.get("at", "")
    starts_at = parse_datetime(asked) if _is_moment(asked) else None
    day = starts_at.astimezone(request.location.zone).date() if starts_at else _asked_day(request.GET.get("day", ""))
    initial = {
        "day": day,
        "practitioner": request.GET.get("practitioner", ""),
        "room": request.GET.get("room", ""),
        "device": request.GET.get("device", ""),
        "starts_at": starts_at.isoformat() if starts_at else "",
    }
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
        _show_refusal(form, refused)
        return None
    messages.success(request, _("Booked: %(who)s, %(when)s.") % {"who": patient.full_name, "when": _when(visit)})
    _warn_of_late_precare(request, visit)
    return redirect("appointment", visit.ref)


def _book_page(request: StaffRequest, form: BookForm, patient: Patient, status: int = 200) -> HttpResponse:
    offer = _offer(form, patient, form.purpose) if form.purpose else None
    if offer is not None:
        form.show_day(offer.day)
    context = {
        "form": form,
        "patient": patient,
        "offer": offer,
        "picked": _picked(form),
        "next_free": _next_free(form),
    }
    template = "treatments/booking/_times.html" if request.htmx and status == 200 else "treatments/booking/book.html"
    return render(request, template, context, status=status)


def _picked(form: WhenForm) -> bool:
    """Return True if a room or a device was asked for by name."""
    return bool(form.rooms.get(form.typed("room")) or form.devices.get(form.typed("device")))


def _offer(form: WhenForm, patient: Patient, purpose: Any, leaving_out: int | None = None) -> Offer:
    chosen = form.people.get(form.typed("practitioner"))
    return offer_for(
        Ask(
            patient=patient,
            type=purpose.type,
            location=form.location,
            modality=purpose.modality,
            people=[chosen] if chosen else list(form.people.values()),
            anyone=chosen is None,
            day=form.typed_day(),
            room=form.rooms.get(form.typed("room")),
            device=form.devices.get(form.typed("device")),
            chosen=form.typed("starts_at"),
            leaving_out=leaving_out,
        ),
        timezone.now(),
    )


def _warn_of_late_precare(request: StaffRequest, visit: Appointment) -> None:
    late = late_precare(visit)
    if late:
        said = _("The day for this had passed already, so the patient is told at once: %(steps)s.")
        messages.warning(request, said % {"steps": "; ".join(late)})


# --- one visit ----------------------------------------------------------------------------------------------------


@staff(Permission.SEE_TODAY)
@require_safe
def appointment(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A visit: what, when, with whom, what became of it, and what can be done now."""
    visit, at = _visible(request, ref), timezone.now()
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
        "is_today_or_past": _local_day(at, visit.location) >= _local_day(visit.starts_at, visit.location),
        "history": [(event, _told(event, visit.location)) for event in history],
        "move_back": _move_back(visit, history, at),
        "messages_of": _messages_of(request, visit),
    }
    return render(request, "treatments/booking/appointment.html", context)


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
        return _("Moved, from %(when)s") % {"when": _moment(datetime.fromisoformat(was), location)}
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
    visit = _visible(request, ref)
    form = _move_form(request, visit)
    status = 200
    if request.method == "POST" and "show" not in request.POST:
        status = 422
        if form.is_valid():
            try:
                return _move(request, form, visit)
            except StaleVersion as stale:
                # What was chosen stays; sending it again means it, now that the other change has been seen.
                status, visit = 409, _visible(request, ref)
                form = _move_form(request, visit, version=visit.version)
                form.full_clean()
                _show_refusal(form, stale)
            except Refused as refused:
                _show_refusal(form, refused)
    offer = _offer(form, visit.patient, _Kept(visit), leaving_out=visit.pk)
    context = {
        "form": form,
        "visit": visit,
        "patient": visit.patient,
        "offer": offer,
        "picked": _picked(form),
        "next_free": _next_free(form),
    }
    template = "treatments/booking/_times.html" if request.htmx and status == 200 else "treatments/booking/move.html"
    return render(request, template, context, status=status)


class _Kept:
    """What a visit is for stays as it is when it moves."""

    def __init__(self, visit: Appointment) -> None:
        self.type = visit.sized_type
        self.modality = visit.course.modality if visit.course else ""


def _move_form(request: StaffRequest, visit: Appointment, version: int | None = None) -> MoveForm:
    more: dict[str, Any] = {
        "appointment": visit,
        "location": visit.location,
        "may_override": request.user.may(Permission.OVERRIDE),
    }
    if request.method == "POST":
        sent = _shown(request)
        if version is not None:
            sent["version"] = str(version)
        return MoveForm(sent, **more)
    initial = {
        "practitioner": str(visit.practitioner.ref),
        "day": _asked_day(request.GET.get("day", "")) or _local_day(visit.starts_at, visit.location),
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
@require_POST
def appointment_drop(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A visit was dropped elsewhere on the grid. Says what came of it, with one button to take it back."""
    visit = _visible(request, ref)
    form = DropForm(request.POST, location=visit.location)
    if not form.is_valid():
        return _dropped(request, visit, refusal=next(iter(form.errors.values()))[0], status=422)
    back = {"starts_at": visit.starts_at, "practitioner": visit.practitioner, "room": visit.room}
    try:
        moved = move_appointment(
            appointment=visit,
            starts_at=form.cleaned_data["starts_at"],
            expected_version=form.cleaned_data["version"],
            practitioner=form.cleaned_data["practitioner"],
            room=form.cleaned_data["room"],
            device=form.cleaned_data["device"],
            by=request.actor,
            at=timezone.now(),
        )
    except StaleVersion as stale:
        return _dropped(request, visit, refusal=stale.for_people, status=409)
    except Refused as refused:
        return _dropped(request, visit, refusal=refused.for_people, status=422)
    back["device"] = visit.device if moved.appointment.device_id != visit.device_id else None
    return _dropped(request, moved.appointment, said=moved.sentence, back=back)


@staff(Permission.BOOK)
@require_POST
def appointment_resize(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A visit is longer or shorter: from the grid by its lower edge, or from the visit's page by number."""
    visit, form = _visible(request, ref), ResizeForm(request.POST)
    refusal, status = "", 422
    if form.is_valid():
        try:
            sized = resize_appointment(
                appointment=visit,
                minutes=form.cleaned_data["minutes"],
                expected_version=form.cleaned_data["version"],
                by=request.actor,
                at=timezone.now(),
            )
        except StaleVersion as stale:
            refusal, status = stale.for_people, 409
        except Refused as refused:
            refusal = refused.for_people
    else:
        refusal = str(next(iter(form.errors.values()))[0])
    if not refusal:
        end = clock_label(sized.ends_at, sized.location.zone)
        said = _("%(who)s: until %(time)s now.") % {"who": _shown_name(request, sized), "time": end}
        if request.htmx:
            return _dropped(request, sized, said=said, minutes=visit.sized_type.minutes_work)
        messages.success(request, said)
    elif request.htmx:
        return _dropped(request, visit, refusal=refusal, status=status)
    else:
        messages.error(request, refusal)
    return redirect("appointment", ref)


def _dropped(request: StaffRequest, visit: Appointment, status: int = 200, **more: Any) -> HttpResponse:
    context = {"visit": visit, "name": _shown_name(request, visit), **more}
    return render(request, "treatments/booking/_dropped.html", context, status=status)


def _shown_name(request: StaffRequest, visit: Appointment) -> str:
    patient = visit.patient
    if not _private(request):
        return patient.full_name
    return " ".join(f"{part[0]}." for part in (patient.given_name, patient.family_name) if part)


@staff(Permission.BOOK)
@require_http_methods(["GET", "HEAD", "POST"])
def appointment_cancel(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The visit is off, with a reason."""
    visit = _visible(request, ref)
    form = CancelForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            cancel_appointment(appointment=visit, **form.cleaned_data, by=request.actor, at=timezone.now())
        except Refused as refused:
            form.refuse(refused)
        else:
            said = _("Cancelled: %(who)s, %(when)s.") % {"who": visit.patient.full_name, "when": _when(visit)}
            messages.success(request, said)
            return redirect("appointment", visit.ref)
    status = 422 if form.errors else 200
    context = {"form": form, "visit": visit, "patient": visit.patient}
    return render(request, "treatments/booking/cancel.html", context, status=status)


Act = Callable[..., Appointment]


@staff(Permission.BOOK)
@require_POST
def appointment_arrived(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The patient is here."""
    return _act(request, ref, mark_arrived)


@staff(Permission.BOOK)
@require_POST
def appointment_noshow(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The patient did not come."""
    return _act(request, ref, mark_noshow)


@staff(Permission.BOOK)
@require_POST
def appointment_done(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A visit without a treatment record took place. One with a course ends on its session page."""
    visit = _visible(request, ref)
    if visit.course is not None:
        messages.error(request, _("A treatment ends on its record’s page."))
        return redirect("appointment", ref)
    return _act(request, ref, mark_fulfilled)


@staff(Permission.BOOK)
@require_POST
def appointment_accept(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A time that was held is the patient's visit."""
    return _act(request, ref, accept_proposal)


@staff(Permission.BOOK)
@require_POST
def appointment_confirmed(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The patient has said that they will come."""
    return _act(request, ref, confirm_appointment)


@staff(Permission.BOOK)
@require_POST
def appointment_in_room(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The patient is shown in."""
    return _act(request, ref, show_in)


@staff(Permission.BOOK)
@require_POST
def appointment_undo(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The last step was marked by mistake: confirmed, in the room, arrived or no-show."""
    visit = _visible(request, ref)
    return _act(request, ref, partial(take_back, step=request.POST.get("step") or visit.step))


@staff(Permission.BOOK)
@require_POST
def appointment_called(request: StaffRequest, ref: UUID) -> HttpResponse:
    """What came of a call; htmx gets the row of the confirmation list, a browser without it the list."""
    visit, form, refusal = _visible(request, ref), CallForm(request.POST), ""
    if form.is_valid():
        try:
            log_call(appointment=visit, **form.cleaned_data, by=request.actor, at=timezone.now())
        except Refused as refused:
            refusal = refused.for_people
    else:
        refusal = str(next(iter(form.errors.values()))[0])
    day = _local_day(visit.starts_at, visit.location)
    if request.htmx:
        rows = to_ring(visit.location, day, timezone.now(), private=_private(request))
        row = next((each for each in rows if each.visit.ref == visit.ref), None)
        kept = request.POST.get("note", "") if refusal else ""
        context = {"row": row, "refusal": refusal, "kept": kept, "acted": True, "private": _private(request)}
        return render(request, "treatments/booking/_ring.html", context, status=422 if refusal else 200)
    if refusal:
        messages.error(request, refusal)
    return redirect(f"{reverse('confirmations')}?day={day:%Y-%m-%d}")


@staff(Permission.BOOK)
@require_safe
def confirmations(request: StaffRequest) -> HttpResponse:
    """Who to ring: tomorrow's visits with telephone, last message and last call; another day by `day`."""
    if request.location is None:
        return _nowhere(request)
    day = _asked_day(request.GET.get("day", "")) or _local_today(request) + timedelta(days=1)
    rows = to_ring(request.location, day, timezone.now(), private=_private(request))
    context = {
        **_day_context(request, day),
        "rows": rows,
        "open": sum(row.is_open for row in rows),
        "is_tomorrow": day == _local_today(request) + timedelta(days=1),
    }
    return render(request, "treatments/booking/confirmations.html", context)


def _act(request: StaffRequest, ref: UUID, act: Act) -> HttpResponse:
    """Do it; htmx gets the row as it is now, a browser without it goes back to where it was."""
    visit, refusal = _visible(request, ref), ""
    try:
        act(appointment=visit, by=request.actor, at=timezone.now())
    except Refused as refused:
        refusal = refused.for_people
    if request.htmx and request.POST.get("row"):
        return _row(request, visit, refusal)
    if refusal:
        messages.error(request, refusal)
    return redirect(_next(request, reverse("appointment", args=[ref])))


def _row(request: StaffRequest, visit: Appointment, refusal: str) -> HttpResponse:
    day = _local_day(visit.starts_at, visit.location)
    shown = next(each for each in visits_of_day(visit.location, day) if each.ref == visit.ref)
    line = line_of(shown, visit.location, timezone.now(), private=_private(request))
    context = {"line": line, "refusal": refusal, "is_today": day == _local_today(request), "acted": True}
    return render(request, "treatments/booking/_line.html", context)


# --- what the pages share -----------------------------------------------------------------------------------------


def _visible(request: StaffRequest, ref: UUID) -> Appointment:
    rows = Appointment.objects.visible_to(request.user).select_related(
        "patient__location", "type", "location", "course", "practitioner", "room", "device", "override_by"
    )
    return get_object_or_404(rows, ref=ref)


def _nowhere(request: StaffRequest) -> HttpResponse:
    return render(request, "treatments/booking/nowhere.html")


def _private(request: StaffRequest) -> bool:
    return bool(request.session.get(PRIVATE))


def _local_day(at: datetime, location: Location) -> date:
    return at.astimezone(location.zone).date()


def _local_today(request: StaffRequest) -> date:
    return _local_day(timezone.now(), request.location)


def _day(request: StaffRequest) -> date:
    return _asked_day(request.GET.get("day", "")) or _local_today(request)


def _asked_day(text: str) -> date | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    # A year before and after is all a diary is asked for; it also keeps day arithmetic within the calendar.
    return day if day and date(2000, 1, 1) <= day <= date(2100, 1, 1) else None


def _day_context(request: StaffRequest, day: date) -> dict[str, Any]:
    monday, now = day - timedelta(days=day.weekday()), _local_today(request)
    return {
        "day": day,
        "week": [monday + timedelta(days=each) for each in range(7)],
        "before": day - timedelta(days=1),
        "after": day + timedelta(days=1),
        "week_before": day - timedelta(days=7),
        "week_after": day + timedelta(days=7),
        "today": now,
        "is_today": day == now,
        "private": _private(request),
    }


def _unless_same(request: StaffRequest, etag: str, template: str, context: dict[str, Any]) -> HttpResponse:
    """Return the fragment, or 304 to a page that shows it already."""
    same = request.headers.get("If-None-Match") == etag
    response = HttpResponse(status=304) if same else render(request, template, context)
    response["ETag"] = etag
    return response


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _is_moment(text: str) -> bool:
    try:
        found = parse_datetime(text)
    except ValueError:
        return False
    return found is not None and found.tzinfo is not None


def _next(request: StaffRequest, otherwise: str) -> str:
    wanted = request.POST.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}) else otherwise


def _shown(request: StaffRequest) -> Any:
    """Return what was sent; a button that shows another day puts that day into the form."""
    sent = request.POST.copy()
    if _asked_day(sent.get("show", "")):
        sent["day"] = request.POST.get("show", "")
        sent["starts_at"] = ""
    return sent


def _show_refusal(form: WhenForm, refused: Refused) -> None:
    form.refuse(refused)
    form.next_free = refused.next_free if isinstance(refused, SlotTaken) else []  # type: ignore[attr-defined]
    form.may_set_aside = bool(getattr(refused, "may_be_overridden", False))  # type: ignore[attr-defined]


def _next_free(form: WhenForm) -> list[tuple[str, str, str]]:
    """Return the next free times as (value, day and time, with whom) for the page that was just refused."""
    people = {person.pk: person for person in form.people.values()}
    return [
        (
            value_of(each.starts_at, people[each.practitioner_id]),
            _moment(each.starts_at, form.location),
            str(people[each.practitioner_id]),
        )
        for each in getattr(form, "next_free", [])
        if each.practitioner_id in people
    ]


def _moment(at: datetime, location: Location) -> str:
    local = at.astimezone(location.zone)
    return f"{local:%a} {local.day} {local:%b}, {clock_label(at, location.zone)}"


def _when(visit: Appointment) -> str:
    return _moment(visit.starts_at, visit.location)
