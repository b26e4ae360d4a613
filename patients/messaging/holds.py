"""Why a message must wait, or is pointless, though it is due: what only rooms above can know.

The sender asks at the moment of sending, so that nothing has to be taken back, and nothing forgotten, when the reason
begins or ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from patients.messaging.due import AnyMessage


class Objection(NamedTuple):
    """Why a message does not leave now; `for_good` where it is not wanted any more."""

    reason: str
    for_good: bool = False


Objections = Mapping[int, Objection]
Asked = Callable[[Sequence[AnyMessage], datetime], Objections]
_asked: dict[str, Asked] = {}


def objects(purpose: str, asked: Asked) -> None:
    """From now on `asked` is asked before messages of this purpose leave, once for all that are due together.

    It answers by their keys, for those against which something stands.
    """
    _asked[purpose] = asked


def objections_to(messages: Sequence[AnyMessage], at: datetime) -> Objections:
    """Return what stands against sending these messages now, by their keys."""
    found: dict[int, Objection] = {}
    for purpose, asked in _asked.items():
        mine = [message for message in messages if message.purpose == purpose]
        if mine:
            found |= asked(mine, at)
    return found
