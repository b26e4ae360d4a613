"""A patient who answered last year confirms on a phone, and a clinician reads what changed."""

from datetime import date, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from clinic.audit.states import Actor
from patients.intake.actions import complete_response, start_response
from patients.intake.queries import latest_answers
from patients.registry.actions import issue_link
from patients.registry.states import LinkScope
from tests.factories.people import make_location, make_patient
from tests.factories.screenings import answer_intake
from tests.journeys.test_intake_browser import go_on, heading, open_link, tap

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def form(live_server, settings):
    settings.PUBLIC_URL = live_server.url
    ana = make_patient(make_location(), "Ana", "Reyes", born_on=date(1988, 5, 14))
    by, now = Actor.patient(ana.ref, ana.full_name), timezone.now()
    first = answer_intake(ana, at=now - timedelta(days=365))
    complete_response(response=first, by=by, at=now - timedelta(days=365))
    response = start_response(patient=ana, by=by, at=now)
    about = f"response:{response.ref}"
    _, response.address = issue_link(patient=ana, scope=LinkScope.INTAKE, about=about, by=by, at=now)
    return response


def test_still_right_something_changed_and_a_dropped_connection(form, phone, look):
    open_link(phone, form)
    expect(phone.get_by_text("We show you what you told us last time")).to_be_visible()
    phone.get_by_role("link", name="Start").click()

    heading(phone, "What would you like to improve?")
    expect(phone.get_by_text("What you told us last time")).to_be_visible()
    look(phone, "returning-still-right-390")
    phone.get_by_role("button", name="Still right").click()

    heading(phone, "Where on your body?")
    phone.get_by_role("link", name="Something changed").click()
    look(phone, "returning-changed-390")
    tap(phone, "Which areas would you like treated?", "Cheeks")
    tap(phone, "Which areas would you like treated?", "Whole face")
    go_on(phone)

    # Without a connection nothing is confirmed, and the page says so and waits.
    heading(phone, "What you hope for")
    phone.wait_for_load_state()
    phone.context.set_offline(True)
    phone.get_by_role("button", name="Still right").click()
    expect(phone.get_by_text("You are offline")).to_be_visible()
    assert "expectation" not in latest_answers(form)
    phone.context.set_offline(False)

    heading(phone, "Pregnancy and breastfeeding")
    look(phone, "returning-asked-afresh-390")
    given = latest_answers(form)
    assert (given["concerns"], given["treatment_areas"], given["expectation"]) == (
        ["fine_lines"],
        ["cheeks"],
        "improvement",
    )
    assert "pregnancy" not in given
