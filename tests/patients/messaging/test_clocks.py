"""A worker whose clock is wrong: what is due, and whose lease is over, is decided by the database's clock alone."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from patients.messaging.claiming import sweep
from patients.messaging.models import Message
from patients.messaging.queries import database_clock
from patients.messaging.tasks import dispatch_due_messages
from tests.factories.letters import plan_message
from tests.factories.people import make_location, make_patient

pytestmark = pytest.mark.django_db
WRONG = [timedelta(hours=2), timedelta(hours=-2), timedelta(days=-1)]
BY_HOW_MUCH = ["two hours ahead", "two hours behind", "a day behind"]


@pytest.fixture
def ana():
    hours = 12 - datetime.now(UTC).hour  # nobody is asleep there now
    return make_patient(make_location(time_zone=f"Etc/GMT{-hours:+d}"))


def plan(ana, about, due_in):
    true = database_clock()
    plan_message(ana, about=about, at=true - timedelta(hours=1), due_at=true + due_in)


def work(wrong):
    with time_machine.travel(datetime.now(UTC) + wrong):
        assert abs(datetime.now(UTC) - database_clock() - wrong) < timedelta(minutes=10)
        dispatch_due_messages()


@pytest.mark.parametrize("wrong", WRONG, ids=BY_HOW_MUCH)
def test_a_worker_sends_what_is_due_by_the_databases_clock_and_nothing_else(ana, server, wrong):
    for number in range(10):
        plan(ana, f"due:{number}", -timedelta(seconds=30))
        plan(ana, f"in an hour:{number}", timedelta(hours=1))

    work(wrong)
    work(wrong)

    assert Counter(row.about.partition(":")[0] for row in Message.objects.filter(status="sent")) == {"due": 10}
    assert Message.objects.filter(status="planned").count() == 10
    assert len({letter.message["Message-ID"] for letter in server.taken}) == len(server.taken) == 10
    assert all(
        abs(row.sent_at - database_clock()) < timedelta(minutes=10) for row in Message.objects.exclude(sent_at=None)
    )


def test_workers_whose_clocks_disagree_send_each_message_once(ana, server):
    for wrong in [*WRONG, *WRONG]:
        plan(ana, f"at {wrong}:{Message.objects.count()}", -timedelta(seconds=1))
        work(wrong)

    assert Counter(Message.objects.values_list("status", "token")) == {("sent", 1): 6}
    assert len(server.taken) == 6


@pytest.mark.parametrize("wrong", WRONG, ids=BY_HOW_MUCH)
def test_a_wrong_clock_takes_over_nobodys_lease_before_its_time_and_every_one_after_it(ana, server, wrong):
    plan(ana, "visit:1", -timedelta(seconds=1))
    sweep(database_clock(), 10)

    work(wrong)
    assert (Message.objects.get().status, len(server.taken)) == ("sending", 0)

    Message.objects.update(lease_until=database_clock() - timedelta(seconds=1))
    work(wrong)
    work(wrong)
    assert (Message.objects.get().status, len(server.taken)) == ("sent", 1)
