"""A doorbell: current patients are looked at by the rules in force, if nobody has done so yet."""

from __future__ import annotations

import time

from celery import shared_task
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.packs.states import PackKind
from patients.workshop.actions import rescreen_some

# Well inside the soft time limit: the next beat goes on where this one stopped.
ENOUGH_SECONDS = 20.0


@shared_task(name="workshop.rescreen")
def rescreen() -> None:
    """Current patients have been looked at by the rules in force, or this worker has looked for long enough."""
    began, by = time.monotonic(), Actor.task("workshop.rescreen")
    while time.monotonic() - began < ENOUGH_SECONDS:
        if rescreen_some(kind=PackKind.CANDIDACY, by=by, at=timezone.now()) is None:
            return
