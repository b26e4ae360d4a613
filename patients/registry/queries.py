"""Finding people, and how to reach them."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import date

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.db.models.functions import Lower

from clinic.premises.models import Location
from clinic.staff.models import User
from patients.registry.models import ContactPoint, Patient, PatientContact, PatientQuerySet, SecureLink
from patients.registry.rules import (
    EmailRefused,
    PhoneRefused,
    calling_code,
    clean_email,
    clean_phone,
    names_alike,
    read_date,
    search_key,
    search_texts,
)
from patients.registry.states import ContactKind

PAGE = 20
_NUMBER = re.compile(r"^\+?[\d\s().-]{6,}$")
# People born on one day: about 30 of a million. More are not worth comparing.
_SAME_DAY = 400


@dataclass(frozen=True)
class Found:
    """One page of people; `after` asks for the next one, empty when this was the last."""

    patients: list[Patient]
    after: str = ""


@dataclass(frozen=True)
class Duplicate:
    """Somebody who may be the same person, and why we think so."""

    patient: Patient
    why: str
    rank: int


def contact_for(patient: Patient, kind: str) -> ContactPoint | None:
    """Return where the patient is reached now by email or phone: the latest one given, None if there is none."""
    contact = patient.contacts.filter(point__kind=kind, until_at=None).select_related("point").first()
    return contact.point if contact else None


def link_of_token(token: str) -> SecureLink | None:
    """Return the link of a token, whatever its state; None if there never was one. Only the hash is looked up."""
    return (
        SecureLink.objects.select_related("patient__location")
        .filter(token_hash=hashlib.sha256(token.encode()).digest())
        .first()
    )


def search_patients(user: User, text: str, limit: int = PAGE) -> list[Patient]:
    """Return the first patients the person may see who match; see find_patients."""
    return find_patients(user, text, limit=limit).patients


def find_patients(user: User, text: str, after: str = "", limit: int = PAGE) -> Found:
    """Return a page of patients the person may see, by the beginning of a name, a birth date, or a whole contact.

    Names match from the family name or from the given name, whatever their case and accents; a date after a name
    narrows it. An email address or telephone number finds everyone reached there. Nothing typed: everyone, by name.
    """
    visible = Patient.objects.visible_to(user)
    text = text.replace("\x00", "").strip()[:200]
    if "@" in text or (_NUMBER.match(text) and read_date(text) is None):
        return Found(list(_reached_at(visible, user, text)[:limit]))
    name, born_on = _name_and_date(text)
    if born_on:
        visible = visible.filter(born_on=born_on)
    return _by_name(visible, search_key(name), after, limit)


def _name_and_date(text: str) -> tuple[str, date | None]:
    """Split off a date at the end: "reyes 14 May 1988" is a name and a day."""
    words = text.split()
    for count in (3, 2, 1):
        if len(words) >= count and (day := read_date(" ".join(words[-count:]))):
            return " ".join(words[:-count]), day
    return text, None


def _reached_at(visible: PatientQuerySet, user: User, text: str) -> PatientQuerySet:
    points = ContactPoint.objects.alias(plain=Lower("value"))
    if "@" in text:
        points = points.filter(kind=ContactKind.EMAIL, plain=_email_or_itself(text))
    else:
        codes = {calling_code(place.phone) for place in Location.objects.visible_to(user)}
        points = points.filter(kind=ContactKind.PHONE, plain__in=_numbers(text, codes))
    return visible.filter(contacts__point__in=points, contacts__until_at=None).distinct().order_by("search_text", "id")


def _email_or_itself(text: str) -> str:
    try:
        return clean_email(text)
    except EmailRefused:
        return text.lower()


def _numbers(text: str, codes: set[str]) -> list[str]:
    found = []
    for code in codes:
        try:
            found.append(clean_phone(text, country=code))
        except PhoneRefused:
            continue
    return found


def _by_name(visible: PatientQuerySet, key: str, after: str, limit: int) -> Found:
    """First everyone whose family name begins so, then those whose given name does. Pages continue behind a person."""
    phase, _, ref = after.partition(".")
    last = _patient_or_none(visible, ref)
    rows: list[Patient] = []
    if phase != "g" or last is None:
        by_family = visible.filter(search_text__startswith=key) if key else visible
        rows = _behind(by_family, "search_text", last, limit + 1)
        if len(rows) > limit or not key:
            return _cut(rows, limit, "f")
        last = None
    by_given = visible.filter(search_given__startswith=key).exclude(search_text__startswith=key)
    phase_at = len(rows)
    rows += _behind(by_given, "search_given", last, limit + 1 - phase_at)
    return _cut(rows, limit, "g" if phase_at < limit else "f")


def _behind(rows: PatientQuerySet, column: str, last: Patient | None, count: int) -> list[Patient]:
    """Return the rows after `last` in the index's own order: a keyset page costs the same wherever it is."""
    if last is not None:
        text = getattr(last, column)
        rows = rows.filter(**{f"{column}__gte": text}).filter(Q(**{f"{column}__gt": text}) | Q(id__gt=last.pk))
    return list(rows.select_related("location").order_by(column, "id")[:count])


def _cut(rows: list[Patient], limit: int, phase: str) -> Found:
    page = rows[:limit]
    return Found(page, f"{phase}.{page[-1].ref}" if len(rows) > limit else "")


def _patient_or_none(visible: PatientQuerySet, ref: str) -> Patient | None:
    try:
        return visible.filter(ref=uuid.UUID(ref)).first() if ref else None
    except (ValueError, ValidationError):
        return None


def possible_duplicates(
    given_name: str, family_name: str, born_on: date | None, email: str, phone: str
) -> list[Patient]:
    """Return up to five patients who may be this person, likeliest first. Suggestions; nothing is merged."""
    return [found.patient for found in duplicates(given_name, family_name, born_on, email, phone)]


def duplicates(
    given_name: str, family_name: str, born_on: date | None, email: str = "", phone: str = "", limit: int = 5
) -> list[Duplicate]:
    """Return who may be the same person, with why. Two of three must fit: name (roughly), birth date, contact.

    Without a birth date, as for an enquiry, exactly the same name is suggested too. `email` and `phone` are expected
    as clean_email and clean_phone return them. Looks at every location: a duplicate next door is one too.
    """
    name = (given_name, family_name)
    reached = Q(point__kind=ContactKind.EMAIL, point__value=email) if email else Q(pk=None)
    reached |= Q(point__kind=ContactKind.PHONE, point__value=phone) if phone else Q(pk=None)
    same_contact = set(PatientContact.objects.filter(reached, until_at=None).values_list("patient_id", flat=True))
    wanted = Q(pk__in=same_contact)
    wanted |= Q(born_on=born_on) if born_on else Q(search_text=search_texts(*name)[0])
    candidates = Patient.objects.filter(wanted).select_related("location")[:_SAME_DAY]
    found = [_compare(each, name, born_on, each.pk in same_contact) for each in candidates]
    return sorted((each for each in found if each), key=lambda each: (each.rank, each.patient.search_text))[:limit]


def _compare(patient: Patient, name: tuple[str, str], born_on: date | None, reached: bool) -> Duplicate | None:
    same_day = born_on is not None and patient.born_on == born_on
    same_name = search_texts(patient.given_name, patient.family_name) == search_texts(*name)
    alike = same_name or names_alike((patient.given_name, patient.family_name), name)
    whys = (
        (same_name and same_day, "Same name and date of birth"),
        (alike and same_day, "Similar name, same date of birth"),
        (alike and reached, "Similar name, same email or telephone"),
        (same_day and reached, "Same date of birth, same email or telephone"),
        (same_name and born_on is None, "Same name"),
    )
    return next((Duplicate(patient, why, rank) for rank, (fits, why) in enumerate(whys) if fits), None)
