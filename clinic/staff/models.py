import uuid
from functools import cached_property

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import F, Q

from clinic.staff.states import SECOND_FACTOR_ROLES, Permission, Role


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        if not email:
            raise ValueError("A member of staff needs an email address.")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A member of staff who signs in. Roles are Django groups named as in `Role`."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("may open the admin", default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    uses_single_keys = models.BooleanField(
        default=True, help_text="Single letters are shortcuts; off for who speaks to the machine (WCAG 2.1.4)."
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]
    objects = UserManager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="user_has_a_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def display_name(self) -> str:
        return self.name or self.email

    @cached_property
    def roles(self) -> frozenset[Role]:
        """The roles held now, read once per request."""
        names = set(self.groups.values_list("name", flat=True))
        return frozenset(role for role in Role if role in names)

    def may(self, permission: Permission) -> bool:
        """True if one of the roles holds the permission. Inactive people may nothing."""
        return self.has_perm(f"clinic.{permission.value}")

    @property
    def needs_second_factor(self) -> bool:
        return bool(self.roles & SECOND_FACTOR_ROLES) or self.is_staff or self.is_superuser


class Practitioner(models.Model):
    """Someone who sees patients, whether or not they sign in."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.OneToOneField(User, on_delete=models.PROTECT, null=True, blank=True, related_name="practitioner")
    name = models.CharField(max_length=200)
    title = models.CharField(max_length=100, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    def may_decide(self, modality: str) -> bool:
        """True if authorised to decide candidacy for the modality."""
        return self.authorisations.filter(modality=modality, may_decide=True).exists()

    def may_treat(self, modality: str) -> bool:
        """True if authorised to treat with the modality."""
        return self.authorisations.filter(modality=modality, may_treat=True).exists()


class Authorisation(models.Model):
    """What a practitioner may do with one modality (a key of the catalogue)."""

    practitioner = models.ForeignKey(Practitioner, on_delete=models.CASCADE, related_name="authorisations")
    modality = models.CharField(max_length=20)
    may_decide = models.BooleanField(default=False)
    may_treat = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["practitioner", "modality"], name="one_authorisation_per_modality")
        ]

    def __str__(self) -> str:
        return f"{self.practitioner}: {self.modality}"


class OnCall(models.Model):
    """Who answers red flags, and when. `order` 1 is asked first, 2 when the first does not acknowledge."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="on_call")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    order = models.PositiveSmallIntegerField(default=1)

    class Meta:
        ordering = ["starts_at", "order", "id"]
        constraints = [models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="on_call_ends_after_start")]

    def __str__(self) -> str:
        return f"{self.user} on call from {self.starts_at:%d %b %H:%M}"
