"""What a letter carries besides its words. Rooms above say what goes with a message about their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from patients.messaging.due import AnyMessage


class CalendarFile(NamedTuple):
    """A visit for the reader's calendar; `method` is REQUEST for one that stands, CANCEL for one that is off."""

    method: str
    text: str


Maker = Callable[[AnyMessage, str], CalendarFile | None]
_makers: dict[str, Maker] = {}


def encloses(kind: str, maker: Maker) -> None:
    """From now on `maker` is asked what goes with letters whose `about` is of this kind, as "appointment"."""
    _makers[kind] = maker


def enclosure_of(message: AnyMessage, to: str) -> CalendarFile | None:
    """Return what goes with the letter to this address as things stand now; None for words alone."""
    maker = _makers.get(message.about.partition(":")[0])
    return maker(message, to) if maker else None
