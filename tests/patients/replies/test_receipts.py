"""What a gateway says about a text after it took it: late, doubled, out of order, forged. Real HTTP both ways."""

from datetime import timedelta
from itertools import permutations

import pytest

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.worklist.models import Task
from patients.messaging.actions import dispatch
from patients.messaging.models import DeliveryAttempt, DeliveryReceipt, Message, OptOut
from patients.messaging.states import Channel, MessageStatus, Purpose
from patients.registry.states import LinkScope
from patients.replies.gateway_views import LONGEST_CALL
from patients.replies.receipts import apply_receipts
from tests.factories.gateway_calls import plain, post, report, twilio
from tests.factories.letters import plan_message
from tests.factories.people import NOW, make_patient, make_user
from tests.factories.sms_gateway import TAKE_AND_DROP, Say

LATER = NOW + timedelta(days=3)
TEXT = {"channel": Channel.SMS, "not_after": LATER}
LINK = {
    "link_scope": LinkScope.CHECKIN.value, "link_about": "checkin:1", "purpose": Purpose.CHECKIN, "template": "checkin",
}  # fmt: skip
BY = Actor.task("test")
pytestmark = pytest.mark.django_db(transaction=True)


def only() -> Message:
    return Message.objects.get()


def effects():
    return dict(DeliveryReceipt.objects.values_list("said", "effect"))


@pytest.fixture
def text(ana, either):
    """A text that was taken over."""
    plan_message(ana, **TEXT)
    dispatch(at=NOW)
    return either.texts[0]


def test_a_delivered_text_is_delivered_with_its_time(text, clock):
    clock.shift(timedelta(seconds=40))
    delivered_at = NOW + timedelta(seconds=30)

    assert report(text, "delivered", delivered_at) == 204
    message = only()
    assert message.status == MessageStatus.DELIVERED
    # The plain gateway names the time; Twilio does not, and then it is ours.
    assert message.delivered_at == (delivered_at if text.key else NOW + timedelta(seconds=40))
    assert AuditEvent.objects.get(action="message.delivered").actor_id.startswith("gateway.")


def test_a_gateways_clock_that_runs_ahead_reports_no_future(text, clock):
    clock.shift(timedelta(seconds=10))
    report(text, "delivered", NOW + timedelta(minutes=4))

    assert only().delivered_at == NOW + timedelta(seconds=10)


def test_the_same_receipt_twice_is_kept_and_acts_once(text):
    for _ in range(3):
        report(text, "sent", NOW)
        report(text, "delivered", NOW)

    assert sorted(DeliveryReceipt.objects.values_list("said", flat=True)) == ["delivered", "sent"]
    assert AuditEvent.objects.filter(action="message.delivered").count() == 1


@pytest.mark.parametrize("order", list(permutations(["queued", "sent", "delivered"])))
def test_in_whatever_order_they_come_delivered_stays_delivered(text, order):
    for status in order:
        report(text, status, NOW)

    assert only().status == MessageStatus.DELIVERED
    assert sorted(DeliveryReceipt.objects.values_list("said", flat=True)) == [
        "delivered",
        "sent",
    ]  # "queued" is no news
    assert not DeliveryReceipt.objects.filter(applied_at=None).exists()


def test_a_failure_after_delivery_moves_nothing(text):
    report(text, "delivered", NOW)
    report(text, "failed", NOW, code="30008")

    assert only().status == MessageStatus.DELIVERED
    assert effects()["failed"] == "Nothing: it was “Delivered” already."
    assert Task.objects.count() == 0


def test_a_text_that_did_not_arrive_has_failed_and_somebody_calls(text):
    assert report(text, "undelivered", NOW, code="30006") == 204
    message = only()

    assert message.status == MessageStatus.FAILED
    assert message.reason.startswith("Not delivered: ")
    assert list(Task.objects.values_list("title", flat=True)) == ["Call Ana Reyes: a message did not reach them"]
    assert DeliveryAttempt.objects.filter(outcome="failed").count() == 1
    assert dispatch(at=NOW + timedelta(hours=1)) == 0


def test_the_log_says_in_words_why_a_text_did_not_arrive(text):
    code = "invalid_number" if text.key else "30003"
    report(text, "undelivered", NOW, code=code)

    said = {"invalid_number": "The gateway says that this is no number it can text.",
            "30003": "The phone was off or out of reach."}  # fmt: skip
    assert DeliveryReceipt.objects.get().answer == said[code]


def test_a_text_that_did_not_arrive_goes_by_email_where_there_is_one(location, mail, either):
    plan_message(make_patient(location, phone="+447700900001"), **TEXT)
    dispatch(at=NOW)

    report(either.texts[0], "undelivered", NOW, code="30003")
    assert (only().status, only().sent_at, only().gateway_ref) == (MessageStatus.PLANNED, None, "")
    dispatch(at=NOW)

    assert (only().status, only().sent_channel, len(mail.letters)) == (MessageStatus.SENT, Channel.EMAIL, 1)
    report(either.texts[0], "delivered", NOW)  # of the text, which is no longer what was sent
    assert only().status == MessageStatus.SENT
    assert effects()["delivered"] == "Nothing: it went another way since."
    assert Task.objects.count() == 0


def test_a_text_too_late_to_repeat_is_not_sent_another_way(location, mail, either, clock):
    plan_message(make_patient(location, phone="+447700900001"), **TEXT)
    dispatch(at=NOW)
    clock.move_to(LATER)

    report(either.texts[0], "failed", LATER)

    assert only().status == MessageStatus.FAILED
    assert Task.objects.count() == 1


def test_who_stopped_at_the_gateway_is_opted_out_at_the_number(ana, gateway, settings):
    settings.SMS_GATEWAY = "twilio"
    plan_message(ana, **TEXT)
    dispatch(at=NOW)

    report(gateway.texts[0], "undelivered", NOW, code="21610")

    assert [(stop.point.value, stop.patient, stop.until_at) for stop in OptOut.objects.all()] == [
        ("+447700900001", None, None)
    ]
    assert only().status == MessageStatus.FAILED


@pytest.mark.parametrize(("dialect", "said"), [("twilio", {"code": 21610}), ("http", {"error": {"code": "opted_out"}})])
def test_a_gateway_that_says_so_at_once_opts_the_number_out_too(ana, gateway, settings, dialect, said):
    settings.SMS_GATEWAY = dialect
    plan_message(ana, **TEXT)
    gateway.say(Say(400, said))
    dispatch(at=NOW)
    plan_message(ana, about="visit:2", **TEXT)
    dispatch(at=NOW + timedelta(minutes=1))

    assert OptOut.objects.get().how == "told the text gateway to stop"
    assert Message.objects.get(about="visit:2").reason == "They asked us to stop."
    assert len(gateway.asked) == 1


def test_the_messages_page_shows_what_the_network_reported(text, client, location):
    report(text, "delivered", NOW)
    report(text, "failed", NOW, code="30008")
    client.force_login(make_user("Bo Lindqvist", Role.FRONT_DESK, location=location))

    page = client.get(f"/messages/{only().ref}/").content.decode()

    assert "What the network reported" in page
    assert "Nothing: it was “Delivered” already." in page


# --- before the sender has written down that it left ------------------------------------------------------------------


def test_a_receipt_that_overtakes_the_sender_waits_for_the_sweep(text):
    Message.objects.update(status="sending", lease_until=LATER, sent_at=None)

    assert report(text, "delivered", NOW) == 204
    assert (only().status, effects()) == (MessageStatus.SENDING, {"delivered": ""})
    assert apply_receipts(by=BY, at=NOW) == 0
    Message.objects.update(status="sent", lease_until=None, sent_at=NOW)

    assert [apply_receipts(by=BY, at=NOW), apply_receipts(by=BY, at=NOW)] == [1, 0]
    assert only().status == MessageStatus.DELIVERED


def test_an_answer_that_was_lost_is_found_by_the_receipt(ana, gateway, settings):
    settings.SMS_GATEWAY = "twilio"
    plan_message(ana, **{**LINK, **TEXT})
    gateway.say(TAKE_AND_DROP)
    gateway.say_to_looks(Say(500))
    dispatch(at=NOW)
    assert only().status == MessageStatus.UNKNOWN

    report(gateway.texts[0], "sent", NOW)
    assert (only().status, only().gateway_ref, only().reason) == (MessageStatus.SENT, "SM1", "")
    report(gateway.texts[0], "delivered", NOW)

    assert only().status == MessageStatus.DELIVERED


def test_a_lost_answer_whose_text_failed_is_no_longer_in_doubt(ana, gateway, settings):
    settings.SMS_GATEWAY = "twilio"
    plan_message(ana, **{**LINK, **TEXT})
    gateway.say(TAKE_AND_DROP)
    gateway.say_to_looks(Say(500))
    dispatch(at=NOW)

    report(gateway.texts[0], "failed", NOW, code="30005")

    assert (only().status, only().reason) == (MessageStatus.FAILED, "Not delivered: The number is not in use.")


def test_the_failure_of_an_earlier_try_says_nothing_about_the_later_one(text):
    Message.objects.update(gateway_ref="SM-later")

    report(text, "failed", NOW)

    assert only().status == MessageStatus.SENT
    assert effects() == {"failed": "Nothing: it was sent once more since."}


def test_a_gateway_that_does_not_repeat_our_name_is_matched_by_its_own(ana, gateway, settings, live_server):
    settings.SMS_GATEWAY = "http"
    plan_message(ana, **TEXT)
    dispatch(at=NOW)

    assert plain(live_server.url + "/gateway/http/receipt/", {"id": "SM1", "status": "delivered"}, NOW) == 204
    assert only().status == MessageStatus.DELIVERED


def test_a_receipt_for_no_text_of_ours_waits_and_is_then_let_go(gateway, live_server):
    assert plain(live_server.url + "/gateway/http/receipt/", {"id": "SM77", "status": "delivered"}, NOW) == 204

    assert [apply_receipts(by=BY, at=NOW), apply_receipts(by=BY, at=LATER), apply_receipts(by=BY, at=LATER)] == [
        0,
        1,
        0,
    ]
    assert effects() == {"delivered": "Nothing: no text of ours that left."}


# --- who is not believed ----------------------------------------------------------------------------------------------


def test_a_forged_receipt_is_refused_and_told(text):
    wrong = {"secret": "guessed"} if text.key else {"token": "guessed"}

    assert report(text, "delivered", NOW, **wrong) == 403
    assert (only().status, DeliveryReceipt.objects.count()) == (MessageStatus.SENT, 0)
    told = AuditEvent.objects.get(action="access.refused")
    assert (told.outcome, told.detail["why"]) == ("refused", "signature")


def test_a_recorded_call_of_the_plain_gateway_is_refused_later(ana, gateway, settings, clock):
    settings.SMS_GATEWAY = "http"
    plan_message(ana, **TEXT)
    dispatch(at=NOW)
    clock.shift(timedelta(minutes=6))

    assert report(gateway.texts[0], "delivered", NOW) == 403


def test_twilios_signature_holds_for_its_own_address_only(ana, gateway, settings):
    settings.SMS_GATEWAY = "twilio"
    plan_message(ana, **TEXT)
    dispatch(at=NOW)
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    callback = gateway.texts[0].callback

    assert str(only().ref) in callback
    settings.SMS_CALLBACK_URL = "https://clinic.example"  # signed for another address than the one we gave
    assert twilio(callback, fields) == 403


def test_without_a_secret_nothing_is_believed(gateway, settings, live_server):
    settings.SMS_HTTP_SECRET = settings.TWILIO_AUTH_TOKEN = ""

    assert plain(live_server.url + "/gateway/http/receipt/", {"id": "x", "status": "sent"}, NOW, secret="") == 403
    assert twilio(live_server.url + "/gateway/twilio/receipt/", {"MessageSid": "x"}, token="") == 403


@pytest.mark.parametrize(
    "said", [{"status": "sent"}, {"id": "", "status": "sent"}, {"id": "SM1"}, {"id": ["SM1"], "status": "sent"}]
)
def test_a_signed_call_that_cannot_be_read_says_so(gateway, live_server, said):
    assert plain(live_server.url + "/gateway/http/receipt/", said, NOW) == 400


def test_signed_bytes_that_are_no_json_say_so(client, settings):
    from clinic.transports.signatures import signature

    settings.SMS_HTTP_SECRET = "s"
    stamp = str(int(NOW.timestamp()))
    for body in (b"", b"[]", b"\xff", b"[" * 5000):
        headers = {"X-Signature-Timestamp": stamp, "X-Signature": signature("s", stamp, body)}
        answer = client.post("/gateway/http/receipt/", body, content_type="application/json", headers=headers)
        assert answer.status_code == 400, body[:10]


def test_a_call_beyond_the_cap_is_not_even_read(live_server):
    assert post(live_server.url + "/gateway/http/receipt/", b"x" * (LONGEST_CALL + 1), {}) == 413


def test_a_form_with_thousands_of_fields_is_refused(live_server):
    assert post(live_server.url + "/gateway/twilio/receipt/", b"&".join([b"a=1"] * 9000), {}) == 403
