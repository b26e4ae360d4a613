"""A clinic whose text gateway is named wrongly does not start."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

TWILIO = {"TWILIO_ACCOUNT_SID": "AC42", "TWILIO_AUTH_TOKEN": "t", "TWILIO_FROM": "+447700900999"}


def starting(**lines):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMS_", "TWILIO_"))}
    return subprocess.run(
        [sys.executable, "-c", "import clinic.settings"],
        cwd=settings.BASE_DIR, env={**kept, **lines}, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"SMS_GATEWAY": "pigeon"}, "SMS_GATEWAY must be http, twilio, file or none."),
        ({"SMS_GATEWAY": "http"}, "SMS_HTTP_URL must be set"),
        ({"SMS_GATEWAY": "http", "SMS_HTTP_URL": ""}, "must start with https://"),
        ({"SMS_GATEWAY": "http", "SMS_HTTP_URL": "http://sms.example/"}, "must start with https://"),
        ({"SMS_GATEWAY": "twilio"}, "TWILIO_ACCOUNT_SID must be set"),
        ({"SMS_GATEWAY": "twilio", **TWILIO, "TWILIO_URL": "http://x.example"}, "must start with https://"),
    ],
)
def test_a_gateway_named_wrongly_stops_the_start(lines, said):
    assert said in starting(**lines).stderr


@pytest.mark.parametrize(
    "lines",
    [
        {"SMS_GATEWAY": "http", "SMS_HTTP_URL": "https://sms.example/"},
        {"SMS_GATEWAY": "http", "SMS_HTTP_URL": "http://127.0.0.1:9000/"},
        {"SMS_GATEWAY": "twilio", **TWILIO},
        {"SMS_GATEWAY": "none"},
    ],
)
def test_one_named_rightly_starts(lines):
    assert starting(**lines).returncode == 0
