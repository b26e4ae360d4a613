import uuid

from django.db import models
from django.db.models import Q

from clinic.premises.models import Location
from clinic.staff.models import User
from patients.enquiries.states import ENQUIRY_TRANSITIONS, EnquiryStatus
from patients.registry.models import Patient


class EnquiryQuerySet(models.QuerySet["Enquiry"]):
    def visible_to(self, user: User) -> "EnquiryQuerySet":
        return self.filter(location__in=Location.objects.visible_to(user))


class Enquiry(models.Model):
    """Somebody asked about treatment on the public page. Not yet a patient."""

    TRANSITIONS = ENQUIRY_TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=EnquiryStatus, default=EnquiryStatus.NEW)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="enquiries")
    given_name = models.CharField(max_length=200, blank=True)
    family_name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=32, blank=True)
    concerns = models.JSONField(default=list, blank=True)
    note = models.TextField(max_length=2000, blank=True)
    received_at = models.DateTimeField()
    form_key = models.UUIDField(unique=True, help_text="Set by the form: a double tap is one enquiry.")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, related_name="enquiries")
    closed_reason = models.CharField(max_length=200, blank=True)
    objects = EnquiryQuerySet.as_manager()

    class Meta:
        ordering = ["-received_at", "-id"]
        verbose_name_plural = "enquiries"
        constraints = [
            models.CheckConstraint(condition=~Q(family_name=""), name="enquiry_has_a_name"),
            models.CheckConstraint(condition=~Q(email="", phone=""), name="enquiry_can_be_answered"),
            models.CheckConstraint(
                condition=Q(status="converted", patient__isnull=False)
                | (~Q(status="converted") & Q(patient__isnull=True)),
                name="enquiry_converted_has_patient",
            ),
        ]

    def __str__(self) -> str:
        return f"Enquiry of {self.full_name}"

    @property
    def full_name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip()
