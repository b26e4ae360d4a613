from django.db.models import TextChoices


class ResponseStatus(TextChoices):
    """FHIR QuestionnaireResponse: amended means a newer response took this one's place."""

    IN_PROGRESS = "in-progress", "Being filled in"
    COMPLETED = "completed", "Completed"
    AMENDED = "amended", "Amended since"
    STOPPED = "stopped", "Stopped"
    ENTERED_IN_ERROR = "entered-in-error", "Entered in error"


RESPONSE_TRANSITIONS: dict[str, frozenset[str]] = {
    ResponseStatus.IN_PROGRESS: frozenset({ResponseStatus.COMPLETED, ResponseStatus.STOPPED}),
    ResponseStatus.COMPLETED: frozenset({ResponseStatus.AMENDED, ResponseStatus.ENTERED_IN_ERROR}),
    ResponseStatus.AMENDED: frozenset({ResponseStatus.ENTERED_IN_ERROR}),
    ResponseStatus.STOPPED: frozenset(),
    ResponseStatus.ENTERED_IN_ERROR: frozenset(),
}


class Who(TextChoices):
    """Who answers a question."""

    PATIENT = "P", "Patient"
    STAFF = "S", "Staff at the consultation"
    CLINICIAN = "C", "Clinician"
    SYSTEM = "system", "Afterglow"


class QuestionType(TextChoices):
    ENUM = "enum", "One of several"
    MULTI = "multi", "Any of several"
    BOOL = "bool", "Yes or no"
    INT = "int", "Whole number"
    DATE = "date", "Date, or never"
    TEXT = "text", "Words of one's own"


class Special(TextChoices):
    """Answers that are not an option of the question itself. A question never answered has no value at all."""

    NOT_SURE = "not_sure", "I am not sure"
    PREFER_NOT_TO_SAY = "prefer_not_to_say", "I would rather not say"
    NOT_APPLICABLE = "not_applicable", "Does not apply"


NEVER = "never"
QUESTIONNAIRE = "intake"
