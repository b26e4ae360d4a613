"""What messages may say, whom they can reach, and how the sender is doing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Q

from clinic.staff.models import User
from patients.messaging.models import DeliveryAttempt, Message, MessageQuerySet, OptOut, SenderPulse
from patients.messaging.rules import OPT_OUT_TEMPLATES, Value
from patients.messaging.states import SHOWN, Channel, Shown, Tried
from patients.registry.models import ContactPoint, PatientContact
from patients.registry.rules import search_key
from patients.registry.states import ContactKind

KIND_OF: dict[str, ContactKind] = {Channel.EMAIL: ContactKind.EMAIL, Channel.SMS: ContactKind.PHONE}
# Later than these the desk is told: the sweep comes every 15 seconds.
STALLED_AFTER = timedelta(minutes=2)
OVERDUE_AFTER = timedelta(minutes=10)
PAGE = 50


@dataclass(frozen=True)
class Route:
    """One way to reach somebody. `address` is an email address or a number; staff have no contact point."""

    channel: Channel
    address: str
    point: ContactPoint | None = None


@dataclass(frozen=True)
class Routes:
    """The ways open to a message, the planned channel first, or why there is none."""

    open: tuple[Route, ...]
    why_none: str = ""
    was_refused: bool = False


@dataclass(frozen=True)
class SenderState:
    """How the sender is doing: seconds since its last sweep (None: never), and what waits too long."""

    sweep_age: timedelta | None
    oldest_overdue: timedelta
    overdue: int

    @property
    def is_stalled(self) -> bool:
        return self.sweep_age is None or self.sweep_age > STALLED_AFTER or self.oldest_overdue > OVERDUE_AFTER


def database_clock() -> datetime:
    """Return the database's time. What is due is decided by one clock, however many workers' own clocks disagree."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def variables_of(message: Message) -> dict[str, Value]:
    """Return the fixed variables of a message: who reads it and who writes as they stand now, then its own."""
    location = message.location
    reader = message.patient.first_name if message.patient else message.staff.name if message.staff else ""
    own = {key: value if isinstance(value, str) else tuple(value) for key, value in message.context.items()}
    return {
        "first_name": reader,
        "clinic_name": location.name,
        "clinic_phone": location.phone,
        "out_of_hours": location.out_of_hours,
        "emergency_number": location.emergency_number,
        **own,
    }


def routes_for(messages: Sequence[Message], at: datetime) -> dict[int, Routes]:
    """Return the ways open to each message now, by its key, in three queries for any number of messages.

    Left out are contacts that ended, that asked us to stop, that this message was refused at, and channels that the
    clinic does not use.
    """
    contacts = _contacts(messages)
    stopped = _opt_outs([point for points in contacts.values() for point in points.values()], at)
    refused = _refused(messages)
    return {
        message.pk: _routes(message, contacts.get(message.patient_id or 0, {}), stopped, refused)
        for message in messages
    }


def _contacts(messages: Iterable[Message]) -> dict[int, dict[str, ContactPoint]]:
    """Return each patient's newest contact point of each kind."""
    found: dict[int, dict[str, ContactPoint]] = defaultdict(dict)
    patients = {message.patient_id for message in messages if message.patient_id}
    rows = PatientContact.objects.filter(patient__in=patients, until_at=None).select_related("point")
    for contact in rows.order_by("since_at", "id"):
        found[contact.patient_id][contact.point.kind] = contact.point
    return found


def _opt_outs(points: Iterable[ContactPoint], at: datetime) -> list[OptOut]:
    in_force = Q(until_at=None) | Q(until_at__gt=at)
    return list(OptOut.objects.filter(in_force, point__in=list(points), since_at__lte=at))


def _refused(messages: Iterable[Message]) -> dict[int, set[str]]:
    """Return on which channels each message was refused for good already."""
    found: dict[int, set[str]] = defaultdict(set)
    tried = [message.pk for message in messages if message.attempts]
    if tried:
        rows = DeliveryAttempt.objects.filter(message__in=tried, outcome=Tried.FAILED)
        for message_id, channel in rows.values_list("message_id", "channel"):
            found[message_id].add(channel)
    return found


def _routes(
    message: Message, points: dict[str, ContactPoint], stopped: list[OptOut], refused: dict[int, set[str]]
) -> Routes:
    if message.staff is not None:
        return Routes((Route(Channel.EMAIL, message.staff.email),))
    planned = Channel(message.channel)
    channels = [planned, *(each for each in Channel if each != planned)]
    have = [each for each in channels if KIND_OF[each] in points and _is_used(each)]
    open_ = [each for each in have if not _is_stopped(message, points[KIND_OF[each]], stopped)]
    left = [each for each in open_ if each not in refused.get(message.pk, set())]
    if left:
        return Routes(tuple(Route(each, points[KIND_OF[each]].value, points[KIND_OF[each]]) for each in left))
    if open_:
        return Routes((), "Every address on file was refused.", was_refused=True)
    return Routes((), "They asked us to stop." if have else "There is no address or number on file.")


def _is_used(channel: Channel) -> bool:
    return channel == Channel.EMAIL or settings.SMS_GATEWAY != "none"


def _is_stopped(message: Message, point: ContactPoint, stopped: list[OptOut]) -> bool:
    if message.template in OPT_OUT_TEMPLATES:
        return False
    return any(
        stop.point_id == point.pk
        and stop.patient_id in {None, message.patient_id}
        and stop.purpose in {"", message.purpose}
        for stop in stopped
    )


def sender_state(at: datetime) -> SenderState:
    """Return how the sender is doing. Messages held by a person, or not due yet, are not overdue."""
    pulse = SenderPulse.objects.filter(pk=1).first()
    late = Message.objects.overdue(at)
    oldest = late.values_list("try_at", flat=True).first()
    return SenderState(
        sweep_age=max(at - pulse.swept_at, timedelta(0)) if pulse else None,
        oldest_overdue=at - oldest if oldest else timedelta(0),
        overdue=late.filter(try_at__lt=at - OVERDUE_AFTER)[:1000].count() if oldest else 0,
    )


def messages_of(user: User, shown: Shown, search: str = "") -> MessageQuerySet:
    """Return one part of the log as the person may see it, of patients whose name begins so if asked.

    Coming ones stand soonest first, all others latest first.
    """
    rows = Message.objects.visible_to(user).filter(status__in=SHOWN[shown])
    if search.strip():
        key = search_key(search)
        rows = rows.filter(Q(patient__search_text__startswith=key) | Q(patient__search_given__startswith=key))
    order = ("due_at", "id") if shown == Shown.COMING else ("-due_at", "-id")
    return rows.select_related("patient", "staff", "location", "point").order_by(*order)


def page_behind(
    rows: MessageQuerySet, shown: Shown, last: Message | None, size: int = PAGE
) -> tuple[list[Message], Message | None]:
    """Return the page behind a message and, if there is more, the message the next one lies behind.

    By key, not by count: a page costs the same however deep it lies.
    """
    if last is not None and shown == Shown.COMING:
        rows = rows.filter(due_at__gte=last.due_at).filter(Q(due_at__gt=last.due_at) | Q(id__gt=last.pk))
    elif last is not None:
        rows = rows.filter(due_at__lte=last.due_at).filter(Q(due_at__lt=last.due_at) | Q(id__lt=last.pk))
    page = list(rows[: size + 1])
    return page[:size], page[size - 1] if len(page) > size else None


def trouble_count(user: User) -> int:
    """Return how many messages need a look, counted up to 100."""
    return Message.objects.visible_to(user).filter(status__in=SHOWN[Shown.TROUBLE])[:100].count()
