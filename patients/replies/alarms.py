"""Who is rung when a text may speak of an emergency. A room above that owns alarms says how; till then a task does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from clinic.audit.states import Actor
from patients.replies.models import Conversation, Reply

# Returns whether an alarm stands that a named person is asked to take.
Bell = Callable[[Conversation, Reply, Actor, datetime], bool]
_bells: list[Bell] = []


def rings(bell: Bell) -> None:
    """From now on `bell` is rung for each text that may speak of an emergency."""
    if bell not in _bells:
        _bells.append(bell)


def bells() -> tuple[Bell, ...]:
    return tuple(_bells)
