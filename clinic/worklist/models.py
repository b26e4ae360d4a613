import uuid

from django.db import models
from django.db.models import Q

from clinic.premises.models import Location
from clinic.sealed import SealedJSONField
from clinic.staff.models import User
from clinic.staff.states import Role
from clinic.worklist.states import TRANSITIONS, TaskStatus


class TaskQuerySet(models.QuerySet["Task"]):
    def unfinished(self) -> "TaskQuerySet":
        return self.filter(status__in=[TaskStatus.REQUESTED, TaskStatus.ACCEPTED])

    def visible_to(self, user: User) -> "TaskQuerySet":
        """Tasks of the person, of their roles, at their locations. A lead clinician sees those of clinicians too."""
        roles = {role.value for role in user.roles}
        if Role.LEAD_CLINICIAN in user.roles:
            roles.add(Role.CLINICIAN.value)
        theirs = Q(owner=user) | Q(role__in=roles)
        return self.filter(theirs, location__staff=user)


class Task(models.Model):
    """Something a named person or role must do by a time.

    `key` makes a task unique per what it is about, so that working the same fact twice makes one task. `title` is
    seen by the role it is for; what the desk sees never says a medical answer.
    """

    TRANSITIONS = TRANSITIONS

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(max_length=10, choices=TaskStatus, default=TaskStatus.REQUESTED)
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=120, unique=True)
    title = models.CharField(max_length=200)
    why = models.CharField(max_length=400, blank=True)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="tasks")
    patient_ref = models.UUIDField(null=True, db_index=True)
    about = models.CharField(max_length=80, blank=True)
    blocks_treatment = models.BooleanField(default=False)
    modality = models.CharField(max_length=20, blank=True, help_text="The modality it blocks; empty: every one.")
    closes_with = models.JSONField(default=list, blank=True, help_text="The words an outcome must begin with, if any.")
    role = models.CharField(max_length=20, choices=Role)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="tasks")
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    outcome = SealedJSONField(default="", help_text="What came of it; a prescriber's reason may be in it.")
    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering = ["due_at", "id"]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status__in=["requested", "accepted"]), name="task_unfinished")
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status="completed", done_at__isnull=False, done_by__isnull=False)
                | (~Q(status="completed") & Q(done_at__isnull=True, done_by__isnull=True)),
                name="task_done_says_when_and_who",
            )
        ]

    def __str__(self) -> str:
        return self.title
