"""Reading and signing on one's own phone, the copy afterwards, and the clinic's side of it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.audit.actions import record
from clinic.audit.states import Refused
from clinic.pdf import NoPdf, can_make_pdf, pdf_response
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.consent import actions
from patients.consent.forms import QuestionForm, RevokeForm, SignForm, WithdrawForm
from patients.consent.models import Consent
from patients.consent.queries import consent_about, is_intact, plan_in_words
from patients.consent.rules import is_minor, shown_sha256
from patients.consent.states import ConsentStatus, PlanChanged, RisksUnticked, SignedAs
from patients.registry.access import LinkRequest, link
from patients.registry.states import LinkScope

SIGNABLE = ConsentStatus.PROPOSED
PAD = (600, 200)  # the drawing field's own units: width and height of the picture of a signature


# --- the patient ------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@link(LinkScope.CONSENT)
def consent(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The summary, then the full text with each risk to tick; POST signs."""
    found = _asked(request)
    if request.method != "POST":
        return _page(request, found)
    form = _sign_form(found, request.POST)
    if form.is_valid():
        given = form.cleaned_data
        try:
            actions.sign_consent(
                consent=found,
                risks_ticked=form.ticked(),
                questions="",
                signed_name=given["signed_name"],
                signed_as=given["signed_as"] or SignedAs.PATIENT,
                signature=given["signature"],
                shown=given["shown"],
                by=request.actor,
                at=timezone.now(),
            )
        except RisksUnticked as refused:
            form.show_unticked(refused)
        except PlanChanged as refused:
            messages.warning(request, refused.for_people)
            return redirect("consent", ref=ref)
        except Refused as refused:
            _show_refusal(form, refused)
        else:
            return redirect("consent_copy", ref=ref)
    if _asked(request).status != SIGNABLE:
        # A second tap: the first one signed.
        return redirect("consent", ref=ref)
    return _page(request, found, status=422, form=form)


@require_POST
@link(LinkScope.CONSENT)
def consent_read(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The patient goes on from the summary to the full text; the first time is on record."""
    actions.note_read(consent=_asked(request), by=request.actor, at=timezone.now())
    return redirect("consent", ref=ref)


@require_POST
@link(LinkScope.CONSENT)
def consent_question(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """A question goes to the clinicians; nothing is signed."""
    found = _asked(request)
    form = QuestionForm(request.POST)
    if not form.is_valid():
        return _page(request, found, status=422, question_form=form)
    actions.ask_question(consent=found, question=form.cleaned_data["questions"], by=request.actor, at=timezone.now())
    messages.success(request, "Your question is with the clinicians. They will get in touch with you.")
    return redirect("consent", ref=ref)


@require_POST
@link(LinkScope.CONSENT)
def consent_decline(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The patient says no."""
    try:
        actions.reject_consent(consent=_asked(request), by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    return redirect("consent", ref=ref)


@require_safe
@link(LinkScope.CONSENT)
def consent_copy(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The patient's copy of what was signed, to read and to print."""
    found = _asked(request)
    if found.signed_at is None:
        return redirect("consent", ref=ref)
    context = _words(found) | {"link": request.link, "can_make_pdf": can_make_pdf()}
    return render(request, "patients/consent/copy.html", context)


@require_safe
@link(LinkScope.CONSENT)
def consent_pdf(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The copy as a PDF; its name tells nobody what it is about. Back to the page where none can be made."""
    found = _asked(request)
    if found.signed_at is None:
        return redirect("consent", ref=ref)
    words = _words(found) | {"paper": True}
    try:
        return pdf_response(request, "patients/consent/copy_pdf.html", words, f"copy-{str(found.ref)[:8]}.pdf")
    except NoPdf:
        return redirect("consent_copy", ref=ref)


@require_POST
@link(LinkScope.CONSENT)
def consent_withdraw(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The patient takes the consent back; it acts at once."""
    form = WithdrawForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else request.POST.get("reason", "")
    try:
        actions.revoke_consent(consent=_asked(request), reason=reason, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    return redirect("consent", ref=ref)


def _asked(request: LinkRequest) -> Consent:
    """Return the consent that the link is for, if it is the link's own patient's."""
    found = consent_about(request.link.about)
    if found is None or found.patient_id != request.link.patient_id:
        raise Http404
    return found


def _sign_form(found: Consent, data: Any = None) -> SignForm:
    today = timezone.localdate(timezone=found.patient.location.zone)
    shown = shown_sha256(found.wording.sha256, found.plan_sha256)
    return SignForm(data, consent=found, asks_who=is_minor(found.patient.born_on, today), initial={"shown": shown})


def _page(request: LinkRequest, found: Consent, status: int = 200, **forms: Any) -> HttpResponse:
    """Show the summary first, the full text once the patient went on, or how the consent stands."""
    context = _words(found) | {
        "link": request.link,
        "form": forms.get("form") or _sign_form(found),
        "question_form": forms.get("question_form") or QuestionForm(),
        "withdraw_form": WithdrawForm(),
        "may_sign": found.reflect_until is None or timezone.now() >= found.reflect_until,
    }
    if found.status != SIGNABLE:
        return render(request, "patients/consent/stands.html", context, status=status)
    if found.first_read_at is None and status == 200:
        return render(request, "patients/consent/summary.html", context)
    return render(request, "patients/consent/sign.html", context, status=status)


def _words(found: Consent) -> dict[str, Any]:
    ticked = set(found.risks_ticked or [])
    body = found.wording.body
    return {
        "consent": found,
        "patient": found.patient,
        "body": body,
        "plan": plan_in_words(found.plan),
        "risks": [(risk, risk["key"] in ticked) for risk in body["risks"]],
        "strokes": _drawing(found),
        "pad": PAD,
    }


def _drawing(found: Consent) -> list[str]:
    """Return each stroke of a drawn signature as the points of an SVG line."""
    width, height = PAD
    return [
        " ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in stroke) for stroke in found.signature or [] if stroke
    ]


# --- the clinic -------------------------------------------------------------------------------------------------------


@require_safe
@staff(Permission.SEE_PATIENTS)
def consent_record(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """How a consent stands; what the patient asked is shown only to who may read the chart."""
    found = _find(request, ref)
    with transaction.atomic():
        record(action="consent.viewed", subject=found, by=request.actor, at=timezone.now())
    return _record_page(request, found)


@require_POST
@staff(Permission.EDIT_PATIENTS)
def consent_revoke(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The desk records that the patient withdrew."""
    found = _find(request, ref)
    form = RevokeForm(request.POST)
    if form.is_valid():
        try:
            actions.revoke_consent(
                consent=found, reason=form.cleaned_data["reason"], by=request.actor, at=timezone.now()
            )
        except Refused as refused:
            _show_refusal(form, refused)
        else:
            messages.success(request, "Recorded. It counts from this moment.")
            return redirect("consent_record", ref=found.ref)
    return _record_page(request, found, status=422, form=form)


def _find(request: StaffRequest, ref: uuid.UUID) -> Consent:
    rows = Consent.objects.visible_to(request.user).select_related("wording", "patient__location")
    return get_object_or_404(rows, ref=ref)


def _record_page(request: StaffRequest, found: Consent, status: int = 200, form: Any = None) -> HttpResponse:
    context = _words(found) | {
        "form": form or RevokeForm(),
        "is_open": found.status in (ConsentStatus.PROPOSED, ConsentStatus.ACTIVE),
        "is_intact": found.signed_at is None or is_intact(found),
    }
    return render(request, "patients/consent/record.html", context, status=status)


def _show_refusal(form: Any, refused: Refused) -> None:
    form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
