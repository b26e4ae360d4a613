"""A real mail server at the other end, texts into a file, and nothing left open."""

import json

import pytest

from clinic.transports.email import smtp
from patients.messaging import bell, sender
from tests.factories.people import make_location, make_patient
from tests.factories.smtp import SmtpServer


@pytest.fixture
def server(settings, tmp_path):
    with SmtpServer() as running:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.EMAIL_USE_TLS, settings.EMAIL_TIMEOUT = False, 60
        settings.SMS_GATEWAY, settings.SMS_FILE = "file", tmp_path / "sms.jsonl"
        yield running
        smtp().close()


@pytest.fixture
def texts(server, settings):
    """The texts that were sent so far, as a function."""

    def read():
        path = settings.SMS_FILE
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


@pytest.fixture(autouse=True)
def _a_bell_that_rings_nobody(monkeypatch):
    """No worker listens in these tests; the ones about the bell put it back."""
    monkeypatch.setattr(bell, "_deaf_until", float("inf"))


@pytest.fixture(autouse=True)
def _no_time_passes_while_a_sender_works(monkeypatch):
    """A slow machine must not change what these tests say: only `at` says how late it is."""
    monkeypatch.setattr(sender, "monotonic", lambda: 0.0)


@pytest.fixture
def location(db):
    return make_location()


@pytest.fixture
def ana(location):
    return make_patient(location)
