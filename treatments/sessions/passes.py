"""The passes of a treatment: recorded row by row with their warnings, struck but never deleted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from clinic.audit.actions import record as record_event
from clinic.audit.states import Actor
from clinic.catalogue.states import Laterality
from clinic.transitions import lock
from treatments.sessions.models import SessionPass, TreatmentSession
from treatments.sessions.queries import consented_areas, context_of, settings_in_force, user_key
from treatments.sessions.rules import UNCHECKED, limit_breaches, warnings
from treatments.sessions.states import (
    RECORDING,
    TREATED,
    BeyondDevice,
    DoseMissing,
    NotConsented,
    NotUnderWay,
    ReasonMissing,
    SignedOff,
    WarningsNeedReason,
)

DOSES = ("energy_mj", "fluence_j_cm2", "depth_um")


@transaction.atomic
def record_pass(
    *,
    session: TreatmentSession,
    area: str,
    passes: int,
    by: Actor,
    at: datetime,
    laterality: str = "",
    area_cm2: Decimal | None = None,
    energy_mj: Decimal | None = None,
    fluence_j_cm2: Decimal | None = None,
    coverage_percent: Decimal | None = None,
    density_mtz_cm2: int | None = None,
    spot_um: int | None = None,
    pulse_us: Decimal | None = None,
    depth_um: int | None = None,
    stacked_pulses: int | None = None,
    warning_reason: str = "",
    form_key: uuid.UUID | None = None,
) -> SessionPass:
    """One group of passes on one area is on the record, with the warnings it raised and why it is right.

    Units are in the names: mJ per microbeam, J/cm², %, microbeams per cm², µm, µs, cm². Needs an energy, a fluence or
    a depth. The same `form_key` twice is one row. Raises NotUnderWay, SignedOff, NotConsented, DoseMissing,
    BeyondDevice, and WarningsNeedReason where a setting lies outside the usual range and no reason is given.
    """
    fresh = lock(session)
    if form_key is not None and (double := SessionPass.objects.filter(form_key=form_key, session=fresh).first()):
        return double
    _refuse_unless_recording(fresh)
    settings = {
        "area": area,
        "laterality": laterality,
        "passes": passes,
        "area_cm2": area_cm2,
        "energy_mj": energy_mj,
        "fluence_j_cm2": fluence_j_cm2,
        "coverage_percent": coverage_percent,
        "density_mtz_cm2": density_mtz_cm2,
        "spot_um": spot_um,
        "pulse_us": pulse_us,
        "depth_um": depth_um,
        "stacked_pulses": stacked_pulses,
    }
    _check_pass(fresh, settings)
    found = warnings(settings, context_of(fresh, area, laterality), settings_in_force())
    shown = [each for each in found if each.rule != UNCHECKED]
    if shown and not warning_reason.strip():
        raise WarningsNeedReason([f"{each.text} ({each.source})" for each in shown])
    row = SessionPass.objects.create(
        session=fresh,
        **settings,
        warnings=[asdict(each) for each in shown],
        unchecked=[asdict(each) for each in found if each.rule == UNCHECKED],
        warning_reason=warning_reason.strip()[:400] if shown else "",
        form_key=form_key or uuid.uuid4(),
        recorded_at=at,
        recorded_by_id=user_key(by),
    )
    record_event(
        action="pass.recorded",
        subject=row,
        by=by,
        at=at,
        patient_ref=fresh.patient.ref,
        area=area,
        warnings=[each.rule for each in shown],
    )
    _keep_areas(fresh)
    return row


def _check_pass(session: TreatmentSession, settings: Mapping[str, Any]) -> None:
    """Raise unless the row is for a consented area, says a dose and stays within the maker's limits."""
    if settings["area"] not in consented_areas(session):
        raise NotConsented(field="area")
    if settings["laterality"] not in {"", *Laterality.values}:
        raise NotConsented("Choose a side from the list.", field="laterality")
    if not settings["passes"] or settings["passes"] < 1:
        raise DoseMissing("At least one pass.", field="passes")
    if all(settings[dose] is None for dose in DOSES):
        raise DoseMissing(field="energy_mj")
    negative = next((key for key, value in settings.items() if isinstance(value, int | Decimal) and value < 0), None)
    if negative is not None:
        raise DoseMissing("This cannot be below zero.", field=negative)
    for key, limit in session.device.limits.items():
        for sentence in limit_breaches(settings, {key: limit}):
            raise BeyondDevice(sentence, field=key)


@transaction.atomic
def strike_pass(*, row: SessionPass, reason: str, by: Actor, at: datetime) -> SessionPass:
    """The row no longer counts and stays readable, with who struck it and why."""
    session = lock(row.session)
    _refuse_unless_recording(session)
    if not reason.strip():
        raise ReasonMissing(field="reason")
    fresh = lock(row)
    if fresh.struck_at is not None:
        return fresh
    fresh.struck_at, fresh.struck_by_id, fresh.struck_reason = at, user_key(by), reason.strip()[:400]
    fresh.save(update_fields=["struck_at", "struck_by", "struck_reason"])
    record_event(action="pass.struck", subject=fresh, by=by, at=at, patient_ref=session.patient.ref, reason=reason)
    _keep_areas(session)
    return fresh


def _refuse_unless_recording(session: TreatmentSession) -> None:
    if session.signed_off_at is not None:
        raise SignedOff
    if session.status not in RECORDING:
        raise NotUnderWay


def areas_with_passes(session: TreatmentSession) -> list[str]:
    """Return the areas with a pass that counts, in the order in which they were treated."""
    return list(dict.fromkeys(session.passes.filter(struck_at=None).order_by("id").values_list("area", flat=True)))


def _keep_areas(session: TreatmentSession) -> None:
    """A correction after the end keeps the record's areas true."""
    if session.status in TREATED:
        session.areas_treated = areas_with_passes(session)
        session.save(update_fields=["areas_treated"])
