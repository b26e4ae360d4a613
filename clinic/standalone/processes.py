"""Minding child processes: start them, restart what falls, end every one of them."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
RESTARTS_AT_MOST = 5


def _die_with_parent() -> None:
    """On Linux, a child whose minder is killed outright gets SIGTERM by itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def port_is_free(port: int) -> bool:
    """True if 127.0.0.1 can be listened to on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens to now.

    It lies below those that the system hands out by itself: none of its connections can take it meanwhile.
    """
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - nothing secret
        if port_is_free(port):
            return port


def end_leftovers(marker: str, spare: int) -> int:
    """Processes of ours that a killed predecessor left behind are gone; return how many there were.

    They are known by the marker in their environment; `spare` is the process that asks, and its children.
    """
    mine = {spare} | {child.pid for child in psutil.Process(spare).children(recursive=True)}
    found = [process for process in psutil.process_iter() if process.pid not in mine and _carries(process, marker)]
    for process in found:
        process.terminate()
    _, stubborn = psutil.wait_procs(found, timeout=5)
    for process in stubborn:
        process.kill()
    return len(found)


def _carries(process: psutil.Process, marker: str) -> bool:
    try:
        return process.environ().get("AFTERGLOW_MINDED") == marker
    except (psutil.Error, OSError):
        return False


@dataclass
class Minder:
    """Starts commands and keeps them running until `end_all`. Each writes into its own log file."""

    logs: Path
    environment: Mapping[str, str]
    say: Callable[[str], None]
    _commands: dict[str, list[str]] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _restarts: dict[str, int] = field(default_factory=dict)

    def start(self, name: str, command: list[str]) -> None:
        """The command runs in a process group of its own, so that a Ctrl-C reaches only the minder."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._commands[name] = command
        with (self.logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def restart_fallen(self) -> None:
        """What ended by itself runs again. Raises RuntimeError, naming its log, when it falls again and again."""
        for name, process in list(self._running.items()):
            if process.poll() is None:
                continue
            self._restarts[name] = self._restarts.get(name, 0) + 1
            if self._restarts[name] > RESTARTS_AT_MOST:
                raise RuntimeError(f"{name} keeps stopping. Its log: {self.logs / f'{name}.log'}")
            self.say(f"{name} stopped by itself (exit code {process.returncode}); starting it again.")
            time.sleep(0.5)
            self.start(name, self._commands[name])

    def end_all(self, patience: float = 15) -> None:
        """Every command has ended: asked first, killed when it does not listen. Last started, first asked."""
        for process in reversed(self._running.values()):
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + patience
        for process in self._running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._running.clear()
