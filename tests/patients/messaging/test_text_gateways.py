"""What becomes of a message when a text gateway answers well, badly, late or not at all: the real sender, real HTTP."""

from datetime import timedelta

import pytest

from clinic.transports import web
from clinic.worklist.models import Task
from patients.messaging.actions import dispatch
from patients.messaging.models import DeliveryAttempt, Message
from patients.messaging.states import Channel, MessageStatus, Purpose
from patients.registry.states import LinkScope
from tests.factories.letters import plan_message
from tests.factories.people import NOW, make_patient
from tests.factories.sms_gateway import (
    ACCOUNT,
    GARBAGE,
    PATH,
    SENDER,
    TAKE_AND_DROP,
    TAKE_AND_SILENCE,
    TOKEN,
    Say,
    SmsGatewayServer,
)

LATER = NOW + timedelta(days=3)
STEADY = {"channel": Channel.SMS, "not_after": LATER}
LINK = {
    "link_scope": LinkScope.CHECKIN.value, "link_about": "checkin:1", "purpose": Purpose.CHECKIN, "template": "checkin",
}  # fmt: skip


@pytest.fixture
def gateway(settings):
    settings.SMS_TIMEOUT = 60
    with SmsGatewayServer(NOW) as running:
        settings.SMS_HTTP_URL, settings.SMS_HTTP_TOKEN = running.root + PATH, TOKEN
        settings.TWILIO_URL, settings.TWILIO_FROM = running.root, SENDER
        settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT, TOKEN
        yield running
        web.close_connections()


@pytest.fixture(params=["http", "twilio"])
def either(request, gateway, settings):
    settings.SMS_GATEWAY = request.param
    return gateway


@pytest.fixture
def ana(location):
    """Ana has a telephone and no email."""
    return make_patient(location, email="", phone="+447700900001")


def only() -> Message:
    return Message.objects.get()


def outcomes():
    return list(DeliveryAttempt.objects.order_by("pk").values_list("outcome", flat=True))


def test_a_text_leaves_once_and_its_name_at_the_gateway_is_kept(ana, either):
    plan_message(ana, **STEADY)

    assert [dispatch(at=NOW), dispatch(at=NOW)] == [1, 0]
    assert (only().status, only().gateway_ref) == (MessageStatus.SENT, "SM1")
    assert [(text.to, text.body) for text in either.texts] == [("+447700900001", only().sent_text["text"])]


def test_a_gateway_that_asks_for_a_pause_gets_it_and_no_try_is_used_up(ana, either):
    for number in range(3):
        plan_message(ana, about=f"visit:{number}", **STEADY)
    either.say(Say(429, "slow down", {"Retry-After": "120"}))

    assert dispatch(at=NOW) == 0
    assert len(either.asked) == 1  # the others were not even tried
    first = Message.objects.order_by("pk").first()
    assert (first.status, first.attempts) == (MessageStatus.PLANNED, 0)
    assert first.try_at >= NOW + timedelta(seconds=120)
    assert dispatch(at=NOW + timedelta(seconds=60)) == 2
    assert dispatch(at=first.try_at) == 1
    assert len(either.texts) == 3


def test_a_gateway_that_falls_over_is_tried_again_later_with_growing_waits(ana, either):
    plan_message(ana, **STEADY)
    either.say(*[Say(500, "oops")] * 3)
    at, waits = NOW, []
    for _ in range(3):
        dispatch(at=at)
        waits.append(only().try_at - at)
        assert dispatch(at=only().try_at - timedelta(seconds=1)) == 0
        at = only().try_at
    dispatch(at=at)

    assert waits == sorted(waits)
    assert outcomes() == ["retry", "retry", "retry", "sent"]
    assert len(either.texts) == 1


@pytest.mark.parametrize("fields", [{}, LINK], ids=["plain", "link"])
@pytest.mark.parametrize("lost", [TAKE_AND_SILENCE, TAKE_AND_DROP, GARBAGE], ids=["silence", "drop", "garbage"])
def test_a_lost_answer_is_asked_for_again_with_the_same_key_and_not_at_once(ana, gateway, settings, lost, fields):
    settings.SMS_GATEWAY, settings.SMS_TIMEOUT = "http", 2 if lost.status < 0 else 60
    plan_message(ana, **{**fields, **STEADY})
    gateway.say(lost)

    dispatch(at=NOW)
    message = only()
    assert (message.status, outcomes()) == (MessageStatus.PLANNED, ["unknown"])
    assert message.reason == "Not known whether it was taken: asked again with its key."
    assert message.try_at > NOW + timedelta(seconds=20)
    settings.SMS_TIMEOUT = 60
    dispatch(at=message.try_at)

    assert (only().status, outcomes()) == (MessageStatus.SENT, ["unknown", "sent"])
    assert (len(gateway.texts), len(gateway.asked), {key for _, key in gateway.asked}) == (1, 2, {str(message.ref)})


def test_twilio_is_searched_before_a_reminder_is_sent_once_more(ana, gateway, settings):
    settings.SMS_GATEWAY = "twilio"
    plan_message(ana, **STEADY)
    gateway.say(TAKE_AND_DROP)
    gateway.say_to_looks(Say(500), Say(500))

    dispatch(at=NOW)
    assert outcomes() == ["unknown"]
    dispatch(at=only().try_at)  # still blind: nothing is sent
    assert (only().status, outcomes()) == (MessageStatus.PLANNED, ["unknown", "retry"])
    dispatch(at=only().try_at)

    assert (only().status, only().gateway_ref) == (MessageStatus.SENT, "SM1")
    assert (len(gateway.texts), len(gateway.asked)) == (1, 1)


def test_a_personal_link_that_twilio_may_have_taken_is_looked_at_by_a_person(ana, gateway, settings):
    settings.SMS_GATEWAY = "twilio"
    plan_message(ana, **{**LINK, **STEADY})
    gateway.say(TAKE_AND_DROP)
    gateway.say_to_looks(Say(500))

    dispatch(at=NOW)

    assert only().status == MessageStatus.UNKNOWN
    assert list(Task.objects.values_list("title", flat=True)) == ["Ask Ana Reyes whether a message arrived"]
    assert dispatch(at=NOW + timedelta(hours=1)) == 0
    assert len(gateway.texts) == 1


@pytest.mark.parametrize(
    ("dialect", "body", "said"),
    [
        ("http", {"error": {"code": "opted_out"}}, "opted out"),
        ("http", {"error": {"code": "invalid_number"}}, "no number it can text"),
        ("twilio", {"code": 21610, "message": "x"}, "opted out"),
        ("twilio", {"code": 21211, "message": "x"}, "no number it can text"),
    ],
)
def test_who_opted_out_or_gave_a_wrong_number_gets_no_second_try_and_somebody_calls(
    ana, gateway, settings, dialect, body, said
):
    settings.SMS_GATEWAY = dialect
    plan_message(ana, **STEADY)
    gateway.say(Say(400, body))

    dispatch(at=NOW)

    assert only().status == MessageStatus.FAILED
    assert said in only().reason
    assert list(Task.objects.values_list("title", flat=True)) == ["Call Ana Reyes: a message did not reach them"]
    assert dispatch(at=NOW + timedelta(hours=1)) == 0
    assert len(gateway.asked) == 1


def test_a_wrong_number_gives_way_to_email(location, server, gateway, settings):
    settings.SMS_GATEWAY = "twilio"
    plan_message(make_patient(location, phone="+447700900001"), **STEADY)
    gateway.say(Say(400, {"code": 21211}))

    dispatch(at=NOW)
    dispatch(at=NOW + timedelta(seconds=5))

    assert (only().status, only().sent_channel, len(server.letters)) == (MessageStatus.SENT, Channel.EMAIL, 1)
