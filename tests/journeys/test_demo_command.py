"""`make demo`'s command as a person uses it: real processes, real signals."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from clinic.standalone.processes import any_free_port
from treatments.demo.states import DEMO_LOGINS

ROOT = Path(__file__).resolve().parents[2]
BARE = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL", "AFTERGLOW_MODE"}}


class Demo:
    """One run of the command, its output collected line by line."""

    started: ClassVar[list["Demo"]] = []

    def __init__(self, data: Path, port: int, *more: str) -> None:
        self.data, self.port = data, port
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--data", str(data), "--port", str(port), *more],
            cwd=ROOT,
            env=BARE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""
        Demo.started.append(self)

    def until(self, words: str, patience: float = 800) -> str:
        deadline = time.monotonic() + patience
        while words not in self.said:
            line = self.process.stdout.readline()
            self.said += line
            if not line:
                raise AssertionError(f"The demo ended without saying {words!r}:\n{self.said}")
            assert time.monotonic() < deadline, self.said
        return self.said

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=100) as answer:
            return answer.read().decode()

    def minded(self) -> list[psutil.Process]:
        """Every process the demo started and minds."""
        return [process for process in psutil.process_iter() if self._minds(process)]

    def _minds(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("AFTERGLOW_MINDED") == str(self.data)
        except psutil.Error:
            return False

    def postgres_runs(self) -> bool:
        return any(
            process.info["cmdline"] and str(self.data / "postgres") in process.info["cmdline"]
            for process in psutil.process_iter(["cmdline"])
        )

    def end(self, how: int = signal.SIGINT) -> str:
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=200)
        self.said += rest
        return self.said


@pytest.fixture(autouse=True)
def _nothing_stays_behind():
    """A demo that a failed test left running ends with its test."""
    yield
    for demo in Demo.started:
        if demo.process.poll() is None:
            demo.process.terminate()
        demo.process.wait(200)
        demo.process.stdout.close()
    Demo.started.clear()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.mark.timeout(1800)
def test_the_demo_starts_stops_resumes_and_heals(data):
    port = any_free_port()

    first = Demo(data, port)
    said = first.until("Ctrl-C stops everything")
    assert f"http://127.0.0.1:{port}/" in said
    assert "Mailbox" in said
    assert len(re.findall(r"^  \S+@\S+ ", said, re.MULTILINE)) == len(DEMO_LOGINS)
    assert "Afterglow" in first.get("/")
    assert first.get("/livez") == "alive\n"
    assert {"web", "worker", "beat"} <= {log.stem for log in (data / "logs").iterdir()}
    twin = Demo(data, any_free_port())
    assert "A demo is already running in" in twin.process.communicate(timeout=200)[0]
    assert first.get("/livez") == "alive\n"
    first.end(signal.SIGTERM)
    assert first.process.returncode == 0
    assert first.minded() == []
    assert not first.postgres_runs()

    second = Demo(data, port)
    said = second.until("Ctrl-C stops everything")
    assert "Setting up" not in said  # the data was there
    second.process.kill()  # the minder dies without a word
    second.process.wait()

    third = Demo(data, port)
    third.until("Ctrl-C stops everything")
    assert "Afterglow" in third.get("/")
    worker = next(process for process in third.minded() if "worker" in process.cmdline())
    worker.kill()
    third.until("worker stopped by itself")
    third.end()
    assert third.minded() == []
    assert not third.postgres_runs()


def test_a_taken_port_is_said_plainly(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        demo = Demo(tmp_path / "data", port)
        said, _ = demo.process.communicate(timeout=200)

    assert f"Port {port} is taken by another program." in said
    assert "Traceback" not in said
    assert demo.process.returncode == 1


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "letters.txt").write_text("mine")

    demo = Demo(tmp_path, any_free_port(), "--fresh")
    said, _ = demo.process.communicate(timeout=200)

    assert "holds something that is not a demo of ours" in said
    assert "Traceback" not in said
    assert (tmp_path / "letters.txt").read_text() == "mine"
    assert demo.process.returncode == 1


def test_a_file_instead_of_a_folder_is_said_plainly(tmp_path):
    (tmp_path / "data").write_text("")

    demo = Demo(tmp_path / "data", any_free_port())
    said, _ = demo.process.communicate(timeout=200)

    assert "is a file" in said
    assert demo.process.returncode == 1
