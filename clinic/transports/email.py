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
_TAKEN = frozenset({250, 251})
# The server wants us to sign in, or does not let us: every letter would fare the same.
_OUR_FAULT = frozenset({530, 534, 535, 538})
ANSWER_LENGTH = 200
_LONGEST_LINE = 8192


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
        self._announced: tuple[str, str] | None = None  # sender and reader whom the server heard of, not yet answered

    def send(self, *, sender: str, to: str, message_bytes: bytes, then: str = "") -> Receipt:
        """Hand one letter over and say what came of it; never raises for what the network or the server does.

        Until the last line of the letter has left, nothing can have been delivered: refusals for now and lost
        connections are Retry. After it, silence is Unknown. `then` is whom the next letter is for, if one follows: a
        server that takes several commands at once hears it with the end of this one, and answers both in one go.
        """
        if not _ADDRESS.fullmatch(to):
            return Failed("This is not an email address.")
        try:
            try:
                return self._converse(sender, to, message_bytes, then, kept=self._is_open(sender, to))
            except _Stop as stop:
                return stop.receipt
        except BaseException:
            # Interrupted in the middle of a conversation: the line is no longer where we think it is.
            self.close()
            raise

    def close(self) -> None:
        """The connection is closed; the next letter opens another."""
        line, self._line, self._announced = self._line, None, None
        if line is not None:
            line.close()

    def _is_open(self, sender: str, to: str) -> bool:
        if self._line is not None and self._opened_by != os.getpid():
            self._line, self._announced = None, None  # the parent's, copied by a fork: not ours to use or to close
        if self._announced not in {None, (sender, to)}:
            self.close()  # it waits for another letter, which does not come
        return self._line is not None

    def _converse(self, sender: str, to: str, message_bytes: bytes, then: str, *, kept: bool) -> Receipt:
        line = self._line or self._open()
        try:
            self._envelope(line, sender, to)
            line.send(_stuffed(message_bytes) + self._announcement(line, sender, then))
        except smtplib.SMTPServerDisconnected as lost:
            self.close()
            if kept:  # it hung up while we had nothing to say: nothing of this letter had left
                return self._converse(sender, to, message_bytes, then, kept=False)
            return Retry(_words(lost) or "The mail server hung up.")
        except OSError as lost:
            self.close()
            return Retry(_words(lost))
        return self._verdict(line)

    def _envelope(self, line: smtplib.SMTP, sender: str, to: str) -> None:
        """The server waits for the letter. Raises _Stop with the first refusal.

        A server that offers pipelining is told everything at once: one round trip instead of three.
        """
        mail, rcpt = f"MAIL FROM:<{sender}>{_international(line, to)}", f"RCPT TO:<{to}>"
        if not line.has_extn("pipelining"):
            self._check(line, line.docmd(mail))
            self._check(line, line.docmd(rcpt))
            self._check(line, line.docmd("DATA"), expected=354)
            return
        if self._announced is None:
            line.send(f"{mail}\r\n{rcpt}\r\nDATA\r\n")
        self._announced = None
        answers = []
        for _ in (mail, rcpt, "DATA"):
            answers.append(_answer(line))
            if answers[-1][0] == 421:
                raise _Stop(self._refusal(line, *answers[-1]))  # it hangs up: there will be no further answer
        *taken, go_on = answers
        if go_on[0] == 354 and any(code not in _TAKEN for code, _ in taken):
            line.send(b".\r\n")  # it refused the reader and waits for a letter all the same: an empty one, to nobody
            _answer(line)
        for answer in taken:
            self._check(line, answer)
        self._check(line, go_on, expected=354)

    def _announcement(self, line: smtplib.SMTP, sender: str, to: str) -> bytes:
        """Return what may follow the end of a letter in the same breath (RFC 2920): whom the next one is for."""
        if not (to.isascii() and _ADDRESS.fullmatch(to) and line.has_extn("pipelining")):
            return b""
        self._announced = sender, to
        return f"MAIL FROM:<{sender}>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode()

    def _check(self, line: smtplib.SMTP, answer: tuple[int, bytes], expected: int = 250) -> None:
        if answer[0] == expected or (expected == 250 and answer[0] in _TAKEN):
            return
        raise _Stop(self._refusal(line, *answer))

    def _verdict(self, line: smtplib.SMTP) -> Receipt:
        """Return what the server says to a letter that has left whole."""
        try:
            code, answer = _answer(line)
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
            if self._announced is None:
                line.rset()
            else:
                self.close()  # the answers about the next letter stand in between: it begins anew on another line
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


def _answer(line: smtplib.SMTP) -> tuple[int, bytes]:
    """Return what the server says next: its code, -1 if it names none, and its words. Costs a third of `getreply`."""
    words = []
    while True:
        try:
            said = line.file.readline(_LONGEST_LINE) if line.file else b""
        except OSError as lost:
            raise smtplib.SMTPServerDisconnected(str(lost)) from lost
        if not said:
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        words.append(said[4:].strip())
        if said[3:4] != b"-" or not said[:3].isdigit():
            return int(said[:3]) if said[:3].isdigit() else -1, b"\n".join(words)


def _international(line: smtplib.SMTP, to: str) -> str:
    if to.isascii():
        return ""
    if not line.has_extn("smtputf8"):
        raise _Stop(Failed("The mail server cannot write to addresses outside ASCII."))
    line.command_encoding = "utf-8"
    return " SMTPUTF8"


def _stuffed(message: bytes) -> bytes:
    """Return the letter as DATA wants it: CRLF line ends, leading dots doubled, a lone dot at its end."""
    if not message.count(b"\r\n") == message.count(b"\r") == message.count(b"\n"):
        message = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    body = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
    return body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n")


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
