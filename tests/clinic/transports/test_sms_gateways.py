"""Two gateways over real HTTP: each way of failing has one meaning, and no doubt ever becomes a second text."""

import os
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from clinic.transports import web
from clinic.transports.sms import sms_gateway
from clinic.transports.sms_http import HttpGateway
from clinic.transports.sms_twilio import Twilio
from clinic.transports.states import BAD_NUMBER, NO_NUMBER, OPTED_OUT, Failed, Retry, Sent, Unknown
from tests.factories.sms_gateway import (
    ACCOUNT,
    DROP,
    GARBAGE,
    PATH,
    SENDER,
    SILENCE,
    TAKE_AND_DROP,
    TAKE_AND_GARBAGE,
    TAKE_AND_SILENCE,
    TOKEN,
    Say,
    SmsGatewayServer,
)

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PHONE = "+447700900001"


@pytest.fixture
def server(settings):
    settings.SMS_TIMEOUT = 60
    with SmsGatewayServer(AT) as running:
        yield running
        web.close_connections()


@pytest.fixture
def plain(server):
    return HttpGateway(server.root + PATH, TOKEN)


@pytest.fixture
def twilio(server):
    return Twilio(ACCOUNT, TOKEN, SENDER, server.root)


def send(gateway, text="Hello", key="m-1", **fields):
    return gateway.send(to=PHONE, text=text, key=key, at=AT, **fields)


def test_texts_go_over_one_kept_connection(server, plain):
    assert [send(plain, key=f"m-{number}", text="Grüße, “Ana” 👋") for number in (1, 2, 3)] == [
        Sent("SM1"), Sent("SM2"), Sent("SM3"),
    ]  # fmt: skip
    assert {(text.to, text.body) for text in server.texts} == {(PHONE, "Grüße, “Ana” 👋")}
    assert server.connections == 1


def test_twilio_takes_the_same_text(server, twilio):
    assert send(twilio, text="Grüße & “Ana” + 👋\nBye") == Sent("SM1")
    assert [(text.to, text.body) for text in server.texts] == [(PHONE, "Grüße & “Ana” + 👋\nBye")]


ANSWERS = [
    (Say(429, "slow down", {"Retry-After": "120"}), Retry("429 slow down", timedelta(seconds=120), gateway_down=True)),
    (Say(503, "", {"Retry-After": format_datetime(AT + timedelta(minutes=3), usegmt=True)}),
     Retry("503", timedelta(minutes=3), gateway_down=True)),
    (Say(429, "", {"Retry-After": "9" * 400}), Retry("429", timedelta(hours=1), gateway_down=True)),
    (Say(429, "", {"Retry-After": "soon"}), Retry("429", gateway_down=True)),
    (Say(500, "oops"), Retry("500 oops")),
    (Say(302, "", {"Location": "http://elsewhere.example/"}), Retry("302", gateway_down=True)),
    (Say(403, "pay first"), Retry("403 pay first", gateway_down=True)),
    (Say(400, "no"), Failed("400 no")),
]  # fmt: skip


@pytest.mark.parametrize(("said", "meant"), ANSWERS)
@pytest.mark.parametrize("name", ["plain", "twilio"])
def test_what_each_status_means(server, request, name, said, meant):
    server.say(said)

    assert send(request.getfixturevalue(name)) == meant
    assert server.texts == []


@pytest.mark.parametrize(
    ("name", "body", "meant"),
    [
        ("plain", {"error": {"code": "opted_out"}}, OPTED_OUT),
        ("plain", {"code": "invalid_number"}, BAD_NUMBER),
        ("twilio", {"code": 21610, "message": "unsubscribed recipient"}, OPTED_OUT),
        ("twilio", {"code": 21211, "message": "invalid To"}, BAD_NUMBER),
    ],
)
def test_what_says_something_about_the_person_is_for_good(server, request, name, body, meant):
    server.say(Say(400, body))

    assert send(request.getfixturevalue(name)) == Failed(meant, opted_out=meant == OPTED_OUT)


def test_a_sender_that_is_not_ours_is_no_patients_fault(server, twilio):
    server.say(Say(400, {"code": 21606, "message": "From is not ours"}))

    assert send(twilio).gateway_down


@pytest.mark.parametrize("lost", [DROP, TAKE_AND_DROP, SILENCE, TAKE_AND_SILENCE, GARBAGE, TAKE_AND_GARBAGE])
def test_a_lost_answer_is_unknown_and_the_same_key_is_one_text(server, plain, settings, lost):
    settings.SMS_TIMEOUT = 2 if lost.status < 0 else 60
    server.say(lost)
    assert isinstance(send(plain), Unknown)
    settings.SMS_TIMEOUT = 60

    assert send(plain) == Sent("SM1")
    assert len(server.texts) == 1


def test_what_happened_on_the_way_is_said_in_words(server, plain, settings):
    """The desk reads these in a message's log."""
    server.say(DROP, SILENCE)

    assert send(plain) == Unknown("The line was cut before the answer came.")
    settings.SMS_TIMEOUT = 2
    assert send(plain) == Unknown("No answer within 2 seconds.")
    closed = HttpGateway("http://127.0.0.1:1/messages", TOKEN)
    assert send(closed) == Retry("The gateway could not be reached.", gateway_down=True)


@pytest.mark.parametrize("lost", [TAKE_AND_DROP, TAKE_AND_GARBAGE, Say(500, "oops", takes=True)])
def test_twilio_is_searched_at_once_for_what_it_took(server, twilio, lost):
    server.say(lost)

    assert send(twilio) == Sent("SM1")
    assert (len(server.texts), len(server.asked), server.looks) == (1, 1, 1)


def test_twilio_is_searched_again_before_anything_is_repeated(server, twilio):
    server.say(TAKE_AND_DROP)
    server.say_to_looks(Say(500), Say(500))

    assert isinstance(send(twilio), Unknown)
    blind = send(twilio, unsure_since=AT)
    assert (type(blind), blind.gateway_down) == (Retry, True)
    assert send(twilio, unsure_since=AT) == Sent("SM1")
    assert (len(server.texts), len(server.asked)) == (1, 1)


def test_what_twilio_never_took_is_sent(server, twilio):
    server.say(DROP)

    assert isinstance(send(twilio), Unknown)
    assert send(twilio, unsure_since=AT) == Sent("SM1")
    assert len(server.texts) == 1


def test_an_older_equal_text_and_another_text_are_not_taken_for_it(server, twilio):
    server.at = AT - timedelta(hours=1)
    send(twilio, text="Hello")
    server.at = AT
    send(twilio, text="Hello, Bea")

    assert send(twilio, text="Hello", unsure_since=AT) == Sent("SM3")


def test_a_gateway_that_is_away_is_no_texts_fault(settings):
    settings.SMS_TIMEOUT = 60
    root = "http://127.0.0.1:1"

    for gateway in (HttpGateway(root), Twilio(ACCOUNT, TOKEN, SENDER, root)):
        receipt = send(gateway)
        assert (type(receipt), receipt.gateway_down) == (Retry, True)
    web.close_connections()


def test_a_wrong_password_is_our_fault(server):
    for gateway in (HttpGateway(server.root + PATH, "wrong"), Twilio(ACCOUNT, "wrong", SENDER, server.root)):
        assert send(gateway).gateway_down
    assert server.texts == []


def test_a_number_that_is_none_never_leaves(server, plain, twilio):
    for gateway in (plain, twilio):
        assert gateway.send(to="07700 900001", text="Hello", key="m", at=AT) == Failed(NO_NUMBER)
    assert server.connections == 0


@pytest.mark.parametrize("url", ["http://sms.example/", "ftp://127.0.0.1/", "sms.example", "", "https://"])
def test_texts_never_travel_in_the_clear(url):
    with pytest.raises(ValueError, match="https"):
        HttpGateway(url)
    with pytest.raises(ValueError, match="https"):
        Twilio(ACCOUNT, TOKEN, SENDER, url)


def test_a_fork_opens_connections_of_its_own(server, plain, monkeypatch):
    send(plain)
    mine = os.getpid()
    (line,) = web._kept.lines.values()
    monkeypatch.setattr(web.os, "getpid", lambda: mine + 1)

    assert send(plain, key="m-2") == Sent("SM2")
    assert server.connections == 2
    web.close_connections()
    line.close()


def test_the_settings_name_the_gateway(settings, server):
    settings.SMS_GATEWAY, settings.SMS_HTTP_URL, settings.SMS_HTTP_TOKEN = "http", server.root + PATH, TOKEN
    assert send(sms_gateway()) == Sent("SM1")

    settings.SMS_GATEWAY, settings.TWILIO_URL, settings.TWILIO_FROM = "twilio", server.root, SENDER
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT, TOKEN
    assert send(sms_gateway()) == Sent("SM2")
