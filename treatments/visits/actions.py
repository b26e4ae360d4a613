"""What patients change about their own visits. Booking does it, by the same gates as at the desk."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.transitions import lock
from clinic.worklist.actions import raise_task
from treatments.booking.actions import cancel_appointment, move_appointment
from treatments.booking.flow import confirm_appointment
from treatments.booking.models import Appointment
from treatments.booking.rules import clock_label
from treatments.booking.states import AppointmentStatus, StaleVersion
from treatments.visits.queries import may_change, may_choose
from treatments.visits.rules import SEEN_WITHIN
from treatments.visits.states import NotOffered, NotSooner, OwnReason, TooLate
from treatments.waitlist.actions import join_waitlist, leave_waitlist
from treatments.waitlist.models import WaitlistEntry
from treatments.waitlist.queries import waits_sooner
from treatments.waitlist.states import AlreadyWaiting


@transaction.atomic
def confirm_own_visit(*, appointment: Appointment, expected_version: int, by: Actor, at: datetime) -> Appointment:
    """The patient will come; saying so again changes nothing.

    Raises StaleVersion if somebody changed the visit since, IllegalMove unless it is booked.
    """
    fresh = lock(appointment)
    if fresh.status == AppointmentStatus.BOOKED and fresh.confirmed_at is not None:
        return fresh
    _refuse_stale(fresh, expected_version)
    return confirm_appointment(appointment=fresh, by=by, at=at)


@transaction.atomic
def cancel_own_visit(
    *, appointment: Appointment, expected_version: int, reason: str, by: Actor, at: datetime
) -> Appointment:
    """The visit is off, as by `cancel_appointment`; one that is off already stays as it is.

    `reason` is one of OwnReason. Raises StaleVersion if somebody changed the visit since, TooLate within the notice.
    """
    fresh = lock(appointment)
    if fresh.status == AppointmentStatus.CANCELLED:
        return fresh
    _refuse_stale(fresh, expected_version)
    if not may_change(fresh, at):
        raise TooLate
    done = cancel_appointment(appointment=fresh, reason=OwnReason(reason).value, by=by, at=at)
    who, when = done.patient.full_name[:100], _in_words(done.starts_at, done)
    _tell_the_desk(done, f"{who} cancelled their visit", f"It was on {when}. The time is free again.", by, at)
    return done


def _refuse_stale(appointment: Appointment, expected_version: int) -> None:
    if appointment.version != expected_version:
        when = clock_label(appointment.changed_at, appointment.location.zone)
        raise StaleVersion(appointment.changed_by_name, appointment.changed_at, when)


def _in_words(starts_at: datetime, visit: Appointment) -> str:
    local = starts_at.astimezone(visit.location.zone)
    return f"{local:%A} {local.day} {local:%B}, {clock_label(starts_at, visit.location.zone)}"


def _tell_the_desk(visit: Appointment, title: str, why: str, by: Actor, at: datetime) -> None:
    """A task for each change, so that nobody at the desk finds out from an empty chair."""
    raise_task(
        key=f"own_change:{visit.ref}:{visit.version}",
        kind="own_change",
        title=title,
        why=why,
        role=Role.FRONT_DESK,
        location=visit.location,
        due_at=at + SEEN_WITHIN,
        patient_ref=visit.patient.ref,
        about=visit.about,
        by=by,
        at=at,
    )


@transaction.atomic
def move_own_visit(
    *, appointment: Appointment, starts_at: datetime, expected_version: int, by: Actor, at: datetime
) -> Appointment:
    """The visit is at the new time with the same practitioner; one that is there already stays as it is.

    Raises TooLate within the notice, NotOffered for a time that no patient may choose alone, and whatever
    `move_appointment` raises: no rule is set aside for a patient.
    """
    # Not locked: booking locks in an order of its own. It refuses if the version has changed since this was read.
    fresh = Appointment.objects.select_related("location").get(pk=appointment.pk)
    if fresh.status == AppointmentStatus.BOOKED and fresh.starts_at == starts_at:
        return fresh
    if not may_change(fresh, at):
        raise TooLate
    if not may_choose(fresh, starts_at, at):
        raise NotOffered(field="starts_at")
    was = fresh.starts_at
    visit = move_appointment(
        appointment=fresh, starts_at=starts_at, expected_version=expected_version, by=by, at=at
    ).appointment
    who, when = visit.patient.full_name[:100], _in_words(visit.starts_at, visit)
    _tell_the_desk(visit, f"{who} moved their visit", f"Now {when}; it was {_in_words(was, visit)}.", by, at)
    return visit


@transaction.atomic
def ask_for_sooner(*, appointment: Appointment, by: Actor, at: datetime) -> WaitlistEntry:
    """The patient is offered earlier times for the visit as they become free; asking again changes nothing.

    The visit stays until they take one. Raises NotSooner for a visit that is not booked, or if they wait for such a
    visit already.
    """
    fresh = lock(appointment)
    already = waits_sooner(fresh)
    if already is not None:
        return already
    zone = fresh.location.zone
    if fresh.status != AppointmentStatus.BOOKED or fresh.starts_at <= at:
        raise NotSooner
    try:
        return join_waitlist(
            patient=fresh.patient,
            type=fresh.type,
            location=fresh.location,
            course=fresh.course,
            sooner_than=fresh,
            earliest_on=at.astimezone(zone).date(),
            latest_on=fresh.starts_at.astimezone(zone).date(),
            note="Asked for an earlier time from their own page.",
            by=by,
            at=at,
        )
    except AlreadyWaiting as waits:
        raise NotSooner("You are on the list for such a visit already. We write as soon as a time is free.") from waits


@transaction.atomic
def no_longer_sooner(*, appointment: Appointment, by: Actor, at: datetime) -> None:
    """No earlier time is offered for the visit any more; a time held for it is given back."""
    entry = waits_sooner(appointment)
    if entry is not None:
        leave_waitlist(entry=entry, reason="The patient no longer asks for an earlier time.", by=by, at=at)
