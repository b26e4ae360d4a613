"""A place's clock is changed: every visit to come keeps the time on the wall, and says so."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import IntegrityError, connection, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.premises.actions import lock_place
from clinic.premises.models import Location, check_time_zone
from clinic.transitions import lock
from treatments.booking.keeping import constraint_of, reconcile_visit, save_visit
from treatments.booking.models import Appointment, AppointmentQuerySet, Claim
from treatments.booking.rules import clock_label, first_instant
from treatments.booking.states import PENDING


class ZoneRefused(Refused):
    """The place's clock cannot be changed so."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, field="time_zone")


def change_time_zone(*, location: Location, time_zone: str, by: Actor, at: datetime) -> int:
    """The place lives by another zone; each visit to come is at the same time of its wall clock as before.

    All or nothing: visits, what they claim, and their messages move together, each with its trace. Returns how many
    visits kept their wall time by moving. Raises ZoneRefused for a name that is no zone, or if somebody who works
    elsewhere too would be in two places at once. The database refuses any other way to change the zone of a place
    that has visits to come.
    """
    try:
        check_time_zone(time_zone)
    except Exception as wrong:
        raise ZoneRefused(f"“{time_zone}” is not a time zone. Write it like Europe/London.") from wrong
    try:
        with transaction.atomic():
            return _change(location, time_zone, by, at)
    except IntegrityError as clash:
        if constraint_of(clash) != "claim_no_overlap":
            raise
        raise ZoneRefused(
            "Somebody would be in two places at once: a visit elsewhere lies at the new time. Move it first."
        ) from clash


def visits_to_come(location: Location, at: datetime) -> AppointmentQuerySet:
    """Return the visits whose wall time a change of clock keeps."""
    return Appointment.objects.filter(location=location, status__in=PENDING, starts_at__gt=at)


def _change(location: Location, time_zone: str, by: Actor, at: datetime) -> int:
    lock_place(location)
    fresh = lock(location)
    old, new = fresh.zone, ZoneInfo(time_zone)
    rows = visits_to_come(fresh, at)
    visits = list(rows.select_for_update(no_key=True).order_by("pk"))
    with connection.cursor() as cursor:
        # For this transaction alone: the trigger lets the zone change, because the visits change with it.
        cursor.execute("SELECT set_config('afterglow.time_zone_change', %s, true)", [str(fresh.pk)])
    fresh.time_zone = time_zone
    fresh.save(update_fields=["time_zone"])
    record(action="location.time_zone", subject=fresh, by=by, at=at, was=str(old), now=time_zone, visits=len(visits))
    moved = [(visit, _later(visit.starts_at, old, new)) for visit in visits]
    moved = [(visit, by_how_much) for visit, by_how_much in moved if by_how_much]
    claims = Claim.objects.filter(appointment__in=[visit.pk for visit, _ in moved], active=True)
    held: dict[int, list[Claim]] = {}
    for claim in claims:
        held.setdefault(claim.appointment_id, []).append(claim)
    # Let go of everything first: on the way nobody meets the place another visit of theirs is about to leave.
    claims.update(active=False)
    for visit, by_how_much in moved:
        _keep_wall_time(visit, by_how_much, held.get(visit.pk, []), fresh, by, at)
    return len(moved)


def _later(starts_at: datetime, old: ZoneInfo, new: ZoneInfo) -> timedelta:
    """Return how much later the same wall time comes in the new zone."""
    return first_instant(starts_at.astimezone(old).replace(tzinfo=None), new) - starts_at


def _keep_wall_time(
    visit: Appointment, by_how_much: timedelta, claims: list[Claim], location: Location, by: Actor, at: datetime
) -> None:
    was = visit.starts_at
    visit.location = location
    save_visit(
        visit,
        by,
        at,
        starts_at=was + by_how_much,
        ends_at=visit.ends_at + by_how_much,
        plan_revision=visit.plan_revision + 1,
    )
    for claim in claims:
        claim.period = (claim.period.lower + by_how_much, claim.period.upper + by_how_much)
        claim.active = True
        claim.save(update_fields=["period", "active"])
    record(
        action="appointment.kept_wall_time",
        subject=visit,
        by=by,
        at=at,
        was=was,
        starts_at=visit.starts_at,
        wall=clock_label(visit.starts_at, location.zone),
    )
    reconcile_visit(visit, by=by, at=at, reason="The clinic’s clock was changed.")
