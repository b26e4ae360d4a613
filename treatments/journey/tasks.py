"""Doorbells: each carries nothing, calls one action, is safe twice."""

from __future__ import annotations

from celery import shared_task

from clinic.audit.states import Actor
from patients.messaging.queries import database_clock
from treatments.journey.actions import check_messages, set_messages_right
from treatments.journey.asking import ask_again


@shared_task(name="journey.set_messages_right")
def set_coming_messages_right() -> None:
    """The messages of every coming visit say what is true now."""
    set_messages_right(by=Actor.task("journey.set_messages_right"), at=database_clock())


@shared_task(name="journey.check_messages")
def check_all_messages() -> None:
    """Every message was compared with what should be, and a report of it stands."""
    check_messages(by=Actor.task("journey.check_messages"), at=database_clock())


@shared_task(name="journey.ask_again")
def ask_again_before_visits() -> None:
    """Whoever's treatment waits for fresh answers has been asked for them."""
    ask_again(by=Actor.task("journey.ask_again"), at=database_clock())
