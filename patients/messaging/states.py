"""What state a message is in, and how it may move."""

from __future__ import annotations

from django.db.models import TextChoices

from patients.registry.states import ContactKind


class Channel(TextChoices):
    EMAIL = "email", "Email"
    SMS = "sms", "Text"


# How each kind of contact is written to.
CHANNEL_OF: dict[str, Channel] = {ContactKind.EMAIL: Channel.EMAIL, ContactKind.PHONE: Channel.SMS}


class MessageStatus(TextChoices):
    PLANNED = "planned", "Planned"
    HELD = "held", "Held"
    SENDING = "sending", "Being sent"
    SENT = "sent", "Sent"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"
    UNKNOWN = "unknown", "Not known if sent"
    SKIPPED = "skipped", "Not sent"
    SUPERSEDED = "superseded", "No longer wanted"


class Purpose(TextChoices):
    """What a message is for: opt-outs, importance and the resend rule differ by it."""

    INVITATION = "invitation", "Link to a form"
    VISIT = "visit", "About a visit"
    CARE = "care", "Care instructions"
    CHECKIN = "checkin", "Check-in"
    CORRECTION = "correction", "Correction"
    NEWS = "news", "Recall and reviews"
    ANSWER = "answer", "Answer to a text"
    ALARM = "alarm", "Alarm to staff"


class Tried(TextChoices):
    """What came of one try to hand a message over."""

    SENT = "sent", "Taken"
    RETRY = "retry", "Not taken now"
    FAILED = "failed", "Refused"
    UNKNOWN = "unknown", "Answer lost"
    LATE = "late", "Answer came after somebody else took over"


class Said(TextChoices):
    """What a gateway says about a text after it took it over."""

    SENT = "sent", "On its way"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Not delivered"


# What the log calls a message, by its template: words that anyone at the desk may read.
LABELS: dict[str, str] = {
    "aftercare": "Care after the visit",
    "alarm": "Page to staff",
    "auto_reply": "Automatic reply",
    "booking_confirmation": "Confirmation",
    "cancelled": "Visit cancelled",
    "checkin": "Check-in",
    "checkin_nudge": "Check-in, asked again",
    "consent_copy": "Copy of a signed form",
    "consent_invitation": "Form to read and sign",
    "correction": "Correction",
    "desk_reply": "Answer to a text",
    "decision": "News from the clinician",
    "deferred": "A later time",
    "fitness_check": "Check before the visit",
    "intake_invitation": "Health questionnaire",
    "new_link": "New link",
    "new_time": "Another time for a visit",
    "precare": "Preparation",
    "recall": "Recall",
    "reminder": "Reminder",
    "review_request": "Request for a review",
    "start_confirmation": "Messages on again",
    "stop_confirmation": "Messages stopped",
    "waitlist_offer": "A free time",
}
# Purposes whose text says nothing about anybody's health.
PLAIN_PURPOSES = frozenset(
    {Purpose.INVITATION, Purpose.VISIT, Purpose.CORRECTION, Purpose.NEWS, Purpose.ANSWER, Purpose.ALARM}
)


class Shown(TextChoices):
    """The parts of the message log."""

    COMING = "coming", "Coming"
    TROUBLE = "trouble", "Needs a look"
    SENT = "sent", "Sent"
    STOPPED = "stopped", "Not sent"


# Kinds that patients' messages are filtered by; staff are paged, not written to.
PATIENT_PURPOSES = tuple(purpose for purpose in Purpose if purpose != Purpose.ALARM)

SHOWN: dict[str, tuple[MessageStatus, ...]] = {
    Shown.COMING: (MessageStatus.PLANNED, MessageStatus.HELD, MessageStatus.SENDING),
    Shown.TROUBLE: (MessageStatus.FAILED, MessageStatus.UNKNOWN),
    Shown.SENT: (MessageStatus.SENT, MessageStatus.DELIVERED),
    Shown.STOPPED: (MessageStatus.SKIPPED, MessageStatus.SUPERSEDED),
}

_S = MessageStatus
TRANSITIONS: dict[str, frozenset[str]] = {
    _S.PLANNED: frozenset({_S.SENDING, _S.HELD, _S.SKIPPED, _S.SUPERSEDED}),
    _S.HELD: frozenset({_S.PLANNED, _S.SENDING, _S.SKIPPED, _S.SUPERSEDED}),
    _S.SENDING: frozenset({_S.SENT, _S.PLANNED, _S.HELD, _S.FAILED, _S.UNKNOWN, _S.SKIPPED, _S.SUPERSEDED}),
    _S.SENT: frozenset({_S.DELIVERED, _S.FAILED}),
    _S.UNKNOWN: frozenset({_S.SENT, _S.DELIVERED, _S.FAILED, _S.PLANNED, _S.SKIPPED}),
    _S.DELIVERED: frozenset(),
    _S.FAILED: frozenset({_S.PLANNED}),
    _S.SKIPPED: frozenset(),
    _S.SUPERSEDED: frozenset(),
}
# Not yet out of our hands: a changed plan may still change or withdraw these.
UNSENT = frozenset({_S.PLANNED, _S.HELD})
# How the reason of a held message begins that waits for nothing but a change of mind.
STOPPED = "Will not go out: "
