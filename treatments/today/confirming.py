"""Who to ring before a day of visits: each with a telephone, the last message and the calls so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from clinic.premises.models import Location
from patients.messaging.models import Message
from patients.messaging.states import MessageStatus
from patients.registry.models import PatientContact
from patients.registry.states import ContactKind
from treatments.booking.models import VisitCall
from treatments.booking.rules import clock_label
from treatments.booking.states import Step
from treatments.today.lines import name_of
from treatments.today.queries import DayVisit, visits_of_day

# A visit in one of these is worth a call, or has had its answer.
RUNG = frozenset({Step.BOOKED, Step.CONFIRMED})


@dataclass(frozen=True)
class Ring:
    """A visit on the confirmation list."""

    visit: DayVisit
    name: str
    starts: str
    phone: str
    message: Message | None
    calls: tuple[VisitCall, ...]

    @property
    def is_open(self) -> bool:
        return self.visit.step == Step.BOOKED

    @property
    def step_label(self) -> str:
        return self.visit.step.label


def to_ring(location: Location, day: date, at: datetime, *, private: bool) -> list[Ring]:
    """Return the day's booked and confirmed visits in order; `private` hides names and numbers.

    Four queries, however many there are.
    """
    visits = [visit for visit in visits_of_day(location, day) if visit.step in RUNG]
    phones = _phones({visit.patient_ref for visit in visits})
    messages, calls = _messages(visits, at), _calls(visits)
    return [
        Ring(
            visit=visit,
            name=name_of(visit, private),
            starts=clock_label(visit.starts_at, location.zone),
            phone="" if private else phones.get(visit.patient_ref, ""),
            message=messages.get(f"appointment:{visit.ref}"),
            calls=tuple(calls[visit.ref]),
        )
        for visit in visits
    ]


def _phones(patients: Iterable[UUID]) -> dict[UUID, str]:
    """Return the number each patient gave last."""
    rows = PatientContact.objects.filter(
        patient__ref__in=list(patients), until_at=None, point__kind=ContactKind.PHONE
    ).order_by("since_at", "id")
    return dict(rows.values_list("patient__ref", "point__value"))


def _messages(visits: Iterable[DayVisit], at: datetime) -> dict[str, Message]:
    """Return of each visit the message that was due last; later ones are still to come and say nothing yet."""
    rows = (
        Message.objects.filter(about__in=[f"appointment:{visit.ref}" for visit in visits], due_at__lte=at)
        .exclude(status__in=[MessageStatus.SUPERSEDED])
        .order_by("due_at", "id")
    )
    return {message.about: message for message in rows}


def _calls(visits: Iterable[DayVisit]) -> dict[UUID, list[VisitCall]]:
    """Return of each visit its calls, the first first: what was said stays in sight."""
    found: dict[UUID, list[VisitCall]] = defaultdict(list)
    rows = VisitCall.objects.filter(appointment__ref__in=[visit.ref for visit in visits]).select_related("appointment")
    for call in rows.order_by("called_at", "id"):
        found[call.appointment.ref].append(call)
    return found
