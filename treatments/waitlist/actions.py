"""Waiting, being offered a time, and taking it or not: the only writers of the waitlist.

The entry is locked first in every act, then its offer: accepting and running out cannot both happen.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from django.db import IntegrityError, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Location
from clinic.staff.models import Practitioner
from clinic.transitions import lock, move
from patients.messaging.actions import queue_message, skip_message, withdraw
from patients.messaging.models import Message
from patients.messaging.rules import UNDO, WantedMessage
from patients.messaging.states import Channel, MessageStatus, Purpose
from patients.registry.models import Patient
from patients.registry.states import LinkScope
from treatments.booking.actions import accept_proposal, cancel_appointment, propose_appointment
from treatments.booking.instead import propose_instead
from treatments.booking.models import Appointment
from treatments.booking.rules import clock_label
from treatments.booking.sooner import move_to_held
from treatments.booking.states import AppointmentStatus, CancelReason
from treatments.courses.models import Course
from treatments.waitlist.models import WaitlistEntry, WaitlistOffer
from treatments.waitlist.queries import hold_of, standing_of
from treatments.waitlist.rules import ANY_TIME, DAYS_AHEAD, Hold
from treatments.waitlist.states import AlreadyWaiting, EntryStatus, NotOffered, OfferOver, OfferStatus


def join_waitlist(
    *,
    patient: Patient,
    type: AppointmentType,
    location: Location,
    earliest_on: date,
    latest_on: date,
    course: Course | None = None,
    sooner_than: Appointment | None = None,
    practitioners: Iterable[Practitioner] = (),
    weekdays: Iterable[int] = (),
    between: tuple[time, time] = ANY_TIME,
    note: str = "",
    by: Actor,
    at: datetime,
) -> WaitlistEntry:
    """The patient waits for such a visit, or for an earlier time for the one they have (`sooner_than`).

    Raises AlreadyWaiting if they do already.
    """
    try:
        with transaction.atomic():
            entry = WaitlistEntry.objects.create(
                patient=patient,
                type=type,
                location=location,
                course=course,
                sooner_than=sooner_than,
                earliest_on=earliest_on,
                latest_on=latest_on,
                weekdays=sorted(set(weekdays)),
                not_before=between[0],
                not_after=between[1],
                note=note,
                added_at=at,
                added_by_name=by.name,
            )
            entry.practitioners.set(practitioners)
            record(action="waitlist.joined", subject=entry, by=by, at=at, type=type.key)
            return entry
    except IntegrityError as clash:
        if "wait_once_for_one_thing" in str(clash):
            raise AlreadyWaiting from clash
        raise


@transaction.atomic
def leave_waitlist(*, entry: WaitlistEntry, reason: str, by: Actor, at: datetime) -> WaitlistEntry:
    """The patient no longer waits; a time held for them is given back. Raises IllegalMove if they do not wait."""
    lock(entry)
    for offer in entry.offers.filter(status=OfferStatus.OPEN):
        _end(offer, OfferStatus.WITHDRAWN, by=by, at=at)
    return move(entry, EntryStatus.REMOVED, by=by, at=at, reason=reason)


def offer_time(*, entry: WaitlistEntry, by: Actor, at: datetime) -> WaitlistOffer:
    """The soonest time that suits is held for the person, and a message with a link is planned for the day's hours.

    Raises NotOffered, with why, if they are not ready, have an offer already or nothing suits; SlotTaken if somebody
    was quicker.
    """
    with transaction.atomic():
        entry = lock(entry)
        if entry.status != EntryStatus.WAITING:
            raise NotOffered("This patient no longer waits.")
        standing = standing_of(entry, at)
        if standing.offer is not None:
            raise NotOffered("A time is being offered to this patient already.")
        if standing.reasons:
            raise NotOffered(standing.reasons[0])
        if standing.start is None or standing.practitioner is None:
            raise NotOffered("No free time suits this patient.")
        held = propose_appointment(
            patient=entry.patient,
            type=entry.type,
            location=entry.location,
            course=entry.course,
            practitioner=standing.practitioner,
            starts_at=standing.start.starts_at,
            in_place_of=entry.sooner_than,
            form_key=uuid.uuid4(),
            by=by,
            at=at,
        )
        hold = hold_of(entry, held.starts_at, at)
        assert hold is not None, "a time without room for a hold does not suit"
        return _offer(entry, held, hold, by, at)


@transaction.atomic
def offer_instead(
    *,
    appointment: Appointment,
    expected_version: int,
    starts_at: datetime,
    practitioner: Practitioner,
    by: Actor,
    at: datetime,
) -> WaitlistOffer:
    """The visit is off, its patient waits for another, and this time is held and offered to them.

    One message says both. Whoever declines, or does not answer, goes on waiting and is offered the next time. Raises
    NotOffered if there is no time left to ask or another offer runs, else as `propose_instead`.
    """
    entry = _entry_instead(appointment, by, at)
    hold = hold_of(entry, starts_at, at)
    if hold is None:
        raise NotOffered("That time is too soon to ask first. Please ring the patient.")
    held = propose_instead(
        appointment=appointment,
        expected_version=expected_version,
        starts_at=starts_at,
        practitioner=practitioner,
        by=by,
        at=at,
    )
    _say_once(appointment, by, at)
    return _offer(entry, held, hold, by, at, instead_of=appointment)


def _entry_instead(appointment: Appointment, by: Actor, at: datetime) -> WaitlistEntry:
    """Return who waits in place of the visit: the patient's entry for the same thing, or a new one, locked."""
    same = WaitlistEntry.objects.waiting().filter(
        patient=appointment.patient, type=appointment.type, course=appointment.course
    )
    entry = same.select_for_update(no_key=True).first()
    if entry is not None:
        if entry.offers.filter(status=OfferStatus.OPEN).exists():
            raise NotOffered("Another time is being offered to this patient already.")
        return entry
    today = at.astimezone(appointment.location.zone).date()
    wished = appointment.starts_at.astimezone(appointment.location.zone).date()
    return join_waitlist(
        patient=appointment.patient,
        type=appointment.type,
        location=appointment.location,
        course=appointment.course,
        earliest_on=today,
        latest_on=max(today, wished) + timedelta(days=DAYS_AHEAD),
        note="In place of a visit that could not be.",
        by=by,
        at=at,
    )


def _say_once(appointment: Appointment, by: Actor, at: datetime) -> None:
    """The offer says that the visit is off: no second message does."""
    notices = Message.objects.filter(
        about=appointment.about, template="cancelled", status__in=[MessageStatus.PLANNED, MessageStatus.HELD]
    )
    for notice in notices:
        skip_message(message=notice, reason="The offer of another time says so.", by=by, at=at)


def _offer(
    entry: WaitlistEntry,
    held: Appointment,
    hold: Hold,
    by: Actor,
    at: datetime,
    *,
    instead_of: Appointment | None = None,
) -> WaitlistOffer:
    offer = WaitlistOffer.objects.create(
        entry=entry, appointment=held, offered_at=at, told_at=hold.told_at, ends_at=hold.ends_at
    )
    record(action="waitlist.offered", subject=offer, by=by, at=at, starts_at=held.starts_at, ends_at=hold.ends_at)
    context = {"when_local": _when(held), "where": entry.location.address}
    wanted = WantedMessage(
        step="waitlist_offer",
        purpose=Purpose.VISIT,
        channel=Channel.SMS,
        template="new_time" if instead_of else "waitlist_offer",
        context=context | ({"old_when": _when(instead_of)} if instead_of else {}),
        # Nobody is told of a change within the minutes in which it can be taken back.
        due_at=max(hold.told_at, at + UNDO) if instead_of else hold.told_at,
        not_after=hold.ends_at,
        important=instead_of is not None,
        link_scope=LinkScope.OFFER,
        link_about=offer.about,
    )
    queue_message(patient=entry.patient, location=entry.location, about=offer.about, wanted=wanted, by=by, at=at)
    return offer


def _when(visit: Appointment) -> str:
    local = visit.starts_at.astimezone(visit.location.zone)
    return f"{local:%A} {local.day} {local:%B}, {clock_label(visit.starts_at, visit.location.zone)}"


def accept_offer(*, offer: WaitlistOffer, by: Actor, at: datetime) -> Appointment:
    """The held time is the patient's visit and they no longer wait; a visit they had for it has moved there.

    Raises OfferOver if it was answered already or its time is over; if a gate has shut since, the offer is withdrawn
    and the gate's own refusal raised.
    """
    try:
        return _accept(offer, by, at)
    except OfferOver:
        raise
    except Refused:
        end_offer(offer=offer, to=OfferStatus.WITHDRAWN, by=by, at=at)
        raise


@transaction.atomic
def _accept(offer: WaitlistOffer, by: Actor, at: datetime) -> Appointment:
    entry, fresh = lock(offer.entry), lock(offer)
    if fresh.status != OfferStatus.OPEN or at >= fresh.ends_at:
        raise OfferOver
    if entry.sooner_than is not None:
        visit = move_to_held(appointment=entry.sooner_than, held=fresh.appointment, by=by, at=at)
    else:
        visit = accept_proposal(appointment=fresh.appointment, by=by, at=at)
    move(fresh, OfferStatus.ACCEPTED, by=by, at=at, answered_at=at)
    move(entry, EntryStatus.PLACED, by=by, at=at)
    withdraw(about=fresh.about, reason="The time was taken.", by=by, at=at)
    return visit


@transaction.atomic
def decline_offer(*, offer: WaitlistOffer, by: Actor, at: datetime) -> None:
    """The time is free again for the next person; this one goes on waiting. Raises OfferOver if it is over."""
    lock(offer.entry)
    if lock(offer).status != OfferStatus.OPEN:
        raise OfferOver
    _end(offer, OfferStatus.DECLINED, by=by, at=at)


@transaction.atomic
def end_offer(*, offer: WaitlistOffer, to: OfferStatus, by: Actor, at: datetime) -> bool:
    """An offer that is still open has ended and its time is free. Returns False if it had ended already."""
    lock(offer.entry)
    if lock(offer).status != OfferStatus.OPEN:
        return False
    _end(offer, to, by=by, at=at)
    return True


def _end(offer: WaitlistOffer, to: OfferStatus, *, by: Actor, at: datetime) -> None:
    fresh = move(offer, to, by=by, at=at, answered_at=at)
    cancel_appointment(appointment=fresh.appointment, reason=CancelReason.NOT_TAKEN, by=by, at=at)
    withdraw(about=fresh.about, reason="The offer is over.", by=by, at=at)


def sweep_waitlist(*, by: Actor, at: datetime) -> tuple[int, int]:
    """Offers whose time is over have ended, and each free time that suits is offered to one person who is ready.

    The longest waiting comes first. Safe twice and at once: a time is held for one, by its claims. Returns how many
    ended and how many were made.
    """
    ended = sum(
        end_offer(offer=offer, to=OfferStatus.EXPIRED, by=by, at=at)
        for offer in WaitlistOffer.objects.filter(status=OfferStatus.OPEN, ends_at__lte=at).order_by("ends_at", "id")
    )
    over = WaitlistEntry.objects.waiting().exclude(sooner_than=None)
    for entry in over.exclude(sooner_than__status=AppointmentStatus.BOOKED):
        leave_waitlist(entry=entry, reason="The visit that was to be earlier is no longer booked.", by=by, at=at)
    made = 0
    for entry in WaitlistEntry.objects.waiting().exclude(offers__status=OfferStatus.OPEN):
        try:
            offer_time(entry=entry, by=by, at=at)
        except Refused:
            continue  # not ready, nothing suits, or somebody was quicker: the next sweep looks again
        made += 1
    return ended, made
