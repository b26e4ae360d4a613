"""Wall clocks and quiet hours. Walls are naive datetimes in a named zone, instants are aware and in UTC."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

# Steps keep to a few times of the day, so the same wall times come again with visit after visit.
_remembered = lru_cache(maxsize=20_000)


@_remembered
def to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a wall time.

    A time that comes twice in one night is the first of the two; one that is skipped is as much later as the clock
    was put forward (02:30 becomes 03:30). Both are what `fold=0` means.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


@_remembered
def to_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return what the clocks of the zone show at an instant."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


@_remembered
def oddity(wall: datetime, zone: ZoneInfo) -> str:
    """Return why a wall time is odd that night, empty when it comes exactly once."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    if first == second:
        return ""
    if to_wall(to_utc(wall, zone), zone) != wall:
        return f"{wall:%H:%M} does not exist that night: the clocks go forward"
    return f"{wall:%H:%M} comes twice that night: the first is meant"


def add_months(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day where it is shorter."""
    if not months:
        return day
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return day.replace(year=year, month=month, day=min(day.day, calendar.monthrange(year, month)[1]))


@dataclass(frozen=True)
class QuietHours:
    """The part of the night in which nobody is written to: from `starts` until just before `ends`, over midnight."""

    starts: time
    ends: time
    evening: time

    def covers(self, instant: datetime, zone: ZoneInfo) -> bool:
        shown = to_wall(instant, zone).time()
        return shown >= self.starts or shown < self.ends

    def next_allowed(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """Return the instant itself, or the end of the quiet hours it falls into."""
        if not self.covers(instant, zone):
            return instant
        wall = to_wall(instant, zone)
        day = wall.date() + timedelta(days=wall.time() >= self.starts)
        return to_utc(datetime.combine(day, self.ends), zone)

    def evening_before(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """Return the latest `evening` time that is not after the instant."""
        wall = to_wall(instant, zone)
        day = wall.date() - timedelta(days=wall.time() < self.evening)
        return to_utc(datetime.combine(day, self.evening), zone)
