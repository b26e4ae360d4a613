import uuid

from django.db import models
from django.db.models import Q

from clinic.catalogue.models import BodyArea
from clinic.staff.models import User
from patients.consent.models import Consent
from patients.photos.rules import file_name, thumbnail_name
from patients.photos.states import TRANSITIONS, Angle, PhotoStatus, Source
from patients.registry.models import Patient


class PhotoQuerySet(models.QuerySet["Photo"]):
    def visible_to(self, user: User) -> "PhotoQuerySet":
        return self.filter(patient__in=Patient.objects.visible_to(user))

    def kept(self) -> "PhotoQuerySet":
        return self.filter(status=PhotoStatus.KEPT)


class Photo(models.Model):
    """One picture of a patient's skin. It is never edited or deleted; one that does not belong here is struck.

    The files lie under a private root, named after `ref`; `sha256` is that of the large one. One that the clinic took
    names the consent it was taken under.
    """

    TRANSITIONS = TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=12, choices=PhotoStatus, default=PhotoStatus.KEPT)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="photos")
    area = models.ForeignKey(BodyArea, on_delete=models.PROTECT, related_name="+")
    angle = models.CharField(max_length=14, choices=Angle)
    taken_on = models.DateField()
    source = models.CharField(max_length=8, choices=Source)
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, null=True, related_name="+")
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    form_key = models.UUIDField(null=True, unique=True, editable=False, help_text="A double tap is one photo.")
    added_at = models.DateTimeField()
    added_by = models.CharField(max_length=200)
    ended_at = models.DateTimeField(null=True)
    ended_reason = models.CharField(max_length=300, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)
    objects = PhotoQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_on", "-id"]
        indexes = [models.Index(fields=["patient", "-taken_on"], name="photo_by_patient")]
        constraints = [
            models.CheckConstraint(
                condition=Q(source="staff", consent__isnull=False) | Q(source="patient"),
                name="photo_by_staff_names_its_consent",
            ),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="photo_is_pinned_to_its_file"),
            models.CheckConstraint(
                condition=Q(status="kept", ended_at__isnull=True, ended_reason="", ended_by="")
                | (~Q(status="kept") & Q(ended_at__isnull=False) & ~Q(ended_reason="") & ~Q(ended_by="")),
                name="photo_ended_says_when_why_and_who",
            ),
            models.CheckConstraint(
                condition=~Q(status="taken_back") | Q(source="patient"), name="photo_taken_back_by_its_sender"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.area}, {self.get_angle_display().lower()}, {self.taken_on}"

    @property
    def file(self) -> str:
        return file_name(self.ref)

    @property
    def thumbnail(self) -> str:
        return thumbnail_name(self.ref)

    @property
    def is_kept(self) -> bool:
        return self.status == PhotoStatus.KEPT
