"""Somebody some days after a treatment, with a check-in to answer."""

from datetime import datetime, timedelta

from clinic.audit.states import Actor
from clinic.staff.models import OnCall
from treatments.aftercare.actions import answer_checkin, finish_treatment
from treatments.aftercare.models import CheckIn, CheckInAnswer, Escalation

from .people import NOW
from .treating import RECORD, Clinic, make_clinic, minutes, treated_area

ENDED = minutes(40)
RED = {"eye": "vision_change"}
URGENT = {"temp_c": 38.4}
SAME_DAY = {"itch": 8}
SOON = {"colour": "lighter"}
CALM = {"pain_now": 2, "swelling": "mild", "eye": "none"}


def recovering(modality="nafl_1550", on_call=True) -> Clinic:
    """Ana, treated at NOW by Bo. Bo answers alarms first, then Kim, the lead."""
    clinic = make_clinic(modality)
    finish_treatment(session=treated_area(clinic), completed_at=ENDED, record=RECORD, by=clinic.by, at=ENDED)
    if on_call:
        put_on_call(clinic.bo)
    return clinic


def put_on_call(user, order=1) -> OnCall:
    return OnCall.objects.create(
        user=user, starts_at=NOW - timedelta(days=1), ends_at=NOW + timedelta(days=60), order=order
    )


def checkin_of(clinic, day=1) -> CheckIn:
    return CheckIn.objects.get(patient=clinic.ana, day=day)


def after(days=0, hours=0, mins=0) -> datetime:
    """Return a moment so long after the end of the treatment."""
    return ENDED + timedelta(days=days, hours=hours, minutes=mins)


def patient(clinic) -> Actor:
    return Actor.patient(clinic.ana.ref, clinic.ana.full_name)


def answer(clinic, answers, at=None, day=1, is_complete=True) -> CheckInAnswer:
    return answer_checkin(
        checkin=checkin_of(clinic, day),
        answers=answers,
        is_complete=is_complete,
        by=patient(clinic),
        at=at or after(days=day),
    )


def alarm_of(clinic, **where) -> Escalation:
    return Escalation.objects.get(patient=clinic.ana, **where)
