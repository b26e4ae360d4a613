"""What patients may do alone at a place, which days are not as usual, and when a resource cannot be used.

Each act about time locks the resources first that a booking would lock, in the same order: a booking comes before and
is seen, or after and sees the day as it is now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time

from django.db import transaction
from django.db.models import Q

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.premises.models import Absence, DatedHours, Location, Resource
from clinic.premises.rules import MOST_DAYS, Walls, against_spans, days_from
from clinic.premises.states import HoursRefused
from clinic.staff.models import Practitioner
from clinic.transitions import lock


@transaction.atomic
def set_hours_of_days(
    *,
    location: Location,
    first: date,
    last: date,
    spans: Sequence[Walls],
    reason: str,
    people: Iterable[Practitioner] = (),
    by: Actor,
    at: datetime,
) -> None:
    """On each day from first to last the location is open for these spans and no others; none means closed.

    `people` work those same hours then, whatever theirs are; everybody else keeps their usual hours within them. What
    was said of these days before is replaced. Raises HoursRefused.
    """
    _refuse_days(first, last)
    wrong = against_spans(spans)
    if wrong:
        raise HoursRefused(wrong, field="closes")
    if not reason.strip():
        raise HoursRefused("Please say why.", field="reason")
    lock_place(location)
    days = days_from(first, last)
    DatedHours.objects.filter(location=location, day__in=days).delete()
    who: list[Practitioner | None] = [None, *(people if spans else ())]
    times: Sequence[tuple[time | None, time | None]] = spans or [(None, None)]
    DatedHours.objects.bulk_create(
        DatedHours(
            location=location,
            practitioner=person,
            day=day,
            opens=opens,
            closes=closes,
            reason=reason.strip(),
            set_at=at,
            set_by_name=by.name,
        )
        for day in days
        for person in who
        for opens, closes in times
    )
    record(
        action="location.hours_set",
        subject=location,
        by=by,
        at=at,
        first=first,
        last=last,
        hours=[f"{opens:%H:%M}-{closes:%H:%M}" for opens, closes in spans],
        people=[person for person in who if person],
        reason=reason.strip(),
    )


@transaction.atomic
def usual_hours_again(*, location: Location, first: date, last: date, by: Actor, at: datetime) -> int:
    """The days are as their weekday again. Returns how many had hours of their own; again changes nothing."""
    lock_place(location)
    rows = DatedHours.objects.filter(location=location, day__range=(first, last))
    days = rows.values("day").distinct().count()
    if days:
        rows.delete()
        record(action="location.usual_hours", subject=location, by=by, at=at, first=first, last=last)
    return days


@transaction.atomic
def note_absence(
    *, resource: Resource, starts_at: datetime, ends_at: datetime, reason: str, by: Actor, at: datetime
) -> Absence:
    """The practitioner, room or device cannot be used from then to then. Raises HoursRefused."""
    if ends_at <= starts_at:
        raise HoursRefused("The end comes after the beginning.", field="ends")
    if not reason.strip():
        raise HoursRefused("Please say why.", field="reason")
    Resource.objects.select_for_update(no_key=True).get(pk=resource.pk)
    absence = Absence.objects.create(
        resource=resource, starts_at=starts_at, ends_at=ends_at, reason=reason.strip()[:200]
    )
    record(
        action="absence.noted",
        subject=absence,
        by=by,
        at=at,
        resource=str(resource),
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason.strip(),
    )
    return absence


@transaction.atomic
def end_absence(*, absence: Absence, by: Actor, at: datetime) -> None:
    """The resource can be used again from now on: what has passed of the absence stays, the rest is gone."""
    Resource.objects.select_for_update(no_key=True).get(pk=absence.resource_id)
    rows = Absence.objects.filter(pk=absence.pk)
    fresh = rows.first()
    if fresh is None or fresh.ends_at <= at:
        return
    record(action="absence.ended", subject=fresh, by=by, at=at, resource=str(fresh.resource), was_until=fresh.ends_at)
    if fresh.starts_at < at:
        rows.update(ends_at=at)
    else:
        rows.delete()


@transaction.atomic
def set_self_service(
    *,
    location: Location,
    online_booking: bool,
    online_lead_hours: int,
    change_notice_hours: int,
    by: Actor,
    at: datetime,
) -> Location:
    """Visitors may or may not book consultations at the place, and patients may change visits until this notice."""
    fresh = lock(location)
    now: dict[str, object] = {
        "online_booking": online_booking,
        "online_lead_hours": online_lead_hours,
        "change_notice_hours": change_notice_hours,
    }
    was = {name: getattr(fresh, name) for name in now}
    if was == now:
        return fresh
    for name, value in now.items():
        setattr(fresh, name, value)
    fresh.save(update_fields=list(now))
    record(action="location.self_service", subject=fresh, by=by, at=at, was=was, now=now)
    return fresh


def _refuse_days(first: date, last: date) -> None:
    if last < first:
        raise HoursRefused("The last day comes before the first.", field="last")
    if (last - first).days >= MOST_DAYS:
        raise HoursRefused("At most a year at once, please.", field="last")


def lock_place(location: Location) -> None:
    """Whatever a visit here could claim is locked, in the order in which bookings lock it."""
    here = (
        Q(room__location=location)
        | Q(device__location=location)
        | Q(practitioner__in=Practitioner.objects.filter(hours__location=location).values("pk"))
        | Q(practitioner__in=Practitioner.objects.filter(dated_hours__location=location).values("pk"))
    )
    list(Resource.objects.select_for_update(no_key=True, of=("self",)).filter(here).order_by("pk").values_list("pk"))
