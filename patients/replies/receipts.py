"""What became of a text after the gateway took it: kept once, and applied to its message as soon as that has settled.

A receipt never moves a message backwards. One that comes before the sender has written down that the text left waits
for the sweep; one that comes twice, or after a better one, changes nothing and says so.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from clinic.audit.states import Actor
from clinic.transitions import lock, move
from patients.messaging.calls import ask_for_a_call
from patients.messaging.models import DeliveryAttempt, DeliveryReceipt, Message
from patients.messaging.optouts import opt_out
from patients.messaging.queries import routes_for
from patients.messaging.states import Channel, MessageStatus, Said, Tried
from patients.replies.rules import REF_LENGTH, Told

# A receipt that still fits nothing after so long never will: the text was another installation's, or was taken back.
WAITS_FOR = timedelta(days=2)
SWEEP = 500

_UNSETTLED = frozenset({MessageStatus.PLANNED, MessageStatus.HELD, MessageStatus.SENDING})


@transaction.atomic
def receive_receipt(*, gateway: str, told: Told, by: Actor, at: datetime) -> DeliveryReceipt | None:
    """What the gateway told is kept and, if its message has settled, true of it. The same again changes nothing.

    None where it told nothing that we do not know.
    """
    if told.said is None:
        return None
    receipt, is_new = DeliveryReceipt.objects.get_or_create(
        gateway=gateway,
        text_ref=told.text_ref[:REF_LENGTH],
        said=told.said,
        defaults={
            "key": told.key,
            "answer": told.answer,
            "opted_out": told.opted_out,
            # A clock that runs ahead of ours cannot report the future.
            "said_at": min(told.said_at or at, at),
            "received_at": at,
        },
    )
    if not is_new:
        return receipt
    _apply(receipt, by, at)
    return receipt


def apply_receipts(*, by: Actor, at: datetime) -> int:
    """Every receipt whose message has settled meanwhile is true of it. Returns how many were; safe twice."""
    waiting = DeliveryReceipt.objects.filter(applied_at=None).order_by("id").values_list("pk", flat=True)
    return sum(_apply_one(pk, by, at) for pk in list(waiting[:SWEEP]))


@transaction.atomic
def _apply_one(pk: int, by: Actor, at: datetime) -> bool:
    rows = DeliveryReceipt.objects.select_for_update(no_key=True, skip_locked=True)
    receipt = rows.filter(pk=pk, applied_at=None).first()
    return receipt is not None and _apply(receipt, by, at)


def _apply(receipt: DeliveryReceipt, by: Actor, at: datetime) -> bool:
    """Return whether the receipt is done with: it changed its message, or never will."""
    found = _message_of(receipt)
    message = lock(found) if found is not None else None
    if message is None or message.status in _UNSETTLED:
        if at - receipt.received_at < WAITS_FOR:
            return False
        effect = "Nothing: no text of ours that left." if message is None else "Nothing: it did not leave so."
    else:
        effect = _effect(receipt, message, by, at)
    receipt.message, receipt.applied_at, receipt.effect = message, at, effect
    receipt.save(update_fields=["message", "applied_at", "effect"])
    return True


def _message_of(receipt: DeliveryReceipt) -> Message | None:
    """Return the message the receipt is about: by our own name for it, else by the gateway's."""
    if receipt.key is not None:
        return Message.objects.filter(ref=receipt.key).first()
    return Message.objects.filter(sent_channel=Channel.SMS, gateway_ref=receipt.text_ref).order_by("-id").first()


def _effect(receipt: DeliveryReceipt, message: Message, by: Actor, at: datetime) -> str:
    """The message is what the receipt says, where that is news. Returns what changed, or why nothing."""
    if message.sent_channel != Channel.SMS:
        return "Nothing: it went another way since."
    if message.status not in {MessageStatus.SENT, MessageStatus.UNKNOWN}:
        return f"Nothing: it was “{message.get_status_display()}” already."
    match receipt.said:
        case Said.SENT if message.status == MessageStatus.UNKNOWN:
            return _known_to_be_out(receipt, message, MessageStatus.SENT, by, at)
        case Said.DELIVERED:
            return _known_to_be_out(receipt, message, MessageStatus.DELIVERED, by, at)
        case Said.FAILED if message.gateway_ref in {"", receipt.text_ref}:
            return _did_not_arrive(receipt, message, by, at)
        case Said.FAILED:
            return "Nothing: it was sent once more since."
    return "Nothing new."


def _known_to_be_out(receipt: DeliveryReceipt, message: Message, status: MessageStatus, by: Actor, at: datetime) -> str:
    left = message.sent_at or message.handed_at or receipt.said_at
    moved = move(
        message,
        status,
        by=by,
        at=at,
        sent_at=left,
        gateway_ref=message.gateway_ref or receipt.text_ref,
        delivered_at=max(receipt.said_at, left) if status == MessageStatus.DELIVERED else None,
    )
    moved.reason = ""  # a person may have been asked whether it arrived; the message no longer says so
    moved.save(update_fields=["reason"])
    return f"It is “{status.label}”."


def _did_not_arrive(receipt: DeliveryReceipt, message: Message, by: Actor, at: datetime) -> str:
    """It failed after all. As at the gateway's door: the other channel is tried, or a person calls."""
    answer = receipt.answer or "The network gave no reason."
    DeliveryAttempt.objects.create(
        message=message, token=message.token, channel=Channel.SMS, at=at, outcome=Tried.FAILED, answer=answer
    )
    if receipt.opted_out and message.point is not None:
        opt_out(point=message.point, how="told the text gateway to stop", by=by, at=at)
    message.reason = f"Not delivered: {answer}"[:300]
    message.save(update_fields=["reason"])
    failed = move(message, MessageStatus.FAILED, by=by, at=at, reason=message.reason)
    if at < failed.not_after and routes_for([failed], at)[failed.pk].open:
        move(
            failed,
            MessageStatus.PLANNED,
            by=by,
            at=at,
            reason="another way",
            try_at=at,
            handed_at=None,
            sent_at=None,
            sent_text=None,
            sent_channel="",
            gateway_ref="",
            point=None,
        )
        return "It was not delivered and goes another way."
    if failed.is_important:
        ask_for_a_call(failed, failed.reason, by=by, at=at)
        return "It was not delivered: somebody is asked to call."
    return "It was not delivered."
