"""A day without a sender: what is too late is listed, nobody gets a flood, no gateway more than it takes."""

from collections import Counter
from datetime import timedelta

import pytest

from clinic.worklist.models import Task
from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from patients.messaging.queries import Wanted, messages_of
from patients.messaging.states import Channel, MessageStatus, Purpose, Shown
from tests.factories.letters import plan_message
from tests.factories.people import NOW, make_patient, make_user

DAY = timedelta(days=1)
BACK = NOW + DAY  # ten in the morning, a day later


def drain(at, minutes=1, steps=1):
    for step in range(steps):
        while dispatch(at=at + timedelta(minutes=minutes * step)):
            pass


def test_what_makes_no_sense_any_more_is_listed_and_never_sent(location, server):
    people = [make_patient(location, name, email=f"{name}@m.example") for name in ("Ana", "Ben", "Cleo")]
    for number in range(30):
        due = NOW + timedelta(minutes=40 * number)
        stale = number % 3 != 0
        plan_message(people[number % 3], about=f"visit:{number}", due_at=due, important=number % 2 == 0,
                     not_after=due + timedelta(hours=2) if stale else due + timedelta(days=4))  # fmt: skip

    drain(BACK, minutes=61, steps=8)

    late = Message.objects.filter(not_after__lt=BACK)
    assert set(late.values_list("status", flat=True)) == {MessageStatus.SKIPPED}
    assert len(server.letters) == Message.objects.filter(status="sent").count() == 30 - late.count() == 10
    desk = make_user("Dee", location=location)
    listed = messages_of(desk, Wanted(shown=Shown.STOPPED), location.zone, BACK)
    assert set(listed.values_list("pk", flat=True)) == set(late.values_list("pk", flat=True))
    assert all(row.reason.startswith("It made no sense after ") for row in late)
    assert Task.objects.filter(kind="call").count() == late.filter(is_important=True).count()


def test_nobody_gets_everything_at_once_and_all_of_it_comes_in_order(location, server):
    ana, ben = make_patient(location), make_patient(location, "Ben", email="ben@m.example")
    for number in range(5):
        due = NOW + timedelta(hours=number)
        plan_message(ana, about=f"ana:{number}", due_at=due, not_after=BACK + DAY)
    plan_message(ben, about="ben:0", due_at=NOW, not_after=BACK + DAY)

    drain(BACK)
    assert Counter(letter.to for letter in server.letters) == {"ana.reyes@mail.example": 2, "ben@m.example": 1}
    held = Message.objects.filter(status="held")
    assert {row.reason for row in held} == {"Late, and not all at once: held until 11:00."}

    drain(BACK, minutes=61, steps=3)
    sent = Message.objects.filter(patient=ana, status="sent").order_by("sent_at", "pk")
    assert list(sent.values_list("about", flat=True)) == [f"ana:{number}" for number in range(5)]


def test_a_correction_and_an_alarm_never_wait_their_turn(ana, server):
    for number in range(4):
        plan_message(ana, about=f"visit:{number}", purpose=Purpose.CORRECTION, not_after=BACK + DAY)

    drain(BACK)

    assert len(server.letters) == 4


def test_on_time_everything_leaves_however_many_there_are(ana, server):
    for number in range(5):
        plan_message(ana, about=f"visit:{number}")

    drain(NOW)

    assert len(server.letters) == 5


@pytest.mark.parametrize("channel", Channel)
def test_a_gateway_gets_no_more_than_it_takes_a_minute(location, server, texts, settings, channel):
    settings.SENDS_A_MINUTE = {"email": 0, "sms": 0, channel.value: 4}
    for number in range(10):
        person = make_patient(location, f"P{number}", email=f"p{number}@m.example", phone=f"+4477009000{number:02}")
        plan_message(person, about=f"visit:{number}", channel=channel)
    arrived = lambda: len(server.letters) if channel == Channel.EMAIL else len(texts())  # noqa: E731

    counts = []
    for minute in range(3):
        drain(NOW + timedelta(minutes=minute))
        counts.append(arrived())

    assert counts == [4, 8, 10]
    assert set(Message.objects.values_list("status", "attempts")) == {("sent", 1)}
