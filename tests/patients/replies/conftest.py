"""A text gateway that takes our texts and calls us back, both over real HTTP; and a clock that both read."""

import pytest
import time_machine

from clinic.transports import web
from clinic.transports.email import smtp
from patients.messaging import bell
from tests.factories.people import NOW, make_location, make_patient
from tests.factories.sms_gateway import ACCOUNT, PATH, SECRET, SENDER, TOKEN, SmsGatewayServer
from tests.factories.smtp import SmtpServer


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as travelling:
        yield travelling


@pytest.fixture(autouse=True)
def _a_bell_that_rings_nobody(monkeypatch):
    monkeypatch.setattr(bell, "_deaf_until", float("inf"))


@pytest.fixture
def mail(settings):
    with SmtpServer() as running:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.EMAIL_USE_TLS, settings.EMAIL_TIMEOUT = False, 60
        yield running
        smtp().close()


@pytest.fixture
def gateway(settings, live_server):
    """The gateway; what it is told of us is an address of the house that is really served."""
    settings.SMS_TIMEOUT = 60
    with SmsGatewayServer(NOW) as running:
        settings.SMS_HTTP_URL, settings.SMS_HTTP_TOKEN, settings.SMS_HTTP_SECRET = running.root + PATH, TOKEN, SECRET
        settings.TWILIO_URL, settings.TWILIO_FROM = running.root, SENDER
        settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT, TOKEN
        settings.SMS_CALLBACK_URL = live_server.url
        yield running
        web.close_connections()


@pytest.fixture(params=["http", "twilio"])
def either(request, gateway, settings):
    settings.SMS_GATEWAY = request.param
    return gateway


@pytest.fixture
def location(db):
    return make_location()


@pytest.fixture
def ana(location):
    """Ana has a telephone and no email."""
    return make_patient(location, email="", phone="+447700900001")
