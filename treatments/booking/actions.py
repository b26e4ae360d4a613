"""Booking, moving and keeping visits: the only writers of appointments and of what they claim."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Device, Location, Room
from clinic.rows import insert
from clinic.staff.models import Practitioner
from clinic.transitions import IllegalMove, lock
from patients.messaging.actions import Reconciled
from patients.registry.models import Patient
from treatments.booking.claims import (
    away_then,
    candidates_of,
    choose,
    claim,
    claimed_by,
    first_of,
    held_then,
    lock_resources,
    present,
    refuse_taken,
    release,
)
from treatments.booking.keeping import (
    already_booked,
    moved_sentence,
    moved_to,
    next_free,
    override_fields,
    pass_gates,
    reconcile_visit,
    refuse_stale,
    save_visit,
    slot_taken,
    wish_to_move,
)
from treatments.booking.models import Appointment
from treatments.booking.rules import clock_label
from treatments.booking.standing import Wish
from treatments.booking.states import (
    CLAIMING,
    UNDO,
    AppointmentStatus,
    CancelReason,
    DeviceUnavailable,
    NotAuthorised,
    NotCleared,
    NotHere,
    NotYet,
    OutsideHours,
    SlotTaken,
    StaleVersion,
    TooEarly,
)
from treatments.courses.models import Course

__all__ = [
    "DeviceUnavailable",
    "Moved",
    "NotAuthorised",
    "NotCleared",
    "OutsideHours",
    "SlotTaken",
    "StaleVersion",
    "TooEarly",
    "accept_proposal",
    "book_appointment",
    "cancel_appointment",
    "cancel_telling",
    "enter_in_error",
    "mark_arrived",
    "mark_fulfilled",
    "mark_noshow",
    "move_appointment",
    "propose_appointment",
    "replan_visit",
    "undo_status",
]


MOVABLE = (AppointmentStatus.BOOKED,)


@dataclass(frozen=True)
class Moved:
    """The visit as it stands now, and one sentence for whoever moved it: what the patient will and will not hear."""

    appointment: Appointment
    sentence: str
    messages: Reconciled


def book_appointment(
    *,
    patient: Patient,
    type: AppointmentType,
    location: Location,
    practitioner: Practitioner,
    starts_at: datetime,
    form_key: uuid.UUID,
    room: Room | None = None,
    device: Device | None = None,
    course: Course | None = None,
    note: str = "",
    override_reason: str = "",
    booked_online: bool = False,
    by: Actor,
    at: datetime,
) -> Appointment:
    """The patient has a visit that claims its practitioner, room and device, and its messages are planned.

    Without a room or device the first free one of the location is taken. The same `form_key` again returns the visit
    it made. Raises SlotTaken with the next free times, or whichever of `gates.refusals` stands against it; those
    that may be overridden give way to `override_reason` from somebody with the right to.
    """
    wish = Wish(patient, type, location, practitioner, starts_at, room, device, course)
    try:
        with transaction.atomic():
            return _book(
                wish,
                form_key=form_key,
                note=note,
                override_reason=override_reason,
                booked_online=booked_online,
                by=by,
                at=at,
            )
    except IntegrityError as clash:
        already = already_booked(clash, form_key)
        if already is None:
            raise slot_taken(clash, wish, at) from clash
        return already
    except SlotTaken as taken:
        raise SlotTaken(taken.for_people, next_free=next_free(wish, at)) from taken


def propose_appointment(
    *,
    patient: Patient,
    type: AppointmentType,
    location: Location,
    practitioner: Practitioner,
    starts_at: datetime,
    form_key: uuid.UUID,
    room: Room | None = None,
    device: Device | None = None,
    course: Course | None = None,
    in_place_of: Appointment | None = None,
    by: Actor,
    at: datetime,
) -> Appointment:
    """The time is held for the patient: claimed as by a booked visit, through the same gates, but nobody is told.

    `accept_proposal` makes a visit of it, `cancel_appointment` gives the time back. No rule is set aside for a
    proposal. Of the gates `in_place_of` is left out: the visit that goes to this time if it is accepted. Raises as
    `book_appointment` does; the same `form_key` again returns the proposal it made.
    """
    leaving_out = in_place_of.pk if in_place_of else None
    wish = Wish(patient, type, location, practitioner, starts_at, room, device, course, leaving_out)
    held = AppointmentStatus.PROPOSED
    try:
        with transaction.atomic():
            return _book(wish, status=held, form_key=form_key, note="", override_reason="", by=by, at=at)
    except IntegrityError as clash:
        already = already_booked(clash, form_key)
        if already is None:
            raise slot_taken(clash, wish, at) from clash
        return already
    except SlotTaken as taken:
        raise SlotTaken(taken.for_people, next_free=next_free(wish, at)) from taken


@transaction.atomic
def accept_proposal(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The held time is the patient's visit, and its messages are planned.

    Every gate is asked again: a decision may have been withdrawn since. Raises IllegalMove if it is no longer a
    proposal, because the time was given back or somebody accepted already; otherwise as `book_appointment`.
    """
    resources = lock_resources({}, also=claimed_by(appointment))
    fresh = lock(appointment)
    if fresh.status != AppointmentStatus.PROPOSED:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.BOOKED)
    wish = wish_to_move(fresh, fresh.starts_at, None, None, None)
    if not wish.practitioner.is_active:
        raise NotHere(f"{wish.practitioner} no longer sees patients.", field="practitioner")
    held = held_then(wish, resources)
    pass_gates(wish, away_then(wish, resources, held), held, "", by, at)
    fresh = moved_to(fresh, AppointmentStatus.BOOKED, by, at, booked_at=at)
    reconcile_visit(fresh, by=by, at=at)
    return fresh


def _book(
    wish: Wish,
    *,
    status: AppointmentStatus = AppointmentStatus.BOOKED,
    form_key: uuid.UUID,
    note: str,
    override_reason: str,
    booked_online: bool = False,
    by: Actor,
    at: datetime,
) -> Appointment:
    candidates = candidates_of(wish)
    # Lock first: the overlap constraint alone deadlocks when several desks book at once.
    resources = lock_resources(candidates)
    held = held_then(wish, resources, form_key)
    again = next((visit.pk for visit in held.own if visit.form_key == form_key), None)
    if again is not None:
        return Appointment.objects.get(pk=again)
    wish = choose(wish, candidates, resources, held)
    refuse_taken(wish, resources, held)
    overridden = pass_gates(wish, away_then(wish, resources, held), held, override_reason, by, at)
    appointment = Appointment(
        status=status,
        patient=wish.patient,
        type=wish.type,
        location=wish.location,
        course=wish.course,
        practitioner=wish.practitioner,
        room=wish.room,
        device=wish.device,
        starts_at=wish.starts_at,
        ends_at=wish.ends_at,
        booked_at=at,
        form_key=form_key,
        booked_online=booked_online,
        note=note,
        override_reason=override_reason if overridden else "",
        override_by_id=by.user_id if overridden else None,
        overrides=overridden,
        changed_at=at,
        changed_by_name=by.name,
    )
    insert([appointment])
    claim(appointment, resources)
    record(
        action=f"appointment.{status.value}",
        subject=appointment,
        by=by,
        at=at,
        type=wish.type.key,
        starts_at=wish.starts_at,
        overridden=overridden,
    )
    if status == AppointmentStatus.BOOKED:
        reconcile_visit(appointment, by=by, at=at, is_new=True)
    return appointment


def move_appointment(
    *,
    appointment: Appointment,
    starts_at: datetime,
    expected_version: int,
    practitioner: Practitioner | None = None,
    room: Room | None = None,
    device: Device | None = None,
    override_reason: str = "",
    also_held: bool = False,
    by: Actor,
    at: datetime,
) -> Moved:
    """The visit is at the new time with what it claims; its messages follow.

    What is not named stays as it was, except that another free room or device of the same kind is taken where the
    present one is not free. `also_held` moves a time that is only held too, of which nobody has been told. Raises
    StaleVersion naming who changed it since, SlotTaken with the next free times, or a refusal as for booking.
    """
    wish = wish_to_move(appointment, starts_at, practitioner, room, device)
    try:
        with transaction.atomic():
            return _move(
                wish,
                appointment,
                expected_version,
                keep=(room, device),
                why=override_reason,
                movable=(*MOVABLE, AppointmentStatus.PROPOSED) if also_held else MOVABLE,
                by=by,
                at=at,
            )
    except IntegrityError as clash:
        raise slot_taken(clash, wish, at) from clash
    except SlotTaken as taken:
        raise SlotTaken(taken.for_people, next_free=next_free(wish, at)) from taken


def _move(
    wish: Wish,
    appointment: Appointment,
    expected_version: int,
    *,
    keep: tuple[Room | None, Device | None],
    why: str,
    movable: Collection[str],
    by: Actor,
    at: datetime,
) -> Moved:
    candidates = candidates_of(wish._replace(room=keep[0], device=keep[1]))
    candidates = {kind: first_of(present(wish, kind), things) for kind, things in candidates.items()}
    resources = lock_resources(candidates, also=claimed_by(appointment))
    fresh = lock(appointment)
    refuse_stale(fresh, expected_version)
    if fresh.status not in movable:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.BOOKED)
    held = held_then(wish, resources)
    wish = choose(wish, candidates, resources, held)
    refuse_taken(wish, resources, held)
    overridden = pass_gates(wish, away_then(wish, resources, held), held, why, by, at)
    was, was_with = fresh.starts_at, fresh.practitioner
    fresh.claims.all().delete()
    save_visit(
        fresh,
        by,
        at,
        starts_at=wish.starts_at,
        ends_at=wish.ends_at,
        practitioner=wish.practitioner,
        room=wish.room,
        device=wish.device,
        moved_at=at,
        confirmed_at=fresh.confirmed_at if wish.starts_at == was else None,
        confirmed_by_name=fresh.confirmed_by_name if wish.starts_at == was else "",
        plan_revision=fresh.plan_revision + 1,
        **override_fields(fresh, overridden, why, by),
    )
    claim(fresh, resources)
    record(
        action="appointment.moved",
        subject=fresh,
        by=by,
        at=at,
        was=was,
        was_practitioner=was_with,
        starts_at=wish.starts_at,
        practitioner=wish.practitioner,
        overridden=overridden,
    )
    messages = reconcile_visit(fresh, by=by, at=at, reason="The visit was moved.")
    return Moved(fresh, moved_sentence(fresh, messages), messages)


@transaction.atomic
def cancel_telling(
    *, appointment: Appointment, reason: str, expected_version: int | None = None, by: Actor, at: datetime
) -> Moved:
    """The visit is off, what it claimed is free, and messages that have not gone out are withdrawn.

    `reason` is one of CancelReason. Raises IllegalMove if the visit is over or off already, StaleVersion if a version
    is expected and somebody has changed the visit since.
    """
    fresh = lock(appointment)
    if expected_version is not None:
        refuse_stale(fresh, expected_version)
    fresh = moved_to(fresh, AppointmentStatus.CANCELLED, by, at, reason=reason, cancel_reason=CancelReason(reason))
    release(fresh)
    messages = reconcile_visit(fresh, by=by, at=at, reason=f"{CancelReason(reason).label}.")
    return Moved(fresh, f"{messages.sentence}.", messages)


def cancel_appointment(
    *, appointment: Appointment, reason: str, expected_version: int | None = None, by: Actor, at: datetime
) -> Appointment:
    """As `cancel_telling`, for whoever need not be told what the patient will hear. Returns the visit."""
    told = cancel_telling(appointment=appointment, reason=reason, expected_version=expected_version, by=by, at=at)
    return told.appointment


@transaction.atomic
def mark_arrived(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The patient is here. Raises NotYet before the day of the visit."""
    fresh = lock(appointment)
    zone = fresh.location.zone
    if at.astimezone(zone).date() < fresh.starts_at.astimezone(zone).date():
        raise NotYet("The visit is on a later day.")
    return moved_to(fresh, AppointmentStatus.ARRIVED, by, at, arrived_at=at)


@transaction.atomic
def mark_noshow(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The patient did not come; what the visit claimed is free. Raises NotYet before the visit was to begin."""
    fresh = lock(appointment)
    if at < fresh.starts_at:
        raise NotYet(f"The visit begins at {clock_label(fresh.starts_at, fresh.location.zone)}.")
    fresh = moved_to(fresh, AppointmentStatus.NOSHOW, by, at)
    release(fresh)
    reconcile_visit(fresh, by=by, at=at, reason="The patient did not come.")
    return fresh


@transaction.atomic
def mark_fulfilled(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The visit took place. Raises IllegalMove unless the patient had arrived."""
    return moved_to(lock(appointment), AppointmentStatus.FULFILLED, by, at)


def undo_status(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The visit is booked again, after an arrival or a no-show that was marked by mistake.

    A no-show gave its time away: it is claimed again. Raises SlotTaken with the next free times if somebody has it,
    IllegalMove if there is nothing to undo.
    """
    wish = wish_to_move(appointment, appointment.starts_at, None, None, None)
    try:
        with transaction.atomic():
            return _undo(wish, appointment, by, at)
    except IntegrityError as clash:
        raise slot_taken(clash, wish, at) from clash
    except SlotTaken as taken:
        sentence = "Somebody else has that time now. Move the visit instead."
        raise SlotTaken(sentence, next_free=next_free(wish, at)) from taken


def _undo(wish: Wish, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    resources = lock_resources({}, also=claimed_by(appointment))
    fresh = lock(appointment)
    target = UNDO.get(fresh.status)
    if target is None:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.BOOKED)
    was_free = fresh.status not in CLAIMING
    if was_free:
        refuse_taken(wish, resources, held_then(wish, resources))
    fresh = moved_to(fresh, target, by, at, arrived_at=None, in_room_at=None)
    if was_free:
        fresh.claims.update(active=True)
        reconcile_visit(fresh, by=by, at=at)
    return fresh


@transaction.atomic
def enter_in_error(*, appointment: Appointment, reason: str, by: Actor, at: datetime) -> Appointment:
    """The visit was never meant; it stays on record as an error and holds nothing."""
    fresh = moved_to(lock(appointment), AppointmentStatus.ENTERED_IN_ERROR, by, at, reason=reason)
    release(fresh)
    reconcile_visit(fresh, by=by, at=at, reason="Entered in error.")
    return fresh


@transaction.atomic
def replan_visit(*, appointment: Appointment, by: Actor, at: datetime) -> Reconciled:
    """The messages of a visit to come say what is true now: after a decision, a task or a protocol has changed."""
    fresh = lock(appointment)
    return reconcile_visit(fresh, by=by, at=at, reason="What the visit needs has changed.")
