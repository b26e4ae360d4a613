"""The broker is a doorbell: it may be missing, broken or slow, and nothing depends on it."""

import logging
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from celery import Celery, current_app
from django.conf import settings as django_settings
from django.db import transaction
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from clinic.standalone.processes import any_free_port
from patients.messaging import bell as doorbell
from patients.messaging.actions import nudge
from patients.messaging.models import Message
from tests.factories.database import environment
from tests.factories.letters import plan_message
from tests.factories.people import NOW, make_location, make_patient

ROOT = Path(django_settings.BASE_DIR)


@pytest.fixture
def bell(monkeypatch):
    """The bell works again, and what it rings is written down here."""
    rung = []
    monkeypatch.setattr(doorbell, "_deaf_until", 0.0)
    monkeypatch.setattr(current_app, "send_task", lambda name, **options: rung.append((name, options)))
    return rung


@pytest.mark.django_db(transaction=True)
def test_a_due_message_rings_once_when_it_is_committed(bell):
    ana = make_patient(make_location())

    with transaction.atomic():
        plan_message(ana, about="visit:1")
        plan_message(ana, about="visit:2")
        assert bell == []

    assert [name for name, _ in bell] == ["messaging.dispatch_due_messages"]


@pytest.mark.django_db(transaction=True)
def test_what_is_due_later_rings_nobody(bell):
    plan_message(make_patient(make_location()), due_at=NOW + timedelta(minutes=3))

    assert bell == []


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_rings_nobody(bell):
    ana = make_patient(make_location())

    def plan_and_fail():
        with transaction.atomic():
            plan_message(ana)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        plan_and_fail()

    assert (bell, Message.objects.count()) == ([], 0)


def test_the_ring_carries_no_facts_and_no_time(bell):
    nudge()

    _, options = bell[0]
    assert not {"args", "kwargs", "eta", "countdown"} & set(options)
    assert options["retry"] is False


def broker_at(monkeypatch, port):
    """Until the generator goes on, the application's broker is a Redis at this port."""
    monkeypatch.setattr(doorbell, "_deaf_until", 0.0)
    monkeypatch.setattr(doorbell, "RING_AGAIN_AFTER", 3600.0)  # no test takes so long
    ours = current_app._get_current_object()
    other = Celery("other", broker=f"redis://127.0.0.1:{port}/0", set_as_current=False)
    other.set_current()
    yield
    ours.set_current()
    other.close()


@pytest.fixture
def no_broker(monkeypatch):
    """The application's broker is a Redis that nobody runs."""
    yield from broker_at(monkeypatch, 1)


@pytest.fixture
def full_broker(monkeypatch, tmp_path):
    """The application's broker is a Redis without room, which by our settings throws nothing away."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = any_free_port()
    limits = ["--maxmemory", "1", "--maxmemory-policy", "noeviction", "--save", ""]
    full = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), *limits],
        stdout=subprocess.DEVNULL,
    )
    line = redis.Redis(port=port, retry=Retry(ConstantBackoff(0.1), 1000), retry_on_error=[redis.ConnectionError])
    assert line.ping()
    for _ in broker_at(monkeypatch, port):
        yield line
    full.kill()
    full.wait()


@pytest.mark.django_db(transaction=True)
def test_with_the_broker_full_the_act_still_happens_and_that_is_logged(full_broker, caplog):
    ana = make_patient(make_location())

    with caplog.at_level(logging.WARNING):
        for number in range(5):
            plan_message(ana, about=f"visit:{number}")

    assert Message.objects.filter(status="planned").count() == 5
    assert [record.message for record in caplog.records] == [
        "The worker could not be rung (OperationalError); the sweep finds the messages."
    ]
    assert "errorstat_OOM" in full_broker.info("errorstats")


@pytest.mark.django_db(transaction=True)
def test_with_the_broker_down_the_act_still_happens_at_once(no_broker, caplog):
    ana = make_patient(make_location())

    with caplog.at_level(logging.WARNING):
        for number in range(20):
            plan_message(ana, about=f"visit:{number}")

    assert Message.objects.count() == 20
    # Once it did not answer, nobody waits for it again for half a minute, and the first one waited a second at most.
    assert [record.message for record in caplog.records] == [
        "The worker could not be rung (OperationalError); the sweep finds the messages."
    ]


@pytest.mark.django_db(transaction=True)
def test_one_tick_from_the_command_line():
    done = subprocess.run(
        [sys.executable, "manage.py", "dispatch", "--limit", "5"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "0 messages dealt with.\n", "")
