"""Asking for consent, signing, declining, taking it back, and what a changed plan does to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q

from clinic.audit.actions import record
from clinic.audit.states import Actor, ActorKind
from clinic.staff.states import Role
from clinic.transitions import lock, move
from clinic.worklist.actions import raise_task
from patients.consent.endings import what_follows
from patients.consent.models import Consent, ConsentWording
from patients.consent.queries import shipped_wordings, wording_in_force
from patients.consent.rules import (
    NAME_LENGTH,
    QUESTION_LENGTH,
    Wording,
    clean_strokes,
    is_minor,
    plan_sha256,
    shown_sha256,
    signed_sha256,
    unticked,
)
from patients.consent.states import (
    PLAN_CHANGED,
    AlreadySigned,
    ConsentScope,
    ConsentStatus,
    GuardianNeeded,
    GuardianUnknown,
    NotAskedAnyMore,
    PlanChanged,
    QuestionMissing,
    ReflectionNotOver,
    RevokeReasonMissing,
    RisksUnticked,
    SignatureMissing,
    SignedAs,
)
from patients.messaging.actions import queue_message, withdraw
from patients.messaging.rules import UNDO, WantedMessage
from patients.messaging.states import Channel, Purpose
from patients.registry.models import Patient, RelatedPerson
from patients.registry.states import ContactKind, LinkScope

INVITE_WITHIN = timedelta(days=14)
COPY_WITHIN = timedelta(days=7)
ANSWER_WITHIN = timedelta(days=1)
REASON_LENGTH = 400
# Who sets things right when a consent is taken back.
AFTER_REVOKING: dict[str, tuple[Role, str]] = {
    ConsentScope.TREATMENT: (Role.FRONT_DESK, "Hold the visits of {}: consent was withdrawn"),
    ConsentScope.RECORD_PHOTOS: (Role.CLINICIAN, "No more photographs of {}: consent was withdrawn"),
    ConsentScope.TEACHING: (Role.LEAD_CLINICIAN, "Stop showing photographs of {}: consent was withdrawn"),
    ConsentScope.MARKETING_PHOTOS: (Role.MANAGER, "Take down photographs of {}: consent was withdrawn"),
    ConsentScope.TEXTS: (Role.FRONT_DESK, "No more texts to {}: consent was withdrawn"),
}


# --- wordings ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def load_wordings(*, by: Actor, at: datetime) -> int:
    """The shipped wordings are in force; a changed one becomes the next version. Returns how many were new.

    Consents keep the version they were signed with. Unchanged words change nothing.
    """
    return sum(_load(wording, by, at) for wording in shipped_wordings())


def _load(wording: Wording, by: Actor, at: datetime) -> int:
    key = {"scope": wording.scope.value, "group": wording.group, "language": wording.language}
    versions = ConsentWording.objects.filter(**key)
    current = versions.select_for_update(no_key=True).filter(is_current=True).first()
    if current is not None:
        if current.sha256 == wording.sha256:
            return 0
        current.is_current = False
        current.save(update_fields=["is_current"])
    row = ConsentWording.objects.create(
        **key,
        version=(versions.aggregate(Max("version"))["version__max"] or 0) + 1,
        body=wording.body,
        sha256=wording.sha256,
        reflection_hours=wording.reflection_hours,
        created_at=at,
    )
    record(action="consent.wording_loaded", subject=row, by=by, at=at, wording=str(row), sha256=row.sha256)
    return 1


# --- asking -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def ask_consent(
    *,
    patient: Patient,
    scope: ConsentScope,
    about: str,
    plan: Mapping[str, object],
    group: str,
    by: Actor,
    at: datetime,
) -> Consent:
    """The patient is asked to agree to exactly this plan, in the words in force, and gets a link to read and sign.

    `about` names what it is for, as "course:<ref>"; `group` the lasers' group for a treatment, else "". The same plan
    asked for twice is one consent, signed or not. A different plan voids what was asked before. The time to think
    starts now. Raises WordingMissing.
    """
    lock(patient)
    scope = ConsentScope(scope)
    wording = wording_in_force(scope, group, patient.language)
    wanted = plan_sha256(plan)
    standing = patient.consents.open().filter(scope=scope, about=about).first()
    if standing is not None:
        if standing.plan_sha256 == wanted:
            return standing
        _end(standing, PLAN_CHANGED, by, at)
    reflection = timedelta(hours=wording.reflection_hours)
    consent = Consent.objects.create(
        patient=patient,
        scope=scope,
        about=about,
        wording=wording,
        plan=dict(plan),
        plan_sha256=wanted,
        asked_at=at,
        reflect_until=at + reflection if reflection else None,
    )
    record(
        action="consent.asked", subject=consent, by=by, at=at, scope=scope, about=about, plan=wanted, wording=wording
    )
    _write(consent, "consent_invitation", at + UNDO, INVITE_WITHIN, important=True, by=by, at=at)
    return consent


@transaction.atomic
def note_read(*, consent: Consent, by: Actor, at: datetime) -> Consent:
    """It is on record when the patient first opened the full text. Later readings change nothing."""
    fresh = lock(consent)
    if fresh.first_read_at is None:
        fresh.first_read_at = at
        fresh.save(update_fields=["first_read_at"])
        record(action="consent.read", subject=fresh, by=by, at=at)
    return fresh


@transaction.atomic
def ask_question(*, consent: Consent, question: str, by: Actor, at: datetime) -> Consent:
    """The patient's question is kept with the consent, and a clinician has a task to answer it. Nothing is signed.

    Raises QuestionMissing. The same question twice is one.
    """
    text = _clean_question(question)
    if not text:
        raise QuestionMissing(field="questions")
    fresh = lock(consent)
    asked = _questions(fresh, text, at)
    if asked != fresh.questions:
        fresh.questions = asked
        fresh.save(update_fields=["questions"])
        _pass_on_question(fresh, by, at)
    return fresh


# --- signing ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def sign_consent(
    *,
    consent: Consent,
    risks_ticked: Sequence[str],
    questions: str,
    signed_name: str,
    signed_as: str,
    signature: object,
    shown: str | None = None,
    by: Actor,
    at: datetime,
) -> Consent:
    """The consent is in force, pinned to the words, the plan, the ticks, the name and the moment.

    `signature` is a drawing (strokes of [x, y] from 0 to 1) or empty when the name was typed; a drawing without a
    typed name is signed with the name on record. `signed_as` is "patient" or "guardian". `shown` is the hash of what
    was on the screen (`shown_sha256`), if a screen was used.

    Raises AlreadySigned, PlanChanged, NotAskedAnyMore, ReflectionNotOver, RisksUnticked, SignatureMissing,
    SignatureRefused, GuardianNeeded, GuardianUnknown.
    """
    fresh = _to_sign(consent, shown, at)
    role = SignedAs(signed_as)
    strokes = clean_strokes(signature)
    name = " ".join(signed_name.split())[:NAME_LENGTH]
    if missing := unticked(fresh.wording.body["risks"], risks_ticked):
        raise RisksUnticked(missing)
    if not name and not strokes:
        raise SignatureMissing(field="signed_name")
    name = name or (fresh.patient.full_name if role == SignedAs.PATIENT else "")
    _check_signer(fresh.patient, role, name, at)
    ticked = [str(risk["key"]) for risk in fresh.wording.body["risks"]]
    asked = _questions(fresh, _clean_question(questions), at)
    new_question = asked != fresh.questions
    signed = move(
        fresh,
        ConsentStatus.ACTIVE,
        by=by,
        at=at,
        risks_ticked=ticked,
        questions=asked,
        signed_at=at,
        signed_name=name,
        signed_as=role.value,
        signature=strokes,
        signed_sha256=signed_sha256(
            wording_sha256=fresh.wording.sha256,
            plan_hash=fresh.plan_sha256,
            risks_ticked=ticked,
            signed_name=name,
            signed_as=role.value,
            signature=strokes,
            signed_at=at,
        ),
    )
    if new_question:
        _pass_on_question(signed, by, at)
    withdraw(about=f"consent:{signed.ref}", reason="Signed already.", by=by, at=at)
    _write(signed, "consent_copy", at, COPY_WITHIN, important=False, by=by, at=at)
    return signed


@transaction.atomic
def reject_consent(*, consent: Consent, by: Actor, at: datetime) -> Consent:
    """The patient said no. Nothing is signed, nobody asks again by itself, and a clinician knows."""
    with what_follows(consent, by, at):
        fresh = move(consent, ConsentStatus.REJECTED, by=by, at=at, ended_at=at)
    withdraw(about=f"consent:{fresh.ref}", reason="The patient said no.", by=by, at=at)
    _task(fresh, "declined", Role.CLINICIAN, "{} said no to a consent", by, at)
    return fresh


@transaction.atomic
def revoke_consent(*, consent: Consent, reason: str, by: Actor, at: datetime) -> Consent:
    """The consent is over from this moment: nothing that needs it may start, and somebody has a task to see to it.

    A patient need not say why; the desk says how the patient withdrew. What was done stays on record, and messages
    that keep a treated patient safe go on. Raises RevokeReasonMissing, IllegalMove.
    """
    text = reason.strip()[:REASON_LENGTH]
    if not text and by.kind != ActorKind.PATIENT:
        raise RevokeReasonMissing(field="reason")
    with what_follows(consent, by, at):
        fresh = _end(consent, text or "Withdrawn by the patient, who gave no reason.", by, at)
    role, title = AFTER_REVOKING[fresh.scope]
    _task(fresh, "revoked", role, title, by, at)
    return fresh


@transaction.atomic
def void_changed_plan(*, about: str, plan: Mapping[str, object], by: Actor, at: datetime) -> int:
    """Nothing that was agreed to for another plan counts any more. Returns how many consents that ended."""
    stale = Consent.objects.open().filter(about=about).exclude(plan_sha256=plan_sha256(plan)).order_by("pk")
    return len([_end(consent, PLAN_CHANGED, by, at) for consent in stale])


def _to_sign(consent: Consent, shown: str | None, at: datetime) -> Consent:
    """Return the consent locked, if it may be signed now."""
    fresh = lock(consent)
    if fresh.status == ConsentStatus.ACTIVE:
        raise AlreadySigned
    if fresh.status != ConsentStatus.PROPOSED:
        raise PlanChanged if fresh.reason == PLAN_CHANGED else NotAskedAnyMore
    if plan_sha256(fresh.plan) != consent.plan_sha256 or fresh.plan_sha256 != consent.plan_sha256:
        raise PlanChanged
    if shown is not None and shown != shown_sha256(fresh.wording.sha256, fresh.plan_sha256):
        raise PlanChanged
    if fresh.reflect_until is not None and at < fresh.reflect_until:
        local = fresh.reflect_until.astimezone(fresh.patient.location.zone)
        raise ReflectionNotOver(f"{local:%A} {local.day} {local:%B, %H:%M}")
    return fresh


def _check_signer(patient: Patient, role: SignedAs, name: str, at: datetime) -> None:
    today = at.astimezone(patient.location.zone).date()
    if role == SignedAs.PATIENT:
        if is_minor(patient.born_on, today):
            raise GuardianNeeded(field="signed_as")
        return
    rights = Q(ends_on__isnull=True) | Q(ends_on__gt=today)
    guardians = RelatedPerson.objects.filter(rights, patient=patient, may_consent=True)
    if not any(guardian.name.casefold() == name.casefold() for guardian in guardians):
        raise GuardianUnknown(field="signed_name")


# --- the work around it -----------------------------------------------------------------------------------------------


def _end(consent: Consent, reason: str, by: Actor, at: datetime) -> Consent:
    """The consent is over. Why stands in the row; the trail, which others read, only says that it is."""
    fresh = lock(consent)
    fresh.reason = reason
    fresh.save(update_fields=["reason"])
    ended = move(fresh, ConsentStatus.INACTIVE, by=by, at=at, ended_at=at)
    withdraw(about=f"consent:{ended.ref}", reason="The consent is over.", by=by, at=at)
    return ended


def _clean_question(question: str) -> str:
    return question.strip()[:QUESTION_LENGTH]


def _questions(consent: Consent, text: str, at: datetime) -> list[dict[str, str]] | None:
    """Return the questions asked so far with this one; None while there is none."""
    asked: list[dict[str, str]] = list(consent.questions or [])
    if text and all(each["text"] != text for each in asked):
        asked.append({"text": text, "at": at.isoformat()})
    return asked or None


def _pass_on_question(consent: Consent, by: Actor, at: datetime) -> None:
    number = len(consent.questions or [])
    _task(consent, f"question-{number}", Role.CLINICIAN, "Answer a question of {} about a consent", by, at)


def _task(consent: Consent, what: str, role: Role, title: str, by: Actor, at: datetime) -> None:
    patient = consent.patient
    raise_task(
        key=f"consent:{consent.ref}:{what}",
        kind=f"consent.{what.partition('-')[0]}",
        title=title.format(patient.full_name[:120]),
        role=role,
        location=patient.location,
        due_at=at + ANSWER_WITHIN,
        patient_ref=patient.ref,
        about=f"consent:{consent.ref}",
        by=by,
        at=at,
    )


def _write(
    consent: Consent, template: str, due_at: datetime, within: timedelta, *, important: bool, by: Actor, at: datetime
) -> None:
    patient = consent.patient
    about = f"consent:{consent.ref}"
    queue_message(
        patient=patient,
        location=patient.location,
        about=about,
        wanted=WantedMessage(
            step=template,
            purpose=Purpose.INVITATION,
            channel=Channel.SMS if patient.preferred_channel == ContactKind.PHONE else Channel.EMAIL,
            template=template,
            context={},
            due_at=due_at,
            not_after=due_at + within,
            important=important,
            link_scope=LinkScope.CONSENT,
            link_about=about,
        ),
        by=by,
        at=at,
    )
