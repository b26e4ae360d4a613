"""Taking somebody or something out for a time, and finding each of its visits another place. One visit, one act."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.premises.actions import end_absence, note_absence, set_hours_of_days, usual_hours_again
from clinic.premises.models import Absence, DatedHours, Location, Resource
from clinic.premises.queries import hours_of_days
from clinic.premises.rules import MOST_DAYS, Walls, days_from, without
from clinic.premises.states import HoursRefused
from clinic.staff.models import Practitioner
from clinic.staff.states import Role
from clinic.transitions import lock
from clinic.worklist.actions import raise_task
from treatments.booking.actions import cancel_appointment, move_appointment
from treatments.booking.models import Appointment
from treatments.booking.pages import moment_words
from treatments.booking.rules import day_bounds
from treatments.booking.states import PENDING, CancelReason
from treatments.disruption.models import Disruption, DisruptionResult
from treatments.disruption.queries import not_covered
from treatments.disruption.states import CALL_KEY, Choice, DisruptionOver, NotAffected, Outcome, What
from treatments.waitlist.actions import end_offer, offer_instead
from treatments.waitlist.models import WaitlistOffer
from treatments.waitlist.states import OfferStatus

CALL_WITHIN = timedelta(hours=2)


@transaction.atomic
def note_disruption(
    *,
    what: What,
    location: Location,
    resource: Resource | None,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    by: Actor,
    at: datetime,
) -> Disruption:
    """From then to then nothing new is booked with it, and its visits wait to be rearranged. No visit changes yet.

    A place is closed for the hours of the period, day by day. Raises HoursRefused.
    """
    if ends_at <= starts_at:
        raise HoursRefused("The end comes after the beginning.", field="ends_on")
    if ends_at <= at:
        raise HoursRefused("That time has passed.", field="ends_on")
    absence = None
    if resource is not None:
        absence = note_absence(resource=resource, starts_at=starts_at, ends_at=ends_at, reason=reason, by=by, at=at)
    else:
        _close(location, starts_at, ends_at, reason, by, at)
    return _noted(what, location, resource, absence, starts_at, ends_at, reason, by, at)


@transaction.atomic
def change_hours(
    *,
    location: Location,
    first: date,
    last: date,
    spans: Sequence[Walls],
    reason: str,
    people: Iterable[Practitioner] = (),
    by: Actor,
    at: datetime,
) -> Disruption | None:
    """The days have these hours, none meaning closed. Visits that no longer fit are left standing, to be rearranged.

    Returns the disruption that lists them, None if every visit still fits. Raises HoursRefused.
    """
    set_hours_of_days(
        location=location, first=first, last=last, spans=spans, reason=reason, people=people, by=by, at=at
    )
    starts_at, ends_at = day_bounds(first, location.zone)[0], day_bounds(last, location.zone)[1]
    # The place's resources are locked: whoever booked in time is seen here, nobody can do so behind us.
    visits = Appointment.objects.filter(
        location=location, status__in=PENDING, starts_at__lt=ends_at, ends_at__gt=max(starts_at, at)
    )
    if not not_covered(location, list(visits)):
        return None
    return _noted(What.LOCATION, location, None, None, starts_at, ends_at, reason, by, at)


def _noted(
    what: What,
    location: Location,
    resource: Resource | None,
    absence: Absence | None,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    by: Actor,
    at: datetime,
) -> Disruption:
    disruption = Disruption.objects.create(
        what=what,
        location=location,
        resource=resource,
        absence=absence,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason.strip()[:200],
        noted_at=at,
        noted_by_name=by.name,
    )
    record(
        action="disruption.noted",
        subject=disruption,
        by=by,
        at=at,
        what=what,
        thing=disruption.thing,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=disruption.reason,
    )
    return disruption


def _close(location: Location, starts_at: datetime, ends_at: datetime, reason: str, by: Actor, at: datetime) -> None:
    """Each day of the period is open for what is left of it; who works on it for once still does."""
    zone = location.zone
    first, last = starts_at.astimezone(zone), (ends_at - timedelta(microseconds=1)).astimezone(zone)
    if (last.date() - first.date()).days >= MOST_DAYS:
        raise HoursRefused("At most a year at once, please.", field="ends_on")
    hours = hours_of_days(location, first.date(), last.date(), [])
    for day in days_from(first.date(), last.date()):
        begins = first.time() if day == first.date() else datetime.min.time()
        ends = last.time() if day == last.date() else datetime.max.time()
        # The last microsecond before the end is meant as the end itself.
        ends = ends if ends == datetime.max.time() else (datetime.combine(day, ends) + timedelta(microseconds=1)).time()
        left: list[Walls] = without(hours[day].get(None, ()), begins, ends)
        own = DatedHours.objects.filter(location=location, day=day, practitioner__isnull=False)
        people = Practitioner.objects.filter(pk__in=own.values("practitioner"))
        set_hours_of_days(
            location=location, first=day, last=day, spans=left, reason=reason, people=list(people), by=by, at=at
        )


@transaction.atomic
def end_disruption(*, disruption: Disruption, by: Actor, at: datetime) -> Disruption:
    """It can be used again from now on; what was rearranged stays. Raises DisruptionOver the second time."""
    fresh = lock(disruption)
    if fresh.over_at is not None:
        raise DisruptionOver
    if fresh.absence is not None:
        end_absence(absence=fresh.absence, by=by, at=at)
    elif fresh.resource_id is None:
        zone = fresh.location.zone
        today = at.astimezone(zone).date()
        first = max(fresh.starts_at.astimezone(zone).date(), today)
        last = (fresh.ends_at - timedelta(microseconds=1)).astimezone(zone).date()
        if first <= last:
            usual_hours_again(location=fresh.location, first=first, last=last, by=by, at=at)
    fresh.over_at = at
    fresh.save(update_fields=["over_at"])
    record(action="disruption.over", subject=fresh, by=by, at=at)
    return fresh


def rearrange(
    *,
    disruption: Disruption,
    appointment: Appointment,
    choice: Choice,
    expected_version: int,
    starts_at: datetime | None = None,
    practitioner: Practitioner | None = None,
    by: Actor,
    at: datetime,
) -> DisruptionResult:
    """What was chosen for one visit has happened, or the row says in words why not; other visits are not concerned.

    The visit must stand as the page showed it: whoever changed it since is named, and it is left as they left it.
    """
    was_at = appointment.starts_at
    try:
        with transaction.atomic():
            if disruption.over_at is not None:
                raise DisruptionOver
            outcome, sentence = _ACTS[choice](
                disruption, appointment, expected_version, starts_at, practitioner, by, at
            )
            return _result(disruption, appointment, outcome, sentence, was_at, by, at)
    except Refused as refused:
        with transaction.atomic():
            return _result(disruption, appointment, Outcome.FAILED, refused.for_people, was_at, by, at)


def _result(
    disruption: Disruption,
    appointment: Appointment,
    outcome: Outcome,
    sentence: str,
    was_at: datetime,
    by: Actor,
    at: datetime,
) -> DisruptionResult:
    record(
        action=f"disruption.{outcome.value}",
        subject=disruption,
        by=by,
        at=at,
        patient_ref=appointment.patient.ref,
        appointment=appointment,
        sentence=sentence,
    )
    return DisruptionResult.objects.create(
        disruption=disruption,
        appointment=appointment,
        outcome=outcome,
        was_at=was_at,
        sentence=sentence[:400],
        at=at,
        by_name=by.name,
    )


_Act = Callable[
    [Disruption, Appointment, int, datetime | None, Practitioner | None, Actor, datetime], tuple[Outcome, str]
]


def _move(
    disruption: Disruption,
    visit: Appointment,
    version: int,
    _starts_at: datetime | None,
    person: Practitioner | None,
    by: Actor,
    at: datetime,
) -> tuple[Outcome, str]:
    moved = move_appointment(
        appointment=visit,
        starts_at=visit.starts_at,
        expected_version=version,
        practitioner=person,
        by=by,
        at=at,
    )
    now = moved.appointment
    with_what = [str(each) for each in (now.practitioner, now.room, now.device) if each is not None]
    return Outcome.MOVED, f"Same time, now with {', '.join(with_what)}. {moved.messages.sentence}."


def _offer(
    _disruption: Disruption,
    visit: Appointment,
    version: int,
    starts_at: datetime | None,
    person: Practitioner | None,
    by: Actor,
    at: datetime,
) -> tuple[Outcome, str]:
    if starts_at is None or person is None:
        raise NotAffected
    offer = offer_instead(
        appointment=visit, expected_version=version, starts_at=starts_at, practitioner=person, by=by, at=at
    )
    until = moment_words(offer.ends_at, visit.location)
    return (
        Outcome.OFFERED,
        f"{moment_words(starts_at, visit.location)} with {person}, held until {until}. The patient is asked.",
    )


def _call(
    disruption: Disruption,
    visit: Appointment,
    _version: int,
    _starts_at: datetime | None,
    _person: Practitioner | None,
    by: Actor,
    at: datetime,
) -> tuple[Outcome, str]:
    when = moment_words(visit.starts_at, visit.location)
    raise_task(
        key=f"{CALL_KEY}{disruption.ref}:{visit.ref}"[:120],
        kind="call",
        title=f"Ring {visit.patient.full_name}: the visit on {when} cannot be as booked"[:200],
        why=f"{disruption.thing}: {disruption.reason}"[:400],
        role=Role.FRONT_DESK,
        location=visit.location,
        due_at=min(at + CALL_WITHIN, max(visit.starts_at, at)),
        patient_ref=visit.patient.ref,
        about=visit.about,
        by=by,
        at=at,
    )
    return Outcome.TO_CALL, "The call is on the desk’s list."


def _cancel(
    _disruption: Disruption,
    visit: Appointment,
    version: int,
    _starts_at: datetime | None,
    _person: Practitioner | None,
    by: Actor,
    at: datetime,
) -> tuple[Outcome, str]:
    cancel_appointment(appointment=visit, reason=CancelReason.CLINIC, expected_version=version, by=by, at=at)
    return Outcome.CANCELLED, "Cancelled by the clinic. The patient is told once, in three minutes."


def _give_back(
    _disruption: Disruption,
    visit: Appointment,
    version: int,
    _starts_at: datetime | None,
    _person: Practitioner | None,
    by: Actor,
    at: datetime,
) -> tuple[Outcome, str]:
    offer = WaitlistOffer.objects.filter(appointment=visit, status=OfferStatus.OPEN).first()
    if offer is not None:
        end_offer(offer=offer, to=OfferStatus.WITHDRAWN, by=by, at=at)
        return Outcome.GIVEN_BACK, "The offer is withdrawn; the patient goes on waiting for the next one."
    cancel_appointment(appointment=visit, reason=CancelReason.NOT_TAKEN, expected_version=version, by=by, at=at)
    return Outcome.GIVEN_BACK, "The time is no longer held."


_ACTS: dict[Choice, _Act] = {
    Choice.MOVE: _move,
    Choice.OFFER: _offer,
    Choice.CALL: _call,
    Choice.CANCEL: _cancel,
    Choice.GIVE_BACK: _give_back,
}
