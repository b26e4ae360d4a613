import uuid

from django.db import models
from django.db.models import Q

from clinic.premises.models import Location
from clinic.sealed import SealedJSONField
from clinic.staff.models import User
from patients.registry.models import Patient
from patients.replies.models import Conversation
from treatments.aftercare.states import (
    CHECKIN_TRANSITIONS,
    ESCALATION_TRANSITIONS,
    CheckInStatus,
    EscalationOutcome,
    EscalationStatus,
    Level,
)
from treatments.sessions.models import TreatmentSession


class CheckInQuerySet(models.QuerySet["CheckIn"]):
    def visible_to(self, user: User) -> "CheckInQuerySet":
        return self.filter(patient__in=Patient.objects.visible_to(user))


class CheckIn(models.Model):
    """A question round to the patient some days after a treatment."""

    TRANSITIONS = CHECKIN_TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=CheckInStatus, default=CheckInStatus.PLANNED)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="checkins")
    session = models.ForeignKey(TreatmentSession, on_delete=models.PROTECT, related_name="checkins")
    step = models.CharField(max_length=60)
    day = models.PositiveSmallIntegerField(help_text="Days after the treatment at which it is asked.")
    due_at = models.DateTimeField()
    nudge_at = models.DateTimeField(null=True, help_text="Unanswered by then, it is asked for once more.")
    silent_at = models.DateTimeField(help_text="Unanswered by then, it counts as not heard from.")
    call_if_silent = models.BooleanField(default=False, help_text="Silence makes a call task.")
    wants_photo = models.BooleanField(default=False)
    draft = SealedJSONField(null=True, help_text="Answers given so far, saved one by one.")
    answered_at = models.DateTimeField(null=True)
    level = models.CharField(max_length=2, choices=Level, blank=True)
    objects = CheckInQuerySet.as_manager()

    class Meta:
        ordering = ["due_at", "id"]
        indexes = [models.Index(fields=["silent_at"], condition=Q(status="planned"), name="checkin_unheard")]
        constraints = [
            models.UniqueConstraint(fields=["session", "step"], name="checkin_once_per_step"),
            models.CheckConstraint(
                condition=~Q(status="answered") | (Q(answered_at__isnull=False) & ~Q(level="")),
                name="checkin_answered_is_graded",
            ),
        ]

    def __str__(self) -> str:
        return f"Day {self.day} check-in of {self.patient}"

    @property
    def about(self) -> str:
        return f"checkin:{self.ref}"

    @property
    def location(self) -> Location:
        """Where the treatment was: whose clock and whose people count."""
        return self.session.appointment.location


class CheckInAnswer(models.Model):
    """One set of answers to a check-in, graded on the day it was given. Answered twice, both stay."""

    checkin = models.ForeignKey(CheckIn, on_delete=models.PROTECT, related_name="answer_sets")
    answers = SealedJSONField()
    triage = SealedJSONField(help_text="Level, matched rules with their texts and sources, pack version.")
    level = models.CharField(max_length=2, choices=Level)
    day_answered = models.PositiveSmallIntegerField()
    is_complete = models.BooleanField(help_text="False when a red answer acted before the rest was given.")
    answered_at = models.DateTimeField()

    class Meta:
        ordering = ["answered_at", "id"]

    def __str__(self) -> str:
        return f"{self.checkin}: {self.level}"


class EscalationQuerySet(models.QuerySet["Escalation"]):
    def visible_to(self, user: User) -> "EscalationQuerySet":
        return self.filter(location__in=Location.objects.visible_to(user))

    def unfinished(self) -> "EscalationQuerySet":
        return self.exclude(status=EscalationStatus.CLOSED)


class Escalation(models.Model):
    """An answer or a text that a person must act on by a time. It climbs until taken, and closes only with an outcome.

    A text comes from a number: `patient` is the likeliest of the people who use it.
    """

    TRANSITIONS = ESCALATION_TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=12, choices=EscalationStatus, default=EscalationStatus.OPEN)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="escalations")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="escalations")
    checkin = models.ForeignKey(CheckIn, on_delete=models.PROTECT, null=True, related_name="escalations")
    conversation = models.ForeignKey(
        Conversation,
        on_delete=models.PROTECT,
        null=True,
        related_name="escalations",
        help_text="Where a text raised it.",
    )
    level = models.CharField(max_length=2, choices=Level)
    raised_at = models.DateTimeField()
    act_by = models.DateTimeField()
    asked = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", help_text="Whose turn it is."
    )
    rung = models.PositiveSmallIntegerField(default=1, help_text="How far up the ladder it has climbed.")
    pages = models.PositiveSmallIntegerField(default=1, help_text="How often the person whose turn it is was paged.")
    fault = models.CharField(max_length=200, blank=True, help_text="What went wrong with finding or paging somebody.")
    climbs_at = models.DateTimeField(help_text="If nobody has it by then, the next person is asked.")
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="escalations")
    acknowledged_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=20, choices=EscalationOutcome, blank=True)
    outcome_note = SealedJSONField(null=True)
    objects = EscalationQuerySet.as_manager()

    class Meta:
        ordering = ["act_by", "id"]
        indexes = [
            models.Index(fields=["climbs_at"], condition=Q(status="open"), name="escalation_climbing"),
            models.Index(fields=["location", "act_by"], condition=~Q(status="closed"), name="escalation_unfinished"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="acknowledged") | Q(owner__isnull=False, acknowledged_at__isnull=False),
                name="escalation_acknowledged_has_owner",
            ),
            models.CheckConstraint(
                condition=~Q(status="closed")
                | (Q(closed_at__isnull=False, closed_by__isnull=False, outcome_note__isnull=False) & ~Q(outcome="")),
                name="escalation_closed_with_outcome",
            ),
            # An alert storm is one alarm: the same answer given again adds to it.
            models.UniqueConstraint(
                fields=["checkin", "level"], condition=~Q(status="closed"), name="one_unfinished_alarm_per_level"
            ),
            models.UniqueConstraint(
                fields=["conversation", "level"], condition=~Q(status="closed"), name="one_unfinished_alarm_per_text"
            ),
            models.CheckConstraint(
                condition=Q(checkin__isnull=False, conversation__isnull=True)
                | Q(checkin__isnull=True, conversation__isnull=False),
                name="escalation_is_about_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_level_display()}: {self.patient}"

    @property
    def about(self) -> str:
        return f"escalation:{self.ref}"

    @property
    def is_taken(self) -> bool:
        return self.status == EscalationStatus.ACKNOWLEDGED


class AdverseEvent(models.Model):
    """Something went wrong with a treatment: graded 1 to 5, linked to session, settings, device and consent by it."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="adverse_events")
    session = models.ForeignKey(TreatmentSession, on_delete=models.PROTECT, related_name="adverse_events")
    escalation = models.ForeignKey(Escalation, on_delete=models.PROTECT, null=True, related_name="adverse_events")
    term = models.CharField(max_length=40)
    grade = models.PositiveSmallIntegerField()
    is_serious = models.BooleanField(default=False)
    is_expected = models.BooleanField(default=False)
    relatedness = models.CharField(max_length=10)
    onset_on = models.DateField()
    resolved_on = models.DateField(null=True)
    outcome = models.CharField(max_length=24, blank=True)
    note = SealedJSONField(null=True)
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reviewed_at = models.DateTimeField(null=True)
    reviewed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    struck_at = models.DateTimeField(null=True)
    struck_reason = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["-recorded_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(grade__gte=1, grade__lte=5), name="adverse_event_grade_1_to_5"),
        ]

    def __str__(self) -> str:
        return f"{self.term} grade {self.grade}: {self.patient}"
