"""The questionnaire: its links, on a phone screen by screen, or typed during a call."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.staff.access import public, staff
from clinic.staff.http import StaffRequest, back_to
from clinic.staff.states import Permission
from patients.intake import actions
from patients.intake.forms import (
    Asked,
    asked_as_formerly,
    asked_as_saved,
    asked_as_typed,
    mark_of,
    raw_of,
    read_raw,
)
from patients.intake.models import Answer, QuestionnaireResponse
from patients.intake.queries import (
    DERIVED,
    Shown,
    asked_groups,
    critical_unanswered,
    former_answers,
    latest_answers,
    latest_rows,
    next_group,
    open_response,
    questionnaire_of,
    response_about,
    shown,
    shown_groups,
)
from patients.intake.questionnaire import AnswerRefused, Group, Question, Questionnaire
from patients.intake.states import ResponseStatus
from patients.registry.access import LinkRequest, link
from patients.registry.models import Patient
from patients.registry.states import LinkScope

# --- links -----------------------------------------------------------------------------------------------------------


@public
@never_cache
@require_POST
def link_renew(request: HttpRequest, token: str) -> HttpResponse:
    """Send a new link for an old one; the answer is the same whatever the token is."""
    actions.renew_link(token=token, by=request.actor, at=timezone.now())  # type: ignore[attr-defined]
    response = render(request, "patients/intake/link_renewed.html")
    response["Referrer-Policy"] = "strict-origin"
    return response


@require_POST
@staff(Permission.EDIT_PATIENTS)
def send_link(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Send the patient a link to their questionnaire or to “My healing”."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), ref=ref)
    scope = request.POST.get("scope", LinkScope.INTAKE)
    try:
        if scope == LinkScope.INTAKE:
            actions.send_intake_link(patient=patient, by=request.actor, at=timezone.now())
        elif scope == LinkScope.HEALING:
            actions.send_healing_link(patient=patient, by=request.actor, at=timezone.now())
        else:
            raise Http404
    except Refused as refused:
        messages.error(request, refused.for_people)
    else:
        messages.success(request, f"A link is on its way to {patient.full_name}.")
    return redirect(back_to(request, reverse("patient_chart", args=[patient.ref])))


# --- the questionnaire ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filling:
    """One form being filled in: by the patient through a link, or by staff during a call. Says where its pages are."""

    response: QuestionnaireResponse
    questionnaire: Questionnaire
    by: Actor
    ref: uuid.UUID
    by_phone: bool

    @property
    def _prefix(self) -> str:
        return "phone_intake" if self.by_phone else "intake"

    @property
    def start_url(self) -> str:
        return reverse(self._prefix, args=[self.ref])

    @property
    def save_url(self) -> str:
        return reverse(f"{self._prefix}_save", args=[self.ref])

    @property
    def check_url(self) -> str:
        """Where everything stands together: for staff that is the first page itself."""
        return self.start_url if self.by_phone else reverse("intake_check", args=[self.ref])

    def group_url(self, key: str) -> str:
        return reverse(f"{self._prefix}_group", args=[self.ref, key]) if key else self.check_url

    @property
    def is_open(self) -> bool:
        return self.response.status == ResponseStatus.IN_PROGRESS

    @property
    def groups(self) -> list[Group]:
        return asked_groups(self.questionnaire, latest_answers(self.response))

    def questions_of(self, key: str) -> list[Question]:
        """Return every question of the screen, hidden ones too: a page without scripts may bring them back."""
        return [q for q in self.questionnaire.questions if q.group == key and q.by_patient and q.key not in DERIVED]


def _patients_filling(request: LinkRequest) -> Filling:
    response = response_about(request.link.about, request.link.patient)
    if response is None:
        raise Http404
    return Filling(response, questionnaire_of(response), request.actor, request.link.ref, by_phone=False)


@require_safe
@link(LinkScope.INTAKE)
def intake(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """Where the form begins, or goes on; it opens at the first screen with something to answer."""
    filling = _patients_filling(request)
    if not filling.is_open:
        return redirect("intake_done", ref=ref)
    rows = latest_rows(filling.response)
    answers = {key: row.value for key, row in rows.items()}
    first_open = next_group(filling.questionnaire, answers)
    context = {
        "filling": filling,
        "sections": _sections(filling, answers),
        "begun": bool(set(rows) - DERIVED),
        "go_on": filling.group_url(first_open),
        "all_answered": not first_open,
        "saved": _saved(rows),
        "returning": bool(former_answers(filling.response)),
    }
    return render(request, "patients/intake/start.html", context)


def _sections(filling: Filling, answers: dict[str, object]) -> list[dict[str, Any]]:
    """Return each section with its first screen and how many questions are still open."""
    found = []
    groups = filling.groups
    for section in filling.questionnaire.sections:
        mine = [group for group in groups if group.section == section.key]
        open_ones = [
            question
            for group in mine
            for question in group.questions
            if question.key not in answers and not question.optional
        ]
        if mine:
            found.append({"title": section.title, "url": filling.group_url(mine[0].key), "open": len(open_ones)})
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@link(LinkScope.INTAKE)
def intake_group(request: LinkRequest, ref: uuid.UUID, group: str) -> HttpResponse:
    """One screen of few questions; Continue saves what was changed here and goes on."""
    filling = _patients_filling(request)
    if not filling.is_open:
        return redirect("intake_done", ref=ref)
    return _group_page(request, filling, group, "patients/intake/group.html")


def _group_page(request: HttpRequest, filling: Filling, key: str, template: str, **more: object) -> HttpResponse:
    questions = filling.questions_of(key)
    if not questions:
        raise Http404
    errors: dict[str, str] = {}
    if request.method == "POST":
        before = _visible_keys(filling)
        errors = _save_page(filling, questions, request.POST)
        if "still_right" in request.POST and not errors:
            _confirm(filling, questions, request.POST)
        if not errors:
            return redirect(_after(filling, key, request.POST, newly=_visible_keys(filling) - before))
    rows = latest_rows(filling.response)
    former = former_answers(filling.response)
    visible = _visible_keys(filling, rows, former)
    still = [] if errors or "change" in request.GET else _still(questions, former, visible)
    if not errors and not any(question.key in visible for question in questions):
        return redirect(_after(filling, key, request.POST, newly=set()))  # skip logic hid the whole screen
    context = {
        "filling": filling,
        "asked": [
            _asked(question, rows, visible, request, errors, former)
            for question in questions
            if question.key not in {each.question.key for each, _ in still}
        ],
        "still": [(each, mark) for each, mark in still],
        "former_at": max(
            (datetime.fromisoformat(str(former[each.question.key]["at"])) for each, _ in still), default=None
        ),
        "errors": [(question, errors[question.key]) for question in questions if question.key in errors],
        "saved": _saved(rows),
        **_place(filling, key),
        **more,
    }
    return render(request, template, context, status=422 if errors else 200)


def _visible_keys(
    filling: Filling, rows: dict[str, Answer] | None = None, former: Mapping[str, Mapping[str, object]] | None = None
) -> set[str]:
    rows = latest_rows(filling.response) if rows is None else rows
    known = {key: entry["value"] for key, entry in (former or {}).items()} | {k: row.value for k, row in rows.items()}
    return {question.key for question in filling.questionnaire.visible(known)}


def _still(
    questions: list[Question], former: Mapping[str, Mapping[str, object]], visible: set[str]
) -> list[tuple[Shown, str]]:
    """Return the former answers of a screen to confirm, each with the mark that says which one the page showed."""
    return [
        (shown(question, former[question.key]["value"]), mark_of(raw_of(question, former[question.key]["value"])))
        for question in questions
        if question.key in former and question.key in visible
    ]


def _confirm(filling: Filling, questions: list[Question], post: QueryDict) -> None:
    """Confirm what the page showed, and only that: a former answer corrected meanwhile is asked about again."""
    former = former_answers(filling.response)
    seen = [
        question.key
        for question in questions
        if question.key in former
        and post.get(f"former-{question.key}") == mark_of(raw_of(question, former[question.key]["value"]))
    ]
    actions.confirm_answers(
        response=filling.response, questions=seen, by=filling.by, at=timezone.now(), by_phone=filling.by_phone
    )


def _save_page(filling: Filling, questions: list[Question], post: QueryDict) -> dict[str, str]:
    """Save what this person changed on the page; return what is wrong by question. What is right is saved in any case.

    What the page showed comes back with it: an answer left alone must not undo one given elsewhere meanwhile.
    """
    errors = {}
    for question in questions:
        try:
            raw = read_raw(question, post)
            if mark_of(raw) != post.get(f"was-{question.key}", mark_of(raw_of(question, None))):
                _save(filling, question.key, raw)
        except (AnswerRefused, actions.AnswerUnusable) as refused:
            errors[question.key] = refused.for_people
    return errors


def _save(filling: Filling, key: str, raw: str | list[str]) -> Answer | None:
    return actions.save_answer(
        response=filling.response,
        question=key,
        raw=raw,
        by=filling.by,
        at=timezone.now(),
        by_phone=filling.by_phone,
    )


def _asked(
    question: Question,
    rows: dict[str, Answer],
    visible: set[str],
    request: HttpRequest,
    errors: dict[str, str],
    former: Mapping[str, Mapping[str, object]],
) -> Asked:
    is_visible, row = question.key in visible, rows.get(question.key)
    if errors:
        return asked_as_typed(question, request.POST, errors, row, is_visible=is_visible)
    if row is None and is_visible and question.key in former:
        return asked_as_formerly(question, former[question.key]["value"])
    return asked_as_saved(question, row, is_visible=is_visible)


def _after(filling: Filling, key: str, post: QueryDict, newly: set[str]) -> str:
    """Return where Continue leads: here again if it brought up a question, back to the check, else the next screen."""
    if any(question.key in newly for question in filling.questions_of(key)):
        return filling.group_url(key)
    if post.get("then") == "check":
        return filling.check_url
    return filling.group_url(_neighbours(filling, key)[1])


def _neighbours(filling: Filling, key: str) -> tuple[str, str]:
    """Return the screens before and behind this one; "" at either end."""
    order = [key_ for section in filling.questionnaire.sections for key_, _ in section.groups]
    keys = [group.key for group in filling.groups]
    place = order.index(key)
    before = [each for each in keys if order.index(each) < place]
    behind = [each for each in keys if order.index(each) > place]
    return (before[-1] if before else "", behind[0] if behind else "")


def _place(filling: Filling, key: str) -> dict[str, object]:
    """Return which screen this is, of how many, and where Back leads."""
    groups = filling.groups
    section = next(each for each in filling.questionnaire.sections if key in dict(each.groups))
    before = _neighbours(filling, key)[0]
    keys = [group.key for group in groups]
    return {
        "section": section,
        "is_first": key == section.groups[0][0],
        "title": dict(section.groups)[key],
        "step": keys.index(key) + 1 if key in keys else 1,
        "of": len(keys) + 1,
        "back_url": filling.group_url(before) if before else filling.start_url,
    }


def _saved(rows: dict[str, Answer]) -> datetime | None:
    return max((row.answered_at for key, row in rows.items() if key not in DERIVED), default=None)


@require_POST
@link(LinkScope.INTAKE)
def intake_save(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """One answer, saved when it is given."""
    return _save_one(request, _patients_filling(request))


def _save_one(request: HttpRequest, filling: Filling) -> JsonResponse:
    """Answer with the time it was saved, which questions of the screen apply now, and what it replaced, if anything."""
    question = filling.questionnaire.by_key.get(request.POST.get("question", ""))
    if question is None:
        return JsonResponse({"error": "There is no such question."}, status=422)
    before = latest_rows(filling.response).get(question.key)
    try:
        raw = read_raw(question, request.POST)
        _save(filling, question.key, raw)
    except actions.FormClosed as refused:
        return JsonResponse({"error": refused.for_people}, status=409)
    except (AnswerRefused, actions.AnswerUnusable) as refused:
        return JsonResponse({"error": refused.for_people}, status=422)
    rows = latest_rows(filling.response)
    now = rows.get(question.key)
    visible = _visible_keys(filling, rows)
    return JsonResponse(
        {
            "saved": date_format(timezone.localtime(now.answered_at if now else timezone.now()), "H:i"),
            "was": mark_of(raw_of(question, now.value if now else None)),
            "asked": [each.key for each in filling.questions_of(question.group) if each.key in visible],
            "notice": _replaced(question, before, request.POST),
        }
    )


def _replaced(question: Question, before: Answer | None, post: QueryDict) -> str:
    """Return what to say when the answer replaced is not the one this page had shown."""
    if before is None or post.get("was") in {None, mark_of(raw_of(question, before.value))}:
        return ""
    at = date_format(timezone.localtime(before.answered_at), "H:i")
    return f"This replaces an answer given elsewhere at {at}. Both are kept; this one counts."


@require_safe
@link(LinkScope.INTAKE)
def intake_check(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """Everything answered, each with a way to change it; what is still needed comes first."""
    filling = _patients_filling(request)
    if not filling.is_open:
        return redirect("intake_done", ref=ref)
    return render(request, "patients/intake/check.html", _overview(filling))


def _overview(filling: Filling, *, hidden_too: bool = False) -> dict[str, object]:
    rows = latest_rows(filling.response)
    missing = critical_unanswered(filling.questionnaire, rows) if filling.is_open else ()
    pages = shown_groups(filling.questionnaire, rows, hidden_too=hidden_too)
    sections = [
        (section, [(page, filling.group_url(page.key)) for page in pages if page.section == section.key])
        for section in filling.questionnaire.sections
    ]
    return {
        "filling": filling,
        "sections": [(section, groups) for section, groups in sections if groups],
        "missing": [(question, filling.group_url(question.group)) for question in missing],
        "go_on": filling.group_url(next_group(filling.questionnaire, {k: row.value for k, row in rows.items()})),
        "saved": _saved(rows),
        "of": len(filling.groups) + 1,
    }


# --- answers given on the telephone -----------------------------------------------------------------------------------


def _calling(request: StaffRequest, ref: uuid.UUID) -> tuple[Patient, Filling | None]:
    """Return the patient and the form they have open. Whoever types answers reads them: it takes SEE_CHART."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user).select_related("location"), ref=ref)
    response = open_response(patient)
    if response is None:
        return patient, None
    return patient, Filling(response, questionnaire_of(response), request.actor, patient.ref, by_phone=True)


@require_safe
@staff(Permission.SEE_CHART)
def phone_intake(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """All answers so far, and the screens to type more; the look is recorded."""
    patient, filling = _calling(request, ref)
    if filling is None:
        return render(request, "patients/intake/phone_none.html", {"patient": patient})
    with transaction.atomic():
        record(action="response.seen", subject=filling.response, by=request.actor, at=timezone.now())
    return render(request, "patients/intake/phone.html", {"patient": patient, **_overview(filling, hidden_too=True)})


@require_POST
@staff(Permission.SEE_CHART)
def phone_intake_start(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    patient = get_object_or_404(Patient.objects.visible_to(request.user), ref=ref)
    try:
        actions.start_response(patient=patient, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    return redirect("phone_intake", patient.ref)


@require_http_methods(["GET", "HEAD", "POST"])
@staff(Permission.SEE_CHART)
def phone_intake_group(request: StaffRequest, ref: uuid.UUID, group: str) -> HttpResponse:
    patient, filling = _calling(request, ref)
    if filling is None:
        raise Http404
    return _group_page(request, filling, group, "patients/intake/phone_group.html", patient=patient)


@require_POST
@staff(Permission.SEE_CHART)
def phone_intake_save(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    _, filling = _calling(request, ref)
    if filling is None:
        return JsonResponse({"error": actions.FormClosed.sentence}, status=409)
    return _save_one(request, filling)
