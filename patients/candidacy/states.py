from __future__ import annotations

from django.db.models import TextChoices

from clinic.audit.states import Refused


class Effect(TextChoices):
    """What a fired rule does, worst first."""

    NOT_RECOMMENDED = "not_recommended", "Not recommended"
    DEFER = "defer", "Wait"
    REVIEW = "review", "Clinician to review"
    TASK = "task", "Task before treatment"
    INFO = "info", "For information"


class Outcome(TextChoices):
    ELIGIBLE = "eligible", "No rule fired"
    NEEDS_CLINICIAN_REVIEW = "needs_clinician_review", "Needs clinician review"
    DEFER_UNTIL_DATE = "defer_until_date", "Wait"
    NOT_RECOMMENDED = "not_recommended", "Not recommended"
    INCOMPLETE = "incomplete", "Incomplete"


class ScreeningStatus(TextChoices):
    CURRENT = "current", "Current"
    SUPERSEDED = "superseded", "Replaced by a newer screening"
    ENTERED_IN_ERROR = "in_error", "Entered in error"


class FlagStatus(TextChoices):
    OPEN = "open", "Open"
    CLOSED = "closed", "Closed by a decision"
    LAPSED = "lapsed", "Its screening was replaced"


class DecisionKind(TextChoices):
    PROCEED = "proceed", "Proceed"
    PROCEED_WITH_CONDITIONS = "proceed_with_conditions", "Proceed with conditions"
    TEST_SPOT_FIRST = "test_spot_first", "Test spot first"
    DEFER = "defer", "Defer until"
    DECLINE = "decline", "Decline"
    REFER = "refer", "Refer"


# Decisions on which skin may be treated, if only for a test spot.
ALLOWING = frozenset({DecisionKind.PROCEED, DecisionKind.PROCEED_WITH_CONDITIONS, DecisionKind.TEST_SPOT_FIRST})


class ConditionWork(TextChoices):
    """What a condition of a decision does."""

    BEFORE = "before", "Treatment waits until it is done"
    NOTED = "noted", "To keep in mind; treatment does not wait"
    PRECARE = "precare", "A line for the patient in the messages before each visit"
    QUESTION = "question", "A question at every check-in; a yes makes a task for us"
    FACT = "fact", "A fact that the care messages follow"


# Conditions that are somebody's task; the others speak through the patient's messages and check-ins.
TASKS = frozenset({ConditionWork.BEFORE, ConditionWork.NOTED})
# Conditions that the patient reads, and that therefore need words for the patient.
READ_BY_PATIENT = frozenset({ConditionWork.PRECARE, ConditionWork.QUESTION})


class DecisionStatus(TextChoices):
    AWAITING_COSIGN = "awaiting", "Waiting for a second clinician"
    IN_FORCE = "in_force", "In force"
    WITHDRAWN = "withdrawn", "Withdrawn"
    SUPERSEDED = "superseded", "Replaced by a newer decision"


SCREENING_TRANSITIONS: dict[str, frozenset[str]] = {
    ScreeningStatus.CURRENT: frozenset({ScreeningStatus.SUPERSEDED, ScreeningStatus.ENTERED_IN_ERROR}),
    ScreeningStatus.SUPERSEDED: frozenset({ScreeningStatus.ENTERED_IN_ERROR}),
    ScreeningStatus.ENTERED_IN_ERROR: frozenset(),
}
# A closed flag opens again when the decision that closed it is withdrawn.
FLAG_TRANSITIONS: dict[str, frozenset[str]] = {
    FlagStatus.OPEN: frozenset({FlagStatus.CLOSED, FlagStatus.LAPSED}),
    FlagStatus.CLOSED: frozenset({FlagStatus.OPEN}),
    FlagStatus.LAPSED: frozenset(),
}
DECISION_TRANSITIONS: dict[str, frozenset[str]] = {
    DecisionStatus.AWAITING_COSIGN: frozenset({DecisionStatus.IN_FORCE, DecisionStatus.WITHDRAWN}),
    DecisionStatus.IN_FORCE: frozenset({DecisionStatus.WITHDRAWN, DecisionStatus.SUPERSEDED}),
    DecisionStatus.WITHDRAWN: frozenset(),
    DecisionStatus.SUPERSEDED: frozenset(),
}


# --- how a decision is refused ------------------------------------------------------------------------------------


class NotAuthorised(Refused):
    """Only a practitioner authorised for the laser decides about it."""

    sentence = "You are not authorised to decide about this laser."


class NotCompleted(Refused):
    """The answers are not handed in yet, so there is nothing to screen."""

    sentence = "These answers have not been sent yet."


class ScreeningReplaced(Refused):
    """The answers were screened again since."""

    sentence = "The answers were screened again since you opened this page. Please look at the newer result."


class AlreadyDecided(Refused):
    """Somebody decided about this laser since the page was opened. `when` is the wall time of the patient's clinic."""

    def __init__(self, who: str, kind: str, when: str, *, waits: bool) -> None:
        self.who, self.when = who, when
        verb = "proposed" if waits else "decided"
        super().__init__(f"{who} {verb} “{kind}” on {when}. Please read it; you can then decide anew if you differ.")


class AlreadyTakenBack(Refused):
    """Somebody took the decision back since the page was opened. `when` is the wall time of the patient's clinic."""

    def __init__(self, who: str, when: str) -> None:
        self.who, self.when = who, when
        super().__init__(f"{who} took this decision back on {when}. It no longer counts.")


class ReasonMissing(Refused):
    """A decision says why."""

    sentence = "Please give the reason in your own words."


class ScreeningIncomplete(Refused):
    """An unanswered critical question cannot make anybody eligible."""

    sentence = "A question that must be answered is still blank. Answer it first, or defer."


class ConditionMissing(Refused):
    """Proceeding with conditions needs one."""

    sentence = "Please name at least one condition, or choose “Proceed”."


class ConditionsNotMeant(Refused):
    """Conditions were named, but the kind of decision takes none."""

    sentence = "You named conditions. Please choose “Proceed with conditions”, or take them out."


class ConditionUnclear(Refused):
    """A condition says what must be done, in one sentence."""

    sentence = "Please write each condition as one short sentence."


class PatientWordsMissing(Refused):
    """What a patient reads or is asked must be written for a patient."""

    sentence = "Please write it in words for the patient: they read it."


class DateOrConditionMissing(Refused):
    """Deferring says until when."""

    sentence = "Please say until when: a date, or what must be true first."


class DateNotAhead(Refused):
    """An earliest date lies ahead."""

    sentence = "This date is not in the future. Please check the day and the year."


class DateNotMeant(Refused):
    """Declining and referring have no earliest date."""

    sentence = "This kind of decision has no date. Please choose “Defer until”, or clear the date."


class MayNotBeOverridden(Refused):
    """A finding that the rules let nobody override in this patient's case."""

    def __init__(self, topics: str) -> None:
        super().__init__(f"The rules let nobody go ahead here: {topics}. Defer, decline or refer.", field="kind")


class OverrideReasonTooShort(Refused):
    """Going against “not recommended” needs a real reason."""

    sentence = "Going against “not recommended” needs a reason of at least 20 characters."


class SameClinician(Refused):
    """The second clinician is another person than the first."""

    sentence = "You decided this yourself. A different clinician must agree."


class OutcomeNotOffered(Refused):
    """A task closes with one of its own outcomes."""

    sentence = "Please choose one of the outcomes shown."
