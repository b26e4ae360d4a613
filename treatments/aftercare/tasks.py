"""The watch over alarms and silence. The tables hold what is due; this only looks."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from clinic.audit.states import Actor
from treatments.aftercare.alarms import climb_due
from treatments.aftercare.silence import note_missed_checkins, nudge_checkins


@shared_task(name="aftercare.watch_escalations")
def watch_escalations() -> None:
    """Alarms nobody took have climbed; who has not answered is asked again, then noted. Safe twice."""
    by, at = Actor.task("aftercare.watch_escalations"), timezone.now()
    climb_due(by=by, at=at)
    nudge_checkins(by=by, at=at)
    note_missed_checkins(by=by, at=at)
