"""Setting the messages of all coming visits right, whatever changed beneath them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError

from clinic.audit.states import Actor, Refused
from patients.messaging.actions import withdraw
from patients.messaging.models import Message
from patients.messaging.states import UNSENT
from treatments.booking.actions import replan_visit
from treatments.booking.models import Appointment
from treatments.booking.queries import visit_of
from treatments.booking.states import ANNOUNCED
from treatments.plan.actions import Wish, differing

logger = logging.getLogger(__name__)
BATCH = 500


@dataclass(frozen=True)
class Repaired:
    """How many coming visits were looked at, and how many had messages that did not say what is true."""

    looked_at: int = 0
    repaired: int = 0
    failed: int = 0


def set_messages_right(*, by: Actor, at: datetime) -> Repaired:
    """The messages of every coming visit say what the visit, its patient and the protocol in force ask for now.

    A decision, a task, a language, an address or a protocol may have changed since, or a row may be gone. Visits are
    read in batches and only those that differ are touched, each in a transaction of its own: one that fails holds up
    no other. Safe twice, and at the same time as anything else.
    """
    looked_at = repaired = failed = 0
    for batch in _coming(at):
        looked_at += len(batch)
        for visit in _to_repair(batch, at):
            try:
                _repair(visit, by, at)
                repaired += 1
            except (Refused, DatabaseError):
                logger.exception("The messages of visit %s could not be set right.", visit.ref)
                failed += 1
    return Repaired(looked_at, repaired, failed)


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


def _to_repair(batch: Sequence[Appointment], at: datetime) -> list[Appointment]:
    """Return the visits whose messages differ from what they ask for; of the dead, those that still have any."""
    living = [visit for visit in batch if visit.patient.died_on is None]
    wrong = differing([Wish(visit.about, visit.location, visit_of(visit)) for visit in living], at)
    dead = [visit.about for visit in batch if visit.patient.died_on is not None]
    wrong |= set(Message.objects.filter(about__in=dead, status__in=UNSENT).values_list("about", flat=True))
    return [visit for visit in batch if visit.about in wrong]


def _repair(visit: Appointment, by: Actor, at: datetime) -> None:
    if visit.patient.died_on is not None:
        withdraw(about=visit.about, reason="The patient has died: nothing is sent any more.", by=by, at=at)
    else:
        replan_visit(appointment=visit, by=by, at=at)
