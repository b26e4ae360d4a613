"""A text that may speak of an emergency is an alarm like a red answer: owned, climbing, closed only with an outcome."""

from datetime import timedelta

import pytest

from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.worklist.models import Task
from patients.messaging.models import Message
from patients.replies.actions import receive_reply
from patients.replies.rules import Heard
from tests.factories.people import NOW, actor, make_location, make_patient, make_user
from treatments.aftercare.adverse import record_adverse_event
from treatments.aftercare.alarms import acknowledge, climb_due, close_escalation
from treatments.aftercare.models import Escalation
from treatments.aftercare.queries import red_among
from treatments.aftercare.states import BadEvent

NUMBER = "+447700900001"
SMS = Actor.task("gateway.http")


@pytest.fixture
def location(db):
    return make_location()


@pytest.fixture
def lead(location):
    return make_user("Mira Lead", Role.LEAD_CLINICIAN, location=location)


@pytest.fixture
def ana(location, lead):
    return make_patient(location, email="", phone=NUMBER)


def write(text, ref="r-1", at=NOW):
    heard = Heard(text_ref=ref, number=NUMBER, text=text)
    return receive_reply(gateway="http", heard=heard, by=SMS, at=at)


def test_the_alarm_stands_with_its_clock_and_somebody_is_asked(ana, lead):
    write("I can't breathe")

    alarm = Escalation.objects.get()
    assert (alarm.patient, alarm.level, alarm.act_by, alarm.asked) == (ana, "E", NOW + timedelta(minutes=15), lead)
    assert Message.objects.get(template="alarm").staff == lead
    assert Task.objects.get().blocks_treatment
    assert red_among({ana.pk})


def test_more_such_texts_are_one_alarm_and_a_worse_one_is_another(ana, lead):
    write("blisters")
    write("more blisters", ref="r-2")
    write("I can't breathe", ref="r-3")

    assert sorted(Escalation.objects.values_list("level", flat=True)) == ["E", "U1"]


def test_it_climbs_and_closes_only_with_an_outcome(ana, lead, client):
    write("I can't breathe")
    alarm = Escalation.objects.get()

    assert climb_due(by=SMS, at=alarm.climbs_at) == 1
    taken = acknowledge(escalation=alarm, by=actor(lead), at=alarm.climbs_at)
    with pytest.raises(BadEvent):
        record_adverse_event(
            escalation=taken,
            term="blister",
            grade=2,
            relatedness="possible",
            onset_on=NOW.date(),
            by=actor(lead),
            at=NOW,
        )
    closed = close_escalation(
        escalation=taken, outcome="advised", note="Anxious, well.", by=actor(lead), at=taken.act_by
    )
    assert closed.status == "closed"
    assert not red_among({ana.pk})


def test_the_page_shows_the_words_and_who_shares_the_number(ana, lead, location, client):
    make_patient(location, "Bea", email="", phone=NUMBER)
    write("I can't breathe")
    client.force_login(lead)

    page = client.get(f"/alarms/{Escalation.objects.get().ref}/").content.decode()

    assert "I can&#x27;t breathe" in page
    assert "Several people share this number" in page
    assert "Bea Reyes" in page
    assert client.get("/alarms/").status_code == 200
    assert client.get("/alarms/banner/").status_code in {200, 204}
