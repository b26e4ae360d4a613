"""Visits from another calendar, through the same gates as any other: nothing is let in that could not be booked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.catalogue.models import AppointmentType, Modality
from clinic.catalogue.states import TREATING
from clinic.premises.models import Device, Location, Room
from clinic.staff.models import Practitioner
from patients.registry.actions import register_patient
from patients.registry.models import Patient
from patients.registry.queries import duplicates
from treatments.booking.actions import book_appointment
from treatments.booking.models import Appointment
from treatments.booking.queries import devices_for, practitioners_at, rooms_at
from treatments.booking.rules import instant
from treatments.courses.models import Course
from treatments.courses.queries import courses_of
from treatments.courses.states import CourseStatus
from treatments.imports.rules import Row, RowUnreadable, read_table
from treatments.protocols.rules import odd_wall_time

_FORMS = uuid.UUID("6a1d2a0e-52b7-4c39-9a51-3c1f0c3f7f10")  # the same row is the same form, however often it is read


class NotFound(Refused):
    """The table names something that this place does not have."""


class MayBeKnown(Refused):
    """Somebody like this person is on record: whether they are one is for a person to say."""


class OddTime(Refused):
    """The clock of the place skips this time, or shows it twice."""


@dataclass(frozen=True)
class Imported:
    """What came of one row: the line it stands on, the visit if there is one now, and why not if there is none."""

    line: int
    visit: Appointment | None = None
    is_new: bool = False
    why: str = ""


class _Tried(Exception):
    """The row would be taken."""


def import_visits(*, text: str, place: Location, by: Actor, at: datetime, only_try: bool = False) -> list[Imported]:
    """Every row that could be booked at the place is booked, each by itself; the others are as they were, with why.

    A patient on record under the same name and birth date is that patient; a new one is registered. No gate can be
    passed over. The same table twice is once. With `only_try` nothing is kept, and rows do not see each other. Raises
    TableUnreadable.
    """
    found = [_import_one(line, row, place, by, at, only_try=only_try) for line, row in read_table(text)]
    if not only_try:
        with transaction.atomic():
            new = sum(each.is_new for each in found)
            record(action="visits.imported", subject=place, by=by, at=at, rows=len(found), new=new)
    return found


def _import_one(
    line: int, row: Row | RowUnreadable, place: Location, by: Actor, at: datetime, *, only_try: bool
) -> Imported:
    if isinstance(row, RowUnreadable):
        return Imported(line, why=str(row))
    try:
        with transaction.atomic():
            visit, is_new = import_visit(row=row, place=place, by=by, at=at)
            if only_try:
                raise _Tried
    except _Tried:
        return Imported(line, visit, is_new)
    except Refused as refused:
        return Imported(line, why=refused.for_people)
    return Imported(line, visit, is_new)


@transaction.atomic
def import_visit(*, row: Row, place: Location, by: Actor, at: datetime) -> tuple[Appointment, bool]:
    """The row's patient has its visit. Returns it, and False if an earlier reading had booked it.

    Raises NotFound, MayBeKnown, OddTime, what `register_patient` refuses, and what `book_appointment` does.
    """
    if odd := odd_wall_time(row.starts, place.zone):
        raise OddTime(odd)
    type = _type(row)
    practitioner = _named(row.practitioner, practitioners_at(place), "Nobody called “{}” sees patients here.")
    patient = _patient(row, place, by, at)
    starts_at = instant(row.starts, place.zone)
    form_key = uuid.uuid5(_FORMS, f"{place.ref} {patient.ref} {type.key} {practitioner.pk} {starts_at.isoformat()}")
    known = Appointment.objects.filter(form_key=form_key).first()
    if known is not None:
        return known, False
    course = _course(patient, type)
    devices = devices_for(place, type, course.modality if course else "")
    visit = book_appointment(
        patient=patient,
        type=type,
        location=place,
        practitioner=practitioner,
        starts_at=starts_at,
        form_key=form_key,
        room=_named(row.room, rooms_at(place), "No room here is called “{}”.") if row.room else None,
        device=_named(row.device, devices, "No laser here for this visit is called “{}”.") if row.device else None,
        course=course,
        note=row.note,
        by=by,
        at=at,
    )
    return visit, True


def _type(row: Row) -> AppointmentType:
    known = {name.casefold(): each for each in AppointmentType.objects.all() for name in (each.key, each.label)}
    if row.visit.casefold() not in known:
        raise NotFound(f"No kind of visit is called “{row.visit}”.")
    return known[row.visit.casefold()]


Thing = TypeVar("Thing", Practitioner, Room, Device)


def _named(name: str, things: Sequence[Thing], sentence: str) -> Thing:
    found = [each for each in things if str(each).casefold() == name.casefold()]
    if len(found) != 1:
        raise NotFound(sentence.format(name))
    return found[0]


def _patient(row: Row, place: Location, by: Actor, at: datetime) -> Patient:
    alike = duplicates(row.first_name, row.family_name, row.born_on)
    same = [each.patient for each in alike if each.rank == 0]
    if len(same) == 1:
        return same[0]
    if alike:
        who = "; ".join(f"{each.patient.formal_name} ({each.why.lower()})" for each in alike)
        raise MayBeKnown(f"May be on record already: {who}. Book this one by hand.")
    return register_patient(
        given_name=row.first_name,
        family_name=row.family_name,
        born_on=row.born_on,
        location=place,
        email=row.email,
        phone=row.phone,
        by=by,
        at=at,
    )


def _course(patient: Patient, type: AppointmentType) -> Course | None:
    """Return the patient's active course that such a visit belongs to; booking says what is wrong without one."""
    if type.kind not in TREATING:
        return None
    lasers = set(Modality.objects.filter(group=type.modality_group).values_list("key", flat=True))
    fitting = (each for each in courses_of(patient) if each.status == CourseStatus.ACTIVE and each.modality in lasers)
    return next(fitting, None)
