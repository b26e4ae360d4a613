"""Text messages: `http` and `twilio` are gateways, `file` appends to a file (the demo), `none` sends nothing."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.urls import reverse

from clinic.transports.sms_http import HttpGateway, is_mobile
from clinic.transports.sms_twilio import Twilio
from clinic.transports.states import NO_NUMBER, Failed, Receipt, Retry, Sent, Unknown

_LATELY = 1_000_000  # bytes


class SmsGateway(Protocol):
    """Anything that takes texts over. `key` names the message: a gateway that keeps keys never sends one twice.

    `unsure_since` says that this text may have left already, and since when: a gateway that can look does so first.
    """

    repeats_safely: bool

    def send(self, *, to: str, text: str, key: str, at: datetime, unsure_since: datetime | None = None) -> Receipt: ...


class FileGateway:
    """Appends each text as one JSON line `{key, at, to, text}`. The same key again is the same text, written once."""

    repeats_safely = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, *, to: str, text: str, key: str, at: datetime, unsure_since: datetime | None = None) -> Receipt:
        if not is_mobile(to):
            return Failed(NO_NUMBER)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._holds(key):
                return Sent(key)
            line = json.dumps({"key": key, "at": at.isoformat(), "to": to, "text": text}, ensure_ascii=False)
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            return Retry(str(error), gateway_down=True)
        try:
            os.write(file, f"{line}\n".encode())  # one write: two processes never mix their lines
            os.fsync(file)
        except OSError as error:
            return Unknown(str(error))
        finally:
            os.close(file)
        return Sent(key)

    def _holds(self, key: str) -> bool:
        """Return whether the key was written lately: a key comes back within hours, and old lines cost nothing."""
        if not self.path.exists():
            return False
        needle = f'{{"key": {json.dumps(key)},'.encode()
        with self.path.open("rb") as lines:
            lines.seek(max(self.path.stat().st_size - _LATELY, 0))
            return any(line.startswith(needle) for line in lines)


def sms_gateway() -> SmsGateway | None:
    """Return the gateway of the settings, None where the clinic sends no texts."""
    match settings.SMS_GATEWAY:
        case "file":
            return FileGateway(Path(settings.SMS_FILE))
        case "http":
            return HttpGateway(
                settings.SMS_HTTP_URL, settings.SMS_HTTP_TOKEN, callback=callback_address("http_receipt")
            )
        case "twilio":
            return Twilio(
                settings.TWILIO_ACCOUNT_SID,
                settings.TWILIO_AUTH_TOKEN,
                settings.TWILIO_FROM,
                settings.TWILIO_URL,
                callback=callback_address("twilio_receipt"),
            )
    return None


def callback_address(name: str) -> str:
    """Return where a gateway may tell us something, by the address's name; empty where none could reach us."""
    return settings.SMS_CALLBACK_URL + reverse(name) if settings.SMS_CALLBACK_URL else ""
