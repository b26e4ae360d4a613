"""The dates of a course as one: which free time comes nearest to a wish, and in what order visits move. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

# How many days after the wished one free times are looked for, and how many days are shown to choose from.
LOOK_DAYS = 21
SHOWN_DAYS = 7


def nearest_by_day(free: Iterable[datetime], around: time, zone: ZoneInfo) -> dict[date, datetime]:
    """Return for each local day the free time nearest to the wished wall time; the earlier one of two equally near."""
    found: dict[date, datetime] = {}
    for at in sorted(free):
        wall = at.astimezone(zone)
        day = wall.date()
        if day not in found or _apart(wall, around) < _apart(found[day].astimezone(zone), around):
            found[day] = at
    return found


def nearest(free: Iterable[datetime], wished: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the free time nearest to the wish on the first day, from the wished one on, that has any; else None."""
    wall = wished.astimezone(zone)
    days = nearest_by_day((at for at in free if at.astimezone(zone).date() >= wall.date()), wall.time(), zone)
    return days[min(days)] if days else None


def _apart(wall: datetime, around: time) -> int:
    return abs(wall.hour * 60 + wall.minute - around.hour * 60 - around.minute)


def shifted(starts_at: datetime, days: int, zone: ZoneInfo) -> datetime:
    """Return the same wall time so many days later: 10:00 stays 10:00 when the clocks change between."""
    wall = starts_at.astimezone(zone)
    return datetime.combine(wall.date() + timedelta(days=days), wall.time(), tzinfo=zone)


def days_between(old: datetime, new: datetime, zone: ZoneInfo) -> int:
    """Return how many local days later the new time is; negative for an earlier one."""
    return (new.astimezone(zone).date() - old.astimezone(zone).date()).days


def in_safe_order(moves: Sequence[tuple[datetime, datetime]]) -> list[int]:
    """Return the order in which to make moves (old, new), so that none stands in the way of the next.

    Later visits first when all go back, earlier ones first when they come forward: the days between two sessions then
    never get fewer than before or after.
    """
    forward = sum((new > old) - (new < old) for old, new in moves)
    return sorted(range(len(moves)), key=lambda each: moves[each][0], reverse=forward >= 0)
