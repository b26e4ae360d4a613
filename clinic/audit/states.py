"""Who acts, and how an act is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from django.db.models import TextChoices


class ActorKind(TextChoices):
    STAFF = "staff", "Staff"
    PATIENT = "patient", "Patient through a link"
    VISITOR = "visitor", "Visitor of the public pages"
    TASK = "task", "Background task"
    COMMAND = "command", "Command"


class Outcome(TextChoices):
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"


class UserLike(Protocol):
    @property
    def pk(self) -> int: ...
    @property
    def display_name(self) -> str: ...


@dataclass(frozen=True)
class Actor:
    """Whoever does an act; never empty. `id` is a user's key, a patient's ref or the name of a task."""

    kind: ActorKind
    id: str
    name: str

    def __post_init__(self) -> None:
        if not self.id or not self.name:
            raise ValueError("An actor needs an id and a name.")

    @classmethod
    def staff(cls, user: UserLike) -> Actor:
        return cls(ActorKind.STAFF, str(user.pk), user.display_name)

    @classmethod
    def patient(cls, ref: object, name: str) -> Actor:
        return cls(ActorKind.PATIENT, str(ref), name)

    @classmethod
    def visitor(cls) -> Actor:
        return cls(ActorKind.VISITOR, "visitor", "Visitor")

    @classmethod
    def task(cls, name: str) -> Actor:
        return cls(ActorKind.TASK, name, name)

    @classmethod
    def command(cls, name: str) -> Actor:
        return cls(ActorKind.COMMAND, name, name)

    @property
    def user_id(self) -> int | None:
        """The user's key when a member of staff acts, else None."""
        return int(self.id) if self.kind == ActorKind.STAFF else None

    def __str__(self) -> str:
        return self.name


class Refused(Exception):
    """An act that may not happen now. The class is the domain's word, `for_people` the sentence to show.

    `field` names the form field the sentence belongs to, if one does.
    """

    sentence: ClassVar[str] = "This can't be done now."

    def __init__(self, sentence: str = "", *, field: str | None = None) -> None:
        self.for_people = sentence or self.sentence
        self.field = field
        super().__init__(self.for_people)
