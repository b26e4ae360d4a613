"""The questions before a visit, on the patient's phone."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from clinic.audit.states import Refused
from patients.registry.access import LinkRequest, link
from patients.registry.states import LinkScope
from treatments.booking.models import Appointment
from treatments.sessions.fitness import answer_fitness
from treatments.sessions.forms import HomeFitnessForm
from treatments.sessions.queries import awaits_answers, fitness_in_words, held_by_answers, said_at_home
from treatments.sessions.states import ASKED_AT_HOME, VisitOver


@require_http_methods(["GET", "HEAD", "POST"])
@link(LinkScope.FITNESS)
def fitness(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """The questions, thanks once they are answered, or a calm word when nobody waits for answers any more."""
    visit = _visit_of(request)
    at = timezone.now()
    # Checked by the act too; here so that a visit that is over never shows its questions.
    if not awaits_answers(visit, at):
        return _page(request, visit, "over", status=409 if request.method == "POST" else 200)
    if request.method == "POST":
        return _answer(request, visit, at)
    said = said_at_home(visit)
    if said is None or "again" in request.GET:
        return _page(request, visit, "questions", form=HomeFitnessForm())
    return _page(
        request,
        visit,
        "thanks",
        said=said,
        lines=fitness_in_words(said.answers, ASKED_AT_HOME),
        is_held=held_by_answers(visit),
    )


def _answer(request: LinkRequest, visit: Appointment, at: datetime) -> HttpResponse:
    form = HomeFitnessForm(request.POST)
    if form.is_valid():
        try:
            answer_fitness(
                appointment=visit,
                answers=form.answers(),
                form_key=form.cleaned_data["form_key"],
                by=request.actor,
                at=at,
            )
        except VisitOver:
            return _page(request, visit, "over", status=409)
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.for_people)
        else:
            return redirect("fitness", ref=request.link.ref)
    return _page(request, visit, "questions", status=422, form=form)


def _visit_of(request: LinkRequest) -> Appointment:
    """Return the visit the link is about if it is this patient's own, else 404."""
    kind, _, ref = request.link.about.partition(":")
    if kind != "appointment":
        raise Http404
    rows = Appointment.objects.select_related("location", "type", "practitioner", "course", "device", "patient")
    return get_object_or_404(rows, ref=ref, patient=request.link.patient)


def _page(request: LinkRequest, visit: Appointment, page: str, status: int = 200, **context: Any) -> HttpResponse:
    context |= {"visit": visit, "location": visit.location, "link": request.link}
    return render(request, f"treatments/sessions/fitness_{page}.html", context, status=status)
