"""The arithmetic of the diary: what a visit claims and when, and the grid of wall times it may start on. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from clinic.clock import clock_label as clock_label
from treatments.plan.states import Condition

Kind = Literal["practitioner", "room", "device"]

# Visits start on multiples of this many minutes of the wall clock, unless asked otherwise.
STEP_MINUTES = 15
MOST_DAYS = 60

Span = tuple[int, int]  # half-open, seconds since 1970


@dataclass(frozen=True)
class Shape:
    """How a type of visit spends its minutes: before (numbing), work, after (clean-up)."""

    before: int
    work: int
    after: int
    joins_after: int = 0
    needs_room: bool = True
    needs_device: bool = False

    def __post_init__(self) -> None:
        if self.work <= 0 or min(self.before, self.after, self.joins_after) < 0:
            raise ValueError("A visit needs work of at least a minute, and no phase is negative.")
        if self.joins_after >= self.before + self.work:
            raise ValueError("The practitioner must join before the work ends.")

    @property
    def minutes(self) -> int:
        return self.before + self.work + self.after

    def window(self, kind: Kind) -> tuple[int, int]:
        """Return from which minute to which the visit holds a resource of this kind.

        The room is held throughout, the device for the work, the practitioner from joining until the work ends.
        """
        work_ends = self.before + self.work
        if kind == "room":
            return 0, self.minutes
        return (self.before if kind == "device" else self.joins_after), work_ends


class Part(NamedTuple):
    """One resource of a kind, held from one instant to another."""

    kind: Kind
    starts_at: datetime
    ends_at: datetime


def phases(shape: Shape, starts_at: datetime) -> list[Part]:
    """Return what a visit holds and when, practitioner first. Minutes are a stopwatch’s, clock changes or not."""
    kinds: list[Kind] = ["practitioner"]
    if shape.needs_room:
        kinds.append("room")
    if shape.needs_device:
        kinds.append("device")
    start = starts_at.astimezone(UTC)
    parts = []
    for kind in kinds:
        first, last = shape.window(kind)
        parts.append(Part(kind, start + timedelta(minutes=first), start + timedelta(minutes=last)))
    return parts


# --- wall clock -------------------------------------------------------------------------------------------------


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a naive wall time, as PostgreSQL's AT TIME ZONE reads it.

    A time that is skipped counts on from before the change (02:30 becomes 03:30); one that comes twice is the second.
    Opening hours are read this way in both places, so that desk and database never differ.
    """
    return max(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant a person means by a wall time they typed: the first, where it comes twice."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the instants between which the local day lies; 23, 24 or 25 hours apart."""
    start, end = (datetime.combine(each, time.min) for each in (day, day + timedelta(days=1)))
    return first_instant(start, zone), first_instant(end, zone)


class Stretch(NamedTuple):
    """A stretch of time in which the zone keeps one offset. All in seconds."""

    starts: int
    ends: int
    offset: int


@lru_cache(maxsize=256)
def stretches(zone: ZoneInfo, first: date, last: date) -> tuple[Stretch, ...]:
    """Return the stretches of equal offset that cover the local days from first to last."""
    start, end = (int(each.timestamp()) for each in (day_bounds(first, zone)[0], day_bounds(last, zone)[1]))
    found: list[Stretch] = []
    mark = at = start
    while at < end:
        step = min(at + 43_200, end)
        if _offset(step, zone) != _offset(at, zone):
            change = _change_between(at, step, zone)
            found.append(Stretch(mark, change, _offset(mark, zone)))
            mark = change
        at = step
    found.append(Stretch(mark, end, _offset(mark, zone)))
    return tuple(each for each in found if each.starts < each.ends)


def _offset(at: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _change_between(low: int, high: int, zone: ZoneInfo) -> int:
    """Return the first second after `low` at which the offset of `high` holds."""
    new = _offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(middle, zone) == new else (middle, high)
    return high


def grid(first: date, last: date, zone: ZoneInfo, step_minutes: int = STEP_MINUTES) -> list[int]:
    """Return every instant of the local days on which the wall clock shows a multiple of the step.

    Seconds since 1970, in order. A quarter-hour grid has 96 a day, 92 on a day of 23 hours and 100 on one of 25;
    a time that is skipped is not there, one that comes twice is there twice.
    """
    step = step_minutes * 60
    found: list[int] = []
    for starts, ends, offset in stretches(zone, first, last):
        found.extend(range(starts + (-(starts + offset)) % step, ends, step))
    return found


def starts_within(free: Iterable[Span], window: tuple[int, int], ticks: Sequence[int]) -> Iterator[int]:
    """Yield the ticks at which a visit may start so that its window (minutes from, to) lies in the free spans."""
    lead, tail = window[0] * 60, window[1] * 60
    for opens, closes in free:
        left, right = bisect_left(ticks, opens - lead), bisect_right(ticks, closes - tail)
        if left < right:
            yield from ticks[left:right]


class Start(NamedTuple):
    """A time at which a visit may begin, and with what; ids are database keys, `at` seconds since 1970."""

    at: int
    practitioner_id: int
    room_id: int | None
    device_id: int | None

    @property
    def starts_at(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


def open_starts(
    shape: Shape,
    ticks: Sequence[int],
    *,
    place: Sequence[Span],
    practitioners: Mapping[int, Sequence[Span]],
    rooms: Mapping[int, Sequence[Span]],
    devices: Mapping[int, Sequence[Span]],
) -> list[Start]:
    """Return when each practitioner can begin such a visit, in order of time, with the first free room and device.

    Each mapping holds the free spans of a resource; `place` those of the location. The whole visit lies within the
    location's hours, each part within what its resource has free.
    """
    within = set(starts_within(place, (0, shape.minutes), ticks))
    room_at = _first_free(shape, "room", rooms, ticks) if shape.needs_room else dict.fromkeys(within)
    device_at = _first_free(shape, "device", devices, ticks) if shape.needs_device else dict.fromkeys(within)
    within &= room_at.keys() & device_at.keys()
    window = shape.window("practitioner")
    found = [
        Start(at, key, room_at[at], device_at[at])
        for key, free in practitioners.items()
        for at in starts_within(free, window, ticks)
        if at in within
    ]
    found.sort(key=lambda start: start.at)
    return found


def _first_free(
    shape: Shape, kind: Kind, resources: Mapping[int, Sequence[Span]], ticks: Sequence[int]
) -> dict[int, int | None]:
    """Return for each possible start the first of the resources that is free for it."""
    window = shape.window(kind)
    found: dict[int, int | None] = {}
    for key in reversed(list(resources)):
        found.update(dict.fromkeys(starts_within(resources[key], window, ticks), key))
    return found


def covered(span: Span, free: Iterable[Span]) -> bool:
    """Return True if one of the free spans holds the whole span."""
    return any(opens <= span[0] and span[1] <= closes for opens, closes in free)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the same time as the spans, joined where they touch, in order; empty ones left out."""
    found: list[Span] = []
    for opens, closes in sorted(span for span in spans if span[0] < span[1]):
        if found and opens <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], closes))
        else:
            found.append((opens, closes))
    return found


def common(spans: Iterable[Span], others: Sequence[Span]) -> list[Span]:
    """Return the time that lies in both, in order."""
    return merged((max(a[0], b[0]), min(a[1], b[1])) for a in spans for b in others)


def hours_of_day(hours: Iterable[tuple[time, time]], day: date, zone: ZoneInfo) -> list[Span]:
    """Return opening hours of one local day as spans in seconds since 1970."""
    spans = []
    for opens, closes in hours:
        start, end = (int(instant(datetime.combine(day, wall), zone).timestamp()) for wall in (opens, closes))
        spans.append((start, max(start, end)))
    return merged(spans)


# --- what planning should know of the patient -------------------------------------------------------------------

# A questionnaire's answers that change what a patient is told before and after a treatment (CLINICAL section 3).
_TELLING: Mapping[str, Mapping[str, Condition]] = {
    "fst_confirmed": dict.fromkeys("123", Condition.SKIN_TYPE_1_3) | dict.fromkeys("456", Condition.SKIN_TYPE_4_6),
}
# What a clinician recorded when closing a task of the decision: task key, first word of the outcome.
_RECORDED: Mapping[tuple[str, str], Condition] = {("antiviral_decision", "give"): Condition.ANTIVIRAL_PRESCRIBED}


def conditions_of(
    answers: Mapping[str, object],
    named: Iterable[str],
    outcomes: Mapping[str, str],
    *,
    numbing: bool,
    news: bool = False,
) -> frozenset[str]:
    """Return the facts that decide which lines of a care protocol are for this patient.

    From the answers that were screened, the conditions a decision named by a known word, what its tasks came to
    (task key to outcome, as "give: renal function checked"), whether the visit has time for numbing, and whether the
    patient agreed to news: only they can, so a decision that names it does not. An answer that is missing or not sure
    says nothing.
    """
    found = {Condition(word) for word in named if word in Condition} - {Condition.NEWS_AGREED}
    if numbing:
        found.add(Condition.NUMBING)
    if news:
        found.add(Condition.NEWS_AGREED)
    for question, meanings in _TELLING.items():
        given = answers.get(question)
        values = given if isinstance(given, list) else [given]
        found |= {meanings[str(value)] for value in values if str(value) in meanings}
    for key, outcome in outcomes.items():
        meant = _RECORDED.get((key, outcome.partition(":")[0].strip()))
        found |= {meant} if meant else set()
    return frozenset(each.value for each in found)


# --- time to prepare ------------------------------------------------------------------------------------------------


def prepared_from(today: date, lead_days: int | None) -> date:
    """Return the first day for which whoever books today has time to prepare; today while nothing is decided."""
    return today + timedelta(days=lead_days or 0)


def lead_reason(lead_days: int) -> str:
    """Return why not before: how long ahead the clinic wants such a visit booked."""
    days = "a day" if lead_days == 1 else f"{lead_days} days"
    return f"it is booked at least {days} ahead, so that there is time to prepare"
