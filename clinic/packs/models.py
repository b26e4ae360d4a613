import hashlib
import uuid

from django.db import models
from django.db.models import F, Q

from clinic.packs.states import TRANSITIONS, PackKind, PackStatus
from clinic.staff.models import User


class RulePack(models.Model):
    """One version of clinical knowledge, as TOML. The database refuses to change the text once it is published.

    A shipped pack carries no approver: pages say that the clinic has still to approve it.
    """

    TRANSITIONS = TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=20, choices=PackKind)
    name = models.CharField(max_length=60)
    version = models.PositiveIntegerField()
    body = models.TextField()
    sha256 = models.CharField(max_length=64)
    status = models.CharField(max_length=10, choices=PackStatus, default=PackStatus.DRAFT)
    is_shipped = models.BooleanField(default=False)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    drafted_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    published_at = models.DateTimeField(null=True)
    based_on = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="+", help_text="The version its author started from."
    )
    changed_at = models.DateTimeField(null=True, help_text="When the author last saved the draft.")
    applied_at = models.DateTimeField(null=True, help_text="When all current patients had been looked at by it.")
    applied_to = models.PositiveBigIntegerField(default=0, help_text="Patients up to this key have been looked at.")

    class Meta:
        ordering = ["kind", "name", "-version", "id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "name", "version"], name="pack_version_once"),
            models.UniqueConstraint(
                fields=["kind", "name"], condition=Q(status="published"), name="one_published_pack_per_name"
            ),
            models.CheckConstraint(
                condition=Q(status="draft", published_at__isnull=True)
                | (~Q(status="draft") & Q(published_at__isnull=False)),
                name="pack_published_has_time",
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("drafted_by")),
                name="pack_approved_by_second_person",
            ),
            models.UniqueConstraint(
                fields=["kind", "name", "drafted_by"], condition=Q(status="draft"), name="one_draft_per_author"
            ),
            models.CheckConstraint(
                condition=Q(status="draft")
                | Q(is_shipped=True)
                | Q(approved_by__isnull=False, drafted_by__isnull=False),
                name="pack_published_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    @property
    def digest_matches(self) -> bool:
        return hashlib.sha256(self.body.encode()).hexdigest() == self.sha256
