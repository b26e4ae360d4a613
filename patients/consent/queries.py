"""Which words are in force, what a patient agreed to, and whether a signature still fits what was signed."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clinic.catalogue.models import BodyArea, Modality
from patients.consent.models import Consent, ConsentWording
from patients.consent.rules import Wording, digest, load_wording, plan_sha256, signed_sha256
from patients.consent.states import PLAN_CHANGED, ConsentScope, ConsentStatus, WordingMissing
from patients.registry.models import Patient

KNOWLEDGE = Path(__file__).resolve().parent.parent / "knowledge" / "consent"
FALLBACK = "en"


@cache
def shipped_wordings() -> tuple[Wording, ...]:
    """Return the shipped wordings, read and checked once."""
    files = sorted(KNOWLEDGE.glob("*.toml"))
    return tuple(load_wording(file.read_text(encoding="utf-8"), file.name) for file in files)


def wording_in_force(scope: str, group: str, language: str) -> ConsentWording:
    """Return the current words in the language, else in English. Raises WordingMissing."""
    found = ConsentWording.objects.filter(scope=scope, group=group, is_current=True)
    by_language = {wording.language: wording for wording in found}
    wording = by_language.get(language) or by_language.get(FALLBACK)
    if wording is None:
        raise WordingMissing
    return wording


def plans_agreed(patients: Collection[int], scope: str) -> set[tuple[int, str, str]]:
    """Return what these patients signed and did not take back: patient's key, what it is about, the plan's hash."""
    rows = Consent.objects.in_force().filter(patient__in=patients, scope=scope)
    return set(rows.values_list("patient", "about", "plan_sha256"))


def withdrawn_plans(abouts: Collection[str]) -> set[str]:
    """Return for which of these plans the patient took back, or declined, what was last asked: nothing prepares now."""
    last: dict[str, tuple[str, str]] = {}
    if abouts:
        rows = Consent.objects.filter(about__in=abouts, scope=ConsentScope.TREATMENT).order_by("asked_at", "id")
        last = {about: (status, reason) for about, status, reason in rows.values_list("about", "status", "reason")}
    return {
        about
        for about, (status, reason) in last.items()
        if status == ConsentStatus.REJECTED or (status == ConsentStatus.INACTIVE and reason != PLAN_CHANGED)
    }


def consents_of(patient: Patient) -> list[Consent]:
    """Return everything the patient was ever asked to agree to, the latest first."""
    return list(patient.consents.select_related("wording"))


def consent_about(about: str) -> Consent | None:
    """Return the consent that a link is for, as "consent:<ref>"; None if it names none."""
    try:
        ref = uuid.UUID(about.removeprefix("consent:"))
    except ValueError:
        return None
    return Consent.objects.select_related("wording", "patient__location").filter(ref=ref).first()


def is_intact(consent: Consent) -> bool:
    """True if words, plan, ticks, name and drawing are still those that were signed."""
    if consent.signed_at is None:
        return False
    wording = consent.wording
    return consent.signed_sha256 == signed_sha256(
        wording_sha256=wording_sha256(wording),
        plan_hash=plan_sha256(consent.plan),
        risks_ticked=consent.risks_ticked or [],
        signed_name=consent.signed_name,
        signed_as=consent.signed_as,
        signature=consent.signature or [],
        signed_at=consent.signed_at,
    )


def wording_sha256(wording: ConsentWording) -> str:
    """Return the hash of the words as they stand in the row, computed anew."""
    return digest(
        {
            "scope": wording.scope,
            "group": wording.group,
            "language": wording.language,
            "body": wording.body,
            "reflection_hours": wording.reflection_hours,
        }
    )


# --- a plan in words --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """One line of a plan as a patient reads it."""

    label: str
    text: str


def plan_in_words(plan: Mapping[str, object]) -> list[Fact]:
    """Return what a plan says, in words; keys that are not known are shown as they are, never left out."""
    facts = []
    for key, value in plan.items():
        label = _LABELS.get(key, key.replace("_", " ").capitalize())
        if key == "modality":
            facts.append(Fact(label, _modality(str(value))))
        elif isinstance(value, list):
            facts.append(Fact(label, _areas(value) if key == "areas" else ", ".join(map(str, value))))
        else:
            facts.append(Fact(label, str(value)))
    return sorted(facts, key=lambda fact: _ORDER.get(fact.label, len(_ORDER)))


_LABELS = {"modality": "Laser", "areas": "Areas", "sessions": "Sessions"}
_ORDER = {label: place for place, label in enumerate(_LABELS.values())}


def _modality(key: str) -> str:
    return Modality.objects.values_list("patient_label", flat=True).filter(key=key).first() or key


def _areas(keys: list[object]) -> str:
    labels = dict(BodyArea.objects.filter(key__in=keys).values_list("key", "label"))
    return ", ".join(labels.get(str(key), str(key)) for key in keys)


def treatment_scope(consent: Consent) -> bool:
    """True if the consent is for a treatment, so that visits depend on it."""
    return consent.scope == ConsentScope.TREATMENT
