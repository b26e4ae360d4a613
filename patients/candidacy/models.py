import uuid

from django.db import models
from django.db.models import F, Q

from clinic.packs.models import RulePack
from clinic.sealed import SealedJSONField
from clinic.staff.models import User
from patients.candidacy.states import (
    DECISION_TRANSITIONS,
    FLAG_TRANSITIONS,
    SCREENING_TRANSITIONS,
    DecisionKind,
    DecisionStatus,
    Effect,
    FlagStatus,
    Outcome,
    ScreeningStatus,
)
from patients.intake.models import QuestionnaireResponse
from patients.registry.models import Patient


class ScreeningQuerySet(models.QuerySet["Screening"]):
    def visible_to(self, user: User) -> "ScreeningQuerySet":
        return self.filter(patient__in=Patient.objects.visible_to(user))


class Screening(models.Model):
    """What the engine found for one patient and one modality, as it found it. Never edited afterwards.

    The same snapshot and pack give the same bytes again; `result_sha256` proves it.
    """

    TRANSITIONS = SCREENING_TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=12, choices=ScreeningStatus, default=ScreeningStatus.CURRENT)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="screenings")
    response = models.ForeignKey(QuestionnaireResponse, on_delete=models.PROTECT, related_name="screenings")
    modality = models.CharField(max_length=20)
    pack = models.ForeignKey(RulePack, on_delete=models.PROTECT, related_name="+")
    reference_on = models.DateField()
    answers = SealedJSONField(help_text="The answers the engine was given.")
    expired = models.JSONField(
        default=list, help_text="Keys of the questions whose answers were too old to count and were left out."
    )
    result = SealedJSONField()
    result_sha256 = models.CharField(max_length=64)
    outcome = models.CharField(max_length=24, choices=Outcome)
    earliest_on = models.DateField(null=True)
    screened_at = models.DateTimeField()
    objects = ScreeningQuerySet.as_manager()

    class Meta:
        ordering = ["-screened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "modality"], condition=Q(status="current"), name="one_current_screening"
            )
        ]

    def __str__(self) -> str:
        return f"Screening of {self.patient} for {self.modality}"


class Flag(models.Model):
    """A finding that a person must settle. Only a recorded decision closes it."""

    TRANSITIONS = FLAG_TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=FlagStatus, default=FlagStatus.OPEN)
    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="flags")
    rule = models.CharField(max_length=8)
    topic = models.CharField(max_length=40)
    effect = models.CharField(max_length=16, choices=Effect)
    finding = SealedJSONField()
    raised_at = models.DateTimeField()
    closed_by = models.ForeignKey("CandidacyDecision", on_delete=models.PROTECT, null=True, related_name="flags")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["screening", "rule"], name="flag_once_per_rule"),
            models.CheckConstraint(
                condition=Q(status="closed", closed_by__isnull=False)
                | (~Q(status="closed") & Q(closed_by__isnull=True)),
                name="flag_closed_only_by_decision",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.topic}"

    @property
    def patient(self) -> Patient:
        return self.screening.patient


class DecisionQuerySet(models.QuerySet["CandidacyDecision"]):
    def visible_to(self, user: User) -> "DecisionQuerySet":
        return self.filter(patient__in=Patient.objects.visible_to(user))

    def in_force(self) -> "DecisionQuerySet":
        return self.filter(status=DecisionStatus.IN_FORCE)


class CandidacyDecision(models.Model):
    """What a clinician decided about one modality, and why. The engine's result stands beside it, untouched."""

    TRANSITIONS = DECISION_TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=12, choices=DecisionStatus, default=DecisionStatus.IN_FORCE)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="decisions")
    screening = models.ForeignKey(Screening, on_delete=models.PROTECT, related_name="decisions")
    modality = models.CharField(max_length=20)
    kind = models.CharField(max_length=24, choices=DecisionKind)
    reason = SealedJSONField()
    conditions = SealedJSONField(
        help_text="List of {key, text, told, work, blocks, closes_with}: what must be true or done before treatment."
    )
    earliest_on = models.DateField(null=True)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="decisions")
    decided_at = models.DateTimeField()
    cosigned_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    cosigned_at = models.DateTimeField(null=True)
    overrides = models.BooleanField(default=False, help_text="Goes against a not_recommended result.")
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.CharField(max_length=200, blank=True)
    withdrawn_reason = SealedJSONField(null=True)
    objects = DecisionQuerySet.as_manager()

    class Meta:
        ordering = ["-decided_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "modality"], condition=Q(status="in_force"), name="one_decision_in_force"
            ),
            models.UniqueConstraint(
                fields=["patient", "modality"], condition=Q(status="awaiting"), name="one_decision_awaiting"
            ),
            models.CheckConstraint(
                condition=Q(status="withdrawn", withdrawn_at__isnull=False, withdrawn_reason__isnull=False)
                | (~Q(status="withdrawn") & Q(withdrawn_at__isnull=True, withdrawn_reason__isnull=True)),
                name="decision_withdrawn_says_when_and_why",
            ),
            models.CheckConstraint(
                condition=Q(cosigned_by__isnull=True, cosigned_at__isnull=True)
                | Q(cosigned_by__isnull=False, cosigned_at__isnull=False),
                name="cosign_says_who_and_when",
            ),
            models.CheckConstraint(
                condition=Q(cosigned_by__isnull=True) | ~Q(cosigned_by=F("decided_by")),
                name="cosigned_by_another_person",
            ),
            models.CheckConstraint(
                condition=~Q(status="in_force", overrides=True) | Q(cosigned_by__isnull=False),
                name="override_needs_second_clinician",
            ),
            models.CheckConstraint(
                condition=Q(kind="defer")
                | Q(kind__in=["proceed", "proceed_with_conditions", "test_spot_first"])
                | Q(earliest_on__isnull=True),
                name="decline_has_no_earliest_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.patient}, {self.modality}"
