"""How a patient wants to be reached, who else uses the same contact, and what that does to what is planned."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from clinic.staff.models import User
from patients.messaging.models import Message, OptOut
from patients.messaging.optouts import stops_in_force
from patients.messaging.queries import with_ways
from patients.messaging.states import UNSENT
from patients.registry.models import ContactPoint, Patient
from patients.wishes.rules import kinds_wanted, masked

COMING_SHOWN = 30


@dataclass(frozen=True)
class Way:
    """One contact of the patient: what they want there, who said STOP for all, and who else is reached there."""

    point: ContactPoint
    wanted: list[str]
    stopped_for_all: OptOut | None
    others: list[Patient] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"by_{self.point.kind}"

    @property
    def masked(self) -> str:
        return masked(self.point.value)


@dataclass(frozen=True)
class Coming:
    """The patient's waiting messages, those that will not go out apart."""

    going: list[Message]
    stopped: list[Message]


def ways_of(patient: Patient, at: datetime) -> list[Way]:
    """Return the patient's current contacts, the newest of each kind, email first."""
    newest: dict[str, ContactPoint] = {}
    for contact in patient.contacts.filter(until_at=None).select_related("point").order_by("since_at", "id"):
        newest[contact.point.kind] = contact.point
    return [_way(patient, newest[kind], at) for kind in sorted(newest)]


def _way(patient: Patient, point: ContactPoint, at: datetime) -> Way:
    stops = list(stops_in_force(point, at))
    mine = [stop.purpose for stop in stops if stop.patient_id == patient.pk]
    for_all = next((stop for stop in stops if stop.patient_id is None), None)
    others = Patient.objects.filter(contacts__point=point, contacts__until_at=None).exclude(pk=patient.pk)
    return Way(point, kinds_wanted(mine), for_all, list(others.distinct()))


def visible_others(way: Way, user: User) -> tuple[list[Patient], int]:
    """Return who else is reached there as far as the person may know them, and how many more there are."""
    seen = list(Patient.objects.visible_to(user).filter(pk__in=[each.pk for each in way.others]))
    return seen, len(way.others) - len(seen)


def coming_messages(patient: Patient, at: datetime) -> Coming:
    """Return the next waiting messages, soonest first."""
    rows = (
        patient.messages.filter(status__in=UNSENT)
        .select_related("patient", "location", "point")
        .order_by("due_at", "id")
    )
    found = with_ways(rows[:COMING_SHOWN], at)
    stopped = [row for row in found if row.is_stopped]
    return Coming([row for row in found if row not in stopped], stopped)


def stops_of(patient: Patient) -> list[OptOut]:
    """Return everything that was ever stopped for the patient, the latest first: by them, or for all at a contact."""
    points = list(patient.contacts.values_list("point_id", flat=True))
    mine = OptOut.objects.filter(patient=patient) | OptOut.objects.filter(patient=None, point__in=points)
    return list(mine.select_related("point").order_by("-since_at", "-id")[:50])
