import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from clinic.premises.models import Location
from clinic.staff.models import User
from patients.registry.states import ContactKind, LinkScope


class PatientQuerySet(models.QuerySet["Patient"]):
    def visible_to(self, user: User) -> "PatientQuerySet":
        """Patients of the locations the person works at."""
        return self.filter(location__in=Location.objects.visible_to(user))


class Patient(models.Model):
    """A person we treat or may treat. Ways to reach them stand apart, in ContactPoint."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    given_name = models.CharField(max_length=200, blank=True)
    family_name = models.CharField(max_length=200)
    known_as = models.CharField(max_length=200, blank=True)
    born_on = models.DateField()
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="patients")
    language = models.CharField(max_length=8, default="en")
    time_zone = models.CharField(max_length=64, blank=True, help_text="Where the patient lives, if known to differ.")
    preferred_channel = models.CharField(max_length=8, choices=ContactKind, default=ContactKind.EMAIL)
    channel_is_wish = models.BooleanField(
        default=False, db_default=False, help_text="The patient asked for it: everything goes that way first."
    )
    do_not_contact = models.BooleanField(default=False)
    do_not_contact_reason = models.CharField(max_length=300, blank=True, db_default="")
    died_on = models.DateField(null=True, blank=True)
    # Nobody gets news, or is asked for a review, who has not said yes; who said so, and when, whichever it was.
    news_agreed = models.BooleanField(default=False, db_default=False)
    news_said_at = models.DateTimeField(null=True, blank=True)
    news_said_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    # As found from the family name and from the given name. Compared byte by byte, so that one index serves both the
    # prefix and the order; see registry.rules.search_texts.
    search_text = models.CharField(max_length=400, editable=False, db_collation="C")
    search_given = models.CharField(max_length=400, editable=False, default="", db_collation="C")
    form_key = models.UUIDField(null=True, unique=True, editable=False, help_text="A double tap is one patient.")
    created_at = models.DateTimeField()
    objects = PatientQuerySet.as_manager()

    class Meta:
        ordering = ["family_name", "given_name", "id"]
        indexes = [
            models.Index(fields=["search_text", "id"], name="patient_by_family_name"),
            models.Index(fields=["search_given", "id"], name="patient_by_given_name"),
            models.Index(fields=["born_on"], name="patient_born_on"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(family_name=""), name="patient_has_a_name"),
            models.CheckConstraint(condition=Q(born_on__gte="1900-01-01"), name="patient_born_after_1900"),
            models.CheckConstraint(
                condition=Q(do_not_contact=False, do_not_contact_reason="")
                | (Q(do_not_contact=True) & ~Q(do_not_contact_reason="")),
                name="patient_not_contacted_says_why",
            ),
            models.CheckConstraint(
                condition=Q(news_said_at=None, news_said_by="", news_agreed=False)
                | (Q(news_said_at__isnull=False) & ~Q(news_said_by="")),
                name="patient_news_says_who_and_when",
            ),
        ]

    def __str__(self) -> str:
        return self.full_name

    @property
    def full_name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip()

    @property
    def is_silent(self) -> bool:
        """True if nothing is to be said any more: they have died, or asked not to be contacted."""
        return self.died_on is not None or self.do_not_contact

    @property
    def formal_name(self) -> str:
        """Family name first, as the banner shows it; one-word names stand alone."""
        return f"{self.family_name.upper()}, {self.given_name}" if self.given_name else self.family_name

    @property
    def first_name(self) -> str:
        """How a message greets the patient."""
        return self.known_as or self.given_name or self.family_name


class ContactPoint(models.Model):
    """A telephone number or an email address, apart from the people who use it: one phone, many people."""

    kind = models.CharField(max_length=8, choices=ContactKind)
    value = models.CharField(max_length=254, help_text="E.164 for phones, lower case for email.")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("kind", Lower("value"), name="contact_point_once"),
            models.CheckConstraint(
                condition=Q(kind="email", value__contains="@") | Q(kind="phone", value__startswith="+"),
                name="contact_point_looks_right",
            ),
        ]

    def __str__(self) -> str:
        return self.value


class PatientContact(models.Model):
    """This person can be reached there, from `since_at` until `until_at`."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="contacts")
    point = models.ForeignKey(ContactPoint, on_delete=models.PROTECT, related_name="people")
    since_at = models.DateTimeField()
    until_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-since_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "point"], condition=Q(until_at__isnull=True), name="patient_contact_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.patient} at {self.point}"


class RelatedPerson(models.Model):
    """Someone with rights for a patient, such as a guardian; the rights end by themselves at majority."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="related_people")
    name = models.CharField(max_length=200)
    relation = models.CharField(max_length=60)
    point = models.ForeignKey(ContactPoint, on_delete=models.PROTECT, null=True, related_name="+")
    may_consent = models.BooleanField(default=False)
    may_read = models.BooleanField(default=False)
    ends_on = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="related_person_has_a_name")]

    def __str__(self) -> str:
        return f"{self.name} ({self.relation} of {self.patient})"


class SecureLink(models.Model):
    """A patient's way in, without an account. Only the token's hash is kept; it opens after a fact only they know.

    `about` names what it is for, as "response:<ref>" or "checkin:<ref>". GET never changes this row.
    """

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="links")
    scope = models.CharField(max_length=10, choices=LinkScope)
    about = models.CharField(max_length=80)
    token_hash = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    locked_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["about", "scope"], name="link_by_about")]
        constraints = [models.CheckConstraint(condition=Q(tries__lte=5), name="link_at_most_five_tries")]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} link of {self.patient}"
