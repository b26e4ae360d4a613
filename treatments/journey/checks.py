"""What the nightly checks of messages found, as somebody may see it."""

from __future__ import annotations

from dataclasses import dataclass

from clinic.staff.models import User
from patients.registry.models import Patient
from treatments.journey.models import MessageCheck

NIGHTS = 30


@dataclass(frozen=True)
class CheckLine:
    """One patient whose messages differed, and what was done about it."""

    patient: Patient
    what: str


@dataclass(frozen=True)
class Night:
    """One check, with the patients of the viewer's own locations; of the others only how many."""

    check: MessageCheck
    lines: tuple[CheckLine, ...]
    elsewhere: int


def nights(user: User, limit: int = NIGHTS) -> list[Night]:
    """Return the latest checks, newest first, in two queries."""
    checks = list(MessageCheck.objects.all()[:limit])
    refs = {str(each["patient"]) for check in checks for each in check.found}
    patients = {str(patient.ref): patient for patient in Patient.objects.visible_to(user).filter(ref__in=refs)}
    return [_night(check, patients) for check in checks]


def _night(check: MessageCheck, patients: dict[str, Patient]) -> Night:
    mine = tuple(
        CheckLine(patients[str(each["patient"])], str(each["what"]))
        for each in check.found
        if str(each["patient"]) in patients
    )
    return Night(check, mine, len(check.found) - len(mine))
