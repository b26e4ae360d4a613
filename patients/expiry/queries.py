"""Whose answers may have grown too old to count."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from patients.candidacy.models import ScreeningQuerySet
from patients.candidacy.queries import screenings_that_matter
from patients.intake.models import QuestionnaireResponse
from patients.intake.queries import questionnaire_in_force

# A day on which the clocks go forward is so much shorter.
SHORTER = timedelta(hours=1)


def may_have_expired(at: datetime) -> ScreeningQuerySet:
    """Return the screenings that may rest on an answer that counts no longer, and on which something still depends.

    Old enough is whoever began a form long enough ago: what is amended later keeps the day on which it was said. Which
    answer it is stands sealed in each response. Passed over are screenings that already left out all of them, and the
    dead.
    """
    timed = questionnaire_in_force().timed()
    if not timed:
        return screenings_that_matter().none()
    before = at + SHORTER - timedelta(days=min(timed.values()) - 1)
    old = QuestionnaireResponse.objects.filter(patient=OuterRef("patient"), started_at__lt=before)
    living = screenings_that_matter().filter(patient__died_on=None)
    return living.filter(Exists(old)).exclude(expired__contains=sorted(timed))
