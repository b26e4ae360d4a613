from __future__ import annotations

from django.db.models import TextChoices

from clinic.audit.states import Refused


class EntryStatus(TextChoices):
    WAITING = "waiting", "Waiting"
    PLACED = "placed", "Has a time"
    REMOVED = "removed", "Taken off"


class OfferStatus(TextChoices):
    OPEN = "open", "Offered"
    ACCEPTED = "accepted", "Accepted"
    DECLINED = "declined", "Declined"
    EXPIRED = "expired", "Not answered in time"
    WITHDRAWN = "withdrawn", "Withdrawn"


_E, _O = EntryStatus, OfferStatus
ENTRY_TRANSITIONS: dict[str, frozenset[str]] = {
    _E.WAITING: frozenset({_E.PLACED, _E.REMOVED}),
    _E.PLACED: frozenset(),
    _E.REMOVED: frozenset(),
}
OFFER_TRANSITIONS: dict[str, frozenset[str]] = {
    _O.OPEN: frozenset({_O.ACCEPTED, _O.DECLINED, _O.EXPIRED, _O.WITHDRAWN}),
    _O.ACCEPTED: frozenset(),
    _O.DECLINED: frozenset(),
    _O.EXPIRED: frozenset(),
    _O.WITHDRAWN: frozenset(),
}


class OfferOver(Refused):
    """The offer was answered already, or its time is over."""

    sentence = "This time is no longer held for you. We will write when another is free."


class NotOffered(Refused):
    """This time cannot be offered to this person now."""


class AlreadyWaiting(Refused):
    """One person waits once for one thing."""

    sentence = "This patient already waits for this."
