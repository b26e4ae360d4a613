from django.db.models import TextChoices

# No visit needs to be booked longer ahead than this.
MOST_LEAD_DAYS = 90


class Group(TextChoices):
    """Kinds of laser whose evidence is never shared."""

    AFL = "AFL", "Fractional ablative"
    NAFL = "NAFL", "Fractional non-ablative"
    PICO = "PICO", "Fractional picosecond"
    FULL = "FULL", "Full-field ablative"


class VisitKind(TextChoices):
    CONSULTATION = "consultation", "Consultation"
    TEST_SPOT = "test_spot", "Test spot"
    TREATMENT = "treatment", "Treatment"
    REVIEW = "review", "Review"


# The visits at which a laser touches skin: those that a patient prepares for.
TREATING = frozenset({VisitKind.TREATMENT, VisitKind.TEST_SPOT})


class Laterality(TextChoices):
    BOTH = "both", "Both sides"
    LEFT = "left", "Left"
    RIGHT = "right", "Right"
    MIDLINE = "midline", "Middle"
