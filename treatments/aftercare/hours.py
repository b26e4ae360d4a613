"""Clocks of an answer that somebody must act on, in minutes day and night or in a clinic's working time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from treatments.aftercare.states import ClockKind

# A clinic that does not open within this time has no working hours to wait for.
_HORIZON = timedelta(days=62)


@dataclass(frozen=True)
class Clock:
    """How long somebody has to respond."""

    kind: ClockKind
    amount: int

    def __str__(self) -> str:
        return f"{self.amount} {self.kind.label}"


@dataclass(frozen=True)
class Calendar:
    """When a clinic works: spans of wall time per weekday (0 = Monday), in its zone, and of days that are not as usual.

    A day among `dated` without spans is one on which it is closed.
    """

    zone: str
    hours: Mapping[int, tuple[tuple[time, time], ...]]
    dated: Mapping[date, tuple[tuple[time, time], ...]] = field(default_factory=dict)

    def spans(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield working spans from the day of an instant on, in UTC, in order, for about two months."""
        zone = ZoneInfo(self.zone)
        day = since.astimezone(zone).date()
        for ahead in range(_HORIZON.days):
            today = day + timedelta(days=ahead)
            usual = self.hours.get(today.weekday(), ())
            for opens, closes in sorted(self.dated.get(today, usual)):
                ends = [datetime.combine(today, each, tzinfo=zone).astimezone(UTC) for each in (opens, closes)]
                yield ends[0], ends[1]


def due_by(clock: Clock, opened_at: datetime, calendar: Calendar) -> datetime:
    """Return when the clock runs out for an answer given at `opened_at`, in UTC.

    Minutes run day and night. Working hours run only while the clinic works. N working days end with the last working
    hour of the N-th working day after the day of the answer. A clinic with no working hours in sight has plain hours
    and days of 24 hours: sooner is safer.
    """
    opened = opened_at.astimezone(UTC)
    if clock.kind == ClockKind.MINUTES:
        return opened + timedelta(minutes=clock.amount)
    if clock.kind == ClockKind.WORKING_HOURS:
        return _after_working_hours(clock.amount, opened, calendar)
    return _after_working_days(clock.amount, opened, calendar)


def halfway(opened_at: datetime, act_by: datetime) -> datetime:
    """Return when an unacknowledged alarm is paged again: at half of its clock."""
    return opened_at + (act_by - opened_at) / 2


def _after_working_hours(hours: int, opened: datetime, calendar: Calendar) -> datetime:
    left = timedelta(hours=hours)
    for start, end in calendar.spans(opened):
        begins = max(start, opened)
        if end <= begins:
            continue
        if end - begins >= left:
            return begins + left
        left -= end - begins
    return opened + timedelta(hours=hours)


def _after_working_days(days: int, opened: datetime, calendar: Calendar) -> datetime:
    zone = ZoneInfo(calendar.zone)
    today = opened.astimezone(zone).date()
    ends: dict[date, datetime] = {}
    for _, end in calendar.spans(opened):
        day = end.astimezone(zone).date()
        if day > today:
            ends[day] = max(end, ends.get(day, end))
    return list(ends.values())[days - 1] if len(ends) >= days else opened + timedelta(days=days)
