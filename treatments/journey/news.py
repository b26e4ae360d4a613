"""A patient agreed to news, or no longer does: what is planned of it follows in the same act."""

from __future__ import annotations

from datetime import datetime

from clinic.audit.states import Actor
from patients.messaging.states import Purpose
from patients.registry.models import Patient
from treatments.booking.keeping import replan_visits
from treatments.booking.models import Appointment
from treatments.booking.states import ANNOUNCED
from treatments.journey.actions import BATCH, RECENT
from treatments.journey.treated import wishes_after_treatment
from treatments.plan.actions import reconcile_plans


def plan_news(patient: Patient, by: Actor, at: datetime) -> None:
    """The messages of the patient's coming visits and last treatment say what they agreed to.

    Of a treatment only the news is looked at: care that was taken back, because it was answered, stays so. While an
    alarm is open nothing is planned; the night after it is closed does that.
    """
    coming = Appointment.objects.filter(patient=patient, status__in=ANNOUNCED, starts_at__gt=at)
    if coming:
        replan_visits(appointments=list(coming), by=by, at=at)
    reason = "agreed to news" if patient.news_agreed else "no longer agrees to news"
    for wishes in wishes_after_treatment(at - RECENT, at, BATCH, patient=patient):
        reconcile_plans(wishes=wishes, by=by, at=at, reason=reason, purposes={Purpose.NEWS})
