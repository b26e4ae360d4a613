import uuid
from copy import copy
from datetime import timedelta

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value

from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Device, Location, Resource, Room
from clinic.staff.models import Practitioner, User
from patients.registry.models import Patient
from treatments.booking.states import TRANSITIONS, AppointmentStatus, CallOutcome, CancelReason, Step, step_of
from treatments.courses.models import Course


class AppointmentQuerySet(models.QuerySet["Appointment"]):
    def visible_to(self, user: User) -> "AppointmentQuerySet":
        return self.filter(location__in=Location.objects.visible_to(user))

    def claiming(self) -> "AppointmentQuerySet":
        """Visits that hold their practitioner, room and device."""
        return self.exclude(status__in=["cancelled", "noshow", "entered-in-error"])


class Appointment(models.Model):
    """A visit. `starts_at` is when the patient is wanted; phases follow the appointment type."""

    TRANSITIONS = TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=16, choices=AppointmentStatus, default=AppointmentStatus.BOOKED)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="appointments")
    type = models.ForeignKey(AppointmentType, on_delete=models.PROTECT, related_name="+")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="appointments")
    course = models.ForeignKey(Course, on_delete=models.PROTECT, null=True, related_name="appointments")
    practitioner = models.ForeignKey(Practitioner, on_delete=models.PROTECT, related_name="appointments")
    room = models.ForeignKey(Room, on_delete=models.PROTECT, null=True, related_name="appointments")
    device = models.ForeignKey(Device, on_delete=models.PROTECT, null=True, related_name="appointments")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    minutes_work = models.PositiveSmallIntegerField(null=True, help_text="Where it is longer or shorter than its type.")
    version = models.PositiveIntegerField(default=1, help_text="Grows with each change: a stale page is told so.")
    plan_revision = models.PositiveIntegerField(default=1)
    booked_at = models.DateTimeField()
    moved_at = models.DateTimeField(null=True)
    form_key = models.UUIDField(unique=True, help_text="Set by the form: a double tap is one visit.")
    booked_online = models.BooleanField(default=False, help_text="By a visitor of the public pages, who is not known.")
    confirmed_at = models.DateTimeField(null=True, help_text="The patient said that they will come, and to whom.")
    confirmed_by_name = models.CharField(max_length=200, blank=True)
    arrived_at = models.DateTimeField(null=True)
    in_room_at = models.DateTimeField(null=True)
    cancel_reason = models.CharField(max_length=12, choices=CancelReason, blank=True)
    note = models.CharField(max_length=400, blank=True)
    override_reason = models.CharField(max_length=400, blank=True)
    override_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    overrides = models.JSONField(default=list, help_text="The rules set aside, in the words they were refused with.")
    changed_at = models.DateTimeField()
    changed_by_name = models.CharField(max_length=200)
    messages_stamp = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Of what its messages were last set right for."
    )
    objects = AppointmentQuerySet.as_manager()

    class Meta:
        ordering = ["starts_at", "id"]
        indexes = [
            models.Index(fields=["location", "starts_at"], include=["status"], name="appointment_by_day"),
            models.Index(fields=["patient", "-starts_at"], name="appointment_by_patient"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="appointment_ends_after_start"),
            models.CheckConstraint(
                condition=~Q(status="cancelled") | ~Q(cancel_reason=""), name="appointment_cancelled_says_why"
            ),
            models.CheckConstraint(
                condition=Q(minutes_work__isnull=True) | Q(minutes_work__range=(5, 480)),
                name="appointment_length_is_sensible",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at__isnull=True, confirmed_by_name="")
                | (Q(confirmed_at__isnull=False) & ~Q(confirmed_by_name="")),
                name="appointment_confirmed_to_somebody",
            ),
            models.CheckConstraint(
                condition=Q(in_room_at__isnull=True) | Q(arrived_at__isnull=False),
                name="appointment_in_room_after_arriving",
            ),
            models.CheckConstraint(
                condition=Q(override_by__isnull=True, override_reason="", overrides=[])
                | (Q(override_by__isnull=False) & ~Q(override_reason="") & ~Q(overrides=[])),
                name="appointment_override_says_who_and_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} for {self.patient}, {self.starts_at:%d %b %Y %H:%M}"

    @property
    def sized_type(self) -> AppointmentType:
        """The type with the minutes of work this visit has; never to be saved."""
        if self.minutes_work is None:
            return self.type
        sized = copy(self.type)
        sized.minutes_work = self.minutes_work
        return sized

    @property
    def step(self) -> Step:
        return step_of(self.status, is_confirmed=self.confirmed_at is not None, is_in_room=self.in_room_at is not None)

    @property
    def about(self) -> str:
        return f"appointment:{self.ref}"


class Claim(models.Model):
    """A visit holds one resource for a time. The database refuses two active claims on a resource that overlap."""

    appointment = models.ForeignKey(Appointment, on_delete=models.CASCADE, related_name="claims")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="claims")
    period = DateTimeRangeField()
    active = models.BooleanField(default=True)

    class Meta:
        indexes = [
            # Free times read claims by resource and start without touching the table.
            models.Index(
                F("resource"),
                Func(F("period"), function="lower"),
                include=["period", "appointment"],
                condition=Q(active=True),
                name="claim_by_resource_and_start",
            ),
        ]
        constraints = [
            ExclusionConstraint(
                name="claim_no_overlap",
                expressions=[
                    # The resource as a range of one: needs no extension in any PostgreSQL.
                    (
                        Func(F("resource_id"), F("resource_id"), Value("[]"), function="int8range"),
                        RangeOperators.OVERLAPS,
                    ),
                    ("period", RangeOperators.OVERLAPS),
                ],
                condition=Q(active=True),
            ),
            models.CheckConstraint(condition=Q(period__isempty=False), name="claim_takes_time"),
            # Lets the search for claims be bounded on both sides: none starts more than a day before it ends.
            models.CheckConstraint(
                condition=Q(period__endswith__lte=F("period__startswith") + timedelta(days=1)),
                name="claim_within_a_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.period}"


class VisitCall(models.Model):
    """Somebody rang about a visit: what came of it, and what was said. Written once."""

    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="calls")
    outcome = models.CharField(max_length=12, choices=CallOutcome)
    note = models.CharField(max_length=400, blank=True)
    called_at = models.DateTimeField()
    called_by_name = models.CharField(max_length=200)

    class Meta:
        ordering = ["-called_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(outcome="note") | ~Q(note=""), name="visit_call_note_says_something"),
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}, {self.called_by_name}"
