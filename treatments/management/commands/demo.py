"""`manage.py demo`: a whole clinic on a bare machine, with nothing installed but Python."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from clinic.standalone import mailbox, postgres, processes
from treatments.demo.states import DEMO_LOGINS, DEMO_PASSWORD

LOCK = "afterglow.lock"  # marks the folder as ours, and is held while a demo runs in it
KEYS = "keys.json"


class Command(BaseCommand):
    help = "Start a demo clinic: embedded PostgreSQL, web server, Celery worker and beat. Ctrl-C stops everything."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="port of the web server on 127.0.0.1")
        parser.add_argument("--data", type=Path, default=settings.DATA_DIR, help="folder that keeps the demo's data")
        parser.add_argument("--fresh", action="store_true", help="throw the demo's data away and start over")

    def handle(self, *args: Any, port: int, data: Path, fresh: bool, **options: Any) -> None:
        began = time.monotonic()
        data = data.expanduser().resolve()
        hold = claim_folder(data)
        if fresh:
            start_over(data)
        keys = read_keys(data)
        healed = processes.end_leftovers(str(data), spare=os.getpid())
        if healed:
            self.say(f"Ended {healed} processes that an earlier demo had left behind.")
        if not processes.port_is_free(port):
            raise CommandError(
                f'Port {port} is taken by another program. Choose another: make demo ARGS="--port {port + 1}"'
            )
        for request in (signal.SIGINT, signal.SIGTERM):
            signal.signal(request, _as_interrupt)
        server = None
        letters = None
        minder = processes.Minder(logs=data / "logs", environment={}, say=self.say)
        try:
            server = postgres.start(data / "postgres")
            smtp_port = processes.any_free_port()
            letters = mailbox.start(data / "mailbox", smtp_port)
            environment = demo_environment(data, keys, server, port, smtp_port)
            minder.environment = environment
            prepare(data, environment, server, self.say)
            start_everything(minder, data, port)
            wait_until_up(port, minder)
            self.greet(port, data, time.monotonic() - began)
            while True:
                time.sleep(1)
                minder.restart_fallen()
        except KeyboardInterrupt:
            self.say("\nStopping.")
        except RuntimeError as fallen:
            raise CommandError(str(fallen)) from fallen
        finally:
            # A second Ctrl-C must not leave half of it running.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            minder.end_all()
            if letters is not None:
                letters.stop()
            if server is not None:
                postgres.stop(data / "postgres")
            hold.close()
            self.say(f"Stopped. The data stays in {data}.")

    def say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()

    def greet(self, port: int, data: Path, seconds: float) -> None:
        width = max(len(email) for _, email in DEMO_LOGINS)
        lines = [
            "",
            f"Afterglow is running (started in {seconds:.1f} s).",
            "",
            f"  Clinic    http://127.0.0.1:{port}/",
            f"  Mailbox   http://127.0.0.1:{port}/mailbox/   (letters and texts patients received)",
            "",
            f"  Sign in with the password  {DEMO_PASSWORD}",
            *(f"  {email:<{width}}   {role}" for role, email in DEMO_LOGINS),
            "",
            f"  Data in {data}. Ctrl-C stops everything.",
        ]
        self.say("\n".join(lines))


def _as_interrupt(*_args: Any) -> None:
    raise KeyboardInterrupt


def claim_folder(data: Path) -> IO[str]:
    """The folder is ours and nobody else's demo runs in it: return the open file whose lock says so.

    Refuses a folder that holds other things, and one in which a demo is running. A killed demo holds no lock.
    """
    if data.exists() and not data.is_dir():
        raise CommandError(f"{data} is a file. Choose a folder with --data.")
    if data.exists() and any(data.iterdir()) and not (data / LOCK).exists():
        raise CommandError(f"{data} holds something that is not a demo of ours. Choose another folder with --data.")
    data.mkdir(parents=True, exist_ok=True)
    hold = (data / LOCK).open("a")
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CommandError(
            f"A demo is already running in {data}. Stop it with Ctrl-C, or choose another folder with --data."
        ) from None
    return hold


def start_over(data: Path) -> None:
    """Nothing of an earlier demo is left in the folder but its lock."""
    processes.end_leftovers(str(data), spare=os.getpid())
    postgres.remove(data / "postgres")
    for entry in data.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()


def read_keys(data: Path) -> dict[str, str]:
    """Return the keys of this demo, made where there were none."""
    path = data / KEYS
    if not path.exists():
        made = {
            "SECRET_KEY": secrets.token_urlsafe(60),
            "FIELD_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(made))
    keys: dict[str, str] = json.loads(path.read_text())
    return keys


def demo_environment(data: Path, keys: dict[str, str], server: str, port: int, smtp_port: int) -> dict[str, str]:
    """Return what web, worker and beat read their settings from."""
    redis = os.environ.get("REDIS_URL", "")
    for folder in ("broker/queue", "broker/done", "broker/control", "static"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    return {
        **keys,
        "AFTERGLOW_MODE": "local",
        "AFTERGLOW_DEMO": "1",
        "AFTERGLOW_DATA": str(data),
        "AFTERGLOW_MINDED": str(data),
        "DATABASE_URL": postgres.url_for(server, database="afterglow", user=postgres.APP_ROLE),
        "DATABASE_APP_ROLE": postgres.APP_ROLE,
        "DATABASE_POOL": "1",
        "STATIC_ROOT": str(data / "static"),
        "REDIS_URL": redis,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(smtp_port),
        "PYTHONUNBUFFERED": "1",
    }


def fingerprint() -> str:
    """Return a digest of everything that decides what the database must hold: migrations and knowledge."""
    digest = hashlib.sha256()
    for pattern in ("*/migrations/*.py", "*/knowledge/**/*.toml", "treatments/demo/*.py"):
        for path in sorted(settings.BASE_DIR.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def prepare(data: Path, environment: dict[str, str], server: str, say: Any) -> None:
    """The database holds today's tables, knowledge and a lived-in clinic. Nothing changed, nothing done."""
    stamp, now = data / "prepared", fingerprint()
    if stamp.exists() and stamp.read_text() == now:
        return
    say("Setting up the clinic..." if not stamp.exists() else "Bringing the clinic up to date...")
    postgres.ensure_database(server, "afterglow")
    owner = {**os.environ, **environment, "DATABASE_URL": postgres.url_for(server, database="afterglow")}
    for command in (["migrate", "--no-input"], ["load_knowledge"], ["demo_clinic"]):
        done = subprocess.run(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), *command, "--verbosity", "0"],
            env=owner,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandError(f"Setting up stopped at “{command[0]}”:\n{done.stdout}{done.stderr}")
    stamp.write_text(now)


def start_everything(minder: processes.Minder, data: Path, port: int) -> None:
    """Web server, Celery worker and Celery beat are starting."""
    python = sys.executable
    gunicorn = [python, "-m", "gunicorn", "clinic.wsgi", "--chdir", str(settings.BASE_DIR), "--no-control-socket"]
    threads = ["--worker-class", "gthread", "--workers", "1", "--threads", "8", "--graceful-timeout", "5"]
    minder.start("web", [*gunicorn, "--bind", f"127.0.0.1:{port}", *threads])
    celery = [python, "-m", "celery", "--app", "clinic.celery", "--workdir", str(settings.BASE_DIR)]
    minder.start("worker", [*celery, "worker", "--concurrency", "1", "--loglevel", "WARNING", "--without-gossip",
                            "--without-mingle"])  # fmt: skip
    minder.start("beat", [*celery, "beat", "--schedule", str(data / "beat-schedule"), "--loglevel", "WARNING"])


def wait_until_up(port: int, minder: processes.Minder, patience: float = 60) -> None:
    """The first page is served. Raises RuntimeError when the web server does not come up."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        minder.restart_fallen()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"The web server did not come up. Its log: {minder.logs / 'web.log'}")
