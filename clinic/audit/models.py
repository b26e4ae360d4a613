from django.db import models
from django.db.models.functions import Now

from clinic.audit.states import ActorKind, Outcome


class AuditEvent(models.Model):
    """One act or one look. The database refuses UPDATE, DELETE and TRUNCATE, and links each row into a hash chain."""

    at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())
    actor_kind = models.CharField(max_length=10, choices=ActorKind)
    actor_id = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=200)
    action = models.CharField(max_length=80)
    subject_type = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=64)
    patient_ref = models.UUIDField(null=True)
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.DONE)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["patient_ref", "-id"], name="audit_by_patient"),
            models.Index(fields=["subject_type", "subject_id", "-id"], name="audit_by_subject"),
            models.Index(fields=["actor_kind", "actor_id", "-id"], name="audit_by_actor"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(actor_id="") & ~models.Q(actor_name="") & ~models.Q(action=""),
                name="audit_names_who_and_what",
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject_type} {self.subject_id} by {self.actor_name}"


class AuditLink(models.Model):
    """The event's place in the hash chain; written by the database at commit, never by the application."""

    seq = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, on_delete=models.DO_NOTHING, db_constraint=False, related_name="link")
    digest = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.seq}: event {self.event_id}"
