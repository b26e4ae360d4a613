"""A journey on a sample visit: whatever some patient may get. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from clinic.catalogue.states import VisitKind
from treatments.plan.clock import oddity, to_utc
from treatments.plan.protocols import Protocol
from treatments.plan.rules import Visit
from treatments.plan.states import Condition

# Long enough for every step of every protocol to be still to come.
BOOKED_AHEAD = timedelta(days=70)
# A rehearsal shows whatever some patient may get; these two take lines away instead.
EVERYTHING = frozenset(Condition.values) - {Condition.SKIN_TYPE_1_3, Condition.RETINOID_PLAN}


def sample_visit(protocol: Protocol, starts_at: datetime, zone: ZoneInfo) -> Visit:
    """Return a visit booked ten weeks ahead and, if it is a treatment, completed at the time it was booked for."""
    is_treatment = VisitKind.TREATMENT in protocol.visit_kinds
    return Visit(
        kind=VisitKind.TREATMENT if is_treatment else min(protocol.visit_kinds),
        starts_at=starts_at,
        zone=zone.key,
        booked_at=to_utc(starts_at - BOOKED_AHEAD, zone),
        completed_at=to_utc(starts_at, zone) if is_treatment else None,
        conditions=EVERYTHING,
    )


def odd_wall_time(wall: datetime, zone: ZoneInfo) -> str:
    """Return why a wall time is no plain answer in a zone: the clock skips it, or shows it twice. Empty if it is."""
    odd = oddity(wall, zone)
    if "does not exist" in odd:
        return f"{wall:%H:%M} does not exist in {zone.key} on {wall:%d %B %Y}: the clocks go forward."
    return f"{wall:%H:%M} comes twice in {zone.key} on {wall:%d %B %Y}: the clocks go back." if odd else ""
