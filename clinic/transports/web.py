"""One question over HTTPS and its answer: kept connections, nothing repeated, nothing followed."""

from __future__ import annotations

import http.client
import json
import os
import select
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings

ANSWER_LENGTH = 200
_LONGEST_ANSWER = 256 * 1024  # bytes
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# A gateway that says "not before next year" would silence a clinic: we look again after an hour.
_LONGEST_PAUSE = timedelta(hours=1)


class NotReached(Exception):
    """The question never left us."""


class AnswerLost(Exception):
    """The question may have left whole, and no answer came."""


@dataclass(frozen=True)
class Answer:
    """What was answered. The body is empty where it was lost on the way and the status says enough."""

    status: int
    body: bytes
    headers: Message

    @property
    def document(self) -> dict[str, object]:
        """The body as a JSON object; empty if it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def in_words(self) -> str:
        """Return the answer as the log shows it."""
        said = " ".join(self.body.decode("utf-8", "replace").split())
        return f"{self.status} {said}".strip()[:ANSWER_LENGTH]

    def retry_after(self, at: datetime) -> timedelta | None:
        """Return how long the gateway wants to be left alone, an hour at most; None if it names no time."""
        said = str(self.headers.get("Retry-After", "")).strip()
        try:
            if said.isascii() and said.isdecimal():
                pause = timedelta(seconds=min(int(said[:9]), _LONGEST_PAUSE.total_seconds()))
            else:
                pause = parsedate_to_datetime(said) - at
        except (ValueError, TypeError, OverflowError):
            return None
        return min(max(pause, timedelta(0)), _LONGEST_PAUSE)


def checked_address(url: str) -> str:
    """Return the address. Raises ValueError unless it is https, or on this machine: texts tell who is a patient."""
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise ValueError("The address of a text gateway must start with https://.")
    return url


def ask(method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
    """Put one question and return the answer, whatever its status. Raises NotReached or AnswerLost."""
    parts = urlsplit(url)
    try:
        line = _line(parts.scheme, parts.netloc)
    except OSError as error:  # also a certificate that nobody vouches for: then nothing was said
        raise NotReached(_unreached(error)) from error
    try:
        return _asked(
            line, method, f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/", headers, body
        )
    except (OSError, http.client.HTTPException) as error:
        line.close()
        raise AnswerLost(_lost(error)) from error
    except BaseException:
        line.close()  # interrupted in the middle: the answer to this must not be taken for that to the next
        raise


def _asked(
    line: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> Answer:
    line.request(method, target, body, headers)
    response = line.getresponse()
    said = b""
    try:
        said = response.read(_LONGEST_ANSWER)
        if response.length and len(said) < _LONGEST_ANSWER:
            raise http.client.IncompleteRead(said, response.length)
    except (OSError, http.client.HTTPException):
        line.close()
        if response.status < 400:
            raise
        said = b""
    if not response.isclosed():
        line.close()  # longer than anything we read
    return Answer(response.status, said, response.headers)


def _unreached(error: OSError) -> str:
    """Return why nothing was said, as the log shows it."""
    if isinstance(error, ssl.SSLError):
        return _words(error)  # which certificate, and what is wrong with it
    return "The gateway did not pick up." if isinstance(error, TimeoutError) else "The gateway could not be reached."


def _lost(error: OSError | http.client.HTTPException) -> str:
    """Return why there is no answer, as the log shows it."""
    if isinstance(error, TimeoutError):
        return f"No answer within {settings.SMS_TIMEOUT} seconds."
    if isinstance(error, ConnectionError | http.client.IncompleteRead):
        return "The line was cut before the answer came."
    return _words(error)


def _words(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:ANSWER_LENGTH]


_kept = threading.local()  # `lines`: by scheme and place; `opened_by`: the process


def _line(scheme: str, place: str) -> http.client.HTTPConnection:
    """Return this thread's open connection to a server. Those of a parent, copied by a fork, are not ours to use."""
    if getattr(_kept, "opened_by", None) != os.getpid():
        _kept.lines, _kept.opened_by = {}, os.getpid()
    lines: dict[tuple[str, str], http.client.HTTPConnection] = _kept.lines
    line = lines.get((scheme, place))
    if line is None:
        line = lines[scheme, place] = (
            http.client.HTTPSConnection(place, context=_trust())
            if scheme == "https"
            else http.client.HTTPConnection(place)
        )
    if line.sock is not None and _hung_up(line):
        line.close()
    if line.sock is None:
        line.timeout = min(5, settings.SMS_TIMEOUT)
        try:
            line.connect()
        except BaseException:
            line.close()
            raise
    line.sock.settimeout(settings.SMS_TIMEOUT)
    return line


def _hung_up(line: http.client.HTTPConnection) -> bool:
    """Return whether a server that we have not asked anything says something all the same: that it has gone."""
    poll = select.poll()
    poll.register(line.sock, select.POLLIN)
    return bool(poll.poll(0))


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def close_connections() -> None:
    """Every kept connection of this thread is closed; the next question opens another."""
    if getattr(_kept, "opened_by", None) == os.getpid():
        for line in _kept.lines.values():
            line.close()
    _kept.lines = {}
