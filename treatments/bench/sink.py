"""A mail server that takes everything at once and keeps nothing: `python -m treatments.bench.sink`, prints its port.

Debian's smtp-sink does the same in C and is used where it is installed.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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
            return b"250-sink\r\n250 8BITMIME\r\n"
        return b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n"


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Sink, HOST, 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextmanager
def running(folder: str) -> Iterator[tuple[int, str]]:
    """Yield the port of a sink that runs as a process of its own, and what it is."""
    program = shutil.which("smtp-sink") or shutil.which("/usr/sbin/smtp-sink")
    if program:
        port = _free_port()
        process = subprocess.Popen([program, f"{HOST}:{port}", "100"], text=True)
        _wait_for(port)
    else:
        process = subprocess.Popen(
            [sys.executable, "-m", "treatments.bench.sink"], stdout=subprocess.PIPE, text=True, cwd=folder
        )
        assert process.stdout is not None
        port = int(process.stdout.readline())
    try:
        yield port, "smtp-sink" if program else "an asyncio sink"
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
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(_serve())
