"""The sender: claims what is due, checks it again, hands it over, and writes down what came of it.

A claim is a lease with a fencing token, committed before anything is sent; nothing talks to a gateway inside a
transaction. A message is marked as handed over (`handed_at`, text frozen) and committed before it leaves: whoever
cancels a visit then either takes it back in time, or knows that it may have been read. Rows change in small batches
and not through `move()`, which would cost three statements each; `_to` keeps to the same table, and every outcome is
in the audit trail. Claiming and returning a row untouched are bookkeeping and are not.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import InterfaceError, OperationalError, connection, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.transports.email import smtp
from clinic.transports.sms import sms_gateway
from clinic.transports.states import Failed, Receipt, Retry, Sent, Unknown
from clinic.worklist.actions import raise_task
from patients.messaging.enclosures import enclosure_of
from patients.messaging.models import DeliveryAttempt, Message, SenderPulse
from patients.messaging.queries import Route, Routes, routes_for, variables_of
from patients.messaging.rendering import Unwritable, Written, as_letter, envelope_sender, write_email, write_sms
from patients.messaging.rules import MAX_TRIES, may_leave_at_night, may_repeat, next_attempt, quiet_until
from patients.messaging.states import TRANSITIONS, UNSENT, Channel, MessageStatus, Purpose, Tried
from patients.registry.actions import issue_link
from patients.registry.states import LinkScope

SENDER = Actor.task("messaging.dispatch")
# Longer than the tasks' hard time limit: whoever holds an expired lease is dead or stalled.
LEASE = timedelta(seconds=90)
CHUNK = 10  # handed over between two commits
TICK_SECONDS = 25.0  # after that the rest goes back, so that one slow gateway never holds a hundred leases
AGAIN_SOON = timedelta(seconds=30)
LOOK_WITHIN = timedelta(minutes=15)
CALL_WITHIN = timedelta(hours=4)

_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM patients_message
    WHERE status IN ('planned', 'held') AND try_at <= %(at)s {only}
    ORDER BY try_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE patients_message AS message
SET status = 'sending', lease_until = %(until)s, token = message.token + 1
FROM due WHERE message.id = due.id
RETURNING message.id, message.token
"""


@dataclass(frozen=True)
class Claim:
    key: int
    token: int


@dataclass(frozen=True)
class Ready:
    """A message that is written, frozen and marked as handed over; the next step is the gateway."""

    message: Message
    route: Route
    written: Written
    letter: bytes

    @property
    def claim(self) -> Claim:
        return Claim(self.message.pk, self.message.token)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a message that does not leave now."""

    status: MessageStatus
    reason: str
    try_at: datetime | None = None
    call: bool = False


@dataclass
class Watch:
    """The time at the door plus what has passed since: sending takes time, and the clock is read only once."""

    at: datetime
    _began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def now(self) -> datetime:
        return self.at + timedelta(seconds=self.seconds)


def dispatch(*, at: datetime, limit: int = 100) -> int:
    """One tick: expired leases are released, due messages are claimed and each has left or says why not.

    Returns how many were dealt with; 0 means that nothing is due, or that no gateway takes anything now. `at` decides
    what is due: the doors pass the database's clock, tests their own. Safe with any number of others at the same time.
    Raises RuntimeError in a transaction.
    """
    watch = Watch(at)
    todo = _sweep(at, limit)
    dealt, size = 0, 1  # the first goes alone: if the gateway is down, nothing else is handed over
    closed: set[Channel] = set()
    try:
        while todo and watch.seconds < TICK_SECONDS:
            chunk, todo = todo[:size], todo[size:]
            dealt += _deliver(chunk, watch, closed)
            size = CHUNK
    finally:
        _hand_back(todo, watch.now)
    return dealt


# --- claiming ---------------------------------------------------------------------------------------------------------


@transaction.atomic(durable=True)
def _sweep(at: datetime, limit: int) -> list[Claim]:
    """Release what dead senders hold, claim what is due (alarms first), and leave a pulse."""
    _release_expired(at)
    claims = _claim(at, limit, "AND purpose = 'alarm'")
    if len(claims) < limit:
        claims += _claim(at, limit - len(claims), "")
    pulse = SenderPulse(id=1, swept_at=at, claimed=len(claims))
    SenderPulse.objects.bulk_create(
        [pulse], update_conflicts=True, unique_fields=["id"], update_fields=["swept_at", "claimed"]
    )
    return claims


def _claim(at: datetime, limit: int, only: str) -> list[Claim]:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM.format(only=only), {"at": at, "until": at + LEASE, "limit": limit})
        return sorted((Claim(*row) for row in cursor.fetchall()), key=lambda claim: claim.key)


def _release_expired(at: datetime) -> None:
    rows = list(
        Message.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        .filter(status=MessageStatus.SENDING, lease_until__lt=at)
        .select_related("patient", "staff", "location")
        .order_by("pk")[:200]
    )
    for message in rows:
        message.attempts += 1
        if message.handed_at is None:
            _to(message, _again_or_give_up(message, "The sender stopped before it left", at), at)
        else:
            answer = "The sender stopped while it was being handed over."
            # Noted at the time it may have left: a look-up at the gateway begins there, however long nobody was here.
            _attempt(message, Channel(message.sent_channel), Tried.UNKNOWN, answer, message.handed_at).save()
            _to(message, _after_unknown(message, answer, at), at)
    _save(rows)


# --- one chunk --------------------------------------------------------------------------------------------------------


def _deliver(claims: Sequence[Claim], watch: Watch, closed: set[Channel]) -> int:
    """Each claimed message has left or says why not. `closed` collects channels whose gateway is down.

    Returns how many were dealt with, which those are not that go back because their gateway is down.
    """
    ready, ended = _prepare(claims, watch.now, closed)
    results: list[tuple[Ready, Receipt]] = []
    back, in_hand = list(ready), None
    try:
        for each in ready:
            if each.route.channel in closed or watch.seconds >= TICK_SECONDS:
                continue
            back.remove(each)
            in_hand = each
            receipt = _hand_over(each, watch.now)
            results.append((each, receipt))
            in_hand = None
            if isinstance(receipt, Retry) and receipt.gateway_down:
                closed.add(each.route.channel)
    finally:
        # Interrupted: the one in hand may have left. Its lease runs out, and then that is what is said of it.
        _settle(results, watch.now)
        _hand_back([each.claim for each in back if each is not in_hand], watch.now)
    return ended + sum(not (isinstance(receipt, Retry) and receipt.gateway_down) for _, receipt in results)


@transaction.atomic(durable=True)
def _prepare(claims: Sequence[Claim], now: datetime, closed: set[Channel]) -> tuple[list[Ready], int]:
    """Check each message again as things stand now; those that may leave are written, frozen and marked as out.

    Returns them, and how many have ended or are held instead.
    """
    rows = [row for row in _locked(claims) if row.handed_at is None]
    routes = routes_for(rows, now)
    ready, ended = [], []
    for message in rows:
        outcome = _examine(message, routes[message.pk], closed, now)
        if isinstance(outcome, Ready):
            ready.append(outcome)
        else:
            _to(message, outcome, now)
            ended.append(message)
    _save(ended)
    for each in ready:
        _freeze(each, now)
    _save([each.message for each in ready])
    return ready, sum(message.status != MessageStatus.PLANNED for message in ended)


def _locked(claims: Iterable[Claim]) -> list[Message]:
    """Return the rows that are still ours, locked: the token says so, and nobody took them back meanwhile."""
    tokens = {claim.key: claim.token for claim in claims}
    rows = (
        Message.objects.select_for_update(no_key=True, of=("self",))
        .filter(pk__in=tokens, status=MessageStatus.SENDING)
        .select_related("patient__location", "staff", "location")
        .order_by("pk")
    )
    return [row for row in rows if row.token == tokens[row.pk]]


def save_many(rows: Sequence[Message], names: Sequence[str]) -> None:
    """The named fields of these rows, which the caller has locked, are stored: one statement, one round trip.

    Django's `bulk_update` says the same in one CASE per field and row, and cost more than all the rest of a send.
    """
    columns = [each for each in Message._meta.concrete_fields if each.name in names]
    statement = f"UPDATE patients_message SET {', '.join(f'{each.column} = %s' for each in columns)} WHERE id = %s"  # noqa: S608
    values = [
        [*(each.get_db_prep_save(getattr(row, each.attname), connection) for each in columns), row.pk] for row in rows
    ]
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(statement, values)


def _save(rows: Sequence[Message]) -> None:
    save_many(rows, _SENDERS_FIELDS)


_SENDERS_FIELDS = [
    "status", "reason", "try_at", "lease_until", "attempts", "handed_at", "point", "sent_channel", "sent_text",
    "sent_at", "gateway_ref",
]  # fmt: skip


def _examine(message: Message, routes: Routes, closed: set[Channel], now: datetime) -> Ready | Verdict:
    verdict = _too_late(message, now) or _unwelcome(message) or _at_night(message, now)
    if verdict is not None:
        return verdict
    if not routes.open:
        status = MessageStatus.FAILED if routes.was_refused else MessageStatus.SKIPPED
        before = f" {message.reason}" if routes.was_refused else ""
        return Verdict(status, f"{routes.why_none}{before}", call=message.is_important)
    route = routes.open[0]
    if route.channel in closed:
        return _back(message, now)
    return _written(message, route, now)


def _too_late(message: Message, now: datetime) -> Verdict | None:
    if now < message.not_after:
        return None
    latest = message.not_after.astimezone(message.location.zone)
    before = f" Before: {message.reason}" if message.reason else ""
    reason = f"It made no sense after {latest:%d %b %H:%M}.{before}"
    return Verdict(MessageStatus.SKIPPED, reason, call=message.is_important)


def _unwelcome(message: Message) -> Verdict | None:
    patient = message.patient
    if patient is None:
        return None
    if patient.died_on is not None:
        return Verdict(MessageStatus.SKIPPED, "The patient has died: nothing is sent any more.")
    if patient.do_not_contact:
        return Verdict(MessageStatus.SKIPPED, "The patient asked not to be contacted.")
    return None


def _at_night(message: Message, now: datetime) -> Verdict | None:
    """Quiet hours are the patient's where their time zone is known, else the clinic's."""
    if may_leave_at_night(
        template=message.template,
        purpose=message.purpose,
        any_hour=message.any_hour,
        due_at=message.due_at,
        at=now,
    ):
        return None
    own = message.patient.time_zone if message.patient else ""
    zone = ZoneInfo(own or message.location.time_zone)
    until = quiet_until(now, zone)
    if until is None:
        return None
    if until >= message.not_after:
        return Verdict(MessageStatus.SKIPPED, "It could only have gone out at night.", call=message.is_important)
    where = f", {zone.key.rpartition('/')[2].replace('_', ' ')} time" if own else ""
    return Verdict(
        MessageStatus.HELD, f"Held for quiet hours until {until.astimezone(zone):%H:%M}{where}.", try_at=until
    )


def _written(message: Message, route: Route, now: datetime) -> Ready | Verdict:
    """Write the message. Whatever is wrong with one is said of that one; the others go on."""
    # Only a link is stored while writing; a savepoint for the others would be a third of their round trips.
    together: AbstractContextManager[object] = transaction.atomic() if message.link_scope else nullcontext()
    try:
        with together:
            variables = variables_of(message)
            if message.link_scope and message.patient is not None:
                _, variables["link"] = issue_link(
                    patient=message.patient,
                    scope=LinkScope(message.link_scope),
                    about=message.link_about,
                    by=SENDER,
                    at=now,
                )
            link = variables.get("link", "")
            if route.channel == Channel.SMS:
                written, letter = write_sms(message.template, variables), b""
            else:
                written = write_email(message.template, variables)
                calendar = enclosure_of(message, route.address)
                letter = as_letter(written, to=route.address, ref=message.ref, at=now, calendar=calendar)
    except (OperationalError, InterfaceError):
        raise  # the database is away: that says nothing about this message
    except Unwritable as error:
        return Verdict(MessageStatus.FAILED, str(error), call=message.is_important)
    except Exception as error:  # a poison row must fail alone, whatever its poison is
        return Verdict(
            MessageStatus.FAILED, f"It could not be written ({type(error).__name__}).", call=message.is_important
        )
    message.sent_text = written.without(link if isinstance(link, str) and message.link_scope else "")
    return Ready(message, route, written, letter)


def _freeze(ready: Ready, now: datetime) -> None:
    message = ready.message
    message.handed_at = now
    message.lease_until = now + LEASE
    message.point = ready.route.point
    message.sent_channel = ready.route.channel


def _hand_over(ready: Ready, now: datetime) -> Receipt:
    if ready.route.channel == Channel.EMAIL:
        return smtp().send(sender=envelope_sender(), to=ready.route.address, message_bytes=ready.letter)
    gateway = sms_gateway()
    if gateway is None:
        return Retry("The clinic sends no texts.", gateway_down=True)
    return gateway.send(
        to=ready.route.address,
        text=ready.written.text,
        key=str(ready.message.ref),
        at=now,
        unsure_since=_unsure_since(ready.message),
    )


def _unsure_since(message: Message) -> datetime | None:
    """Return when it may first have left as a text, None if every try so far is known to have come to nothing."""
    if not message.attempts:
        return None
    unsure = message.deliveries.filter(outcome=Tried.UNKNOWN, channel=Channel.SMS)
    return unsure.order_by("at").values_list("at", flat=True).first()


# --- what came of it --------------------------------------------------------------------------------------------------


@transaction.atomic(durable=True)
def _settle(results: Sequence[tuple[Ready, Receipt]], now: datetime) -> None:
    """Every receipt is written down. One that comes after somebody else took over changes nothing but the log."""
    rows = {row.pk: row for row in _locked(each.claim for each, _ in results)}
    DeliveryAttempt.objects.bulk_create(
        _attempt(each.message, each.route.channel, _outcome(each, receipt, rows), _answer(receipt), now)
        for each, receipt in results
    )
    ours = [(rows[each.message.pk], receipt) for each, receipt in results if each.message.pk in rows]
    for message, receipt in ours:
        message.attempts += 1
        _apply(message, receipt, now)
    _save([message for message, _ in ours])


def _outcome(ready: Ready, receipt: Receipt, ours: Mapping[int, Message]) -> Tried:
    return _TRIED[type(receipt)] if ready.message.pk in ours else Tried.LATE


_TRIED = {Sent: Tried.SENT, Retry: Tried.RETRY, Failed: Tried.FAILED, Unknown: Tried.UNKNOWN}


def _apply(message: Message, receipt: Receipt, now: datetime) -> None:
    match receipt:
        case Sent(ref):
            message.sent_at, message.gateway_ref = now, ref[:200]
            _to(message, Verdict(MessageStatus.SENT, ""), now)
        case Retry(answer, after, gateway_down):
            _to(message, _after_retry(message, answer, after, gateway_down, now), now)
        case Failed(answer):
            _to(message, _after_refusal(message, answer, now), now)
        case Unknown(answer):
            _to(message, _after_unknown(message, answer, now), now)


def _after_retry(message: Message, answer: str, after: timedelta | None, gateway_down: bool, now: datetime) -> Verdict:
    if gateway_down:
        message.attempts -= 1  # it was not this message's fault, and must not use up its tries
        reason = f"The gateway does not take anything now: {answer}"
        return Verdict(MessageStatus.PLANNED, reason, try_at=now + max(after or AGAIN_SOON, AGAIN_SOON))
    return _again_or_give_up(message, f"Not taken yet: {answer}", now, after)


def _again_or_give_up(message: Message, why: str, now: datetime, after: timedelta | None = None) -> Verdict:
    if now >= message.not_after:
        return _too_late(message, now) or Verdict(MessageStatus.SKIPPED, why)
    if message.attempts >= MAX_TRIES:
        reason = f"Given up after {message.attempts} tries. {why}"
        return Verdict(MessageStatus.FAILED, reason, call=message.is_important)
    wait = max(after or timedelta(0), next_attempt(message.attempts, seed=str(message.ref)))
    next_try = (now + wait).astimezone(message.location.zone)
    return Verdict(MessageStatus.PLANNED, f"{why}. Next try at {next_try:%H:%M}.", try_at=now + wait)


def _after_refusal(message: Message, answer: str, now: datetime) -> Verdict:
    """The other channel is tried at once; where there is none, a person must call if it is important."""
    if now < message.not_after and routes_for([message], now)[message.pk].open:
        return Verdict(MessageStatus.PLANNED, f"Refused: {answer}. Tried another way.", try_at=now)
    return Verdict(MessageStatus.FAILED, f"Refused: {answer}", call=message.is_important)


def _after_unknown(message: Message, answer: str, now: datetime) -> Verdict:
    """A gateway that keeps keys is asked again with the same key; others once, if repeating does no harm."""
    in_time = now < message.not_after and message.attempts < MAX_TRIES
    gateway = sms_gateway() if message.sent_channel == Channel.SMS else smtp()
    wait = next_attempt(message.attempts, seed=str(message.ref))
    if in_time and gateway is not None and gateway.repeats_safely:
        reason = "Not known whether it was taken: asked again with its key."
        return Verdict(MessageStatus.PLANNED, reason, try_at=now + wait)
    was_unknown = message.deliveries.filter(outcome=Tried.UNKNOWN).count() > 1
    has_link = bool(message.link_scope)
    if in_time and may_repeat(purpose=message.purpose, has_link=has_link, was_unknown=was_unknown):
        return Verdict(MessageStatus.PLANNED, f"It may have arrived ({answer}). Sent once more.", try_at=now + wait)
    return Verdict(MessageStatus.UNKNOWN, f"It may have arrived: {answer}", call=message.is_important or has_link)


def _hand_back(claims: Sequence[Claim], now: datetime) -> None:
    """What was claimed and surely did not leave is planned again, none the worse."""
    if not claims:
        return
    with transaction.atomic(durable=True):
        rows = _locked(claims)
        for message in rows:
            _to(message, _back(message, now), now)
        _save(rows)


def _back(message: Message, now: datetime) -> Verdict:
    return Verdict(MessageStatus.PLANNED, message.reason or "Waiting for the gateway.", try_at=now + AGAIN_SOON)


# --- writing it down --------------------------------------------------------------------------------------------------


def _to(message: Message, verdict: Verdict, now: datetime) -> None:
    """The row's fields say the verdict, which its table of transitions must allow. The caller saves."""
    if verdict.status not in TRANSITIONS[message.status]:
        raise RuntimeError(f"A message that is {message.status} cannot become {verdict.status}.")
    was, message.status = message.status, verdict.status
    message.reason = verdict.reason[:300]
    message.lease_until = None
    if verdict.status in UNSENT:
        message.try_at = verdict.try_at or now
        message.handed_at, message.sent_text, message.point, message.sent_channel = None, None, None, ""
    if verdict.status != MessageStatus.PLANNED:
        record(
            action=f"message.{verdict.status}",
            subject=message,
            by=SENDER,
            at=now,
            was=was,
            step=message.step,
            channel=message.sent_channel or message.channel,
        )
    if verdict.call:
        _ask_for_a_call(message, verdict, now)


def _attempt(message: Message, channel: Channel, outcome: Tried, answer: str, now: datetime) -> DeliveryAttempt:
    return DeliveryAttempt(
        message=message, token=message.token, channel=channel, at=now, outcome=outcome, answer=answer[:300]
    )


def _answer(receipt: Receipt) -> str:
    return receipt.ref if isinstance(receipt, Sent) else receipt.answer


def _ask_for_a_call(message: Message, verdict: Verdict, now: datetime) -> None:
    """What a message could not do, a person does."""
    unsure = verdict.status == MessageStatus.UNKNOWN
    if message.patient is not None:
        name, role = message.patient.full_name[:120], Role.FRONT_DESK
        title = f"Ask {name} whether a message arrived" if unsure else f"Call {name}: a message did not reach them"
    else:
        name, role = str(message.staff)[:120], Role.LEAD_CLINICIAN
        title = f"Tell {name} yourself: a page did not reach them"
    urgent = unsure or message.purpose == Purpose.ALARM
    raise_task(
        key=f"call:{message.ref}",
        kind="call",
        title=title,
        why=verdict.reason[:400],
        role=role,
        location=message.location,
        due_at=now + (LOOK_WITHIN if urgent else CALL_WITHIN),
        patient_ref=message.patient.ref if message.patient else None,
        about=f"message:{message.ref}",
        by=SENDER,
        at=now,
    )
