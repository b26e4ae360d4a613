from django.db.models import TextChoices

from clinic.audit.states import Refused


class Level(TextChoices):
    """How urgent an answer is, worst first."""

    EMERGENCY = "E", "Emergency"
    URGENT = "U1", "Urgent"
    SAME_DAY = "U2", "Same day"
    NEXT_DAY = "U3", "Next days"
    ROUTINE = "R", "Routine"
    EXPECTED = "ok", "As expected"


# These cannot wait for a quiet minute.
LOUD = frozenset({Level.EMERGENCY, Level.URGENT})


class CheckInStatus(TextChoices):
    PLANNED = "planned", "Planned"
    ANSWERED = "answered", "Answered"
    MISSED = "missed", "Not heard from"
    CANCELLED = "cancelled", "No longer asked"


CHECKIN_TRANSITIONS: dict[str, frozenset[str]] = {
    CheckInStatus.PLANNED: frozenset({CheckInStatus.ANSWERED, CheckInStatus.MISSED, CheckInStatus.CANCELLED}),
    CheckInStatus.ANSWERED: frozenset({CheckInStatus.ANSWERED}),  # answered twice: the latest counts, both are kept
    CheckInStatus.MISSED: frozenset({CheckInStatus.ANSWERED}),
    CheckInStatus.CANCELLED: frozenset({CheckInStatus.ANSWERED}),
}


class EscalationStatus(TextChoices):
    OPEN = "open", "Nobody has it yet"
    ACKNOWLEDGED = "acknowledged", "Somebody has it"
    CLOSED = "closed", "Closed with an outcome"


ESCALATION_TRANSITIONS: dict[str, frozenset[str]] = {
    EscalationStatus.OPEN: frozenset({EscalationStatus.ACKNOWLEDGED}),
    EscalationStatus.ACKNOWLEDGED: frozenset({EscalationStatus.OPEN, EscalationStatus.CLOSED}),
    EscalationStatus.CLOSED: frozenset(),
}


class EscalationOutcome(TextChoices):
    ADVISED = "advised", "Spoke to the patient and advised"
    SEEN = "seen", "Seen at the clinic"
    TREATED = "treated", "Treatment started"
    SENT_TO_HOSPITAL = "sent_to_hospital", "Sent to emergency care"
    FALSE_ALARM = "false_alarm", "Answered by mistake"


# Worst first: what graded an answer is the earliest of these that matched.
SEVERITY: tuple[Level, ...] = (
    Level.EMERGENCY,
    Level.URGENT,
    Level.SAME_DAY,
    Level.NEXT_DAY,
    Level.ROUTINE,
    Level.EXPECTED,
)


class ClockKind(TextChoices):
    """How the time to respond is counted."""

    MINUTES = "minutes", "minutes, day and night"
    WORKING_HOURS = "working_hours", "working hours"
    WORKING_DAYS = "working_days", "working days"


class AnswerKind(TextChoices):
    CHOICE = "choice", "One of several"
    MULTI = "multi", "Any of several"
    SCALE = "scale", "0 to 10"
    BOOL = "bool", "Yes or no"
    TEMPERATURE = "temperature", "Temperature in Celsius, or felt hot"
    TEXT = "text", "Free text"
    PHOTO = "photo", "Photo"


# Answers of these levels open an alarm that somebody must own; routine ones make a task, expected ones nothing.
ALARMING = frozenset({Level.EMERGENCY, Level.URGENT, Level.SAME_DAY, Level.NEXT_DAY})
# While one of these is open nobody is asked for a review or sold anything.
RED = frozenset({Level.EMERGENCY, Level.URGENT})


def at_least(level: str, other: str) -> bool:
    """True if the first level is as urgent as the second, or more."""
    return SEVERITY.index(Level(level)) <= SEVERITY.index(Level(other))


class NothingAnswered(Refused):
    sentence = "Please answer at least one question."


class NotYourAlarm(Refused):
    sentence = "Only its owner or a lead clinician can do this."


class MayNotAnswerAlarms(Refused):
    sentence = "Only a clinician can take an alarm."


class AlreadyTaken(Refused):
    """Somebody else took the alarm first."""


class BadEvent(Refused):
    """An adverse event in words, grades or dates that make no sense."""


class AlreadyReviewed(Refused):
    sentence = "This has been reviewed already."


class OutcomeMissing(Refused):
    """An alarm cannot be closed without saying what came of it."""

    sentence = "Please say what came of it."
