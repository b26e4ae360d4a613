"""The inbox of what patients write back: read, answer, take, close."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from clinic.audit.actions import record
from clinic.audit.states import Refused
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.registry.models import Patient
from patients.replies import queries
from patients.replies.actions import answer, close_conversation, take_conversation
from patients.replies.forms import AnswerForm, CloseForm, TakeForm
from patients.replies.models import Conversation
from patients.replies.states import ConversationStatus, Shown


@staff(Permission.READ_REPLIES)
@require_safe
def replies(request: StaffRequest) -> HttpResponse:
    """Whoever wrote and waits for an answer, the longest waiting first; or what was answered or closed."""
    shown = Shown(request.GET["show"]) if request.GET.get("show") in Shown.values else Shown.WAITING
    listed = queries.listed(queries.inbox(request.user, shown))
    context = {"listed": listed, "shown": shown, "tabs": Shown.choices, "waiting": queries.waiting_count(request.user)}
    return render(request, "patients/replies/inbox.html", context)


@staff(Permission.READ_REPLIES)
@require_safe
def replies_count(request: StaffRequest) -> HttpResponse:
    """How many wait, for the staff bar; nothing where nobody does."""
    return render(request, "patients/replies/_count.html", {"waiting": queries.waiting_count(request.user)})


@staff(Permission.READ_REPLIES)
@require_safe
def conversation(request: StaffRequest, ref: UUID) -> HttpResponse:
    """One number: who it may be, what was said, and what to do. The look is in the trail."""
    found = _visible(request, ref)
    with transaction.atomic():
        record(action="conversation.viewed", subject=found, by=request.actor, at=timezone.now())
    return _page(request, found)


@staff(Permission.READ_REPLIES)
@require_POST
def conversation_answer(request: StaffRequest, ref: UUID) -> HttpResponse:
    """An answer goes out as a text."""
    found = _visible(request, ref)
    form = AnswerForm(request.POST, conversation=found, people=_people(request, found))
    if form.is_valid():
        try:
            answer(
                conversation=found,
                patient=form.cleaned_data["patient"],
                text=form.cleaned_data["text"],
                by=request.actor,
                at=timezone.now(),
            )
        except Refused as refused:
            _show(form, refused)
        else:
            messages.success(request, _("Your answer is on its way."))
            return redirect("conversation", found.ref)
    return _page(request, found, status=422, answer_form=form)


@staff(Permission.READ_REPLIES)
@require_POST
def conversation_take(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The conversation is the person's own, or somebody else's whom they name."""
    found = _visible(request, ref)
    form = TakeForm(request.POST or {"to": request.user.pk}, people=queries.who_may_answer(found))
    if form.is_valid():
        try:
            to = form.cleaned_data["to"]
            take_conversation(conversation=found, to=to, by=request.actor, at=timezone.now())
        except Refused as refused:
            _show(form, refused)
        else:
            messages.success(request, _("%(name)s has it now.") % {"name": to})
            return redirect("conversation", found.ref)
    return _page(request, found, status=422, take_form=form)


@staff(Permission.READ_REPLIES)
@require_POST
def conversation_close(request: StaffRequest, ref: UUID) -> HttpResponse:
    """Nothing more is to do; what came of it stays."""
    found = _visible(request, ref)
    form = CloseForm(request.POST)
    if form.is_valid():
        try:
            close_conversation(conversation=found, **form.cleaned_data, by=request.actor, at=timezone.now())
        except Refused as refused:
            _show(form, refused)
        else:
            messages.success(request, _("Closed."))
            return redirect("replies")
    return _page(request, found, status=422, close_form=form)


def _visible(request: StaffRequest, ref: UUID) -> Conversation:
    rows = Conversation.objects.visible_to(request.user).select_related("point", "location", "owner", "closed_by")
    return get_object_or_404(rows, ref=ref)


def _people(request: StaffRequest, found: Conversation) -> list[Patient]:
    """Return who it may be, as far as the person may see them."""
    seen = set(Patient.objects.visible_to(request.user).values_list("pk", flat=True))
    return [patient for patient in queries.people_at(found.point) if patient.pk in seen]


def _show(form: Form, refused: Refused) -> None:
    form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)


def _page(request: StaffRequest, found: Conversation, status: int = 200, **given: Any) -> HttpResponse:
    people = _people(request, found)
    context = {
        "conversation": found,
        "people": people,
        "relatives": queries.relatives_at(found.point),
        "thread": queries.thread(found),
        "is_stopped": queries.is_stopped(found.point, timezone.now()),
        "is_closed": found.status == ConversationStatus.CLOSED,
        "is_mine": found.owner_id == request.user.pk,
        "answer_form": AnswerForm(conversation=found, people=people),
        "take_form": TakeForm(people=queries.who_may_answer(found), initial={"to": found.owner_id or request.user.pk}),
        "close_form": CloseForm(),
        **given,
    }
    return render(request, "patients/replies/conversation.html", context, status=status)
