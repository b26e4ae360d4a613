from django.db.models import TextChoices


class ContactKind(TextChoices):
    EMAIL = "email", "Email"
    PHONE = "phone", "Mobile phone"


class Language(TextChoices):
    """The languages in which we write to patients."""

    ENGLISH = "en", "English"
    SPANISH = "es", "Español"


class LinkScope(TextChoices):
    """What a patient's secure link opens; a link opens nothing else."""

    INTAKE = "intake", "Health questionnaire"
    CONSENT = "consent", "Consent"
    CHECKIN = "checkin", "Check-in"
    FITNESS = "fitness", "Check before the visit"
    VISIT = "visit", "Appointment"
    HEALING = "healing", "My healing"
    OFFER = "offer", "A time that is free"
    CONTACT = "contact", "How we reach you"
    DECISION = "decision", "Next steps"


# How long an unopened link lives, in days.
LINK_DAYS: dict[str, int] = {
    LinkScope.INTAKE: 30,
    LinkScope.CONSENT: 30,
    LinkScope.CHECKIN: 14,
    LinkScope.FITNESS: 4,
    LinkScope.VISIT: 90,
    LinkScope.HEALING: 200,
    LinkScope.OFFER: 2,
    LinkScope.CONTACT: 30,
    LinkScope.DECISION: 30,
}
MAX_TRIES = 5  # wrong birth dates before a link locks
