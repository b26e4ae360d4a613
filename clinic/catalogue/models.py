from django.db import models
from django.db.models import Q

from clinic.catalogue.states import MOST_LEAD_DAYS


class Modality(models.Model):
    """A kind of laser treatment. `group` is AFL, NAFL, PICO or FULL; evidence is never shared across groups."""

    key = models.CharField(max_length=20, primary_key=True)
    label = models.CharField(max_length=80)
    patient_label = models.CharField(max_length=80)
    group = models.CharField(max_length=4)
    is_ablative = models.BooleanField()
    wavelength_nm = models.PositiveIntegerField(null=True)
    min_interval_days = models.PositiveSmallIntegerField()
    max_interval_days = models.PositiveSmallIntegerField(null=True)
    downtime_days_from = models.PositiveSmallIntegerField()
    downtime_days_to = models.PositiveSmallIntegerField()
    is_enabled = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "key"]
        verbose_name_plural = "modalities"

    def __str__(self) -> str:
        return self.label


class BodyArea(models.Model):
    key = models.CharField(max_length=20, primary_key=True)
    label = models.CharField(max_length=60)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "key"]

    def __str__(self) -> str:
        return self.label


class Concern(models.Model):
    key = models.CharField(max_length=20, primary_key=True)
    label = models.CharField(max_length=60)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "key"]

    def __str__(self) -> str:
        return self.label


class AppointmentType(models.Model):
    """How long a visit takes, in phases, and what it claims.

    Minutes before (numbing), of the work itself, and after (clean-up). The room is claimed throughout; the device for
    the work only; the practitioner from `practitioner_joins_after` minutes until the work ends.
    """

    key = models.CharField(max_length=30, primary_key=True)
    kind = models.CharField(max_length=20)
    label = models.CharField(max_length=80)
    patient_label = models.CharField(max_length=80)
    minutes_before = models.PositiveSmallIntegerField(default=0)
    minutes_work = models.PositiveSmallIntegerField()
    minutes_after = models.PositiveSmallIntegerField(default=0)
    practitioner_joins_after = models.PositiveSmallIntegerField(default=0)
    needs_room = models.BooleanField(default=True)
    modality_group = models.CharField(max_length=4, blank=True, help_text="A device of that group is claimed.")
    is_bookable_online = models.BooleanField(default=False)
    lead_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="How many days before it such a visit must be booked; null while the clinic has not decided.",
    )
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "key"]
        constraints = [
            models.CheckConstraint(condition=Q(minutes_work__gt=0), name="appointment_type_takes_time"),
            models.CheckConstraint(
                condition=Q(lead_days__isnull=True) | Q(lead_days__range=(0, MOST_LEAD_DAYS)),
                name="appointment_type_lead_within_months",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def minutes(self) -> int:
        return self.minutes_before + self.minutes_work + self.minutes_after
