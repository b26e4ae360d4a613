"""What waits in the inbox, who may have written it, and the words we know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from django.db.models import Q

from clinic.premises.models import Location
from clinic.staff.models import User
from clinic.staff.queries import staff_who_may
from clinic.staff.states import Permission
from patients.messaging.models import Message
from patients.messaging.optouts import stops_in_force
from patients.registry.models import ContactPoint, Patient, PatientContact, RelatedPerson
from patients.replies.models import Conversation, ConversationQuerySet, Reply
from patients.replies.states import SHOWN, ConversationStatus, Shown
from patients.replies.words import Canned, Trigger, Words, parse_answers, parse_triggers, parse_words

KNOWLEDGE = Path(__file__).resolve().parent.parent / "knowledge" / "replies"
LONGEST_LIST = 200
LONGEST_THREAD = 100


@dataclass(frozen=True)
class Line:
    """One text of a thread: theirs, or ours with its message."""

    at: datetime
    text: str
    reply: Reply | None = None
    message: Message | None = None


@dataclass(frozen=True)
class Waiting:
    """A conversation as the inbox lists it: who it may be, and the last thing they wrote."""

    conversation: Conversation
    people: tuple[Patient, ...]
    said: str


def _read(name: str) -> str:
    return (KNOWLEDGE / name).read_text(encoding="utf-8")


@cache
def words() -> Words:
    """Return the words that stop and start texts, read once."""
    return parse_words(_read("words.toml"), "words.toml")


@cache
def triggers() -> tuple[Trigger, ...]:
    """Return the signs of an emergency that are looked for in texts, read once."""
    return parse_triggers(_read("emergency.toml"), "emergency.toml")


@cache
def canned_answers() -> tuple[Canned, ...]:
    """Return the answers that can be sent as they are, read once."""
    return parse_answers(_read("answers.toml"), "answers.toml")


def people_at(point: ContactPoint) -> list[Patient]:
    """Return everybody who is reached there now, by name: a family shares a number."""
    rows = Patient.objects.filter(contacts__point=point, contacts__until_at=None)
    return list(rows.select_related("location").distinct())


def relatives_at(point: ContactPoint) -> list[RelatedPerson]:
    """Return guardians and others whose own number it is."""
    return list(RelatedPerson.objects.filter(point=point).select_related("patient"))


def home_of(point: ContactPoint, people: Sequence[Patient]) -> Location | None:
    """Return the location whose inbox a text from there belongs to: the one that wrote last, else the patient's.

    Somebody whom nobody knows is seen at the first location; None where there is none at all.
    """
    last = Message.objects.filter(point=point).order_by("-handed_at", "-id").select_related("location").first()
    if last is not None:
        return last.location
    return people[0].location if people else Location.objects.filter(is_active=True).order_by("pk").first()


def inbox(user: User, shown: Shown) -> ConversationQuerySet:
    """Return one part of the inbox as the person may see it: urgent ones first, then the longest waiting.

    What was answered or closed stands latest first.
    """
    rows = Conversation.objects.visible_to(user).filter(status=SHOWN[shown])
    rows = rows.select_related("point", "location", "owner")
    if shown != Shown.WAITING:
        return rows.order_by("-last_at", "-id")
    return rows.annotate(calm=Q(urgency="")).order_by("calm", "waits_since", "id")


def listed(rows: ConversationQuerySet) -> list[Waiting]:
    """Return conversations with who it may be and what was last said, in three queries for any number."""
    found = list(rows[:LONGEST_LIST])
    points = {row.point_id for row in found}
    people: dict[int, list[Patient]] = {}
    contacts = PatientContact.objects.filter(point__in=points, until_at=None).select_related("patient")
    for contact in contacts.order_by("patient__family_name", "patient_id"):
        people.setdefault(contact.point_id, []).append(contact.patient)
    # One row each: the last text of a conversation.
    last = Reply.objects.filter(conversation__in=found).order_by("conversation_id", "-received_at", "-id")
    said = {reply.conversation_id: reply.text for reply in last.distinct("conversation_id")}
    return [Waiting(row, tuple(people.get(row.point_id, ())), said.get(row.pk, "")) for row in found]


def waiting_count(user: User) -> int:
    """Return how many conversations wait for an answer, counted up to 100."""
    return Conversation.objects.visible_to(user).filter(status=ConversationStatus.WAITING)[:100].count()


def thread(conversation: Conversation) -> list[Line]:
    """Return what was said with the number, oldest first: their texts and ours, of this and earlier conversations."""
    theirs = [
        Line(reply.received_at, reply.text, reply=reply)
        for reply in Reply.objects.filter(point=conversation.point).order_by("-received_at", "-id")[:LONGEST_THREAD]
    ]
    rows = Message.objects.filter(point=conversation.point, handed_at__isnull=False).select_related("patient")
    ours = [
        Line(message.sent_at or message.handed_at or message.due_at, _said(message), message=message)
        for message in rows.order_by("-handed_at", "-id")[:LONGEST_THREAD]
    ]
    waiting = Message.objects.filter(about=conversation.about, handed_at=None).select_related("patient")
    ours += [Line(message.created_at, _said(message), message=message) for message in waiting]
    return sorted(theirs + ours, key=lambda line: line.at)[-LONGEST_THREAD:]


def _said(message: Message) -> str:
    """Return the words of a text; one that has not left says what it will say, where that is the desk's own answer."""
    if message.sent_text:
        return str(message.sent_text.get("text", ""))
    return str(message.context.get("answer", ""))


def is_stopped(point: ContactPoint, at: datetime) -> bool:
    """True if the number asked us to send nothing more, whoever it is for."""
    return stops_in_force(point, at).filter(patient=None, purpose="").exists()


def who_may_answer(conversation: Conversation) -> list[User]:
    """Return the people who work there and may take the conversation, by name."""
    here = set(User.objects.filter(is_active=True, locations=conversation.location).values_list("pk", flat=True))
    return [user for user in staff_who_may(Permission.READ_REPLIES) if user.pk in here]
