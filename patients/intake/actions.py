"""A patient's answers, from the link to the frozen whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, ActorKind, Refused
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.transitions import IllegalMove, lock, move
from patients.intake.models import Answer, QuestionnaireResponse
from patients.intake.queries import (
    DERIVED,
    critical_unanswered,
    former_answers,
    latest_rows,
    open_response,
    questionnaire_in_force,
    questionnaire_of,
    response_about,
)
from patients.intake.questionnaire import AnswerRefused, Question, Questionnaire, Value
from patients.intake.rules import clean_answer, expired_answers
from patients.intake.states import QUESTIONNAIRE, ResponseStatus, Special, Who
from patients.messaging.actions import queue_message, withdraw
from patients.messaging.models import Message
from patients.messaging.rules import WantedMessage
from patients.messaging.states import Channel, Purpose
from patients.registry.models import Patient
from patients.registry.queries import link_of_token
from patients.registry.rules import age_on
from patients.registry.states import ContactKind, LinkScope

# A link nobody could send within this time is for the desk to look at, not for the patient to receive out of the blue.
INVITATION_LASTS = timedelta(days=3)
AGE_KEEPER = Actor.task("intake.age")


class FormClosed(Refused):
    """The answers were sent in; a change is an amendment."""

    sentence = "These answers have already been sent in. Please ring the clinic if something has changed."


class AnswerUnusable(Refused):
    """What was given is no answer to the question; `field` names the question."""


class AnswersMissing(Refused):
    """Starred questions are unanswered. `questions` names them; “not sure” would be an answer."""

    def __init__(self, questions: tuple[Question, ...]) -> None:
        self.questions = questions
        labels = "; ".join(f"“{question.label}”" for question in questions[:3])
        more = f" and {len(questions) - 3} more" if len(questions) > 3 else ""
        super().__init__(f"We still need an answer to {labels}{more}. “I am not sure” is an answer too.")


# --- links to the questionnaire ---------------------------------------------------------------------------------------


@transaction.atomic
def send_intake_link(*, patient: Patient, by: Actor, at: datetime) -> Message:
    """The patient's questionnaire is open and a link to it is on its way to where they are reached."""
    response = start_response(patient=patient, by=by, at=at)
    about = f"response:{response.ref}"
    return _send_link(patient, LinkScope.INTAKE, about, about, "intake_invitation", by=by, at=at)


@transaction.atomic
def send_healing_link(*, patient: Patient, by: Actor, at: datetime) -> Message:
    """A link to “My healing” is on its way to the patient."""
    about = f"patient:{patient.ref}"
    return _send_link(patient, LinkScope.HEALING, about, about, "new_link", by=by, at=at)


@transaction.atomic
def renew_link(*, token: str, by: Actor, at: datetime) -> None:
    """Whoever holds an expired link gets a new one at the contact on file, at most once a day; nothing is revealed.

    A token that never was, a link withdrawn or locked, and one still good change nothing and look the same.
    """
    link = link_of_token(token)
    if link is None or link.revoked_at or link.locked_at or at < link.expires_at:
        return
    link = lock(link)  # two taps take turns, and the second finds the first one's message
    begun = response_about(link.about, link.patient)
    if begun is not None and begun.status == ResponseStatus.IN_PROGRESS:
        _ask_again_what_is_old(lock(begun), by=by, at=at)
    about = f"link:{link.ref}:{at:%Y-%m-%d}"
    if Message.objects.filter(about=about).exists():
        return
    _send_link(link.patient, LinkScope(link.scope), link.about, about, "new_link", by=by, at=at)
    record(action="link.renewal_asked", subject=link, by=by, at=at)


def _send_link(
    patient: Patient, scope: LinkScope, link_about: str, about: str, template: str, *, by: Actor, at: datetime
) -> Message:
    by_text = patient.preferred_channel == ContactKind.PHONE
    wanted = WantedMessage(
        step=template,
        purpose=Purpose.INVITATION,
        channel=Channel.SMS if by_text else Channel.EMAIL,
        template=template,
        context={},
        due_at=at,
        not_after=at + INVITATION_LASTS,
        important=True,
        link_scope=scope.value,
        link_about=link_about,
        note="Sent at once: somebody asked for it.",
    )
    return queue_message(patient=patient, location=patient.location, about=about, wanted=wanted, by=by, at=at)


# --- answers ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def start_response(*, patient: Patient, by: Actor, at: datetime) -> QuestionnaireResponse:
    """The patient has a questionnaire open, of the version in force: the one begun earlier, or a new one.

    A new one amends the answers in force, if there are any. In one begun earlier, what is too old by now is asked
    again. Raises PackMissing when no questionnaire is published.
    """
    fresh = lock(patient)
    if begun := open_response(fresh):
        _ask_again_what_is_old(begun, by=by, at=at)
        return begun
    in_force = (
        fresh.responses.filter(status=ResponseStatus.COMPLETED, amended_by=None)
        .order_by("-completed_at", "-id")
        .first()
    )
    response = QuestionnaireResponse.objects.create(
        patient=fresh, pack=published(PackKind.QUESTIONNAIRE, QUESTIONNAIRE), amends=in_force, started_at=at
    )
    record(action="response.started", subject=response, by=by, at=at, pack=response.pack)
    _note_age(response, at=at)
    return response


@transaction.atomic
def save_answer(
    *,
    response: QuestionnaireResponse,
    question: str,
    raw: object,
    by: Actor,
    at: datetime,
    by_phone: bool = False,
) -> Answer | None:
    """The answer counts from now on; the one before it stays on record. The same answer again changes nothing.

    `raw` is what a form holds (see rules.clean_answer). A blank takes back the answer that stood there: the question
    reads "not answered" again; None is returned. The trail says who answered which question, never what. Raises
    FormClosed, and AnswerUnusable whose `field` is the question.
    """
    fresh = _open_form(response)
    asked = _question(questionnaire_of(fresh), question, by, by_phone=by_phone)
    now = fresh.answers.filter(question=asked.key, is_latest=True).first()
    if _is_blank(raw):
        _take_back(now, by=by, at=at)
        return None
    try:
        value = clean_answer(asked, raw, today=at.astimezone(fresh.patient.location.zone).date())
    except AnswerRefused as refused:
        raise AnswerUnusable(refused.for_people, field=asked.key) from None
    return _write(fresh, asked.key, value, now, by=by, at=at, by_phone=by_phone)


@transaction.atomic
def save_answers(
    *,
    response: QuestionnaireResponse,
    given: Mapping[str, object],
    by: Actor,
    at: datetime,
    by_phone: bool = False,
) -> list[Answer]:
    """Several answers given at once count from now on, or none of them does; blank ones are left as they were.

    Otherwise as `save_answer`. The trail names the questions in one event. Returns the rows that are new.
    """
    fresh = _open_form(response)
    questionnaire, known = questionnaire_of(fresh), latest_rows(fresh)
    today = at.astimezone(fresh.patient.location.zone).date()
    rows = []
    for key, raw in given.items():
        if _is_blank(raw):
            continue
        asked = _question(questionnaire, key, by, by_phone=by_phone)
        try:
            value = clean_answer(asked, raw, today=today)
        except AnswerRefused as refused:
            raise AnswerUnusable(refused.for_people, field=key) from None
        row = _row(fresh, key, value, by=by, at=at, by_phone=by_phone)
        now = known.get(key)
        if now is None or not _says_the_same(now, row):
            if now is not None:
                _retire(now)
            rows.append(row)
    Answer.objects.bulk_create(rows)
    if rows:
        questions = [row.question for row in rows]
        record(action="answers.saved", subject=fresh, by=by, at=at, questions=questions, by_phone=by_phone)
    return rows


@transaction.atomic
def confirm_answers(
    *, response: QuestionnaireResponse, questions: Iterable[str], by: Actor, at: datetime, by_phone: bool = False
) -> list[Answer]:
    """What the patient said last time counts again, from now on and as confirmed now; the rest stays unanswered.

    A question answered in this form meanwhile, or one that must be asked afresh, is passed over. Raises FormClosed.
    """
    fresh = _open_form(response)
    former = former_answers(fresh)
    rows = [
        _row(fresh, key, former[key]["value"], by=by, at=at, by_phone=by_phone)  # type: ignore[arg-type]
        for key in dict.fromkeys(questions)
        if key in former
    ]
    Answer.objects.bulk_create(rows)
    if rows:
        confirmed = [row.question for row in rows]
        record(action="answers.confirmed", subject=fresh, by=by, at=at, questions=confirmed, by_phone=by_phone)
    return rows


def _is_blank(raw: object) -> bool:
    return raw is None or raw == [] or (isinstance(raw, str) and not raw.strip())


def _row(response: QuestionnaireResponse, key: str, value: Value, *, by: Actor, at: datetime, by_phone: bool) -> Answer:
    """Return the answer as a row that is not saved yet."""
    return Answer(
        response=response,
        question=key,
        value=value,
        answered_at=at,
        answered_by=(f"{by.name}, by phone" if by_phone else by.name)[:200],
        by_phone=by_phone,
        user_id=by.user_id,
    )


def _says_the_same(now: Answer, row: Answer) -> bool:
    # Values are compared with their kind: 1 and true are different answers.
    return (type(now.value), now.value, now.answered_by) == (type(row.value), row.value, row.answered_by)


def _open_form(response: QuestionnaireResponse) -> QuestionnaireResponse:
    fresh = lock(response)
    if fresh.status != ResponseStatus.IN_PROGRESS:
        raise FormClosed
    return fresh


def _question(questionnaire: Questionnaire, key: str, by: Actor, *, by_phone: bool) -> Question:
    """Return the question if this actor may answer it; what the clinic knows or decides nobody types in here."""
    try:
        asked = questionnaire.question(key)
    except AnswerRefused as refused:
        raise AnswerUnusable(refused.for_people, field=key) from None
    for_patient = asked.by_patient and key not in DERIVED
    for_staff = by.kind == ActorKind.STAFF and not by_phone and key not in DERIVED and asked.who != {Who.SYSTEM.value}
    if not for_patient and not for_staff:
        raise AnswerUnusable("This one is not asked here.", field=key)
    return asked


def _write(
    response: QuestionnaireResponse,
    key: str,
    value: Value,
    now: Answer | None,
    *,
    by: Actor,
    at: datetime,
    by_phone: bool = False,
) -> Answer:
    answer = _row(response, key, value, by=by, at=at, by_phone=by_phone)
    if now and _says_the_same(now, answer):
        return now
    if now:
        _retire(now)
    answer.save()
    record(
        action="answer.saved",
        subject=response,
        by=by,
        at=at,
        question=key,
        by_phone=by_phone,
        replaces=now.answered_by if now else "",
    )
    return answer


def _take_back(now: Answer | None, *, by: Actor, at: datetime) -> None:
    if now is not None:
        _retire(now)
        record(action="answer.taken_back", subject=now.response, by=by, at=at, question=now.question)


def _retire(answer: Answer) -> None:
    answer.is_latest = False
    answer.save(update_fields=["is_latest"])


def _ask_again_what_is_old(response: QuestionnaireResponse, *, by: Actor, at: datetime) -> None:
    rows, zone = latest_rows(response), response.patient.location.zone
    answered_on = {key: row.answered_at.astimezone(zone).date() for key, row in rows.items()}
    for key in sorted(expired_answers(answered_on, questionnaire_in_force(), at.astimezone(zone).date())):
        _take_back(rows[key], by=by, at=at)


def _note_age(response: QuestionnaireResponse, *, at: datetime) -> None:
    """The age in full years stands among the answers as the date of birth gives it: nobody is asked twice."""
    patient = response.patient
    years = age_on(patient.born_on, at.astimezone(patient.location.zone).date())
    now = response.answers.filter(question="age_years", is_latest=True).first()
    if "age_years" in questionnaire_of(response).by_key:
        _write(response, "age_years", years, now, by=AGE_KEEPER, at=at)


@transaction.atomic
def complete_response(*, response: QuestionnaireResponse, by: Actor, at: datetime) -> QuestionnaireResponse:
    """The answers are frozen as they stand, each with when and by whom; the answers they amend are marked so.

    Every starred question that applies to the patient must have an answer, be it "not sure": else AnswersMissing,
    naming them. What only the clinic answers, as a skin type seen by a clinician, is carried from the answers before,
    with its own date and author. Raises IllegalMove when the response is not open. An invitation still waiting to go
    out is withdrawn.
    """
    fresh = lock(response)
    if fresh.status != ResponseStatus.IN_PROGRESS:
        raise IllegalMove(fresh, fresh.status, ResponseStatus.COMPLETED)
    _note_age(fresh, at=at)
    rows = latest_rows(fresh)
    questionnaire = questionnaire_of(fresh)
    if missing := critical_unanswered(questionnaire, rows):
        raise AnswersMissing(missing)
    snapshot = _frozen(questionnaire, rows, _clinics_own(questionnaire, fresh.amends), at)
    done = move(fresh, ResponseStatus.COMPLETED, by=by, at=at, completed_at=at, snapshot=snapshot)
    for earlier in done.patient.responses.filter(status=ResponseStatus.COMPLETED).exclude(pk=done.pk):
        move(earlier, ResponseStatus.AMENDED, by=by, at=at)
    withdraw(about=f"response:{done.ref}", reason="The form has been sent in.", by=by, at=at)
    return done


def _clinics_own(questionnaire: Questionnaire, before: QuestionnaireResponse | None) -> dict[str, dict[str, object]]:
    """Return what the clinic found out itself and no patient is asked: answering again does not undo it."""
    entries = (before.snapshot or {}) if before is not None else {}
    mine = {question.key for question in questionnaire.questions if not question.by_patient}
    return {key: dict(entry) for key, entry in entries.items() if key in mine}


def _frozen(
    questionnaire: Questionnaire, rows: dict[str, Answer], carried: dict[str, dict[str, object]], at: datetime
) -> dict[str, dict[str, object]]:
    """Return the snapshot: what skip logic hides reads "not_applicable", what nobody answered is absent."""
    entries: dict[str, dict[str, object]] = carried | {
        key: {"value": row.value, "at": row.answered_at.isoformat(), "by": row.answered_by} for key, row in rows.items()
    }
    whole = questionnaire.with_not_applicable({key: entry["value"] for key, entry in entries.items()})
    return _with_authors(whole, entries, at)


def _with_authors(
    whole: Mapping[str, object], entries: Mapping[str, dict[str, object]], at: datetime
) -> dict[str, dict[str, object]]:
    """Return each value with who gave it and when; what skip logic hides was found by Afterglow, now."""
    return {
        key: entries[key]
        if key in entries and entries[key]["value"] == value
        else {"value": value, "at": at.isoformat(), "by": "Afterglow"}
        for key, value in whole.items()
    }


@transaction.atomic
def amend_response(
    *, response: QuestionnaireResponse, answers: Mapping[str, object], by: Actor, at: datetime
) -> QuestionnaireResponse:
    """What staff found out at the consultation stands in a newer frozen response; the patient's own stays as it was.

    `answers` maps questions to what a form holds (see rules.clean_answer). Each amended answer says who gave it and
    when; the others keep theirs. What skip logic hides now reads "not_applicable". Raises IllegalMove unless the
    response is in force, and AnswerUnusable whose `field` is the question.
    """
    fresh = lock(response)
    if fresh.status != ResponseStatus.COMPLETED:
        raise IllegalMove(fresh, fresh.status, ResponseStatus.AMENDED)
    questionnaire = questionnaire_of(fresh)
    given = {key: _found(fresh, questionnaire, key, raw, by, at) for key, raw in answers.items()}
    snapshot = _amended(questionnaire, fresh.snapshot, given, by, at)
    # A form the patient has begun since amends the newest answers, not the ones replaced here.
    begun = QuestionnaireResponse.objects.filter(amends=fresh).first()
    if begun is not None:
        begun.amends = None
        begun.save(update_fields=["amends"])
    amended = QuestionnaireResponse.objects.create(
        patient=fresh.patient,
        pack=fresh.pack,
        amends=fresh,
        status=ResponseStatus.COMPLETED,
        started_at=at,
        completed_at=at,
        snapshot=snapshot,
    )
    if begun is not None:
        begun.amends = amended
        begun.save(update_fields=["amends"])
    for key, value in given.items():
        _write(amended, key, value, None, by=by, at=at)
    move(fresh, ResponseStatus.AMENDED, by=by, at=at)
    record(action="response.amended", subject=amended, by=by, at=at, amends=fresh, questions=sorted(given))
    return amended


def _found(
    response: QuestionnaireResponse, questionnaire: Questionnaire, key: str, raw: object, by: Actor, at: datetime
) -> Value:
    """Return what staff found as the value to store. Staff may answer any question but what Afterglow knows itself."""
    asked = _question(questionnaire, key, by, by_phone=False)
    try:
        return clean_answer(asked, raw, today=at.astimezone(response.patient.location.zone).date())
    except AnswerRefused as refused:
        raise AnswerUnusable(refused.for_people, field=key) from None


def _amended(
    questionnaire: Questionnaire,
    snapshot: Mapping[str, Mapping[str, object]],
    given: Mapping[str, Value],
    by: Actor,
    at: datetime,
) -> dict[str, dict[str, object]]:
    """Return the snapshot with the new answers: skip logic is asked anew, for the hidden as for the shown."""
    # A question without a condition was never hidden: there the patient said that it does not apply, and that stays.
    entries: dict[str, dict[str, object]] = {
        key: dict(entry)
        for key, entry in snapshot.items()
        if entry["value"] != Special.NOT_APPLICABLE or questionnaire.by_key[key].ask_if is None
    }
    entries.update({key: {"value": value, "at": at.isoformat(), "by": by.name} for key, value in given.items()})
    whole = questionnaire.with_not_applicable({key: entry["value"] for key, entry in entries.items()})
    return _with_authors(whole, entries, at)
