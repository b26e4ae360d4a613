"""What people and plans do with messages: plan them, set them right, hold, resend, take back.

Nothing here talks to a gateway: that is the sender's work, outside any transaction. `dispatch` is its one tick.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.transitions import lock, move
from patients.messaging.bell import nudge, ring_on_commit
from patients.messaging.difference import Reconciled
from patients.messaging.models import Message
from patients.messaging.optouts import opt_in, opt_out
from patients.messaging.planning import (
    Change,
    alert_staff,
    one_at_a_time,
    plan_one,
    queue_message,
    reconcile,
    reconcile_many,
    withdraw,
)
from patients.messaging.sender import dispatch
from patients.messaging.states import MessageStatus

__all__ = [
    "Change",
    "NotNow",
    "ReasonMissing",
    "Reconciled",
    "alert_staff",
    "dispatch",
    "hold_message",
    "nudge",
    "opt_in",
    "opt_out",
    "queue_message",
    "reconcile",
    "reconcile_many",
    "release_message",
    "resend_message",
    "skip_message",
    "withdraw",
]

RESEND_LIFE = timedelta(hours=24)
NIGHT_WORD_LASTS = timedelta(hours=1)  # as long as a gateway may need; then quiet hours count again


class NotNow(Refused):
    """The message is not in a state in which this can be done."""


class ReasonMissing(Refused):
    sentence = "Please say why."


# --- what the desk does -----------------------------------------------------------------------------------------------


@transaction.atomic
def hold_message(*, message: Message, reason: str, by: Actor, at: datetime) -> Message:
    """The message waits until a person releases it, and is listed as not sent when it would be too late."""
    fresh = lock(message)
    fresh.reason, fresh.try_at = f"Held by {by.name}: {_said_why(reason)}", max(fresh.not_after, at)
    if fresh.status == MessageStatus.HELD:  # held for the night so far, by a person from now on
        fresh.save(update_fields=["reason", "try_at"])
        record(action="message.held", subject=fresh, by=by, at=at, was=fresh.status, reason=fresh.reason)
        return fresh
    return _move_saying(fresh, MessageStatus.HELD, by, at)


@transaction.atomic
def release_message(*, message: Message, by: Actor, at: datetime) -> Message:
    """A held message goes its way again: at its time, or at once if that has passed."""
    fresh = lock(message)
    released = move(fresh, MessageStatus.PLANNED, by=by, at=at, try_at=max(fresh.due_at, at))
    released.reason = ""
    released.save(update_fields=["reason"])
    ring_on_commit()
    return released


@transaction.atomic
def skip_message(*, message: Message, reason: str, by: Actor, at: datetime) -> Message:
    """The message will not be sent, and says who decided so and why."""
    fresh = lock(message)
    fresh.reason = f"{_said_why(reason)} ({by.name})"
    return _move_saying(fresh, MessageStatus.SKIPPED, by, at)


@transaction.atomic
def resend_message(*, message: Message, reason: str = "", at_night: bool = False, by: Actor, at: datetime) -> Message:
    """The message goes out (again) as soon as it may; opt-outs still hold it, and quiet hours unless `at_night`.

    One that waits is sent now instead of later, one that may have arrived once more under its own name. One that
    ended gets another revision, so that both stand in the log. Raises NotNow for one that is being sent, and
    ReasonMissing for one that shall wake somebody without a reason.
    """
    why = _said_why(reason) if at_night else reason.strip()[:200]
    fresh = _resent(lock(message), by, at)
    fresh.hurried_why = why
    fresh.night_until = at + NIGHT_WORD_LASTS if at_night else None
    fresh.save(update_fields=["hurried_why", "night_until"])
    record(action="message.hurried", subject=fresh, by=by, at=at, why=why, at_night=at_night)
    ring_on_commit()
    return fresh


def _resent(fresh: Message, by: Actor, at: datetime) -> Message:
    if fresh.status == MessageStatus.SENDING:
        raise NotNow("It is being sent right now.")
    if fresh.status == MessageStatus.PLANNED:
        fresh.try_at = at
        fresh.save(update_fields=["try_at"])
    elif fresh.status == MessageStatus.HELD:
        fresh = release_message(message=fresh, by=by, at=at)
        fresh.try_at = at
        fresh.save(update_fields=["try_at"])
    elif fresh.status == MessageStatus.UNKNOWN:
        fresh = move(
            fresh,
            MessageStatus.PLANNED,
            by=by,
            at=at,
            try_at=at,
            not_after=max(fresh.not_after, at + RESEND_LIFE),
            attempts=0,
            handed_at=None,
            sent_text=None,
            sent_channel="",
            point=None,
        )
    else:
        fresh = _copy(fresh, at, by)
    return fresh


def _copy(message: Message, at: datetime, by: Actor) -> Message:
    one_at_a_time([message.about])
    same_step = Message.objects.filter(about=message.about, step=message.step)
    latest = same_step.order_by("-revision").values_list("revision", flat=True)[0]
    copy = Message(
        **{name: getattr(message, name) for name in _COPIED},
        revision=latest + 1,
        due_at=at,
        try_at=at,
        not_after=max(message.not_after, at + RESEND_LIFE),
        note=f"Sent again by {by.name}."[:200],
        created_at=at,
    )
    return plan_one(copy, by, at)


_COPIED = [
    "patient", "staff", "location", "about", "step", "purpose", "channel", "template", "context", "link_scope",
    "link_about", "is_important", "any_hour", "visit_at",
]  # fmt: skip


def _said_why(reason: str) -> str:
    if not reason.strip():
        raise ReasonMissing(field="reason")
    return reason.strip()[:200]


def _move_saying(fresh: Message, status: MessageStatus, by: Actor, at: datetime) -> Message:
    """Move the locked message whose reason is set already: the database refuses a state that does not say why."""
    fresh.save(update_fields=["reason", "try_at"])
    return move(fresh, status, by=by, at=at, reason=fresh.reason)
