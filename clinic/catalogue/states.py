from django.db.models import TextChoices


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


class Laterality(TextChoices):
    BOTH = "both", "Both sides"
    LEFT = "left", "Left"
    RIGHT = "right", "Right"
    MIDLINE = "midline", "Middle"
