"""Writing down what became of messages: the rows, the log of tries, the audit trail, and calls for a person.

Rows change many at a time and not through `move()`, which would cost three statements each; what happens to all of
them is one statement, which changes the rows that are still ours, and no others, and records each in the audit trail.
A row whose token has grown, or that is not being sent any more, is somebody else's by now and left as it is.
Claiming a row and returning it untouched are bookkeeping and are not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection

from clinic.audit.actions import INTO_TRAIL
from clinic.audit.states import Actor
from clinic.statements import columns, run
from patients.messaging.calls import ask_for_a_call
from patients.messaging.due import AnyMessage, Claim
from patients.messaging.models import DeliveryAttempt, Message
from patients.messaging.states import TRANSITIONS, UNSENT, Channel, MessageStatus, Tried
from patients.messaging.verdicts import Verdict

SENDER = Actor.task("messaging.dispatch")

# What follows `told`, the rows that a statement is told: those of them that are still ours. Locked in the order of the
# keys, as everybody does: two that each hold what the other wants would wait for ever. That a message is being sent is
# asked by its lease: asked by its status, PostgreSQL reads all that are being sent, instead of these by their keys.
_OURS = """
ours AS MATERIALIZED (
    SELECT told.* FROM patients_message AS message JOIN told USING (id, token)
    WHERE message.lease_until IS NOT NULL ORDER BY message.id FOR NO KEY UPDATE OF message
)
"""
# The trail's rows of messages that this statement, `marked`, has changed.
_TRACED = f"""
{INTO_TRAIL}
SELECT %(now)s, '{SENDER.kind}', '{SENDER.id}', '{SENDER.name}', 'message.' || status, 'message', ref::text,
    (SELECT ref FROM patients_patient AS patient WHERE patient.id = marked.patient_id), 'done',
    jsonb_build_object('was', 'sending', 'step', step, 'channel', coalesce(nullif(sent_channel, ''), channel))
FROM marked WHERE status <> 'planned' ORDER BY id
"""  # noqa: S608 - our own
_MARKED_ROW = (
    "message.id, message.ref, message.status, message.step, message.patient_id, message.channel, message.sent_channel"
)
_HANDED = f"""
WITH told AS (
    SELECT * FROM unnest(%(keys)b::bigint[], %(tokens)b::int[], %(points)b::bigint[], %(channels)b::text[],
        %(texts)b::text[]) AS told (id, token, point_id, channel, text)
), {_OURS}
UPDATE patients_message AS message
SET handed_at = %(now)s, lease_until = %(until)s, point_id = ours.point_id, sent_channel = ours.channel,
    sent_text = ours.text
FROM ours WHERE message.id = ours.id
RETURNING message.id
"""  # noqa: S608 - our own
_SENT = f"""
WITH told AS (
    SELECT * FROM unnest(%(keys)b::bigint[], %(tokens)b::int[], %(channels)b::text[], %(refs)b::text[])
        AS told (id, token, channel, ref)
), {_OURS}, marked AS (
    UPDATE patients_message AS message
    SET status = 'sent', reason = '', lease_until = NULL, attempts = message.attempts + 1, sent_at = %(now)s,
        gateway_ref = left(ours.ref, 200)
    FROM ours WHERE message.id = ours.id
    RETURNING {_MARKED_ROW}
), traced AS ({_TRACED}), tried AS (
    INSERT INTO patients_deliveryattempt (message_id, token, channel, at, outcome, answer)
    SELECT told.id, told.token, told.channel, %(now)s, CASE WHEN marked.id IS NULL THEN 'late' ELSE 'sent' END,
        left(told.ref, 300)
    FROM told LEFT JOIN marked ON marked.id = told.id
)
SELECT id FROM marked
"""  # noqa: S608 - our own
_MARKED = f"""
WITH told AS (
    SELECT * FROM unnest(%(keys)b::bigint[], %(tokens)b::int[], %(states)b::text[], %(reasons)b::text[],
        %(times)b::timestamptz[], %(attempts)b::int[], %(deaths)b::int[])
        AS told (id, token, status, reason, try_at, attempts, deaths),
        LATERAL (SELECT status IN ('planned', 'held')) AS what (waits)
), {_OURS}, marked AS (
    UPDATE patients_message AS message
    SET status = ours.status, reason = left(ours.reason, 300), lease_until = NULL,
        try_at = coalesce(ours.try_at, message.try_at), attempts = ours.attempts, deaths = ours.deaths,
        handed_at = CASE WHEN ours.waits THEN NULL ELSE message.handed_at END,
        sent_text = CASE WHEN ours.waits THEN NULL ELSE message.sent_text END,
        point_id = CASE WHEN ours.waits THEN NULL ELSE message.point_id END,
        sent_channel = CASE WHEN ours.waits THEN '' ELSE message.sent_channel END
    FROM ours WHERE message.id = ours.id
    RETURNING {_MARKED_ROW}
), traced AS ({_TRACED})
SELECT id FROM marked
"""  # noqa: S608 - our own


def mark(verdicts: Sequence[tuple[AnyMessage, Verdict]], now: datetime) -> None:
    """Each message that is still ours says its verdict, and a person is asked to call where that is needed."""
    rows = [_said(message, verdict, now) for message, verdict in verdicts]
    if not rows:
        return
    keys, tokens, states, reasons, times, attempts, deaths = columns(rows)
    ours = {
        key
        for (key,) in run(
            _MARKED, keys=keys, tokens=tokens, states=states, reasons=reasons, times=times, attempts=attempts,
            deaths=deaths, now=now,
        )
    }  # fmt: skip
    for message, verdict in verdicts:
        if verdict.call and message.pk in ours:
            whole = Message.objects.select_related("patient", "staff", "location").get(pk=message.pk)
            unsure = verdict.status == MessageStatus.UNKNOWN
            ask_for_a_call(whole, verdict.reason, unsure=unsure, by=SENDER, at=now)


def _said(message: AnyMessage, verdict: Verdict, now: datetime) -> tuple[object, ...]:
    status = verdict.status
    if status not in TRANSITIONS[MessageStatus.SENDING]:
        raise RuntimeError(f"A message that is being sent cannot become {status}.")
    try_at = (verdict.try_at or now) if status in UNSENT else None
    return message.pk, message.token, status.value, verdict.reason, try_at, message.attempts, message.deaths


def mark_handed(rows: Sequence[tuple[int, int, int | None, str, str]], until: datetime, now: datetime) -> set[int]:
    """These may have left from now on: key, token, contact point, channel and sealed text are frozen.

    Returns the keys of those still ours. One that was withdrawn or changed meanwhile must not leave.
    """
    if not rows:
        return set()
    keys, tokens, points, channels, texts = columns(rows)
    handed = run(_HANDED, keys=keys, tokens=tokens, points=points, channels=channels, texts=texts, until=until, now=now)
    return {key for (key,) in handed}


def mark_sent(rows: Sequence[tuple[int, int, str, str]], now: datetime) -> None:
    """What a gateway took is sent: key, token, channel and what the gateway calls it. Each try is in the log.

    Where somebody else took over meanwhile, nothing changes but the log, which says that the answer came late.
    """
    if rows:
        keys, tokens, channels, refs = columns(rows)
        run(_SENT, keys=keys, tokens=tokens, channels=channels, refs=refs, now=now)


def note_tries(tries: Iterable[DeliveryAttempt]) -> None:
    """What came of each try stands in the log."""
    DeliveryAttempt.objects.bulk_create(tries)


def try_of(claim: Claim, channel: Channel, outcome: Tried, answer: str, at: datetime) -> DeliveryAttempt:
    """Return one try, for `note_tries`."""
    return DeliveryAttempt(
        message_id=claim.key, token=claim.token, channel=channel, at=at, outcome=outcome, answer=answer[:300]
    )


def save_many(rows: Sequence[Message], names: Sequence[str]) -> None:
    """The named fields of these rows, which the caller has locked, are stored: one statement, one round trip.

    Django's `bulk_update` says the same in one CASE per field and row, and cost more than all the rest of a send.
    """
    if not rows:
        return
    fields = [each for each in Message._meta.concrete_fields if each.name in names]
    columns = [str(each.column) for each in fields]
    types = [f"%s::{each.db_type(connection)}[]" for each in fields]
    statement = (
        f"UPDATE patients_message AS message SET {', '.join(f'{name} = new.{name}' for name in columns)}"  # noqa: S608
        f" FROM unnest(%s::bigint[], {', '.join(types)}) AS new (id, {', '.join(columns)}) WHERE message.id = new.id"
    )
    values = [[each.get_db_prep_save(getattr(row, each.attname), connection) for row in rows] for each in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, [[row.pk for row in rows], *values])
