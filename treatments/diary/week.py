"""A week of one practitioner, room or device: the day's grid with days for columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from django.utils.formats import date_format

from clinic.premises.models import Device, Location, Room
from treatments.booking.queries import practitioners_at
from treatments.booking.rules import Kind, Span, first_instant, grid, stretches
from treatments.booking.states import AppointmentStatus
from treatments.diary.grid import (
    DAY_CLOSES,
    DAY_OPENS,
    Column,
    Diary,
    Frame,
    Hour,
    Thing,
    absences_of,
    column_of,
    digest,
    frame_of,
    held_by_thing,
    hour_labels,
    hours_at,
    line_of,
    quarters_of,
)
from treatments.diary.rules import ROW_MINUTES, Block, Fold, wall_row
from treatments.today.queries import DayVisit, visits_of_day


def things_at(location: Location, by: Kind) -> list[Thing]:
    """Return whose or what's week can be shown, in order."""
    if by == "room":
        return list(Room.objects.filter(location=location, is_active=True))
    if by == "device":
        return list(Device.objects.filter(location=location, is_active=True))
    return list(practitioners_at(location))


def week_of(location: Location, monday: date, thing: Thing, by: Kind, at: datetime, *, private: bool) -> Diary:
    """Return the week's grid with a column a day, all on the same wall clock. Three queries a day, whoever comes.

    Where the clocks go forward, a day has no time for some of the rows; where they go back, one has more than others.
    """
    days = [monday + timedelta(days=number) for number in range(7)]
    made = []
    for day in days:
        visits = [each for each in visits_of_day(location, day) if each.status != AppointmentStatus.CANCELLED]
        own = [each for each in visits if getattr(each, f"{by}_id") == thing.pk]
        hours = hours_at(location, day)
        key = thing.pk if by == "practitioner" else None
        hours = {key: hours[key]} if key in hours else {}
        made.append((day, own, hours, absences_of([thing], by, location, day)[thing.pk]))
    frames = _frames(location, [(day, hours, own) for day, own, hours, _away in made])
    columns = []
    for (day, own, hours, away), frame in zip(made, frames, strict=True):
        lines = {visit.ref: line_of(visit, location, at, private=private) for visit in own}
        quarters = quarters_of(frame, location, day, at)
        held = held_by_thing(own, by)[thing.pk]
        column = column_of(thing, by, location, frame, hours, away, held, lines, quarters, at)
        columns.append(_as_day(column, day, is_today=at.astimezone(location.zone).date() == day))
    now_row = next((column.now_row for column in columns if column.now_row), None)
    return Diary(
        day=monday,
        by=by,
        columns=tuple(columns),
        hours=_hours(location, frames),
        last_row=frames[0].last_row,
        now_row=now_row,
        etag=digest((private, by, str(thing), now_row, made)),
    )


def _as_day(column: Column, day: date, *, is_today: bool) -> Column:
    now_row = column.now_row if is_today else None
    return replace(column, title=date_format(day, "l"), subtitle=date_format(day, "j F"), now_row=now_row)


# --- one wall clock for seven days ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class WallFrame(Frame):
    """A day on the week's axis, whose rows are times on the wall and not hours since the first."""

    day: date
    zone: ZoneInfo
    first: int  # the minute of the wall clock at which the axis begins
    fold: Fold | None

    def row_at(self, at: int) -> int:
        wall = datetime.fromtimestamp(at, self.zone)
        minute = ((wall.date() - self.day).days * 24 + wall.hour) * 60 + wall.minute
        is_second = self.fold is not None and wall.fold == 1 and minute < self.fold.until
        return wall_row(minute, is_second, self.first, self.fold)

    def block(self, span: Span) -> Block | None:
        if span[0] >= span[1]:
            return None
        start, end = max(self.row_at(span[0]), 0), min(self.row_at(span[1] - 1) + 1, self.last_row)
        return Block(start + 1, end - start) if end > start else None

    def missing(self) -> Block | None:
        row = 0
        for at in grid(self.day, self.day, self.zone, ROW_MINUTES) if self.may_miss else ():
            found = self.row_at(at)
            if 0 <= row < found:
                return Block(row + 1, found - row)
            row = found + 1
        return None

    @property
    def may_miss(self) -> bool:
        """Rows may be missing: the clocks change on this day, or went back on another day of the week."""
        return self.fold is not None or len(stretches(self.zone, self.day, self.day)) > 1


def _frames(
    location: Location, days: Sequence[tuple[date, dict[int | None, list[Span]], list[DayVisit]]]
) -> list[WallFrame]:
    """Return the days on an axis that has rows for everything on any of them."""
    zone, fold = location.zone, _fold(days[0][0], location.zone)
    plain = [(day, frame_of(location, day, hours, own)) for day, hours, own in days if hours or own]
    starts = [datetime.fromtimestamp(frame.opens, zone) for _, frame in plain]
    first = min((wall.hour * 60 + wall.minute for wall in starts), default=DAY_OPENS * 60)
    made = [
        WallFrame(_opening(day, first, zone), 0, day=day, zone=zone, first=first, fold=fold)
        for day, _hours, _own in days
    ]
    at = {frame.day: frame for frame in made}
    ends = [at[day].row_at(frame.opens + frame.last_row * ROW_MINUTES * 60 - 1) + 1 for day, frame in plain]
    last_row = max(ends, default=(DAY_CLOSES - DAY_OPENS) * 60 // ROW_MINUTES)
    return [replace(frame, last_row=last_row) for frame in made]


def _opening(day: date, minute: int, zone: ZoneInfo) -> int:
    return int(first_instant(datetime.combine(day, time(minute // 60, minute % 60)), zone).timestamp())


def _fold(monday: date, zone: ZoneInfo) -> Fold | None:
    """Return how the clocks go back in the week, None where they do not."""
    known = stretches(zone, monday, monday + timedelta(days=6))
    for before, after in pairwise(known):
        if after.offset < before.offset:
            wall = datetime.fromtimestamp(after.starts - 60, zone)
            return Fold(wall.hour * 60 + wall.minute + 1, (before.offset - after.offset) // 60)
    return None


def _hours(location: Location, frames: Sequence[WallFrame]) -> tuple[Hour, ...]:
    """Return every full hour that a day of the week has, each once."""
    # A day with more hours than others says of those that come twice which is which.
    longest = sorted(frames, key=lambda frame: len(grid(frame.day, frame.day, location.zone, 60)))
    found = {hour.row: hour for frame in longest for hour in hour_labels(location, frame.day, frame)}
    return tuple(found[row] for row in sorted(found))
