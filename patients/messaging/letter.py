"""A written message as the bytes that SMTP carries.

The parts of a letter are always the same, so they stand here ready and only what differs is put in. The standard
library's mail classes do it in two milliseconds; they still encode every header that is not plain, short ASCII.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from binascii import b2a_qp
from datetime import datetime
from email.headerregistry import Address
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from functools import lru_cache

from django.conf import settings

from patients.messaging.enclosures import CalendarFile
from patients.messaging.rendering import Unwritable, Written
from patients.messaging.rules import fold

# Fits a header line as it stands: nothing to encode, nothing to quote, nothing that could begin another line.
_PLAIN_TEXT = re.compile(r"[!-~](?:[ -~]{0,58}[!-~])?")
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_LONGEST_LINE = 900  # characters; SMTP takes 998
_SEVEN_BIT, _QUOTED = (
    {
        kind: f'Content-Type: {kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {how}\r\n\r\n'.encode()
        for kind in ("text/plain", "text/html")
    }
    for how in ("7bit", "quoted-printable")
)
# Quoted-printable never holds "=_", base64 never "_", and what stands as it is does not: no part can end itself.
_INNER, _OUTER = b"=_afterglow_inner", b"=_afterglow_outer"


def as_letter(written: Written, *, to: str, ref: object, at: datetime, calendar: CalendarFile | None = None) -> bytes:
    """Return the letter as SMTP carries it. The same message always has the same Message-ID, sent once or twice.

    Whether `to` is an address is for the transport to say: a refused one gives way to another channel.
    """
    sender, address = _sender(settings.DEFAULT_FROM_EMAIL)
    lines = [
        _to(fold(to)),
        sender,
        _subject(written.subject, to.isascii()),
        _date(at),
        f"Message-ID: <{ref}@{address.rpartition('@')[2]}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
    ]
    head = "\r\n".join(lines)
    if not all(map(str.isprintable, lines)) and _begins_a_line(head, len(lines)):
        raise Unwritable("A header of the letter would begin a line of its own.")
    return head.encode() + b"\r\n" + _body(written, calendar)


def envelope_sender() -> str:
    """Return the bare address that letters come from."""
    return _sender(settings.DEFAULT_FROM_EMAIL)[1]


def _begins_a_line(head: str, count: int) -> bool:
    """Return whether more headers begin than there should; a long one goes on behind a space."""
    begun = [line for line in re.split(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+", head) if line[:1] not in {" ", "\t"}]
    return len(begun) != count


@lru_cache(maxsize=4)
def _sender(configured: str) -> tuple[str, str]:
    name, address = parseaddr(configured)
    return _encoded("From", Address(fold(name), addr_spec=address), plain=True), address


@lru_cache(maxsize=4)
def _date(at: datetime) -> str:
    return f"Date: {format_datetime(at)}"  # one for all that are written together


def _to(address: str) -> str:
    if _PLAIN_ADDRESS.fullmatch(address) and len(address) < 70:
        return f"To: {address}"
    user, _, domain = address.rpartition("@")
    return _encoded("To", Address(username=user, domain=domain), plain=address.isascii())


def _subject(text: str, plain: bool) -> str:
    return f"Subject: {text}" if _PLAIN_TEXT.fullmatch(text) else _encoded_subject(text, plain)


@lru_cache(maxsize=256)
def _encoded_subject(text: str, plain: bool) -> str:
    return _encoded("Subject", text, plain=plain)


def _encoded(name: str, value: str | Address, *, plain: bool) -> str:
    """Return a header line as the standard library encodes and folds it; as UTF-8 where the reader's address is."""
    policy = SMTP if plain else SMTPUTF8
    header: str = policy.header_factory(name, value).fold(policy=policy)
    return header.rstrip("\r\n")


def _body(written: Written, calendar: CalendarFile | None) -> bytes:
    text = _part("text/plain", written.text)
    if written.html:
        text = _multipart(b"alternative", _INNER, text, _part("text/html", written.html))
    if calendar is None:
        return text
    return _multipart(b"mixed", _OUTER, text, _enclosed(calendar))


def _part(kind: str, text: str) -> bytes:
    """Return a part as it stands if any server takes it so, else with what is not plain spelled out."""
    lines = text.split("\n")
    if text.isascii() and "".join(lines).isprintable() and "=_" not in text and max(map(len, lines)) <= _LONGEST_LINE:
        return _SEVEN_BIT[kind] + "\r\n".join(lines).encode()
    return _QUOTED[kind] + b2a_qp(text.encode(), istext=True).replace(b"\n", b"\r\n")


def _enclosed(calendar: CalendarFile) -> bytes:
    if not calendar.method.isalpha():
        raise Unwritable("The visit's calendar file cannot be used.")
    head = (
        f'Content-Type: text/calendar; charset="utf-8"; method="{calendar.method}"\r\n'
        'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="visit.ics"\r\n\r\n'
    )
    return head.encode() + encodebytes(calendar.text.encode()).replace(b"\n", b"\r\n")


def _multipart(kind: bytes, line: bytes, *parts: bytes) -> bytes:
    head = b"Content-Type: multipart/" + kind + b'; boundary="' + line + b'"\r\n\r\n'
    return head + b"".join(b"--" + line + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + line + b"--\r\n"
