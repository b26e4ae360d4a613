"""Messages to plan in a test."""

from datetime import timedelta

from clinic.audit.states import Actor
from patients.messaging.actions import queue_message
from patients.messaging.models import Message
from patients.messaging.rules import WantedMessage
from patients.messaging.states import Channel, Purpose

from .people import NOW

TEST = Actor.task("test")
WHEN = {"when_local": "Tuesday 1 December, 10:00", "where": "1 Harley Street, London"}


def wanted(step="reminder_24h", **fields) -> WantedMessage:
    """A reminder by email, due now, good for six hours."""
    due_at = fields.pop("due_at", NOW)
    return WantedMessage(
        **{
            "step": step,
            "purpose": Purpose.VISIT,
            "channel": Channel.EMAIL,
            "template": "reminder",
            "context": WHEN,
            "due_at": due_at,
            "not_after": due_at + timedelta(hours=6),
            "important": True,
            **fields,
        }
    )


def plan_message(patient, step="reminder_24h", about="visit:1", at=NOW, **fields) -> Message:
    """One message that waits for the sender."""
    return queue_message(
        patient=patient, location=patient.location, about=about, wanted=wanted(step, **fields), by=TEST, at=at
    )
