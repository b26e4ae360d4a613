"""Noting how somebody wants to be reached; what waits for them is set right in the same act."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.transitions import lock
from patients.messaging.actions import queue_message
from patients.messaging.models import Message
from patients.messaging.optouts import opt_in, set_stops
from patients.messaging.rules import WantedMessage
from patients.messaging.settling import Settled, settle_waiting
from patients.messaging.states import Channel, Purpose
from patients.registry.actions import note_wishes
from patients.registry.models import Patient
from patients.registry.states import ContactKind, LinkScope
from patients.wishes.news import follow_news
from patients.wishes.queries import Way, ways_of
from patients.wishes.rules import purposes_stopped

LINK_LASTS = timedelta(days=2)


@transaction.atomic
def set_wishes(
    *,
    patient: Patient,
    first_by: str,
    time_zone: str,
    wanted: Mapping[str, Collection[str]],
    how: str,
    by: Actor,
    at: datetime,
    news: bool | None = None,
) -> Settled:
    """Messages go out only as the patient wishes: first this way, at no hour of their night, of these kinds.

    `wanted` are the kinds still wanted by kind of contact; a contact it does not name keeps its wishes. `how` says how
    we know. With `news` the patient has agreed to news, or not; None leaves what was said. What waits and is no longer
    wanted says so at once. Raises TimeZoneUnknown.
    """
    moved = patient.time_zone != time_zone
    fresh = note_wishes(patient=patient, first_by=first_by, time_zone=time_zone, by=by, at=at)
    for way in ways_of(fresh, at):
        if way.point.kind in wanted:
            stopped = purposes_stopped(wanted[way.point.kind])
            set_stops(point=way.point, patient=fresh, purposes=stopped, how=how, by=by, at=at)
    if news is not None:
        set_news(patient=fresh, agreed=news, by=by, at=at)
    return settle_waiting(patients=[fresh.pk], by=by, at=at, new_night=moved)


@transaction.atomic
def set_news(*, patient: Patient, agreed: bool, by: Actor, at: datetime) -> Patient:
    """The patient wants news and may be asked for a review, or not, and what is planned follows.

    Said again, it stays with who said it first and when.
    """
    fresh = lock(patient)
    if fresh.news_agreed == agreed:
        return fresh
    fresh.news_agreed, fresh.news_said_at, fresh.news_said_by = agreed, at, by.name[:200]
    fresh.save(update_fields=["news_agreed", "news_said_at", "news_said_by"])
    record(action="patient.news_agreed" if agreed else "patient.news_ended", subject=fresh, by=by, at=at)
    follow_news(fresh, by, at)
    return fresh


def start_again(*, way: Way, by: Actor, at: datetime) -> int:
    """The STOP for everyone at this contact is over; what one person stopped stays. Returns how many there were."""
    return opt_in(point=way.point, everyone=False, by=by, at=at)


@transaction.atomic
def send_wishes_link(*, patient: Patient, by: Actor, at: datetime) -> Message:
    """A link to the page on which the patient says how to be reached is on its way."""
    by_text = patient.preferred_channel == ContactKind.PHONE
    about = f"patient:{patient.ref}"
    wanted = WantedMessage(
        step="wishes_link",
        purpose=Purpose.INVITATION,
        channel=Channel.SMS if by_text else Channel.EMAIL,
        template="new_link",
        context={},
        due_at=at,
        not_after=at + LINK_LASTS,
        important=False,
        link_scope=LinkScope.CONTACT.value,
        link_about=about,
        note="Sent at once: somebody asked for it.",
    )
    return queue_message(patient=patient, location=patient.location, about=about, wanted=wanted, by=by, at=at)
