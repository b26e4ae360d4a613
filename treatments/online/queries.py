"""What the public pages may offer: places, kinds of visit, free times. Nothing here reads a patient."""

from __future__ import annotations

from datetime import datetime

from clinic.catalogue.models import AppointmentType
from clinic.catalogue.states import VisitKind
from clinic.premises.models import Location
from clinic.staff.models import Practitioner
from treatments.booking.queries import free_times, practitioners_at
from treatments.visits.queries import FreeDay, by_day
from treatments.visits.rules import is_choosable, offered_days


def open_places() -> list[Location]:
    """Return where visitors may book."""
    return list(Location.objects.filter(is_active=True, online_booking=True))


def open_kinds() -> list[AppointmentType]:
    """Return what visitors may book: consultations only, whatever the catalogue says of other visits."""
    return list(AppointmentType.objects.filter(is_bookable_online=True, kind=VisitKind.CONSULTATION, modality_group=""))


def may_choose(place: Location, starts_at: datetime, at: datetime) -> bool:
    """Return True for a time a visitor may ask for; whether it is free is for booking to say."""
    return is_choosable(starts_at, place.online_lead_hours, place.zone, at)


def free_days(place: Location, kind: AppointmentType, at: datetime) -> list[FreeDay]:
    """Return when anybody of the place is free for such a visit; days with nothing free left out."""
    first, last = offered_days(place.zone, at)
    starts = free_times(
        type=kind,
        location=place,
        first=first,
        last=last,
        practitioners=[each.pk for each in practitioners_at(place)],
        not_before=at,
    )
    return by_day((each.starts_at for each in starts if may_choose(place, each.starts_at, at)), place.zone)


def free_people(place: Location, kind: AppointmentType, starts_at: datetime, at: datetime) -> list[Practitioner]:
    """Return who is free for such a visit at that very time."""
    day = starts_at.astimezone(place.zone).date()
    people = {each.pk: each for each in practitioners_at(place)}
    starts = free_times(type=kind, location=place, first=day, last=day, practitioners=list(people), not_before=at)
    return [people[each.practitioner_id] for each in starts if each.starts_at == starts_at]
