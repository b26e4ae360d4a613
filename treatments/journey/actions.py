"""Setting messages right, whatever changed beneath them: each minute by a mark, each night one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import DatabaseError, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from patients.messaging.actions import Reconciled, withdraw
from patients.messaging.models import Message
from patients.messaging.silence import why_silent
from patients.messaging.states import UNSENT
from treatments.booking.keeping import replan_visits
from treatments.booking.models import Appointment
from treatments.booking.queries import visits_of
from treatments.booking.states import ANNOUNCED
from treatments.journey.models import MessageCheck
from treatments.journey.treated import wishes_after_treatment
from treatments.plan.actions import Protocols, Wish, differing, reconcile_plans, stamp_of

logger = logging.getLogger(__name__)
Row = TypeVar("Row")
BATCH = 500
# Recall comes a year after the treatment; what is older has nothing more to say.
RECENT = timedelta(days=400)
MOST_FOUND = 200


@dataclass(frozen=True)
class Repaired:
    """How many visits were looked at, and how many had messages that did not say what is true."""

    looked_at: int = 0
    repaired: int = 0
    failed: int = 0


@dataclass
class _Tally:
    """What is counted on the way, and what is said of each visit that differed."""

    looked_at: int = 0
    failed: int = 0
    said: list[tuple[Wish, str]] = field(default_factory=list)

    @property
    def sum(self) -> Repaired:
        return Repaired(self.looked_at, len(self.said), self.failed)


def set_messages_right(*, by: Actor, at: datetime) -> Repaired:
    """The messages of every coming visit say what the visit, its patient and the protocol in force ask for now.

    A decision, a task, a language, an address or a protocol may have changed since. Only visits whose mark has changed
    are compared with their messages. Safe twice, and at the same time as anything else.
    """
    tally = _Tally()
    care = Protocols()
    for batch in _coming(at):
        _set_right(batch, care, tally, by, at, every=False)
    return tally.sum


def check_messages(*, by: Actor, at: datetime) -> MessageCheck:
    """Every message of a coming visit and of a recent treatment was compared with what should be; a report says so.

    Whatever is missing, whoever took it away, is planned again.
    """
    tally = _Tally()
    care = Protocols()
    for batch in _coming(at):
        _set_right(batch, care, tally, by, at, every=True)
    for wishes in wishes_after_treatment(at - RECENT, at, BATCH):
        tally.looked_at += len(wishes)
        _repair_treatments(differing(wishes, at, only_missing=True), tally, by, at)
    return _report(tally, by, at)


@transaction.atomic
def _report(tally: _Tally, by: Actor, at: datetime) -> MessageCheck:
    found = [
        {"about": wish.about, "patient": str(wish.patient.ref), "what": sentence}
        for wish, sentence in tally.said[:MOST_FOUND]
    ]
    done = tally.sum
    check = MessageCheck.objects.create(
        at=at, looked_at=done.looked_at, repaired=done.repaired, failed=done.failed, found=found
    )
    record(action="messages.checked", subject=check, by=by, at=at, repaired=done.repaired, failed=done.failed)
    return check


# --- visits to come ---------------------------------------------------------------------------------------------------


def _coming(at: datetime) -> Iterator[list[Appointment]]:
    rows = (
        Appointment.objects.filter(status__in=ANNOUNCED, starts_at__gt=at)
        .select_related("patient", "location", "type", "course")
        .order_by("pk")
    )
    last = 0
    while batch := list(rows.filter(pk__gt=last)[:BATCH]):
        yield batch
        last = batch[-1].pk


def _set_right(
    batch: Sequence[Appointment], care: Protocols, tally: _Tally, by: Actor, at: datetime, *, every: bool
) -> None:
    """The messages of these visits are right; with `every` also of those whose mark says that nothing has changed."""
    visits = visits_of(batch)
    wishes = {row.pk: Wish(row.about, row.patient, row.location, visits[row.pk]) for row in batch}
    stamps = {row.pk: stamp_of(wishes[row.pk], care) for row in batch}
    changed = [row for row in batch if every or row.messages_stamp != stamps[row.pk]]
    tally.looked_at += len(batch)
    failed = _repair([(row, wishes[row.pk]) for row in changed], tally, by, at, every=every)
    new = [row for row in changed if row.messages_stamp != stamps[row.pk] and row.pk not in failed]
    for row in new:
        row.messages_stamp = stamps[row.pk]
    Appointment.objects.bulk_update(new, ["messages_stamp"])


def _repair(
    rows: Sequence[tuple[Appointment, Wish]], tally: _Tally, by: Actor, at: datetime, *, every: bool
) -> set[int]:
    """Those whose messages differ are set right, the silent left in peace. Returns the keys of those that failed."""
    living = [(row, wish) for row, wish in rows if not row.patient.is_silent]
    if every:  # hardly any will differ: no other is locked
        wrong = {wish.about for wish in differing([wish for _, wish in living], at)}
        living = [each for each in living if each[1].about in wrong]
    silent = {wish.about: wish for row, wish in rows if row.patient.is_silent}
    for about in set(Message.objects.filter(about__in=silent, status__in=UNSENT).values_list("about", flat=True)):
        why = why_silent(silent[about].patient)
        withdraw(about=about, reason=why, by=by, at=at)
        tally.said.append((silent[about], f"{why} What waited was taken back."))

    def replan(some: Sequence[tuple[Appointment, Wish]]) -> dict[str, Reconciled]:
        return replan_visits(appointments=[row for row, _ in some], by=by, at=at)

    return {row.pk for row, _ in _all_or_each(living, replan, tally)}


def _repair_treatments(wishes: Sequence[Wish], tally: _Tally, by: Actor, at: datetime) -> None:
    def replan(some: Sequence[tuple[None, Wish]]) -> dict[str, Reconciled]:
        planned = [wish for _, wish in some]
        return reconcile_plans(wishes=planned, by=by, at=at, reason="Missing at night", only_missing=True)

    _all_or_each([(None, wish) for wish in wishes], replan, tally)


def _all_or_each(
    rows: Sequence[tuple[Row, Wish]],
    replan: Callable[[Sequence[tuple[Row, Wish]]], dict[str, Reconciled]],
    tally: _Tally,
) -> list[tuple[Row, Wish]]:
    """All are set right together, or, if one spoils that, each by itself. Returns those that failed."""
    if not rows:
        return []
    try:
        done = replan(rows)
    except (Refused, DatabaseError):
        if len(rows) > 1:
            return [failed for each in rows for failed in _all_or_each([each], replan, tally)]
        logger.exception("The messages of %s could not be set right.", rows[0][1].about)
        tally.failed += 1
        return list(rows)
    said = ((wish, done.get(wish.about)) for _, wish in rows)
    tally.said += [(wish, came.sentence) for wish, came in said if came is not None and came.is_change]
    return []
