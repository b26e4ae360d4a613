"""Messages by the thousand, all due, each to a patient of its own."""

from __future__ import annotations

from datetime import timedelta

from clinic.audit.states import Actor
from clinic.premises.models import Location
from patients.messaging.actions import queue_message
from patients.messaging.models import Message
from patients.messaging.rules import WantedMessage
from patients.messaging.states import Channel, Purpose
from patients.registry.models import Patient
from treatments.bench import ground

BY = Actor.command("bench")
# Ten in the morning on the clinic's wall: nothing is held for quiet hours.
AT = ground.AT + timedelta(hours=1)
DUE = AT - timedelta(minutes=5)


def make_template(
    location: Location, patient: Patient, not_after_minutes: int = 600, channel: Channel = Channel.EMAIL
) -> Message:
    """One reminder, planned as every message is, and due in a year: the row that the others are copied from."""
    wanted = WantedMessage(
        step="reminder_24h",
        purpose=Purpose.VISIT,
        channel=channel,
        template="reminder",
        context={"when_local": "Tuesday 24 November, 10:00", "where": location.address},
        due_at=DUE + timedelta(days=365),
        not_after=DUE + timedelta(days=365, minutes=not_after_minutes),
        important=False,
    )
    return queue_message(
        patient=patient, location=location, about="bench:0", wanted=wanted, by=BY, at=DUE - timedelta(days=1)
    )


def plan_many(like: Message, count: int, first_patient: int, patients: int, *, too_late: bool = False) -> None:
    """So many messages are due now; with `too_late` they no longer make sense and are to be skipped."""
    due = f"'{DUE.isoformat()}'::timestamptz"
    ground.copy_row(
        like,
        count,
        ref="gen_random_uuid()",
        about="'bench:' || gen_random_uuid()",
        patient_id=f"{first_patient} + n %% {patients}",
        due_at=due,
        try_at=due,
        not_after=due + (" + interval '1 minute'" if too_late else " + interval '10 hours'"),
    )


def make_history(like: Message, count: int, first_patient: int, patients: int) -> None:
    """So many messages were sent in years past."""
    due = f"'{DUE.isoformat()}'::timestamptz - n * interval '1 minute'"
    ground.copy_row(
        like,
        count,
        ref="gen_random_uuid()",
        about="'past:' || n",
        status="'sent'",
        patient_id=f"{first_patient} + n %% {patients}",
        due_at=due,
        try_at=due,
        sent_at=due,
    )
