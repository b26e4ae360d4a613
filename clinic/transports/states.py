"""What a gateway may answer: a closed set of four."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

NO_NUMBER = "This is not a mobile number."
OPTED_OUT = "This number has asked to get no more texts (opted out at the gateway)."
BAD_NUMBER = "The gateway says that this is no number it can text."


class _Quoting:
    """What a gateway said can be stored whatever it was: signs that no database text may hold are shown as lost."""

    def __post_init__(self) -> None:
        for name in ("ref", "answer"):
            if name in vars(self):
                said = vars(self)[name].encode(errors="replace").decode().replace("\x00", "\ufffd")
                object.__setattr__(self, name, said)


@dataclass(frozen=True)
class Sent(_Quoting):
    """The gateway has taken it over. `ref` is what the gateway calls it."""

    ref: str


@dataclass(frozen=True)
class Retry(_Quoting):
    """Nothing left; it may be tried again, not before `after` if the gateway named a time.

    `gateway_down` says that it is the gateway, not the message: the next message would fare no better.
    """

    answer: str
    after: timedelta | None = None
    gateway_down: bool = False


@dataclass(frozen=True)
class Failed(_Quoting):
    """The gateway refuses it for good; nothing left.

    `opted_out` says that the person told the gateway to send no more: that holds for every message, not for this one.
    """

    answer: str
    opted_out: bool = False


@dataclass(frozen=True)
class Unknown(_Quoting):
    """It left us whole, and the answer was lost: it may have been taken over or not."""

    answer: str


Receipt = Sent | Retry | Failed | Unknown
