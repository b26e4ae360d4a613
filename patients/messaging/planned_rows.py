"""The rows of a plan, many at once: read as values, and written with one statement for each kind of change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection
from psycopg.types.datetime import TimestamptzLoader

from patients.messaging.difference import Known
from patients.messaging.rules import WantedMessage

_READ = """
SELECT about, id, step, revision, status, in_plan, coalesce(sent_at, handed_at),
       coalesce(nullif(sent_channel, ''), channel), purpose, channel, template, context::text, due_at, not_after,
       is_important, link_scope, link_about, note, any_hour, visit_at
FROM patients_message WHERE about = ANY(%s) ORDER BY id
"""

# One that a person holds stays held, until it would be too late anyway.
_HELD = "message.status = 'held' AND message.try_at >= message.not_after"
_REWRITE = f"""
UPDATE patients_message AS message SET
    purpose = new.purpose, channel = new.channel, template = new.template, context = new.context,
    link_scope = new.link_scope, link_about = new.link_about, is_important = new.is_important,
    any_hour = new.any_hour, visit_at = new.visit_at, due_at = new.due_at, not_after = new.not_after, note = new.note,
    lease_until = NULL, attempts = 0,
    status = CASE WHEN {_HELD} THEN message.status ELSE 'planned' END,
    reason = CASE WHEN {_HELD} THEN message.reason ELSE '' END,
    try_at = CASE WHEN {_HELD} THEN new.not_after ELSE new.due_at END
FROM json_to_recordset(%s) AS new (
    id bigint, purpose text, channel text, template text, context jsonb, link_scope text, link_about text,
    is_important bool, any_hour bool, visit_at timestamptz, due_at timestamptz, not_after timestamptz, note text
) WHERE message.id = new.id
"""  # noqa: S608 - our own words
_DROP = """
UPDATE patients_message AS message SET status = 'superseded', reason = new.reason, lease_until = NULL
FROM unnest(%s::bigint[], %s::text[]) AS new (id, reason) WHERE message.id = new.id
"""
_RUN_OUT = "UPDATE patients_message SET not_after = LEAST(not_after, %s) WHERE id = ANY(%s)"


def known_messages(abouts: Iterable[str], *, lock: bool = False) -> dict[str, list[Known]]:
    """Return the messages of each of these as comparing sees them, in one query; with `lock`, locked in their order."""
    found: dict[str, list[Known]] = {about: [] for about in abouts}
    with connection.cursor() as cursor:
        # Django's own loader of instants is written in Python, and took half of the time that reading takes.
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        cursor.execute(f"{_READ} FOR NO KEY UPDATE" if lock else _READ, [list(found)])
        for about, key, step, revision, status, in_plan, out_at, went_by, *said in cursor:
            purpose, channel, template, context, due_at, *rest = said
            own = json.loads(context)
            found[about].append(
                Known(
                    key=key, step=step, revision=revision, status=status, in_plan=in_plan, out_at=out_at,
                    said=(purpose, channel, template, own, due_at, *rest), template=template, channel=went_by,
                    context=own, due_at=due_at, visit_at=rest[-1],
                )
            )  # fmt: skip
    return found


def rewrite_rows(changed: Sequence[tuple[int, WantedMessage]]) -> None:
    """These rows, locked by the caller, say what is wanted now and wait for its time; one held by a person stays so."""
    if changed:
        with connection.cursor() as cursor:
            cursor.execute(_REWRITE, [json.dumps([_as_stored(key, wanted) for key, wanted in changed])])


def _as_stored(key: int, wanted: WantedMessage) -> dict[str, object]:
    return {
        "id": key,
        "purpose": wanted.purpose,
        "channel": wanted.channel,
        "template": wanted.template,
        "context": wanted.context,
        "link_scope": wanted.link_scope,
        "link_about": wanted.link_about,
        "is_important": wanted.important,
        "any_hour": wanted.any_hour,
        "visit_at": wanted.visit_at and wanted.visit_at.isoformat(),
        "due_at": wanted.due_at.isoformat(),
        "not_after": wanted.not_after.isoformat(),
        "note": wanted.note[:200],
    }


def drop_rows(dropped: Sequence[tuple[int, str]]) -> None:
    """These rows, locked by the caller, are not wanted any more, each for its reason."""
    if dropped:
        keys, reasons = zip(*dropped, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_DROP, [list(keys), [reason[:300] for reason in reasons]])


def let_run_out(keys: Sequence[int], at: datetime) -> None:
    """These are on their way. One that the gateway does not take is too late for another try."""
    if keys:
        with connection.cursor() as cursor:
            cursor.execute(_RUN_OUT, [at, list(keys)])
