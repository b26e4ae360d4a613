"""When the next session of a course may be: whole local days from the last completed one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Treated:
    """A treatment that truly happened: which laser, when it ended (aware), and the days that laser wants after it."""

    modality: str
    label: str
    completed_at: datetime
    interval_days: int


@dataclass(frozen=True)
class Earliest:
    """The first local date a session may be on, None when nothing holds it back, and why."""

    on: date | None
    reason: str = ""


def earliest_next(completed_at: datetime, interval_days: int, zone: ZoneInfo) -> date:
    """Return the first local date on which the next session may be.

    Counts whole days on the location's calendar from the day the last session was completed: 28 days after
    1 March is 29 March, whatever the hour and whether or not the clocks changed. Raises ValueError for a time
    without a zone.
    """
    if completed_at.tzinfo is None:
        raise ValueError("completed_at needs a time zone.")
    return completed_at.astimezone(zone).date() + timedelta(days=interval_days)


def earliest_of(treated: Iterable[Treated], own_interval_days: int, zone: ZoneInfo) -> Earliest:
    """Return the latest of the earliest dates after each treatment, whichever laser it was.

    Between two lasers the longer of their intervals counts: skin that had an ablative treatment needs its time before
    a gentler one too. Source: CLINICAL R46.
    """
    found = Earliest(None)
    for each in treated:
        days = max(each.interval_days, own_interval_days)
        on = earliest_next(each.completed_at, days, zone)
        if found.on is None or on > found.on:
            done_on = each.completed_at.astimezone(zone).date()
            found = Earliest(on, f"{each.label} was on {say(done_on)}, and {days} days must lie between")
    return found


def later(first: Earliest, second: Earliest) -> Earliest:
    """Return whichever holds back longer."""
    if first.on is None or (second.on is not None and second.on > first.on):
        return second
    return first


def propose_dates(first: date, sessions: int, interval_days: int) -> list[date]:
    """Return a date for each of the sessions, from `first` on, each `interval_days` after the one before."""
    return [first + timedelta(days=interval_days * index) for index in range(sessions)]


def say(day: date) -> str:
    """Return the date as people say it: 14 May 2026."""
    return f"{day.day} {day:%B %Y}"
