"""Visits and what they stand on: catalogue rows, decisions, courses. Reference rows are taken as loaded, else made."""

import uuid
from datetime import UTC, date, datetime

from clinic.audit.states import Actor
from clinic.catalogue.models import AppointmentType, BodyArea, Modality
from clinic.packs.models import RulePack
from clinic.staff.models import User
from patients.candidacy.models import CandidacyDecision, Screening
from patients.intake.models import QuestionnaireResponse
from treatments.booking.actions import book_appointment
from treatments.courses.models import Course

from .people import NOW, make_clinician

BY = Actor.task("test")
GROUPS = {"afl": ("AFL", 56, True), "nafl": ("NAFL", 28, False), "pico": ("PICO", 28, False)}
# key: kind, minutes before, of work, after, practitioner joins after, group; as the shipped catalogue has them
TYPES = {
    "consultation": ("consultation", 0, 30, 0, 0, ""),
    "review": ("review", 0, 20, 0, 0, ""),
    "test_spot_nafl": ("test_spot", 30, 15, 10, 30, "NAFL"),
    "treatment_nafl": ("treatment", 60, 30, 15, 60, "NAFL"),
    "treatment_afl": ("treatment", 60, 30, 30, 60, "AFL"),
}


def utc(text) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def get_type(key="consultation") -> AppointmentType:
    kind, before, work, after, joins, group = TYPES[key]
    return AppointmentType.objects.get_or_create(
        key=key,
        defaults={
            "kind": kind,
            "label": key.replace("_", " ").capitalize(),
            "patient_label": "Visit",
            "minutes_before": before,
            "minutes_work": work,
            "minutes_after": after,
            "practitioner_joins_after": joins,
            "modality_group": group,
        },
    )[0]


def get_modality(key="nafl_1550") -> Modality:
    group, days, is_ablative = GROUPS[key.partition("_")[0]]
    return Modality.objects.get_or_create(
        key=key,
        defaults={
            "label": key,
            "patient_label": "Laser",
            "group": group,
            "is_ablative": is_ablative,
            "min_interval_days": days,
            "downtime_days_from": 3,
            "downtime_days_to": 7,
        },
    )[0]


def get_area(key="full_face") -> BodyArea:
    return BodyArea.objects.get_or_create(key=key, defaults={"label": key})[0]


def make_screening(patient, modality="nafl_1550") -> Screening:
    """A screening row to hang a decision on; what it found does not matter to the upper floor."""
    pack, _ = RulePack.objects.get_or_create(
        kind="candidacy", name="visits", version=1, defaults={"body": "", "sha256": "0" * 64, "created_at": NOW}
    )
    response = QuestionnaireResponse.objects.create(
        patient=patient, pack=pack, status="completed", started_at=NOW, completed_at=NOW, snapshot={}
    )
    return Screening.objects.create(
        patient=patient,
        response=response,
        modality=modality,
        pack=pack,
        reference_on=NOW.date(),
        answers={},
        result={},
        result_sha256="0" * 64,
        outcome="eligible",
        screened_at=NOW,
    )


def make_decision(patient, modality="nafl_1550", kind="proceed", earliest_on: date | None = None, decider=None, **more):
    """A decision in force."""
    get_modality(modality)
    return CandidacyDecision.objects.create(
        patient=patient,
        screening=make_screening(patient, modality),
        modality=modality,
        kind=kind,
        reason="Suitable.",
        earliest_on=earliest_on,
        decided_by=decider
        or User.objects.filter(name="Dr Decider").first()
        or make_clinician("Dr Decider", patient.location),
        **{"conditions": [], "decided_at": NOW, **more},
    )


def make_course(patient, decision=None, modality="nafl_1550", **fields) -> Course:
    """An open course of three sessions on the whole face, as after plan_course, with nobody asked to consent yet."""
    laser = get_modality(modality)
    return Course.objects.create(
        patient=patient,
        decision=decision or make_decision(patient, modality),
        modality=modality,
        **{
            "areas": ["full_face"],
            "sessions_planned": 3,
            "min_interval_days": laser.min_interval_days,
            "planned_at": NOW,
            **fields,
        },
    )


def book(patient, practitioner, starts_at, type="consultation", by=BY, at=NOW, **fields):
    """Book as the desk would."""
    return book_appointment(
        patient=patient,
        type=get_type(type),
        location=fields.pop("location", patient.location),
        practitioner=practitioner,
        starts_at=starts_at,
        form_key=fields.pop("form_key", uuid.uuid4()),
        by=by,
        at=at,
        **fields,
    )
