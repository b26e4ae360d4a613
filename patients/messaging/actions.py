"""Planning messages, setting them right, taking them back, and respecting who said STOP.

Nothing here talks to a gateway: that is the sender's work, outside any transaction. `dispatch` is its one tick.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from celery import current_app
from django.db import connection, models, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.premises.models import Location
from clinic.staff.models import User
from clinic.transitions import lock, move
from patients.messaging.difference import Difference, Known, Reconciled, difference, plain
from patients.messaging.models import Message, OptOut, Reply
from patients.messaging.rules import Value, WantedMessage, asks_to
from patients.messaging.sender import dispatch, save_many
from patients.messaging.states import UNSENT, Channel, MessageStatus, Purpose
from patients.registry.models import ContactPoint, Patient
from patients.registry.states import ContactKind

__all__ = [
    "NotNow",
    "ReasonMissing",
    "Reconciled",
    "alert_staff",
    "dispatch",
    "hold_message",
    "known_of",
    "nudge",
    "opt_in",
    "opt_out",
    "queue_message",
    "reconcile",
    "record_reply",
    "release_message",
    "resend_message",
    "skip_message",
    "withdraw",
]

logger = logging.getLogger(__name__)

ALERT_LIFE = timedelta(hours=24)
RESEND_LIFE = timedelta(hours=24)
REPLY_LIFE = timedelta(hours=2)
# After the broker did not answer, requests do not wait for it again for so long; the sweep finds everything anyway.
RING_AGAIN_AFTER = 30.0
# Somebody waits for the page: one try, of a second at most.
_IMPATIENT = {"max_retries": 0, "socket_connect_timeout": 1, "socket_timeout": 1}


class NotNow(Refused):
    """The message is not in a state in which this can be done."""


class ReasonMissing(Refused):
    sentence = "Please say why."


# --- planning ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def queue_message(
    *, patient: Patient, location: Location, about: str, wanted: WantedMessage, by: Actor, at: datetime
) -> Message:
    """One message is planned for the patient. One of the same (about, step) that still waits is left as it is."""
    _one_at_a_time(about)
    latest = Message.objects.filter(about=about, step=wanted.step).order_by("-revision").first()
    if latest is not None and latest.status in {*UNSENT, MessageStatus.SENDING}:
        return latest
    message = _row(wanted, about, latest.revision + 1 if latest else 1, location, at, patient=patient)
    return _plan_one(message, by, at)


@transaction.atomic
def alert_staff(
    *,
    user: User,
    location: Location,
    about: str,
    step: str,
    template: str,
    context: Mapping[str, Value],
    by: Actor,
    at: datetime,
) -> Message:
    """An email to a member of staff is due now, at any hour. The same step again is another revision of it."""
    wanted = WantedMessage(
        step=step,
        purpose=Purpose.ALARM,
        channel=Channel.EMAIL,
        template=template,
        context=context,
        due_at=at,
        not_after=at + ALERT_LIFE,
        important=True,
    )
    _one_at_a_time(about)
    latest = Message.objects.filter(about=about, step=step).order_by("-revision").first()
    message = _row(wanted, about, latest.revision + 1 if latest else 1, location, at, staff=user)
    return _plan_one(message, by, at)


@transaction.atomic
def reconcile(
    *,
    about: str,
    patient: Patient,
    location: Location,
    wanted: Sequence[WantedMessage],
    by: Actor,
    at: datetime,
    reason: str = "",
) -> Reconciled:
    """The plan of `about` says what is wanted now; what was told and has become wrong gets one correction.

    Waiting messages are changed in place, so that nothing old can leave after this commits; those no longer wanted
    are withdrawn with the reason (a few words, as "visit cancelled"). A second call that wants the same changes
    nothing, in two queries.
    """
    _one_at_a_time(about)
    rows = {row.pk: row for row in Message.objects.filter(about=about).select_for_update(no_key=True).order_by("pk")}
    found = difference([known_of(row) for row in rows.values()], wanted, at)
    if not found.is_empty:
        _write(found, rows, about, patient, location, _because(reason, location, by, at), by, at)
    return Reconciled(
        planned=len(found.new),
        moved=len(found.changed),
        withdrawn=len(found.withdrawn),
        kept=found.kept,
        already_sent=found.already_sent,
        corrections=int(found.has_notice),
    )


def _write(
    found: Difference,
    rows: Mapping[int, Message],
    about: str,
    patient: Patient,
    location: Location,
    reason: str,
    by: Actor,
    at: datetime,
) -> None:
    notices = [found.notice] if found.notice else []
    new = [_row(each, about, revision, location, at, patient=patient, in_plan=True) for each, revision in found.new]
    new += [_row(each, about, revision, location, at, patient=patient) for each, revision in notices]
    changed = [*found.changed, *([found.changed_notice] if found.changed_notice else [])]
    dropped = [*found.withdrawn, *([found.dropped_notice] if found.dropped_notice else [])]
    for key, each in changed:
        _rewrite(rows[key], each)
    for key in dropped:
        _drop(rows[key], reason if key in found.withdrawn else "Changed back before it left: nobody was told.")
    for key in found.overtaken:
        # It is on its way. If the gateway does not take it, it is too late for another try.
        rows[key].not_after = min(rows[key].not_after, at)
    Message.objects.bulk_create(new)
    touched = [rows[key] for key in {*(key for key, _ in changed), *dropped, *found.overtaken}]
    save_many(touched, _PLANNERS_FIELDS)
    record(
        action="messages.reconciled",
        subject=about,
        by=by,
        at=at,
        patient_ref=patient.ref,
        planned=[f"{row.step}.{row.revision}" for row in new],
        changed=[rows[key].step for key, _ in changed],
        withdrawn=[rows[key].step for key in dropped],
        reason=reason,
    )
    if any(row.try_at <= at for row in [*new, *touched] if row.status == MessageStatus.PLANNED):
        _ring_on_commit()


_PLANNERS_FIELDS = [
    "status", "reason", "purpose", "channel", "template", "context", "link_scope", "link_about", "is_important",
    "any_hour", "visit_at", "due_at", "not_after", "note", "try_at", "lease_until", "attempts",
]  # fmt: skip


@transaction.atomic
def withdraw(*, about: str, reason: str, by: Actor, at: datetime, purposes: Iterable[Purpose] | None = None) -> int:
    """No message about this (of these purposes) that has not left will leave. Returns how many were taken back."""
    _one_at_a_time(about)
    rows = Message.objects.filter(about=about, status__in=[*UNSENT, MessageStatus.SENDING])
    if purposes is not None:
        rows = rows.filter(purpose__in=list(purposes))
    found = list(rows.select_for_update(no_key=True).order_by("pk"))
    taken = [row for row in found if row.handed_at is None]
    for row in taken:
        _drop(row, reason)
    for row in found:
        row.not_after = row.not_after if row.handed_at is None else min(row.not_after, at)
    if found:
        save_many(found, _PLANNERS_FIELDS)
        record(
            action="messages.withdrawn",
            subject=about,
            by=by,
            at=at,
            patient_ref=found[0].patient.ref if found[0].patient else None,
            withdrawn=[row.step for row in taken],
            reason=reason,
        )
    return len(taken)


def _one_at_a_time(about: str) -> None:
    """Two that plan for the same thing take turns, also when there is no row yet that they could lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"messages:{about}"])


def _row(
    wanted: WantedMessage,
    about: str,
    revision: int,
    location: Location,
    at: datetime,
    *,
    patient: Patient | None = None,
    staff: User | None = None,
    in_plan: bool = False,
) -> Message:
    row = Message(
        patient=patient,
        staff=staff,
        location=location,
        about=about,
        step=wanted.step,
        revision=revision,
        in_plan=in_plan,
        created_at=at,
    )
    _rewrite(row, wanted)
    return row


def _rewrite(row: Message, wanted: WantedMessage) -> None:
    """The row says what is wanted now and waits for its time; one that a person holds stays held."""
    held = row.is_held_by_desk if row.pk else False
    row.purpose, row.channel, row.template = wanted.purpose, wanted.channel, wanted.template
    row.context = plain(wanted.context)
    row.link_scope, row.link_about = wanted.link_scope, wanted.link_about
    row.is_important, row.any_hour = wanted.important, wanted.any_hour
    row.visit_at, row.due_at, row.not_after = wanted.visit_at, wanted.due_at, wanted.not_after
    row.note = wanted.note[:200]
    row.lease_until, row.attempts = None, 0
    if held:
        row.try_at = wanted.not_after
    else:
        row.status, row.reason, row.try_at = MessageStatus.PLANNED, "", wanted.due_at


def _drop(row: Message, reason: str) -> None:
    row.status, row.reason, row.lease_until = MessageStatus.SUPERSEDED, reason[:300], None


def _because(reason: str, location: Location, by: Actor, at: datetime) -> str:
    """Return why, when and who, as the log shows it: "Visit cancelled at 14:02 by Bo Lindqvist."."""
    words = reason.strip().rstrip(".") or "No longer part of the plan, changed"
    return f"{words[:1].upper()}{words[1:]} at {at.astimezone(location.zone):%H:%M} by {by.name}."


def known_of(row: Message) -> Known:
    """Return the message as comparing sees it."""
    return Known(
        key=row.pk,
        step=row.step,
        revision=row.revision,
        status=row.status,
        in_plan=row.in_plan,
        out_at=row.sent_at or row.handed_at,
        said=(
            row.purpose,
            row.channel,
            row.template,
            row.context,
            row.due_at,
            row.not_after,
            row.is_important,
            row.link_scope,
            row.link_about,
            row.note,
            row.any_hour,
            row.visit_at,
        ),
        template=row.template,
        channel=row.sent_channel or row.channel,
        context=row.context,
        due_at=row.due_at,
        visit_at=row.visit_at,
    )


def _plan_one(message: Message, by: Actor, at: datetime) -> Message:
    message.save(force_insert=True)
    record(action="message.planned", subject=message, by=by, at=at, step=message.step, template=message.template)
    if message.due_at <= at:
        _ring_on_commit()
    return message


# --- what the desk does -----------------------------------------------------------------------------------------------


@transaction.atomic
def hold_message(*, message: Message, reason: str, by: Actor, at: datetime) -> Message:
    """The message waits until a person releases it, and is listed as not sent when it would be too late."""
    fresh = lock(message)
    fresh.reason, fresh.try_at = f"Held by {by.name}: {_said_why(reason)}", max(fresh.not_after, at)
    if fresh.status == MessageStatus.HELD:  # held for the night so far, by a person from now on
        fresh.save(update_fields=["reason", "try_at"])
        record(action="message.held", subject=fresh, by=by, at=at, was=fresh.status, reason=fresh.reason)
        return fresh
    return _move_saying(fresh, MessageStatus.HELD, by, at)


@transaction.atomic
def release_message(*, message: Message, by: Actor, at: datetime) -> Message:
    """A held message goes its way again: at its time, or at once if that has passed."""
    fresh = lock(message)
    released = move(fresh, MessageStatus.PLANNED, by=by, at=at, try_at=max(fresh.due_at, at))
    released.reason = ""
    released.save(update_fields=["reason"])
    _ring_on_commit()
    return released


@transaction.atomic
def skip_message(*, message: Message, reason: str, by: Actor, at: datetime) -> Message:
    """The message will not be sent, and says who decided so and why."""
    fresh = lock(message)
    fresh.reason = f"{_said_why(reason)} ({by.name})"
    return _move_saying(fresh, MessageStatus.SKIPPED, by, at)


@transaction.atomic
def resend_message(*, message: Message, by: Actor, at: datetime) -> Message:
    """The message goes out (again) as soon as it may; quiet hours and opt-outs still hold it.

    One that waits is sent now instead of later, one that may have arrived once more under its own name. One that
    ended gets another revision, so that both stand in the log. Raises NotNow for one that is being sent.
    """
    fresh = lock(message)
    if fresh.status == MessageStatus.SENDING:
        raise NotNow("It is being sent right now.")
    if fresh.status == MessageStatus.PLANNED:
        fresh.try_at = at
        fresh.save(update_fields=["try_at"])
        record(action="message.hurried", subject=fresh, by=by, at=at)
    elif fresh.status == MessageStatus.HELD:
        fresh = release_message(message=fresh, by=by, at=at)
        fresh.try_at = at
        fresh.save(update_fields=["try_at"])
    elif fresh.status == MessageStatus.UNKNOWN:
        fresh = move(
            fresh,
            MessageStatus.PLANNED,
            by=by,
            at=at,
            try_at=at,
            not_after=max(fresh.not_after, at + RESEND_LIFE),
            attempts=0,
            handed_at=None,
            sent_text=None,
            sent_channel="",
            point=None,
        )
    else:
        fresh = _copy(fresh, at, by)
    _ring_on_commit()
    return fresh


def _copy(message: Message, at: datetime, by: Actor) -> Message:
    _one_at_a_time(message.about)
    same_step = Message.objects.filter(about=message.about, step=message.step)
    latest = same_step.order_by("-revision").values_list("revision", flat=True)[0]
    copy = Message(
        **{name: getattr(message, name) for name in _COPIED},
        revision=latest + 1,
        due_at=at,
        try_at=at,
        not_after=max(message.not_after, at + RESEND_LIFE),
        note=f"Sent again by {by.name}."[:200],
        created_at=at,
    )
    return _plan_one(copy, by, at)


_COPIED = [
    "patient", "staff", "location", "about", "step", "purpose", "channel", "template", "context", "link_scope",
    "link_about", "is_important", "any_hour", "visit_at",
]  # fmt: skip


def _said_why(reason: str) -> str:
    if not reason.strip():
        raise ReasonMissing(field="reason")
    return reason.strip()[:200]


def _move_saying(fresh: Message, status: MessageStatus, by: Actor, at: datetime) -> Message:
    """Move the locked message whose reason is set already: the database refuses a state that does not say why."""
    fresh.save(update_fields=["reason", "try_at"])
    return move(fresh, status, by=by, at=at, reason=fresh.reason)


# --- STOP and START ---------------------------------------------------------------------------------------------------


@transaction.atomic
def opt_out(
    *, point: ContactPoint, how: str, by: Actor, at: datetime, patient: Patient | None = None, purpose: str = ""
) -> OptOut:
    """Nothing more goes to the contact point: for everyone reached there, or one patient, or one purpose only."""
    known = _in_force(point, at).filter(patient=patient, purpose=purpose).first()
    if known is not None:
        return known
    made = OptOut.objects.create(point=point, patient=patient, purpose=purpose, since_at=at, how=how[:200])
    record(action="optout.begun", subject=made, by=by, at=at, purpose=purpose, how=how)
    return made


@transaction.atomic
def opt_in(*, point: ContactPoint, by: Actor, at: datetime, patient: Patient | None = None) -> int:
    """Messages go to the contact point again. With a patient only what that patient stopped ends. Returns how many."""
    rows = _in_force(point, at)
    ended = list((rows if patient is None else rows.filter(patient=patient)).select_for_update(no_key=True))
    for row in ended:
        row.until_at = at
        row.save(update_fields=["until_at"])
        record(action="optout.ended", subject=row, by=by, at=at)
    return len(ended)


def _in_force(point: ContactPoint, at: datetime) -> models.QuerySet[OptOut]:
    return OptOut.objects.filter(point=point).exclude(until_at__lte=at)


@transaction.atomic
def record_reply(*, point: ContactPoint, text: str, gateway_ref: str, by: Actor, at: datetime) -> Reply:
    """What somebody wrote back is kept. STOP and START act at once for everyone at the number, and are confirmed once.

    The same gateway_ref twice is the same reply, and acts once.
    """
    reply, is_new = Reply.objects.get_or_create(
        gateway_ref=gateway_ref,
        defaults={"point": point, "body": {"text": text[:2000]}, "received_at": at},
    )
    if not is_new:
        return reply
    record(action="reply.received", subject=reply, by=by, at=at)
    wish = asks_to(text)
    if wish:
        reply.read_at = at  # it is acted on here: nobody has to read it
        reply.save(update_fields=["read_at"])
    if wish == "stop" and not _in_force(point, at).filter(patient=None, purpose="").exists():
        opt_out(point=point, how=f"wrote {text.strip()[:20]}", by=by, at=at)
        _confirm(reply, "stop_confirmation", by, at)
    elif wish == "start" and opt_in(point=point, by=by, at=at):
        _confirm(reply, "start_confirmation", by, at)
    return reply


def _confirm(reply: Reply, template: str, by: Actor, at: datetime) -> None:
    contact = reply.point.people.filter(until_at=None).select_related("patient__location").order_by("pk").first()
    if contact is None:
        return
    channel = Channel.SMS if reply.point.kind == ContactKind.PHONE else Channel.EMAIL
    wanted = WantedMessage(
        step=template,
        purpose=Purpose.VISIT,
        channel=channel,
        template=template,
        context={},
        due_at=at,
        not_after=at + REPLY_LIFE,
        important=False,
    )
    queue_message(
        patient=contact.patient,
        location=contact.patient.location,
        about=f"reply:{reply.ref}",
        wanted=wanted,
        by=by,
        at=at,
    )


# --- the doorbell -----------------------------------------------------------------------------------------------------

_deaf_until = 0.0


def nudge() -> None:
    """A worker looks for due messages now rather than within 15 seconds. Never fails: the sweep is the guarantee."""
    global _deaf_until
    if time.monotonic() < _deaf_until:
        return
    options = {**current_app.conf.broker_transport_options, **_IMPATIENT}
    try:
        with current_app.connection_for_write(transport_options=options) as line:
            current_app.send_task(
                "messaging.dispatch_due_messages", connection=line, retry=False, ignore_result=True, expires=60
            )
    except Exception as error:  # whatever a broker does, the act that rang it has happened
        _deaf_until = time.monotonic() + RING_AGAIN_AFTER
        logger.warning("The worker could not be rung (%s); the sweep finds the messages.", type(error).__name__)


def _ring_on_commit() -> None:
    """Ring once when the transaction commits, however many messages it planned."""
    waiting = transaction.get_connection().run_on_commit
    if not any(nudge in entry for entry in waiting):
        transaction.on_commit(nudge, robust=True)
