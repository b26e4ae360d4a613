"""A patient took back what they had agreed to: nobody is told to prepare for it any more, from that moment on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from clinic.audit.states import Actor
from patients.consent.models import Consent
from patients.consent.states import ConsentScope
from treatments.booking.keeping import replan_visits
from treatments.booking.models import Appointment
from treatments.booking.states import ANNOUNCED
from treatments.courses.models import Course


@contextmanager
def plan_follows_consent(consent: Consent, by: Actor, at: datetime) -> Iterator[None]:
    """The messages of the course's coming visits say what is true once the consent has ended.

    The visits are locked before the consent is: whoever starts a treatment takes them in that order too.
    """
    coming: list[Appointment] = []
    if consent.scope == ConsentScope.TREATMENT:
        courses = Course.objects.filter(patient=consent.patient_id)
        meant = [course for course in courses if course.about == consent.about]
        rows = Appointment.objects.filter(course__in=meant, status__in=ANNOUNCED, starts_at__gt=at)
        coming = list(rows.select_for_update(no_key=True).order_by("pk"))
    yield
    if coming:
        replan_visits(appointments=coming, by=by, at=at)
