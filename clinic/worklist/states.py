from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from clinic.staff.states import Permission


class TaskStatus(TextChoices):
    REQUESTED = "requested", "To do"
    ACCEPTED = "accepted", "Taken"
    COMPLETED = "completed", "Done"
    CANCELLED = "cancelled", "No longer needed"


TRANSITIONS: dict[str, frozenset[str]] = {
    TaskStatus.REQUESTED: frozenset({TaskStatus.ACCEPTED, TaskStatus.COMPLETED, TaskStatus.CANCELLED}),
    TaskStatus.ACCEPTED: frozenset({TaskStatus.REQUESTED, TaskStatus.COMPLETED, TaskStatus.CANCELLED}),
    TaskStatus.COMPLETED: frozenset({TaskStatus.REQUESTED}),
    TaskStatus.CANCELLED: frozenset(),
}


@dataclass(frozen=True)
class Way:
    """Where the work of a task is done: the name of the page, what its button says, and who may open it."""

    page: str
    label: object
    needs: Permission


# By what a task is about. Finishing the task by hand does not do this work: whoever has it is led to it first.
WAYS: Mapping[str, Way] = {
    "screening": Way("screening", _("Open the answers"), Permission.SEE_CHART),
    "decision": Way("decision", _("Open the decision"), Permission.SEE_CHART),
    "escalation": Way("alarm", _("Open the alarm"), Permission.ANSWER_ALARMS),
    "appointment": Way("appointment", _("Open the visit"), Permission.SEE_TODAY),
    "session": Way("session", _("Open the treatment"), Permission.SEE_CHART),
    "consent": Way("consent_record", _("Open the form"), Permission.SEE_PATIENTS),
    "message": Way("message", _("Open the message"), Permission.SEE_MESSAGES),
    "conversation": Way("conversation", _("Open the conversation"), Permission.READ_REPLIES),
}
# Kinds that end only with that work: an open alarm holds the next treatment, an agreement is given by a second person.
ENDS_WITH_ITS_WORK = frozenset({"escalation", "candidacy.cosign"})
