from django.db.models import TextChoices

from patients.messaging.states import Purpose


class Kind(TextChoices):
    """What people choose by; each stands for the purposes of KINDS."""

    VISITS = "visits", "About my visits: confirmations, reminders, changes"
    FORMS = "forms", "Links to questionnaires and forms"
    CARE = "care", "Preparing for a visit, and care after it"
    CHECKINS = "checkins", "How I am doing after a visit"
    NEWS = "news", "Later: reminders to come again, requests for a review"


# Whoever writes to us is answered: answers have no box of their own, and stop only with everything else.
KINDS: dict[str, frozenset[str]] = {
    # A correction is about a visit: who wants no reminders is not told that one was wrong.
    Kind.VISITS: frozenset({Purpose.VISIT, Purpose.CORRECTION}),
    Kind.FORMS: frozenset({Purpose.INVITATION}),
    Kind.CARE: frozenset({Purpose.CARE}),
    Kind.CHECKINS: frozenset({Purpose.CHECKIN}),
    Kind.NEWS: frozenset({Purpose.NEWS}),
}
