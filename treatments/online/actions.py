"""Booking a consultation without an account: the only writer of what visitors book."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction

from clinic.audit.states import Actor, Refused
from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Location
from clinic.staff.states import Role
from clinic.worklist.actions import raise_task
from patients.registry.actions import register_patient
from patients.registry.models import Patient
from patients.registry.queries import Duplicate, duplicates
from patients.registry.rules import calling_code, clean_email, clean_phone
from patients.registry.states import Language
from treatments.booking.actions import book_appointment
from treatments.booking.models import Appointment
from treatments.booking.states import SlotTaken
from treatments.online.models import BookingAttempt
from treatments.online.queries import free_people, may_choose
from treatments.online.rules import (
    ADDRESS_WINDOW,
    CHECK_WITHIN,
    CONTACT_WINDOW,
    FOR_ONE_CONTACT,
    FROM_ONE_ADDRESS,
    is_only_a_name,
)
from treatments.online.states import NotAName, NotOffered, NoWayToAnswer, TooMany


@dataclass(frozen=True)
class Visitor:
    """Who somebody says they are, and where they can be told."""

    given_name: str
    family_name: str
    born_on: date
    email: str = ""
    phone: str = ""
    language: str = Language.ENGLISH


def book_consultation(
    *,
    place: Location,
    kind: AppointmentType,
    starts_at: datetime,
    visitor: Visitor,
    network: str,
    form_key: uuid.UUID,
    by: Actor,
    at: datetime,
) -> Appointment:
    """The visitor has a visit, marked as booked online; its messages are planned and the desk is asked who they are.

    A new patient stands for them, whoever is on record already: whether two are one person is for the desk. The same
    `form_key` again returns the visit it made. Raises TooMany by `network` or contact, NotOffered, SlotTaken, and what
    `register_patient` raises about names, dates and contacts.
    """
    visitor = _checked(visitor, place)
    limits = _limits(network, visitor)
    with transaction.atomic():
        _stand_in_line(limits)
        again = Appointment.objects.filter(form_key=form_key).first()
        if again is not None:
            return again
        _count(limits, at)
        return _book(place, kind, starts_at, visitor, form_key, by, at)


def _book(
    place: Location,
    kind: AppointmentType,
    starts_at: datetime,
    visitor: Visitor,
    form_key: uuid.UUID,
    by: Actor,
    at: datetime,
) -> Appointment:
    alike = duplicates(visitor.given_name, visitor.family_name, visitor.born_on, visitor.email, visitor.phone)
    patient = register_patient(
        given_name=visitor.given_name,
        family_name=visitor.family_name,
        born_on=visitor.born_on,
        location=place,
        email=visitor.email,
        phone=visitor.phone,
        language=visitor.language,
        form_key=form_key,
        by=by,
        at=at,
    )
    if not (place.online_booking and may_choose(place, starts_at, at)):
        raise NotOffered(field="starts_at")
    visit = _with_anybody(place, kind, starts_at, patient, form_key, by, at)
    _ask_who_it_is(visit, alike, by, at)
    return visit


def _with_anybody(
    place: Location,
    kind: AppointmentType,
    starts_at: datetime,
    patient: Patient,
    form_key: uuid.UUID,
    by: Actor,
    at: datetime,
) -> Appointment:
    for practitioner in free_people(place, kind, starts_at, at):
        try:
            return book_appointment(
                patient=patient,
                type=kind,
                location=place,
                practitioner=practitioner,
                starts_at=starts_at,
                form_key=form_key,
                booked_online=True,
                by=by,
                at=at,
            )
        except SlotTaken:
            continue  # somebody was quicker; another one may be free
        except Refused as refused:
            # The desk's sentence may tell what is no visitor's business: leave, hours, devices.
            raise NotOffered(field="starts_at") from refused
    raise SlotTaken


def _ask_who_it_is(visit: Appointment, alike: list[Duplicate], by: Actor, at: datetime) -> None:
    patient = visit.patient
    why = "Nobody has checked the name and date of birth yet."
    if alike:
        who = "; ".join(f"{each.patient.formal_name} ({each.why.lower()})" for each in alike)
        why = f"{why} May be on record already: {who}."
    raise_task(
        key=f"identity:{visit.ref}",
        kind="identity",
        title=f"Check who {patient.full_name[:120]} is: booked online",
        why=why[:400],
        role=Role.FRONT_DESK,
        location=visit.location,
        due_at=min(at + CHECK_WITHIN, visit.starts_at),
        patient_ref=patient.ref,
        about=visit.about,
        by=by,
        at=at,
    )


def _checked(visitor: Visitor, place: Location) -> Visitor:
    """Return the visitor with contacts as they are kept. Raises what is wrong, at the field it is about."""
    for field in ("given_name", "family_name"):
        if not is_only_a_name(getattr(visitor, field)):
            raise NotAName(field=field)
    email = clean_email(visitor.email) if visitor.email.strip() else ""
    phone = clean_phone(visitor.phone, country=calling_code(place.phone)) if visitor.phone.strip() else ""
    if not email and not phone:
        raise NoWayToAnswer(field="email")
    return Visitor(visitor.given_name, visitor.family_name, visitor.born_on, email, phone, visitor.language)


# --- how often ------------------------------------------------------------------------------------------------------


class _Limit(NamedTuple):
    """So many bookings in the window by whatever the digest stands for."""

    digest: bytes
    most: int
    window: timedelta


def _limits(network: str, visitor: Visitor) -> list[_Limit]:
    contacts = [each for each in (visitor.email, visitor.phone) if each]
    return [
        _Limit(_digest(f"network:{network}"), FROM_ONE_ADDRESS, ADDRESS_WINDOW),
        *(_Limit(_digest(f"contact:{each}"), FOR_ONE_CONTACT, CONTACT_WINDOW) for each in contacts),
    ]


def _stand_in_line(limits: list[_Limit]) -> None:
    """Bookings from one place or for one contact come one after the other: a burst counts like a queue."""
    with connection.cursor() as cursor:
        for digest in sorted(limit.digest for limit in limits):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(digest[:8], signed=True)])


def _count(limits: list[_Limit], at: datetime) -> None:
    """The booking is counted if it comes about. Raises TooMany, in the same words for every limit."""
    BookingAttempt.objects.filter(at__lt=at - max(ADDRESS_WINDOW, CONTACT_WINDOW)).delete()
    for limit in limits:
        if BookingAttempt.objects.filter(digest=limit.digest, at__gt=at - limit.window).count() >= limit.most:
            raise TooMany
    BookingAttempt.objects.bulk_create(BookingAttempt(digest=limit.digest, at=at) for limit in limits)


def _digest(what: str) -> bytes:
    """Return the text as a number that only this clinic can compute: the table names nobody."""
    return hmac.digest(f"online:{settings.SECRET_KEY}".encode(), what.encode(), hashlib.sha256)
