import uuid

from django.db import models
from django.db.models import Q

from clinic.staff.models import Practitioner


class FeedQuerySet(models.QuerySet["CalendarFeed"]):
    def open(self) -> "FeedQuerySet":
        """Feeds whose address still answers: not revoked, and of somebody who still works here."""
        return self.filter(revoked_at=None, practitioner__is_active=True).exclude(practitioner__user__is_active=False)


class CalendarFeed(models.Model):
    """An address under which a calendar program reads one practitioner's visits. Only the token's hash is kept."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    practitioner = models.ForeignKey(Practitioner, on_delete=models.PROTECT, related_name="feeds")
    token_hash = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField()
    created_by_name = models.CharField(max_length=200)
    revoked_at = models.DateTimeField(null=True)
    revoked_by_name = models.CharField(max_length=200, blank=True)
    objects = FeedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["practitioner"], condition=Q(revoked_at__isnull=True), name="feed_one_address_each"
            ),
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=True, revoked_by_name="")
                | (Q(revoked_at__isnull=False) & ~Q(revoked_by_name="")),
                name="feed_revoked_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"Calendar of {self.practitioner}"
