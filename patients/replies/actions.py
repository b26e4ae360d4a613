"""What somebody writes back is never lost: STOP and START act at once, all else waits for a person's outcome."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.staff.models import User
from clinic.staff.queries import on_call_ladder
from clinic.staff.states import Permission, Role
from clinic.transitions import lock, move
from clinic.transports.sms_http import is_mobile
from clinic.worklist.actions import raise_task
from patients.messaging.actions import alert_staff, queue_message
from patients.messaging.models import Message
from patients.messaging.optouts import opt_in, opt_out
from patients.messaging.rendering import write_sms
from patients.messaging.rules import WantedMessage, fold, lint_discreet
from patients.messaging.states import Channel, Purpose
from patients.registry.models import ContactPoint, Patient
from patients.registry.states import ContactKind
from patients.replies import alarms
from patients.replies.models import Conversation, Reply
from patients.replies.queries import home_of, is_stopped, people_at, triggers, words
from patients.replies.rules import Heard
from patients.replies.states import RESPOND_MINUTES, ConversationOutcome, ConversationStatus, Urgency
from patients.replies.words import triggers_in, worst

logger = logging.getLogger(__name__)

CONFIRMATION_LIFE = timedelta(hours=2)
ANSWER_LIFE = timedelta(hours=24)
# Whoever writes again within this time has been told already when we read it.
TOLD_ONCE_IN = timedelta(hours=12)


class NothingSaid(Refused):
    sentence = "Please write an answer, or choose one."


class NotDiscreet(Refused):
    """The answer would tell a stranger what it is about."""


class NobodyThere(Refused):
    sentence = "Nobody on file has this number, so no text can go there. Call it, or register who it is first."


class TheyStopped(Refused):
    sentence = "This number asked us to send no more texts. Please call instead."


class OutcomeMissing(Refused):
    sentence = "Please say what came of it."


class CannotAnswerReplies(Refused):
    """The person named does not answer texts here."""


@transaction.atomic
def receive_reply(*, gateway: str, heard: Heard, by: Actor, at: datetime) -> Reply | None:
    """What somebody wrote is kept, whoever it is, and has acted or waits in the inbox. The same text twice is one.

    STOP and START count for everyone at the number and are confirmed once, by us or by the gateway. All else opens a
    conversation or adds to it. Words that may mean an emergency ring a clinician; nobody is ever answered with advice.
    None for what no person's telephone sent: there is nobody to answer.
    """
    if not is_mobile(heard.number):
        record(action="reply.from_no_number", subject=f"gateway:{gateway}", by=by, at=at)
        return None
    point, _ = ContactPoint.objects.get_or_create(
        kind=ContactKind.PHONE, value=heard.number, defaults={"created_at": at}
    )
    lock(point)  # two texts of one person take turns
    wish = heard.wish or words().wish(heard.text)
    found = () if wish else triggers_in(heard.text, triggers())
    reply, is_new = Reply.objects.get_or_create(
        gateway_ref=f"{gateway}:{heard.text_ref}"[:200],
        defaults={
            "point": point,
            "body": {"text": heard.text},
            "wish": wish,
            "triggers": [trigger.label for trigger in found],
            "received_at": min(heard.said_at or at, at),
            "read_at": at if wish else None,  # it is acted on here: nobody has to read it
        },
    )
    if not is_new:
        return reply
    record(action="reply.received", subject=reply, by=by, at=at, wish=wish)
    if wish:
        _heed(reply, by, at, confirms=not (heard.is_settled or _gateway_confirms(gateway, heard.text)))
    else:
        _into_inbox(reply, worst(found), by, at)
    return reply


def _gateway_confirms(gateway: str, text: str) -> bool:
    return gateway == "twilio" and settings.TWILIO_CONFIRMS_STOP and words().is_twilios(text)


def _heed(reply: Reply, by: Actor, at: datetime, *, confirms: bool) -> None:
    """STOP or START holds from now on, for everyone at the number."""
    point = reply.point
    if reply.wish == "stop":
        if is_stopped(point, at):
            return
        opt_out(point=point, how=f"wrote {fold(reply.text)[:20]}", by=by, at=at)
    else:
        people = people_at(point)
        # Where one person uses the number, it speaks for them; what one of several had stopped for themself stays.
        ended = opt_in(point=point, everyone=len(people) <= 1, by=by, at=at)
        if not ended:
            return
    if confirms:
        _say(reply.point, f"{reply.wish}_confirmation", f"reply:{reply.ref}", by, at)


def _say(point: ContactPoint, template: str, about: str, by: Actor, at: datetime) -> None:
    """An answer that needs no person goes out now, to whoever is reached there; to nobody if nobody is."""
    people = people_at(point)
    if not people:
        return
    wanted = WantedMessage(
        step=template,
        purpose=Purpose.VISIT,
        channel=Channel.SMS,
        template=template,
        context={},
        due_at=at,
        not_after=at + CONFIRMATION_LIFE,
        important=False,
    )
    queue_message(patient=people[0], location=people[0].location, about=about, wanted=wanted, by=by, at=at)


# --- the inbox --------------------------------------------------------------------------------------------------------


def _into_inbox(reply: Reply, urgency: Urgency | None, by: Actor, at: datetime) -> None:
    people = people_at(reply.point)
    conversation = Conversation.objects.unfinished().filter(point=reply.point).first()
    if conversation is None:
        home = home_of(reply.point, people)
        if home is None:
            return  # a house without a single location: the text is kept all the same
        conversation = Conversation.objects.create(
            point=reply.point, location=home, opened_at=at, waits_since=at, last_at=at, urgency=urgency or ""
        )
        record(action="conversation.waiting", subject=conversation, by=by, at=at)
        if not _was_told_lately(reply.point, at):
            _say(reply.point, "auto_reply", conversation.about, by, at)
    else:
        conversation = _add(conversation, urgency, by, at)
    reply.conversation = conversation
    reply.save(update_fields=["conversation"])
    if urgency is not None:
        _ring(conversation, reply, urgency, by, at)


def _add(conversation: Conversation, urgency: Urgency | None, by: Actor, at: datetime) -> Conversation:
    fresh = lock(conversation)
    fresh.last_at = at
    fresh.urgency = min(filter(None, (fresh.urgency, urgency or "")), default="")  # "E" comes before "U1"
    fresh.save(update_fields=["last_at", "urgency"])
    if fresh.status == ConversationStatus.ANSWERED:
        fresh = move(fresh, ConversationStatus.WAITING, by=by, at=at, waits_since=at)
    return fresh


def _was_told_lately(point: ContactPoint, at: datetime) -> bool:
    told = Message.objects.filter(template="auto_reply", patient__contacts__point=point)
    return told.filter(created_at__gt=at - TOLD_ONCE_IN).exists()


def _ring(conversation: Conversation, reply: Reply, urgency: Urgency, by: Actor, at: datetime) -> None:
    """A clinician is asked to act on the words by the clock of their level; nothing here needs a broker or a gateway.

    The room that owns alarms is rung first. If it cannot take this one, as from a number nobody has, a task and a page
    to who is on call do instead.
    """
    for bell in alarms.bells():
        try:
            with transaction.atomic():
                if bell(conversation, reply, by, at):
                    return
        except Exception:
            logger.exception("An alarm for a text could not be raised; a task is.")
    minutes = RESPOND_MINUTES[urgency]
    raise_task(
        key=f"reply-alarm:{reply.ref}",
        kind="reply_alarm",
        title=f"Call {conversation.point}: a text may speak of an emergency",
        why=f"{', '.join(reply.triggers)}. Read it in the replies and call within {minutes} minutes.",
        role=Role.CLINICIAN,
        location=conversation.location,
        due_at=at + timedelta(minutes=minutes),
        about=conversation.about,
        by=by,
        at=at,
    )
    here = set(conversation.location.staff.values_list("pk", flat=True))
    asked = next((user for user in on_call_ladder(at) if user.pk in here), None)
    if asked is not None:
        alert_staff(
            user=asked,
            location=conversation.location,
            about=conversation.about,
            step=f"page_{reply.pk}",
            template="alarm",
            context={"link": settings.PUBLIC_URL + reverse("conversation", args=[conversation.ref])},
            by=by,
            at=at,
        )


@transaction.atomic
def answer(*, conversation: Conversation, patient: Patient, text: str, by: Actor, at: datetime) -> Conversation:
    """Our answer goes out as a text to that number, and the conversation waits for nobody.

    Raises NothingSaid, NotDiscreet with what the text would give away, NobodyThere, TheyStopped, IllegalMove.
    """
    fresh = lock(conversation)
    said = fold(text)
    if not said:
        raise NothingSaid(field="text")
    if patient not in people_at(fresh.point):
        raise NobodyThere(field="patient")
    if is_stopped(fresh.point, at):
        raise TheyStopped
    check_discreet(said, patient)
    number = Message.objects.filter(about=fresh.about, template="desk_reply").count() + 1
    wanted = WantedMessage(
        step=f"answer_{number}",
        purpose=Purpose.ANSWER,
        channel=Channel.SMS,
        template="desk_reply",
        context={"answer": said},
        due_at=at,
        not_after=at + ANSWER_LIFE,
        important=True,
        note=f"Answered by {by.name}."[:200],
    )
    queue_message(patient=patient, location=fresh.location, about=fresh.about, wanted=wanted, by=by, at=at)
    _read(fresh, by, at)
    return move(fresh, ConversationStatus.ANSWERED, by=by, at=at)


def check_discreet(text: str, patient: Patient) -> None:
    """Raise NotDiscreet, with every fault, for an answer that a stranger may not read over a shoulder."""
    name = patient.location.name
    written = write_sms("desk_reply", {"clinic_name": name, "answer": text})
    faults = lint_discreet(written.text, name=patient.first_name, allowed=[name])
    if faults:
        raise NotDiscreet(" ".join([*faults, "Please leave it out, or call instead."]), field="text")


@transaction.atomic
def take_conversation(*, conversation: Conversation, to: User, by: Actor, at: datetime) -> Conversation:
    """The conversation is that person's to answer. Raises CannotAnswerReplies, Refused once it is closed."""
    fresh = lock(conversation)
    if fresh.status == ConversationStatus.CLOSED:
        raise Refused("This conversation is closed.")
    if (
        not to.is_active
        or not to.may(Permission.READ_REPLIES)
        or not to.locations.filter(pk=fresh.location_id).exists()
    ):
        raise CannotAnswerReplies(f"{to} does not answer texts here.", field="to")
    fresh.owner = to
    fresh.save(update_fields=["owner"])
    record(action="conversation.assigned", subject=fresh, by=by, at=at, to=to.display_name)
    return fresh


@transaction.atomic
def close_conversation(*, conversation: Conversation, outcome: str, note: str, by: Actor, at: datetime) -> Conversation:
    """Nothing more is to do, and the conversation says what came of it. Raises OutcomeMissing, IllegalMove."""
    fresh = lock(conversation)
    if outcome not in ConversationOutcome.values:
        raise OutcomeMissing(field="outcome")
    _read(fresh, by, at)
    return move(
        fresh,
        ConversationStatus.CLOSED,
        by=by,
        at=at,
        closed_at=at,
        closed_by_id=by.user_id,
        outcome=outcome,
        outcome_note=note.strip()[:400],
    )


def _read(conversation: Conversation, by: Actor, at: datetime) -> None:
    conversation.replies.filter(read_at=None).update(read_at=at, read_by=by.user_id)
