"""A check-in on the phone: one question a screen, and what to do at once when an answer is red."""

import logging
import re

import pytest
from celery import Celery
from django.test import Client
from django.utils import timezone

from clinic.worklist.models import Task
from patients.messaging import bell as messaging
from patients.messaging.models import Message
from patients.registry.access import remember_opened
from patients.registry.actions import issue_link
from patients.registry.states import LinkScope
from tests.factories.people import make_patient
from tests.factories.recovering import RED, after, answer, checkin_of, patient, recovering
from treatments.aftercare.alarms import acknowledge
from treatments.aftercare.models import CheckInAnswer, Escalation
from treatments.aftercare.queries import draft_of

DAY_1 = after(days=1)


@pytest.fixture
def clinic(db, time_machine):
    time_machine.move_to(DAY_1, tick=False)
    return recovering()


@pytest.fixture
def phone(clinic):
    return open_checkin(clinic)


class Phone(Client):
    """A browser that opened the link of one check-in."""

    ref = None

    def page(self, query=""):
        return self.get(f"/my/{self.ref}/checkin/{query}")

    def say(self, question, *values, follow=True):
        data = {"question": question, "answer": list(values)}
        return self.post(f"/my/{self.ref}/checkin/answer/", data, follow=follow)

    def send(self, **data):
        return self.post(f"/my/{self.ref}/checkin/send/", data, follow=True)


def open_checkin(clinic, day=1, person=None):
    link, _ = issue_link(
        patient=person or clinic.ana,
        scope=LinkScope.CHECKIN,
        about=checkin_of(clinic, day).about,
        by=patient(clinic),
        at=timezone.now(),
    )
    browser = Phone()
    request = type("Opened", (), {"session": browser.session})()
    remember_opened(request, link, timezone.now())
    request.session.save()
    browser.cookies["sessionid"] = request.session.session_key
    browser.ref = link.ref
    return browser


def text(response):
    """Return the words of the page, single-spaced."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def heading(response):
    return re.search(r"<h1[^>]*>(.*?)</h1>", response.content.decode(), re.DOTALL)[1].strip()


def test_it_asks_one_question_after_another_and_sends(phone, clinic):
    assert heading(phone.page()) == "How much does it hurt now?"
    assert heading(phone.say("pain_now", "2")) == "Is there swelling?"
    assert heading(phone.say("swelling", "mild")) == "The redness is"
    assert heading(phone.say("redness", "fading")) == "Do you see blisters?"
    assert heading(phone.say("blisters", "none")) == "How are your eyes?"
    last = phone.say("eye", "none")
    assert heading(last) == "Nearly done"
    assert "2 of 10" in text(last)

    thanks = phone.send()

    assert heading(thanks) == "Thank you. This is day 1."
    assert "What is normal about now" in text(thanks)
    given = CheckInAnswer.objects.get()
    assert (given.level, given.is_complete) == ("ok", True)


def test_what_she_writes_is_read_by_a_person(phone):
    phone.say("pain_now", "2")

    thanks = phone.send(note="Is it all right to swim?", wants_call="on")

    assert "We will call you within one working day." in text(thanks)
    given = CheckInAnswer.objects.get()
    assert (given.level, given.answers["note"]) == ("R", "Is it all right to swim?")
    assert Task.objects.unfinished().get().kind == "checkin_reply"


@pytest.mark.django_db(transaction=True)
def test_a_red_answer_shows_what_to_do_within_the_request_with_broker_and_mail_down(
    settings, caplog, monkeypatch, time_machine
):
    caplog.set_level(logging.WARNING)
    time_machine.move_to(DAY_1)
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    monkeypatch.setattr(messaging, "_deaf_until", 0.0)
    monkeypatch.setattr(messaging, "current_app", Celery("lost", broker="redis://127.0.0.1:1/0", set_as_current=False))
    clinic = recovering()
    phone = open_checkin(clinic)
    phone.say("pain_now", "2")

    page = phone.say("eye", "vision_change")

    assert heading(page) == "This needs emergency help now"
    assert "Go to an eye emergency department today, now." in text(page)
    assert 'href="tel:999"' in page.content.decode()
    assert f'href="tel:{clinic.location.phone}"' in page.content.decode()
    assert "The clinic has been told" in text(page)
    alarm = Escalation.objects.get()
    assert (alarm.level, alarm.status, alarm.asked) == ("E", "open", clinic.bo)
    assert Message.objects.get(purpose="alarm").status == "planned"
    # The page waits for the broker once, and then no longer than it may: that leaves most of the five seconds.
    assert caplog.text.count("The worker could not be rung (OperationalError)") == 1
    assert messaging._IMPATIENT == {"max_retries": 0, "socket_connect_timeout": 1, "socket_timeout": 1}


def test_the_rest_can_be_answered_after_a_red_one(phone):
    phone.say("eye", "vision_change")

    assert heading(phone.page()) == "This needs emergency help now"
    assert heading(phone.page("?go=on")) == "How much does it hurt now?"
    assert heading(phone.say("pain_now", "2")) == "Is there swelling?"


def test_after_sending_the_advice_stays_until_the_alarm_is_closed(phone, clinic):
    phone.say("eye", "vision_change")
    phone.send()
    answer(clinic, {"eye": "none"}, at=after(days=1, mins=5))

    assert heading(phone.page()) == "This needs emergency help now"


def test_she_sees_who_has_read_it(phone, clinic):
    phone.say("eye", "vision_change")
    acknowledge(escalation=Escalation.objects.get(), by=clinic.by, at=after(days=1, mins=3))

    assert "Seen by Bo Lindqvist at 10:43." in text(phone.page())
    assert "Seen by Bo Lindqvist at 10:43." in text(phone.get(f"/my/{phone.ref}/checkin/seen/"))


def test_emergency_stands_on_every_screen_and_acts_at_once(phone):
    assert "Is it an emergency?" in text(phone.page())

    page = phone.say("emergency", "breathing")

    assert "Call the emergency number now." in text(page)
    assert Escalation.objects.get().level == "E"


@pytest.mark.parametrize(
    ("question", "values", "sentence"),
    [
        ("pain_now", ["11"], "Please choose a number from 0 to 10."),
        ("pain_now", [], "Please choose a number from 0 to 10."),
        ("swelling", ["huge"], "Please choose one."),
        ("emergency", [], "Please choose at least one."),
    ],
)
def test_what_is_no_answer_is_asked_for_again(phone, clinic, question, values, sentence):
    page = phone.say(question, *values)

    assert page.status_code == 422
    assert sentence in text(page)
    assert draft_of(checkin_of(clinic), DAY_1) == {}


def test_a_question_of_another_day_is_not_taken(phone):
    assert phone.say("firm_or_raised", "yes").status_code == 404


@pytest.mark.parametrize(
    ("typed", "level"),
    [("38,4", "U1"), ("38.4 °C", "U1"), ("101.2", "U1"), ("felt_hot", "U1"), ("no_fever", "ok"), ("36.6", "ok")],
)
def test_a_temperature_is_read_as_people_write_it(clinic, time_machine, typed, level):
    time_machine.move_to(after(days=3), tick=False)
    phone = open_checkin(clinic, day=3)

    phone.say("temp_c", typed)
    phone.send()

    assert CheckInAnswer.objects.latest("answered_at", "pk").level == level


@pytest.mark.parametrize("typed", ["warm", "12", "99999"])
def test_what_is_no_temperature_is_said(clinic, time_machine, typed):
    time_machine.move_to(after(days=3), tick=False)

    page = open_checkin(clinic, day=3).say("temp_c", typed)

    assert (page.status_code, "like 37.2" in text(page)) == (422, True)


def test_back_shows_what_was_given_and_can_change_it(phone, clinic):
    phone.say("pain_now", "2")

    page = phone.page("?go=on&q=pain_now")

    assert heading(page) == "How much does it hurt now?"
    assert "is-given" in page.content.decode()
    phone.say("pain_now", "3")
    assert draft_of(checkin_of(clinic), DAY_1)["pain_now"] == 3


def test_a_second_tap_on_send_changes_nothing(phone):
    phone.say("pain_now", "2")
    phone.send()

    phone.send()

    assert CheckInAnswer.objects.count() == 1


def test_she_can_answer_again(phone):
    phone.say("pain_now", "2")
    phone.send()

    assert heading(phone.page("?again=1")) == "How much does it hurt now?"
    phone.say("eye", "vision_change")
    assert CheckInAnswer.objects.count() == 2


def test_looking_changes_nothing(phone, clinic):
    answer(clinic, RED)
    before = list(Escalation.objects.values()), list(CheckInAnswer.objects.values("pk"))

    for query in ("", "?go=on", "?again=1", "?q=eye"):
        phone.page(query)

    assert (list(Escalation.objects.values()), list(CheckInAnswer.objects.values("pk"))) == before


def test_another_patients_link_opens_nothing(clinic):
    stranger = make_patient(clinic.location, "Uma", "Stranger")
    phone = open_checkin(clinic, person=stranger)

    assert phone.page().status_code == 404
    assert phone.say("pain_now", "2").status_code == 404


def test_a_half_filled_form_of_another_day_begins_anew(phone, clinic, time_machine):
    phone.say("pain_now", "2")
    time_machine.move_to(after(days=3), tick=False)
    phone = open_checkin(clinic)

    assert heading(phone.page()) == "Compared with yesterday, the pain is"
