from __future__ import annotations

from django.db.models import TextChoices

from clinic.audit.states import Refused


class CourseStatus(TextChoices):
    ACTIVE = "active", "Active"
    ON_HOLD = "on-hold", "On hold"
    COMPLETED = "completed", "Completed"
    REVOKED = "revoked", "Ended early"
    ENTERED_IN_ERROR = "entered-in-error", "Entered in error"


_S = CourseStatus
TRANSITIONS: dict[str, frozenset[str]] = {
    _S.ACTIVE: frozenset({_S.ON_HOLD, _S.COMPLETED, _S.REVOKED, _S.ENTERED_IN_ERROR}),
    _S.ON_HOLD: frozenset({_S.ACTIVE, _S.REVOKED, _S.ENTERED_IN_ERROR}),
    _S.COMPLETED: frozenset({_S.ACTIVE}),
    _S.REVOKED: frozenset(),
    _S.ENTERED_IN_ERROR: frozenset(),
}


class NotCleared(Refused):
    """No decision in force allows this treatment, or the course does not."""

    may_be_overridden = False


class CourseClosed(Refused):
    """The course is over or on hold."""


class AlreadyPlanned(Refused):
    """The patient has a course with this laser already."""
