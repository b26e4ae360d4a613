"""Who sends what: a claim is a lease with a fencing token, committed before anything leaves."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from clinic.premises.models import Location
from clinic.staff.models import User
from clinic.statements import run
from clinic.transports.states import Unknown
from patients.messaging.due import Claim
from patients.messaging.marking import mark, note_tries, try_of
from patients.messaging.models import Message, MessageQuerySet
from patients.messaging.rules import MAX_DEATHS
from patients.messaging.states import Channel, MessageStatus, Tried
from patients.messaging.verdicts import Verdict, after_answer, not_left
from patients.registry.models import Patient

# Longer than the tasks' hard time limit: whoever holds an expired lease is dead or stalled.
LEASE = timedelta(seconds=90)
RELEASED = 200  # at most, in one sweep

_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM patients_message
    WHERE status IN ('planned', 'held') AND try_at <= %(at)s {only}
    ORDER BY try_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE patients_message AS message
SET status = 'sending', lease_until = %(until)s, token = message.token + 1
FROM due WHERE message.id = due.id
RETURNING message.id, message.token, message.deaths
"""
_CLAIM_ALARMS, _CLAIM_ANY = _CLAIM.format(only="AND purpose = 'alarm'"), _CLAIM.format(only="")
_EXPIRED = """
SELECT id FROM patients_message WHERE status = 'sending' AND lease_until < %(at)s
ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""
_PULSE = """
INSERT INTO patients_senderpulse (id, swept_at, claimed) VALUES (1, %(at)s, %(claimed)s)
ON CONFLICT (id) DO UPDATE SET swept_at = excluded.swept_at, claimed = excluded.claimed
"""


@transaction.atomic(durable=True)
def sweep(at: datetime, limit: int) -> list[Claim]:
    """What dead senders held is released, what is due is claimed (alarms first), and a pulse is left."""
    _release_expired(at)
    claims = _claim(_CLAIM_ALARMS, at, limit)
    if len(claims) < limit:
        claims += _claim(_CLAIM_ANY, at, limit - len(claims))
    run(_PULSE, at=at, claimed=len(claims))
    return claims


def locked(claims: Iterable[Claim]) -> list[Message]:
    """Return the rows that are still ours, locked: the token says so, and nobody took them back meanwhile."""
    tokens = {claim.key: claim.token for claim in claims}
    if not tokens:
        return []
    rows = Message.objects.filter(pk__in=tokens, status=MessageStatus.SENDING)
    return [row for row in _whole(rows) if row.token == tokens[row.pk]]


def hand_back(claims: Sequence[Claim], now: datetime) -> None:
    """What was claimed and surely did not leave is planned again, none the worse."""
    if claims:
        with transaction.atomic(durable=True):
            mark([(message, not_left(message, now)) for message in locked(claims)], now)


def _claim(statement: str, at: datetime, limit: int) -> list[Claim]:
    claims = [Claim(*row) for row in run(statement, at=at, until=at + LEASE, limit=limit)]
    # One of those that a sender died with may kill us too: they come last and in no fixed order, so that each time
    # some of its neighbours get past it.
    return sorted(claims, key=lambda claim: (claim.deaths, random.random() if claim.deaths else 0, claim.key))  # noqa: S311


def _release_expired(at: datetime) -> None:
    dead = [key for (key,) in run(_EXPIRED, at=at, limit=RELEASED)]
    if dead:
        mark([(message, _after_death(message, at)) for message in _whole(Message.objects.filter(pk__in=dead))], at)


def _after_death(message: Message, at: datetime) -> Verdict:
    """Return what becomes of a message whose sender died: known not to have left, or known to be unknown."""
    message.deaths += 1
    if message.handed_at is None:
        if message.deaths >= MAX_DEATHS:
            reason = f"Given up: {message.deaths} senders stopped while they held it."
            return Verdict(MessageStatus.FAILED, reason, call=message.is_important)
        return Verdict(MessageStatus.PLANNED, "The sender stopped before it left.", try_at=at)
    message.attempts += 1
    answer = "The sender stopped while it was being handed over."
    # Noted at the time it may have left: a look-up at the gateway begins there, however long nobody was here.
    claim, channel = Claim(message.pk, message.token), Channel(message.sent_channel)
    note_tries([try_of(claim, channel, Tried.UNKNOWN, answer, message.handed_at)])
    return after_answer(message, Unknown(answer), at)


def _whole(rows: MessageQuerySet) -> list[Message]:
    """Return these rows, locked in the order of their keys, each with its patient, person of staff and location.

    For the few whose sender died or whose gateway did not take them. Four queries for any number: joined into one,
    each row would bring some seventy columns of its own.
    """
    found = list(rows.order_by("pk").select_for_update(no_key=True))
    patients = Patient.objects.in_bulk({row.patient_id for row in found if row.patient_id})
    staff = User.objects.in_bulk({row.staff_id for row in found if row.staff_id})
    locations = Location.objects.in_bulk({row.location_id for row in found})
    for row in found:
        row.patient = patients.get(row.patient_id or 0)
        row.staff = staff.get(row.staff_id or 0)
        row.location = locations[row.location_id]
    return found
