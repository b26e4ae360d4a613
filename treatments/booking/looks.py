"""How a visit's step is shown: words, colour and sign."""

from __future__ import annotations

from typing import NamedTuple

from treatments.booking.states import Step


class Look(NamedTuple):
    """How a status is shown: words, colour and icon, never colour alone."""

    label: str
    tone: str
    icon: str


LOOKS: dict[str, Look] = {
    Step.PROPOSED: Look(Step.PROPOSED.label, "warn", "hold"),
    Step.BOOKED: Look(Step.BOOKED.label, "calm", "clock"),
    Step.CONFIRMED: Look(Step.CONFIRMED.label, "calm", "phone"),
    Step.ARRIVED: Look(Step.ARRIVED.label, "good", "person"),
    Step.IN_ROOM: Look(Step.IN_ROOM.label, "good", "place"),
    Step.DONE: Look(Step.DONE.label, "quiet", "check"),
    Step.NOSHOW: Look(Step.NOSHOW.label, "alarm", "alarm"),
    Step.CANCELLED: Look(Step.CANCELLED.label, "quiet", "close"),
    Step.ENTERED_IN_ERROR: Look(Step.ENTERED_IN_ERROR.label, "quiet", "close"),
}
