"""A conversation with whoever writes from a number, and how urgent a text can be."""

from django.db.models import TextChoices


class ConversationStatus(TextChoices):
    WAITING = "waiting", "Waits for an answer"
    ANSWERED = "answered", "Answered"
    CLOSED = "closed", "Closed"


_C = ConversationStatus
TRANSITIONS: dict[str, frozenset[str]] = {
    _C.WAITING: frozenset({_C.ANSWERED, _C.CLOSED}),
    _C.ANSWERED: frozenset({_C.WAITING, _C.CLOSED, _C.ANSWERED}),
    _C.CLOSED: frozenset(),  # who writes again begins another; the page shows the whole thread
}


class ConversationOutcome(TextChoices):
    ANSWERED = "answered", "Answered by text"
    CALLED = "called", "Called them"
    BOOKED = "booked", "Booked, moved or cancelled a visit"
    PASSED_ON = "passed_on", "Passed on to a clinician"
    NOTHING = "nothing", "Nothing to do"


class Urgency(TextChoices):
    """What words in a text may stand for: the two highest levels of the red-flag table."""

    EMERGENCY = "E", "Emergency"
    URGENT = "U1", "Urgent"


class Shown(TextChoices):
    """The parts of the inbox."""

    WAITING = "waiting", "Waiting"
    OPEN = "open", "Answered"
    CLOSED = "closed", "Closed"


SHOWN: dict[str, ConversationStatus] = {
    Shown.WAITING: ConversationStatus.WAITING,
    Shown.OPEN: ConversationStatus.ANSWERED,
    Shown.CLOSED: ConversationStatus.CLOSED,
}
# How long somebody has to respond, in minutes day and night, as the red-flag table says.
RESPOND_MINUTES: dict[str, int] = {Urgency.EMERGENCY: 15, Urgency.URGENT: 60}
