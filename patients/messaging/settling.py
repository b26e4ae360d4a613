"""What somebody's wishes do to the messages that still wait: shown at once, not only when each comes due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from clinic.audit.states import Actor
from clinic.transitions import move
from patients.messaging.models import Message
from patients.messaging.queries import routes_for
from patients.messaging.states import STOPPED, UNSENT, MessageStatus

_FOR_THE_NIGHT = "Held for quiet hours"


@dataclass(frozen=True)
class Settled:
    """How many waiting messages will not go out now, and how many go their way again."""

    stopped: int = 0
    freed: int = 0


@transaction.atomic
def settle_waiting(*, patients: Iterable[int], by: Actor, at: datetime, new_night: bool = False) -> Settled:
    """Every waiting message of these patients says whether their wishes let it go out.

    One that they stopped is held and says so; allowed again, it is planned for its own time. The sender asks once more
    when it comes due, so that an important one which stays stopped becomes a call. With `new_night`, what waits for
    the end of a night is looked at anew: it may be another night now. One that a person holds is left alone.
    """
    rows = Message.objects.filter(patient__in=list(patients), status__in=UNSENT).select_related("patient")
    waiting = [row for row in rows.select_for_update(no_key=True, of=("self",)).order_by("pk") if _ours(row)]
    routes = routes_for(waiting, at)
    stopped = freed = 0
    for row in waiting:
        why = f"{STOPPED}they asked us to stop." if routes[row.pk].is_stopped else ""
        is_stopped = row.is_stopped
        if why:
            stopped += 1
            if row.reason != why:
                _hold(row, why, by, at)
        elif is_stopped or (new_night and row.reason.startswith(_FOR_THE_NIGHT)):
            freed += is_stopped
            _free(row, by, at)
    return Settled(stopped, freed)


def _ours(row: Message) -> bool:
    return not row.is_held_by_desk


def _hold(row: Message, why: str, by: Actor, at: datetime) -> None:
    row.reason = why
    row.save(update_fields=["reason"])
    if row.status != MessageStatus.HELD:
        move(row, MessageStatus.HELD, by=by, at=at, reason=why)


def _free(row: Message, by: Actor, at: datetime) -> None:
    freed = move(row, MessageStatus.PLANNED, by=by, at=at, try_at=max(row.due_at, at))
    freed.reason = ""
    freed.save(update_fields=["reason"])
