"""What becomes of a message: before it leaves, after the gateway's answer, after silence. Nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic.transports.email import smtp
from clinic.transports.sms import sms_gateway
from clinic.transports.states import Failed, Retry, Unknown
from patients.messaging.due import AnyMessage
from patients.messaging.holds import Objection
from patients.messaging.models import Message
from patients.messaging.queries import night_zone, routes_for
from patients.messaging.rules import (
    HARMLESS_LINKS,
    MAX_TRIES,
    may_leave_at_night,
    may_repeat,
    next_attempt,
    quiet_until,
)
from patients.messaging.states import Channel, MessageStatus, Tried

AGAIN_SOON = timedelta(seconds=30)
# How a reason begins that tells what came of a try: it stays true while the message waits for the next.
_MAY_HAVE_ARRIVED, _NOT_KNOWN, _REFUSED = "It may have arrived", "Not known whether it was taken", "Refused: "
_OF_A_TRY = (_MAY_HAVE_ARRIVED, _NOT_KNOWN, _REFUSED)
ASK_AGAIN = timedelta(hours=6)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a message. `call` asks for a person who does what the message could not."""

    status: MessageStatus
    reason: str
    try_at: datetime | None = None
    call: bool = False


# --- before it leaves -------------------------------------------------------------------------------------------------


def why_not_now(message: AnyMessage, objection: Objection | None, now: datetime) -> Verdict | None:
    """Return what becomes of a message that may not leave now, whatever way there is to its reader; else None."""
    return (
        too_late(message, now)
        or _unwelcome(message)
        or (_objected(message, objection, now) if objection else None)
        or _at_night(message, now)
    )


def too_late(message: AnyMessage, now: datetime) -> Verdict | None:
    if now < message.not_after:
        return None
    latest = message.not_after.astimezone(message.location.zone)
    before = f" Before: {message.reason}" if message.reason else ""
    reason = f"It made no sense after {latest:%d %b %H:%M}.{before}"
    return Verdict(MessageStatus.SKIPPED, reason, call=message.is_important)


def _unwelcome(message: AnyMessage) -> Verdict | None:
    patient = message.patient
    if patient is None:
        return None
    if patient.died_on is not None:
        return Verdict(MessageStatus.SKIPPED, "The patient has died: nothing is sent any more.")
    if patient.do_not_contact:
        return Verdict(MessageStatus.SKIPPED, "The patient asked not to be contacted.")
    return None


def _objected(message: AnyMessage, found: Objection, now: datetime) -> Verdict:
    """A room above knows why it must wait, and is asked again some hours later while it still makes sense."""
    if found.for_good:
        return Verdict(MessageStatus.SKIPPED, found.reason)
    # A little before it is too late at the latest: held until then it would count as held by a person.
    again = min(now + ASK_AGAIN, message.not_after - AGAIN_SOON)
    return Verdict(MessageStatus.HELD, found.reason, try_at=max(again, now + AGAIN_SOON))


def _at_night(message: AnyMessage, now: datetime) -> Verdict | None:
    """Quiet hours are the patient's where their time zone is known, else the clinic's."""
    if message.night_until is not None and now <= message.night_until:
        return None  # a person said why it cannot wait
    if may_leave_at_night(
        template=message.template,
        purpose=message.purpose,
        any_hour=message.any_hour,
        due_at=message.due_at,
        at=now,
    ):
        return None
    own = message.patient.time_zone if message.patient else ""
    zone = night_zone(message)
    until = quiet_until(now, zone)
    if until is None:
        return None
    if until >= message.not_after:
        return Verdict(MessageStatus.SKIPPED, "It could only have gone out at night.", call=message.is_important)
    where = f", {zone.key.rpartition('/')[2].replace('_', ' ')} time" if own else ""
    return Verdict(
        MessageStatus.HELD, f"Held for quiet hours until {until.astimezone(zone):%H:%M}{where}.", try_at=until
    )


def not_left(message: AnyMessage, now: datetime) -> Verdict:
    """Return what becomes of one that was claimed and surely did not leave: planned again, none the worse.

    Whatever held it before is over; what came of an earlier try is still so.
    """
    tells_of_a_try = message.reason.startswith(_OF_A_TRY)
    reason = message.reason if tells_of_a_try else "Waiting for the gateway."
    return Verdict(MessageStatus.PLANNED, reason, try_at=now + AGAIN_SOON)


# --- after an answer, or none -----------------------------------------------------------------------------------------


def after_answer(message: Message, receipt: Retry | Failed | Unknown, now: datetime) -> Verdict:
    """Return what becomes of a message that the gateway did not surely take. `attempts` counts this try already."""
    match receipt:
        case Retry(answer, after, gateway_down=True):
            reason = f"The gateway does not take anything now: {answer}"
            return Verdict(MessageStatus.PLANNED, reason, try_at=now + max(after or AGAIN_SOON, AGAIN_SOON))
        case Retry(answer, after):
            return again_or_give_up(message, f"Not taken yet: {answer}", now, after)
        case Failed(answer=answer):
            return _after_refusal(message, answer, now)
        case Unknown(answer):
            return _after_unknown(message, answer, now)


def again_or_give_up(message: Message, why: str, now: datetime, after: timedelta | None = None) -> Verdict:
    if now >= message.not_after:
        return too_late(message, now) or Verdict(MessageStatus.SKIPPED, why)
    if message.attempts >= MAX_TRIES:
        reason = f"Given up after {message.attempts} tries. {why}"
        return Verdict(MessageStatus.FAILED, reason, call=message.is_important)
    wait = max(after or timedelta(0), next_attempt(message.attempts, seed=str(message.ref)))
    next_try = (now + wait).astimezone(message.location.zone)
    return Verdict(MessageStatus.PLANNED, f"{why.rstrip('.')}. Next try at {next_try:%H:%M}.", try_at=now + wait)


def _after_refusal(message: Message, answer: str, now: datetime) -> Verdict:
    """The other channel is tried at once; where there is none, a person must call if it is important."""
    if now < message.not_after and routes_for([message], now)[message.pk].open:
        return Verdict(MessageStatus.PLANNED, f"{_REFUSED}{answer.rstrip('.')}. Tried another way.", try_at=now)
    return Verdict(MessageStatus.FAILED, f"{_REFUSED}{answer}", call=message.is_important)


def _after_unknown(message: Message, answer: str, now: datetime) -> Verdict:
    """A gateway that keeps keys is asked again with the same key; others once, if repeating does no harm."""
    in_time = now < message.not_after and message.attempts < MAX_TRIES
    gateway = sms_gateway() if message.sent_channel == Channel.SMS else smtp()
    wait = next_attempt(message.attempts, seed=str(message.ref))
    if in_time and gateway is not None and gateway.repeats_safely:
        reason = f"{_NOT_KNOWN}: asked again with its key."
        return Verdict(MessageStatus.PLANNED, reason, try_at=now + wait)
    was_unknown = message.deliveries.filter(outcome=Tried.UNKNOWN).count() > 1
    if in_time and may_repeat(purpose=message.purpose, link_scope=message.link_scope, was_unknown=was_unknown):
        return Verdict(
            MessageStatus.PLANNED, f"{_MAY_HAVE_ARRIVED} ({answer.rstrip('.')}). Sent once more.", try_at=now + wait
        )
    call = message.is_important or message.link_scope not in HARMLESS_LINKS
    return Verdict(MessageStatus.UNKNOWN, f"{_MAY_HAVE_ARRIVED}: {answer}", call=call)
