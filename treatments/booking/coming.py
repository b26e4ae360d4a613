"""Treatment visits that lie ahead, for rooms below that must say whom a change would touch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from clinic.catalogue.states import TREATING
from patients.workshop.holds import ComingVisit
from treatments.booking.models import Appointment
from treatments.booking.states import PENDING


def coming_visits(patients: Collection[int], at: datetime) -> Sequence[ComingVisit]:
    """Return the visits of these patients on which skin is to be treated and which are not over, soonest first."""
    rows = Appointment.objects.filter(
        patient__in=patients, status__in=PENDING, ends_at__gt=at, type__kind__in=TREATING, course__isnull=False
    )
    return [
        ComingVisit(each.patient_id, each.course.modality, each.starts_at, each.location)
        for each in rows.select_related("course", "location").order_by("starts_at", "pk")
        if each.course is not None
    ]
