"""Registering a patient from a form: whoever may be the same person is shown first; nobody decides for the desk."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clinic.audit.states import Actor, Refused
from clinic.staff.models import User
from patients.registry.actions import register_patient
from patients.registry.forms import RegisterForm
from patients.registry.models import Patient
from patients.registry.queries import Duplicate, duplicates
from patients.registry.rules import EmailRefused, PhoneRefused, calling_code, clean_email, clean_phone


def register_from(form: RegisterForm, *, seen: str, by: Actor, at: datetime) -> tuple[Patient | None, list[Duplicate]]:
    """The patient is registered, unless the form is refused or somebody not yet `seen` may be the same person.

    `seen` holds the refs of those the desk has looked at, apart by spaces. What is wrong stands in the form.
    """
    if not form.is_valid():
        return None, []
    suspects = _unseen(form, seen)
    if suspects:
        return None, suspects
    try:
        return register_patient(**form.cleaned_data, by=by, at=at), []
    except Refused as refused:
        form.refuse(refused)
        return None, []


def _unseen(form: RegisterForm, seen: str) -> list[Duplicate]:
    """Return possible duplicates unless every one of them has been looked at already."""
    facts = form.cleaned_data
    try:
        email = clean_email(facts["email"]) if facts["email"] else ""
        country = calling_code(facts["location"].phone)
        phone = clean_phone(facts["phone"], country=country) if facts["phone"] else ""
    except (EmailRefused, PhoneRefused):
        return []  # the act itself will say what is wrong with it
    if Patient.objects.filter(form_key=facts["form_key"]).exists():
        return []  # a second tap on the same form: the act returns who is already registered
    found = duplicates(facts["given_name"], facts["family_name"], facts["born_on"], email, phone)
    return [] if {str(each.patient.ref) for each in found} <= set(seen.split()) else found


def suspects_for(user: User, suspects: list[Duplicate]) -> dict[str, Any]:
    """Return for a page whom the person may open, and how many are at locations where they do not work."""
    mine = set(Patient.objects.visible_to(user).filter(pk__in=[each.patient.pk for each in suspects]))
    return {
        "suspects": suspects,
        "suspects_here": [each for each in suspects if each.patient in mine],
        "suspects_elsewhere": sum(1 for each in suspects if each.patient not in mine),
        "seen": " ".join(str(each.patient.ref) for each in suspects),
    }
