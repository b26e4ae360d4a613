"""A real SMTP server that follows a script: it can refuse, hang up, go silent, or keep its TLS to itself."""

from __future__ import annotations

import asyncio
import datetime
import email
import email.policy
import ipaddress
import socket
import ssl
import tempfile
import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, syntax
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DROP = "drop"
SILENCE = "silence"


@dataclass(frozen=True)
class Letter:
    sender: str
    to: str
    raw: bytes
    was_encrypted: bool

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def text(self) -> str:
        return self.message.get_body(("plain",)).get_content()


class SmtpServer:
    """`letters` are those it answered 250 to, `taken` all that it read whole, whatever it answered.

    `say(stage, *answers)` scripts what comes next at MAIL, RCPT, DATA (the command), END (after the letter) or
    STARTTLS: an SMTP answer, DROP to hang up, SILENCE to say nothing any more. After the script it takes everything.
    With `pipelining` it lets clients say several commands at once.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, pipelining: bool = False) -> None:
        self.pipelining = pipelining
        self.letters: list[Letter] = []
        self.taken: list[Letter] = []
        self.commands: list[str] = []
        self.connections = 0
        door = socket.create_server(("127.0.0.1", 0))  # kept from here on: nobody else can be given the port meanwhile
        self.port = door.getsockname()[1]
        self._script: dict[str, deque[str]] = defaultdict(deque)
        self._lock = threading.Lock()
        server = self

        class OurController(Controller):
            def factory(self) -> SMTP:
                return _Follower(server, tls)

            def _create_server(self):
                return self.loop.create_server(self._factory_invoker, sock=door)

        self._controller = OurController(object(), hostname="127.0.0.1", port=self.port, ready_timeout=100)

    def say(self, stage: str, *answers: str) -> None:
        self._script[stage].extend(answers)

    def next_answer(self, stage: str) -> str:
        with self._lock:
            return self._script[stage].popleft() if self._script[stage] else ""

    def __enter__(self) -> SmtpServer:
        self._controller.start()
        self.connections = 0  # the controller knocks once, and has been let in by then
        return self

    def __exit__(self, *exc: object) -> None:
        self._controller.stop()


class _Handler:
    """What is said at each stage of the conversation."""

    def __init__(self, script: SmtpServer) -> None:
        self.script = script

    async def said(self, server: SMTP, stage: str) -> str:
        """Return the answer to give, or never return: the line is cut, or nothing is said."""
        answer = self.script.next_answer(stage)
        if answer == DROP:
            server.transport.abort()
            raise asyncio.CancelledError
        if answer == SILENCE:
            await asyncio.sleep(3600)
        return answer

    async def handle_EHLO(self, server, session, envelope, hostname, responses) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]] if self.script.pipelining else responses

    async def handle_MAIL(self, server, session, envelope, address, options) -> str:
        self.script.commands.append(f"MAIL {address}")
        answer = await self.said(server, "MAIL") or "250 OK"
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:
        self.script.commands.append(f"RCPT {address}")
        answer = await self.said(server, "RCPT") or "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope) -> str:
        letter = Letter(envelope.mail_from, envelope.rcpt_tos[0], envelope.original_content, session.ssl is not None)
        self.script.taken.append(letter)
        answer = await self.said(server, "END") or "250 Taken as 42"
        if answer.startswith("250"):
            self.script.letters.append(letter)
        return answer


class _Follower(SMTP):
    def __init__(self, script: SmtpServer, tls: ssl.SSLContext | None) -> None:
        super().__init__(_Handler(script), hostname="sink.example", tls_context=tls, enable_SMTPUTF8=True)
        self.script = script

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.script.connections += 1
        super().connection_made(transport)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        answer = await self.event_handler.said(self, "DATA")
        if answer:
            await self.push(answer)
        else:
            await super().smtp_DATA(arg)

    @syntax("STARTTLS")
    async def smtp_STARTTLS(self, arg: str) -> bool | None:
        answer = await self.event_handler.said(self, "STARTTLS")
        if answer:
            await self.push(answer)
            return None
        return await super().smtp_STARTTLS(arg)


def self_signed() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS side of a server at 127.0.0.1, and of a client that trusts it and nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _serving(pem, secret), ssl.create_default_context(cadata=pem.decode())


def _serving(pem: bytes, secret: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem + secret)
        file.flush()
        context.load_cert_chain(file.name)
    return context
