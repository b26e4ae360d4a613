"""Enquiries, from the public page to the patient's open questionnaire."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date, datetime

from django.db import IntegrityError, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.catalogue.models import Concern
from clinic.premises.models import Location
from clinic.transitions import lock, move
from patients.enquiries.models import Enquiry
from patients.enquiries.states import EnquiryStatus
from patients.intake.actions import send_intake_link
from patients.registry.actions import change_contact, register_patient
from patients.registry.models import Patient
from patients.registry.queries import contact_for
from patients.registry.rules import calling_code, clean_email, clean_name, clean_phone
from patients.registry.states import ContactKind

NOTE_LIMIT = 2000


class NoWayToAnswer(Refused):
    """An enquiry without an address or a number."""

    sentence = "Please give an email address or a telephone number, so that we can answer you."


class NoteTooLong(Refused):
    """More words than an enquiry holds."""

    sentence = f"Please keep this to {NOTE_LIMIT:,} characters."


class ConcernUnknown(Refused):
    """Not one of the clinic's concerns."""

    sentence = "Please choose from the list."


class ReasonMissing(Refused):
    """An enquiry is not closed without saying why."""

    sentence = "Please say why it is closed."


@transaction.atomic
def receive_enquiry(
    *,
    location: Location,
    given_name: str,
    family_name: str,
    email: str,
    phone: str,
    concerns: Iterable[str],
    note: str,
    form_key: uuid.UUID,
    by: Actor,
    at: datetime,
) -> Enquiry:
    """Somebody's question waits on the front desk's list. The same form_key twice is one enquiry.

    Raises NameRefused, EmailRefused, PhoneRefused, NoWayToAnswer, ConcernUnknown, NoteTooLong.
    """
    if known := Enquiry.objects.filter(form_key=form_key).first():
        return known
    enquiry = Enquiry(
        location=location,
        given_name=clean_name(given_name, field="given_name", required=False),
        family_name=clean_name(family_name, field="family_name"),
        email=clean_email(email) if email.strip() else "",
        phone=clean_phone(phone, country=calling_code(location.phone)) if phone.strip() else "",
        concerns=_known_concerns(concerns),
        note=_clean_note(note),
        received_at=at,
        form_key=form_key,
    )
    if not enquiry.email and not enquiry.phone:
        raise NoWayToAnswer(field="email")
    try:
        with transaction.atomic():
            enquiry.save(force_insert=True)
    except IntegrityError:
        # The same form arrived twice at the same instant: the other one won.
        return Enquiry.objects.get(form_key=form_key)
    record(action="enquiry.received", subject=enquiry, by=by, at=at, location=location)
    return enquiry


def _known_concerns(concerns: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(concerns))
    known = set(Concern.objects.filter(key__in=wanted).values_list("key", flat=True))
    if known != set(wanted):
        raise ConcernUnknown(field="concerns")
    return wanted


def _clean_note(note: str) -> str:
    note = note.replace("\x00", "").strip()
    if len(note) > NOTE_LIMIT:
        raise NoteTooLong(field="note")
    return note


@transaction.atomic
def mark_contacted(*, enquiry: Enquiry, by: Actor, at: datetime) -> Enquiry:
    """Somebody has answered the person. Raises IllegalMove unless the enquiry is new."""
    return move(enquiry, EnquiryStatus.CONTACTED, by=by, at=at)


@transaction.atomic
def close_enquiry(*, enquiry: Enquiry, reason: str, by: Actor, at: datetime) -> Enquiry:
    """Nothing more is done about the enquiry, and it says why. Raises ReasonMissing, IllegalMove."""
    reason = " ".join(reason.replace("\x00", "").split())[:200]
    if not reason:
        raise ReasonMissing(field="reason")
    return move(enquiry, EnquiryStatus.CLOSED, by=by, at=at, reason=reason, closed_reason=reason)


@transaction.atomic
def reopen_enquiry(*, enquiry: Enquiry, by: Actor, at: datetime) -> Enquiry:
    """An enquiry closed by mistake, or written to again, is new. Raises IllegalMove."""
    return move(enquiry, EnquiryStatus.NEW, by=by, at=at, closed_reason="")


@transaction.atomic
def convert_enquiry(
    *,
    enquiry: Enquiry,
    given_name: str,
    family_name: str,
    born_on: date | None,
    email: str,
    phone: str,
    existing: Patient | None = None,
    by: Actor,
    at: datetime,
) -> Patient:
    """The enquiry is a patient's: a new one, or `existing`. Their questionnaire is open and its link on its way.

    An existing patient keeps name, birth date and contacts; only a contact they lacked is added. Raises IllegalMove
    when the enquiry is closed or already a patient's, and what register_patient raises.
    """
    fresh = lock(enquiry)
    if existing is not None:
        patient = _add_missing_contacts(existing, email, phone, by=by, at=at)
    else:
        assert born_on is not None, "a new patient has a birth date"
        patient = register_patient(
            given_name=given_name,
            family_name=family_name,
            born_on=born_on,
            location=fresh.location,
            email=email,
            phone=phone,
            by=by,
            at=at,
        )
    move(fresh, EnquiryStatus.CONVERTED, by=by, at=at, patient=patient)
    send_intake_link(patient=patient, by=by, at=at)
    return patient


def _add_missing_contacts(patient: Patient, email: str, phone: str, *, by: Actor, at: datetime) -> Patient:
    return change_contact(
        patient=patient,
        email=email if email and contact_for(patient, ContactKind.EMAIL) is None else None,
        phone=phone if phone and contact_for(patient, ContactKind.PHONE) is None else None,
        by=by,
        at=at,
    )
