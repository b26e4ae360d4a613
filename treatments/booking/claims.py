"""What a visit claims: which rooms and devices it could have, the lock on them, and who else holds them then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from django.db import connection

from clinic.premises.models import Device, Room
from clinic.rows import insert
from clinic.staff.models import Practitioner
from treatments.booking.models import Appointment, Claim
from treatments.booking.queries import devices_for, rooms_at, shape_of
from treatments.booking.rules import Kind, clock_label, phases
from treatments.booking.standing import Around, Wish, around, modality_of
from treatments.booking.states import DeviceUnavailable, NotHere, SlotTaken

Thing = Practitioner | Room | Device
Candidates = Mapping[Kind, Sequence[Thing]]


def candidates_of(wish: Wish) -> dict[Kind, Sequence[Thing]]:
    """Return for each kind what could be claimed: the one that was named, else every one of the location."""
    candidates: dict[Kind, Sequence[Thing]] = {"practitioner": [wish.practitioner]}
    if wish.type.needs_room:
        candidates["room"] = _named_or_all("room", wish.room, rooms_at(wish.location), "No room is in use here.")
    if wish.type.modality_group:
        laser = f"No device for this treatment is in use at {wish.location}."
        devices = devices_for(wish.location, wish.type, modality_of(wish))
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


def first_of(present: Thing | None, things: Sequence[Thing]) -> Sequence[Thing]:
    """Return the things with the present one, if it is among them, in front."""
    return sorted(things, key=lambda thing: thing != present)


def present(wish: Wish, kind: Kind) -> Thing | None:
    present: dict[Kind, Thing | None] = {"practitioner": wish.practitioner, "room": wish.room, "device": wish.device}
    return present[kind]


_KINDS: tuple[Kind, ...] = ("practitioner", "room", "device")
_LOCK = """
SELECT id, CASE WHEN practitioner_id IS NOT NULL THEN 'practitioner' WHEN room_id IS NOT NULL THEN 'room'
                ELSE 'device' END, coalesce(practitioner_id, room_id, device_id)
FROM clinic_resource
WHERE id = ANY(%(also)s) OR practitioner_id = ANY(%(practitioner)s) OR room_id = ANY(%(room)s)
   OR device_id = ANY(%(device)s)
ORDER BY id FOR NO KEY UPDATE
"""


class Resources(dict[tuple[Kind, int], int]):
    """Locked resources: (kind, key of the thing) to the key of its resource row."""


def lock_resources(candidates: Candidates, also: Iterable[int] = ()) -> Resources:
    """The resource rows are locked in one fixed order until the transaction ends. Returns which they are."""
    wanted: dict[str, list[int]] = {kind: [thing.pk for thing in candidates.get(kind, ())] for kind in _KINDS}
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"also": list(also), **wanted})
        return Resources({(kind, thing): pk for pk, kind, thing in cursor.fetchall()})


def held_then(wish: Wish, resources: Resources, form_key: UUID | None = None) -> Around:
    """The patient is locked, after the resources; return what is around the visit: it cannot change until we are done.

    A visit made from the form of that key is among the patient's own.
    """
    return around(wish, resources.values(), form_key=form_key, lock=True)


def choose(wish: Wish, candidates: Candidates, resources: Resources, held: Around) -> Wish:
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


def refuse_taken(wish: Wish, resources: Resources, held: Around) -> None:
    """Raise SlotTaken, naming what is taken, if somebody else claims a part of it."""
    for part in phases(shape_of(wish.type), wish.starts_at):
        thing = present(wish, part.kind)
        if thing is not None and held.is_claimed(resources[part.kind, thing.pk], part):
            when = clock_label(wish.starts_at, wish.location.zone)
            raise SlotTaken(f"{thing} has just been taken for {when}.")


def away_then(wish: Wish, resources: Resources, held: Around) -> list[tuple[Kind, str]]:
    """Return what the visit would claim and is away then, by kind and name."""
    return [
        (part.kind, str(thing))
        for part in phases(shape_of(wish.type), wish.starts_at)
        if (thing := present(wish, part.kind)) is not None and held.is_away(resources[part.kind, thing.pk], part)
    ]


def claim(appointment: Appointment, resources: Resources) -> None:
    things: dict[Kind, int | None] = {
        "practitioner": appointment.practitioner_id,
        "room": appointment.room_id,
        "device": appointment.device_id,
    }
    insert(
        [
            Claim(
                appointment=appointment,
                resource_id=resources[part.kind, thing],
                period=(part.starts_at, part.ends_at),
            )
            for part in phases(shape_of(appointment.sized_type), appointment.starts_at)
            if (thing := things[part.kind]) is not None
        ]
    )


def release(appointment: Appointment) -> None:
    appointment.claims.update(active=False)


def claimed_by(appointment: Appointment) -> list[int]:
    return list(appointment.claims.values_list("resource_id", flat=True))
