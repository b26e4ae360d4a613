"""Where someone works, where the request is, and which hours hold on which day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db.models import DateField, PositiveSmallIntegerField, Q, Value

from clinic.premises.models import DatedHours, Location, OpeningHours
from clinic.premises.rules import Hours, Row, days_from, hours_on
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


def hours_of_days(
    location: Location, first: date, last: date, people: Iterable[int] | None = None
) -> dict[date, Hours]:
    """Return the hours of each day from first to last: the location's under None, each practitioner's under their key.

    Wall times, dated hours instead of the weekday's. One query. `people` limits whose are read besides the location's.
    """
    wanted = Q(location=location)
    if people is not None:
        wanted &= Q(practitioner=None) | Q(practitioner__in=list(people))
    days = days_from(first, last)
    usual = OpeningHours.objects.filter(wanted, weekday__in={day.weekday() for day in days}).order_by()
    dated = DatedHours.objects.filter(wanted, day__range=(first, last)).order_by()
    rows = [
        Row(*row)
        for row in usual.values_list(
            "practitioner_id", "weekday", Value(None, output_field=DateField()), "opens", "closes"
        ).union(
            dated.values_list(
                "practitioner_id", Value(None, output_field=PositiveSmallIntegerField()), "day", "opens", "closes"
            ),
            all=True,
        )
    ]
    return {day: hours_on(rows, day) for day in days}


def dated_hours(location: Location, first: date) -> list[DatedHours]:
    """Return the location's days from `first` on that are not as usual, in order; its practitioners' rows beside."""
    rows = DatedHours.objects.filter(location=location, day__gte=first).select_related("practitioner")
    return list(rows.order_by("day", "practitioner_id", "opens"))
