"""Many senders at once, on a database that really commits. `make faults` runs them more often, on more messages."""

import os
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import fields
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from clinic.transports.email import smtp
from patients.messaging.actions import dispatch, reconcile
from patients.messaging.models import DeliveryAttempt, Message
from patients.messaging.states import MessageStatus
from patients.messaging.tasks import dispatch_due_messages
from tests.factories.letters import TEST, plan_many, wanted
from tests.factories.people import NOW, make_location, make_patient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
IN_FULL = os.environ.get("AFTERGLOW_FAULTS") == "full"


def together(count, work):
    """Run work(number) in threads that start at the same instant; raise what any of them raised."""
    barrier, faults = threading.Barrier(count), []

    def run(number):
        try:
            barrier.wait()
            work(number)
        except BaseException as fault:
            faults.append(fault)
        finally:
            smtp().close()
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def drain(_number, at=NOW):
    while dispatch(at=at):
        pass


def names(letters):
    """How often each message arrived, by its own name."""
    return Counter(letter.message["Message-ID"].strip("<>").partition("@")[0] for letter in letters)


def refs():
    return [str(ref) for ref in Message.objects.values_list("ref", flat=True)]


def test_six_senders_share_five_hundred_messages_and_send_none_twice(server):
    ana = make_patient(make_location())
    plan_many(ana, 500)

    together(6, drain)

    assert names(server.taken) == dict.fromkeys(refs(), 1)
    assert Counter(Message.objects.values_list("status", "token")) == {(MessageStatus.SENT, 1): 500}
    assert DeliveryAttempt.objects.count() == 500
    assert server.connections <= 6


@pytest.mark.parametrize("turn", range(20 if IN_FULL else 4))
def test_four_dispatchers_and_the_tasks_of_two_beats_share_500_due_and_send_none_twice(server, monkeypatch, turn):
    plan_many(make_patient(make_location()), 500)
    monkeypatch.setattr("patients.messaging.tasks.database_clock", lambda: NOW)

    together(6, lambda number: drain(number) if number < 4 else dispatch_due_messages())

    assert names(server.taken) == dict.fromkeys(refs(), 1)
    assert Counter(Message.objects.values_list("status", "token")) == {(MessageStatus.SENT, 1): 500}
    assert DeliveryAttempt.objects.count() == 500


def test_cancelling_while_six_send_leaves_no_visit_untold(server):
    """Each message was either taken back in time, or its reader gets one notice that the visit is off."""
    ana = make_patient(make_location())
    visit = NOW + timedelta(days=1)
    plan = [wanted(visit_at=visit, not_after=visit)]
    for number in range(60):
        with_reason(ana, number, plan)

    def work(number):
        if number < 3:
            drain(number)
        else:
            for each in range(number - 3, 60, 3):
                with_reason(ana, each, [])

    together(6, work)
    dispatch(at=NOW + timedelta(minutes=5), limit=200)

    told = Counter(letter.message["Subject"].split(" ")[0] for letter in server.letters)
    withdrawn = Message.objects.filter(step="reminder_24h", status="superseded").count()
    assert told["Your"] + withdrawn == 60
    assert told["Cancelled:"] == told["Your"]


VISIT = NOW + timedelta(days=1)
OLD = wanted(visit_at=VISIT, due_at=NOW + timedelta(seconds=1), not_after=VISIT)
LATER = VISIT + timedelta(hours=2)
NEW = wanted(
    visit_at=LATER, due_at=NOW + timedelta(hours=2), not_after=LATER,
    context={"when_local": "Tuesday 1 December, 12:00", "where": "1 Harley Street, London"},
)  # fmt: skip


def said_of_visits(server):
    """How often each visit's reminder arrived, by what time it names: the old one, the new one."""
    abouts = {str(ref): about for ref, about in Message.objects.filter(step=OLD.step).values_list("ref", "about")}
    old, new = Counter(), Counter()
    for letter in server.taken:
        about = abouts.get(letter.message["Message-ID"].strip("<>").partition("@")[0])
        if about is not None:
            (old if "10:00" in letter.text else new)[about] += 1
    return old, new


def test_500_visits_moved_or_cancelled_a_second_before_their_reminders_send_nothing_stale_and_the_new_one_once(server):
    ana = make_patient(make_location())
    plan_many(ana, 500, **{**vars_of(OLD), "at": NOW - timedelta(days=1)})
    Message.objects.update(in_plan=True)
    senders_meet_movers = lambda number: drain(number) if number < 2 else change(ana, number - 2, 4)  # noqa: E731

    together(6, senders_meet_movers)  # all of it before anything is due
    together(4, lambda number: drain(number, OLD.due_at))
    at_the_old_time = said_of_visits(server)
    together(4, lambda number: drain(number, NEW.due_at))

    moved = {f"visit:{number}" for number in range(1, 501) if number % 2}
    assert at_the_old_time == (Counter(), Counter())
    assert said_of_visits(server) == (Counter(), Counter(dict.fromkeys(moved, 1)))
    assert len(server.taken) == 250


def test_120_visits_moved_or_cancelled_while_their_reminders_leave_tell_everybody_who_read_the_old_time(server):
    """A reminder of the old time is either taken back in time, or whoever moved the visit hears that it was read."""
    ana = make_patient(make_location())
    plan_many(ana, 120, **{**vars_of(OLD), "at": NOW - timedelta(days=1)})
    Message.objects.update(in_plan=True)
    told = set()
    race = lambda number: drain(number, OLD.due_at) if number < 2 else change(ana, number - 2, 4, 120, told)  # noqa: E731

    together(6, race)
    drain(0, OLD.due_at + timedelta(minutes=5))
    drain(0, NEW.due_at)

    old, new = said_of_visits(server)
    assert old == dict.fromkeys(told, 1)
    assert new == {f"visit:{number}": 1 for number in range(1, 121) if number % 2}
    assert len(server.taken) == 2 * len(told) + 60


def change(ana, mine, movers, count=500, told=None):
    """Of every `movers` visits one is mine: it is moved if its number is odd, else cancelled."""
    for number in range(mine + 1, count + 1, movers):
        done = with_reason(ana, number, [NEW] if number % 2 else [])
        if done.corrections and told is not None:
            told.add(f"visit:{number}")


def vars_of(plan):
    return {each.name: getattr(plan, each.name) for each in fields(plan)}


def with_reason(ana, number, plan):
    return reconcile(
        about=f"visit:{number}", patient=ana, location=ana.location, wanted=plan, by=TEST, at=NOW, reason="off"
    )


def test_two_that_plan_the_same_visit_for_the_first_time_plan_it_once():
    ana = make_patient(make_location())
    plan = [wanted(f"step_{each}", due_at=NOW + timedelta(days=1)) for each in range(5)]

    together(6, lambda _number: with_reason(ana, 1, plan))

    assert Message.objects.count() == 5


def test_the_task_delivered_twice_sends_once(server, monkeypatch):
    count = 1000 if IN_FULL else 100
    plan_many(make_patient(make_location()), count)
    monkeypatch.setattr("patients.messaging.tasks.database_clock", lambda: NOW)

    dispatch_due_messages()
    dispatch_due_messages()
    together(2, lambda _number: dispatch_due_messages())

    assert names(server.taken) == dict.fromkeys(refs(), 1)
    assert len(server.taken) == count


@pytest.mark.parametrize("hangs_up_at", [1, 2, 20, 21, 30])
def test_what_a_gateway_said_is_written_down_though_the_database_hung_up_meanwhile(server, monkeypatch, hangs_up_at):
    """On a connection of its own: a letter that is known to have left is not sent again."""
    plan_many(make_patient(make_location()), 30)
    ours, answer, ends = connection.connection.info.backend_pid, server.next_answer, []
    other = connection.copy()
    other.ensure_connection()

    def hang_up(stage):
        if stage == "END":
            ends.append(stage)
            if len(ends) == hangs_up_at:
                other.connection.execute("SELECT pg_terminate_backend(%s, 60000)", [ours])
        return answer(stage)

    monkeypatch.setattr(server, "next_answer", hang_up)
    for minutes in (0, 5, 10):
        with suppress(OperationalError):
            drain(0, NOW + timedelta(minutes=minutes))
    other.close()

    assert set(Message.objects.values_list("status", "attempts")) == {(MessageStatus.SENT, 1)}
    assert names(server.taken) == dict.fromkeys(refs(), 1)
