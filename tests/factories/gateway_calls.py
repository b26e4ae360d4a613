"""A text gateway that calls us, over real HTTP: what became of a text, and what somebody wrote back, signed."""

from __future__ import annotations

import json
from datetime import datetime
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from clinic.transports.signatures import signature, twilio_signature

from .sms_gateway import SECRET, SENDER, TOKEN, Text


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Return the status of the answer to a POST."""
    try:
        with urlopen(Request(url, body, headers, method="POST"), timeout=100) as answer:
            return answer.status
    except HTTPError as refused:
        return refused.code


def plain(url: str, said: dict[str, object], at: datetime, secret: str = SECRET) -> int:
    """Call as the plain gateway does."""
    body, stamp = json.dumps(said).encode(), str(int(at.timestamp()))
    headers = {"Content-Type": "application/json", "X-Signature-Timestamp": stamp}
    return post(url, body, {**headers, "X-Signature": signature(secret, stamp, body)})


def twilio(url: str, fields: dict[str, str], token: str = TOKEN) -> int:
    """Call as Twilio does."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": twilio_signature(token, url, fields.items()),
    }
    return post(url, urlencode(fields).encode(), headers)


def report(text: Text, status: str, at: datetime, code: str = "", **wrong: str) -> int:
    """The gateway that took the text over says at the address it was given what became of it."""
    if text.key:
        said = {"id": text.sid, "reference": text.key, "status": status, "at": at.isoformat()}
        return plain(text.callback, {**said, "code": code} if code else said, at, **wrong)
    fields = {
        "MessageSid": text.sid,
        "MessageStatus": status,
        "To": text.to,
        "From": SENDER,
        "ApiVersion": "2010-04-01",
    }
    return twilio(text.callback, {**fields, "ErrorCode": code} if code else fields, **wrong)
