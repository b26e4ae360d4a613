"""Day 0 was written down wrongly: the treatment truly ended at another time, and what counts from it follows."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from clinic.audit.states import Actor
from clinic.catalogue.states import VisitKind
from clinic.transitions import move
from patients.messaging.difference import Reconciled
from patients.messaging.models import Message
from patients.messaging.states import UNSENT
from treatments.aftercare.actions import plan_checkins
from treatments.aftercare.queries import visit_after
from treatments.aftercare.states import CheckInStatus
from treatments.courses.actions import correct_treated
from treatments.plan.actions import reconcile_plan
from treatments.sessions.actions import amend_completion
from treatments.sessions.models import TreatmentSession


@transaction.atomic
def correct_completion(
    *, session: TreatmentSession, completed_at: datetime, reason: str, by: Actor, at: datetime
) -> Reconciled:
    """The treatment ended at `completed_at`: what was not yet asked or sent, and the next interval, count from there.

    What was sent or answered stays. Returns what changed for the patient. Raises ReasonMissing, WrongTime, NotUnderWay.
    """
    done = amend_completion(session=session, completed_at=completed_at, reason=reason, by=by, at=at)
    _correct_interval(done, by, at)
    visit = visit_after(done)
    links = plan_checkins(done, visit, at)
    _drop_what_is_past(done, set(links), by, at)
    return reconcile_plan(
        about=done.about,
        patient=done.patient,
        location=done.appointment.location,
        visit=visit,
        links=links,
        reason="the end of the treatment was corrected",
        by=by,
        at=at,
    )


def _correct_interval(session: TreatmentSession, by: Actor, at: datetime) -> None:
    """Intervals count from the latest treatment of the course; a test spot counts for none."""
    treated = TreatmentSession.objects.treated().filter(
        course=session.course, appointment__type__kind=VisitKind.TREATMENT
    )
    latest = treated.order_by("-completed_at").values_list("completed_at", flat=True).first()
    if latest is not None:
        correct_treated(course=session.course, last_treated_at=latest, by=by, at=at)


def _drop_what_is_past(session: TreatmentSession, planned: set[str], by: Actor, at: datetime) -> None:
    """A check-in whose day is over by the true end, and that nobody was asked for yet, is not asked any more."""
    for checkin in session.checkins.filter(status=CheckInStatus.PLANNED).exclude(step__in=planned):
        if Message.objects.filter(about=session.about, step=checkin.step, status__in=UNSENT).exists():
            move(checkin, CheckInStatus.CANCELLED, by=by, at=at, reason="its day had passed by the true end")
