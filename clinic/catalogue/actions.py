"""Taking the catalogue's file over into the tables."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.catalogue.models import AppointmentType, BodyArea, Concern, Modality
from clinic.catalogue.rules import Catalogue
from clinic.transitions import lock


@transaction.atomic
def load_catalogue(*, catalogue: Catalogue, by: Actor, at: datetime) -> None:
    """Modalities, body areas, concerns and appointment types stand as the catalogue says; nothing is deleted.

    What a clinic chooses for itself (durations, intervals, what it offers) is shipped once and then left alone.
    """
    for position, modality in enumerate(catalogue.modalities):
        facts: dict[str, object] = {
            "label": modality.label,
            "patient_label": modality.patient_label,
            "group": modality.group,
            "is_ablative": modality.is_ablative,
            "wavelength_nm": modality.wavelength_nm,
            "downtime_days_from": modality.downtime_days_from,
            "downtime_days_to": modality.downtime_days_to,
            "position": position,
        }
        choices: dict[str, object] = {
            "min_interval_days": modality.min_interval_days,
            "max_interval_days": modality.max_interval_days,
            "is_enabled": modality.is_enabled,
        }
        Modality.objects.update_or_create(key=modality.key, defaults=facts, create_defaults=facts | choices)
    for position, area in enumerate(catalogue.areas):
        BodyArea.objects.update_or_create(key=area.key, defaults={"label": area.label, "position": position})
    for position, concern in enumerate(catalogue.concerns):
        Concern.objects.update_or_create(key=concern.key, defaults={"label": concern.label, "position": position})
    for position, kind in enumerate(catalogue.appointment_types):
        facts = {"kind": kind.kind, "modality_group": kind.modality_group, "position": position}
        choices = {
            "label": kind.label,
            "patient_label": kind.patient_label,
            "minutes_before": kind.minutes_before,
            "minutes_work": kind.minutes_work,
            "minutes_after": kind.minutes_after,
            "practitioner_joins_after": kind.practitioner_joins_after,
            "is_bookable_online": kind.is_bookable_online,
        }
        AppointmentType.objects.update_or_create(key=kind.key, defaults=facts, create_defaults=facts | choices)
    record(action="catalogue.loaded", subject="catalogue", by=by, at=at)


@transaction.atomic
def set_lead_days(*, type: AppointmentType, days: int | None, by: Actor, at: datetime) -> AppointmentType:
    """Such a visit is booked at least so many days ahead from now on; None while the clinic has not decided.

    Visits that stand already stay. The same again changes nothing.
    """
    fresh = lock(type)
    if fresh.lead_days == days:
        return fresh
    was, fresh.lead_days = fresh.lead_days, days
    fresh.save(update_fields=["lead_days"])
    record(action="appointment_type.lead_days", subject=fresh, by=by, at=at, was=was, now=days)
    return fresh
