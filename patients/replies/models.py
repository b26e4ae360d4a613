import uuid

from django.db import models
from django.db.models import Q

from clinic.premises.models import Location
from clinic.sealed import SealedJSONField
from clinic.staff.models import User
from patients.registry.models import ContactPoint
from patients.replies.states import TRANSITIONS, ConversationOutcome, ConversationStatus, Urgency


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: User) -> "ConversationQuerySet":
        """Conversations of the locations the person works at."""
        return self.filter(location__in=Location.objects.visible_to(user))

    def unfinished(self) -> "ConversationQuerySet":
        return self.exclude(status=ConversationStatus.CLOSED)


class Conversation(models.Model):
    """What is said with whoever writes from a number, until somebody closes it with what came of it."""

    TRANSITIONS = TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=ConversationStatus, default=ConversationStatus.WAITING)
    point = models.ForeignKey(ContactPoint, on_delete=models.PROTECT, related_name="conversations")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+")
    urgency = models.CharField(max_length=2, choices=Urgency, blank=True, help_text="The worst its words may mean.")
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    opened_at = models.DateTimeField()
    waits_since = models.DateTimeField(help_text="When the first text came that nobody has answered yet.")
    last_at = models.DateTimeField(help_text="When they last wrote.")
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=12, choices=ConversationOutcome, blank=True)
    outcome_note = SealedJSONField(default="")
    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["waits_since", "id"]
        indexes = [
            models.Index(
                fields=["location", "waits_since"], condition=Q(status="waiting"), name="conversation_waiting"
            ),
            models.Index(fields=["location", "status", "-last_at"], name="conversation_by_location"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["point"], condition=~Q(status="closed"), name="one_unfinished_conversation_per_number"
            ),
            models.CheckConstraint(
                condition=~Q(status="closed") | (Q(closed_at__isnull=False, closed_by__isnull=False) & ~Q(outcome="")),
                name="conversation_closed_with_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"Conversation with {self.point}"

    @property
    def about(self) -> str:
        return f"conversation:{self.ref}"


class Reply(models.Model):
    """What somebody wrote back, word for word. STOP and START act at once; all else waits in a conversation."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    point = models.ForeignKey(ContactPoint, on_delete=models.PROTECT, related_name="replies")
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, null=True, related_name="replies")
    body = SealedJSONField()
    wish = models.CharField(max_length=5, blank=True, help_text="stop or start, where it says nothing else.")
    triggers = SealedJSONField(default=list, help_text="The signs of an emergency that its words may speak of.")
    received_at = models.DateTimeField()
    gateway_ref = models.CharField(max_length=200, unique=True)
    read_at = models.DateTimeField(null=True)
    read_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-received_at", "-id"]

    def __str__(self) -> str:
        return f"Reply from {self.point}"

    @property
    def text(self) -> str:
        said: str = self.body["text"]
        return said
