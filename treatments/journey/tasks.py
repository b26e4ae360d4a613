"""A doorbell: carries nothing, calls one action, is safe twice."""

from __future__ import annotations

from celery import shared_task

from clinic.audit.states import Actor
from patients.messaging.queries import database_clock
from treatments.journey.actions import set_messages_right


@shared_task(name="journey.set_messages_right")
def set_coming_messages_right() -> None:
    """The messages of every coming visit say what is true now."""
    set_messages_right(by=Actor.task("journey.set_messages_right"), at=database_clock())
