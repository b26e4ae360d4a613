"""Servers that take everything at once and keep nothing: `python -m treatments.bench.sink mail` or `texts`.

Each prints its port. For mail Debian's smtp-sink does the same in C and is used where it is installed.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HOST = "127.0.0.1"


class Sink(asyncio.Protocol):
    """One conversation. Commands are answered in the order in which their lines end."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.rest = b""
        self.in_letter = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.rest += data
        answers = b""
        while True:
            end = b"\r\n.\r\n" if self.in_letter else b"\r\n"
            line, found, rest = self.rest.partition(end)
            if not found:
                break
            self.rest = rest
            answers += self._answer(line)
        if answers:
            self.transport.write(answers)

    def _answer(self, line: bytes) -> bytes:
        if self.in_letter:
            self.in_letter = False
            return b"250 taken\r\n"
        word = line[:4].upper()
        if word == b"DATA":
            self.in_letter = True
            return b"354 go on\r\n"
        if word == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        return b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n"


class TextSink(asyncio.Protocol):
    """One kept connection to a text gateway: each request is a text, and taken over."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.rest = b""
        self.taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.rest += data
        while True:
            head, found, body = self.rest.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if not found or len(body) < (size := int(length[1]) if length else 0):
                return
            self.rest = body[size:]
            self.taken += 1
            said = b'{"id": "T%d"}' % self.taken
            self.transport.write(
                b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(said), said)
            )


_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


async def _serve(kind: Callable[[], asyncio.Protocol]) -> None:
    server = await asyncio.get_running_loop().create_server(kind, HOST, 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextmanager
def running(folder: str) -> Iterator[tuple[int, str]]:
    """Yield the port of a mail sink that runs as a process of its own, and what it is."""
    program = shutil.which("smtp-sink") or shutil.which("/usr/sbin/smtp-sink")
    if program:
        port = _free_port()
        with _ended(subprocess.Popen([program, f"{HOST}:{port}", "100"], text=True)):
            _wait_for(port)
            yield port, "smtp-sink"
    else:
        with _ours("mail", folder) as port:
            yield port, "an asyncio sink"


@contextmanager
def texts(folder: str) -> Iterator[int]:
    """Yield the port of a sink for texts that runs as a process of its own."""
    with _ours("texts", folder) as port:
        yield port


@contextmanager
def _ours(kind: str, folder: str) -> Iterator[int]:
    command = [sys.executable, "-m", "treatments.bench.sink", kind]
    with _ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process has ended when the block has."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(_serve({"mail": Sink, "texts": TextSink}[sys.argv[1]]))
