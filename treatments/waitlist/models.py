import uuid
from calendar import day_abbr

from django.db import models
from django.db.models import F, Q

from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Location
from clinic.staff.models import Practitioner, User
from patients.registry.models import Patient
from treatments.booking.models import Appointment
from treatments.courses.models import Course
from treatments.waitlist.rules import ANY_TIME, Wishes
from treatments.waitlist.states import ENTRY_TRANSITIONS, OFFER_TRANSITIONS, EntryStatus, OfferStatus


class WaitlistQuerySet(models.QuerySet["WaitlistEntry"]):
    def visible_to(self, user: User) -> "WaitlistQuerySet":
        return self.filter(location__in=Location.objects.visible_to(user))

    def waiting(self) -> "WaitlistQuerySet":
        """Who waits, the longest first."""
        return self.filter(status=EntryStatus.WAITING).order_by("added_at", "id")


class WaitlistEntry(models.Model):
    """Somebody would come if a time became free. No practitioners means anyone who may."""

    TRANSITIONS = ENTRY_TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=EntryStatus, default=EntryStatus.WAITING)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="waits")
    type = models.ForeignKey(AppointmentType, on_delete=models.PROTECT, related_name="+")
    course = models.ForeignKey(Course, on_delete=models.PROTECT, null=True, related_name="+")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+")
    sooner_than = models.ForeignKey(
        Appointment,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="The visit that goes to the offered time, for somebody who has one and would come earlier.",
    )
    practitioners = models.ManyToManyField(Practitioner, related_name="+", blank=True)
    weekdays = models.JSONField(default=list, help_text="0 = Monday; none means any day.")
    not_before = models.TimeField(default=ANY_TIME[0])
    not_after = models.TimeField(default=ANY_TIME[1])
    earliest_on = models.DateField()
    latest_on = models.DateField()
    note = models.CharField(max_length=400, blank=True)
    added_at = models.DateTimeField()
    added_by_name = models.CharField(max_length=200)
    objects = WaitlistQuerySet.as_manager()

    class Meta:
        ordering = ["added_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(latest_on__gte=F("earliest_on")), name="wait_dates_in_order"),
            models.CheckConstraint(condition=Q(not_after__gte=F("not_before")), name="wait_times_in_order"),
            models.UniqueConstraint(
                fields=["patient", "type", "course"],
                nulls_distinct=False,
                condition=Q(status="waiting"),
                name="wait_once_for_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.patient} waits for {self.type}"

    @property
    def days_in_words(self) -> str:
        return ", ".join(day_abbr[each] for each in self.weekdays) or "any day"

    @property
    def hours_in_words(self) -> str:
        if (self.not_before, self.not_after) == ANY_TIME:
            return "at any time"
        return f"{self.not_before:%H:%M} – {self.not_after:%H:%M}"

    @property
    def wishes(self) -> Wishes:
        return Wishes(self.earliest_on, self.latest_on, frozenset(self.weekdays), self.not_before, self.not_after)


class WaitlistOffer(models.Model):
    """A time held for somebody who waits. `appointment` is the proposal whose claims hold it."""

    TRANSITIONS = OFFER_TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=OfferStatus, default=OfferStatus.OPEN)
    entry = models.ForeignKey(WaitlistEntry, on_delete=models.PROTECT, related_name="offers")
    appointment = models.OneToOneField(Appointment, on_delete=models.PROTECT, related_name="+")
    offered_at = models.DateTimeField()
    told_at = models.DateTimeField(help_text="From when it may be read: never in quiet hours.")
    ends_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-offered_at", "-id"]
        indexes = [models.Index(fields=["ends_at"], condition=Q(status="open"), name="offer_running_out")]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("told_at")), name="offer_can_be_read"),
            models.UniqueConstraint(fields=["entry"], condition=Q(status="open"), name="offer_one_at_a_time"),
            models.CheckConstraint(
                condition=Q(status="open", answered_at__isnull=True)
                | (~Q(status="open") & Q(answered_at__isnull=False)),
                name="offer_answered_or_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.appointment} offered until {self.ends_at}"

    @property
    def about(self) -> str:
        return f"offer:{self.ref}"

    @property
    def patient(self) -> Patient:
        return self.entry.patient
