"""The desk ends all contact with somebody, or lets it begin again."""

from datetime import date

import pytest

from clinic.staff.states import Role
from clinic.worklist.models import Task
from patients.messaging.models import Message
from patients.registry.models import Patient
from tests.factories.letters import plan_message
from tests.factories.people import make_user


@pytest.fixture
def page(client, location, ana):
    client.force_login(make_user("Bo Lindqvist", Role.FRONT_DESK, location=location))
    plan_message(ana)
    return lambda **given: client.post(f"/patients/{ana.ref}/silence/", given)


def statuses():
    return list(Message.objects.values_list("status", "reason"))


def test_who_asked_not_to_be_contacted_is_left_alone_until_they_say_otherwise(page):
    assert page(act="stop", reason=" ").status_code == 422
    assert not Patient.objects.get().do_not_contact
    assert page(act="stop", reason="Wrote a letter.").status_code == 302
    assert Patient.objects.get().do_not_contact_reason == "Wrote a letter."
    assert statuses() == [("superseded", "The patient asked not to be contacted.")]
    assert Patient.objects.get().do_not_contact
    page(act="allow")
    assert not Patient.objects.get().do_not_contact
    assert Patient.objects.get().do_not_contact_reason == ""


def test_a_death_is_noted_and_the_desk_has_a_task(page):
    found = page(act="died", died_on_day="2", died_on_month="3", died_on_year="2026")

    assert found.status_code == 302
    assert Patient.objects.get().died_on == date(2026, 3, 2)
    assert statuses() == [("superseded", "The patient has died: nothing is sent any more.")]
    assert Task.objects.get().title == "Ana Reyes has died: take their visits off the diary"
    page(act="undo")
    assert Patient.objects.get().died_on is None


@pytest.mark.parametrize(
    ("day", "sentence"),
    [
        (("", "", ""), "Please fill in day, month and year."),
        (("2", "3", "1887"), "not before the date of birth"),
        (("2", "3", "2999"), "not in the future"),
        (("31", "2", "2026"), "There is no such day in that month."),
    ],
)
def test_a_day_that_cannot_be_is_refused_and_stays_typed(page, day, sentence):
    refused = page(act="died", died_on_day=day[0], died_on_month=day[1], died_on_year=day[2])

    assert refused.status_code == 422
    assert sentence in refused.content.decode()
    assert Patient.objects.get().died_on is None
    assert statuses()[0][0] == "planned"


def test_a_button_that_is_not_on_the_page_does_nothing(page):
    assert page(act="other").status_code == 400
    assert statuses()[0][0] == "planned"
