"""Forged, altered, stale and unsigned calls of a gateway are told from its own."""

from datetime import UTC, datetime, timedelta

import pytest

from clinic.transports.signatures import is_signed, is_twilios, signature

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NOW = str(int(AT.timestamp()))
BODY = b'{"from": "+447700900001", "text": "STOP"}'
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FIELDS = [
    ("Digits", "1234"),
    ("CallSid", "CA1234567890ABCDE"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
TWILIOS = "RSOYDt4T1cUTdK1PDd93/VVr8B8="  # of Twilio's own example, with the token 12345


def signed(**changed):
    call = {"secret": "s3", "timestamp": NOW, "body": BODY, "given": signature("s3", NOW, BODY), "at": AT}
    return is_signed(**{**call, **changed})


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_a_call_signed_in_time_is_the_gateways(minutes):
    assert signed(at=AT + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": "other"},
        {"secret": "", "given": signature("", NOW, BODY)},
        {"body": BODY + b" "},
        {"timestamp": str(int(NOW) + 1)},
        {"timestamp": ""},
        {"timestamp": "٣"},
        {"timestamp": "-1"},
        {"timestamp": "9" * 400},
        {"given": ""},
        {"given": "é"},
        {"at": AT + timedelta(minutes=5, seconds=1)},
        {"at": AT - timedelta(minutes=5, seconds=1)},
    ],
)
def test_anything_else_is_not(changed):
    assert not signed(**changed)


def test_twilios_own_example_is_twilios_whatever_the_order():
    assert is_twilios(token="12345", url=URL, fields=FIELDS, given=TWILIOS)
    assert is_twilios(token="12345", url=URL, fields=reversed(FIELDS), given=TWILIOS)


@pytest.mark.parametrize(
    "changed",
    [{"token": "54321"}, {"token": ""}, {"url": URL + "3"}, {"fields": FIELDS[1:]}, {"given": ""}, {"given": "é"}],
)
def test_a_changed_call_is_not_twilios(changed):
    assert not is_twilios(**{"token": "12345", "url": URL, "fields": FIELDS, "given": TWILIOS, **changed})
