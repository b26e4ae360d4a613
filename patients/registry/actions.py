"""Registering and correcting people, and their secure links."""

from __future__ import annotations

import hashlib
import secrets
import uuid
import zoneinfo
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Outcome, Refused
from clinic.premises.models import Location
from clinic.staff.states import Role
from clinic.transitions import lock
from clinic.worklist.actions import raise_task
from patients.registry.models import ContactPoint, Patient, PatientContact, SecureLink
from patients.registry.queries import contact_for, link_of_token
from patients.registry.rules import (
    calling_code,
    check_born_on,
    clean_email,
    clean_name,
    clean_phone,
    search_texts,
)
from patients.registry.states import LINK_DAYS, MAX_TRIES, ContactKind, LinkScope

TOKEN_BYTES = 32  # 256 bits: guessing is hopeless at any speed
LOCKED_LINK_DUE = timedelta(hours=4)


class LinkUnknown(Refused):
    """No link has this token."""

    sentence = "This link can’t be used any more."


class LinkExpired(Refused):
    """The link's time is over, or somebody withdrew it. Says the same as LinkUnknown: nobody learns which."""

    sentence = LinkUnknown.sentence


class LinkLocked(Refused):
    """Too many wrong birth dates."""

    sentence = "This link is locked, because the date of birth didn’t match five times. The clinic has been told."


class WrongBirthDate(Refused):
    """The birth date is another one. `left` says how many tries remain."""

    def __init__(self, left: int) -> None:
        self.left = left
        super().__init__(f"That doesn’t match. {left} {'try' if left == 1 else 'tries'} left.", field="born_on")


class TimeZoneUnknown(Refused):
    """Not an IANA time zone."""

    sentence = "Please choose a time zone like Europe/Madrid."


# --- people -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def register_patient(
    *,
    given_name: str,
    family_name: str,
    born_on: date,
    location: Location,
    email: str = "",
    phone: str = "",
    language: str = "en",
    time_zone: str = "",
    known_as: str = "",
    form_key: uuid.UUID | None = None,
    by: Actor,
    at: datetime,
) -> Patient:
    """The person is a patient of the location and can be reached there. The same form_key twice is one patient.

    Raises NameRefused, BirthDateRefused, EmailRefused, PhoneRefused, TimeZoneUnknown.
    """
    if form_key and (known := Patient.objects.filter(form_key=form_key).first()):
        return known
    given = clean_name(given_name, field="given_name", required=False)
    family = clean_name(family_name, field="family_name")
    by_family, by_given = search_texts(given, family)
    email, phone = _clean_contacts(email, phone, location)
    patient = Patient(
        given_name=given,
        family_name=family,
        known_as=clean_name(known_as, field="known_as", required=False),
        born_on=check_born_on(born_on, today=at.astimezone(location.zone).date()),
        location=location,
        language=language,
        time_zone=_clean_zone(time_zone),
        preferred_channel=ContactKind.PHONE if phone and not email else ContactKind.EMAIL,
        search_text=by_family,
        search_given=by_given,
        form_key=form_key,
        created_at=at,
    )
    try:
        with transaction.atomic():
            patient.save(force_insert=True)
    except IntegrityError:
        if form_key is None:
            raise
        # The same form arrived twice at the same instant: the other one won.
        return Patient.objects.get(form_key=form_key)
    record(action="patient.registered", subject=patient, by=by, at=at)
    _reach(patient, ContactKind.EMAIL, email, by=by, at=at)
    _reach(patient, ContactKind.PHONE, phone, by=by, at=at)
    return patient


@transaction.atomic
def correct_patient(
    *,
    patient: Patient,
    given_name: str | None = None,
    family_name: str | None = None,
    known_as: str | None = None,
    born_on: date | None = None,
    language: str | None = None,
    time_zone: str | None = None,
    preferred_channel: ContactKind | None = None,
    email: str | None = None,
    phone: str | None = None,
    by: Actor,
    at: datetime,
) -> Patient:
    """What was wrong about the patient is right; what is None stays. The trail keeps what stood there before.

    Contacts change as change_contact says. Raises NameRefused, BirthDateRefused, EmailRefused, PhoneRefused,
    TimeZoneUnknown; then nothing changed at all.
    """
    fresh = change_contact(patient=patient, email=email, phone=phone, by=by, at=at)
    wanted: dict[str, object] = {}
    if given_name is not None:
        wanted["given_name"] = clean_name(given_name, field="given_name", required=False)
    if family_name is not None:
        wanted["family_name"] = clean_name(family_name, field="family_name")
    if known_as is not None:
        wanted["known_as"] = clean_name(known_as, field="known_as", required=False)
    if born_on is not None:
        wanted["born_on"] = check_born_on(born_on, today=at.astimezone(fresh.location.zone).date())
    if language is not None:
        wanted["language"] = language
    if time_zone is not None:
        wanted["time_zone"] = _clean_zone(time_zone)
    if preferred_channel is not None:
        wanted["preferred_channel"] = ContactKind(preferred_channel).value
    if preferred_channel is not None and fresh.preferred_channel != preferred_channel:
        wanted["channel_is_wish"] = True  # somebody chose it; until then it only followed from what we knew
    changed = {name: value for name, value in wanted.items() if getattr(fresh, name) != value}
    if not changed:
        return fresh
    was = {name: getattr(fresh, name) for name in changed}
    for name, value in changed.items():
        setattr(fresh, name, value)
    fresh.search_text, fresh.search_given = search_texts(fresh.given_name, fresh.family_name)
    fresh.save(update_fields=[*changed, "search_text", "search_given"])
    record(action="patient.corrected", subject=fresh, by=by, at=at, was=was, now=changed)
    return fresh


@transaction.atomic
def note_wishes(*, patient: Patient, first_by: str, time_zone: str, by: Actor, at: datetime) -> Patient:
    """Messages go first the way the patient asked for ("" means as each is planned) and keep to the night of the zone.

    "" as zone is the clinic's. Raises TimeZoneUnknown.
    """
    fresh = lock(patient)
    wanted: dict[str, object] = {"time_zone": _clean_zone(time_zone), "channel_is_wish": bool(first_by)}
    if first_by:
        wanted["preferred_channel"] = ContactKind(first_by).value
    changed = {name: value for name, value in wanted.items() if getattr(fresh, name) != value}
    if changed:
        was = {name: getattr(fresh, name) for name in changed}
        for name, value in changed.items():
            setattr(fresh, name, value)
        fresh.save(update_fields=[*changed])
        record(action="patient.wishes_noted", subject=fresh, by=by, at=at, was=was, now=changed)
    return fresh


@transaction.atomic
def change_contact(
    *, patient: Patient, email: str | None = None, phone: str | None = None, by: Actor, at: datetime
) -> Patient:
    """The patient is reached here from now on; "" means no longer this way, None leaves it. Old ways stay on record."""
    fresh = lock(patient)
    clean = _clean_contacts(email or "", phone or "", fresh.location)
    for kind, asked, value in zip(ContactKind, (email, phone), clean, strict=True):
        if asked is not None:
            _reach(fresh, kind, value, by=by, at=at)
    return fresh


def _clean_contacts(email: str, phone: str, location: Location) -> tuple[str, str]:
    return (
        clean_email(email) if email.strip() else "",
        clean_phone(phone, country=calling_code(location.phone)) if phone.strip() else "",
    )


def _clean_zone(time_zone: str) -> str:
    if time_zone and time_zone not in zoneinfo.available_timezones():
        raise TimeZoneUnknown(field="time_zone")
    return time_zone


def _reach(patient: Patient, kind: ContactKind, value: str, *, by: Actor, at: datetime) -> None:
    """The patient's only current contact of this kind is `value`, or none when it is empty."""
    now = contact_for(patient, kind)
    if (now.value if now else "") == value:
        return
    patient.contacts.filter(point__kind=kind, until_at=None).update(until_at=at)
    if value:
        point, _ = ContactPoint.objects.get_or_create(kind=kind, value=value, defaults={"created_at": at})
        PatientContact.objects.create(patient=patient, point=point, since_at=at)
    record(action="patient.contact_changed", subject=patient, by=by, at=at, kind=kind, had=bool(now), has=bool(value))


# --- secure links -----------------------------------------------------------------------------------------------------


@transaction.atomic
def issue_link(
    *, patient: Patient, scope: LinkScope, about: str, by: Actor, at: datetime, days: int | None = None
) -> tuple[SecureLink, str]:
    """The patient has one more way in, for `days` (by scope when None). Returns it with its address.

    The address carries 256 random bits and is not kept: only their sha256 is.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link = SecureLink.objects.create(
        patient=patient,
        scope=LinkScope(scope),
        about=about,
        token_hash=hashlib.sha256(token.encode()).digest(),
        created_at=at,
        expires_at=at + timedelta(days=LINK_DAYS[scope] if days is None else days),
    )
    record(action="link.issued", subject=link, by=by, at=at, scope=scope, about=about)
    return link, f"{settings.PUBLIC_URL}/l/{token}/"


def open_link(*, token: str, born_on: date, by: Actor, at: datetime) -> SecureLink:
    """The link is open for whoever knows the patient's birth date; wrong ones are counted, the fifth locks it.

    Raises LinkUnknown, LinkExpired, LinkLocked, WrongBirthDate (a field's error). A counted try is written even
    though the act is refused, so the refusal is raised only after its own transaction.
    """
    with transaction.atomic():
        link = link_of_token(token)
        if link is None:
            raise LinkUnknown
        if not _is_usable(link, at):
            raise LinkExpired
        link = lock(link)
        refusal = _try(link, born_on, by=by, at=at)
    if refusal:
        raise refusal
    return link


def _is_usable(link: SecureLink, at: datetime) -> bool:
    return link.revoked_at is None and at < link.expires_at


def _try(link: SecureLink, born_on: date, *, by: Actor, at: datetime) -> Refused | None:
    if link.locked_at is not None:
        return LinkLocked()
    if link.patient.born_on != born_on:
        return _count_wrong(link, by=by, at=at)
    seen_before = link.opened_at is not None
    link.tries, link.opened_at = 0, at
    link.save(update_fields=["tries", "opened_at"])
    patient = Actor.patient(link.patient.ref, link.patient.full_name)
    record(action="link.opened", subject=link, by=patient, at=at, scope=link.scope, seen_before=seen_before)
    return None


def _count_wrong(link: SecureLink, *, by: Actor, at: datetime) -> Refused:
    link.tries += 1
    if link.tries >= MAX_TRIES:
        link.locked_at = at
        _tell_the_desk(link, by=by, at=at)
    link.save(update_fields=["tries", "locked_at"])
    record(action="link.refused", subject=link, by=by, at=at, outcome=Outcome.REFUSED, tries=link.tries)
    return LinkLocked() if link.locked_at else WrongBirthDate(MAX_TRIES - link.tries)


def _tell_the_desk(link: SecureLink, *, by: Actor, at: datetime) -> None:
    raise_task(
        key=f"link_locked:{link.ref}",
        kind="link_locked",
        title=f"Ring {link.patient.full_name[:120]}: their link is locked after {MAX_TRIES} wrong birth dates",
        why="It may have been somebody else. Check whom you speak to and the date of birth, then send a new link.",
        role=Role.FRONT_DESK,
        location=link.patient.location,
        due_at=at + LOCKED_LINK_DUE,
        patient_ref=link.patient.ref,
        about=f"link:{link.ref}",
        by=by,
        at=at,
    )


@transaction.atomic
def revoke_links(*, about: str, by: Actor, at: datetime, scope: LinkScope | None = None) -> int:
    """No link about this opens any more, nor does a page already open. Returns how many were closed."""
    links = SecureLink.objects.select_for_update(no_key=True, of=("self",)).filter(about=about, revoked_at=None)
    if scope is not None:
        links = links.filter(scope=scope)
    closed = list(links.order_by("pk").select_related("patient"))
    for link in closed:
        link.revoked_at = at
        link.save(update_fields=["revoked_at"])
        record(action="link.revoked", subject=link, by=by, at=at, scope=link.scope)
    return len(closed)
