"""Asking a patient again, in time, for the answers that a coming treatment waits for."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import DatabaseError, transaction

from clinic.audit.states import Actor, Refused
from clinic.transitions import lock
from clinic.worklist.models import Task
from patients.candidacy.actions import EXPIRED
from patients.intake.actions import send_intake_link
from patients.intake.queries import open_response
from patients.registry.models import Patient
from treatments.booking.models import Appointment
from treatments.booking.states import ANNOUNCED

logger = logging.getLogger(__name__)


def ask_again(*, by: Actor, at: datetime) -> int:
    """Whoever has a treatment booked that waits because answers grew too old has the questionnaire on its way.

    Once each: a form that is open already, sent by whomever, is not sent again. Patients without such a visit are left
    to their clinicians, who have a task. Returns to how many it went; one that fails does so alone.
    """
    waiting = Task.objects.unfinished().filter(kind=EXPIRED).values("patient_ref")
    coming = Appointment.objects.filter(status__in=ANNOUNCED, starts_at__gt=at, course__isnull=False)
    patients = Patient.objects.filter(ref__in=waiting, pk__in=coming.values("patient_id"))
    asked = 0
    for patient in patients.exclude(responses__status="in-progress").order_by("pk"):
        try:
            asked += _ask(patient=patient, by=by, at=at)
        except (Refused, DatabaseError):
            logger.exception("Patient %s could not be asked again.", patient.pk)
    return asked


@transaction.atomic
def _ask(*, patient: Patient, by: Actor, at: datetime) -> bool:
    person = lock(patient)
    if person.is_silent or open_response(person) is not None:
        return False
    send_intake_link(patient=person, by=by, at=at)
    return True
