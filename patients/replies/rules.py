"""What a gateway says when it calls us, read into our words. Pure; whoever calls has checked the signature."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from clinic.transports.states import BAD_NUMBER, OPTED_OUT
from patients.messaging.states import Said

REF_LENGTH, TEXT_LENGTH, ANSWER_LENGTH = 200, 2000, 300

# What gateways call the states of a text. Any other word is one on the way that says nothing new.
_SAID: dict[str, Said] = {
    "sent": Said.SENT,
    "delivered": Said.DELIVERED,
    "read": Said.DELIVERED,
    "undelivered": Said.FAILED,
    "undeliverable": Said.FAILED,
    "failed": Said.FAILED,
    "rejected": Said.FAILED,
    "expired": Said.FAILED,
}
# Twilio, "Error and warning dictionary".
_TWILIOS_REASONS = {
    "30003": "The phone was off or out of reach.",
    "30004": "The number or its network blocks texts from us.",
    "30005": "The number is not in use.",
    "30006": "A landline, or a network that takes no texts.",
    "30007": "The network took it for spam.",
    "30008": "The network did not say why.",
    "21610": OPTED_OUT,
}
_PLAIN_REASONS = {"opted_out": OPTED_OUT, "invalid_number": BAD_NUMBER}
_OPTED_OUT = frozenset({"21610", "opted_out"})


class Garbled(ValueError):
    """The call is signed, and still cannot be read."""


@dataclass(frozen=True)
class Told:
    """What a gateway told about one text. `said` is None where it says nothing new, as "queued"."""

    text_ref: str
    said: Said | None
    key: UUID | None = None
    answer: str = ""
    opted_out: bool = False
    said_at: datetime | None = None


@dataclass(frozen=True)
class Heard:
    """What somebody wrote to us. `is_settled` says that the gateway has acted on a STOP or START and confirmed it."""

    text_ref: str
    number: str
    text: str
    said_at: datetime | None = None
    wish: str = ""

    @property
    def is_settled(self) -> bool:
        return bool(self.wish)


def told_by_http(body: bytes) -> Told:
    """Return what the plain gateway told. Raises Garbled."""
    said = _document(body)
    code = _text(said, "code", REF_LENGTH, required=False)
    reason = _text(said, "reason", ANSWER_LENGTH, required=False)
    return Told(
        text_ref=_text(said, "id", REF_LENGTH),
        said=_SAID.get(_text(said, "status", 40).casefold()),
        key=_key(_text(said, "reference", 40, required=False)),
        answer=(reason or _PLAIN_REASONS.get(code, code))[:ANSWER_LENGTH],
        opted_out=code in _OPTED_OUT,
        said_at=_instant(_text(said, "at", 40, required=False)),
    )


def told_by_twilio(fields: Mapping[str, str], key: str) -> Told:
    """Return what Twilio told at the address that carries `key`. It names no time. Raises Garbled."""
    code = _text(fields, "ErrorCode", 20, required=False)
    return Told(
        text_ref=_text(fields, "MessageSid", REF_LENGTH),
        said=_SAID.get(_text(fields, "MessageStatus", 40).casefold()),
        key=_key(key),
        answer=_TWILIOS_REASONS.get(code, f"Twilio error {code}" if code else ""),
        opted_out=code in _OPTED_OUT,
    )


def heard_by_http(body: bytes) -> Heard:
    """Return what somebody wrote, from the plain gateway. Raises Garbled."""
    said = _document(body)
    return Heard(
        text_ref=_text(said, "id", REF_LENGTH),
        number=_text(said, "from", 20),
        text=_text(said, "text", TEXT_LENGTH, required=False),
        said_at=_instant(_text(said, "at", 40, required=False)),
    )


def heard_by_twilio(fields: Mapping[str, str]) -> Heard:
    """Return what somebody wrote, from Twilio. Raises Garbled.

    With OptOutType Twilio has acted on the word, in whatever language the account knows, and confirmed it itself.
    """
    wish = _text(fields, "OptOutType", 20, required=False).casefold()
    return Heard(
        text_ref=_text(fields, "MessageSid", REF_LENGTH),
        number=_text(fields, "From", 20),
        text=_text(fields, "Body", TEXT_LENGTH, required=False),
        wish=wish if wish in {"stop", "start"} else "",
    )


def _document(body: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Garbled("This is not JSON.") from error
    if not isinstance(found, dict):
        raise Garbled("This is not a JSON object.")
    return found


def _text(fields: Mapping[str, object], name: str, longest: int, *, required: bool = True) -> str:
    value = fields.get(name)
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    text = text.replace("\x00", "")[:longest]
    if required and not text.strip():
        raise Garbled(f"“{name}” is missing.")
    return text if name in {"text", "Body"} else text.strip()


def _key(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
