from __future__ import annotations

from django.db.models import TextChoices

from clinic.audit.states import Refused


class What(TextChoices):
    """What cannot be used for a time."""

    PRACTITIONER = "practitioner", "Clinician"
    DEVICE = "device", "Device"
    ROOM = "room", "Room"
    LOCATION = "location", "The whole place"


class Choice(TextChoices):
    """What the desk can do with a visit that cannot be as it is."""

    MOVE = "move", "Same time, with somebody or something else"
    OFFER = "offer", "Hold and offer another time"
    CALL = "call", "Keep it and ring the patient"
    CANCEL = "cancel", "Cancel, the patient is told"
    GIVE_BACK = "give_back", "Give the held time back"
    LEAVE = "leave", "Leave it for now"


class Outcome(TextChoices):
    """What became of a visit."""

    MOVED = "moved", "Reassigned"
    OFFERED = "offered", "Offered another time"
    TO_CALL = "to_call", "To call"
    CANCELLED = "cancelled", "Cancelled"
    GIVEN_BACK = "given_back", "Held time given back"
    FAILED = "failed", "Not done"


# How the keys of those calls begin that the desk makes because a visit cannot be as booked.
CALL_KEY = "disruption:"

# The patient's visit needs nothing more from here: it stands elsewhere, is off, or its patient is being asked.
SETTLED = frozenset({Outcome.MOVED, Outcome.OFFERED, Outcome.CANCELLED, Outcome.GIVEN_BACK})


class NotAffected(Refused):
    """The visit is not one of those that cannot be as they are."""

    sentence = "This visit is no longer affected."


class DisruptionOver(Refused):
    sentence = "This is over already."
