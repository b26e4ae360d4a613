import uuid

from django.db import models
from django.db.models import F, Q

from clinic.staff.models import User
from patients.candidacy.models import CandidacyDecision
from patients.registry.models import Patient
from treatments.courses.states import TRANSITIONS, CourseStatus


class CourseQuerySet(models.QuerySet["Course"]):
    def visible_to(self, user: User) -> "CourseQuerySet":
        return self.filter(patient__in=Patient.objects.visible_to(user))


class Course(models.Model):
    """N sessions of one modality on named areas, with the least and most days between them."""

    TRANSITIONS = TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=16, choices=CourseStatus, default=CourseStatus.ACTIVE)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="courses")
    decision = models.ForeignKey(CandidacyDecision, on_delete=models.PROTECT, null=True, related_name="courses")
    modality = models.CharField(max_length=20)
    areas = models.JSONField(default=list)
    sessions_planned = models.PositiveSmallIntegerField()
    min_interval_days = models.PositiveSmallIntegerField()
    max_interval_days = models.PositiveSmallIntegerField(null=True)
    planned_at = models.DateTimeField()
    sessions_done = models.PositiveSmallIntegerField(default=0)
    last_treated_at = models.DateTimeField(null=True, help_text="The latest true completion; intervals count from it.")
    objects = CourseQuerySet.as_manager()

    class Meta:
        ordering = ["-planned_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(sessions_planned__gte=1, sessions_planned__lte=20), name="course_1_to_20_sessions"
            ),
            models.CheckConstraint(
                condition=Q(max_interval_days__isnull=True) | Q(max_interval_days__gte=F("min_interval_days")),
                name="course_interval_in_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sessions_planned} x {self.modality} for {self.patient}"

    @property
    def about(self) -> str:
        return f"course:{self.ref}"

    @property
    def sessions_left(self) -> int:
        return max(self.sessions_planned - self.sessions_done, 0)
