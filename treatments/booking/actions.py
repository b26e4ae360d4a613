"""Booking, moving and keeping visits: the only writers of appointments and of what they claim."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Absence, Device, Location, Resource, Room
from clinic.staff.models import Practitioner, User
from clinic.staff.states import Permission
from clinic.transitions import IllegalMove, lock, move
from patients.messaging.actions import Reconciled
from patients.registry.models import Patient
from treatments.booking.models import Appointment, Claim
from treatments.booking.queries import devices_for, free_times, rooms_at, shape_of, visit_of
from treatments.booking.rules import Kind, Part, Start, clock_label, phases, refusals
from treatments.booking.standing import Wish, facts_of
from treatments.booking.states import (
    ANNOUNCED,
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
    OverrideRefused,
    SlotTaken,
    StaleVersion,
    TooEarly,
)
from treatments.courses.models import Course
from treatments.plan.actions import reconcile_plan

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
    "enter_in_error",
    "mark_arrived",
    "mark_fulfilled",
    "mark_noshow",
    "move_appointment",
    "propose_appointment",
    "replan_visit",
    "undo_status",
]

NEXT_FREE_DAYS = 14
NEXT_FREE = 6


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
    by: Actor,
    at: datetime,
) -> Appointment:
    """The patient has a visit that claims its practitioner, room and device, and its messages are planned.

    Without a room or device the first free one of the location is taken. The same `form_key` again returns the visit
    it made. Raises SlotTaken with the next free times, or whichever of `rules.refusals` stands against it; those
    that may be overridden give way to `override_reason` from somebody with the right to.
    """
    wish = Wish(patient, type, location, practitioner, starts_at, room, device, course)
    try:
        with transaction.atomic():
            return _book(wish, form_key=form_key, note=note, override_reason=override_reason, by=by, at=at)
    except IntegrityError as clash:
        already = _already_booked(clash, form_key)
        if already is None:
            raise _slot_taken(clash, wish, at) from clash
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
    by: Actor,
    at: datetime,
) -> Appointment:
    """The time is held for the patient: claimed as by a booked visit, through the same gates, but nobody is told.

    `accept_proposal` makes a visit of it, `cancel_appointment` gives the time back. No rule is set aside for a
    proposal. Raises as `book_appointment` does; the same `form_key` again returns the proposal it made.
    """
    wish = Wish(patient, type, location, practitioner, starts_at, room, device, course)
    held = AppointmentStatus.PROPOSED
    try:
        with transaction.atomic():
            return _book(wish, status=held, form_key=form_key, note="", override_reason="", by=by, at=at)
    except IntegrityError as clash:
        already = _already_booked(clash, form_key)
        if already is None:
            raise _slot_taken(clash, wish, at) from clash
        return already
    except SlotTaken as taken:
        raise SlotTaken(taken.for_people, next_free=next_free(wish, at)) from taken


@transaction.atomic
def accept_proposal(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The held time is the patient's visit, and its messages are planned.

    Every gate is asked again: a decision may have been withdrawn since. Raises IllegalMove if it is no longer a
    proposal, because the time was given back or somebody accepted already; otherwise as `book_appointment`.
    """
    resources = _lock_resources({}, also=_claimed(appointment))
    fresh = lock(appointment)
    if fresh.status != AppointmentStatus.PROPOSED:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.BOOKED)
    lock(fresh.patient)
    wish = _moved_wish(fresh, fresh.starts_at, None, None, None)
    if not wish.practitioner.is_active:
        raise NotHere(f"{wish.practitioner} no longer sees patients.", field="practitioner")
    _pass_gates(wish, _away(wish, resources, _held_then(wish, resources)), "", by, at)
    fresh = _moved_to(fresh, AppointmentStatus.BOOKED, by, at, booked_at=at)
    _reconcile(fresh, by=by, at=at)
    return fresh


def _book(
    wish: Wish,
    *,
    status: AppointmentStatus = AppointmentStatus.BOOKED,
    form_key: uuid.UUID,
    note: str,
    override_reason: str,
    by: Actor,
    at: datetime,
) -> Appointment:
    candidates = _candidates(wish)
    # Lock first: the overlap constraint alone deadlocks when several desks book at once.
    resources = _lock_resources(candidates)
    lock(wish.patient)
    again = Appointment.objects.filter(form_key=form_key).first()
    if again is not None:
        return again
    held = _held_then(wish, resources)
    wish = _choose(wish, candidates, resources, held)
    _refuse_taken(wish, resources, held)
    overridden = _pass_gates(wish, _away(wish, resources, held), override_reason, by, at)
    appointment = Appointment.objects.create(
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
        note=note,
        override_reason=override_reason if overridden else "",
        override_by_id=by.user_id if overridden else None,
        overrides=overridden,
        changed_at=at,
        changed_by_name=by.name,
    )
    _claim(appointment, resources)
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
        _reconcile(appointment, by=by, at=at)
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
    by: Actor,
    at: datetime,
) -> Moved:
    """The visit is at the new time with what it claims; its messages follow.

    What is not named stays as it was, except that another free room or device of the same kind is taken where the
    present one is not free. Raises StaleVersion naming who changed it since, SlotTaken with the next free times, or a
    refusal as for booking.
    """
    wish = _moved_wish(appointment, starts_at, practitioner, room, device)
    try:
        with transaction.atomic():
            return _move(wish, appointment, expected_version, keep=(room, device), why=override_reason, by=by, at=at)
    except IntegrityError as clash:
        raise _slot_taken(clash, wish, at) from clash
    except SlotTaken as taken:
        raise SlotTaken(taken.for_people, next_free=next_free(wish, at)) from taken


def _move(
    wish: Wish,
    appointment: Appointment,
    expected_version: int,
    *,
    keep: tuple[Room | None, Device | None],
    why: str,
    by: Actor,
    at: datetime,
) -> Moved:
    candidates = _candidates(wish._replace(room=keep[0], device=keep[1]))
    candidates = {kind: _first(_present(wish, kind), things) for kind, things in candidates.items()}
    resources = _lock_resources(candidates, also=_claimed(appointment))
    fresh = lock(appointment)
    _refuse_stale(fresh, expected_version)
    if fresh.status != AppointmentStatus.BOOKED:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.BOOKED)
    lock(wish.patient)
    held = _held_then(wish, resources)
    wish = _choose(wish, candidates, resources, held)
    _refuse_taken(wish, resources, held)
    overridden = _pass_gates(wish, _away(wish, resources, held), why, by, at)
    was, was_with = fresh.starts_at, fresh.practitioner
    fresh.claims.all().delete()
    _save(
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
        **_override_fields(fresh, overridden, why, by),
    )
    _claim(fresh, resources)
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
    messages = _reconcile(fresh, by=by, at=at, reason="The visit was moved.")
    return Moved(fresh, _moved_sentence(fresh, messages), messages)


@transaction.atomic
def cancel_appointment(*, appointment: Appointment, reason: str, by: Actor, at: datetime) -> Appointment:
    """The visit is off, what it claimed is free, and messages that have not gone out are withdrawn.

    `reason` is one of CancelReason. Raises IllegalMove if the visit is over or off already.
    """
    fresh = lock(appointment)
    fresh = _moved_to(fresh, AppointmentStatus.CANCELLED, by, at, reason=reason, cancel_reason=CancelReason(reason))
    _release(fresh)
    _reconcile(fresh, by=by, at=at, reason=f"{CancelReason(reason).label}.")
    return fresh


@transaction.atomic
def mark_arrived(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The patient is here. Raises NotYet before the day of the visit."""
    fresh = lock(appointment)
    zone = fresh.location.zone
    if at.astimezone(zone).date() < fresh.starts_at.astimezone(zone).date():
        raise NotYet("The visit is on a later day.")
    return _moved_to(fresh, AppointmentStatus.ARRIVED, by, at, arrived_at=at)


@transaction.atomic
def mark_noshow(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The patient did not come; what the visit claimed is free. Raises NotYet before the visit was to begin."""
    fresh = lock(appointment)
    if at < fresh.starts_at:
        raise NotYet(f"The visit begins at {clock_label(fresh.starts_at, fresh.location.zone)}.")
    fresh = _moved_to(fresh, AppointmentStatus.NOSHOW, by, at)
    _release(fresh)
    _reconcile(fresh, by=by, at=at, reason="The patient did not come.")
    return fresh


@transaction.atomic
def mark_fulfilled(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The visit took place. Raises IllegalMove unless the patient had arrived."""
    return _moved_to(lock(appointment), AppointmentStatus.FULFILLED, by, at)


def undo_status(*, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    """The visit is booked again, after an arrival or a no-show that was marked by mistake.

    A no-show gave its time away: it is claimed again. Raises SlotTaken with the next free times if somebody has it,
    IllegalMove if there is nothing to undo.
    """
    wish = _moved_wish(appointment, appointment.starts_at, None, None, None)
    try:
        with transaction.atomic():
            return _undo(wish, appointment, by, at)
    except IntegrityError as clash:
        raise _slot_taken(clash, wish, at) from clash
    except SlotTaken as taken:
        sentence = "Somebody else has that time now. Move the visit instead."
        raise SlotTaken(sentence, next_free=next_free(wish, at)) from taken


def _undo(wish: Wish, appointment: Appointment, by: Actor, at: datetime) -> Appointment:
    resources = _lock_resources({}, also=_claimed(appointment))
    fresh = lock(appointment)
    target = UNDO.get(fresh.status)
    if target is None:
        raise IllegalMove(fresh, fresh.status, AppointmentStatus.BOOKED)
    was_free = fresh.status not in CLAIMING
    if was_free:
        _refuse_taken(wish, resources, _held_then(wish, resources))
    fresh = _moved_to(fresh, target, by, at, arrived_at=None, in_room_at=None)
    if was_free:
        fresh.claims.update(active=True)
        _reconcile(fresh, by=by, at=at)
    return fresh


@transaction.atomic
def enter_in_error(*, appointment: Appointment, reason: str, by: Actor, at: datetime) -> Appointment:
    """The visit was never meant; it stays on record as an error and holds nothing."""
    fresh = _moved_to(lock(appointment), AppointmentStatus.ENTERED_IN_ERROR, by, at, reason=reason)
    _release(fresh)
    _reconcile(fresh, by=by, at=at, reason="Entered in error.")
    return fresh


@transaction.atomic
def replan_visit(*, appointment: Appointment, by: Actor, at: datetime) -> Reconciled:
    """The messages of a visit to come say what is true now: after a decision, a task or a protocol has changed."""
    fresh = lock(appointment)
    return _reconcile(fresh, by=by, at=at, reason="What the visit needs has changed.")


def next_free(wish: Wish, at: datetime) -> list[Start]:
    """Return the next times at which the visit could be, with the same practitioner, from the wished day on."""
    first = max(wish.starts_at, at).astimezone(wish.location.zone).date()
    devices = [wish.device] if wish.device else devices_for(wish.location, wish.type, _modality(wish))
    starts = free_times(
        type=wish.type,
        location=wish.location,
        first=first,
        last=first + timedelta(days=NEXT_FREE_DAYS - 1),
        practitioners=[wish.practitioner.pk],
        devices=[device.pk for device in devices],
        not_before=at,
        leaving_out=wish.leaving_out,
    )
    later = [start for start in starts if start.starts_at >= wish.starts_at]
    return later[:NEXT_FREE]


# --- what a visit claims ----------------------------------------------------------------------------------------

Thing = Practitioner | Room | Device
Candidates = Mapping[Kind, Sequence[Thing]]


def _candidates(wish: Wish) -> dict[Kind, Sequence[Thing]]:
    """Return for each kind what could be claimed: the one that was named, else every one of the location."""
    candidates: dict[Kind, Sequence[Thing]] = {"practitioner": [wish.practitioner]}
    if wish.type.needs_room:
        candidates["room"] = _named_or_all("room", wish.room, rooms_at(wish.location), "No room is in use here.")
    if wish.type.modality_group:
        laser = f"No device for this treatment is in use at {wish.location}."
        devices = devices_for(wish.location, wish.type, _modality(wish))
        candidates["device"] = _named_or_all("device", wish.device, devices, laser)
    if not wish.practitioner.is_active:
        raise NotHere(f"{wish.practitioner} no longer sees patients.", field="practitioner")
    return candidates


def _named_or_all(kind: Kind, named: Room | Device | None, here: Sequence[Thing], nothing: str) -> Sequence[Thing]:
    if not here:
        raise DeviceUnavailable(nothing, field=kind)
    if named is None:
        return here
    if named not in here:
        raise NotHere(f"{named} cannot be used for this visit.", field=kind)
    return [named]


def _first(present: Thing | None, things: Sequence[Thing]) -> Sequence[Thing]:
    """Return the things with the present one, if it is among them, in front."""
    return sorted(things, key=lambda thing: thing != present)


def _present(wish: Wish, kind: Kind) -> Thing | None:
    present: dict[Kind, Thing | None] = {"practitioner": wish.practitioner, "room": wish.room, "device": wish.device}
    return present[kind]


class _Resources(dict[tuple[Kind, int], int]):
    """Locked resources: (kind, key of the thing) to the key of its resource row."""


def _lock_resources(candidates: Candidates, also: Iterable[int] = ()) -> _Resources:
    """The resource rows are locked in one fixed order until the transaction ends. Returns which they are."""
    wanted = Q(pk__in=list(also))
    for wanted_kind, things in candidates.items():
        wanted |= Q(**{f"{wanted_kind}__in": [thing.pk for thing in things]})
    rows = (
        Resource.objects.select_for_update(no_key=True)
        .filter(wanted)
        .order_by("pk")
        .values_list("pk", "practitioner_id", "room_id", "device_id")
    )
    locked = _Resources()
    for pk, practitioner, room, device in rows:
        kind: Kind = "practitioner" if practitioner else "room" if room else "device"
        thing = practitioner or room or device
        assert thing is not None, "the database refuses a resource that is nothing"
        locked[kind, thing] = pk
    return locked


@dataclass(frozen=True)
class _Held:
    """Who else holds the locked resources while the visit would last, and which of them are away then."""

    claims: tuple[tuple[int, datetime, datetime], ...]
    absences: tuple[tuple[int, datetime, datetime], ...]

    def is_claimed(self, resource: int, part: Part) -> bool:
        return _overlap(self.claims, resource, part)

    def is_away(self, resource: int, part: Part) -> bool:
        return _overlap(self.absences, resource, part)


def _overlap(spans: Iterable[tuple[int, datetime, datetime]], resource: int, part: Part) -> bool:
    return any(each == resource and starts < part.ends_at and part.starts_at < ends for each, starts, ends in spans)


def _held_then(wish: Wish, resources: _Resources) -> _Held:
    """Return what is held and away, read after the lock: nobody else can change it until we are done."""
    locked = list(resources.values())
    claims = Claim.objects.filter(resource__in=locked, active=True, period__overlap=(wish.starts_at, wish.ends_at))
    if wish.leaving_out:
        claims = claims.exclude(appointment=wish.leaving_out)
    absences = Absence.objects.filter(resource__in=locked, starts_at__lt=wish.ends_at, ends_at__gt=wish.starts_at)
    return _Held(
        claims=tuple((each, period.lower, period.upper) for each, period in claims.values_list("resource", "period")),
        absences=tuple(absences.values_list("resource", "starts_at", "ends_at")),
    )


def _choose(wish: Wish, candidates: Candidates, resources: _Resources, held: _Held) -> Wish:
    """Return the wish with the first free room and device; with the first there is where none is free."""
    chosen: dict[str, Any] = {}
    day = wish.starts_at.astimezone(wish.location.zone).date()
    for part in phases(shape_of(wish.type), wish.starts_at):
        things = candidates[part.kind]
        chosen[part.kind] = next(
            (
                thing
                for thing in things
                if not _is_overdue(thing, day)
                and not held.is_claimed(resources[part.kind, thing.pk], part)
                and not held.is_away(resources[part.kind, thing.pk], part)
            ),
            things[0],
        )
    return wish._replace(**chosen)


def _is_overdue(thing: Thing, day: date) -> bool:
    return isinstance(thing, Device) and thing.service_due_on is not None and day > thing.service_due_on


def _refuse_taken(wish: Wish, resources: _Resources, held: _Held) -> None:
    """Raise SlotTaken, naming what is taken, if somebody else claims a part of it."""
    for part in phases(shape_of(wish.type), wish.starts_at):
        thing = _present(wish, part.kind)
        if thing is not None and held.is_claimed(resources[part.kind, thing.pk], part):
            when = clock_label(wish.starts_at, wish.location.zone)
            raise SlotTaken(f"{thing} has just been taken for {when}.")


def _away(wish: Wish, resources: _Resources, held: _Held) -> list[tuple[Kind, str]]:
    """Return what the visit would claim and is away then, by kind and name."""
    return [
        (part.kind, str(thing))
        for part in phases(shape_of(wish.type), wish.starts_at)
        if (thing := _present(wish, part.kind)) is not None and held.is_away(resources[part.kind, thing.pk], part)
    ]


def _claim(appointment: Appointment, resources: _Resources) -> None:
    things: dict[Kind, int | None] = {
        "practitioner": appointment.practitioner_id,
        "room": appointment.room_id,
        "device": appointment.device_id,
    }
    Claim.objects.bulk_create(
        Claim(
            appointment=appointment,
            resource_id=resources[part.kind, thing],
            period=(part.starts_at, part.ends_at),
        )
        for part in phases(shape_of(appointment.sized_type), appointment.starts_at)
        if (thing := things[part.kind]) is not None
    )


def _release(appointment: Appointment) -> None:
    appointment.claims.update(active=False)


def _claimed(appointment: Appointment) -> list[int]:
    return list(appointment.claims.values_list("resource_id", flat=True))


# --- refusing ---------------------------------------------------------------------------------------------------


def _pass_gates(
    wish: Wish, away: Sequence[tuple[Kind, str]], override_reason: str, by: Actor, at: datetime
) -> list[str]:
    """Return the sentences of the rules that were set aside; raise the first that stands."""
    against = refusals(facts_of(wish, away, at))
    for refusal in against:
        if not getattr(refusal, "may_be_overridden", False) or not override_reason.strip():
            raise refusal
    if against and not _may_override(by):
        raise OverrideRefused
    return [refusal.for_people for refusal in against]


def _may_override(by: Actor) -> bool:
    user = User.objects.filter(pk=by.user_id, is_active=True).first() if by.user_id else None
    return user is not None and user.may(Permission.OVERRIDE)


def _override_fields(appointment: Appointment, overridden: list[str], why: str, by: Actor) -> dict[str, object]:
    """An override is shown on the visit for ever: a later one is added, none is taken away."""
    if not overridden:
        return {}
    reasons = [appointment.override_reason, why] if appointment.override_reason else [why]
    return {
        "override_reason": " / ".join(reasons)[:400],
        "override_by_id": by.user_id,
        "overrides": [*appointment.overrides, *overridden],
    }


def _refuse_stale(appointment: Appointment, expected_version: int) -> None:
    if appointment.version != expected_version:
        when = clock_label(appointment.changed_at, appointment.location.zone)
        raise StaleVersion(appointment.changed_by_name, appointment.changed_at, when)


def _already_booked(clash: IntegrityError, form_key: uuid.UUID) -> Appointment | None:
    """Return the visit of the same form, if that is what the database refused."""
    if "form_key" in _constraint(clash):
        return Appointment.objects.filter(form_key=form_key).first()
    return None


def _slot_taken(clash: IntegrityError, wish: Wish, at: datetime) -> Refused | IntegrityError:
    """Return the domain's word for what the database refused, or the clash itself if it was something else."""
    if _constraint(clash) == "claim_no_overlap":
        return SlotTaken(next_free=next_free(wish, at))
    return clash


def _constraint(clash: IntegrityError) -> str:
    diagnosis = getattr(clash.__cause__, "diag", None)
    return str(getattr(diagnosis, "constraint_name", None) or "")


# --- keeping the row and its messages ---------------------------------------------------------------------------


def _moved_wish(
    appointment: Appointment,
    starts_at: datetime,
    practitioner: Practitioner | None,
    room: Room | None,
    device: Device | None,
) -> Wish:
    return Wish(
        patient=appointment.patient,
        type=appointment.sized_type,
        location=appointment.location,
        practitioner=practitioner or appointment.practitioner,
        starts_at=starts_at,
        room=room or appointment.room,
        device=device or appointment.device,
        course=appointment.course,
        leaving_out=appointment.pk,
    )


def _modality(wish: Wish) -> str:
    return wish.course.modality if wish.course else ""


def _moved_to(
    appointment: Appointment, status: str, by: Actor, at: datetime, *, reason: str = "", **fields: object
) -> Appointment:
    version = appointment.version + 1
    return move(
        appointment,
        status,
        by=by,
        at=at,
        reason=reason,
        version=version,
        changed_at=at,
        changed_by_name=by.name,
        **fields,
    )


def _save(appointment: Appointment, by: Actor, at: datetime, **fields: object) -> None:
    fields |= {"version": appointment.version + 1, "changed_at": at, "changed_by_name": by.name}
    for name, value in fields.items():
        setattr(appointment, name, value)
    appointment.save(update_fields=list(fields))


def _reconcile(appointment: Appointment, *, by: Actor, at: datetime, reason: str = "") -> Reconciled:
    return reconcile_plan(
        about=appointment.about,
        patient=appointment.patient,
        location=appointment.location,
        visit=visit_of(appointment) if appointment.status in ANNOUNCED else None,
        by=by,
        at=at,
        reason=reason,
    )


def _moved_sentence(appointment: Appointment, messages: Reconciled) -> str:
    local = appointment.starts_at.astimezone(appointment.location.zone)
    when = f"{local:%A} {local.day} {local:%B}, {clock_label(appointment.starts_at, appointment.location.zone)}"
    return f"Moved to {when} with {appointment.practitioner}. {messages.sentence}."
