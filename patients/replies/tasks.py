"""The sweep over what gateways said before we were ready to hear it."""

from __future__ import annotations

from celery import shared_task

from clinic.audit.states import Actor
from patients.messaging.queries import database_clock
from patients.replies.receipts import apply_receipts


@shared_task(name="replies.apply_receipts")
def apply_waiting_receipts() -> None:
    """Receipts whose message has settled are applied. Safe twice."""
    apply_receipts(by=Actor.task("replies.apply_receipts"), at=database_clock())
