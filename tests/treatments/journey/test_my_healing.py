"""My healing: what comes next stands in the order of its days, and an answer is acknowledged."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from clinic.audit.states import Actor
from patients.registry.access import KEY
from patients.registry.actions import issue_link
from tests.factories.recovering import CALM, ENDED, RED, after, alarm_of, answer, recovering
from tests.factories.visits import book
from treatments.aftercare.alarms import acknowledge, close_escalation
from treatments.journey.queries import healing
from treatments.plan.queries import shipped_protocol

pytestmark = pytest.mark.django_db
BY = Actor.command("test")


@pytest.fixture
def clinic():
    return recovering()


def page_of(patient, at):
    link = issue_link(patient=patient, scope="healing", about=f"patient:{patient.ref}", by=BY, at=at)[0]
    with time_machine.travel(at, tick=False):
        client, now = Client(), int(at.timestamp())
        session = client.session
        session[KEY] = {str(link.ref): {"opened": now, "used": now}}
        session.save()
        client.cookies["sessionid"] = session.session_key
        return client.get(reverse("healing", args=[link.ref])).content.decode()


def test_the_next_visit_stands_among_the_check_ins_by_its_day(clinic):
    visit = book(clinic.ana, clinic.bo.practitioner, ENDED + timedelta(days=21), "review", at=ENDED)

    found = healing(clinic.ana, after(days=4))

    whens = [when for when, _ in found.ahead]
    assert whens == sorted(whens)
    assert [each for _, each in found.ahead if each] == [visit]
    assert found.ahead[0][1] is None
    assert found.ahead[-1][1] is None


def test_an_answered_check_in_is_not_asked_for_again(clinic):
    asked = healing(clinic.ana, after(days=1, hours=1))
    answer(clinic, CALM, at=after(days=1, hours=2))

    told = healing(clinic.ana, after(days=1, hours=3))

    assert (asked.answered_at, told.answered_at) == (None, after(days=1, hours=2))
    assert asked.open_checkin is not None
    assert told.open_checkin is None
    assert healing(clinic.ana, after(days=2, hours=3)).answered_at is None


ASKED = "Answer today&#x27;s short check-in."


def test_answering_is_no_longer_a_thing_to_do_once_it_is_done(clinic):
    before = page_of(clinic.ana, after(days=1, hours=1))
    answer(clinic, CALM, at=after(days=1, hours=2))

    page = page_of(clinic.ana, after(days=1, hours=3))

    assert (ASKED in before, ASKED in page) == (True, False)
    assert ("<li>Wash gently.</li>" in before, "<li>Wash gently.</li>" in page) == (True, True)


def test_every_check_in_begins_with_asking_for_its_answer():
    """My healing leaves the first line out once it is answered: it must say nothing else, and to everybody."""
    first = [
        step.lines[0]
        for modality in ("afl_co2", "nafl_1550", "pico_755")
        for step in shipped_protocol(modality).steps
        if step.checkin
    ]

    assert len(first) == 14
    assert {line.text for line in first} == {
        "Answer today's short check-in.", "Answer today's short check-in and add a photo if you like."
    }  # fmt: skip
    assert all(not (line.needs or line.unless or line.areas) for line in first)


def test_an_open_alarm_is_said_first_and_nothing_reassures(clinic):
    answer(clinic, RED, at=after(days=1, hours=2))
    alarm = alarm_of(clinic)

    told = healing(clinic.ana, after(days=1, hours=3))
    page = page_of(clinic.ana, after(days=1, hours=3))

    assert (told.alarm, told.answered_at) == (alarm, None)
    assert "You told us something that needs a person" in page
    assert "There is nothing more to answer now" not in page
    assert str(alarm.checkin.ref) in page

    acknowledge(escalation=alarm, by=clinic.by, at=after(days=1, hours=4))
    assert healing(clinic.ana, after(days=1, hours=4)).alarm == alarm  # taken is not settled

    close_escalation(escalation=alarm, outcome="advised", note="Rang.", by=clinic.by, at=after(days=1, hours=5))
    assert healing(clinic.ana, after(days=1, hours=5)).alarm is None
