"""Reading the trail, and checking that nobody rewrote it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

from clinic.audit.models import AuditEvent

# The same text as the database's trigger hashes; see the audit migration.
_CHAIN = """
SELECT link.seq, link.event_id, link.digest, event.id,
       CASE WHEN event.id IS NULL THEN NULL ELSE afterglow_audit_text(event.*) END
FROM clinic_auditlink AS link LEFT JOIN clinic_auditevent AS event ON event.id = link.event_id
ORDER BY link.seq
"""
_UNLINKED = """
SELECT event.id FROM clinic_auditevent AS event
WHERE NOT EXISTS (SELECT 1 FROM clinic_auditlink AS link WHERE link.event_id = event.id) ORDER BY event.id LIMIT 1
"""


@dataclass(frozen=True)
class ChainReport:
    """What a walk of the chain found: how many events, the last digest, and the first broken place if any."""

    events: int
    head: str
    broken: str = ""


def _links() -> Iterator[tuple[int, int, bytes, int | None, str | None]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(_CHAIN)
        for seq, event_id, digest, found, text in cursor:
            yield seq, event_id, bytes(digest), found, text


def walk_chain() -> ChainReport:
    """Walk the whole chain and report the first event that is missing, altered, doubled or unlinked.

    The digest of each link is sha256 of the previous digest and the event's text, computed here anew.
    """
    previous, expected = b"", 1
    for seq, event_id, digest, found, text in _links():
        if seq != expected:
            return ChainReport(expected - 1, previous.hex(), f"link {expected} is missing before event {event_id}")
        if found is None or text is None:
            return ChainReport(expected - 1, previous.hex(), f"event {event_id} was deleted")
        if hashlib.sha256(previous + text.encode()).digest() != digest:
            return ChainReport(expected - 1, previous.hex(), f"event {event_id} was altered")
        previous, expected = digest, expected + 1
    with connection.cursor() as cursor:
        cursor.execute(_UNLINKED)
        stray = cursor.fetchone()
        cursor.execute("SELECT seq, digest FROM clinic_audithead")
        head = cursor.fetchone()
    if stray:
        return ChainReport(expected - 1, previous.hex(), f"event {stray[0]} was slipped in beside the chain")
    if head and (head[0], bytes(head[1])) != (expected - 1, previous):
        return ChainReport(expected - 1, previous.hex(), f"the end of the chain, from link {expected}, was cut off")
    return ChainReport(expected - 1, previous.hex())


def trail_of_patient(patient_ref: uuid.UUID, limit: int = 200) -> list[AuditEvent]:
    """Return the latest acts and looks that concern the patient, newest first."""
    return list(AuditEvent.objects.filter(patient_ref=patient_ref).order_by("-id")[:limit])
