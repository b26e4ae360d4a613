"""The day as its pages show it: rows of the list, columns and blocks of the grid. Reads, arranges, decides nothing."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import quote
from uuid import UUID

from django.utils.translation import gettext as _

from clinic.premises.models import Absence, Device, Location, OpeningHours, Room
from clinic.staff.models import Practitioner
from treatments.booking.queries import DayVisit, visits_of_day
from treatments.booking.rules import (
    ROW_MINUTES,
    STEP_MINUTES,
    TREATING,
    Block,
    Kind,
    Shape,
    Span,
    clock_label,
    day_bounds,
    grid,
    hours_of_day,
    merged,
    rows_between,
    side_by_side,
)
from treatments.booking.states import CLAIMING, AppointmentStatus, Step

_S = AppointmentStatus
# A day has few distinct times and each is shown often.
_label = lru_cache(maxsize=4096)(clock_label)
DAY_OPENS, DAY_CLOSES = 9, 17  # what an empty day shows where no hours are set


class Look(NamedTuple):
    """How a status is shown: words, colour and icon, never colour alone."""

    label: str
    tone: str
    icon: str


LOOKS: dict[str, Look] = {
    Step.PROPOSED: Look(Step.PROPOSED.label, "warn", "hold"),
    Step.BOOKED: Look(Step.BOOKED.label, "calm", "clock"),
    Step.CONFIRMED: Look(Step.CONFIRMED.label, "calm", "phone"),
    Step.ARRIVED: Look(Step.ARRIVED.label, "good", "person"),
    Step.IN_ROOM: Look(Step.IN_ROOM.label, "good", "place"),
    Step.DONE: Look(Step.DONE.label, "quiet", "check"),
    Step.NOSHOW: Look(Step.NOSHOW.label, "alarm", "alarm"),
    Step.CANCELLED: Look(Step.CANCELLED.label, "quiet", "close"),
    Step.ENTERED_IN_ERROR: Look(Step.ENTERED_IN_ERROR.label, "quiet", "close"),
}


class Mark(NamedTuple):
    """Something the desk should know of a visit, without any medical answer."""

    icon: str
    label: str
    tone: str


class Line(NamedTuple):
    """A visit on the day's list."""

    visit: DayVisit
    name: str
    starts: str
    ends: str
    look: Look
    marks: tuple[Mark, ...]
    is_over: bool
    is_late: bool

    @property
    def is_treatment(self) -> bool:
        return self.visit.kind in TREATING


def name_of(visit: DayVisit, private: bool) -> str:
    """Return the patient's name, or initials while others can see the screen."""
    if not private:
        return visit.name
    return " ".join(f"{part[0]}." for part in (visit.given_name, visit.family_name) if part)


def lines_of(visits: Iterable[DayVisit], location: Location, at: datetime, *, private: bool) -> list[Line]:
    """Return the visits as rows of the day's list, in order."""
    return [line_of(visit, location, at, private=private) for visit in visits]


def line_of(visit: DayVisit, location: Location, at: datetime, *, private: bool) -> Line:
    """Return one visit as a row of the day's list."""
    zone = location.zone
    return Line(
        visit=visit,
        name=name_of(visit, private),
        starts=_label(visit.starts_at, zone),
        ends=_label(visit.ends_at, zone),
        look=LOOKS[visit.step],
        marks=tuple(marks_of(visit)),
        is_over=visit.status in (_S.FULFILLED, _S.CANCELLED, _S.NOSHOW),
        is_late=visit.status == _S.BOOKED and visit.starts_at + timedelta(minutes=5) < at,
    )


def marks_of(visit: DayVisit) -> Iterable[Mark]:
    """Yield what is missing or worth knowing of a visit that is still to happen."""
    if visit.override_reason:
        yield Mark("shield", _("Booked past a rule"), "warn")
    if visit.status in (_S.FULFILLED, _S.CANCELLED, _S.NOSHOW):
        return
    if not visit.has_answers:
        yield Mark("document", _("Questionnaire missing"), "warn")
    if visit.has_open_flags:
        yield Mark("review", _("Waits for a clinician’s review"), "warn")
    if visit.kind in TREATING and not visit.is_cleared:
        yield Mark("question", _("No decision in force"), "alarm")
    if visit.kind in TREATING and not visit.has_consent:
        yield Mark("pen", _("Consent missing"), "warn")
    if not visit.has_been_here:
        yield Mark("leaf", _("First visit"), "calm")


def counted(lines: Sequence[Line]) -> dict[str, int]:
    """Return how many visits there are, are expected, are here and are done."""
    by: dict[str, int] = defaultdict(int)
    for line in lines:
        by[line.visit.status] += 1
    return {
        "all": sum(count for status, count in by.items() if status != _S.CANCELLED),
        "expected": by[_S.BOOKED] + by[_S.PROPOSED],
        "here": by[_S.ARRIVED],
        "done": by[_S.FULFILLED],
    }


# --- the grid ---------------------------------------------------------------------------------------------------


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
    gaps: tuple[Gap, ...]
    cards: tuple[Card, ...]
    opens: int  # the instant of the first row
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
class _Frame:
    opens: int
    last_row: int

    def block(self, span: Span) -> Block | None:
        return rows_between(self.opens, span[0], span[1], self.last_row)


Thing = Practitioner | Room | Device


def diary_of(location: Location, day: date, by: Kind, at: datetime, *, private: bool) -> Diary:
    """Return the day's grid with a column for each practitioner, room or device. Four queries."""
    visits = [visit for visit in visits_of_day(location, day) if visit.status != _S.CANCELLED]
    hours = _hours(location, day)
    things = _things(location, by, {visit.practitioner_id for visit in visits} | {key for key in hours if key})
    absences = _absences(things, by, location, day)
    frame = _frame(location, day, hours, visits)
    lines = {visit.ref: line_of(visit, location, at, private=private) for visit in visits}
    held = _held_by_thing(visits, by)
    quarters = _quarters(frame, location, day, at)
    columns = tuple(
        _column(
            thing, by, location, frame, hours, absences[thing.pk], held[thing.pk], lines, quarters, _now_row(frame, at)
        )
        for thing in things
    )
    return Diary(
        day=day,
        by=by,
        columns=columns,
        hours=tuple(_hour_labels(location, day, frame)),
        last_row=frame.last_row,
        now_row=_now_row(frame, at),
        # What the columns are made of: equal facts make equal columns.
        etag=_digest((private, by, day, _now_row(frame, at), visits, [str(each) for each in things], hours, absences)),
    )


def etag_of(lines: Sequence[Line], private: bool) -> str:
    """Return a mark of the list as it is shown; equal lists have equal marks."""
    return _digest((private, lines))


def _digest(shown: object) -> str:
    return f'"{hashlib.sha256(repr(shown).encode()).hexdigest()[:24]}"'


def _hours(location: Location, day: date) -> dict[int | None, list[Span]]:
    """Return the day's opening spans: under None the location's, else the practitioner's within those."""
    found: dict[int | None, list[tuple[object, object]]] = defaultdict(list)
    rows = OpeningHours.objects.filter(location=location, weekday=day.weekday()).values_list(
        "practitioner_id", "opens", "closes"
    )
    for person, opens, closes in rows:
        found[person].append((opens, closes))
    return {person: hours_of_day(walls, day, location.zone) for person, walls in found.items()}  # type: ignore[arg-type]


def _things(location: Location, by: Kind, people: set[int]) -> list[Thing]:
    if by == "room":
        return list(Room.objects.filter(location=location, is_active=True))
    if by == "device":
        return list(Device.objects.filter(location=location, is_active=True))
    return list(Practitioner.objects.filter(pk__in=people))


def _absences(things: Sequence[Thing], by: Kind, location: Location, day: date) -> dict[int, list[Span]]:
    opens, closes = day_bounds(day, location.zone)
    found: dict[int, list[Span]] = defaultdict(list)
    rows = Absence.objects.filter(
        **{f"resource__{by}__in": [thing.pk for thing in things]}, starts_at__lt=closes, ends_at__gt=opens
    ).values_list(f"resource__{by}_id", "starts_at", "ends_at")
    for key, starts_at, ends_at in rows:
        found[key].append((int(starts_at.timestamp()), int(ends_at.timestamp())))
    return found


def _frame(location: Location, day: date, hours: dict[int | None, list[Span]], visits: Sequence[DayVisit]) -> _Frame:
    """Return the rows from the hour before anything begins to the hour in which everything has ended."""
    midnight, end = (int(each.timestamp()) for each in day_bounds(day, location.zone))
    spans = [span for each in hours.values() for span in each] + [_whole(visit) for visit in visits]
    opens = min((span[0] for span in spans), default=midnight + DAY_OPENS * 3600)
    closes = max((span[1] for span in spans), default=midnight + DAY_CLOSES * 3600)
    opens = max(opens - (opens - midnight) % 3600, midnight)
    closes = min(closes + (midnight - closes) % 3600, end)
    return _Frame(opens, (closes - opens) // (ROW_MINUTES * 60))


def _hour_labels(location: Location, day: date, frame: _Frame) -> Iterable[Hour]:
    for tick in grid(day, day, location.zone, 60):
        row = (tick - frame.opens) // (ROW_MINUTES * 60)
        if 0 <= row < frame.last_row:
            yield Hour(row + 1, clock_label(datetime.fromtimestamp(tick, UTC), location.zone))


def _now_row(frame: _Frame, at: datetime) -> int | None:
    row = (int(at.timestamp()) - frame.opens) // (ROW_MINUTES * 60)
    return row + 1 if 0 <= row < frame.last_row else None


class Held(NamedTuple):
    """A visit, and from when to when it holds the thing of the column."""

    span: Span
    visit: DayVisit


class _Quarter(NamedTuple):
    span: Span
    gap: Gap


def _held_by_thing(visits: Sequence[DayVisit], by: Kind) -> dict[int | None, list[Held]]:
    """Return what each thing is held for, in order."""
    key = attrgetter(f"{by}_id")
    found: dict[int | None, list[Held]] = defaultdict(list)
    for visit in visits:
        found[key(visit)].append(Held(_held(visit, by), visit))
    for each in found.values():
        each.sort(key=lambda held: (held.span, held.visit.ref))
    return found


def _quarters(frame: _Frame, location: Location, day: date, at: datetime) -> list[_Quarter]:
    """Return every quarter of an hour on the grid that is not over; the same for all columns."""
    length, now = STEP_MINUTES * 60, int(at.timestamp())
    found = []
    for tick in grid(day, day, location.zone):
        block = frame.block((tick, tick + length))
        if block and tick + length > now:
            starts_at = datetime.fromtimestamp(tick, UTC)
            gap = Gap(block, quote(starts_at.isoformat()), _label(starts_at, location.zone))
            found.append(_Quarter((tick, tick + length), gap))
    return found


def _column(
    thing: Thing,
    by: Kind,
    location: Location,
    frame: _Frame,
    hours: dict[int | None, list[Span]],
    absences: list[Span],
    own: Sequence[Held],
    lines: dict[UUID, Line],
    quarters: Sequence[_Quarter],
    now_row: int | None = None,
) -> Column:
    open_spans = hours.get(thing.pk if by == "practitioner" else None, [])
    busy = merged([held.span for held in own if held.visit.status in CLAIMING] + absences)
    return Column(
        kind=by,
        ref=thing.ref,
        title=str(thing),
        subtitle=thing.title if isinstance(thing, Practitioner) else "",
        open=tuple(_blocks(frame, open_spans)),
        away=tuple(_blocks(frame, merged(absences))),
        gaps=tuple(_gaps(quarters, open_spans, busy)),
        cards=tuple(_cards(frame, location, own, by, lines)),
        opens=frame.opens,
        now_row=now_row,
    )


def _blocks(frame: _Frame, spans: Iterable[Span]) -> Iterable[Block]:
    return (block for span in spans if (block := frame.block(span)))


def _gaps(quarters: Sequence[_Quarter], open_spans: Sequence[Span], busy: Sequence[Span]) -> Iterable[Gap]:
    """Yield each quarter that lies in the open spans and is not held. `busy` is in order and does not overlap."""
    ends = [span[1] for span in busy]
    for (starts, finish), gap in quarters:
        if any(opens <= starts and finish <= closes for opens, closes in open_spans):
            behind = bisect_right(ends, starts)  # the first span that ends after the quarter starts
            if behind == len(busy) or busy[behind][0] >= finish:
                yield gap


def _cards(frame: _Frame, location: Location, own: Sequence[Held], by: Kind, lines: dict[UUID, Line]) -> Iterable[Card]:
    lanes = side_by_side([held.span for held in own])
    for (span, visit), (lane, count) in zip(own, lanes, strict=True):
        block = frame.block(span)
        if block:
            line = lines[visit.ref]
            starts = _label(datetime.fromtimestamp(span[0], UTC), location.zone)
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
