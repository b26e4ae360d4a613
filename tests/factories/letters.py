"""Messages to plan in a test."""

import uuid
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


def plan_many(patient, count, **fields) -> None:
    """As `plan_message` for visit:1 to visit:count, in two writes: only the first goes through the planner."""
    first = plan_message(patient, about="visit:1", **fields)
    same = Message.objects.values().get(pk=first.pk)
    own = ({"id": None, "ref": uuid.uuid4(), "about": f"visit:{number}"} for number in range(2, count + 1))
    Message.objects.bulk_create([Message(**same | each) for each in own])
