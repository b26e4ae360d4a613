"""Which times are still there once others of the same pass are spoken for, and the pass in one sentence. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from treatments.booking.rules import Kind, Shape, Start, phases
from treatments.disruption.states import Outcome

# Who or what, by kind and key, from when to when.
Spoken = tuple[Kind, int, datetime, datetime]

_WORDS: Mapping[str, str] = {
    Outcome.MOVED: "reassigned",
    Outcome.OFFERED: "offered another time",
    Outcome.TO_CALL: "to call",
    Outcome.CANCELLED: "cancelled",
    Outcome.GIVEN_BACK: "given back",
    Outcome.FAILED: "not done",
}


def takes(shape: Shape, start: Start) -> list[Spoken]:
    """Return what a visit that begins there would hold."""
    keys: dict[Kind, int | None] = {
        "practitioner": start.practitioner_id,
        "room": start.room_id,
        "device": start.device_id,
    }
    return [
        (part.kind, key, part.starts_at, part.ends_at)
        for part in phases(shape, start.starts_at)
        if (key := keys[part.kind]) is not None
    ]


def is_spoken_for(wanted: Iterable[Spoken], spoken: Iterable[Spoken]) -> bool:
    """Return True if any of it was promised to another visit of the same pass."""
    held = list(spoken)
    return any(
        (kind, key) == (other_kind, other_key) and starts < other_ends and other_starts < ends
        for kind, key, starts, ends in wanted
        for other_kind, other_key, other_starts, other_ends in held
    )


def summary(outcomes: Iterable[str], waiting: int) -> str:
    """Return the pass in one sentence: “12 visits: 8 reassigned, 3 offered another time, 1 to call”."""
    counted = Counter(outcomes)
    parts = [f"{counted[word]} {said}" for word, said in _WORDS.items() if counted[word]]
    if waiting:
        parts.append(f"{waiting} still to decide")
    total = sum(counted.values()) + waiting
    if not total:
        return "No visit is affected."
    return f"{total} {'visit' if total == 1 else 'visits'}: {', '.join(parts)}"
