"""Real workers, real beats, a real broker and gateways, and everything is killed: `python -m tests.faults.chaos`.

Prints one JSON report. Nothing here is simulated but the passing of a lease: once every sender is dead, what they held
is released at once instead of a minute and a half later.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
WORKERS, BEATS = 3, 2
PATIENCE = 1800.0  # seconds in which everything that waits must have left once the killing has ended


def free_port() -> int:
    from clinic.standalone.processes import any_free_port

    return any_free_port()


class Letterbox(threading.Thread):
    """A mail server that remembers how often each Message-ID was taken."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.port, self.taken = free_port(), Counter()
        self.loop = asyncio.new_event_loop()
        self.is_up = threading.Event()

    def run(self) -> None:
        from treatments.bench.sink import Sink

        taken = self.taken

        class Reader(Sink):
            def _answer(self, line: bytes) -> bytes:
                if self.in_letter:
                    taken[re.search(rb"^Message-ID: <([^@]+)@", line, re.MULTILINE)[1].decode()] += 1
                return super()._answer(line)

        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.loop.create_server(Reader, "127.0.0.1", self.port))
        self.is_up.set()
        self.loop.run_forever()


class Redis:
    """A private Redis that can be emptied and killed; without the program, Celery's filesystem broker stands in."""

    def __init__(self, folder: Path) -> None:
        self.program, self.folder, self.process = shutil.which("redis-server"), folder, None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0" if self.program else ""

    def start(self) -> None:
        if self.program:
            self.process = subprocess.Popen(
                [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                 "--appendonly", "yes", "--save", ""],
                stdout=subprocess.DEVNULL,
            )  # fmt: skip

    def empty_and_kill(self) -> None:
        import redis

        if not self.program:
            return
        redis.from_url(self.url).flushall()
        self.process.kill()
        self.process.wait()
        time.sleep(2)
        self.start()

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


class Postgres:
    """A private PostgreSQL that can be shot."""

    def __init__(self, folder: Path) -> None:
        from clinic.standalone import postgres

        self.folder, self.postgres = folder / "postgres", postgres
        server = postgres.start(self.folder)
        postgres.ensure_database(server, "chaos")
        self.url = postgres.url_for(server, database="chaos")

    def crash(self) -> None:
        """One of its processes is killed: every connection is cut, what was not committed is lost, it recovers."""
        import psycopg

        victim, witness = self._line(), self._line()
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        with suppress(psycopg.OperationalError):
            while True:  # on a busy machine it takes its time to fall
                witness.execute("SELECT pg_sleep(0.05)")
        victim.close()
        witness.close()
        self._line().close()

    def fall(self) -> None:
        """All of it is gone at once, as by `crash`, and stays away until it is told to rise."""
        server = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        server.send_signal(signal.SIGQUIT)
        server.wait(200)

    def rise(self) -> None:
        """It runs again and has read its journal."""
        self.postgres.start(self.folder)
        self._line().close()

    def _line(self):
        """Return a connection as soon as there is one."""
        import psycopg

        until = time.monotonic() + 200
        while True:
            try:
                return psycopg.connect(self.url, connect_timeout=2)
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def stop(self) -> None:
        self.postgres.stop(self.folder)


class Crowd:
    """Workers and beats, each a process group of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.workers: list[subprocess.Popen[bytes]] = []
        self.beats: list[subprocess.Popen[bytes]] = []
        self.count = 0

    def _celery(self, *arguments: str) -> subprocess.Popen[bytes]:
        self.count += 1
        with (self.folder / f"process-{self.count}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "celery", "--app", "clinic.celery", *arguments],
                cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def worker(self) -> None:
        self.workers.append(
            self._celery("worker", "--concurrency", "1", "--without-gossip", "--without-mingle", "-n",
                         f"w{self.count}@%h", "--loglevel", "WARNING")
        )  # fmt: skip

    def beat(self) -> None:
        self.beats.append(
            self._celery("beat", "--schedule", str(self.folder / f"beat-{self.count}"), "--loglevel", "ERROR")
        )

    def start(self) -> None:
        for _ in range(WORKERS - len(self.workers)):
            self.worker()
        for _ in range(BEATS - len(self.beats)):
            self.beat()

    def senders(self) -> list[psutil.Process]:
        """The processes that send: the children of the workers."""
        found = []
        for worker in self.workers:
            try:
                found += psutil.Process(worker.pid).children()
            except psutil.Error:
                continue
        return found

    def lose(self, group: list[subprocess.Popen[bytes]], which: int, how: int = signal.SIGKILL) -> None:
        process = group.pop(which)
        if how == signal.SIGTERM:
            process.terminate()  # a deploy: the batch in hand may finish
            process.wait(300)
        self._end(process)

    def stop(self) -> None:
        for process in [*self.workers, *self.beats]:
            self._end(process)
        self.workers, self.beats = [], []

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def plan(count: int, like_sms: bool) -> None:
    """So many messages are due now, each to a person of its own; one in ten carries a personal link."""
    from clinic.audit.states import Actor
    from patients.messaging.actions import queue_message
    from patients.messaging.rules import WantedMessage
    from patients.messaging.states import Channel, Purpose
    from patients.registry.models import Patient
    from treatments.bench import ground

    now = datetime.now(UTC)
    place = ground.make_place("Text" if like_sms else "Mail", practitioners=0, rooms=0)
    place.time_zone = f"Etc/GMT{now.hour - 12:+d}"  # where it is noon
    place.save()
    first = ground.make_patients(place, count)
    if like_sms:
        ground.run(
            "WITH point AS (INSERT INTO patients_contactpoint (kind, value, created_at)"
            " SELECT 'phone', '+4477' || lpad(n::text, 9, '0'), now() FROM generate_series(%(a)s::bigint, %(b)s) AS n"
            " RETURNING id, value) INSERT INTO patients_patientcontact (patient_id, point_id, since_at)"
            " SELECT substring(value FROM 6)::bigint, id, now() FROM point", a=first, b=first + count - 1,
        )  # fmt: skip
    else:
        ground.reach_by_email(first, count)
    for kind, share in (("link", count // 10), ("plain", count - count // 10)):
        wanted = WantedMessage(
            step=f"chaos_{kind}", purpose=Purpose.CHECKIN if kind == "link" else Purpose.VISIT,
            channel=Channel.SMS if like_sms else Channel.EMAIL,
            template="checkin" if kind == "link" else "reminder",
            context={} if kind == "link" else {"when_local": "Tuesday 1 December, 10:00", "where": "1 Harley Street"},
            due_at=now + timedelta(days=300), not_after=now + timedelta(days=301), important=True,
            link_scope="checkin" if kind == "link" else "", link_about="checkin:chaos" if kind == "link" else "",
        )  # fmt: skip
        like = queue_message(
            patient=Patient.objects.get(pk=first), location=place, about=f"like:{kind}:{like_sms}", wanted=wanted,
            by=Actor.command("chaos"), at=now,
        )  # fmt: skip
        due = "now()"
        ground.copy_row(
            like, share, ref="gen_random_uuid()", about=f"'chaos:{kind}:' || gen_random_uuid()", due_at=due, try_at=due,
            patient_id=f"{first + (0 if kind == 'link' else count // 10)} + n - 1",
            not_after="now() + interval '1 day'",
        )  # fmt: skip


def note(words: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {words}\n")
    sys.stderr.flush()


def waiting() -> int:
    from django.db import Error, connection

    from patients.messaging.models import Message

    try:
        return Message.objects.filter(about__startswith="chaos:", status__in=["planned", "held", "sending"]).count()
    except Error:
        connection.close()
        return -1


def wait_until(true, seconds: float) -> None:
    """Ring the bell until something is true, or so long has passed."""
    from patients.messaging.bell import nudge

    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        nudge()
        time.sleep(1)


def let_leases_run_out() -> None:
    """Every sender is dead: what they held is released now, and what waits for another try need not wait."""
    from django.db import connection

    from treatments.bench import ground

    connection.close()  # PostgreSQL may have fallen since
    ground.run("UPDATE patients_message SET lease_until = now() - interval '1 second' WHERE status = 'sending'")
    ground.run("UPDATE patients_message SET try_at = now() WHERE status IN ('planned', 'held') AND try_at < now() + "
               "interval '2 days'")  # fmt: skip


def torment(crowd: Crowd, redis: Redis, postgres: Postgres, gateway, kills: int, pause: float) -> Counter:
    """Kill so often, while there is something to send; Redis and PostgreSQL fall on the way."""
    from patients.messaging.bell import nudge

    dice, done = random.Random(8), Counter()
    falls = {kills // 4: redis.empty_and_kill, kills // 2: postgres.crash, 3 * kills // 4: postgres.crash}
    while sum(done[each] for each in ("sender", "worker", "deploy")) < kills and waiting():
        nudge()
        time.sleep(dice.uniform(pause / 2, pause * 1.5))
        number = sum(done[each] for each in ("sender", "worker", "deploy"))
        fall = falls.pop(number, None)
        if fall:
            note(f"{fall.__name__} after {number} kills, {waiting()} wait")
            fall()
            done[fall.__name__] += 1
        senders = crowd.senders()
        if number % 25 == 24:
            how = signal.SIGTERM if number % 50 == 49 else signal.SIGKILL
            crowd.lose(crowd.workers, dice.randrange(len(crowd.workers)), how)
            done["deploy" if how == signal.SIGTERM else "worker"] += 1
            crowd.start()
        elif senders:
            try:
                dice.choice(senders).kill()
                done["sender"] += 1
            except psutil.Error:
                continue
    return done


def report(letterbox: Letterbox, gateway, done: Counter, seconds: float, name: str) -> dict[str, object]:
    """Compare what the database says of each message with what arrived."""
    from clinic.audit.queries import walk_chain
    from patients.messaging.models import Message

    by_key = Counter(text.key for text in gateway.texts)
    by_number = Counter(text.to for text in gateway.texts)  # everybody here has one message
    lost, unexplained = [], []
    repeats: Counter = Counter()
    states: Counter = Counter()
    rows = Message.objects.filter(about__startswith="chaos:").select_related("patient")
    for row in rows.iterator():
        states[f"{row.channel}.{row.status}"] += 1
        if row.channel == "email":
            arrived = letterbox.taken[str(row.ref)]
        elif name == "http":
            arrived = by_key[str(row.ref)]
        else:
            arrived = by_number[row.patient.contacts.get().point.value]
        repeats[row.channel] += max(arrived - 1, 0)
        if row.status in {"planned", "held", "sending"} or (row.status == "sent" and not arrived):
            lost.append(f"{row.channel} {row.status}: {row.reason}")
        if (row.status in {"failed", "unknown", "skipped"} and not row.reason) or (
            row.status in {"failed", "skipped"} and arrived
        ):
            unexplained.append(f"{row.channel} {row.status} arrived {arrived}: {row.reason}")
    chain = walk_chain()
    return {
        "gateway": name, "messages": sum(states.values()), "seconds": round(seconds), "falls": dict(done),
        "states": dict(states), "lost": lost, "unexplained": unexplained, "repeats": dict(repeats),
        "audit_events": chain.events, "chain": chain.broken,
    }  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--messages", type=int, default=300)
    asked.add_argument("--kills", type=int, default=12)
    asked.add_argument("--gateway", choices=["http", "twilio"], default="http")
    asked.add_argument("--pause", type=float, default=0.6)
    given = asked.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whoever stops us must not leave a crowd behind
    folder = Path(tempfile.mkdtemp(prefix="afterglow-chaos-"))
    for name in ("queue", "done", "control"):
        (folder / "broker" / name).mkdir(parents=True)
    os.environ.update(AFTERGLOW_DATA=str(folder), DJANGO_SETTINGS_MODULE="clinic.settings", LOG_LEVEL="ERROR")
    os.environ.pop("REDIS_URL", None)
    redis, postgres, letterbox = Redis(folder), Postgres(folder), Letterbox()
    from tests.factories.sms_gateway import ACCOUNT, PATH, SENDER, TOKEN, SmsGatewayServer

    class TickingGateway(SmsGatewayServer):
        at = property(lambda self: datetime.now(UTC), lambda self, value: None)

    redis.start()
    letterbox.start()
    letterbox.is_up.wait(100)
    with TickingGateway(datetime.now(UTC)) as gateway:
        gateway._http.handle_error = lambda *_: None  # those it talked to were killed: nobody needs to hear of it
        os.environ.update(
            DATABASE_URL=postgres.url, SMTP_HOST="127.0.0.1", SMTP_PORT=str(letterbox.port), SMTP_STARTTLS="0",
            SMS_GATEWAY=given.gateway, SMS_HTTP_URL=gateway.root + PATH, SMS_HTTP_TOKEN=TOKEN, TWILIO_URL=gateway.root,
            TWILIO_ACCOUNT_SID=ACCOUNT, TWILIO_AUTH_TOKEN=TOKEN, TWILIO_FROM=SENDER, REDIS_URL=redis.url,
        )  # fmt: skip
        environment = dict(os.environ)
        crowd = Crowd(folder, environment)
        try:
            sys.stdout.write(json.dumps(run(given, crowd, redis, postgres, letterbox, gateway)) + "\n")
        finally:
            crowd.stop()
            redis.stop()
            postgres.stop()
            shutil.rmtree(folder, ignore_errors=True)


def run(given, crowd: Crowd, redis: Redis, postgres: Postgres, letterbox: Letterbox, gateway) -> dict[str, object]:
    import django

    django.setup()
    from django.core.management import call_command

    from patients.messaging import bell

    bell.RING_AGAIN_AFTER = 1.0
    call_command("migrate", verbosity=0, interactive=False)
    call_command("load_knowledge", verbosity=0)
    plan(given.messages // 2, like_sms=False)
    plan(given.messages - given.messages // 2, like_sms=True)
    began = time.monotonic()
    crowd.start()
    wait_until(lambda: waiting() < given.messages, 300)  # the first have left: everybody is up
    done = torment(crowd, redis, postgres, gateway, given.kills, given.pause)
    until = time.monotonic() + PATIENCE
    while waiting() and time.monotonic() < until:
        crowd.stop()
        let_leases_run_out()
        left = waiting()
        note(f"{left} wait")
        crowd.start()
        wait_until(lambda start=left: waiting() in range(start), 300)  # starting takes a while
        while (now_left := waiting()) and now_left != left:
            left = now_left
            wait_until(lambda now=left: waiting() != now, 60)
    seconds = time.monotonic() - began
    crowd.stop()
    return report(letterbox, gateway, done, seconds, given.gateway)


if __name__ == "__main__":
    main()
