"""A doorbell: answers that grew too old count no longer."""

from __future__ import annotations

import time

from celery import shared_task
from django.utils import timezone

from clinic.audit.states import Actor
from patients.expiry.actions import expire_some

# Well inside the soft time limit; the rest is rung for again.
ENOUGH_SECONDS = 20.0


@shared_task(name="expiry.let_answers_expire")
def let_answers_expire(after: int = 0) -> None:
    """Everybody behind this patient has been seen to, or this worker has looked for long enough and rings again."""
    began, by = time.monotonic(), Actor.task("expiry.let_answers_expire")
    while time.monotonic() - began < ENOUGH_SECONDS:
        _, after = expire_some(after=after, by=by, at=timezone.now())
        if not after:
            return
    let_answers_expire.delay(after)
