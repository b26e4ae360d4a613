import uuid

from django.db import models
from django.db.models import Q

from clinic.packs.models import RulePack
from clinic.sealed import SealedJSONField
from clinic.staff.models import User
from patients.intake.states import RESPONSE_TRANSITIONS, ResponseStatus
from patients.registry.models import Patient


class ResponseQuerySet(models.QuerySet["QuestionnaireResponse"]):
    def visible_to(self, user: User) -> "ResponseQuerySet":
        return self.filter(patient__in=Patient.objects.visible_to(user))


class QuestionnaireResponse(models.Model):
    """A patient's answers to one version of the questionnaire. Frozen when completed; an amendment is a new row."""

    TRANSITIONS = RESPONSE_TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=16, choices=ResponseStatus, default=ResponseStatus.IN_PROGRESS)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="responses")
    pack = models.ForeignKey(RulePack, on_delete=models.PROTECT, related_name="+")
    amends = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="amended_by")
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    snapshot = SealedJSONField(null=True, help_text="The frozen answers, key to value, with when and by whom.")
    objects = ResponseQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["in-progress", "stopped"])
                | Q(completed_at__isnull=False, snapshot__isnull=False),
                name="response_completed_is_frozen",
            ),
            models.UniqueConstraint(
                fields=["patient"], condition=Q(status="in-progress"), name="one_open_response_per_patient"
            ),
        ]

    def __str__(self) -> str:
        return f"Answers of {self.patient}, {self.started_at:%d %b %Y}"


class Answer(models.Model):
    """One answer, saved when given. The latest row per question counts; earlier ones stay.

    `value` is exactly what CLINICAL content allows: an option, a list, true or false, a number, a date, or one of
    "not_sure" and "prefer_not_to_say". A question never answered has no row.
    """

    response = models.ForeignKey(QuestionnaireResponse, on_delete=models.PROTECT, related_name="answers")
    question = models.CharField(max_length=40)
    value = SealedJSONField()
    answered_at = models.DateTimeField()
    answered_by = models.CharField(max_length=200)
    by_phone = models.BooleanField(default=False, help_text="Staff typed what the patient said.")
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    is_latest = models.BooleanField(default=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["response", "question"], condition=Q(is_latest=True), name="one_latest_answer_per_question"
            )
        ]

    def __str__(self) -> str:
        return f"{self.question} of response {self.response_id}"
