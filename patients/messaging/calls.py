"""What a message could not do, a person does."""

from __future__ import annotations

from datetime import datetime, timedelta

from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.worklist.actions import raise_task
from patients.messaging.models import Message
from patients.messaging.states import Purpose

LOOK_WITHIN = timedelta(minutes=15)
CALL_WITHIN = timedelta(hours=4)


def ask_for_a_call(message: Message, why: str, *, unsure: bool = False, by: Actor, at: datetime) -> None:
    """Somebody is asked to call whom the message did not reach, or, if unsure, to find out whether it did.

    Once for each message: it may fail again on another way.
    """
    if message.patient is not None:
        name, role = message.patient.full_name[:120], Role.FRONT_DESK
        title = f"Ask {name} whether a message arrived" if unsure else f"Call {name}: a message did not reach them"
    else:
        name, role = str(message.staff)[:120], Role.LEAD_CLINICIAN
        title = f"Tell {name} yourself: a page did not reach them"
    urgent = unsure or message.purpose == Purpose.ALARM
    raise_task(
        key=f"call:{message.ref}",
        kind="call",
        title=title,
        why=why[:400],
        role=role,
        location=message.location,
        due_at=at + (LOOK_WITHIN if urgent else CALL_WITHIN),
        patient_ref=message.patient.ref if message.patient else None,
        about=f"message:{message.ref}",
        by=by,
        at=at,
    )
