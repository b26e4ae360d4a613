"""What messages may say, whom they can reach, and how the sender is doing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, Q

from clinic.packs.models import RulePack
from clinic.packs.states import PackKind, PackStatus
from clinic.staff.models import User
from clinic.statements import run
from patients.messaging.due import AnyMessage
from patients.messaging.models import DeliveryAttempt, Message, MessageQuerySet, SenderPulse
from patients.messaging.rules import OPT_OUT_TEMPLATES, Value, may_leave_at_night, quiet_until
from patients.messaging.states import CHANNEL_OF, SHOWN, UNSENT, Channel, Shown, Tried
from patients.messaging.wording import Letter, parse_letter
from patients.registry.models import Patient, PatientContact
from patients.registry.rules import search_key
from patients.registry.states import Language

# Later than these the desk is told: the sweep comes every 15 seconds.
STALLED_AFTER = timedelta(minutes=2)
OVERDUE_AFTER = timedelta(minutes=10)
PAGE = 50
STOPPED_AHEAD = timedelta(days=7)


@dataclass(frozen=True)
class Route:
    """One way to reach somebody. `address` is an email address or a number; staff have no contact point."""

    channel: Channel
    address: str
    point_id: int | None = None


@dataclass(frozen=True)
class Routes:
    """The ways open to a message, the planned channel first, or why there is none."""

    open: tuple[Route, ...]
    why_none: str = ""
    was_refused: bool = False
    is_stopped: bool = False


@dataclass(frozen=True)
class SenderState:
    """How the sender is doing: seconds since its last sweep (None: never), and what waits too long."""

    sweep_age: timedelta | None
    oldest_overdue: timedelta
    overdue: int

    @property
    def is_stalled(self) -> bool:
        return self.sweep_age is None or self.sweep_age > STALLED_AFTER or self.oldest_overdue > OVERDUE_AFTER


class Stop(NamedTuple):
    """An opt-out in force: of one patient, or of everyone at the contact point; for one purpose, or for every."""

    point_id: int
    patient_id: int | None
    purpose: str


_CONTACTS = """
SELECT contact.patient_id, point.id, point.kind, point.value
FROM patients_patientcontact AS contact JOIN patients_contactpoint AS point ON point.id = contact.point_id
WHERE contact.patient_id = ANY(%(patients)b) AND contact.until_at IS NULL ORDER BY contact.since_at, contact.id
"""
_STOPS = """
SELECT point_id, patient_id, purpose FROM patients_optout
WHERE point_id = ANY(%(points)b) AND since_at <= %(at)s AND (until_at IS NULL OR until_at > %(at)s)
"""

# The clinic's own words, by template and language.
Letters = Mapping[tuple[str, str], Letter]


def letters_in_force() -> Letters:
    """Return every letter that the clinic has put into its own words, by template and language. One query."""
    rows = RulePack.objects.filter(kind=PackKind.LETTER, status=PackStatus.PUBLISHED, is_shipped=False)
    found = [_letter(name, body) for name, body in rows.values_list("name", "body")]
    return {(letter.name, letter.language): letter for letter in found}


@lru_cache(maxsize=256)
def _letter(name: str, body: str) -> Letter:
    return parse_letter(body, name)


def own_words(letters: Letters, message: AnyMessage) -> Letter | None:
    """Return the clinic’s words for a message in its reader’s language, else its English ones; None if it has none."""
    language = message.patient.language if message.patient else Language.ENGLISH
    return letters.get((message.template, language)) or letters.get((message.template, Language.ENGLISH))


def database_clock() -> datetime:
    """Return the database's time. What is due is decided by one clock, however many workers' own clocks disagree."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def variables_of(message: AnyMessage) -> dict[str, Value]:
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


def routes_for(messages: Sequence[AnyMessage], at: datetime) -> dict[int, Routes]:
    """Return the ways open to each message now, by its key, in three queries for any number of messages.

    Left out are contacts that ended, that asked us to stop, that this message was refused at, and channels that the
    clinic does not use.
    """
    contacts = _contacts(messages)
    stopped = _opt_outs([way.point_id for ways in contacts.values() for way in ways.values() if way.point_id], at)
    refused = _refused(messages)
    return {
        message.pk: _routes(message, contacts.get(message.patient_id or 0, {}), stopped, refused)
        for message in messages
    }


def _contacts(messages: Iterable[AnyMessage]) -> dict[int, dict[Channel, Route]]:
    """Return each patient's newest way of each kind."""
    found: dict[int, dict[Channel, Route]] = defaultdict(dict)
    patients = {message.patient_id for message in messages if message.patient_id}
    for patient_id, point_id, kind, value in run(_CONTACTS, patients=list(patients)) if patients else []:
        channel = CHANNEL_OF[kind]
        found[patient_id][channel] = Route(channel, value, point_id)
    return found


def _opt_outs(points: Sequence[int], at: datetime) -> list[Stop]:
    return [Stop(*row) for row in run(_STOPS, points=list(points), at=at)] if points else []


def _refused(messages: Iterable[AnyMessage]) -> dict[int, set[str]]:
    """Return on which channels each message was refused for good already."""
    found: dict[int, set[str]] = defaultdict(set)
    tried = [message.pk for message in messages if message.attempts]
    if tried:
        rows = DeliveryAttempt.objects.filter(message__in=tried, outcome=Tried.FAILED)
        for message_id, channel in rows.values_list("message_id", "channel"):
            found[message_id].add(channel)
    return found


def _routes(
    message: AnyMessage, ways: dict[Channel, Route], stopped: list[Stop], refused: dict[int, set[str]]
) -> Routes:
    if message.staff is not None:
        return Routes((Route(Channel.EMAIL, message.staff.email),))
    patient = message.patient
    wish = CHANNEL_OF[patient.preferred_channel] if patient is not None and patient.channel_is_wish else None
    planned = wish or Channel(message.channel)
    have = [ways[each] for each in _ORDERS[planned] if each in ways and _is_used(each)]
    open_ = [way for way in have if not _is_stopped(message, way, stopped)]
    left = [way for way in open_ if way.channel not in refused.get(message.pk, set())]
    if left:
        return Routes(tuple(left))
    if open_:
        return Routes((), "Every address on file was refused.", was_refused=True)
    if have:
        return Routes((), "They asked us to stop.", is_stopped=True)
    return Routes((), "There is no address or number on file.")


def with_ways(messages: Iterable[Message], at: datetime) -> list[Message]:
    """Return these messages; each that waits knows by which way it would leave now, or why by none."""
    rows = list(messages)
    waiting = {row.pk: row for row in rows if row.status in UNSENT}
    for key, routes in routes_for(list(waiting.values()), at).items():
        waiting[key].way_now = str(routes.open[0].channel.label) if routes.open else routes.why_none
    return rows


# The planned channel first, then the others.
_ORDERS = {first: (first, *(each for each in Channel if each != first)) for first in Channel}


def _is_used(channel: Channel) -> bool:
    return channel == Channel.EMAIL or settings.SMS_GATEWAY != "none"


def _is_stopped(message: AnyMessage, way: Route, stopped: list[Stop]) -> bool:
    if message.template in OPT_OUT_TEMPLATES:
        return False
    return any(
        stop.point_id == way.point_id
        and stop.patient_id in {None, message.patient_id}
        and stop.purpose in {"", message.purpose}
        for stop in stopped
    )


def night_zone(message: AnyMessage) -> ZoneInfo:
    """Return whose night counts: the patient's own, where it is known to be another than the clinic's."""
    own = message.patient.time_zone if message.patient else ""
    return ZoneInfo(own or message.location.time_zone)


def quiet_for(message: Message, at: datetime) -> datetime | None:
    """Return until when quiet hours would hold the message if it were sent now, by its reader's clock; else None."""
    prompt = may_leave_at_night(
        template=message.template,
        purpose=message.purpose,
        any_hour=message.any_hour,
        due_at=message.due_at,
        at=at,
    )
    zone = night_zone(message)
    until = None if prompt else quiet_until(at, zone)
    return until.astimezone(zone) if until else None


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


@dataclass(frozen=True)
class Wanted:
    """Which messages the log shows. Days are those of the clinic where the page is read; empty means any."""

    shown: Shown = Shown.COMING
    search: str = ""
    status: str = ""
    channel: str = ""
    purpose: str = ""
    first: date | None = None
    last: date | None = None

    @property
    def is_narrowed(self) -> bool:
        return any((self.search.strip(), self.status, self.channel, self.purpose, self.first, self.last))


def messages_of(
    user: User, wanted: Wanted, zone: tzinfo, at: datetime, patient: Patient | None = None
) -> MessageQuerySet:
    """Return one part of the log as the person may see it, of one patient if one is named.

    Coming ones stand soonest first, all others latest first. What was not sent to anybody is shown up to a week ahead,
    where no days are asked for.
    """
    rows = Message.objects.visible_to(user).filter(status__in=SHOWN[wanted.shown])
    if patient is not None:
        rows = rows.filter(patient=patient)
    if wanted.search.strip():
        key = search_key(wanted.search)
        rows = rows.filter(Q(patient__search_text__startswith=key) | Q(patient__search_given__startswith=key))
    if wanted.status:
        rows = rows.filter(status=wanted.status)
    if wanted.channel:
        rows = rows.filter(Q(sent_channel=wanted.channel) | (Q(sent_channel="") & _goes_by(wanted.channel)))
    if wanted.purpose:
        rows = rows.filter(purpose=wanted.purpose)
    if wanted.first:
        rows = rows.filter(due_at__gte=datetime.combine(wanted.first, time(), tzinfo=zone))
    if wanted.last:
        rows = rows.filter(due_at__lt=datetime.combine(wanted.last + timedelta(days=1), time(), tzinfo=zone))
    if wanted.shown == Shown.STOPPED and patient is None and not (wanted.first or wanted.last):
        # What would have gone out within a week or did not: not the recall of next year that nobody misses today.
        rows = rows.filter(due_at__lte=at + STOPPED_AHEAD)
    order = ("due_at", "id") if wanted.shown == Shown.COMING else ("-due_at", "-id")
    return rows.select_related("patient", "staff", "location", "point").order_by(*order)


def _goes_by(channel: str) -> Q:
    """What goes this way first: by the patient's wish or as planned, unless they have only the other."""
    kind, other = sorted(CHANNEL_OF, key=lambda kind: CHANNEL_OF[kind] != channel)
    current = PatientContact.objects.filter(patient=OuterRef("patient"), until_at=None)
    has, has_other = Exists(current.filter(point__kind=kind)), Exists(current.filter(point__kind=other))
    wished = Q(patient__channel_is_wish=True, patient__preferred_channel=kind)
    planned = Q(channel=channel) & (Q(patient=None) | Q(patient__channel_is_wish=False))
    return (wished | planned) & (has | ~has_other) | ~(wished | planned) & has & ~has_other


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
