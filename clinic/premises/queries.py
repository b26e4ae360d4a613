"""Where someone works, and where the request is."""

from __future__ import annotations

from typing import Any

from clinic.premises.models import Location
from clinic.staff.models import User

LOCATION_KEY = "location"


def work_places(user: User) -> list[Location]:
    """Return the locations the person works at, by name."""
    return list(Location.objects.visible_to(user))


def chosen_location(session: Any, locations: list[Location]) -> Location | None:
    """Return the one of these locations that was chosen in this session, else the first, else None."""
    chosen = session.get(LOCATION_KEY)
    return next(
        (location for location in locations if str(location.ref) == chosen), locations[0] if locations else None
    )
