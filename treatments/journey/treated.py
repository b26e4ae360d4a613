"""What recent treatments ask their messages to say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from django.db.models import Exists, OuterRef

from patients.registry.models import Patient
from patients.registry.states import LinkScope
from treatments.aftercare.models import CheckIn, Escalation
from treatments.aftercare.queries import visit_after
from treatments.aftercare.states import CheckInStatus
from treatments.plan.actions import Wish
from treatments.sessions.models import TreatmentSession


def wishes_after_treatment(
    since: datetime, until: datetime, size: int, *, patient: Patient | None = None
) -> Iterator[list[Wish]]:
    """Yield, in batches, what the messages of treatments that ended since then, of all or one patient, should say.

    Left out are those that a later treatment took over, of patients who have died, and of those with an open alarm:
    what is taken back while one is open must not come back by night.
    """
    later = TreatmentSession.objects.treated().filter(
        patient=OuterRef("patient"), completed_at__gt=OuterRef("completed_at")
    )
    alarm = Escalation.objects.unfinished().filter(patient=OuterRef("patient"))
    rows = (
        TreatmentSession.objects.treated()
        .filter(~Exists(later), ~Exists(alarm), completed_at__gt=since, completed_at__lte=until)
        .filter(patient__died_on=None)
        .select_related("patient", "appointment__location", "appointment__type", "appointment__course")
        .select_related("appointment__patient")
        .order_by("pk")
    )
    if patient is not None:
        rows = rows.filter(patient=patient)
    last = 0
    while batch := list(rows.filter(pk__gt=last)[:size]):
        links = _links(batch)
        yield [
            Wish(each.about, each.patient, each.appointment.location, visit_after(each), links[each.pk])
            for each in batch
        ]
        last = batch[-1].pk


def _links(sessions: list[TreatmentSession]) -> dict[int, dict[str, tuple[str, str]]]:
    """Return where the message of each check-in leads, by session and step."""
    found: dict[int, dict[str, tuple[str, str]]] = defaultdict(dict)
    for checkin in CheckIn.objects.filter(session__in=sessions).exclude(status=CheckInStatus.CANCELLED):
        found[checkin.session_id][checkin.step] = (LinkScope.CHECKIN.value, checkin.about)
    return found
