"""How an instant reads on the wall clock of a place."""

from __future__ import annotations

from datetime import datetime, tzinfo


def clock_label(at: datetime, zone: tzinfo) -> str:
    """Return the wall time as HH:MM, with the zone's letters when that time comes twice that night."""
    local = at.astimezone(zone)
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{local:%H:%M} {local:%Z}" if twice else f"{local:%H:%M}"


def day_and_clock(at: datetime, zone: tzinfo) -> str:
    """Return the local day and wall time as a sentence says them: 23 November 2026 at 10:42."""
    local = at.astimezone(zone)
    return f"{local.day} {local:%B %Y} at {clock_label(at, zone)}"
