"""Setting the messages of a visit right, in rows."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from patients.messaging import planning
from patients.messaging.actions import (
    Change,
    alert_staff,
    dispatch,
    hold_message,
    queue_message,
    reconcile,
    reconcile_many,
    withdraw,
)
from patients.messaging.difference import plain
from patients.messaging.models import Message
from patients.messaging.states import Channel, MessageStatus, Purpose
from tests.factories.letters import TEST, plan_message, wanted
from tests.factories.people import NOW, make_user

ABOUT = "visit:1"
BO = Actor.task("Bo Lindqvist")
VISIT = NOW + timedelta(days=8)
PLAN = [
    wanted("confirmation", due_at=NOW, visit_at=VISIT, template="booking_confirmation"),
    wanted("reminder_48h", due_at=VISIT - timedelta(days=2), visit_at=VISIT),
    wanted("reminder_24h", due_at=VISIT - timedelta(days=1), visit_at=VISIT),
]


def moved(by=timedelta(days=7), when="Tuesday 8 December, 10:00"):
    context = {"when_local": when, "where": "1 Harley Street, London"}
    return [
        wanted(
            each.step,
            due_at=each.due_at if each.step == "confirmation" else each.due_at + by,
            visit_at=VISIT + by,
            template=each.template,
            context=context,
        )
        for each in PLAN
    ]


def plan(ana, messages, at=NOW, reason="", by=BO):
    return reconcile(about=ABOUT, patient=ana, location=ana.location, wanted=messages, reason=reason, by=by, at=at)


def rows(*fields):
    return list(Message.objects.filter(about=ABOUT).order_by("pk").values_list(*fields))


def test_a_plan_becomes_rows(ana):
    result = plan(ana, PLAN)

    assert result.sentence == "3 messages planned"
    assert rows("step", "status", "in_plan", "try_at") == [(w.step, "planned", True, w.due_at) for w in PLAN]


def test_planning_the_same_again_costs_two_queries_and_writes_nothing(ana):
    plan(ana, PLAN)
    before = AuditEvent.objects.count()

    with CaptureQueriesContext(
        connection,
    ) as seen:
        result = plan(ana, PLAN)

    queries = [each for each in seen if "SAVEPOINT" not in each["sql"]]
    assert len(queries) == 2, queries
    assert (result.kept, result.sentence) == (3, "No message changes")
    assert AuditEvent.objects.count() == before


def test_moving_a_visit_moves_what_waits_in_the_same_rows(ana):
    plan(ana, PLAN)
    keys = [key for (key,) in rows("pk")]

    result = plan(ana, moved(), at=NOW + timedelta(minutes=1))

    assert result.sentence == "3 messages moved"
    assert [key for (key,) in rows("pk")] == keys
    assert rows("step", "due_at", "visit_at", "revision") == [
        (each.step, each.due_at, VISIT + timedelta(days=7), 1) for each in moved()
    ]


def test_what_waits_says_all_that_is_wanted_now_and_nothing_that_was(ana):
    first = {"title": "Before", "do_now": ("Sun cream", "No tan"), "when_local": "Tuesday"}
    then = {"title": "Before", "do_now": ("Sun cream",), "where": "1 Harley Street, London"}
    early = wanted("precare", due_at=NOW + timedelta(days=1), template="precare", context=first, visit_at=VISIT)
    late = wanted(
        "precare", due_at=NOW + timedelta(days=2), template="reminder", context=then, important=False,
        channel=Channel.SMS, link_scope="visit", link_about=ABOUT, note="The clocks go back", any_hour=True,
        purpose=Purpose.CARE,
    )  # fmt: skip

    for message in (early, late, early):
        plan(ana, [message])

        kept = ("purpose", "channel", "template", "context", "due_at", "not_after", "is_important", "link_scope")
        assert rows(*kept, "link_about", "note", "any_hour", "visit_at", "try_at") == [
            (
                message.purpose, message.channel, message.template, plain(message.context), message.due_at,
                message.not_after, message.important, message.link_scope, message.link_about, message.note,
                message.any_hour, message.visit_at, message.due_at,
            )
        ]  # fmt: skip


def test_the_mover_reads_what_became_of_the_messages(ana, server):
    plan(ana, PLAN)
    dispatch(at=NOW)

    result = plan(ana, moved(), at=NOW + timedelta(hours=1))

    assert result.sentence == "2 messages moved, 1 already sent, 1 correction will go out"
    assert dispatch(at=NOW + timedelta(hours=1, minutes=2)) == 0  # it can still be undone
    assert dispatch(at=NOW + timedelta(hours=1, minutes=3)) == 1
    letter = server.letters[-1]
    assert letter.message["Subject"] == "Changed: your visit at Harley Street"
    assert "Now: Tuesday 8 December, 10:00" in letter.text
    assert "No longer: Tuesday 1 December, 10:00" in letter.text


def test_moved_twice_is_one_notice_and_moved_back_is_none(ana, server):
    plan(ana, PLAN)
    dispatch(at=NOW)
    first, second, third = (NOW + timedelta(hours=1, minutes=each) for each in (0, 1, 2))

    plan(ana, moved(), at=first)
    plan(ana, moved(timedelta(days=8), "Wednesday 9 December, 10:00"), at=second)
    assert [step for step, status in rows("step", "status") if status == "planned"].count("correction") == 1

    result = plan(ana, PLAN, at=third)
    assert result.corrections == 0
    assert dispatch(at=NOW + timedelta(hours=2)) == 0
    assert len(server.letters) == 1


def test_cancelling_takes_back_what_waits_with_its_reason_and_sends_one_notice(ana, server):
    plan(ana, PLAN)
    dispatch(at=NOW)

    result = plan(ana, [], at=NOW + timedelta(hours=4, minutes=2), reason="visit cancelled")

    assert result.sentence == "2 messages withdrawn, 1 already sent, 1 correction will go out"
    assert rows("step", "status", "reason")[1:3] == [
        ("reminder_48h", "superseded", "Visit cancelled at 14:02 by Bo Lindqvist."),
        ("reminder_24h", "superseded", "Visit cancelled at 14:02 by Bo Lindqvist."),
    ]
    dispatch(at=NOW + timedelta(hours=5))
    dispatch(at=VISIT)
    assert [letter.message["Subject"] for letter in server.letters] == [
        "Your visit at Harley Street, Tuesday 1 December, 10:00",
        "Cancelled: your visit at Harley Street",
    ]


def test_a_cancelled_visit_that_is_booked_again_has_its_messages_again(ana):
    plan(ana, PLAN)
    plan(ana, [], reason="visit cancelled")

    result = plan(ana, PLAN, at=NOW + timedelta(minutes=1))

    assert result.planned == 3
    assert rows("step", "revision", "status")[3:] == [(w.step, 2, "planned") for w in PLAN]


def test_what_a_person_holds_stays_held_when_the_visit_moves(ana):
    plan(ana, PLAN)
    reminder = Message.objects.get(step="reminder_24h")
    hold_message(message=reminder, reason="wait for the clinician", by=BO, at=NOW)

    plan(ana, moved(), at=NOW + timedelta(minutes=1))

    reminder.refresh_from_db()
    assert (reminder.status, reminder.due_at) == (MessageStatus.HELD, VISIT + timedelta(days=6))
    assert reminder.is_held_by_desk


def test_messages_of_others_about_the_same_visit_are_left_alone(ana):
    plan_message(ana, "copy", about=ABOUT, due_at=NOW + timedelta(days=1))

    plan(ana, PLAN)
    plan(ana, [])

    assert Message.objects.get(step="copy").status == MessageStatus.PLANNED


def test_moving_many_visits_takes_as_many_statements_as_moving_one(ana):
    def move(abouts, messages, at):
        changes = [Change(about, ana, ana.location, lambda _known: messages) for about in abouts]
        with CaptureQueriesContext(connection) as seen:
            done = reconcile_many(changes=changes, by=BO, at=at, reason="moved")
        assert {each.is_change for each in done.values()} == {True}
        return len(seen)

    abouts = [f"visit:{number}" for number in range(6)]
    move(abouts, PLAN, NOW)

    one = move(abouts[:1], moved()[1:], NOW + timedelta(minutes=1))
    many = move(abouts[1:], moved()[1:], NOW + timedelta(minutes=1))

    assert one == many
    assert (
        len({tuple(Message.objects.filter(about=about).values_list("step", "status", "due_at")) for about in abouts})
        == 1
    )


def test_one_event_tells_what_was_planned_moved_and_withdrawn(ana):
    plan(ana, PLAN)
    plan(ana, moved()[1:], at=NOW + timedelta(minutes=1), reason="visit moved")

    event = AuditEvent.objects.filter(action="messages.reconciled").latest("id")
    assert (event.patient_ref, event.actor_name) == (ana.ref, "Bo Lindqvist")
    assert event.detail["changed"] == ["reminder_48h", "reminder_24h"]
    assert event.detail["withdrawn"] == ["confirmation"]


# --- single messages --------------------------------------------------------------------------------------------------


def test_a_message_that_waits_is_not_planned_twice(ana):
    first = plan_message(ana, due_at=NOW + timedelta(hours=1))
    again = plan_message(ana, due_at=NOW + timedelta(hours=2))

    assert again == first
    assert Message.objects.get().due_at == NOW + timedelta(hours=1)


def test_a_message_that_was_sent_may_be_sent_again_as_another_revision(ana, server):
    plan_message(ana)
    dispatch(at=NOW)

    again = plan_message(ana, due_at=NOW + timedelta(days=1))

    assert again.revision == 2


def test_withdrawing_takes_back_only_the_purposes_named(ana):
    plan_message(ana, "reminder", due_at=NOW + timedelta(days=1))
    plan_message(ana, "recall", purpose=Purpose.NEWS, due_at=NOW + timedelta(days=1))

    count = withdraw(about=ABOUT, reason="An alarm is open.", purposes={Purpose.NEWS}, by=BO, at=NOW)

    assert count == 1
    assert rows("step", "status", "reason") == [
        ("reminder", "planned", ""),
        ("recall", "superseded", "An alarm is open."),
    ]
    assert withdraw(about=ABOUT, reason="Over.", by=BO, at=NOW) == 1


def test_an_alarm_to_staff_is_due_at_once_at_any_hour(location, server):
    bo = make_user("Bo Lindqvist", location=location)
    night = NOW.replace(hour=2)

    for step in ("page_1_1", "page_1_2"):
        alert_staff(
            user=bo,
            location=location,
            about="escalation:1",
            step=step,
            template="alarm",
            context={"link": "https://clinic.example/alarms/1/"},
            by=TEST,
            at=night,
        )

    assert dispatch(at=night) == 2
    assert [letter.to for letter in server.letters] == ["bo.lindqvist@clinic.example"] * 2
    assert "https://clinic.example/alarms/1/" in server.letters[0].text


def test_a_transaction_that_fails_leaves_no_message(ana):
    @transaction.atomic
    def book_and_fail():
        plan(ana, PLAN)
        plan_message(ana, about="visit:2")
        raise IntegrityError

    with pytest.raises(IntegrityError):
        book_and_fail()

    assert Message.objects.count() == 0
    assert AuditEvent.objects.filter(action__startswith="message").count() == 0


def test_a_failure_while_writing_the_trail_leaves_no_message(ana, monkeypatch):
    def broken(**_):
        raise RuntimeError("no trail")

    monkeypatch.setattr(planning, "record", broken)
    with pytest.raises(RuntimeError, match="no trail"):
        queue_message(patient=ana, location=ana.location, about=ABOUT, wanted=wanted(), by=TEST, at=NOW)

    assert Message.objects.count() == 0
