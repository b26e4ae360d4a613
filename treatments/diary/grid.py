"""A day as a grid: columns of practitioners, rooms or devices, blocks in rows of five minutes. Decides nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from clinic.premises.models import Absence, Device, Location, Room
from clinic.premises.queries import hours_of_days
from clinic.staff.models import Practitioner
from treatments.booking.rules import (
    STEP_MINUTES,
    Kind,
    Shape,
    Span,
    clock_label,
    common,
    day_bounds,
    grid,
    hours_of_day,
    merged,
)
from treatments.booking.states import CLAIMING, AppointmentStatus
from treatments.diary.rules import ROW_MINUTES, Block, rows_between, side_by_side
from treatments.today.lines import Line, digest, label_of_time, line_of
from treatments.today.queries import DayVisit, visits_of_day

_S = AppointmentStatus
DAY_OPENS, DAY_CLOSES = 9, 17  # what an empty day shows where no hours are set


class Card(NamedTuple):
    """A visit as a block of the grid."""

    line: Line
    block: Block
    starts: str
    note: str
    before: int = 0
    after: int = 0


class Gap(NamedTuple):
    """A quarter of an hour that can be booked in this column."""

    block: Block
    query: str
    label: str


class Hour(NamedTuple):
    row: int
    label: str


@dataclass(frozen=True)
class Column:
    """A practitioner, room or device on one day."""

    kind: Kind
    ref: UUID
    title: str
    subtitle: str
    open: tuple[Block, ...]
    away: tuple[Block, ...]
    missing: Block | None
    gaps: tuple[Gap, ...]
    cards: tuple[Card, ...]
    opens: int  # the instant of the first row
    over: int = 0  # so many rows are in the past
    past: tuple[Gap, ...] = ()  # free quarters that are over
    now_row: int | None = None


@dataclass(frozen=True)
class Diary:
    """A day's grid: rows of five minutes from the first hour to the last."""

    day: date
    by: Kind
    columns: tuple[Column, ...]
    hours: tuple[Hour, ...]
    last_row: int
    now_row: int | None
    etag: str


@dataclass(frozen=True)
class Frame:
    """The instant of the first row, and how many rows there are."""

    opens: int
    last_row: int

    def row_at(self, at: int) -> int:
        """Return the row of an instant, from 0."""
        return (at - self.opens) // (ROW_MINUTES * 60)

    def block(self, span: Span) -> Block | None:
        return rows_between(self.opens, span[0], span[1], self.last_row)

    def missing(self) -> Block | None:
        """Return the rows that this day does not have, where it shares them with others."""
        return None


Thing = Practitioner | Room | Device


def diary_of(location: Location, day: date, by: Kind, at: datetime, *, private: bool) -> Diary:
    """Return the day's grid with a column for each practitioner, room or device. Four queries."""
    visits = [visit for visit in visits_of_day(location, day) if visit.status != _S.CANCELLED]
    hours = hours_at(location, day)
    things = _things(location, by, {visit.practitioner_id for visit in visits} | {key for key in hours if key})
    absences = absences_of(things, by, location, day)
    frame = frame_of(location, day, hours, visits)
    lines = {visit.ref: line_of(visit, location, at, private=private) for visit in visits}
    held = held_by_thing(visits, by)
    quarters = quarters_of(frame, location, day, at)
    columns = tuple(
        column_of(thing, by, location, frame, hours, absences[thing.pk], held[thing.pk], lines, quarters, at)
        for thing in things
    )
    return Diary(
        day=day,
        by=by,
        columns=columns,
        hours=tuple(hour_labels(location, day, frame)),
        last_row=frame.last_row,
        now_row=now_row_of(frame, at),
        # What the columns are made of: equal facts make equal columns.
        etag=digest(
            (
                private,
                by,
                day,
                now_row_of(frame, at),
                list(map(tuple, visits)),
                [str(each) for each in things],
                hours,
                absences,
            )
        ),
    )


def hours_at(location: Location, day: date) -> dict[int | None, list[Span]]:
    """Return the day's opening spans: under None the location's, else the practitioner's within those."""
    walls = hours_of_days(location, day, day)[day]
    spans = {who: hours_of_day(own, day, location.zone) for who, own in walls.items()}
    place = spans.get(None, [])
    return {who: within for who, own in spans.items() if (within := common(own, place))}


def _things(location: Location, by: Kind, people: set[int]) -> list[Thing]:
    if by == "room":
        return list(Room.objects.filter(location=location, is_active=True))
    if by == "device":
        return list(Device.objects.filter(location=location, is_active=True))
    return list(Practitioner.objects.filter(pk__in=people))


def absences_of(things: Sequence[Thing], by: Kind, location: Location, day: date) -> dict[int, list[Span]]:
    """Return when each of the things is away on the day, by its key."""
    opens, closes = day_bounds(day, location.zone)
    found: dict[int, list[Span]] = defaultdict(list)
    rows = Absence.objects.filter(
        **{f"resource__{by}__in": [thing.pk for thing in things]}, starts_at__lt=closes, ends_at__gt=opens
    ).values_list(f"resource__{by}_id", "starts_at", "ends_at")
    for key, starts_at, ends_at in rows:
        found[key].append((int(starts_at.timestamp()), int(ends_at.timestamp())))
    return found


def frame_of(location: Location, day: date, hours: dict[int | None, list[Span]], visits: Sequence[DayVisit]) -> Frame:
    """Return the rows from the hour before anything begins to the hour in which everything has ended."""
    midnight, end = (int(each.timestamp()) for each in day_bounds(day, location.zone))
    spans = [span for each in hours.values() for span in each] + [_whole(visit) for visit in visits]
    opens = min((span[0] for span in spans), default=midnight + DAY_OPENS * 3600)
    closes = max((span[1] for span in spans), default=midnight + DAY_CLOSES * 3600)
    opens = max(opens - _past_the_hour(opens, location.zone), midnight)
    closes = min(closes + -_past_the_hour(closes, location.zone) % 3600, end)
    return Frame(opens, (closes - opens) // (ROW_MINUTES * 60))


def _past_the_hour(at: int, zone: ZoneInfo) -> int:
    wall = datetime.fromtimestamp(at, zone)
    return wall.minute * 60 + wall.second


def hour_labels(location: Location, day: date, frame: Frame) -> Iterable[Hour]:
    """Yield each full hour of the day that has a row."""
    for tick in grid(day, day, location.zone, 60):
        row = frame.row_at(tick)
        if 0 <= row < frame.last_row:
            yield Hour(row + 1, clock_label(datetime.fromtimestamp(tick, UTC), location.zone))


def now_row_of(frame: Frame, at: datetime) -> int | None:
    """Return the row in which it is now, None on another day."""
    row = frame.row_at(int(at.timestamp()))
    return row + 1 if 0 <= row < frame.last_row else None


class Held(NamedTuple):
    """A visit, and from when to when it holds the thing of the column."""

    span: Span
    visit: DayVisit


class Quarter(NamedTuple):
    """A quarter of an hour on the grid, whoever is free then."""

    span: Span
    gap: Gap
    is_over: bool


def held_by_thing(visits: Sequence[DayVisit], by: Kind) -> dict[int | None, list[Held]]:
    """Return what each thing is held for, in order."""
    key = attrgetter(f"{by}_id")
    found: dict[int | None, list[Held]] = defaultdict(list)
    for visit in visits:
        found[key(visit)].append(Held(_held(visit, by), visit))
    for each in found.values():
        each.sort(key=lambda held: (held.span, held.visit.ref))
    return found


def quarters_of(frame: Frame, location: Location, day: date, at: datetime) -> list[Quarter]:
    """Return every quarter of an hour on the grid; the same for all columns."""
    length, now = STEP_MINUTES * 60, int(at.timestamp())
    found = []
    for tick, query, label in _ticks(day, location.zone):
        block = frame.block((tick, tick + length))
        if block:
            found.append(Quarter((tick, tick + length), Gap(block, query, label), tick + length <= now))
    return found


@lru_cache(maxsize=64)
def _ticks(day: date, zone: ZoneInfo) -> list[tuple[int, str, str]]:
    """Return each quarter of an hour of a local day: the instant, how an address names it, and the time on the wall."""
    moments = [(tick, datetime.fromtimestamp(tick, UTC)) for tick in grid(day, day, zone)]
    return [(tick, quote(moment.isoformat()), clock_label(moment, zone)) for tick, moment in moments]


def column_of(
    thing: Thing,
    by: Kind,
    location: Location,
    frame: Frame,
    hours: dict[int | None, list[Span]],
    absences: list[Span],
    own: Sequence[Held],
    lines: dict[UUID, Line],
    quarters: Sequence[Quarter],
    at: datetime,
) -> Column:
    """Return one thing with its hours, its absences, its free quarters and its visits as blocks."""
    open_spans = hours.get(thing.pk if by == "practitioner" else None, [])
    busy = merged([held.span for held in own if held.visit.status in CLAIMING] + absences)
    free = list(_free(quarters, open_spans, busy))
    return Column(
        kind=by,
        ref=thing.ref,
        title=str(thing),
        subtitle=thing.title if isinstance(thing, Practitioner) else "",
        open=tuple(_blocks(frame, open_spans)),
        away=tuple(_blocks(frame, merged(absences))),
        missing=frame.missing(),
        gaps=tuple(each.gap for each in free if not each.is_over),
        past=tuple(each.gap for each in free if each.is_over),
        cards=tuple(_cards(frame, location, own, by, lines)),
        opens=frame.opens,
        over=min(max(frame.row_at(int(at.timestamp())), 0), frame.last_row),
        now_row=now_row_of(frame, at),
    )


def _blocks(frame: Frame, spans: Iterable[Span]) -> Iterable[Block]:
    return (block for span in spans if (block := frame.block(span)))


def _free(quarters: Sequence[Quarter], open_spans: Sequence[Span], busy: Sequence[Span]) -> Iterable[Quarter]:
    """Yield each quarter that lies in the open spans and is not held. `busy` is in order and does not overlap."""
    ends = [span[1] for span in busy]
    for quarter in quarters:
        starts, finish = quarter.span
        if any(opens <= starts and finish <= closes for opens, closes in open_spans):
            behind = bisect_right(ends, starts)  # the first span that ends after the quarter starts
            if behind == len(busy) or busy[behind][0] >= finish:
                yield quarter


def _cards(frame: Frame, location: Location, own: Sequence[Held], by: Kind, lines: dict[UUID, Line]) -> Iterable[Card]:
    lanes = side_by_side([held.span for held in own])
    for (span, visit), (lane, count) in zip(own, lanes, strict=True):
        block = frame.block(span)
        if block:
            line = lines[visit.ref]
            starts = label_of_time(datetime.fromtimestamp(span[0], UTC), location.zone)
            note = _("numbing from %(time)s") % {"time": line.starts} if starts != line.starts else ""
            rows = _phase_rows(visit) if by == "room" else (0, 0)
            yield Card(line, block._replace(lane=lane, lanes=count) if count > 1 else block, starts, note, *rows)


def _phase_rows(visit: DayVisit) -> tuple[int, int]:
    """Return how many rows of a room's block are for numbing before and cleaning after."""
    return visit.minutes_before // ROW_MINUTES, visit.minutes_after // ROW_MINUTES


def _whole(visit: DayVisit) -> Span:
    return int(visit.starts_at.timestamp()), int(visit.ends_at.timestamp())


def _held(visit: DayVisit, by: Kind) -> Span:
    """Return from when to when the visit holds a resource of this kind."""
    shape = Shape(visit.minutes_before, visit.minutes_work, visit.minutes_after, visit.joins_after)
    first, last = shape.window(by)
    start = int(visit.starts_at.timestamp())
    return start + first * 60, start + last * 60
