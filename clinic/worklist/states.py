from django.db.models import TextChoices


class TaskStatus(TextChoices):
    REQUESTED = "requested", "To do"
    ACCEPTED = "accepted", "Taken"
    COMPLETED = "completed", "Done"
    CANCELLED = "cancelled", "No longer needed"


TRANSITIONS: dict[str, frozenset[str]] = {
    TaskStatus.REQUESTED: frozenset({TaskStatus.ACCEPTED, TaskStatus.COMPLETED, TaskStatus.CANCELLED}),
    TaskStatus.ACCEPTED: frozenset({TaskStatus.REQUESTED, TaskStatus.COMPLETED, TaskStatus.CANCELLED}),
    TaskStatus.COMPLETED: frozenset({TaskStatus.REQUESTED}),
    TaskStatus.CANCELLED: frozenset(),
}
