"""Which times suit somebody who waits, and how long one is held for them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

# How long a time is held, how short a hold may be, and how long before the visit it must end: the clinic's decision.
HOLD = timedelta(hours=2)
SHORTEST_HOLD = timedelta(minutes=30)
LEAD = timedelta(hours=2)
# The wishes of somebody who could come at any time of the day.
ANY_TIME = (time(0), time(23, 59))
# How far ahead free times are looked for, in days.
DAYS_AHEAD = 30


@dataclass(frozen=True)
class Wishes:
    """When somebody could come, by the wall clock of the place. No weekdays (0 = Monday) means any."""

    earliest_on: date
    latest_on: date
    weekdays: frozenset[int]
    not_before: time
    not_after: time

    def suit(self, starts_at: datetime, zone: ZoneInfo) -> bool:
        """Return True if a visit may begin then: on a wished day, between the wished times, both included."""
        wall = starts_at.astimezone(zone)
        return (
            self.earliest_on <= wall.date() <= self.latest_on
            and (not self.weekdays or wall.weekday() in self.weekdays)
            and self.not_before <= wall.time() <= self.not_after
        )


@dataclass(frozen=True)
class Hold:
    """From when somebody can read the offer, and until when the time is theirs to take."""

    told_at: datetime
    ends_at: datetime


def hold_for(starts_at: datetime, *, readable_at: datetime) -> Hold | None:
    """Return the hold of an offer that can be read from `readable_at` on; None if the visit is too near for one.

    It lasts two hours, less when the visit is near, and counts from when the message may be read: the night is not
    part of it.
    """
    ends_at = min(readable_at + HOLD, starts_at - LEAD)
    return Hold(readable_at, ends_at) if ends_at - readable_at >= SHORTEST_HOLD else None


def window(wishes: Wishes, today: date, earliest_on: date | None) -> tuple[date, date] | None:
    """Return the first and last local day worth looking at; None if there is none yet."""
    first = max(wishes.earliest_on, today, earliest_on or today)
    last = min(wishes.latest_on, today + timedelta(days=DAYS_AHEAD - 1))
    return (first, last) if first <= last else None


def overlaps(starts_at: datetime, ends_at: datetime, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    """Return True if the time touches one of the spans."""
    return any(starts_at < end and start < ends_at for start, end in spans)
