"""Opening, starting, recording, completing and signing off a treatment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from clinic.audit.actions import record as record_event
from clinic.audit.states import Actor, Refused
from clinic.catalogue.states import Laterality
from clinic.staff.models import User
from clinic.staff.states import Permission, Role
from clinic.transitions import IllegalMove, lock, move
from clinic.worklist.actions import raise_task
from patients.candidacy.models import CandidacyDecision
from patients.consent.models import Consent
from treatments.booking.models import Appointment
from treatments.booking.states import AppointmentStatus
from treatments.sessions.models import Addendum, FitnessAnswers, FitnessCheck, SessionPass, TreatmentSession
from treatments.sessions.queries import (
    Item,
    awaits_answers,
    consented_areas,
    context_of,
    modality_of,
    readiness,
    settings_in_force,
)
from treatments.sessions.rules import anaesthesia_warnings, limit_breaches, warnings
from treatments.sessions.states import (
    FIT_ANSWERS,
    RECORDING,
    TREATED,
    Anaesthesia,
    Cooling,
    Endpoint,
    EyeProtection,
    FitnessAnswer,
    FitnessQuestion,
    SessionStatus,
)

LOOK_AHEAD = timedelta(days=1)  # answers given at home are looked at this long before the visit, or at once
DOSES = ("energy_mj", "fluence_j_cm2", "depth_um")
UNCHECKED = "W99"  # the ranges' word for what could not be checked because something was not recorded


class NotArrived(Refused):
    """The patient is not here, or the visit names no laser or course."""

    sentence = "A session opens when the patient has arrived."


class FitnessIncomplete(Refused):
    """A question at the door was not asked: unknown is never “no”."""

    sentence = "Please ask this too."


class VisitOver(Refused):
    """The visit was cancelled or its time is past: nobody waits for answers."""

    sentence = "This visit is over or was cancelled. There is nothing to answer."


class NotReady(Refused):
    """Something that must be true before treatment is not. `items` name what, whose it is and by when."""

    def __init__(self, items: list[Item], sentence: str = "") -> None:
        self.items = items
        names = ", ".join(dict.fromkeys(item.label.lower() for item in items))
        super().__init__(sentence or f"Not ready: {names}.", field="override_reason")


class NotUnderWay(Refused):
    """Settings are recorded while the treatment is under way, until it is signed off."""

    sentence = "Passes are recorded from the start of the treatment until it is signed off."


class NotConsented(Refused):
    """The plan that was consented to does not include the area."""

    sentence = "The consent does not cover this area."


class DoseMissing(Refused):
    sentence = "Record an energy, a fluence or a depth."


class BeyondDevice(Refused):
    """The setting lies outside what the maker allows for this laser."""


class WarningsNeedReason(Refused):
    """The settings lie outside the usual published range; `warnings` say how."""

    def __init__(self, warnings: list[str]) -> None:
        self.warnings = warnings
        super().__init__("Please say why these settings are right.", field="warning_reason")


class ReasonMissing(Refused):
    sentence = "Please say why."


class RecordIncomplete(Refused):
    """A part of the record that may not be left out is missing."""


class WrongTime(Refused):
    """The treatment cannot have ended then."""


class NotYours(Refused):
    sentence = "Only the operator or a clinician who treats can do this."


class SignedOff(Refused):
    sentence = "The record is signed off. Add an addendum instead."


class NotSignedOff(Refused):
    sentence = "The record is not signed off yet: correct it directly."


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
def record_fitness(*, session: TreatmentSession, answers: Mapping[str, str], by: Actor, at: datetime) -> FitnessCheck:
    """The answers that expire have been asked again at the door.

    Fit only if every one is a clear “no” (pregnancy may also not apply). Anything else keeps the session from starting
    and stands on the clinicians' list at once. Raises FitnessIncomplete for a question without a known answer.
    """
    fresh = lock(session)
    if fresh.status != SessionStatus.PREPARATION:
        raise IllegalMove(fresh, fresh.status, SessionStatus.IN_PROGRESS)
    concerns = _concerns(answers)
    check = FitnessCheck.objects.create(
        session=fresh,
        answers=_asked(answers),
        is_fit=not concerns,
        checked_at=at,
        checked_by_id=_user_id(by),
    )
    record_event(
        action="fitness.checked", subject=check, by=by, at=at, patient_ref=fresh.patient.ref, is_fit=check.is_fit
    )
    if concerns:
        _tell_clinicians(fresh, check, by, at)
    return check


def _concerns(answers: Mapping[str, str]) -> list[str]:
    """Return the questions with any answer but a clear “no”. Raises FitnessIncomplete where one has no known answer."""
    for question in FitnessQuestion.values:
        if answers.get(question, "") not in FIT_ANSWERS[question] | {FitnessAnswer.YES, FitnessAnswer.NOT_SURE}:
            raise FitnessIncomplete(field=question)
    return [question for question in FitnessQuestion.values if answers[question] not in FIT_ANSWERS[question]]


def _asked(answers: Mapping[str, str]) -> dict[str, str]:
    return {question: str(answers[question]) for question in FitnessQuestion.values}


@transaction.atomic
def answer_fitness(
    *,
    appointment: Appointment,
    answers: Mapping[str, str],
    by: Actor,
    at: datetime,
    form_key: uuid.UUID | None = None,
) -> FitnessAnswers:
    """What the patient says at home stands beside the visit; the check at the door is still to be made.

    Any answer but a clear “no” (pregnancy may also not apply) holds the visit until a clinician has looked. Answers
    given again are a further row; the same `form_key` twice is one. Raises VisitOver, FitnessIncomplete.
    """
    visit = lock(appointment)
    if form_key is not None and (double := visit.fitness_answers.filter(form_key=form_key).first()):
        return double
    if not awaits_answers(visit, at):
        raise VisitOver
    concerns = _concerns(answers)
    said = FitnessAnswers.objects.create(
        appointment=visit,
        answers=_asked(answers),
        is_clear=not concerns,
        answered_at=at,
        form_key=form_key or uuid.uuid4(),
    )
    record_event(
        action="fitness.answered",
        subject=said,
        by=by,
        at=at,
        patient_ref=visit.patient.ref,
        visit=visit,
        is_clear=said.is_clear,
    )
    if concerns:
        _hold_visit(visit, by, at)
    return said


def _hold_visit(visit: Appointment, by: Actor, at: datetime) -> None:
    raise_task(
        key=f"fitness:{visit.ref}:{visit.fitness_answers.count()}",
        kind="fitness",
        title="Look at what the patient answered before the visit",
        why="An answer given at home may change the decision. It stands in the chart. Call if something changes.",
        role=Role.CLINICIAN,
        location=visit.location,
        due_at=max(at, visit.starts_at - LOOK_AHEAD),
        patient_ref=visit.patient.ref,
        about=visit.about,
        blocks_treatment=True,
        modality=modality_of(visit),
        by=by,
        at=at,
    )


def _tell_clinicians(session: TreatmentSession, check: FitnessCheck, by: Actor, at: datetime) -> None:
    raise_task(
        key=f"unfit:{session.ref}:{check.pk}",
        kind="fitness",
        title="Look at the answers given at the door before treatment",
        why="An answer given at the door today may change the decision.",
        role=Role.CLINICIAN,
        location=session.appointment.location,
        due_at=at,
        patient_ref=session.patient.ref,
        about=session.about,
        blocks_treatment=True,
        modality=session.modality,
        by=by,
        at=at,
    )


@transaction.atomic
def start_session(
    *, session: TreatmentSession, by: Actor, at: datetime, override_reason: str = "", eye_protection: str = ""
) -> TreatmentSession:
    """The treatment is under way, because everything that must be true is true now.

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
    return move(
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
    if not _user(by).may(Permission.OVERRIDE):
        raise NotReady(missing, "Only a clinician can go on without these.")
    return {"override_reason": reason.strip()[:400], "override_by_id": _user_id(by)}


@transaction.atomic
def abandon_session(*, session: TreatmentSession, reason: str, by: Actor, at: datetime) -> TreatmentSession:
    """Nothing was treated and the reason is on record. Only before the start."""
    if not reason.strip():
        raise ReasonMissing(field="reason")
    return move(session, SessionStatus.NOT_DONE, by=by, at=at, reason=reason, stopped_reason=reason.strip()[:400])


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
        recorded_by_id=_user_id(by),
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
    fresh.struck_at, fresh.struck_by_id, fresh.struck_reason = at, _user_id(by), reason.strip()[:400]
    fresh.save(update_fields=["struck_at", "struck_by", "struck_reason"])
    record_event(action="pass.struck", subject=fresh, by=by, at=at, patient_ref=session.patient.ref, reason=reason)
    _keep_areas(session)
    return fresh


def _refuse_unless_recording(session: TreatmentSession) -> None:
    if session.signed_off_at is not None:
        raise SignedOff
    if session.status not in RECORDING:
        raise NotUnderWay


def _areas(session: TreatmentSession) -> list[str]:
    """Return the areas with a pass that counts, in the order in which they were treated."""
    return list(dict.fromkeys(session.passes.filter(struck_at=None).order_by("id").values_list("area", flat=True)))


def _keep_areas(session: TreatmentSession) -> None:
    """A correction after the end keeps the record's areas true."""
    if session.status in TREATED:
        session.areas_treated = _areas(session)
        session.save(update_fields=["areas_treated"])


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
    areas = _areas(session)
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
    user = _user(by)
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
    addendum = Addendum.objects.create(session=fresh, body=body.strip(), added_at=at, added_by_id=_user_id(by))
    record_event(action="session.addendum", subject=addendum, by=by, at=at, patient_ref=fresh.patient.ref)
    return addendum


def _user_id(by: Actor) -> int:
    if by.user_id is None:
        raise NotYours
    return by.user_id


def _user(by: Actor) -> User:
    return User.objects.get(pk=_user_id(by))
