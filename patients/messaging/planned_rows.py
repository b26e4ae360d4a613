"""The rows of a plan, many at once: read as values, and written with one statement for each kind of change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection
from psycopg.types.datetime import TimestamptzLoader

from clinic.statements import run
from patients.messaging.difference import WORDS, Known, plain, words_of
from patients.messaging.rules import WantedMessage

_READ = """
SELECT about, id, step, revision, status, in_plan, coalesce(sent_at, handed_at),
       coalesce(nullif(sent_channel, ''), channel), purpose, channel, template, is_important, link_scope, link_about,
       note, any_hour, context::text, visit_at, due_at, not_after
FROM patients_message WHERE about = ANY(%s) ORDER BY id
"""

# One that a person holds stays held, until it would be too late anyway.
_HELD = "message.status = 'held' AND message.try_at >= message.not_after"
# What is the same is not sent again: for nine messages of a visit that moves, that is most of what they say.
_REWRITE = f"""
UPDATE patients_message AS message SET
    purpose = coalesce(new.purpose, message.purpose), channel = coalesce(new.channel, message.channel),
    template = coalesce(new.template, message.template),
    context = coalesce(jsonb_strip_nulls(message.context || new.context), message.context),
    link_scope = coalesce(new.link_scope, message.link_scope),
    link_about = coalesce(new.link_about, message.link_about),
    is_important = coalesce(new.is_important, message.is_important),
    any_hour = coalesce(new.any_hour, message.any_hour), note = coalesce(new.note, message.note),
    visit_at = new.visit_at, due_at = new.due_at, not_after = new.not_after,
    lease_until = NULL, attempts = 0,
    status = CASE WHEN {_HELD} THEN message.status ELSE 'planned' END,
    reason = CASE WHEN {_HELD} THEN message.reason ELSE '' END,
    try_at = CASE WHEN {_HELD} THEN new.not_after ELSE new.due_at END
FROM json_to_recordset(%(changed)s) AS new (
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
            *words, context, visit_at, due_at, not_after = said
            own = json.loads(context)
            found[about].append(
                Known(
                    key=key, step=step, revision=revision, status=status, in_plan=in_plan, out_at=out_at,
                    said=(*words, own, visit_at, due_at, not_after), template=words[2], channel=went_by, context=own,
                    due_at=due_at, visit_at=visit_at,
                )
            )  # fmt: skip
    return found


def rewrite_rows(changed: Sequence[tuple[Known, WantedMessage]]) -> None:
    """These rows, locked by the caller, say what is wanted now and wait for its time; one held by a person stays so."""
    if changed:
        run(_REWRITE, changed=json.dumps([_as_stored(row, wanted) for row, wanted in changed]))


def _as_stored(row: Known, wanted: WantedMessage) -> dict[str, object]:
    """Return the times the row is to have, and of its words those that it does not have yet; null takes one away."""
    stored: dict[str, object] = {
        "id": row.key,
        "visit_at": wanted.visit_at and wanted.visit_at.isoformat(),
        "due_at": wanted.due_at.isoformat(),
        "not_after": wanted.not_after.isoformat(),
    }
    if (old := row.said[: len(WORDS)]) != (new := words_of(wanted)):
        stored |= {name: value for name, was, value in zip(WORDS, old, new, strict=True) if was != value}
    if (was := row.context) != (context := plain(wanted.context)):
        gone = dict.fromkeys(was.keys() - context.keys())
        stored["context"] = {key: value for key, value in context.items() if was.get(key) != value} | gone
    return stored


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
