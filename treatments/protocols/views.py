"""Care protocols: the rehearsal of a journey on a sample visit, and a draft's messages in a form."""

from __future__ import annotations

import uuid
from datetime import datetime, time, timedelta

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from clinic.audit.states import Refused
from clinic.packedit import CannotRewrite
from clinic.packfile import PackError
from clinic.packs.models import RulePack
from clinic.packs.states import PackKind
from clinic.premises.models import Location
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.messaging.rendering import Unwritable
from patients.workshop.desk import around, own_draft, refuse, save
from treatments.plan.protocols import Protocol
from treatments.plan.rules import parse_protocol
from treatments.protocols.edits import apply_step, field_of, stated
from treatments.protocols.forms import RehearsalForm, StepForm
from treatments.protocols.queries import rehearsable, rehearsed
from treatments.protocols.wording import when_words


@require_safe
@staff(Permission.SEE_MESSAGES)
def rehearsal(request: StaffRequest) -> HttpResponse:
    """Every message of a protocol around a sample visit, as it would read. Nothing is stored or sent."""
    location = request.location
    if not request.GET or location is None:
        return render(request, "treatments/protocols/rehearsal.html", {"form": _first_form(location)})
    form = RehearsalForm(request.GET)
    rows = None
    if form.is_valid():
        given = form.cleaned_data
        try:
            rows = rehearsed(given["protocol"], given["visit"], given["zone"], location)
        except (PackError, Unwritable) as error:
            form.add_error("protocol", str(error))
    context = {"form": form, "rows": rows}
    return render(request, "treatments/protocols/rehearsal.html", context, status=422 if rows is None else 200)


def _first_form(location: Location | None) -> RehearsalForm:
    zone = location.time_zone if location else "UTC"
    day = timezone.now().date() + timedelta(days=70)
    first = rehearsable().first()
    return RehearsalForm(
        initial={"protocol": first.ref if first else None, "visit": datetime.combine(day, time(10)), "zone": zone}
    )


# --- a draft, message by message ------------------------------------------------------------------------------------


@require_safe
@staff(Permission.PUBLISH_PACKS)
def care_steps(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Every message of the author's draft, in the order of the text, each to open."""
    draft, protocol = _own_protocol(request, ref)
    steps = [(step, when_words(step)) for step in protocol.steps]
    context = around(request, draft) | {"steps": steps, "protocol": protocol}
    return render(request, "treatments/protocols/steps.html", context)


@staff(Permission.PUBLISH_PACKS)
def care_step(request: StaffRequest, ref: uuid.UUID, step: str) -> HttpResponse:
    """One message of a draft in a form. The text is checked as a whole before it is saved; nothing typed is lost."""
    draft, protocol = _own_protocol(request, ref)
    found = next((each for each in protocol.steps if each.id == step), None)
    if found is None:
        raise Http404
    is_sent = request.method == "POST"
    status = 422 if is_sent else 200
    form = StepForm(request.POST if is_sent else None, step=found, stated=stated(draft.body, step), sha256=draft.sha256)
    if is_sent and form.is_valid():
        try:
            save(request, draft, apply_step(draft.body, step, form.given()), form.cleaned_data["shown"])
        except CannotRewrite as error:
            form.add_error(None, _("“%s” cannot be changed in the form. Please change it in the text.") % error)
        except Refused as refused:
            status = refuse(form, refused, draft, field_of)
        else:
            messages.success(request, _("Saved in the draft."))
            return redirect(f"{redirect('care_steps', ref=draft.ref).url}#{step}")
    context = around(request, draft) | {"form": form, "step": found, "when": when_words(found)}
    return render(request, "treatments/protocols/step.html", context, status=status)


def _own_protocol(request: StaffRequest, ref: uuid.UUID) -> tuple[RulePack, Protocol]:
    draft = own_draft(request, ref)
    if draft.kind != PackKind.CARE:
        raise Http404
    return draft, parse_protocol(draft.body, str(draft))
