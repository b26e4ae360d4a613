"""A sender that stops longer than its lease lasts, and comes back; a gateway that takes half a minute to answer."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings as real
from django.db import connection

from clinic.staff.states import Role
from clinic.transports import web
from clinic.transports.email import smtp
from patients.messaging import sender
from patients.messaging.actions import dispatch
from patients.messaging.models import DeliveryAttempt, Message
from patients.messaging.queries import database_clock
from patients.messaging.states import Channel
from tests.factories.database import environment
from tests.factories.letters import plan_many
from tests.factories.people import make_location, make_patient, make_user
from tests.factories.sms_gateway import PATH, TOKEN, SmsGatewayServer
from tests.factories.smtp import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def ana():
    hours = 12 - datetime.now(UTC).hour  # nobody is asleep there now
    return make_patient(make_location(time_zone=f"Etc/GMT{-hours:+d}"), phone="+447700900001")


@pytest.fixture
def mail(settings):
    with SmtpServer() as running:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", running.port, False
        yield running
        smtp().close()


@pytest.fixture
def phone(settings):
    with SmsGatewayServer(datetime.now(UTC)) as running:
        settings.SMS_GATEWAY, settings.SMS_HTTP_URL = "http", running.root + PATH
        settings.SMS_HTTP_TOKEN, settings.SMS_TIMEOUT = TOKEN, 60
        yield running
        web.close_connections()


def another_sender(mail, phone):
    """A sender in a process of its own, on the same rows and gateways."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "dispatch"],
        cwd=Path(real.BASE_DIR),
        env=environment(
            SMTP_HOST="127.0.0.1", SMTP_PORT=str(mail.port), SMTP_STARTTLS="0", SMS_GATEWAY="http",
            SMS_HTTP_URL=phone.root + PATH, SMS_HTTP_TOKEN=TOKEN,
        ),
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def stop_in_the_sending_instant(gateway, of):
    """The first time the gateway has read a message whole, its sender stops; the answer waits in the line."""
    real_answer, stopped = gateway.next_answer, []

    def next_answer(*stage, **looking):
        if not stopped and stage in ((), ("END",)) and of:
            stopped.append(of[0].pid)
            os.kill(of[0].pid, signal.SIGSTOP)
        return real_answer(*stage, **looking)

    gateway.next_answer = next_answer
    return stopped


def send_all():
    while Message.objects.filter(status__in=["planned", "sending"]).exists():
        past = database_clock() - timedelta(seconds=1)
        Message.objects.filter(status="planned").update(try_at=past)
        Message.objects.filter(status="sending").update(lease_until=past)  # its lease runs out
        dispatch(at=database_clock())


def states():
    return list(Message.objects.order_by("pk").values())


@pytest.mark.parametrize(("channel", "repeats"), [(Channel.SMS, 0), (Channel.EMAIL, 1)])
def test_a_sender_stopped_past_its_lease_overwrites_nothing_when_it_goes_on(ana, mail, phone, channel, repeats):
    now = database_clock()
    plan_many(ana, 20, at=now - timedelta(hours=1), due_at=now, channel=channel)
    of = []
    stopped = stop_in_the_sending_instant(phone if channel == Channel.SMS else mail, of)
    of.append(another_sender(mail, phone))
    try:
        os.waitid(os.P_PID, of[0].pid, os.WSTOPPED | os.WNOWAIT)
        assert stopped == [of[0].pid]
        send_all()
        before = states()

        os.kill(of[0].pid, signal.SIGCONT)
        assert of[0].wait(200) == 0
    finally:
        of[0].kill()
        of[0].wait()

    assert states() == before
    assert {row["status"] for row in before} == {"sent"}
    assert list(DeliveryAttempt.objects.filter(outcome="late").values_list("channel", flat=True)) == [channel]
    arrived = [text.key for text in phone.texts] if channel == Channel.SMS else [
        letter.message["Message-ID"] for letter in mail.taken
    ]  # fmt: skip
    assert (len(set(arrived)), len(arrived)) == (20, 20 + repeats)  # plain SMTP has no key: one more, and on record


def test_pages_wait_for_nobody_while_a_gateway_takes_its_time(ana, mail, phone, client):
    """While the gateway thinks, its sender holds no transaction and no lock: pages need no longer than without it."""
    bo = make_user("Bo Desk", Role.FRONT_DESK, location=ana.location)
    client.force_login(bo)
    pages = ["/messages/", f"/patients/{ana.ref}/"]
    quiet = [seconds_for(client, page) for page in pages * 15][10:]
    gate = threading.Event()
    at_once = phone.next_answer

    def next_answer(**looking):
        gate.wait(120)
        return at_once(**looking)

    phone.next_answer = next_answer
    now = database_clock()
    plan_many(ana, 20, at=now - timedelta(hours=1), due_at=now, channel=Channel.SMS)
    at_work = another_sender(mail, phone)
    try:
        until(lambda: phone.asked)

        held = transactions_and_locks_of_others()
        assert at_work.poll() is None  # it is there, and waits
        busy = [seconds_for(client, page) for page in pages * 10]
    finally:
        gate.set()
        at_work.kill()
        at_work.wait()

    assert held == []
    sys.stdout.write(f"p95 of {len(busy)} pages: {p95(busy):.3f} s, without a sender {p95(quiet):.3f} s\n")


def seconds_for(client, page):  # measured and told, never held against a figure: machines differ
    began = time.perf_counter()
    assert client.get(page).status_code == 200
    return time.perf_counter() - began


def p95(seconds):
    return sorted(seconds)[int(len(seconds) * 0.95)]


def until(true):
    deadline = time.monotonic() + 200
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert true()


def transactions_and_locks_of_others():
    """Return what any other connection to this database has open: its transaction, or a lock it was given."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND (xact_start IS NOT NULL OR EXISTS ("
            " SELECT FROM pg_locks WHERE pg_locks.pid = pg_stat_activity.pid AND granted))"
        )
        return cursor.fetchall()


@pytest.mark.parametrize("patience", ["gives up", "waits"])
def test_a_gateway_that_answers_in_half_a_minute_does_not_hold_up_the_other(
    ana, mail, phone, monkeypatch, settings, patience
):
    """Half a minute by the sender's own clock. Whether we wait for the answer or give up, letters do not wait."""
    settings.SMS_TIMEOUT = 2 if patience == "gives up" else 60
    passed = [0.0]
    monkeypatch.setattr(sender, "monotonic", lambda: passed[0])
    at_once, over = phone.next_answer, threading.Event()

    def next_answer(**looking):
        passed[0] += sender.TICK_SECONDS - 1 if patience == "waits" else sender.SLOW_SECONDS + 1
        if patience == "gives up":
            over.wait(100)
        return at_once(**looking)

    phone.next_answer = next_answer
    now = database_clock()
    plan_many(ana, 10, at=now - timedelta(hours=1), due_at=now - timedelta(minutes=1), channel=Channel.SMS)
    Message.objects.update(step="text")
    plan_many(ana, 30, at=now - timedelta(hours=1), due_at=now)

    dispatch(at=database_clock())
    over.set()

    assert Message.objects.filter(channel=Channel.EMAIL, status="sent").count() == len(mail.letters) == 30
    assert len(phone.asked) == 1
    outcome = DeliveryAttempt.objects.get(channel=Channel.SMS).outcome
    assert outcome == ("unknown" if patience == "gives up" else "sent")
    waiting = Message.objects.filter(channel=Channel.SMS, status="planned")
    assert waiting.filter(attempts=0, reason="Waiting for the gateway.").count() == 9
