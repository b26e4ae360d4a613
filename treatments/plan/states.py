"""The words of a care protocol."""

from __future__ import annotations

from django.db.models import TextChoices

from patients.messaging.states import Purpose


class StepKind(TextChoices):
    CONFIRMATION = "confirmation", "Confirmation"
    REMINDER = "reminder", "Reminder"
    PRECARE = "precare", "Before the visit"
    FITNESS = "fitness", "Fitness check"
    AFTERCARE = "aftercare", "Aftercare"
    CHECKIN = "checkin", "Check-in"
    RECALL = "recall", "Recall"
    REVIEW_REQUEST = "review_request", "Request for a review"


class Anchor(TextChoices):
    """What a step counts from."""

    BOOKING = "booking", "The booking"
    VISIT = "visit", "The visit as booked"
    COMPLETION = "completion", "The treatment as completed"


class Phase(TextChoices):
    """Which part of a journey a step belongs to; a later treatment takes over the healing of an earlier one."""

    BEFORE = "before", "Before the visit"
    HEALING = "healing", "Healing"
    RESULT = "result", "Result and recall"


class QuietRule(TextChoices):
    MOVE = "move", "Moved out of quiet hours"
    IGNORE = "ignore", "Sent even in quiet hours"


class LateRule(TextChoices):
    """What becomes of a step whose time had passed when the visit was booked."""

    COLLAPSE = "collapse", "Joined to one late instruction"
    NEXT_MORNING = "next_morning", "Asked the next morning"
    DROP = "drop", "Not sent"


class Condition(TextChoices):
    """Facts of a visit that decide whether a line applies."""

    ANTIVIRAL_PRESCRIBED = "antiviral_prescribed", "Antiviral tablets prescribed"
    HYDROQUINONE_PRESCRIBED = "hydroquinone_prescribed", "Hydroquinone prescribed"
    HYDROQUINONE_STOP = "hydroquinone_stop", "Told to stop hydroquinone before the visit"
    PIGMENT_CREAM_PLANNED = "pigment_cream_planned", "Pigment-suppressing cream planned by a clinician"
    RETINOID_PLAN = "retinoid_plan", "A prescriber set this patient's own retinoid plan"
    SKIN_TYPE_1_3 = "skin_type_1_3", "Skin type I to III, confirmed"
    SKIN_TYPE_4_6 = "skin_type_4_6", "Skin type IV to VI"
    NUMBING = "numbing", "Numbing cream or injection planned"
    SEDATION = "sedation", "Sedation planned"
    SOAK_RECIPE_GIVEN = "soak_recipe_given", "The clinic gave a recipe for soaks"
    NEWS_AGREED = "news_agreed", "Agreed to news and review requests"


# Facts that only a clinician can state; the others follow from answers, tasks, consents and the visit itself.
STATED = (
    Condition.PIGMENT_CREAM_PLANNED,
    Condition.HYDROQUINONE_PRESCRIBED,
    Condition.HYDROQUINONE_STOP,
    Condition.RETINOID_PLAN,
    Condition.SEDATION,
    Condition.SOAK_RECIPE_GIVEN,
)

# How a step's message stands towards opt-outs and resending.
PURPOSES: dict[str, Purpose] = {
    StepKind.CONFIRMATION: Purpose.VISIT,
    StepKind.REMINDER: Purpose.VISIT,
    StepKind.PRECARE: Purpose.CARE,
    StepKind.FITNESS: Purpose.CARE,
    StepKind.AFTERCARE: Purpose.CARE,
    StepKind.CHECKIN: Purpose.CHECKIN,
    StepKind.RECALL: Purpose.NEWS,
    StepKind.REVIEW_REQUEST: Purpose.NEWS,
}

# Messages a protocol may send. Each has its folder under templates/messages/.
TEMPLATES = frozenset(
    {
        "booking_confirmation",
        "reminder",
        "precare",
        "fitness_check",
        "aftercare",
        "checkin",
        "recall",
        "review_request",
    }
)
