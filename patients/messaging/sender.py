"""The sender: claims what is due, checks it again, hands it over, and writes down what came of it.

Nothing talks to a gateway inside a transaction. A message is marked as handed over (`handed_at`, text frozen) and
committed before it leaves: whoever cancels a visit then either takes it back in time, or knows that it may have been
read. Three steps, each for many messages at once: look at them again and write them; mark some as handed over, which
also writes down what came of the ones before; hand those over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from time import monotonic

from django.db import InterfaceError, OperationalError, connection, transaction

from clinic.sealed import seal
from clinic.transports.email import smtp
from clinic.transports.sms import sms_gateway
from clinic.transports.states import Failed, Receipt, Retry, Sent, Unknown
from patients.messaging.caps import PersonCaps, grant, next_minute
from patients.messaging.claiming import LEASE, hand_back, locked, sweep
from patients.messaging.due import Claim, Due, read_due
from patients.messaging.enclosures import enclosure_of
from patients.messaging.holds import objections_to
from patients.messaging.letter import as_letter, envelope_sender
from patients.messaging.marking import SENDER, mark, mark_handed, mark_sent, note_tries, try_of
from patients.messaging.models import DeliveryAttempt
from patients.messaging.optouts import opt_out
from patients.messaging.queries import Letters, Route, Routes, letters_in_force, own_words, routes_for, variables_of
from patients.messaging.rendering import Unwritable, Written, write_email, write_sms
from patients.messaging.states import Channel, MessageStatus, Tried
from patients.messaging.verdicts import Verdict, after_answer, not_left, why_not_now
from patients.registry.actions import issue_link
from patients.registry.models import Patient
from patients.registry.states import LinkScope

BATCH = 200  # claimed at once
# Looked at together, and handed over between two commits: at most so many, and about as many as leave in one second.
# So nothing leaves that was looked at long ago, and a sender that dies leaves few messages in doubt.
LOOKED_AT, CHUNK, PACE_SECONDS = 100, 20, 1.0
# A gateway that lets us wait so long for one answer gets nothing more in this tick: the others' messages go first.
SLOW_SECONDS = 8.0
TICK_SECONDS = 25.0  # after that the rest goes back, so that one slow gateway never holds two hundred leases


@dataclass(frozen=True, eq=False)
class Ready:
    """A message that may leave, and is written. Once it is marked as handed over, the next step is the gateway."""

    message: Due
    route: Route
    written: Written
    letter: bytes
    sealed: str  # its words as they are kept

    @property
    def frozen(self) -> tuple[int, int, int | None, str, str]:
        """What is stored before it leaves, for `mark_handed`."""
        return self.message.pk, self.message.token, self.route.point_id, self.route.channel.value, self.sealed


Answered = tuple[Ready, Receipt]


@dataclass
class Watch:
    """The time at the door plus what has passed since: sending takes time, and the clock is read only once."""

    at: datetime
    _began: float = field(default_factory=lambda: monotonic())  # looked up anew: in tests no time passes

    @property
    def seconds(self) -> float:
        return monotonic() - self._began

    @property
    def now(self) -> datetime:
        return self.at + timedelta(seconds=self.seconds)


def dispatch(*, at: datetime, limit: int = BATCH) -> int:
    """One tick: expired leases are released, due messages are claimed and each has left or says why not.

    Returns how many were dealt with; 0 means that nothing is due, or that no gateway takes anything now. `at` decides
    what is due: the doors pass the database's clock, tests their own. Safe with any number of others at the same time.
    Raises RuntimeError in a transaction.
    """
    watch = Watch(at)
    return send(sweep(at, limit), watch)


def send(todo: Sequence[Claim], watch: Watch) -> int:
    """Each claimed message has left or says why not, or has gone back. Returns how many did not go back."""
    if not todo:
        return 0
    tick = _Tick(watch, list(todo))
    try:
        pace = 1.0  # the first goes alone: if the gateway is down, nothing else is handed over
        while (tick.todo or tick.written) and watch.seconds < TICK_SECONDS:
            if not tick.written:
                tick.look_at(_at_pace(LOOKED_AT, pace))
            began, count = watch.seconds, _at_pace(CHUNK, pace)
            tick.mark_next(count)
            tick.hand_over()
            pace = (watch.seconds - began) / count
    finally:
        tick.write_down()
    return tick.dealt


def _at_pace(most: int, seconds: float) -> int:
    """Return how many to do at once where each takes so long."""
    return max(1, min(most, round(PACE_SECONDS / max(seconds, 0.001))))


@dataclass
class _Tick:
    """One sender at work: what it has claimed, what is written and may leave, and what gateways said."""

    watch: Watch
    todo: list[Claim]
    written: list[Ready] = field(default_factory=list)
    leaving: list[Ready] = field(default_factory=list)  # marked as handed over, and still here
    answered: list[Answered] = field(default_factory=list)
    closed: set[Channel] = field(default_factory=set)  # channels whose gateway is down
    letters: Letters = field(default_factory=letters_in_force)
    dealt: int = 0

    def look_at(self, count: int) -> None:
        """Of the next messages, those that may leave are written; the others have ended or wait.

        One that a sender died with is looked at alone.
        """
        count = sum(not claim.deaths for claim in self.todo[:count]) or 1
        with transaction.atomic(durable=True):
            written, ended = look_at(self.todo[:count], self.watch.now, self.closed, self.letters)
        self.todo, self.written = self.todo[count:], written
        self.dealt += ended

    def mark_next(self, count: int) -> None:
        """The last answers are written down, and the next messages are marked as handed over."""
        chunk, now = self.written[:count], self.watch.now
        with transaction.atomic(durable=True):
            settle(self.answered, now)
            ours = mark_handed([each.frozen for each in chunk], now + LEASE, now)
        self.leaving = [each for each in chunk if each.message.pk in ours]
        self.answered, self.written = [], self.written[count:]

    def hand_over(self) -> None:
        """What is leaving is with its gateway. What a closed or slow one, or the end of the tick, leaves goes back."""
        for each, follower in pairwise([*self.leaving, None]):
            if each is None or each.route.channel in self.closed or self.watch.seconds >= TICK_SECONDS:
                continue
            # Off the list before it leaves: if we are interrupted now, it may have left. Its lease runs out, and then
            # that is what is said of it.
            self.leaving.remove(each)
            began = self.watch.seconds
            receipt = _hand_over(each, self.watch.now, follower)
            self.answered.append((each, receipt))
            if self.watch.seconds - began >= SLOW_SECONDS:
                self.closed.add(each.route.channel)
            if isinstance(receipt, Retry) and receipt.gateway_down:
                self.closed.add(each.route.channel)
            else:
                self.dealt += 1
        shut = [each for each in self.written if each.route.channel in self.closed]
        hand_back([each.message.claim for each in (*self.leaving, *shut)], self.watch.now)
        self.leaving, self.written = [], [each for each in self.written if each not in shut]

    def write_down(self) -> None:
        """Every answer is written down, and what surely did not leave goes back.

        Where the database hung up meanwhile, on a connection of its own: what a gateway said is worth another one.
        """
        now = self.watch.now
        if not connection.is_usable():
            connection.close()
        if self.answered:
            with transaction.atomic(durable=True):
                settle(self.answered, now)
        hand_back([*(each.message.claim for each in (*self.leaving, *self.written)), *self.todo], now)


# --- before it leaves -------------------------------------------------------------------------------------------------


def look_at(claims: Sequence[Claim], now: datetime, closed: set[Channel], letters: Letters) -> tuple[list[Ready], int]:
    """Check each message again as things stand now; those that may leave are written.

    Returns them, and how many have ended or are held instead. The number of queries does not grow with the messages,
    but for links, which are stored one by one.
    """
    leaving, ended = _sorted_out(read_due(claims), closed, now)
    written = []
    for message, route in leaving:
        outcome = _written(message, route, letters, now)
        if isinstance(outcome, Ready):
            written.append(outcome)
        else:
            ended.append((message, outcome))
    mark(ended, now)
    return written, sum(verdict.status != MessageStatus.PLANNED for _, verdict in ended)


Leaving = tuple[Due, Route]
Ended = tuple[Due, Verdict]


def _sorted_out(rows: Sequence[Due], closed: set[Channel], now: datetime) -> tuple[list[Leaving], list[Ended]]:
    """Return the messages that leave now, each with its way, and those that do not, with what becomes of them."""
    in_time = [row for row in rows if now < row.not_after]
    routes, objections, caps = routes_for(in_time, now), objections_to(in_time, now), PersonCaps(in_time, now)
    leaving: list[Leaving] = []
    ended: list[Ended] = []
    for message in rows:
        way = why_not_now(message, objections.get(message.pk), now) or _way(message, routes[message.pk], closed, now)
        if isinstance(way, Route):
            way = caps.verdict(message) or way
        if isinstance(way, Route):
            leaving.append((message, way))
        else:
            ended.append((message, way))
    for channel in Channel:
        mine = [each for each in leaving if each[1].channel == channel]
        for each in mine[grant(channel, len(mine), now) :]:
            leaving.remove(each)
            ended.append((each[0], next_minute(channel, now)))
    return leaving, ended


def _way(message: Due, routes: Routes, closed: set[Channel], now: datetime) -> Route | Verdict:
    """Return the way by which a message leaves now, or what becomes of one for which there is none."""
    if not routes.open:
        status = MessageStatus.FAILED if routes.was_refused else MessageStatus.SKIPPED
        before = f" {message.reason}" if routes.was_refused else ""
        return Verdict(status, f"{routes.why_none}{before}", call=message.is_important)
    route = routes.open[0]
    if route.channel in closed:
        return not_left(message, now)
    return route


def _written(message: Due, route: Route, letters: Letters, now: datetime) -> Ready | Verdict:
    """Write the message. Whatever is wrong with one is said of that one; the others go on."""
    # Only a link is stored while writing; a savepoint for the others would be a third of their round trips.
    together: AbstractContextManager[object] = transaction.atomic() if message.link_scope else nullcontext()
    try:
        with together:
            variables = variables_of(message)
            if message.link_scope and message.patient is not None:
                _, variables["link"] = issue_link(
                    patient=Patient.objects.get(pk=message.patient.pk),
                    scope=LinkScope(message.link_scope),
                    about=message.link_about,
                    by=SENDER,
                    at=now,
                )
            link = variables.get("link", "")
            own = own_words(letters, message)
            if route.channel == Channel.SMS:
                written, letter = write_sms(message.template, variables, own), b""
            else:
                written = write_email(message.template, variables, own)
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
    kept = written.without(link if isinstance(link, str) and message.link_scope else "")
    return Ready(message, route, written, letter, seal(kept))


# --- at the gateway ---------------------------------------------------------------------------------------------------


def _hand_over(ready: Ready, now: datetime, follower: Ready | None = None) -> Receipt:
    if ready.route.channel == Channel.EMAIL:
        then = follower.route.address if follower and follower.route.channel == Channel.EMAIL else ""
        return smtp().send(sender=envelope_sender(), to=ready.route.address, message_bytes=ready.letter, then=then)
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


def _unsure_since(message: Due) -> datetime | None:
    """Return when it may first have left as a text, None if every try so far is known to have come to nothing."""
    if not message.attempts:
        return None
    unsure = DeliveryAttempt.objects.filter(message=message.pk, outcome=Tried.UNKNOWN, channel=Channel.SMS)
    return unsure.order_by("at").values_list("at", flat=True).first()


# --- what came of it --------------------------------------------------------------------------------------------------


def settle(answered: Sequence[Answered], now: datetime) -> None:
    """Every receipt is written down. One that comes after somebody else took over changes nothing but the log."""
    sent = [(each, receipt) for each, receipt in answered if isinstance(receipt, Sent)]
    mark_sent([(*each.frozen[:2], each.route.channel.value, receipt.ref) for each, receipt in sent], now)
    others = [(each, receipt) for each, receipt in answered if not isinstance(receipt, Sent)]
    if others:
        _settle_others(others, now)


def _settle_others(answered: Sequence[tuple[Ready, Retry | Failed | Unknown]], now: datetime) -> None:
    rows = {row.pk: row for row in locked(each.message.claim for each, _ in answered)}
    note_tries(
        try_of(
            each.message.claim,
            each.route.channel,
            _TRIED[type(receipt)] if each.message.pk in rows else Tried.LATE,
            receipt.answer,
            now,
        )
        for each, receipt in answered
    )
    verdicts = []
    for each, receipt in answered:
        message = rows.get(each.message.pk)
        if message is None:
            continue
        # When the gateway is down it was not this message's fault, and must not use up its tries.
        message.attempts += not (isinstance(receipt, Retry) and receipt.gateway_down)
        if isinstance(receipt, Failed) and receipt.opted_out and message.point is not None:
            opt_out(point=message.point, how="told the text gateway to stop", by=SENDER, at=now)
        verdicts.append((message, after_answer(message, receipt, now)))
    mark(verdicts, now)


_TRIED: Mapping[type, Tried] = {
    Retry: Tried.RETRY,
    Failed: Tried.FAILED,
    Unknown: Tried.UNKNOWN,
}
