"""A patient's check-in on the phone, and the alarms that staff take, hand over and close."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from clinic.audit.actions import record
from clinic.audit.states import Refused
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission, Role
from patients.registry.access import LinkRequest, link
from patients.registry.queries import contact_for
from patients.registry.states import ContactKind, LinkScope
from patients.replies.queries import people_at
from treatments.aftercare import actions, adverse, queries
from treatments.aftercare.alarms import acknowledge, close_escalation, hand_over
from treatments.aftercare.corrections import correct_completion
from treatments.aftercare.forms import (
    SCALE_WORDS,
    USUAL_WORDS,
    CloseForm,
    EndForm,
    EventForm,
    HandOverForm,
    ReviewForm,
    SendForm,
    Unclear,
    answer_from,
)
from treatments.aftercare.models import AdverseEvent, CheckIn, CheckInAnswer, Escalation
from treatments.aftercare.states import ALARMING, LOUD, AnswerKind, Level
from treatments.aftercare.triage import Question
from treatments.sessions.forms import RecordForm
from treatments.sessions.states import WarningsNeedReason
from treatments.sessions.views import find_session, working_page

EMERGENCY = "emergency"  # the question that stands on every screen


@require_POST
@staff(Permission.TREAT)
def session_finish(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """End the treatment and begin its aftercare, in one step."""
    session = find_session(request, ref)
    at = timezone.now()
    with timezone.override(session.appointment.location.zone):
        form = RecordForm(request.POST, session=session, at=at, warned=bool(request.POST.get("anaesthesia_reason")))
        valid = form.is_valid()
    warnings: list[str] = []
    if valid:
        try:
            actions.finish_treatment(
                session=session,
                completed_at=form.cleaned_data["completed_at"],
                record=form.record(),
                stopped_reason=form.cleaned_data["stopped_reason"],
                by=request.actor,
                at=at,
            )
        except WarningsNeedReason as refused:
            with timezone.override(session.appointment.location.zone):
                form = RecordForm(request.POST, session=session, at=at, warned=True)
                form.add_error("anaesthesia_reason", refused.for_people)
            warnings = refused.warnings
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
        else:
            messages.success(request, "Finished. Care messages and check-ins are planned. Sign off the record next.")
            return redirect("session", ref=session.ref)
    return working_page(request, session, status=422, record_form=form, record_warnings=warnings)


@staff(Permission.TREAT)
@require_http_methods(["GET", "HEAD", "POST"])
def session_end(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The treatment ended at another time than was written down; check-ins and messages follow."""
    session = find_session(request, ref)
    if session.completed_at is None:
        raise Http404
    place = session.appointment.location
    with timezone.override(place.zone):
        form = EndForm(request.POST or None, initial={"completed_at": session.completed_at})
        if request.method == "POST" and form.is_valid():
            try:
                told = correct_completion(session=session, **form.cleaned_data, by=request.actor, at=timezone.now())
            except Refused as refused:
                form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
            else:
                messages.success(request, f"Corrected. {told.sentence}.")
                return redirect("session", ref=session.ref)
        context = {"session": session, "patient": session.patient, "place": place, "form": form}
        status = 422 if form.errors else 200
        return render(request, "treatments/aftercare/correct_end.html", context, status=status)


@link(LinkScope.CHECKIN)
def checkin(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The next question, what to do now, or thanks: wherever this check-in stands."""
    found = _checkin_of(request)
    at = timezone.now()
    draft = queries.draft_of(found, at)
    latest = queries.latest_answer(found)
    if draft and latest is not None and _acts_now(latest) and "go" not in request.GET:
        return _advice(request, found, latest, at, goes_on=True)
    if not draft and latest is not None and "again" not in request.GET:
        return _advice(request, found, latest, at, goes_on=False)
    return _question(request, found, draft, at)


@require_POST
@link(LinkScope.CHECKIN)
def checkin_answer(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """Save one answer as given; a red one leads to what to do at once."""
    found = _checkin_of(request)
    at = timezone.now()
    question = _asked(found, request.POST.get("question", ""), at)
    try:
        value = answer_from(question, request.POST)
    except Unclear as unclear:
        return _question(request, found, queries.draft_of(found, at), at, question, sentence=str(unclear), status=422)
    raised = actions.save_checkin_answer(checkin=found, question=question.key, value=value, by=request.actor, at=at)
    there = redirect("checkin", ref=ref)
    if raised is None:
        there["Location"] += "?go=on"
    return there


@require_POST
@link(LinkScope.CHECKIN)
def checkin_send(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The check-in is complete: graded, kept, and somebody's if it is urgent."""
    found = _checkin_of(request)
    at = timezone.now()
    draft = queries.draft_of(found, at)
    form = SendForm(request.POST)
    if not form.is_valid():
        return _send(request, found, draft, at, form, status=422)
    # A second tap finds the draft gone: what was sent stands.
    if draft or form.said():
        actions.answer_checkin(checkin=found, answers=draft | form.said(), is_complete=True, by=request.actor, at=at)
    return redirect("checkin", ref=ref)


@link(LinkScope.CHECKIN)
def checkin_seen(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """Who at the clinic has seen it; asked for every few seconds while the patient waits."""
    found = _checkin_of(request)
    return render(request, "treatments/aftercare/_seen.html", {"seen": queries.seen_by(found), "place": _place(found)})


def _checkin_of(request: LinkRequest) -> CheckIn:
    kind, _, ref = request.link.about.partition(":")
    if kind != "checkin":
        raise Http404
    rows = CheckIn.objects.select_related("session__appointment__location", "patient")
    return get_object_or_404(rows, ref=ref, patient=request.link.patient)


def _place(found: CheckIn) -> Any:
    return found.session.appointment.location


def _acts_now(answer: CheckInAnswer) -> bool:
    return answer.level in ALARMING


def _asked(found: CheckIn, key: str, at: datetime) -> Question:
    for question in queries.questions_of(found, at):
        if question.key == key:
            return question
    raise Http404


def _day_questions(found: CheckIn, at: datetime) -> list[Question]:
    """Return the questions of the day, one to a screen; what may always be said has its own place."""
    _, triage = queries.triage_of(found)
    return [question for question in queries.questions_of(found, at) if question.key not in triage.always]


def _question(
    request: LinkRequest,
    found: CheckIn,
    draft: dict[str, Any],
    at: datetime,
    question: Question | None = None,
    sentence: str = "",
    status: int = 200,
) -> HttpResponse:
    asked = _day_questions(found, at)
    wanted = request.GET.get("q", "")
    chosen = question or next((each for each in asked if each.key == wanted), None)
    if chosen is None:
        chosen = next((each for each in asked if each.key not in draft), None)
    if chosen is None:
        return _send(request, found, draft, at, SendForm())
    step = asked.index(chosen) if chosen in asked else 0
    words = SCALE_WORDS.get(chosen.key, USUAL_WORDS)
    return _render(
        request,
        "question",
        found,
        at,
        status=status,
        question=chosen,
        kind=chosen.kind.value,
        options=_options(chosen),
        given=draft.get(chosen.key),
        sentence=sentence,
        step=step + 1,
        of=len(asked) + 1,
        before=asked[step - 1].key if step else "",
        scale_words=words,
    )


def _options(question: Question) -> list[tuple[str, str]]:
    if question.kind == AnswerKind.BOOL:
        return [("no", "No"), ("yes", "Yes")]
    if question.kind == AnswerKind.SCALE:
        return [(str(number), str(number)) for number in range(11)]
    return list(question.options.items())


def _send(
    request: LinkRequest, found: CheckIn, draft: dict[str, Any], at: datetime, form: SendForm, status: int = 200
) -> HttpResponse:
    asked = _day_questions(found, at)
    _, triage = queries.triage_of(found)
    keys = {question.key for question in asked}
    lines = [
        (key, *words)
        for key, words in zip(queries.in_order(draft, triage), queries.in_words(draft, triage), strict=True)
    ]
    return _render(
        request,
        "send",
        found,
        at,
        status=status,
        form=form,
        lines=[line for line in lines if line[0] in keys],
        step=len(asked) + 1,
        of=len(asked) + 1,
        before=asked[-1].key if asked else "",
    )


def _advice(request: LinkRequest, found: CheckIn, latest: CheckInAnswer, at: datetime, goes_on: bool) -> HttpResponse:
    """Show what to do now: the latest answer's advice, or a graver one's that is still open."""
    alarm = queries.worst_open(found)
    graver = queries.answer_behind(alarm) if alarm else None
    shown = graver or latest
    return _render(
        request,
        "advice",
        found,
        at,
        level=shown.level,
        is_emergency=shown.level == Level.EMERGENCY,
        is_urgent=shown.level == Level.URGENT,
        is_alarm=shown.level in ALARMING,
        heading=shown.triage["heading"],
        advice=shown.triage["advice"],
        alarm=alarm,
        seen=queries.seen_by(found),
        goes_on=goes_on,
        normal=queries.normal_now(found, at),
        next_checkin=queries.next_checkin(found, at),
    )


def _render(
    request: LinkRequest, page: str, found: CheckIn, at: datetime, status: int = 200, **context: Any
) -> HttpResponse:
    _, triage = queries.triage_of(found)
    emergency = triage.questions.get(EMERGENCY)
    context |= {
        "checkin": found,
        "link": request.link,
        "location": _place(found),
        "day": queries.day_of(found.session, at),
        "emergency": [(key, label) for key, label in emergency.options.items() if key != "none"] if emergency else [],
    }
    return render(request, f"treatments/aftercare/{page}.html", context, status=status)


@staff(Permission.SEE_ALARMS)
def alarm_banner(request: StaffRequest) -> HttpResponse:
    """Alarms as every staff page shows them: how long each waits and who has it, never what was answered.

    Three are named, the worst first. One that cannot wait has a bar of its own, the others share one.
    """
    at = timezone.now()
    rows = [(alarm, waited(alarm.raised_at, at)) for alarm in queries.open_alarms(request.user)]
    waiting = [(alarm, time) for alarm, time in rows if not alarm.is_taken]
    named = waiting[:3]
    return render(
        request,
        "treatments/aftercare/_banner.html",
        {
            "loud": [each for each in named if each[0].level in LOUD],
            "waiting": [each for each in named if each[0].level not in LOUD],
            "more": len(waiting) - len(named),
            "taken": [alarm for alarm, _ in rows if alarm.is_taken],
        },
    )


@staff(Permission.SEE_ALARMS)
def alarms(request: StaffRequest) -> HttpResponse:
    """Open alarms by urgency, and who was not heard from."""
    at = timezone.now()
    return render(
        request,
        "treatments/aftercare/alarms.html",
        {
            "rows": [
                (alarm, waited(alarm.raised_at, at), alarm.act_by < at) for alarm in queries.open_alarms(request.user)
            ],
            "unheard": [(found, waited(found.due_at, at)) for found in queries.unheard(request.user)],
            "closed": queries.closed_alarms(request.user),
        },
    )


@staff(Permission.ANSWER_ALARMS)
def alarm(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """One alarm with the answers in words and why they matter; the look is recorded."""
    found = _alarm_of(request, ref)
    with transaction.atomic():
        record(action="escalation.viewed", subject=found, by=request.actor, at=timezone.now())
    return _alarm_page(request, found)


@require_POST
@staff(Permission.ANSWER_ALARMS)
def alarm_acknowledge(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = _alarm_of(request, ref)
    try:
        acknowledge(escalation=found, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.warning(request, refused.for_people)
    else:
        messages.success(request, "You have it. The patient sees that you have seen it.")
    return redirect("alarm", ref=found.ref)


@require_POST
@staff(Permission.ANSWER_ALARMS)
def alarm_hand_over(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = _alarm_of(request, ref)
    form = HandOverForm(request.POST, people=queries.people_to_ask(found))
    if form.is_valid():
        to = form.cleaned_data["to"]
        try:
            hand_over(escalation=found, to=to, by=request.actor, at=timezone.now())
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
        else:
            messages.success(request, f"{to} is asked to take it. Until then it stays yours.")
            return redirect("alarm", ref=found.ref)
    return _alarm_page(request, found, status=422, hand_over_form=form)


@require_POST
@staff(Permission.ANSWER_ALARMS)
def alarm_close(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = _alarm_of(request, ref)
    form = CloseForm(request.POST)
    if form.is_valid():
        try:
            close_escalation(escalation=found, **form.cleaned_data, by=request.actor, at=timezone.now())
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
        else:
            messages.success(request, "Closed with its outcome.")
            return redirect("alarms")
    return _alarm_page(request, found, status=422, close_form=form)


@require_POST
@staff(Permission.ANSWER_ALARMS)
def event_new(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Record an adverse event that an alarm brought to light."""
    found = _alarm_of(request, ref)
    form = EventForm(request.POST, words=queries.vocabulary())
    if form.is_valid():
        try:
            adverse.record_adverse_event(escalation=found, **form.cleaned_data, by=request.actor, at=timezone.now())
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
        else:
            messages.success(request, "Recorded. The next treatment waits for its review.")
            return redirect("alarm", ref=found.ref)
    return _alarm_page(request, found, status=422, event_form=form)


@require_POST
@staff(Permission.ANSWER_ALARMS)
def event_review(request: StaffRequest, ref: uuid.UUID, event: uuid.UUID) -> HttpResponse:
    found = _alarm_of(request, ref)
    row = get_object_or_404(AdverseEvent, session__checkins__escalations=found, ref=event)
    form = ReviewForm(request.POST)
    if form.is_valid():
        try:
            adverse.review_adverse_event(event=row, note=form.cleaned_data["note"], by=request.actor, at=timezone.now())
        except Refused as refused:
            messages.error(request, refused.for_people)
        else:
            messages.success(request, "Reviewed.")
    else:
        messages.error(request, "Please write what the review found.")
    return redirect("alarm", ref=found.ref)


def _alarm_of(request: StaffRequest, ref: uuid.UUID) -> Escalation:
    rows = Escalation.objects.visible_to(request.user).select_related(
        "patient",
        "location",
        "owner",
        "asked",
        "closed_by",
        "conversation__point",
        "checkin__session__device",
        "checkin__session__operator",
    )
    return get_object_or_404(rows, ref=ref)


def _alarm_page(request: StaffRequest, found: Escalation, status: int = 200, **given: Any) -> HttpResponse:
    at = timezone.now()
    _, triage = queries.triage_of(found.checkin) if found.checkin else queries.triage_in_force()
    answered = found.checkin.answer_sets.order_by("-answered_at", "-id") if found.checkin else ()
    sets = [(each, queries.in_words(each.answers, triage)) for each in answered]
    people = queries.people_to_ask(found)
    mine = found.owner_id == request.user.pk or Role.LEAD_CLINICIAN in request.user.roles
    with timezone.override(found.location.zone):
        context = {
            "alarm": found,
            "patient": found.patient,
            "place": found.location,
            "session": found.checkin.session if found.checkin else None,
            "texts": found.conversation.replies.order_by("-received_at", "-id") if found.conversation else (),
            "family": people_at(found.conversation.point) if found.conversation else (),
            "phone": contact_for(found.patient, ContactKind.PHONE),
            "email": contact_for(found.patient, ContactKind.EMAIL),
            "sets": sets,
            "waits": waited(found.raised_at, at),
            "is_late": found.act_by < at and found.closed_at is None,
            "may_act": found.is_taken and mine,
            "hand_over_form": HandOverForm(people=people),
            "close_form": CloseForm(),
            "events": _events(found),
            "event_form": EventForm(words=queries.vocabulary()),
            **given,
        }
        return render(request, "treatments/aftercare/alarm.html", context, status=status)


def _events(found: Escalation) -> list[tuple[Any, str, str, str]]:
    """Return the treatment's adverse events with their words, grades and causes as people read them."""
    if found.checkin is None:
        return []
    words = queries.vocabulary()
    terms = {word.key: word.label for word in words.events}
    grades = {number: label for number, label, _ in words.grades}
    causes = dict(words.relatedness)
    rows = queries.adverse_events_of(found.checkin.session)
    return [(row, terms.get(row.term, row.term), grades[row.grade], causes.get(row.relatedness, "")) for row in rows]


def waited(since: datetime, at: datetime) -> str:
    """Return a length of time as people say it: just now, 3 min, 2 h 5 min, 4 days."""
    minutes = max(int((at - since).total_seconds() // 60), 0)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"
