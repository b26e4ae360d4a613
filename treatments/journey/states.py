from django.db.models import TextChoices


class Stage(TextChoices):
    """Where on the thread a patient stands, first to last."""

    INTAKE = "intake", "Health questionnaire"
    REVIEW = "review", "Clinician's decision"
    DEFERRED = "deferred", "Waiting"
    CLOSED = "closed", "Not treated"
    COURSE = "course", "Plan the course"
    CONSENT = "consent", "Consent"
    BOOK = "book", "Book the treatment"
    PRECARE = "precare", "Before the treatment"
    HEALING = "healing", "Healing"
    ENDED = "ended", "Course ended"
    DONE = "done", "Course complete"
