"""May this visit be? Every reason against it, from facts that were read before. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from clinic.audit.states import Refused
from clinic.catalogue.states import TREATING, VisitKind
from patients.candidacy.states import ALLOWING, DecisionKind
from treatments.booking.rules import Kind, Span, covered, lead_reason, prepared_from
from treatments.booking.states import (
    Away,
    DeviceUnavailable,
    NotAuthorised,
    NotCleared,
    OutsideHours,
    PatientBusy,
    ServiceOverdue,
    TimeHasPassed,
    TooEarly,
    TooSoon,
)
from treatments.courses.rules import say


@dataclass(frozen=True)
class Neighbour:
    """Another treatment visit of the patient that is still to come: its local date, and the days its laser wants."""

    on: date
    interval_days: int


@dataclass(frozen=True)
class CourseFacts:
    """Where the visit's course stands. `decision_kind` is empty when no decision is in force."""

    modality: str
    modality_label: str
    is_active: bool
    status_label: str
    sessions_planned: int
    sessions_taken: int
    own_interval_days: int
    decision_kind: str = ""


@dataclass(frozen=True)
class Facts:
    """Everything that decides whether a visit may be, apart from who else claims the time.

    Dates are local to the place, spans are seconds since 1970. `place_open` and `practitioner_open` are hours,
    `away` names what cannot be used then, by kind. `lead_days` is how long ahead the clinic wants such a visit booked,
    `stands_on` the day on which a visit that is being changed is booked already.
    """

    today: date
    day: date
    kind: str
    span: Span
    practitioner_span: Span
    place_name: str
    practitioner_name: str
    place_open: tuple[Span, ...]
    practitioner_open: tuple[Span, ...]
    away: tuple[tuple[Kind, str], ...] = ()
    service_due_on: date | None = None
    device_name: str = ""
    may_treat: bool = True
    course: CourseFacts | None = None
    earliest_on: date | None = None
    earliest_reason: str = ""
    lead_days: int | None = None
    stands_on: date | None = None
    neighbours: tuple[Neighbour, ...] = ()
    patient_busy: bool = False


def refusals(facts: Facts) -> list[Refused]:
    """Return every reason against the visit, the hardest first; empty when it may be."""
    gates = (_passed, _cleared, _authorised, _away, _patient, _hours, _service, _earliest, _lead, _spacing)
    return [refusal for gate in gates for refusal in gate(facts)]


def _passed(facts: Facts) -> Iterator[Refused]:
    if facts.day < facts.today:
        yield TimeHasPassed(field="starts_at")


def _cleared(facts: Facts) -> Iterator[Refused]:
    """A laser touches skin only on a decision in force and within a planned course."""
    if facts.kind not in TREATING:
        return
    course = facts.course
    if course is None:
        yield NotCleared("This visit needs a planned course. Plan one from the patient’s chart.", field="type")
    elif not course.is_active:
        yield NotCleared(f"The course is {course.status_label.lower()}.", field="type")
    elif course.decision_kind not in ALLOWING:
        yield NotCleared(
            f"No decision in force allows {course.modality_label}. A clinician needs to decide first.", field="type"
        )
    elif facts.kind == VisitKind.TREATMENT and course.decision_kind == DecisionKind.TEST_SPOT_FIRST:
        yield NotCleared("The decision asks for a test spot first. Book that visit.", field="type")
    elif facts.kind == VisitKind.TREATMENT and course.sessions_taken >= course.sessions_planned:
        yield NotCleared(f"All {course.sessions_planned} sessions of the course are done or booked.", field="type")


def _authorised(facts: Facts) -> Iterator[Refused]:
    if facts.kind in TREATING and facts.course is not None and not facts.may_treat:
        yield NotAuthorised(
            f"{facts.practitioner_name} is not authorised to treat with {facts.course.modality_label}.",
            field="practitioner",
        )


def _away(facts: Facts) -> Iterator[Refused]:
    for kind, name in facts.away:
        if kind == "device":
            yield DeviceUnavailable(f"{name} is not available then.", field="device")
        else:
            yield Away(f"{name} is not available then.", field=kind)


def _patient(facts: Facts) -> Iterator[Refused]:
    if facts.patient_busy:
        yield PatientBusy(field="starts_at")


def _hours(facts: Facts) -> Iterator[Refused]:
    if not covered(facts.span, facts.place_open):
        yield OutsideHours(f"{facts.place_name} is closed for part of that time.", field="starts_at")
    elif not covered(facts.practitioner_span, facts.practitioner_open):
        yield OutsideHours(
            f"{facts.practitioner_name} does not work at {facts.place_name} for all of that time.", field="starts_at"
        )


def _service(facts: Facts) -> Iterator[Refused]:
    if facts.service_due_on is not None and facts.day > facts.service_due_on:
        due = f"The service of {facts.device_name} was due on {say(facts.service_due_on)}."
        yield ServiceOverdue(due, field="device")


def _earliest(facts: Facts) -> Iterator[Refused]:
    if facts.kind in TREATING and facts.earliest_on is not None and facts.day < facts.earliest_on:
        yield TooEarly(
            f"The earliest date is {say(facts.earliest_on)}: {facts.earliest_reason}.", earliest_on=facts.earliest_on
        )


def _lead(facts: Facts) -> Iterator[Refused]:
    """A patient has days to prepare. Whose visit stays on its day or goes to a later one is preparing already."""
    if facts.lead_days is None or (facts.stands_on is not None and facts.day >= facts.stands_on):
        return
    first = prepared_from(facts.today, facts.lead_days)
    if facts.day < first:
        yield TooSoon(f"The earliest date is {say(first)}: {lead_reason(facts.lead_days)}.", earliest_on=first)


def _spacing(facts: Facts) -> Iterator[Refused]:
    """Visits that are only booked keep their distance too, or two could be booked side by side."""
    if facts.kind != VisitKind.TREATMENT or facts.course is None:
        return
    for other in sorted(facts.neighbours, key=lambda each: each.on):
        days = max(other.interval_days, facts.course.own_interval_days)
        if abs((facts.day - other.on).days) < days:
            yield TooEarly(
                f"Another treatment is booked for {say(other.on)}, and {days} days must lie between.",
                earliest_on=other.on + timedelta(days=days),
            )
