import uuid
from datetime import date, timedelta

from django.db import models
from django.db.models import F, Q

from clinic.premises.models import Absence, Location, Resource
from clinic.staff.models import User
from treatments.booking.models import Appointment
from treatments.booking.rules import day_bounds
from treatments.disruption.states import Outcome, What


class DisruptionQuerySet(models.QuerySet["Disruption"]):
    def visible_to(self, user: User) -> "DisruptionQuerySet":
        return self.filter(location__in=Location.objects.visible_to(user))


class Disruption(models.Model):
    """A clinician, device, room or place that cannot be used for a time, and whose visits must go elsewhere.

    `absence` keeps its resource out of every free time; for a place its dated hours do.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    what = models.CharField(max_length=12, choices=What)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="disruptions")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, null=True, related_name="disruptions")
    absence = models.OneToOneField(Absence, on_delete=models.SET_NULL, null=True, related_name="disruption")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    noted_at = models.DateTimeField()
    noted_by_name = models.CharField(max_length=200)
    over_at = models.DateTimeField(null=True)
    objects = DisruptionQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="disruption_ends_after_start"),
            models.CheckConstraint(condition=~Q(reason=""), name="disruption_says_why"),
            models.CheckConstraint(
                condition=Q(what="location", resource__isnull=True) | (~Q(what="location") & Q(resource__isnull=False)),
                name="disruption_of_a_place_or_a_thing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.thing}: {self.reason}"

    @property
    def thing(self) -> str:
        return str(self.resource or self.location)

    @property
    def whole_days(self) -> tuple[date, date] | None:
        """The first and the last day where it takes them whole; None where it begins or ends within one."""
        zone = self.location.zone
        first = self.starts_at.astimezone(zone).date()
        last = (self.ends_at - timedelta(microseconds=1)).astimezone(zone).date()
        is_whole = self.starts_at == day_bounds(first, zone)[0] and self.ends_at == day_bounds(last, zone)[1]
        return (first, last) if is_whole else None


class DisruptionResult(models.Model):
    """What became of one visit, in the words the desk was shown. Written once; a second try is another row."""

    disruption = models.ForeignKey(Disruption, on_delete=models.PROTECT, related_name="results")
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=10, choices=Outcome)
    was_at = models.DateTimeField(help_text="When the visit was to be before.")
    sentence = models.CharField(max_length=400)
    at = models.DateTimeField()
    by_name = models.CharField(max_length=200)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.sentence}"
