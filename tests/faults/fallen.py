"""PostgreSQL falls while a gateway answers, before what it said is written down: `python -m tests.faults.fallen`.

For each way out (plain SMTP, the gateway with keys, the one that can be searched): twenty messages are due, a real
sender hands them over, and in the instant in which the gateway has read the fifth, PostgreSQL is killed and stays
away until the sender has ended: it can tell nobody what it was answered. Then the server reads its log, senders run
until nothing waits, and what each message says is compared with what arrived. Prints one JSON report.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults.chaos import ROOT, Postgres

WAYS = ("smtp", "http", "twilio")
MANY, FALLS_AT = 20, 5
ROUNDS = 12


class Fall:
    """The next answers come at once, but the fifth: PostgreSQL has fallen before it is given."""

    def __init__(self, gateway, postgres: Postgres) -> None:
        self.at_once, self.postgres, self.read = gateway.next_answer, postgres, 0
        gateway.next_answer = self

    def __call__(self, *stage: str, looking: bool = False):
        if stage in {(), ("END",)} and not looking:
            self.read += 1
            if self.read == FALLS_AT:
                self.postgres.fall()
        return self.at_once(*stage, **({} if stage else {"looking": looking}))


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="afterglow-fallen-"))
    for name in ("queue", "done", "control"):
        (folder / "broker" / name).mkdir(parents=True)
    os.environ.update(AFTERGLOW_DATA=str(folder), DJANGO_SETTINGS_MODULE="clinic.settings", LOG_LEVEL="CRITICAL")
    os.environ.pop("REDIS_URL", None)
    postgres = Postgres(folder)
    os.environ["DATABASE_URL"] = postgres.url
    try:
        prepare()
        sys.stdout.write(json.dumps({way: told_of(way, postgres) for way in WAYS}) + "\n")
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def prepare() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    call_command("load_knowledge", verbosity=0)


def told_of(way: str, postgres: Postgres) -> dict[str, object]:
    """Return what happened on this way, and what is said of it."""
    from django.db import connection

    from patients.messaging.models import DeliveryAttempt, Message
    from tests.factories.sms_gateway import ACCOUNT, PATH, SENDER, TOKEN, SmsGatewayServer
    from tests.factories.smtp import SmtpServer

    class TickingGateway(SmsGatewayServer):
        at = property(lambda self: datetime.now(UTC), lambda self, value: None)

    plan(way)
    with SmtpServer() as mail, TickingGateway(datetime.now(UTC)) as phone:
        phone._http.handle_error = lambda *_: None  # its caller died: nobody needs to hear of it
        environment = {
            **os.environ, "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail.port), "SMTP_STARTTLS": "0",
            "SMS_GATEWAY": "twilio" if way == "twilio" else "http", "SMS_HTTP_URL": phone.root + PATH,
            "SMS_HTTP_TOKEN": TOKEN, "TWILIO_URL": phone.root, "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_FROM": SENDER,
        }  # fmt: skip
        fall = Fall(mail if way == "smtp" else phone, postgres)
        ended_well = send(environment)
        postgres.rise()
        connection.close()  # it was cut, as every other
        ours = Message.objects.filter(about__startswith=f"{way}:")
        in_doubt = list(ours.filter(status="sending", handed_at__isnull=False).order_by("pk"))
        read, arrived_before = fall.read, arrivals(way, mail, phone)
        for _ in range(ROUNDS):
            if not ours.filter(status__in=["planned", "sending"]).exists():
                break
            let_time_pass(ours)
            send(environment)
        arrived = arrivals(way, mail, phone)
    doubted = {each.pk for each in in_doubt}
    return {
        "read by the gateway": read,
        "sender ended well": ended_well,
        "in doubt": len(in_doubt),
        "in doubt and arrived": sum(arrived_before[name_of(each, way)] for each in in_doubt),
        "in doubt with a link": sum(bool(each.link_scope) for each in in_doubt),
        "states": dict(Counter(ours.values_list("status", flat=True))),
        "not known": sorted(ours.filter(status="unknown").values_list("link_scope", flat=True)),
        "lost": [row.about for row in ours if row.status == "sent" and not arrived[name_of(row, way)]],
        "repeats": sum(arrived[name_of(row, way)] - 1 for row in ours if arrived[name_of(row, way)]),
        "repeats without a doubt on record": [
            row.about for row in ours if row.pk not in doubted and arrived[name_of(row, way)] > 1
        ],
        "doubts on record": DeliveryAttempt.objects.filter(message__in=doubted, outcome="unknown").count(),
        "calls asked for": calls(way),
        "chain": broken_chain(),
    }


def plan(way: str) -> None:
    """Twenty messages are due, each to a person of its own where it is noon; the first and the fifth carry a link."""
    from patients.messaging.states import Channel, Purpose
    from tests.factories.letters import plan_message
    from tests.factories.people import make_location, make_patient

    now = datetime.now(UTC)
    place = make_location(f"By {way}", time_zone=f"Etc/GMT{now.hour - 12:+d}")
    link = {"purpose": Purpose.CHECKIN, "template": "checkin", "link_scope": "checkin"}
    number = 447700900100 + 100 * WAYS.index(way)
    for n in range(MANY):
        person = make_patient(place, f"Ana {way.title()} {n}", phone=f"+{number + n}", email=f"{way}{n}@mail.example")
        more = {**link, "link_about": f"checkin:{way}:{n}"} if n in {0, FALLS_AT - 1} else {}
        plan_message(
            person, about=f"{way}:{n}", at=now, due_at=now, not_after=now + timedelta(days=1),
            channel=Channel.EMAIL if way == "smtp" else Channel.SMS, **more,
        )  # fmt: skip


def send(environment: dict[str, str]) -> bool:
    """One tick by a sender in a process of its own. Returns whether it ended well."""
    done = subprocess.run(
        [sys.executable, "manage.py", "dispatch"], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    return done.returncode == 0


def let_time_pass(ours) -> None:
    """Leases run out at once, and what waits for another try need not wait."""
    from patients.messaging.queries import database_clock

    past = database_clock() - timedelta(seconds=1)
    ours.filter(status="sending").update(lease_until=past)
    ours.filter(status="planned").update(try_at=past)


def arrivals(way: str, mail, phone) -> Counter:
    """Return how often each message arrived, by its own name on this way."""
    if way == "smtp":
        return Counter(letter.message["Message-ID"].strip("<>").partition("@")[0] for letter in mail.taken)
    return Counter(text.key if way == "http" else text.to for text in phone.texts)


def name_of(message, way: str) -> str:
    return message.patient.contacts.get(point__kind="phone").point.value if way == "twilio" else str(message.ref)


def calls(way: str) -> int:
    from clinic.worklist.models import Task

    return Task.objects.filter(title__startswith=f"Ask Ana {way.title()} ").count()


def broken_chain() -> str:
    from clinic.audit.queries import walk_chain

    return walk_chain().broken


if __name__ == "__main__":
    main()
