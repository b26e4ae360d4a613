"""Sending the answers in; the list of who waits; one screening with its reasons and the decision."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from clinic.audit.actions import record
from clinic.audit.states import Refused
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from clinic.transitions import IllegalMove
from clinic.worklist.models import Task
from patients.candidacy import actions
from patients.candidacy import next_steps as told
from patients.candidacy.forms import DecisionForm, FindingsForm, SettleForm, WithdrawForm
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.queries import review_queue as waiting_for
from patients.candidacy.queries import standing_decision
from patients.candidacy.review import (
    Review,
    lanes_of,
    review_of,
    said,
    suggested_task,
    to_confirm,
)
from patients.candidacy.states import (
    AlreadyDecided,
    AlreadyTakenBack,
    DecisionKind,
    DecisionStatus,
    ScreeningReplaced,
    ScreeningStatus,
)
from patients.intake.queries import open_response, response_about
from patients.photos.queries import sent_by_patient, shelf_of
from patients.registry.access import LinkRequest, link
from patients.registry.models import Patient
from patients.registry.states import LinkScope

PAGE = "patients/candidacy/screening.html"
# Refused because of what somebody else did meanwhile, not because of what was typed.
CONFLICTS = (AlreadyDecided, AlreadyTakenBack, ScreeningReplaced, IllegalMove)
BACK = "back"  # several forms on the page ask for a reason


@dataclass(frozen=True)
class Kept:
    """What somebody typed into a form that has no place on the page any more, and why."""

    sentence: str
    words: str


# --- the patient ------------------------------------------------------------------------------------------------------


@require_POST
@link(LinkScope.INTAKE)
def intake_submit(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The patient sends the answers in. A second tap finds them sent and shows the same page."""
    response = response_about(request.link.about, request.link.patient)
    if response is None:
        raise Http404
    try:
        actions.submit_intake(response=response, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
        return redirect("intake", ref=ref)
    return redirect("intake_done", ref=ref)


@require_safe
@link(LinkScope.INTAKE)
def intake_done(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """What happens next. It states no result: a clinician reads the answers first."""
    response = response_about(request.link.about, request.link.patient)
    if response is None or response.completed_at is None:
        return redirect("intake", ref=ref)
    context = {"response": response, "photo_count": len(sent_by_patient(request.link.patient))}
    return render(request, "patients/candidacy/done.html", context)


@require_safe
@link(LinkScope.DECISION)
def next_steps(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """What was decided, as it counts now: kindly, without a diagnosis and without the clinician's reason."""
    patient = request.link.patient
    today = timezone.localdate(timezone=patient.location.zone)
    context = {"steps": told.next_steps(patient, today), "location": patient.location, "patient": patient}
    return render(request, "patients/candidacy/next_steps.html", context)


@require_POST
@staff(Permission.SEE_CHART)
def phone_intake_submit(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Answers that a patient gave by telephone are sent in, with the patient's word for it."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), ref=ref)
    response = open_response(patient)
    if response is None:
        messages.error(request, "These answers have been sent in already.")
        return redirect("phone_intake", ref=ref)
    try:
        screenings = actions.submit_intake(response=response, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
        return redirect("phone_intake", ref=ref)
    messages.success(request, "Sent in and screened.")
    return redirect("screening", ref=screenings[0].ref) if screenings else redirect("phone_intake", ref=ref)


# --- who waits --------------------------------------------------------------------------------------------------------


@require_safe
@staff(Permission.SEE_CHART)
def review_queue(request: StaffRequest) -> HttpResponse:
    """The patients who wait for a clinician, worst result first, then whoever has waited longest."""
    rows = [(row, lanes_of(row.screenings)) for row in waiting_for(request.user)]
    return render(request, "patients/candidacy/queue.html", {"rows": rows})


# --- one screening ----------------------------------------------------------------------------------------------------


@require_safe
@staff(Permission.SEE_CHART)
def screening(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Reasons first, then what the patient wants, then the decision; the look is recorded."""
    found = _find(request, ref)
    with transaction.atomic():
        record(action="screening.viewed", subject=found, by=request.actor, at=timezone.now())
    return _page(request, found)


@require_POST
@staff(Permission.DECIDE)
def screening_decide(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """A clinician's decision about this laser. 409 when somebody decided, or the answers changed, meanwhile."""
    found = _find(request, ref)
    form = DecisionForm(request.POST, suggestions=review_of(found).suggestions)
    if form.is_valid():
        given = form.cleaned_data
        try:
            decision = actions.decide(
                screening=found,
                kind=given["kind"],
                reason=given["reason"],
                conditions=[*_ticked(found, given.get("conditions", [])), *form.own_conditions()],
                earliest_on=_meant_date(found, given),
                replaces=CandidacyDecision.objects.filter(ref=given["replaces"]).first() if given["replaces"] else None,
                by=request.actor,
                at=timezone.now(),
            )
        except Refused as refused:
            if isinstance(refused, AlreadyDecided) and _same_tap(found, request, given):
                return redirect("screening", ref=found.ref)
            if isinstance(refused, ScreeningReplaced):
                found = _newest(request, found)
                form = DecisionForm(request.POST, suggestions=review_of(found).suggestions)
            _show_refusal(form, refused)
            return _page(request, found, status=_status(refused), decision_form=form)
        else:
            awaits = decision.status == DecisionStatus.AWAITING_COSIGN
            text = (
                "A second clinician must agree before it counts."
                if awaits
                else "Decided. The patient is told that there is news."
            )
            messages.success(request, text)
            return redirect("screening", ref=found.ref)
    return _page(request, found, status=422, decision_form=form)


@require_POST
@staff(Permission.DECIDE)
def screening_findings(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """What the clinician found out stands in an amended response, and every laser is screened anew.

    409 when the answers changed meanwhile: what was entered is then shown beside the newer result.
    """
    found = _find(request, ref)
    form = _findings_form(found, request.POST)
    if form.is_valid():
        try:
            after = actions.record_answers(screening=found, answers=form.found(), by=request.actor, at=timezone.now())
        except Refused as refused:
            if isinstance(refused, ScreeningReplaced):
                found = _newest(request, found)
                form = _findings_form(found, request.POST)
            _show_refusal(form, refused)
            return _page(request, found, status=_status(refused), findings_form=form)
        else:
            messages.success(request, "Recorded, and every laser screened anew.")
            mine = next((each for each in after if each.modality == found.modality), found)
            return redirect("screening", ref=mine.ref)
    return _page(request, found, status=422, findings_form=form)


@require_safe
@staff(Permission.SEE_CHART)
def decision(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """A decision is read where it was made."""
    found = get_object_or_404(CandidacyDecision.objects.visible_to(request.user), ref=ref)
    return redirect("screening", ref=found.screening.ref)


@require_POST
@staff(Permission.DECIDE)
def decision_cosign(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """A second clinician agrees."""
    decision = get_object_or_404(CandidacyDecision.objects.visible_to(request.user), ref=ref)
    try:
        actions.cosign(decision=decision, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    else:
        messages.success(request, "Agreed. The decision is in force.")
    return redirect("screening", ref=decision.screening.ref)


@require_POST
@staff(Permission.DECIDE)
def decision_withdraw(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """A decision is taken back, with the reason. 409 when it counted no longer."""
    decision = get_object_or_404(CandidacyDecision.objects.visible_to(request.user), ref=ref)
    form = WithdrawForm(request.POST, prefix=BACK)
    if form.is_valid():
        try:
            actions.withdraw_decision(
                decision=decision, reason=form.cleaned_data["reason"], by=request.actor, at=timezone.now()
            )
        except Refused as refused:
            _show_refusal(form, refused)
            kept = Kept(refused.for_people, form.cleaned_data["reason"])
            found = _newest(request, decision.screening)
            return _page(request, found, status=_status(refused), withdraw_form=form, withdraw_kept=kept)
        else:
            messages.success(request, "Taken back. Its flags are open again.")
            return redirect("screening", ref=decision.screening.ref)
    return _page(request, decision.screening, status=422, withdraw_form=form)


@require_POST
@staff(Permission.DECIDE)
def condition_settle(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """A condition of a decision is closed with its outcome. 409 when somebody was quicker."""
    task = get_object_or_404(Task.objects.filter(about__startswith="decision:"), ref=ref)
    decisions = CandidacyDecision.objects.visible_to(request.user)
    decision = get_object_or_404(decisions, ref=uuid.UUID(task.about.removeprefix("decision:")))
    todo = next((each for each in review_of(decision.screening).todo if each.task == task), None)
    form = SettleForm(request.POST, choices=todo.choices if todo else task.closes_with, prefix=str(task.ref)[:8])
    if form.is_valid():
        try:
            actions.settle_condition(
                task=task,
                choice=form.cleaned_data.get("choice", ""),
                reason=form.cleaned_data["reason"],
                by=request.actor,
                at=timezone.now(),
            )
        except Refused as refused:
            _show_refusal(form, refused)
            forms = {"settle_form": form, "settled_task": task}
            kept = Kept(refused.for_people, form.cleaned_data["reason"])
            return _page(request, decision.screening, status=_status(refused), settle_kept=kept, **forms)
        else:
            messages.success(request, "Recorded.")
            return redirect("screening", ref=decision.screening.ref)
    return _page(request, decision.screening, status=422, settle_form=form, settled_task=task)


# --- the page ---------------------------------------------------------------------------------------------------------


def _find(request: StaffRequest, ref: uuid.UUID) -> Screening:
    rows = Screening.objects.visible_to(request.user)
    return get_object_or_404(rows.select_related("patient__location", "pack", "response__pack"), ref=ref)


def _newest(request: StaffRequest, found: Screening) -> Screening:
    """Return the screening that took this one's place, or this one; the look at another one is recorded."""
    newer = found.patient.screenings.filter(modality=found.modality, status=ScreeningStatus.CURRENT).first()
    if newer is None or newer.pk == found.pk:
        return found
    with transaction.atomic():
        record(action="screening.viewed", subject=newer, by=request.actor, at=timezone.now())
    return newer


def _status(refused: Refused) -> int:
    return 409 if isinstance(refused, CONFLICTS) else 422


def _page(request: StaffRequest, found: Screening, status: int = 200, **forms: Any) -> HttpResponse:
    review = review_of(found)
    standing = review.standing_here
    decision_form = forms.get("decision_form") or DecisionForm(
        initial={"earliest_on": _offered_date(found)}, suggestions=review.suggestions
    )
    context = {
        "review": review,
        "screening": found,
        "patient": found.patient,
        "shelf": shelf_of(found.patient),
        "decision_form": decision_form,
        "findings_form": forms.get("findings_form") or _findings_form(found, None),
        "withdraw_form": forms.get("withdraw_form") or WithdrawForm(prefix=BACK),
        "todo": [(each, _settle_form(each, forms)) for each in review.todo],
        "current_ref": next((lane.ref for lane in review.lanes if lane.label == review.modality_label), None),
        # Whoever sees the page has seen what stands, and may knowingly replace it.
        "replaces": standing.ref if standing else "",
        "may_cosign": bool(standing and standing.decided_by_id != request.user.pk),
        "kept": _without_place(review, forms),
        "told": told.next_step_of(review.standing, timezone.localdate(timezone=found.patient.location.zone))
        if review.standing
        else None,
    }
    return render(request, PAGE, context, status=status)


def _without_place(review: Review, forms: dict[str, Any]) -> Kept | None:
    """Return what was typed into a form that the page no longer shows."""
    settled = next((each for each in review.todo if each.task == forms.get("settled_task")), None)
    kept: Kept | None = None
    if review.standing is None:
        kept = forms.get("withdraw_kept")
    if settled is None or not settled.is_open:
        kept = kept or forms.get("settle_kept")
    return kept


def _settle_form(todo: Any, forms: dict[str, Any]) -> SettleForm | None:
    if not todo.is_open:
        return None
    if forms.get("settled_task") == todo.task:
        form: SettleForm = forms["settle_form"]
        return form
    return SettleForm(choices=todo.choices, prefix=str(todo.task.ref)[:8])


def _findings_form(found: Screening, data: Any) -> FindingsForm:
    questions = to_confirm(found)
    words = {question.key: said(found, question) for question in questions}
    return FindingsForm(data, questions=questions, said=words, prefix="found")


def _offered_date(found: Screening) -> date | None:
    """Return the rules' earliest date while it lies ahead."""
    today = timezone.localdate(timezone=found.patient.location.zone)
    return found.earliest_on if found.earliest_on and found.earliest_on > today else None


def _meant_date(found: Screening, given: dict[str, Any]) -> date | None:
    """Return the date as typed; the one the page itself had filled in is not meant by who declines or refers."""
    no_date = given["kind"] in (DecisionKind.DECLINE, DecisionKind.REFER)
    typed: date | None = given["earliest_on"]
    return None if no_date and typed == _offered_date(found) else typed


def _ticked(found: Screening, keys: list[str]) -> list[dict[str, object]]:
    """Return the rules' own tasks that were ticked, as conditions."""
    tasks = [(key, suggested_task(found, key)) for key in keys]
    return [
        {"key": key, "text": f"{task.label}. {task.text}", "closes_with": list(task.closes_with)}
        for key, task in tasks
        if task is not None
    ]


def _same_tap(found: Screening, request: StaffRequest, given: dict[str, Any]) -> bool:
    """True if the decision that stands is this very one, sent a moment ago by a first tap."""
    standing = standing_decision(found.patient, found.modality)
    if standing is None or standing.screening_id != found.pk or standing.decided_by_id != request.user.pk:
        return False
    return (standing.kind, standing.reason) == (given["kind"], given["reason"].strip())


def _show_refusal(form: Any, refused: Refused) -> None:
    form.is_valid()  # a form is read before it can be told of a refusal
    form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
