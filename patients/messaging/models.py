import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q

from clinic.premises.models import Location
from clinic.sealed import SealedJSONField
from clinic.staff.models import User
from patients.messaging.states import (
    CHANNEL_OF,
    LABELS,
    PLAIN_PURPOSES,
    STOPPED,
    TRANSITIONS,
    UNSENT,
    Channel,
    MessageStatus,
    Purpose,
    Said,
    Tried,
)
from patients.registry.models import ContactPoint, Patient


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: User) -> "MessageQuerySet":
        """Messages of the locations the person works at."""
        return self.filter(location__in=Location.objects.visible_to(user))

    def waiting(self) -> "MessageQuerySet":
        """Messages the sender will look at again: planned, or held until `try_at`."""
        return self.filter(status__in=UNSENT)

    def overdue(self, at: datetime) -> "MessageQuerySet":
        """Messages the sender should have looked at already, longest first."""
        return self.waiting().filter(try_at__lt=at).order_by("try_at")


class Message(models.Model):
    """One message to one person: the calendar of everything we say. Unique per (about, step, revision).

    `about` is what it belongs to, as "appointment:<ref>". `context` holds the fixed variables its template may use;
    the text itself is rendered and frozen at the moment of sending. `reason` says why it is in the state it is in.
    """

    TRANSITIONS = TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=MessageStatus, default=MessageStatus.PLANNED)
    reason = models.CharField(max_length=300, blank=True)
    # The indexes by patient and by location below begin with these: one of their own would only cost each write.
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, related_name="messages", db_index=False)
    staff = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="messages")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+", db_index=False)
    about = models.CharField(max_length=80)
    step = models.CharField(max_length=60)
    revision = models.PositiveIntegerField(default=1)
    purpose = models.CharField(max_length=12, choices=Purpose)
    channel = models.CharField(max_length=5, choices=Channel, help_text="As planned; the other may be used instead.")
    template = models.CharField(max_length=60)
    context = models.JSONField(default=dict)
    link_scope = models.CharField(max_length=10, blank=True)
    link_about = models.CharField(max_length=80, blank=True)
    is_important = models.BooleanField(default=False)
    any_hour = models.BooleanField(default=False, help_text="Goes out at its own time even in quiet hours.")
    in_plan = models.BooleanField(default=False, help_text="Part of a plan that is computed anew when a visit changes.")
    visit_at = models.DateTimeField(null=True, help_text="The visit whose time it tells, if it tells one.")
    due_at = models.DateTimeField()
    not_after = models.DateTimeField()
    note = models.CharField(max_length=200, blank=True, help_text="Why it is due at this time and not another.")
    created_at = models.DateTimeField()
    # The sender's own bookkeeping.
    try_at = models.DateTimeField(help_text="When the sender looks at it next; due_at until something went wrong.")
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveIntegerField(default=0, help_text="Fencing token: grows with each claim.")
    # A person may say that it cannot wait, and why: until then quiet hours do not hold it.
    night_until = models.DateTimeField(null=True)
    hurried_why = models.CharField(max_length=200, blank=True, db_default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    deaths = models.PositiveSmallIntegerField(default=0, help_text="How often a sender stopped while it held this.")
    # Frozen when it leaves. From `handed_at` on it may have gone out, whatever happens to the sender.
    handed_at = models.DateTimeField(null=True)
    point = models.ForeignKey(ContactPoint, on_delete=models.PROTECT, null=True, related_name="+")
    sent_channel = models.CharField(max_length=5, choices=Channel, blank=True)
    sent_text = SealedJSONField(null=True)
    sent_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    gateway_ref = models.CharField(max_length=200, blank=True)
    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["due_at", "id"]
        indexes = [
            models.Index(fields=["try_at", "id"], condition=Q(status__in=["planned", "held"]), name="message_due"),
            models.Index(
                fields=["try_at", "id"],
                condition=Q(status__in=["planned", "held"], purpose="alarm"),
                name="message_alarm_due",
            ),
            models.Index(fields=["lease_until"], condition=Q(status="sending"), name="message_leased"),
            models.Index(fields=["patient", "-due_at"], name="message_by_patient"),
            models.Index(fields=["location", "status", "-due_at"], name="message_by_location"),
            # Only texts: a receipt that does not repeat our own name is matched by the gateway's.
            models.Index(fields=["gateway_ref"], condition=Q(sent_channel="sms"), name="message_by_gateway_ref"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["about", "step", "revision"], name="message_once_per_step"),
            models.CheckConstraint(
                condition=Q(patient__isnull=False, staff__isnull=True) | Q(patient__isnull=True, staff__isnull=False),
                name="message_to_one_person",
            ),
            models.CheckConstraint(
                condition=Q(status="sending", lease_until__isnull=False)
                | (~Q(status="sending") & Q(lease_until__isnull=True)),
                name="message_sending_is_leased",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["sent", "delivered"]) | Q(sent_at__isnull=False), name="message_sent_has_time"
            ),
            models.CheckConstraint(
                condition=Q(night_until__isnull=True) | ~Q(hurried_why=""), name="message_in_the_night_says_why"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["planned", "held"]) | Q(handed_at__isnull=True),
                name="message_waiting_is_not_out",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["planned", "sending", "sent", "delivered"]) | ~Q(reason=""),
                name="message_explains_itself",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} to {self.patient or self.staff}"

    @property
    def label(self) -> str:
        """What the log calls it: words that anyone at the desk may read."""
        return LABELS.get(self.template, self.template)

    @property
    def why(self) -> str:
        """Why it is in its state, or due at its time; empty when nothing is out of the ordinary."""
        return self.reason or (self.note if self.status in UNSENT else "")

    # By which way it would leave as things stand, in words: `with_ways` asks once for many.
    way_now: str = ""

    @property
    def first_by(self) -> str:
        """By which way it goes first, in words: as things stand where that was asked, else as wished or planned."""
        if self.way_now:
            return self.way_now
        if self.patient is not None and self.patient.channel_is_wish:
            return str(CHANNEL_OF[self.patient.preferred_channel].label)
        return str(Channel(self.channel).label)

    @property
    def says_nothing_medical(self) -> bool:
        return self.purpose in PLAIN_PURPOSES

    @property
    def happened_at(self) -> datetime:
        """The time the log shows: when it left, when the sender looks at it next, or when it was due."""
        if self.sent_at:
            return self.sent_at
        return self.due_at if self.is_held_by_desk or self.status not in UNSENT else self.try_at

    @property
    def is_stopped(self) -> bool:
        """True if it is held because of what its reader wishes."""
        return self.status == MessageStatus.HELD and self.reason.startswith(STOPPED)

    @property
    def is_held_by_desk(self) -> bool:
        """True if a person holds it: nobody looks at it again before it would be too late anyway."""
        return self.status == MessageStatus.HELD and self.try_at >= self.not_after


class DeliveryAttempt(models.Model):
    """One try to hand a message to a gateway, and what the gateway said."""

    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="deliveries")
    token = models.PositiveIntegerField()
    channel = models.CharField(max_length=5, choices=Channel)
    at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Tried)
    answer = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.outcome} at {self.at}"


class DeliveryReceipt(models.Model):
    """What a gateway said about a text after it took it over: late, early or twice, it is kept once.

    Waits until the message it is about has settled; `effect` says what it changed then, or why nothing.
    """

    gateway = models.CharField(max_length=10)
    text_ref = models.CharField(max_length=200, help_text="What the gateway calls the text.")
    said = models.CharField(max_length=10, choices=Said)
    key = models.UUIDField(null=True, help_text="Our name of the message, where the gateway repeats it.")
    message = models.ForeignKey(Message, on_delete=models.PROTECT, null=True, related_name="receipts")
    answer = models.CharField(max_length=300, blank=True)
    opted_out = models.BooleanField(default=False)
    said_at = models.DateTimeField(help_text="By the gateway's clock where it names a time.")
    received_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True)
    effect = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["said_at", "id"]
        indexes = [models.Index(fields=["id"], condition=Q(applied_at=None), name="receipt_waiting")]
        constraints = [
            models.UniqueConstraint(fields=["gateway", "text_ref", "said"], name="receipt_once_per_text_and_state"),
            models.CheckConstraint(
                condition=Q(applied_at=None, effect="") | (Q(applied_at__isnull=False) & ~Q(effect="")),
                name="receipt_says_what_it_did",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.said}: {self.text_ref}"


class OptOut(models.Model):
    """Somebody said STOP: for one person, or for everyone at the contact point when `patient` is empty."""

    point = models.ForeignKey(ContactPoint, on_delete=models.PROTECT, related_name="opt_outs")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, related_name="opt_outs")
    purpose = models.CharField(max_length=12, choices=Purpose, blank=True, help_text="Empty: every purpose.")
    since_at = models.DateTimeField()
    until_at = models.DateTimeField(null=True)
    how = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["point", "patient", "purpose"],
                condition=Q(until_at=None),
                nulls_distinct=False,
                name="opt_out_once_in_force",
            ),
            models.CheckConstraint(condition=~Q(how=""), name="opt_out_says_how"),
            models.CheckConstraint(
                condition=Q(until_at=None) | Q(until_at__gte=models.F("since_at")), name="opt_out_ends_after_it_began"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.point} since {self.since_at}"


class GatewayMinute(models.Model):
    """How many messages a gateway was given within a minute; for gateways of which the settings say how many it takes.

    One row a channel.
    """

    channel = models.CharField(primary_key=True, max_length=5, choices=Channel)
    minute = models.DateTimeField()
    given = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.given} by {self.channel} at {self.minute:%H:%M}"


class SenderPulse(models.Model):
    """When the sender last looked, so that a stalled one shows. One row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    swept_at = models.DateTimeField()
    claimed = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_sender_pulse")]

    def __str__(self) -> str:
        return f"last sweep {self.swept_at}"
