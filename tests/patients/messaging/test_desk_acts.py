"""What the desk may do with a message."""

from datetime import timedelta

import pytest

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.transitions import IllegalMove
from patients.messaging.actions import (
    NotNow,
    ReasonMissing,
    dispatch,
    hold_message,
    opt_out,
    release_message,
    resend_message,
    skip_message,
)
from patients.messaging.models import Message
from patients.messaging.states import MessageStatus
from patients.registry.models import ContactPoint
from tests.factories.letters import plan_message
from tests.factories.people import NOW
from tests.factories.smtp import DROP

BO = Actor.task("Bo Lindqvist")
TOMORROW = NOW + timedelta(days=1)


def fresh(message):
    return Message.objects.get(pk=message.pk)


# --- holding, releasing, skipping -------------------------------------------------------------------------------------


def test_a_held_message_waits_for_a_person(ana, server):
    message = plan_message(ana, not_after=TOMORROW)

    held = hold_message(message=message, reason="asks the clinician first", by=BO, at=NOW)

    assert (held.status, held.reason) == (MessageStatus.HELD, "Held by Bo Lindqvist: asks the clinician first")
    assert dispatch(at=NOW + timedelta(hours=5)) == 0

    release_message(message=message, by=BO, at=NOW + timedelta(hours=5))
    assert dispatch(at=NOW + timedelta(hours=5)) == 1
    assert fresh(message).status == MessageStatus.SENT


def test_held_until_it_is_too_late_it_is_listed_with_who_held_it(ana, server):
    message = plan_message(ana)
    hold_message(message=message, reason="asks the clinician first", by=BO, at=NOW)

    dispatch(at=NOW + timedelta(hours=6))

    assert fresh(message).status == MessageStatus.SKIPPED
    assert "Held by Bo Lindqvist: asks the clinician first" in fresh(message).reason


def test_one_held_for_the_night_can_be_held_by_a_person(ana, server):
    night = NOW.replace(hour=22)
    message = plan_message(ana, due_at=night, not_after=night + timedelta(days=1))
    dispatch(at=night)

    hold_message(message=message, reason="not yet", by=BO, at=night)

    assert dispatch(at=night + timedelta(hours=12)) == 0
    assert fresh(message).is_held_by_desk


def test_a_skipped_message_says_who_and_why(ana, server):
    message = plan_message(ana)

    skip_message(message=message, reason="told her on the phone", by=BO, at=NOW)

    assert (fresh(message).status, fresh(message).reason) == ("skipped", "told her on the phone (Bo Lindqvist)")
    assert AuditEvent.objects.get(action="message.skipped").detail["reason"] == "told her on the phone (Bo Lindqvist)"
    assert dispatch(at=NOW) == 0


@pytest.mark.parametrize("act", [hold_message, skip_message])
def test_no_act_without_a_reason(ana, act):
    message = plan_message(ana)

    with pytest.raises(ReasonMissing):
        act(message=message, reason="  ", by=BO, at=NOW)
    assert fresh(message).status == MessageStatus.PLANNED


@pytest.mark.parametrize("act", [hold_message, skip_message])
def test_what_was_sent_can_neither_be_held_nor_skipped(ana, server, act):
    message = plan_message(ana)
    dispatch(at=NOW)

    with pytest.raises(IllegalMove):
        act(message=message, reason="too late", by=BO, at=NOW)
    assert (fresh(message).status, fresh(message).reason) == (MessageStatus.SENT, "")


# --- sending (again) --------------------------------------------------------------------------------------------------


def test_one_that_waits_is_sent_now(ana, server):
    message = plan_message(ana, due_at=NOW + timedelta(hours=3))

    resend_message(message=message, by=BO, at=NOW)

    assert dispatch(at=NOW) == 1
    assert fresh(message).due_at == NOW + timedelta(hours=3)


def test_one_that_was_sent_is_sent_again_as_its_own_row(ana, server):
    message = plan_message(ana)
    dispatch(at=NOW)

    again = resend_message(message=message, by=BO, at=NOW + timedelta(days=2))
    dispatch(at=NOW + timedelta(days=2))

    assert (again.revision, again.note) == (2, "Sent again by Bo Lindqvist.")
    assert [row.status for row in Message.objects.order_by("pk")] == ["sent", "sent"]
    assert len({letter.message["Message-ID"] for letter in server.letters}) == 2


def test_one_that_failed_is_tried_at_the_corrected_address(ana, server):
    message = plan_message(ana)
    server.say("RCPT", "550 5.1.1 no such user")
    dispatch(at=NOW)

    resend_message(message=message, by=BO, at=NOW + timedelta(minutes=5))
    dispatch(at=NOW + timedelta(minutes=5))

    assert [row.status for row in Message.objects.order_by("pk")] == ["failed", "sent"]


def test_one_that_may_have_arrived_goes_again_under_its_own_name(ana, server):
    message = plan_message(ana, link_scope="intake", link_about="response:1")
    server.say("END", DROP)
    dispatch(at=NOW)
    assert fresh(message).status == MessageStatus.UNKNOWN

    resend_message(message=message, by=BO, at=NOW + timedelta(minutes=20))
    dispatch(at=NOW + timedelta(minutes=20))

    assert fresh(message).status == MessageStatus.SENT
    assert len({letter.message["Message-ID"] for letter in server.taken}) == 1


def test_one_that_is_leaving_cannot_be_hurried(ana):
    message = plan_message(ana)
    Message.objects.update(status="sending", lease_until=TOMORROW)

    with pytest.raises(NotNow):
        resend_message(message=message, by=BO, at=NOW)


def test_sending_again_respects_stop(ana, server):
    message = plan_message(ana)
    dispatch(at=NOW)
    opt_out(point=ContactPoint.objects.get(), how="asked", by=BO, at=NOW)

    again = resend_message(message=message, by=BO, at=NOW)
    dispatch(at=NOW + timedelta(minutes=1))

    assert (fresh(again).status, fresh(again).reason) == ("skipped", "They asked us to stop.")
