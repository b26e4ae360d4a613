import uuid
import zoneinfo

from django.conf import settings
from django.contrib.postgres.functions import RandomUUID
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from clinic.staff.models import Practitioner, User


def check_time_zone(name: str) -> None:
    """Raise ValidationError unless the name is an IANA time zone."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"“{name}” is not a time zone. Write it like Europe/London.")


class LocationQuerySet(models.QuerySet["Location"]):
    def visible_to(self, user: User) -> "LocationQuerySet":
        return self.filter(is_active=True) if user.is_superuser else self.filter(is_active=True, staff=user)


class Location(models.Model):
    """A place where patients are seen, with its own wall clock."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120)
    address = models.CharField(max_length=300)
    time_zone = models.CharField(max_length=64, validators=[check_time_zone])
    phone = models.CharField(max_length=32)
    emergency_number = models.CharField(max_length=16)
    out_of_hours = models.TextField(help_text="What a patient reads about who answers when the clinic is closed.")
    change_notice_hours = models.PositiveSmallIntegerField(
        default=24,
        help_text="How long before a visit its patient may still move or cancel it alone. The clinic's own decision.",
    )
    online_booking = models.BooleanField(
        default=False, help_text="Visitors of the public pages may book a consultation here."
    )
    online_lead_hours = models.PositiveSmallIntegerField(
        default=24, help_text="How long before a consultation a visitor may still book it. The clinic's own decision."
    )
    is_active = models.BooleanField(default=True)
    staff = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="locations", blank=True)
    objects = LocationQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)


class Room(models.Model):
    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="rooms")
    name = models.CharField(max_length=80)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["location", "name", "id"]
        constraints = [models.UniqueConstraint(fields=["location", "name"], name="room_named_once_per_location")]

    def __str__(self) -> str:
        return self.name


class Device(models.Model):
    """A laser of the clinic. `limits` are the maker's hard limits, by setting name, as the clinic copied them."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="devices")
    make = models.CharField(max_length=80)
    model = models.CharField(max_length=80)
    serial = models.CharField(max_length=80)
    modality = models.CharField(max_length=20)
    wavelength_nm = models.PositiveIntegerField()
    handpieces = models.JSONField(default=list, blank=True)
    limits = models.JSONField(default=dict, blank=True)
    service_due_on = models.DateField(null=True, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["location", "make", "model", "id"]
        constraints = [models.UniqueConstraint(fields=["make", "model", "serial"], name="device_serial_once")]

    def __str__(self) -> str:
        return f"{self.make} {self.model}"


class Resource(models.Model):
    """Anything one visit can claim for a time: exactly one of practitioner, room, device."""

    practitioner = models.OneToOneField(Practitioner, on_delete=models.PROTECT, null=True, related_name="resource")
    room = models.OneToOneField(Room, on_delete=models.PROTECT, null=True, related_name="resource")
    device = models.OneToOneField(Device, on_delete=models.PROTECT, null=True, related_name="resource")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(practitioner__isnull=False, room__isnull=True, device__isnull=True)
                | Q(practitioner__isnull=True, room__isnull=False, device__isnull=True)
                | Q(practitioner__isnull=True, room__isnull=True, device__isnull=False),
                name="resource_is_exactly_one_thing",
            )
        ]

    def __str__(self) -> str:
        return str(self.practitioner or self.room or self.device)


class OpeningHours(models.Model):
    """When a location is open, or a practitioner works there, on a weekday (0 = Monday), by the place's wall clock."""

    location = models.ForeignKey(Location, on_delete=models.CASCADE, related_name="hours")
    practitioner = models.ForeignKey(
        Practitioner, on_delete=models.CASCADE, null=True, blank=True, related_name="hours"
    )
    weekday = models.PositiveSmallIntegerField()
    opens = models.TimeField()
    closes = models.TimeField()

    class Meta:
        ordering = ["location", "weekday", "opens", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(closes__gt=F("opens")), name="hours_close_after_opening"),
            models.CheckConstraint(condition=Q(weekday__lte=6), name="hours_weekday_0_to_6"),
        ]

    def __str__(self) -> str:
        return f"{self.location}, weekday {self.weekday}: {self.opens}-{self.closes}"


class DatedHours(models.Model):
    """What holds on one day instead of the weekday's hours: for the location, or for one practitioner there.

    Without times: closed, or not working. Several rows are the spans of one day; the database refuses two that
    overlap, and any beside a row without times.
    """

    location = models.ForeignKey(Location, on_delete=models.CASCADE, related_name="dated_hours")
    practitioner = models.ForeignKey(
        Practitioner, on_delete=models.CASCADE, null=True, blank=True, related_name="dated_hours"
    )
    day = models.DateField()
    opens = models.TimeField(null=True)
    closes = models.TimeField(null=True)
    reason = models.CharField(max_length=200)
    set_at = models.DateTimeField()
    set_by_name = models.CharField(max_length=200)

    class Meta:
        ordering = ["location", "day", "opens", "id"]
        verbose_name_plural = "dated hours"
        indexes = [models.Index(fields=["location", "day"], name="dated_hours_by_day")]
        constraints = [
            models.CheckConstraint(
                condition=Q(opens__isnull=True, closes__isnull=True)
                | Q(opens__isnull=False, closes__isnull=False, closes__gt=F("opens")),
                name="dated_hours_close_after_opening",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="dated_hours_say_why"),
        ]

    def __str__(self) -> str:
        what = f"{self.opens:%H:%M}-{self.closes:%H:%M}" if self.opens and self.closes else "closed"
        return f"{self.practitioner or self.location}, {self.day}: {what}"


class Absence(models.Model):
    """A resource cannot be used: leave, closure of a room, a device away for service."""

    ref = models.UUIDField(default=uuid.uuid4, db_default=RandomUUID(), unique=True, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="absences")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200)

    class Meta:
        ordering = ["starts_at", "id"]
        constraints = [models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="absence_ends_after_start")]

    def __str__(self) -> str:
        return f"{self.resource}: {self.reason}"
