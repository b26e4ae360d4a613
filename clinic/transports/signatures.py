"""Whether a gateway's call is really the gateway's: signatures of webhooks, compared in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta

# A signed call that is older, or further ahead of our clock, is somebody's recording.
REPLAY_WINDOW = timedelta(minutes=5)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what the generic gateway signs: hex HMAC-SHA256 over "<unix seconds>.<body>"."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def is_signed(*, secret: str, timestamp: str, body: bytes, given: str, at: datetime) -> bool:
    """True if the call was signed with our secret within REPLAY_WINDOW of `at`. Without a secret nothing is."""
    if not secret or not (timestamp.isascii() and timestamp.isdecimal()) or len(timestamp) > 12:
        return False
    if abs(at.timestamp() - int(timestamp)) > REPLAY_WINDOW.total_seconds():
        return False
    return hmac.compare_digest(signature(secret, timestamp, body).encode(), given.encode())


def twilio_signature(token: str, url: str, fields: Iterable[tuple[str, str]]) -> str:
    """Return X-Twilio-Signature: base64 HMAC-SHA1 over the whole URL and each form field, sorted by name.

    Source: Twilio, "Webhooks security". A field that came twice with one value counts once.
    """
    said = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()).decode()


def is_twilios(*, token: str, url: str, fields: Iterable[tuple[str, str]], given: str) -> bool:
    """True if the call was signed with the account's token. Twilio signs no time: what came twice must act once."""
    return bool(token) and hmac.compare_digest(twilio_signature(token, url, fields).encode(), given.encode())
