"""The chart: what stands in the wide column for whom, and that every count is said in good English."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.staff.states import Role
from patients.intake.actions import save_answers, start_response
from tests.factories.people import make_clinician, make_user

pytestmark = pytest.mark.django_db
BY = Actor.command("test")


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


def columns(user, patient):
    """Return the headings of the wide column and of the narrow one."""
    client = Client()
    client.force_login(user)
    html = client.get(f"/patients/{patient.ref}/").content.decode()
    wide, narrow = html[html.index('class="ag-split') :].split("<aside", 1)
    return [re.findall(r"<h2[^>]*>([^<]+)</h2>", part) for part in (wide, narrow)]


def test_the_desk_finds_visits_and_messages_in_the_wide_column(ana, place):
    desk = make_user("Dina Okafor", Role.FRONT_DESK, location=place)

    wide, narrow = columns(desk, ana)

    assert wide == ["Visits", "Messages"]
    assert "Visits" not in narrow
    assert "Messages" not in narrow


def test_a_clinician_finds_the_story_in_the_wide_column(ana, place):
    wide, narrow = columns(make_clinician(location=place), ana)

    assert "Story so far" in wide
    assert {"Visits", "Messages"} <= set(narrow)


@pytest.mark.parametrize(("given", "words"), [({}, "1 answer so far."), ({"eczema": "none"}, "2 answers so far.")])
def test_answers_so_far_are_counted(ana, place, given, words):
    at = timezone.now()
    response = start_response(patient=ana, by=BY, at=at)  # the age is known
    save_answers(response=response, given=given, by=Actor.patient(ana.ref, ana.full_name), at=at)
    client = Client()
    client.force_login(make_clinician(location=place))

    html = client.get(f"/patients/{ana.ref}/").content.decode()

    assert words in html
