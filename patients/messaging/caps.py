"""How much at once: for one person when messages are late, and for a gateway that takes only so many a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count

from patients.messaging.due import AnyMessage
from patients.messaging.models import GatewayMinute, Message
from patients.messaging.rules import LATE_AN_HOUR, waits_its_turn
from patients.messaging.states import Channel, MessageStatus
from patients.messaging.verdicts import Verdict

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class PersonCaps:
    """What each person may still get within this hour of what is late. One query for any number of messages."""

    def __init__(self, messages: Sequence[AnyMessage], now: datetime) -> None:
        self.now = now
        late = {message.patient_id for message in messages if self._counts(message)}
        had = Message.objects.filter(patient__in=late, handed_at__gt=now - HOUR).values("patient")
        counts = had.annotate(n=Count("pk")).values_list("patient", "n") if late else []
        self._given: Counter[int | None] = Counter(dict(counts))

    def verdict(self, message: AnyMessage) -> Verdict | None:
        """Return what becomes of one too many; else None, and it is counted."""
        if not self._counts(message):
            return None
        if self._given[message.patient_id] >= LATE_AN_HOUR:
            until = self.now + HOUR
            if until >= message.not_after:
                reason = "Too many were late at once, and this one would have come too late."
                return Verdict(MessageStatus.SKIPPED, reason, call=message.is_important)
            shown = until.astimezone(message.location.zone)
            return Verdict(MessageStatus.HELD, f"Late, and not all at once: held until {shown:%H:%M}.", try_at=until)
        self._given[message.patient_id] += 1
        return None

    def _counts(self, message: AnyMessage) -> bool:
        return message.patient_id is not None and waits_its_turn(
            purpose=message.purpose, due_at=message.due_at, at=self.now
        )


def grant(channel: Channel, wanted: int, now: datetime) -> int:
    """So many of the wanted messages may go to the gateway now; they are counted. Called within a transaction.

    All of them, unless the settings say how many it takes a minute; then senders take turns at its row.
    """
    most = settings.SENDS_A_MINUTE[channel]
    if not most or not wanted:
        return wanted
    this = now.replace(second=0, microsecond=0)
    GatewayMinute.objects.get_or_create(channel=channel, defaults={"minute": this, "given": 0})
    row = GatewayMinute.objects.select_for_update().get(channel=channel)
    given = row.given if row.minute >= this else 0
    granted = max(0, min(wanted, most - given))
    row.minute, row.given = max(row.minute, this), given + granted
    row.save(update_fields=["minute", "given"])
    return granted


def next_minute(channel: Channel, now: datetime) -> Verdict:
    """Return what becomes of a message for which the gateway has no room within this minute."""
    reason = f"Waiting its turn: the gateway takes {settings.SENDS_A_MINUTE[channel]} a minute."
    return Verdict(MessageStatus.PLANNED, reason, try_at=now.replace(second=0, microsecond=0) + MINUTE)
