"""`claim`: claiming due messages and marking them, against the same rows written by hand; sweeps that find none.

The messages are past their time, so the sender claims, examines, marks and records each, and talks to no gateway.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction

from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from patients.registry.models import Patient
from treatments.bench import ground, letters
from treatments.bench.rules import Figure, Goal, Pair, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.states import Sense
from treatments.bench.timing import Clock, in_turn, once_in_turn

BATCH = 100
CHUNK = 10  # marked between two commits, as the sender does
PATIENTS = 1000
_LEASE = letters.AT + timedelta(seconds=90)

_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM patients_message WHERE status IN ('planned', 'held') AND try_at <= %s
    ORDER BY try_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE patients_message AS m SET status = 'sending', lease_until = %s, token = token + 1
FROM due WHERE m.id = due.id RETURNING m.id
"""
_MARK = """
UPDATE patients_message SET status = 'skipped', lease_until = NULL, reason = 'It made no sense any more.'
WHERE id = ANY(%s) AND status = 'sending' RETURNING ref
"""
_RECORD = """
INSERT INTO clinic_auditevent (at, actor_kind, actor_id, actor_name, action, subject_type, subject_id, outcome, detail)
SELECT %s, 'task', 'messaging.dispatch', 'messaging.dispatch', 'message.skipped', 'message', ref, 'done', '{}'
FROM unnest(%s::text[]) AS ref
"""


@dataclass(frozen=True)
class Drain:
    """Runs of so many batches of so many messages."""

    batch: int
    batches: int

    @classmethod
    def of(cls, size: int) -> Drain:
        """Return runs that suit so many messages."""
        return cls(batch=min(BATCH, max(size // 20, 1)), batches=min(10, max(size // 2000, 1)))

    @property
    def messages(self) -> int:
        return self.batch * self.batches

    def by_app(self) -> None:
        """Claim and mark one run's messages by the sender's own tick."""
        done = sum(dispatch(at=letters.AT, limit=self.batch) for _ in range(self.batches))
        if done != self.messages:
            raise RuntimeError(f"The sender dealt with {done} of {self.messages} messages.")

    def by_hand(self) -> None:
        """Claim and mark one run's messages in raw SQL."""
        for _ in range(self.batches):
            keys = self.claim_by_hand()
            if len(keys) != self.batch:
                raise RuntimeError(f"The floor claimed {len(keys)} of {self.batch} messages.")
            for start in range(0, self.batch, CHUNK):
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(_MARK, [keys[start : start + CHUNK]])
                    refs = [str(ref) for (ref,) in cursor.fetchall()]
                    cursor.execute(_RECORD, [letters.AT, refs])

    def claim_by_hand(self) -> list[int]:
        """Claim one batch in raw SQL."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_CLAIM, [letters.AT, self.batch, _LEASE])
            return [key for (key,) in cursor.fetchall()]


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield claim and mark, the end of a drain of `size` against its start, and sweeps that find nothing."""
    location = ground.make_place("Sender", practitioners=0, rooms=0)
    first = ground.make_patients(location, PATIENTS)
    ground.reach_by_email(first, PATIENTS)
    like = letters.make_template(location, Patient.objects.get(pk=first))
    drain = Drain.of(size)
    letters.plan_many(like, max(size, (3 * pairs + 2) * drain.messages), first, PATIENTS, too_late=True)
    ground.settle()
    clock = Clock(ground.backend_pid())
    drain.by_app()
    drain.by_hand()
    claimed = once_in_turn(lambda number: clock.cost(drain.by_app), lambda number: clock.cost(drain.by_hand), pairs)
    yield Ratio(
        name="claim",
        unit="message",
        floor="the same claim, mark and audit event in raw SQL",
        pairs=claimed,
        units=drain.messages,
        goal=Goal(at_least=0.7),
        sense=Sense.SHARE,
        note="the app re-reads each message and its routes before it decides; the floor does not",
    )
    left = Message.objects.filter(status="planned", try_at__lte=letters.AT).count()
    rest = [clock.cost(drain.by_app) for _ in range(left // drain.messages)]
    yield Ratio(
        name="claim.drain",
        unit="message",
        floor=f"the start of the same drain of {size:,}",
        pairs=tuple(Pair(end, start.app) for end, start in zip(rest[-pairs:], claimed, strict=True)),
        units=drain.messages,
        goal=Goal(at_least=0.7),
        sense=Sense.SHARE,
    )
    while dispatch(at=letters.AT, limit=drain.batch):
        pass
    idle = in_turn(lambda: dispatch(at=letters.AT, limit=drain.batch), drain.claim_by_hand, pairs, clock)
    yield Ratio("claim.idle", "sweep", "one claim in raw SQL that finds nothing", idle, 1)
