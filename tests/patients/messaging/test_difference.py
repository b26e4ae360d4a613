"""What a change of a visit means for its messages, without any rows."""

from datetime import datetime, timedelta

import pytest

from patients.messaging.difference import NOTICE_STEP, Known, Reconciled, difference, said
from tests.factories.letters import wanted
from tests.factories.people import NOW

VISIT = NOW + timedelta(days=8)
LATER = VISIT + timedelta(days=7)
OTHER_DAY = {"when_local": "Tuesday 8 December, 10:00", "where": "1 Harley Street, London"}


def step(name, due_at, visit_at=VISIT, **fields):
    context = {"context": OTHER_DAY} if visit_at == LATER else {}
    return wanted(name, due_at=due_at, visit_at=visit_at, **{**context, **fields})


def row(each, key=1, status="planned", out_at=None, revision=1, in_plan=True, **changes):
    fields = {
        "key": key,
        "step": each.step,
        "revision": revision,
        "status": status,
        "in_plan": in_plan,
        "out_at": out_at,
        "said": said(each),
        "template": each.template,
        "channel": each.channel,
        "context": each.context,
        "due_at": each.due_at,
        "visit_at": each.visit_at,
    }
    return Known(**{**fields, **changes})


REMINDER = step("reminder_24h", VISIT - timedelta(days=1))
WEEK = NOW + timedelta(days=6)
CONFIRMATION = step("confirmation", NOW - timedelta(days=1), template="booking_confirmation", not_after=WEEK)
MOVED_REMINDER = step("reminder_24h", LATER - timedelta(days=1), LATER)
MOVED_CONFIRMATION = step(
    "confirmation", NOW - timedelta(days=1), LATER, template="booking_confirmation", not_after=WEEK
)
TOLD = row(CONFIRMATION, key=1, status="sent", out_at=NOW - timedelta(days=1))


def test_what_was_never_planned_is_new():
    found = difference([], [REMINDER, CONFIRMATION], NOW)

    assert found.new == ((REMINDER, 1), (CONFIRMATION, 1))


def test_the_same_wish_again_changes_nothing():
    found = difference([TOLD, row(REMINDER, key=2)], [CONFIRMATION, REMINDER], NOW)

    assert found.is_empty
    assert found.kept == 2


def test_a_step_whose_time_is_over_is_not_begun():
    gone = step("reminder_48h", NOW - timedelta(days=2), not_after=NOW)

    assert difference([], [gone], NOW).is_empty


def test_moving_changes_what_waits_and_corrects_what_was_told():
    found = difference([TOLD, row(REMINDER, key=2)], [MOVED_CONFIRMATION, MOVED_REMINDER], NOW)

    assert found.changed == ((2, MOVED_REMINDER),)
    assert found.new == ()
    notice, revision = found.notice
    assert (notice.step, notice.template, revision) == (NOTICE_STEP, "correction", 1)
    assert notice.context == {
        "old_when": "Tuesday 1 December, 10:00",
        "new_when": "Tuesday 8 December, 10:00",
        "where": "1 Harley Street, London",
    }
    assert (notice.due_at, notice.not_after) == (NOW + timedelta(minutes=3), VISIT)
    assert found.already_sent == 1


@pytest.mark.parametrize("status", ["sent", "delivered", "unknown", "sending"])
def test_whatever_may_have_been_read_counts_as_told(status):
    told = row(CONFIRMATION, status=status, out_at=NOW - timedelta(days=1))

    assert difference([told], [MOVED_CONFIRMATION], NOW).notice is not None


def test_what_is_claimed_but_not_handed_over_can_still_be_changed():
    claimed = row(REMINDER, key=2, status="sending")

    assert difference([claimed], [MOVED_REMINDER], NOW).changed == ((2, MOVED_REMINDER),)


def test_what_is_on_its_way_with_the_old_time_may_not_be_tried_again():
    leaving = row(REMINDER, key=2, status="sending", out_at=NOW)

    assert difference([leaving], [MOVED_REMINDER], NOW).overtaken == (2,)
    assert difference([leaving], [], NOW).overtaken == (2,)
    assert difference([leaving], [REMINDER], NOW).overtaken == ()


def test_moved_twice_there_is_one_notice_from_what_was_told_to_what_is_true():
    first = difference([TOLD], [MOVED_CONFIRMATION], NOW).notice[0]
    pending = row(first, key=9, in_plan=False)
    third = LATER + timedelta(days=1)
    thursday = step(
        "confirmation",
        NOW,
        third,
        template="booking_confirmation",
        context={"when_local": "Thursday", "where": "1 Harley Street, London"},
    )

    again = difference([TOLD, pending], [thursday], NOW + timedelta(minutes=1))

    assert again.notice is None
    key, notice = again.changed_notice
    assert key == 9
    assert (notice.context["old_when"], notice.context["new_when"]) == ("Tuesday 1 December, 10:00", "Thursday")


def test_moved_back_before_anybody_was_told_there_is_no_notice():
    pending = row(difference([TOLD], [MOVED_CONFIRMATION], NOW).notice[0], key=9, in_plan=False)

    back = difference([TOLD, pending], [CONFIRMATION], NOW + timedelta(minutes=1))

    assert back.dropped_notice == 9
    assert not back.has_notice
    assert back.already_sent == 0


def test_once_the_correction_was_read_it_is_what_they_believe():
    correction = difference([TOLD], [MOVED_CONFIRMATION], NOW).notice[0]
    read = row(correction, key=9, in_plan=False, status="sent", out_at=NOW + timedelta(minutes=4))

    assert difference([TOLD, read], [MOVED_CONFIRMATION], NOW + timedelta(hours=1)).is_empty

    back = difference([TOLD, read], [CONFIRMATION], NOW + timedelta(hours=1))
    notice, revision = back.notice
    assert revision == 2
    assert notice.context["old_when"] == "Tuesday 8 December, 10:00"
    assert notice.context["new_when"] == "Tuesday 1 December, 10:00"


def test_a_visit_that_is_gone_takes_back_what_waits_and_says_so_once():
    found = difference([TOLD, row(REMINDER, key=2)], [], NOW)

    assert found.withdrawn == (2,)
    notice = found.notice[0]
    assert (notice.template, notice.context) == ("cancelled", {"old_when": "Tuesday 1 December, 10:00"})

    said_so = row(notice, key=9, in_plan=False, status="sent", out_at=NOW + timedelta(minutes=4))
    assert difference([TOLD, said_so], [], NOW + timedelta(hours=1)).is_empty


def test_nobody_is_told_of_a_cancelled_visit_they_never_heard_of():
    found = difference([row(CONFIRMATION, key=1), row(REMINDER, key=2)], [], NOW)

    assert found.withdrawn == (1, 2)
    assert found.notice is None


def test_a_visit_that_is_over_is_not_corrected():
    # No-show, or entered in error, after the time of the visit.
    assert difference([TOLD], [], VISIT + timedelta(hours=1)).is_empty


def test_a_cancelled_visit_that_stands_again_is_confirmed_anew():
    told_gone = row(
        difference([TOLD], [], NOW).notice[0], key=9, in_plan=False, status="sent", out_at=NOW + timedelta(minutes=4)
    )

    again = difference([TOLD, told_gone], [CONFIRMATION, REMINDER], NOW + timedelta(hours=1))

    notice = again.notice[0]
    assert (notice.template, notice.context["when_local"]) == ("booking_confirmation", "Tuesday 1 December, 10:00")


def test_what_was_withdrawn_and_is_wanted_again_gets_a_new_revision():
    withdrawn = row(REMINDER, key=2, status="superseded")

    assert difference([withdrawn], [REMINDER], NOW).new == ((REMINDER, 2),)


@pytest.mark.parametrize("status", ["skipped", "failed"])
def test_what_could_not_be_sent_is_tried_again_only_for_another_time(status):
    ended = row(REMINDER, key=2, status=status)

    assert difference([ended], [REMINDER], NOW).is_empty
    assert difference([ended], [MOVED_REMINDER], NOW).new == ((MOVED_REMINDER, 2),)


def test_a_reminder_of_the_old_day_is_sent_again_for_the_new_one():
    told = row(REMINDER, key=2, status="sent", out_at=NOW)

    found = difference([told], [MOVED_REMINDER], NOW)

    assert found.new == ((MOVED_REMINDER, 2),)
    assert found.notice is not None


def test_a_care_message_that_was_read_is_never_repeated_when_the_completion_is_corrected():
    after = wanted("after_24h", due_at=NOW + timedelta(days=1), template="checkin", context={})
    told = row(after, status="sent", out_at=NOW)
    corrected = wanted("after_24h", due_at=NOW + timedelta(days=1, hours=2), template="checkin", context={})

    assert difference([told], [corrected], NOW).is_empty


def test_another_address_is_a_correction_that_names_both():
    elsewhere = {"when_local": "Tuesday 1 December, 10:00", "where": "9 New Street"}
    moved_house = step("confirmation", NOW, template="booking_confirmation", context=elsewhere)

    notice = difference([TOLD], [moved_house], NOW).notice[0]

    assert notice.context["old_when"] == "1 Harley Street, London"
    assert notice.context["where"] == "9 New Street"


def test_a_correction_is_useless_after_the_earlier_of_both_times():
    sooner = NOW + timedelta(hours=3)
    soon = step("confirmation", NOW, sooner, template="booking_confirmation", context=OTHER_DAY)

    assert difference([TOLD], [soon], NOW).notice[0].not_after == sooner


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({}, "No message changes"),
        (
            {"moved": 5, "already_sent": 1, "corrections": 1},
            "5 messages moved, 1 already sent, 1 correction will go out",
        ),
        ({"planned": 1, "withdrawn": 2}, "1 message planned, 2 messages withdrawn"),
    ],
)
def test_the_sentence_for_whoever_moved_the_visit(counts, sentence):
    assert Reconciled(**counts).sentence == sentence


def test_a_wanted_message_refuses_what_no_template_knows():
    with pytest.raises(ValueError, match="notes"):
        wanted(context={"notes": "secret"})
    with pytest.raises(ValueError, match="time zone"):
        wanted(due_at=datetime(2026, 11, 23, 10, 0))
    with pytest.raises(ValueError, match="too late"):
        wanted(not_after=NOW - timedelta(hours=1))
