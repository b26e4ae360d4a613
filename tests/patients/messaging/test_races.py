"""Many senders at once, on a database that really commits."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection

from clinic.transports.email import smtp
from patients.messaging.actions import dispatch, reconcile
from patients.messaging.models import DeliveryAttempt, Message
from patients.messaging.states import MessageStatus
from patients.messaging.tasks import dispatch_due_messages
from tests.factories.letters import TEST, plan_message, wanted
from tests.factories.people import NOW, make_location, make_patient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


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


def drain(_number):
    while dispatch(at=NOW):
        pass


def test_six_senders_share_five_hundred_messages_and_send_none_twice(server):
    ana = make_patient(make_location())
    for number in range(500):
        plan_message(ana, about=f"visit:{number}")

    together(6, drain)

    arrived = Counter(letter.message["Message-ID"] for letter in server.taken)
    assert len(arrived) == 500
    assert set(arrived.values()) == {1}
    assert Counter(Message.objects.values_list("status", "token")) == {(MessageStatus.SENT, 1): 500}
    assert DeliveryAttempt.objects.count() == 500
    assert server.connections <= 6


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
    ana = make_patient(make_location())
    for number in range(20):
        plan_message(ana, about=f"visit:{number}")
    monkeypatch.setattr("patients.messaging.tasks.database_clock", lambda: NOW)

    dispatch_due_messages()
    dispatch_due_messages()
    together(2, lambda _number: dispatch_due_messages())

    assert len(server.taken) == 20
