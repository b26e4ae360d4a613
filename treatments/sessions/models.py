import uuid

from django.db import models
from django.db.models import F, Q

from clinic.premises.models import Device
from clinic.sealed import SealedJSONField
from clinic.staff.models import Practitioner, User
from patients.registry.models import Patient
from treatments.booking.models import Appointment
from treatments.courses.models import Course
from treatments.sessions.states import TRANSITIONS, Anaesthesia, Cooling, EyeProtection, SessionStatus


class SessionQuerySet(models.QuerySet["TreatmentSession"]):
    def visible_to(self, user: User) -> "SessionQuerySet":
        return self.filter(patient__in=Patient.objects.visible_to(user))

    def treated(self) -> "SessionQuerySet":
        """Sessions in which the laser touched skin: intervals and aftercare count from these."""
        return self.filter(status__in=["completed", "stopped"])


class TreatmentSession(models.Model):
    """One treatment as it happened (FHIR Procedure). After sign-off it changes only by addenda."""

    TRANSITIONS = TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=16, choices=SessionStatus, default=SessionStatus.PREPARATION)
    appointment = models.OneToOneField(Appointment, on_delete=models.PROTECT, related_name="session")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="sessions")
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="sessions")
    number = models.PositiveSmallIntegerField(help_text="Session n of the course.")
    modality = models.CharField(max_length=20)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="sessions")
    operator = models.ForeignKey(Practitioner, on_delete=models.PROTECT, related_name="sessions")
    supervisor = models.ForeignKey(Practitioner, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    opened_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True, help_text="Day 0 of aftercare.")
    areas_treated = models.JSONField(default=list)
    anaesthesia = models.CharField(max_length=12, choices=Anaesthesia, blank=True)
    anaesthesia_detail = models.JSONField(
        default=dict, help_text="agent, strength %, mass g, area cm2, minutes, occlusion"
    )
    cooling = models.CharField(max_length=12, choices=Cooling, blank=True)
    eye_protection = models.CharField(max_length=10, choices=EyeProtection, blank=True)
    endpoints = models.JSONField(default=list)
    pain_during = models.PositiveSmallIntegerField(null=True)
    prophylaxis = SealedJSONField(null=True)
    note = SealedJSONField(null=True)
    stopped_reason = models.CharField(max_length=400, blank=True)
    override_reason = models.CharField(max_length=400, blank=True)
    override_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    signed_off_at = models.DateTimeField(null=True)
    signed_off_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status__in=["in-progress", "on-hold", "stopped", "completed"])
                | Q(started_at__isnull=False),
                name="session_started_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["completed", "stopped"])
                | (Q(completed_at__isnull=False) & ~Q(anaesthesia="") & ~Q(eye_protection="")),
                name="session_done_is_recorded",
            ),
            models.CheckConstraint(
                condition=Q(completed_at__isnull=True) | Q(completed_at__gte=F("started_at")),
                name="session_completed_after_start",
            ),
            models.CheckConstraint(
                condition=Q(signed_off_at__isnull=True, signed_off_by__isnull=True)
                | Q(signed_off_at__isnull=False, signed_off_by__isnull=False),
                name="sign_off_says_who_and_when",
            ),
            models.CheckConstraint(
                condition=Q(override_by__isnull=True, override_reason="")
                | (Q(override_by__isnull=False) & ~Q(override_reason="")),
                name="session_override_says_who_and_why",
            ),
            models.CheckConstraint(
                condition=Q(pain_during__isnull=True) | Q(pain_during__lte=10), name="session_pain_0_to_10"
            ),
        ]

    def __str__(self) -> str:
        return f"Session {self.number} of {self.course}"

    @property
    def about(self) -> str:
        return f"session:{self.ref}"

    @property
    def fitness(self) -> "FitnessCheck | None":
        """The latest check at the door, None before the first."""
        return self.fitness_checks.order_by("-checked_at", "-id").first()


class SessionPass(models.Model):
    """One group of passes on one area. Settings carry their units in their names."""

    session = models.ForeignKey(TreatmentSession, on_delete=models.PROTECT, related_name="passes")
    area = models.CharField(max_length=20)
    laterality = models.CharField(max_length=10, blank=True)
    area_cm2 = models.DecimalField(max_digits=7, decimal_places=1, null=True)
    passes = models.PositiveSmallIntegerField()
    energy_mj = models.DecimalField(max_digits=7, decimal_places=2, null=True, help_text="per microbeam")
    fluence_j_cm2 = models.DecimalField(max_digits=7, decimal_places=2, null=True)
    coverage_percent = models.DecimalField(max_digits=5, decimal_places=2, null=True)
    density_mtz_cm2 = models.PositiveIntegerField(null=True)
    spot_um = models.PositiveIntegerField(null=True)
    pulse_us = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    depth_um = models.PositiveIntegerField(null=True)
    stacked_pulses = models.PositiveSmallIntegerField(null=True)
    warnings = models.JSONField(default=list, help_text="Soft warnings shown when it was saved.")
    unchecked = models.JSONField(default=list, help_text="Ranges that could not be checked, and what was not recorded.")
    warning_reason = models.CharField(max_length=400, blank=True)
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    form_key = models.UUIDField(unique=True, default=uuid.uuid4, help_text="Set by the form: a double tap is one row.")
    struck_at = models.DateTimeField(null=True)
    struck_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    struck_reason = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "session passes"
        constraints = [
            models.CheckConstraint(condition=Q(passes__gte=1), name="pass_at_least_one"),
            models.CheckConstraint(
                condition=Q(energy_mj__isnull=False) | Q(fluence_j_cm2__isnull=False) | Q(depth_um__isnull=False),
                name="pass_has_a_dose",
            ),
            models.CheckConstraint(
                condition=Q(struck_at__isnull=True, struck_by__isnull=True, struck_reason="")
                | (Q(struck_at__isnull=False, struck_by__isnull=False) & ~Q(struck_reason="")),
                name="pass_struck_says_who_and_why",
            ),
            models.CheckConstraint(
                condition=Q(warnings=[]) | ~Q(warning_reason=""), name="pass_with_warnings_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.passes} passes on {self.area}"


class FitnessCheck(models.Model):
    """Whether the patient is fit on the day: answers to the questions that expire, asked again at the door.

    Asked twice, both stay and the latest counts.
    """

    session = models.ForeignKey(TreatmentSession, on_delete=models.PROTECT, related_name="fitness_checks")
    answers = SealedJSONField()
    is_fit = models.BooleanField()
    checked_at = models.DateTimeField()
    checked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-checked_at", "-id"]

    def __str__(self) -> str:
        return f"Fitness check of {self.session}"


class FitnessAnswers(models.Model):
    """What the patient said at home in the days before a visit; it never stands for the check at the door.

    Answered twice, both stay and the latest is shown.
    """

    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="fitness_answers")
    answers = SealedJSONField()
    is_clear = models.BooleanField()
    answered_at = models.DateTimeField()
    form_key = models.UUIDField(unique=True, default=uuid.uuid4, help_text="Set by the form: a double tap is one row.")

    class Meta:
        ordering = ["-answered_at", "-id"]
        verbose_name_plural = "fitness answers"

    def __str__(self) -> str:
        return f"Answers before {self.appointment}"


class Addendum(models.Model):
    """What was added to a record after sign-off."""

    session = models.ForeignKey(TreatmentSession, on_delete=models.PROTECT, related_name="addenda")
    body = SealedJSONField()
    added_at = models.DateTimeField()
    added_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["added_at", "id"]

    def __str__(self) -> str:
        return f"Addendum to {self.session}"
