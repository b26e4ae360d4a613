"""Opening, starting, completing and signing off a treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction

from clinic.audit.actions import record as record_event
from clinic.audit.states import Actor
from clinic.staff.states import Permission
from clinic.transitions import IllegalMove, lock, move
from patients.candidacy.models import CandidacyDecision
from patients.consent.models import Consent
from treatments.booking.flow import show_in
from treatments.booking.models import Appointment
from treatments.booking.states import AppointmentStatus
from treatments.sessions.models import Addendum, TreatmentSession
from treatments.sessions.passes import areas_with_passes
from treatments.sessions.queries import context_of, settings_in_force, user_key, user_of
from treatments.sessions.readiness import Item, NotReady, readiness
from treatments.sessions.rules import UNCHECKED, anaesthesia_warnings
from treatments.sessions.states import (
    TREATED,
    Anaesthesia,
    Cooling,
    Endpoint,
    EyeProtection,
    NotArrived,
    NotSignedOff,
    NotUnderWay,
    NotYours,
    ReasonMissing,
    RecordIncomplete,
    SessionStatus,
    SignedOff,
    WarningsNeedReason,
    WrongTime,
)


@transaction.atomic
def open_session(*, appointment: Appointment, by: Actor, at: datetime) -> TreatmentSession:
    """The visit of a patient who has arrived has its working page. Opened twice, it is the same one."""
    visit = lock(appointment)
    existing = TreatmentSession.objects.filter(appointment=visit).first()
    if existing is not None:
        return existing
    if visit.status != AppointmentStatus.ARRIVED:
        raise NotArrived
    if visit.course is None or visit.device is None:
        raise NotArrived("The visit names no course or no laser: complete the booking first.")
    session = TreatmentSession.objects.create(
        appointment=visit,
        patient=visit.patient,
        course=visit.course,
        number=visit.course.sessions_done + 1,
        modality=visit.course.modality,
        device=visit.device,
        operator=visit.practitioner,
        opened_at=at,
    )
    record_event(action="session.opened", subject=session, by=by, at=at, number=session.number, device=session.device)
    return session


@transaction.atomic
def start_session(
    *, session: TreatmentSession, by: Actor, at: datetime, override_reason: str = "", eye_protection: str = ""
) -> TreatmentSession:
    """The treatment is under way, because everything that must be true is true now; the patient is in the room.

    `eye_protection` may be said already here: it is on before the laser is.

    What is missing can be passed over only by someone who may override, with a reason that stays on the record, and
    only where the item allows it: never consent, a clinician's decision, an open flag, an open alarm or an unasked
    check. Raises NotReady with the items, IllegalMove.
    """
    fresh = lock(session)
    visit = Appointment.objects.select_related("location", "type", "course", "device", "practitioner").get(
        pk=lock(fresh.appointment).pk
    )
    _hold_still(fresh)
    found = readiness(visit, at)
    missing = found.missing
    if visit.status != AppointmentStatus.ARRIVED:
        raise NotReady(missing, "The patient is not marked as arrived.")
    override = _override(missing, override_reason, by) if missing else {}
    if eye_protection not in {"", *EyeProtection.values}:
        raise RecordIncomplete("Say which eye protection is worn.", field="eye_protection")
    started = move(
        fresh,
        SessionStatus.IN_PROGRESS,
        by=by,
        at=at,
        reason=override_reason.strip() if missing else "",
        started_at=at,
        device=visit.device,
        operator=visit.practitioner,
        eye_protection=eye_protection,
        **override,
    )
    show_in(appointment=visit, by=by, at=at)
    return started


def _hold_still(session: TreatmentSession) -> None:
    """Lock what readiness reads: a consent revoked at this very moment comes either before the check or after."""
    list(Consent.objects.in_force().filter(patient=session.patient).select_for_update(no_key=True))
    list(CandidacyDecision.objects.in_force().filter(patient=session.patient).select_for_update(no_key=True))


def _override(missing: list[Item], reason: str, by: Actor) -> dict[str, object]:
    if not reason.strip():
        raise NotReady(missing)
    firm = [item for item in missing if not item.can_override]
    if firm:
        names = ", ".join(dict.fromkeys(item.label.lower() for item in firm))
        raise NotReady(missing, f"This can't be passed over: {names}.")
    if not user_of(by).may(Permission.OVERRIDE):
        raise NotReady(missing, "Only a clinician can go on without these.")
    return {"override_reason": reason.strip()[:400], "override_by_id": user_key(by)}


@transaction.atomic
def abandon_session(*, session: TreatmentSession, reason: str, by: Actor, at: datetime) -> TreatmentSession:
    """Nothing was treated and the reason is on record. Only before the start."""
    if not reason.strip():
        raise ReasonMissing(field="reason")
    return move(session, SessionStatus.NOT_DONE, by=by, at=at, reason=reason, stopped_reason=reason.strip()[:400])


@transaction.atomic
def complete_session(
    *,
    session: TreatmentSession,
    completed_at: datetime,
    record: Mapping[str, Any],
    by: Actor,
    at: datetime,
    stopped_reason: str = "",
) -> TreatmentSession:
    """The treatment has ended at `completed_at`, day 0 of aftercare, and its record is complete.

    `record` holds anaesthesia, eye_protection and cooling (each must be said, “none” included), pain_during (0-10),
    and may hold anaesthesia_detail (keys of rules.ANAESTHESIA_FACTS) with anaesthesia_reason, endpoints,
    areas_treated, prophylaxis and note. With a `stopped_reason` it was cut short. Raises RecordIncomplete, WrongTime,
    WarningsNeedReason, IllegalMove.
    """
    fresh = lock(session)
    to = SessionStatus.STOPPED if stopped_reason.strip() else SessionStatus.COMPLETED
    if to not in fresh.TRANSITIONS[fresh.status]:
        raise IllegalMove(fresh, fresh.status, to)
    _check_time(fresh, completed_at, at)
    return move(
        fresh,
        to,
        by=by,
        at=at,
        reason=stopped_reason.strip(),
        completed_at=completed_at,
        stopped_reason=stopped_reason.strip()[:400],
        areas_treated=_checked_areas(fresh, record),
        **_checked_record(record),
        anaesthesia_detail=_checked_numbing(fresh, record),
    )


def _checked_numbing(session: TreatmentSession, record: Mapping[str, Any]) -> dict[str, object]:
    """Return the numbing as it is saved: what was given, the warnings it raised and why it was right."""
    detail = dict(record.get("anaesthesia_detail") or {})
    if record["anaesthesia"] == Anaesthesia.NONE:
        return {}
    reason = str(record.get("anaesthesia_reason") or "").strip()
    facts = {"type": record["anaesthesia"], **detail}
    found = anaesthesia_warnings(facts, context_of(session, ""), settings_in_force())
    shown = [each for each in found if each.rule != UNCHECKED]
    if shown and not reason:
        refusal = WarningsNeedReason([f"{each.text} ({each.source})" for each in shown])
        refusal.field = "anaesthesia_reason"
        raise refusal
    if shown:
        detail |= {"warnings": [asdict(each) for each in shown], "reason": reason[:400]}
    return detail


def _check_time(session: TreatmentSession, completed_at: datetime, at: datetime) -> None:
    if completed_at > at:
        raise WrongTime("The treatment cannot have ended in the future.", field="completed_at")
    # A time typed to the minute may lie seconds before the start within that minute.
    if session.started_at is None or completed_at < session.started_at:
        zone = session.appointment.location.zone
        started = f"{session.started_at.astimezone(zone):%d %b %H:%M}" if session.started_at else "later"
        raise WrongTime(f"The treatment started at {started}.", field="completed_at")


def _checked_areas(session: TreatmentSession, record: Mapping[str, Any]) -> list[str]:
    areas = areas_with_passes(session)
    if not areas:
        raise RecordIncomplete("Record at least one pass, or close the session as not done.", field="areas_treated")
    said = record.get("areas_treated")
    if said and set(said) != set(areas):
        raise RecordIncomplete("The areas differ from those the passes were recorded for.", field="areas_treated")
    return areas


def _checked_record(record: Mapping[str, Any]) -> dict[str, object]:
    """Return the fields to save. What must be said has been said, with a word that is known."""
    for field, known, sentence in (
        ("anaesthesia", Anaesthesia.values, "Say which anaesthesia was given, or none."),
        ("eye_protection", EyeProtection.values, "Say which eye protection was worn."),
        ("cooling", Cooling.values, "Say how the skin was cooled, or not."),
    ):
        if record.get(field) not in known:
            raise RecordIncomplete(sentence, field=field)
    pain = record.get("pain_during")
    if not isinstance(pain, int) or isinstance(pain, bool) or not 0 <= pain <= 10:
        raise RecordIncomplete("Say how much it hurt, from 0 to 10.", field="pain_during")
    endpoints = list(record.get("endpoints") or [])
    unknown = [word for word in endpoints if word not in Endpoint.values]
    if unknown:
        raise RecordIncomplete(f"“{unknown[0]}” is not a known endpoint.", field="endpoints")
    return {
        "anaesthesia": record["anaesthesia"],
        "eye_protection": record["eye_protection"],
        "cooling": record["cooling"],
        "endpoints": endpoints,
        "pain_during": pain,
        "prophylaxis": record.get("prophylaxis") or None,
        "note": record.get("note") or None,
    }


@transaction.atomic
def sign_off(*, session: TreatmentSession, by: Actor, at: datetime) -> TreatmentSession:
    """The record stands: from now on it is only added to. Signed by its operator or a clinician who treats."""
    fresh = lock(session)
    user = user_of(by)
    if fresh.operator.user_id != user.pk and not user.may(Permission.TREAT):
        raise NotYours
    if fresh.signed_off_at is not None:
        raise SignedOff
    if fresh.status not in TREATED:
        raise NotUnderWay("A record is signed off when the treatment has ended.")
    fresh.signed_off_at, fresh.signed_off_by = at, user
    fresh.save(update_fields=["signed_off_at", "signed_off_by"])
    record_event(action="session.signed_off", subject=fresh, by=by, at=at)
    return fresh


@transaction.atomic
def add_addendum(*, session: TreatmentSession, body: str, by: Actor, at: datetime) -> Addendum:
    """Something is added to a signed record, with its author and time."""
    fresh = lock(session)
    if fresh.signed_off_at is None:
        raise NotSignedOff
    if not body.strip():
        raise ReasonMissing("Please write what is to be added.", field="body")
    addendum = Addendum.objects.create(session=fresh, body=body.strip(), added_at=at, added_by_id=user_key(by))
    record_event(action="session.addendum", subject=addendum, by=by, at=at, patient_ref=fresh.patient.ref)
    return addendum


@transaction.atomic
def amend_completion(
    *, session: TreatmentSession, completed_at: datetime, reason: str, by: Actor, at: datetime
) -> TreatmentSession:
    """The treatment ended at another time than was written down; both times, who says so and why stay on record.

    On a signed record an addendum says it too. Raises ReasonMissing, WrongTime, NotUnderWay.
    """
    fresh = lock(session)
    if fresh.status not in TREATED or fresh.completed_at is None:
        raise NotUnderWay("Only a treatment that has ended has an end to correct.")
    why = reason.strip()[:400]
    if not why:
        raise ReasonMissing("Please say why the time was wrong.", field="reason")
    _check_time(fresh, completed_at, at)
    was = fresh.completed_at
    if completed_at == was:
        return fresh
    if fresh.signed_off_at is not None:
        zone = fresh.appointment.location.zone
        times = [f"{each.astimezone(zone):%d %b %Y %H:%M}" for each in (was, completed_at)]
        add_addendum(session=fresh, body=f"Treatment ended {times[1]}, not {times[0]}: {why}", by=by, at=at)
    fresh.completed_at = completed_at
    fresh.save(update_fields=["completed_at"])
    record_event(action="session.end_corrected", subject=fresh, by=by, at=at, was=was, now=completed_at, reason=why)
    return fresh
