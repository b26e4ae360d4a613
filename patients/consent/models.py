import uuid

from django.db import models
from django.db.models import F, Q

from clinic.sealed import SealedJSONField
from clinic.staff.models import User
from patients.consent.states import TRANSITIONS, ConsentScope, ConsentStatus
from patients.registry.models import Patient


class ConsentWording(models.Model):
    """The exact words shown, per scope, modality group and language; never edited, only followed by a newer version."""

    scope = models.CharField(max_length=20, choices=ConsentScope)
    group = models.CharField(max_length=4, blank=True, help_text="Modality group for treatment; empty for the rest.")
    language = models.CharField(max_length=8)
    version = models.PositiveIntegerField()
    body = models.JSONField(help_text="title, summary, paragraphs[], risks[{key, text, serious}]")
    sha256 = models.CharField(max_length=64)
    reflection_hours = models.PositiveIntegerField(default=0)
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "group", "language", "version"], name="wording_version_once"),
            models.UniqueConstraint(
                fields=["scope", "group", "language"], condition=Q(is_current=True), name="one_current_wording"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} {self.group} {self.language} v{self.version}"


class ConsentQuerySet(models.QuerySet["Consent"]):
    def visible_to(self, user: User) -> "ConsentQuerySet":
        return self.filter(patient__in=Patient.objects.visible_to(user))

    def in_force(self) -> "ConsentQuerySet":
        return self.filter(status=ConsentStatus.ACTIVE)

    def open(self) -> "ConsentQuerySet":
        """Asked for or in force: what a changed plan ends."""
        return self.filter(status__in=[ConsentStatus.PROPOSED, ConsentStatus.ACTIVE])


class Consent(models.Model):
    """One agreement for one scope, pinned by hash to the wording and to the plan it was given for.

    `about` names the plan, as "course:<ref>"; `plan` says in plain words and keys what was agreed to. When the plan
    changes, its hash no longer matches and this consent is no longer in force.
    """

    TRANSITIONS = TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=16, choices=ConsentStatus, default=ConsentStatus.PROPOSED)
    reason = models.CharField(max_length=400, blank=True)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="consents")
    scope = models.CharField(max_length=20, choices=ConsentScope)
    about = models.CharField(max_length=80, blank=True)
    wording = models.ForeignKey(ConsentWording, on_delete=models.PROTECT, related_name="+")
    plan = models.JSONField(default=dict)
    plan_sha256 = models.CharField(max_length=64, blank=True)
    asked_at = models.DateTimeField()
    first_read_at = models.DateTimeField(null=True)
    reflect_until = models.DateTimeField(null=True)
    risks_ticked = SealedJSONField(null=True)
    questions = SealedJSONField(null=True)
    signed_at = models.DateTimeField(null=True)
    signed_name = models.CharField(max_length=200, blank=True)
    signed_as = models.CharField(max_length=20, blank=True, help_text="patient or guardian")
    signature = SealedJSONField(null=True, help_text="Strokes as drawn; empty when the name was typed.")
    signed_sha256 = models.CharField(max_length=64, blank=True, help_text="Over wording, plan, ticks, name and time.")
    ended_at = models.DateTimeField(null=True)
    objects = ConsentQuerySet.as_manager()

    class Meta:
        ordering = ["-asked_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "scope", "about"],
                condition=Q(status__in=["proposed", "active"]),
                name="one_open_consent_per_plan",
            ),
            models.CheckConstraint(
                condition=~Q(status="active")
                | (Q(signed_at__isnull=False) & ~Q(signed_name="") & ~Q(signed_sha256="")),
                name="consent_in_force_is_signed",
            ),
            models.CheckConstraint(
                condition=Q(signed_at__isnull=True)
                | Q(reflect_until__isnull=True)
                | Q(signed_at__gte=F("reflect_until")),
                name="consent_signed_after_reflection",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["inactive", "entered-in-error"]) | ~Q(reason=""),
                name="consent_ended_says_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} consent of {self.patient}"
