"""Email over SMTP, on a connection that is kept from one letter to the next."""

from __future__ import annotations

import os
import re
import smtplib
import ssl
import threading
from typing import NamedTuple

from django.conf import settings

from clinic.transports.states import Failed, Receipt, Retry, Sent, Unknown

# Fits an envelope: nothing that could end the address or begin another command.
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"\\\x00-\x20\x7f]+@[^\s<>()\[\],;:\"\\@\x00-\x20\x7f]+")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
_ANY_NEWLINE = re.compile(rb"\r\n|\r|\n")
# The server wants us to sign in, or does not let us: every letter would fare the same.
_OUR_FAULT = frozenset({530, 534, 535, 538})
ANSWER_LENGTH = 200


class _Stop(Exception):
    """The conversation ends here with this receipt."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        super().__init__()


class Smtp:
    """An SMTP server. One thread, one connection: opened when first needed, reopened after an error.

    With `starttls` nothing is said to the server, and no password given, before the line is encrypted.
    """

    # SMTP has neither a key nor a look-up: sent twice, it arrives twice.
    repeats_safely = False

    def __init__(
        self,
        host: str,
        port: int,
        *,
        username: str = "",
        password: str = "",
        starttls: bool = False,
        timeout: float = 20,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.username, self.password = username, password
        self.starttls, self.timeout = starttls, timeout
        self.tls = tls or (ssl.create_default_context() if starttls else None)
        self._line: smtplib.SMTP | None = None
        self._opened_by = 0

    def send(self, *, sender: str, to: str, message_bytes: bytes) -> Receipt:
        """Hand one letter over and say what came of it; never raises for what the network or the server does.

        Until the last line of the letter has left, nothing can have been delivered: refusals for now and lost
        connections are Retry. After it, silence is Unknown.
        """
        if not _ADDRESS.fullmatch(to):
            return Failed("This is not an email address.")
        try:
            try:
                return self._converse(sender, to, message_bytes, kept=self._is_open())
            except _Stop as stop:
                return stop.receipt
        except BaseException:
            # Interrupted in the middle of a conversation: the line is no longer where we think it is.
            self.close()
            raise

    def close(self) -> None:
        """The connection is closed; the next letter opens another."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _is_open(self) -> bool:
        if self._line is not None and self._opened_by != os.getpid():
            self._line = None  # the parent's connection, copied by a fork: not ours to use or to close
        return self._line is not None

    def _converse(self, sender: str, to: str, message_bytes: bytes, *, kept: bool) -> Receipt:
        line = self._line or self._open()
        try:
            self._command(line, f"MAIL FROM:<{sender}>{_international(line, to)}")
            self._command(line, f"RCPT TO:<{to}>")
            self._command(line, "DATA", expected=354)
            line.send(_stuffed(message_bytes))
        except smtplib.SMTPServerDisconnected as lost:
            self.close()
            if kept:  # it hung up while we had nothing to say: nothing of this letter had left
                return self._converse(sender, to, message_bytes, kept=False)
            return Retry(_words(lost) or "The mail server hung up.")
        except OSError as lost:
            self.close()
            return Retry(_words(lost))
        return self._verdict(line)

    def _command(self, line: smtplib.SMTP, command: str, expected: int = 250) -> None:
        code, answer = line.docmd(command)
        if code == expected or (expected == 250 and code == 251):
            return
        raise _Stop(self._refusal(line, code, answer))

    def _verdict(self, line: smtplib.SMTP) -> Receipt:
        """Return what the server says to a letter that has left whole."""
        try:
            code, answer = line.getreply()
        except (OSError, smtplib.SMTPException) as lost:
            self.close()
            return Unknown(_words(lost) or "The mail server hung up after the letter had left.")
        if code == 250:
            return Sent(_decoded(answer))
        if 400 <= code < 600:
            return self._refusal(line, code, answer)
        self.close()
        return Unknown(f"{code} {_decoded(answer)}"[:ANSWER_LENGTH])

    def _refusal(self, line: smtplib.SMTP, code: int, answer: bytes) -> Receipt:
        said = f"{code} {_decoded(answer)}".strip()[:ANSWER_LENGTH]
        if code == 421 or not 400 <= code < 600:
            self.close()  # 421: it hangs up now
            return Retry(said, gateway_down=code == 421)
        try:
            line.rset()
        except (OSError, smtplib.SMTPException):
            self.close()
        if code in _OUR_FAULT:
            self.close()
            return Retry(said, gateway_down=True)
        return Retry(said) if code < 500 else Failed(said)

    def _open(self) -> smtplib.SMTP:
        """Return a line ready for letters, encrypted if that was asked for. Raises _Stop with a Retry."""
        line = None
        try:
            line = smtplib.SMTP(self.host, self.port, timeout=self.timeout)
            line.ehlo_or_helo_if_needed()
            if self.starttls:
                line.starttls(context=self.tls)
                line.ehlo()
            if self.username:
                line.login(self.username, self.password)
        except (OSError, smtplib.SMTPException) as refused:
            # Also when STARTTLS is not offered or fails: waiting is right, sending in the clear never is.
            if line is not None:
                line.close()
            raise _Stop(Retry(_words(refused), gateway_down=True)) from refused
        self._line, self._opened_by = line, os.getpid()
        return line


def _international(line: smtplib.SMTP, to: str) -> str:
    if to.isascii():
        return ""
    if not line.has_extn("smtputf8"):
        raise _Stop(Failed("The mail server cannot write to addresses outside ASCII."))
    line.command_encoding = "utf-8"
    return " SMTPUTF8"


def _stuffed(message: bytes) -> bytes:
    """Return the letter as DATA wants it: CRLF line ends, leading dots doubled, a lone dot at its end."""
    body = _LEADING_DOT.sub(b"..", _ANY_NEWLINE.sub(b"\n", message)).replace(b"\n", b"\r\n")
    return body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _decoded(answer: bytes) -> str:
    return " ".join(answer.decode("utf-8", "replace").split())[:ANSWER_LENGTH]


def _words(error: BaseException) -> str:
    """Return an error as the log shows it."""
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {_decoded(said) if isinstance(said, bytes) else said}"[:ANSWER_LENGTH]
    return (str(error) or type(error).__name__)[:ANSWER_LENGTH]


class _Config(NamedTuple):
    host: str
    port: int
    username: str
    password: str
    starttls: bool
    timeout: float


_kept = threading.local()


def smtp() -> Smtp:
    """Return this thread's connection to the mail server of the settings; the same one as long as they stay."""
    config = _Config(
        settings.EMAIL_HOST,
        settings.EMAIL_PORT,
        settings.EMAIL_HOST_USER,
        settings.EMAIL_HOST_PASSWORD,
        settings.EMAIL_USE_TLS,
        settings.EMAIL_TIMEOUT,
    )
    if getattr(_kept, "config", None) != config:
        if hasattr(_kept, "server"):
            _kept.server.close()
        _kept.config = config
        _kept.server = Smtp(
            config.host,
            config.port,
            username=config.username,
            password=config.password,
            starttls=config.starttls,
            timeout=config.timeout,
        )
    server: Smtp = _kept.server
    return server
