"""A week of one practitioner, room or device: the day's grid with days for columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from django.utils.formats import date_format

from clinic.premises.models import Device, Location, Room
from treatments.booking.diary import (
    DAY_CLOSES,
    DAY_OPENS,
    Column,
    Diary,
    Thing,
    _absences,
    _column,
    _digest,
    _Frame,
    _frame,
    _held_by_thing,
    _hour_labels,
    _hours,
    _now_row,
    _quarters,
    line_of,
)
from treatments.booking.queries import practitioners_at, visits_of_day
from treatments.booking.rules import ROW_MINUTES, Kind, first_instant
from treatments.booking.states import AppointmentStatus


def things_at(location: Location, by: Kind) -> list[Thing]:
    """Return whose or what's week can be shown, in order."""
    if by == "room":
        return list(Room.objects.filter(location=location, is_active=True))
    if by == "device":
        return list(Device.objects.filter(location=location, is_active=True))
    return list(practitioners_at(location))


def week_of(location: Location, monday: date, thing: Thing, by: Kind, at: datetime, *, private: bool) -> Diary:
    """Return the week's grid with a column a day, all on the same wall clock. Three queries a day, whoever comes."""
    days = [monday + timedelta(days=number) for number in range(7)]
    made = []
    for day in days:
        visits = [each for each in visits_of_day(location, day) if each.status != AppointmentStatus.CANCELLED]
        own = [each for each in visits if getattr(each, f"{by}_id") == thing.pk]
        hours = _hours(location, day)
        key = thing.pk if by == "practitioner" else None
        hours = {key: hours[key]} if key in hours else {}
        made.append((day, own, hours, _absences([thing], by, location, day)[thing.pk]))
    opens, last_row = _common(location, [(day, hours, own) for day, own, hours, _away in made])
    columns = []
    for day, own, hours, away in made:
        frame = _Frame(_opening(location, day, opens), last_row)
        lines = {visit.ref: line_of(visit, location, at, private=private) for visit in own}
        quarters = _quarters(frame, location, day, at)
        held = _held_by_thing(own, by)[thing.pk]
        column = _column(thing, by, location, frame, hours, away, held, lines, quarters)
        is_today = at.astimezone(location.zone).date() == day
        columns.append(_as_day(column, day, _now_row(frame, at) if is_today else None))
    now_row = next((column.now_row for column in columns if column.now_row), None)
    return Diary(
        day=monday,
        by=by,
        columns=tuple(columns),
        hours=tuple(_hour_labels(location, monday, _Frame(_opening(location, monday, opens), last_row))),
        last_row=last_row,
        now_row=now_row,
        etag=_digest((private, by, str(thing), now_row, made)),
    )


def _as_day(column: Column, day: date, now_row: int | None) -> Column:
    return replace(column, title=date_format(day, "l"), subtitle=date_format(day, "j F"), now_row=now_row)


def _opening(location: Location, day: date, opens: time) -> int:
    return int(first_instant(datetime.combine(day, opens), location.zone).timestamp())


def _common(location: Location, days: list[tuple]) -> tuple[time, int]:
    """Return the wall time at which the week's columns begin, and their rows: enough for every day of it."""
    frames = [(day, _frame(location, day, hours, own)) for day, hours, own in days if hours or own]
    if not frames:
        return time(DAY_OPENS), (DAY_CLOSES - DAY_OPENS) * 60 // ROW_MINUTES
    opens = min(datetime.fromtimestamp(frame.opens, UTC).astimezone(location.zone).time() for _, frame in frames)
    ends = [
        (frame.opens - _opening(location, day, opens)) // (ROW_MINUTES * 60) + frame.last_row for day, frame in frames
    ]
    return opens, max(ends)
