"""The time a form asks for: what was chosen in the diary, whether it can be, and which other times there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from clinic.audit.states import Refused
from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Device, Location, Room
from clinic.staff.http import StaffRequest
from clinic.staff.models import Practitioner
from patients.registry.models import Patient
from treatments.booking.forms import BookForm, WhenForm, parse_start
from treatments.booking.gates import refusals
from treatments.booking.offers import Ask, Offer, offer_for, value_of
from treatments.booking.pages import asked_day, moment_words
from treatments.booking.rules import clock_label
from treatments.booking.standing import Wish, facts_of
from treatments.booking.states import SlotTaken, TooEarly

# What an address of the booking pages keeps from step to step.
KEPT = ("at", "day", "practitioner", "room", "device")
_THINGS = {"practitioner": Practitioner, "room": Room, "device": Device}


@dataclass(frozen=True)
class Slot:
    """A chosen time of a visit: from when to when, with whom, and every reason against it that is known already."""

    day: date
    starts: str
    ends: str
    who: str
    objections: tuple[str, ...] = ()


def kept_of(request: StaffRequest) -> dict[str, str]:
    """Return what was chosen in the diary, as the address carries it from step to step."""
    sent = {key: request.GET.get(key) or request.POST.get(key) or "" for key in KEPT}
    return {key: value for key, value in sent.items() if value}


def moment_of(text: str) -> datetime | None:
    """Return the instant an address names, None for anything else."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def chosen_thing(kept: dict[str, str]) -> str:
    """Return the name of the practitioner, room or device whose column was clicked; empty if none was."""
    for kind, model in _THINGS.items():
        ref = kept.get(kind, "")
        found = model.objects.filter(ref=ref).first() if _is_ref(ref) else None  # type: ignore[attr-defined]
        if found is not None:
            return str(found)
    return ""


def _is_ref(text: str) -> bool:
    return parse_start(f"2000-01-01T00:00Z~{text}") is not None


def first_values(kept: dict[str, str], location: Location) -> dict[str, Any]:
    """Return what a booking form shows first, from what was chosen in the diary."""
    starts_at = moment_of(kept.get("at", ""))
    day = starts_at.astimezone(location.zone).date() if starts_at else asked_day(kept.get("day", ""))
    things = {kind: kept.get(kind, "") for kind in _THINGS}
    return {"day": day, "starts_at": starts_at.isoformat() if starts_at else "", **things}


def sent_of(request: StaffRequest) -> QueryDict:
    """Return what was sent; a button that shows another day puts that day into the form."""
    sent = request.POST.copy()
    if asked_day(sent.get("show", "")):
        sent["day"] = request.POST.get("show", "")
        sent["starts_at"] = ""
    return sent


def is_picked(form: WhenForm) -> bool:
    """Return True if a room or a device was asked for by name."""
    return bool(form.rooms.get(form.typed("room")) or form.devices.get(form.typed("device")))


def offer_of(
    form: WhenForm,
    patient: Patient,
    type: AppointmentType,
    modality: str,
    at: datetime,
    leaving_out: int | None = None,
) -> Offer:
    """Return the free times for what the form says now."""
    chosen = form.people.get(form.typed("practitioner"))
    return offer_for(
        Ask(
            patient=patient,
            type=type,
            location=form.location,
            modality=modality,
            people=[chosen] if chosen else list(form.people.values()),
            anyone=chosen is None,
            day=form.typed_day(),
            room=form.rooms.get(form.typed("room")),
            device=form.devices.get(form.typed("device")),
            chosen="" if outsider_of(form) else form.typed("starts_at"),
            leaving_out=leaving_out,
        ),
        at,
    )


def outsider_of(form: WhenForm) -> Practitioner | None:
    """Return whose column was clicked, if this visit cannot be with them; nobody else is chosen in their place."""
    ref = form.typed("practitioner")
    return None if ref in form.people or not _is_ref(ref) else Practitioner.objects.filter(ref=ref).first()


def slot_of(form: BookForm, patient: Patient, offer: Offer, at: datetime) -> Slot | None:
    """Return the chosen time with every reason against it, None while none is chosen.

    The desk sees before it presses Book what booking would refuse. What the offer says itself is not said twice.
    """
    purpose, starts_at, person = form.purpose, *_chosen(form, offer)
    if purpose is None or starts_at is None:
        return None
    against: list[Refused] = []
    if person is not None:
        wish = Wish(patient, purpose.type, form.location, person, starts_at, course=purpose.course)
        against = [each for each in refusals(facts_of(wish, (), at)) if not (offer.is_too_early and _is_early(each))]
    zone, ends_at = form.location.zone, starts_at + timedelta(minutes=purpose.type.minutes)
    return Slot(
        day=starts_at.astimezone(zone).date(),
        starts=clock_label(starts_at, zone),
        ends=clock_label(ends_at, zone),
        who=str(person or ""),
        objections=tuple(each.for_people for each in against),
    )


def _is_early(refused: Refused) -> bool:
    return isinstance(refused, TooEarly)


def _chosen(form: BookForm, offer: Offer) -> tuple[datetime | None, Practitioner | None]:
    """Return the chosen instant, and with whom: as named, or whoever the offer has for it."""
    typed = form.typed("starts_at")
    offered = next((time.value for time in (*offer.morning, *offer.afternoon) if time.is_chosen), typed)
    start = parse_start(offered)
    if start is not None:
        return start[0], form.people.get(str(start[1]))
    return moment_of(typed), form.people.get(form.typed("practitioner")) or outsider_of(form)


def show_refusal(form: WhenForm, refused: Refused) -> None:
    """The form says why not, which times are next, and whether a reason would set the rule aside."""
    form.refuse(refused)
    form.next_free = refused.next_free if isinstance(refused, SlotTaken) else []  # type: ignore[attr-defined]
    form.may_set_aside = bool(getattr(refused, "may_be_overridden", False))  # type: ignore[attr-defined]


def next_free_of(form: WhenForm) -> list[tuple[str, str, str]]:
    """Return the next free times as (value, day and time, with whom) for the page that was just refused."""
    people = {person.pk: person for person in form.people.values()}
    return [
        (
            value_of(each.starts_at, people[each.practitioner_id]),
            moment_words(each.starts_at, form.location),
            str(people[each.practitioner_id]),
        )
        for each in getattr(form, "next_free", [])
        if each.practitioner_id in people
    ]
