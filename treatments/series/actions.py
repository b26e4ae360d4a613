"""Booking and moving the sessions of a course together. Booking does each by itself, by the same gates as always."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from clinic.audit.states import Actor, Refused
from clinic.premises.models import Location
from treatments.booking.actions import book_appointment, move_appointment, propose_appointment
from treatments.booking.models import Appointment
from treatments.courses.models import Course
from treatments.courses.states import CourseClosed
from treatments.series.queries import Pick, offered, treatment_type
from treatments.series.rules import in_safe_order


@dataclass(frozen=True)
class Result:
    """What came of one visit: as it stands now, or why it could not be."""

    starts_at: datetime
    visit: Appointment | None
    refused: str = ""


def book_series(
    *,
    course: Course,
    location: Location,
    picks: Sequence[Pick],
    only_hold: bool,
    form_key: uuid.UUID,
    by: Actor,
    at: datetime,
) -> list[Result]:
    """Each pick is a visit of the course, or is refused with its reason while the others stand.

    `only_hold` holds the times without telling anybody. In order of time, so that each counts from the one before; the
    same `form_key` again returns the visits it made. Raises CourseClosed where the catalogue has no such treatment.
    """
    kind = treatment_type(course)
    if kind is None:
        raise CourseClosed("The catalogue has no treatment with this laser.")
    act = propose_appointment if only_hold else book_appointment
    results = []
    for pick in sorted(picks, key=lambda each: each.starts_at):
        try:
            visit = act(
                patient=course.patient,
                type=kind,
                location=location,
                practitioner=pick.practitioner,
                starts_at=pick.starts_at,
                course=course,
                form_key=uuid.uuid5(form_key, pick.value),
                by=by,
                at=at,
            )
        except Refused as refused:
            results.append(Result(pick.starts_at, None, refused.for_people))
        else:
            results.append(Result(pick.starts_at, visit))
    return results


@dataclass(frozen=True)
class Move:
    """A visit as somebody saw it, and where it goes."""

    visit: Appointment
    version: int
    starts_at: datetime


def shift_series(*, moves: Sequence[Move], by: Actor, at: datetime) -> list[Result]:
    """Each visit is at its new time, or stays with its reason; its messages follow. Returns them in the given order.

    Times that are only held move too, and nobody is told of those, except what is being offered to the patient.
    A visit that is there already stays as it is, so that a second tap changes nothing.
    """
    results: dict[int, Result] = {}
    for index in in_safe_order([(each.visit.starts_at, each.starts_at) for each in moves]):
        results[index] = _moved(moves[index], by, at)
    return [results[index] for index in range(len(moves))]


def _moved(move: Move, by: Actor, at: datetime) -> Result:
    if move.visit.starts_at == move.starts_at:
        return Result(move.starts_at, move.visit)
    if offered().filter(appointment=move.visit).exists():
        return Result(move.starts_at, None, "This time is being offered to the patient. It stays until they answer.")
    try:
        done = move_appointment(
            appointment=move.visit,
            starts_at=move.starts_at,
            expected_version=move.version,
            also_held=True,
            by=by,
            at=at,
        )
    except Refused as refused:
        return Result(move.starts_at, None, refused.for_people)
    return Result(move.starts_at, done.appointment)
