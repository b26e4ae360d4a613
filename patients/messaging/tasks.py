"""Doorbells: a task carries nothing, calls one action, and is safe twice."""

from __future__ import annotations

import time

from celery import shared_task

from patients.messaging.actions import dispatch
from patients.messaging.queries import database_clock

# Well inside the soft time limit: the next beat goes on where this one stopped.
ENOUGH_SECONDS = 15.0


@shared_task(name="messaging.dispatch_due_messages")
def dispatch_due_messages() -> None:
    """Nothing is due any more, or this worker has sent for long enough."""
    began = time.monotonic()
    while dispatch(at=database_clock()) and time.monotonic() - began < ENOUGH_SECONDS:
        pass
