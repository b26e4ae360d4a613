"""One question over HTTPS and its answer: kept connections, nothing repeated, nothing followed."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import urllib3
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
    headers: Mapping[str, str]

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
        said = self.headers.get("Retry-After", "").strip()
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
    timeout = urllib3.Timeout(connect=min(5, settings.SMS_TIMEOUT), read=settings.SMS_TIMEOUT)
    parts = urlsplit(url)
    try:
        response = _pool(f"{parts.scheme}://{parts.netloc}").urlopen(
            method,
            f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
            body=body,
            headers=dict(headers),
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
    except urllib3.exceptions.ConnectTimeoutError as error:
        raise NotReached(_words(error)) from error
    except urllib3.exceptions.SSLError as error:
        if _is_mistrust(error):
            raise NotReached(_words(error)) from error
        raise AnswerLost(_words(error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise AnswerLost(_words(error)) from error
    try:
        said = response.read(_LONGEST_ANSWER)
    except urllib3.exceptions.HTTPError as error:
        response.close()
        if response.status < 400:
            raise AnswerLost(_words(error)) from error
        said = b""
    finally:
        response.release_conn()
    return Answer(response.status, said, response.headers)


def _is_mistrust(error: BaseException) -> bool:
    """True if the server's certificate was refused: then nothing was said to it."""
    causes = (*error.args, error.__cause__, error.__context__)
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)


def _words(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:ANSWER_LENGTH]


_kept: tuple[int, dict[str, urllib3.HTTPConnectionPool]] | None = None


def _pool(origin: str) -> urllib3.HTTPConnectionPool:
    """Return this process's connections to a server. Those of a parent, copied by a fork, are not ours to use."""
    global _kept
    kept = _kept
    if kept is None or kept[0] != os.getpid():
        kept = _kept = os.getpid(), {}
    pools = kept[1]
    if origin not in pools:
        pools[origin] = urllib3.connection_from_url(origin, maxsize=4)
    return pools[origin]


def close_connections() -> None:
    """Every kept connection is closed; the next question opens another."""
    global _kept
    kept, _kept = _kept, None
    if kept is not None and kept[0] == os.getpid():
        for pool in kept[1].values():
            pool.close()
