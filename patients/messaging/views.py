"""The message log, what the desk does with one message, how the sender is doing, and the demo's mailbox."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.audit.actions import record
from clinic.audit.states import Refused
from clinic.staff.access import public, staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from clinic.transports.kept import kept_message, kept_messages
from patients.messaging import queries
from patients.messaging.actions import ReasonMissing, hold_message, release_message, resend_message, skip_message
from patients.messaging.forms import LogForm, SendForm, WhyForm
from patients.messaging.models import Message
from patients.messaging.states import UNSENT, MessageStatus, Shown
from patients.registry.models import Patient


@staff(Permission.SEE_MESSAGES)
@require_safe
def message_log(request: StaffRequest) -> HttpResponse:
    """Every message of the person's locations with the reason for its state; what comes next first."""
    return _log(request, None)


@staff(Permission.SEE_MESSAGES)
@require_safe
def patient_messages(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Every message to one patient, with the same filters."""
    return _log(request, get_object_or_404(Patient.objects.visible_to(request.user), ref=ref))


def _log(request: StaffRequest, patient: Patient | None) -> HttpResponse:
    shown = Shown(request.GET["show"]) if request.GET.get("show") in Shown.values else Shown.COMING
    form = LogForm(shown, request.GET)
    wanted, at = form.wanted(), timezone.now()
    rows = queries.messages_of(request.user, wanted, timezone.get_current_timezone(), at, patient)
    page, last = queries.page_behind(rows, shown, _behind(request))
    kept = {name: str(value) for name, value in request.GET.items() if name in form.fields and value}
    context = {
        "patient": patient,
        "listed": queries.with_ways(page, at),
        "last": last,
        "shown": shown,
        "tabs": Shown.choices,
        "form": form,
        "wanted": wanted,
        # A tab keeps the filters, but not the state: each has its own.
        "kept": urlencode(kept),
        "kept_by_tabs": urlencode({name: value for name, value in kept.items() if name != "status"}),
        "trouble": queries.trouble_count(request.user) if patient is None else 0,
    }
    return render(request, "patients/messaging/log.html", context)


def _behind(request: StaffRequest) -> Message | None:
    try:
        return Message.objects.visible_to(request.user).filter(ref=UUID(request.GET["behind"])).first()
    except (KeyError, ValueError, ValidationError):
        return None


@staff(Permission.SEE_MESSAGES)
@require_safe
def message(request: StaffRequest, ref: UUID) -> HttpResponse:
    """One message: why it is in its state, every try, and its words as far as the person may read them."""
    row = _visible(request, ref)
    return _message_page(request, row)


def _message_page(
    request: StaffRequest, row: Message, *, hold: WhyForm | None = None, skip: WhyForm | None = None, status: int = 200
) -> HttpResponse:
    may_read, at = row.says_nothing_medical or request.user.may(Permission.SEE_CHART), timezone.now()
    with transaction.atomic():
        record(action="message.viewed", subject=row, by=request.actor, at=at, text=may_read)
    queries.with_ways([row], at)
    context = {
        "message": row,
        "said": _said(row, may_read),
        "may_read": may_read,
        "tries": list(row.deliveries.order_by("-at", "-id")),
        "receipts": list(row.receipts.order_by("-said_at", "-id")),
        "is_waiting": row.status in UNSENT,
        "is_held": row.status == MessageStatus.HELD,
        "hold_form": hold or WhyForm(prefix="hold"),
        "skip_form": skip or WhyForm(prefix="skip"),
    }
    return render(request, "patients/messaging/message.html", context, status=status)


def _said(row: Message, may_read: bool) -> dict[str, str]:
    """Return the words that left. Without the right to charts: subject lines and texts, which give nothing away."""
    said: dict[str, str] = row.sent_text or {}
    if may_read or row.sent_channel == "sms":
        return said
    return {"subject": said["subject"]} if said.get("subject") else {}


@staff(Permission.SEND_MESSAGES)
@require_http_methods(["GET", "HEAD", "POST"])
def message_send(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Asks what goes to whom, and why; then it goes out now, or once more."""
    row, at = _visible(request, ref), timezone.now()
    quiet = queries.quiet_for(row, at)
    form = SendForm(request.POST if request.method == "POST" else None, is_night=quiet is not None)
    if request.method == "POST" and form.is_valid():
        try:
            sent = resend_message(message=row, **form.cleaned_data, by=request.actor, at=at)
        except ReasonMissing as refused:
            form.add_error("reason", refused.for_people)
        except Refused as refused:
            messages.error(request, refused.for_people)
            return redirect("message", row.ref)
        else:
            messages.success(request, _("On its way."))
            return redirect("message", sent.ref)
    context = {
        "message": row,
        "form": form,
        "routes": queries.routes_for([row], at)[row.pk],
        "quiet": quiet,
        "is_waiting": row.status in UNSENT,
        "is_over": row.not_after <= at,
    }
    status = 422 if form.errors else 200
    return render(request, "patients/messaging/send.html", context, status=status)


@staff(Permission.SEND_MESSAGES)
@require_POST
def message_release(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A held message goes its way again."""
    return _act(request, _visible(request, ref), release_message, _("Released."))


@staff(Permission.SEND_MESSAGES)
@require_POST
def message_hold(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The message waits for a person, with the reason given."""
    row, form = _visible(request, ref), WhyForm(request.POST, prefix="hold")
    if not form.is_valid():
        return _message_page(request, row, hold=form, status=422)
    return _act(request, row, hold_message, _("Held until released."), **form.cleaned_data)


@staff(Permission.SEND_MESSAGES)
@require_POST
def message_skip(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The message will not be sent, with the reason given."""
    row, form = _visible(request, ref), WhyForm(request.POST, prefix="skip")
    if not form.is_valid():
        return _message_page(request, row, skip=form, status=422)
    return _act(request, row, skip_message, _("It will not be sent."), **form.cleaned_data)


def _visible(request: StaffRequest, ref: UUID) -> Message:
    rows = Message.objects.visible_to(request.user).select_related("patient", "staff", "location", "point")
    return get_object_or_404(rows, ref=ref)


def _act(request: StaffRequest, row: Message, action: Callable[..., Message], done: str, **given: str) -> HttpResponse:
    try:
        row = action(message=row, **given, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    else:
        messages.success(request, done)
    return redirect("message", row.ref)


# --- how the sender is doing ------------------------------------------------------------------------------------------


@staff(Permission.SEE_MESSAGES)
@require_safe
def sender_banner(request: StaffRequest) -> HttpResponse:
    """A calm warning when messages are not going out; nothing when they are."""
    state = queries.sender_state(timezone.now())
    return render(request, "patients/messaging/_sender.html", {"sender": state, "late": _words(state.oldest_overdue)})


def _words(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


@public
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """503 when the database does not answer; and, asked with ?sender=1, when messages are not going out.

    A load balancer asks without: a page about a red answer must be served however the sender is doing.
    """
    try:
        state = queries.sender_state(timezone.now())
    except DatabaseError:
        return JsonResponse({"database": "down"}, status=503)
    stalled = state.is_stalled
    facts = {
        "database": "up",
        "sender": "stalled" if stalled else "up",
        "last_sweep_seconds": int(state.sweep_age.total_seconds()) if state.sweep_age is not None else None,
        "oldest_overdue_minutes": int(state.oldest_overdue.total_seconds() // 60),
    }
    return JsonResponse(facts, status=503 if stalled and "sender" in request.GET else 200)


# --- the demo's mailbox -----------------------------------------------------------------------------------------------


@public
@never_cache
@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """What the demo's patients and staff received, newest first. Outside the demo there is no such page."""
    if not settings.DEMO:
        raise Http404
    folder, texts = Path(settings.MAILBOX_DIR), Path(settings.SMS_FILE)
    listed = kept_messages(folder, texts)
    key = request.GET.get("open", "")
    opened = kept_message(folder, texts, key) if key else None
    return render(
        request,
        "patients/messaging/mailbox.html",
        {"listed": listed, "opened": opened, "key": key},
        status=404 if key and opened is None else 200,
    )
