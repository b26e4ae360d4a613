"""A patient opens their visit on a phone, takes another time, and then cancels."""

from datetime import date, datetime, time, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from patients.registry.actions import issue_link
from patients.registry.states import LinkScope
from tests.factories.people import make_clinician, make_location, make_patient
from tests.factories.visits import BY, book
from treatments.booking.models import Appointment

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_seen_moved_and_cancelled_on_a_phone(live_server, settings, phone, look):
    settings.PUBLIC_URL = live_server.url
    place, at = make_location(), timezone.now()
    ana = make_patient(place, "Ana", "Reyes", born_on=date(1988, 5, 14))
    monday = at.date() + timedelta(days=14 - at.weekday())
    starts_at = datetime.combine(monday, time(10), place.zone)
    visit = book(ana, make_clinician("Bo Lindqvist", place).practitioner, starts_at, at=at)
    _, address = issue_link(patient=ana, scope=LinkScope.VISIT, about=visit.about, by=BY, at=at)

    phone.goto(address)
    for name, value in (("Day", "14"), ("Month", "5"), ("Year", "1988")):
        phone.get_by_label(name, exact=True).fill(value)
    phone.locator("main form button[type=submit]").click()
    expect(phone.get_by_role("heading", name="Your visit")).to_be_visible()
    look(phone, "visit-390")
    with phone.expect_download() as download:
        phone.get_by_role("link", name="Add to calendar").click()
    assert download.value.suggested_filename == "visit.ics"

    phone.get_by_role("link", name="Ask for another time").click()
    phone.locator(f"a[href='?day={monday + timedelta(days=1)}']").click()
    phone.wait_for_url(f"**?day={monday + timedelta(days=1)}")  # Monday has a 11:15 too
    phone.locator("label.dy-pill", has_text="11:15").click()
    look(phone, "visit-move-390")
    phone.get_by_role("button", name="Take this time").click()
    expect(phone.get_by_text("Your visit is at the new time now.")).to_be_visible()
    look(phone, "visit-moved-390")
    tuesday = datetime.combine(monday + timedelta(days=1), time(11, 15), place.zone)
    assert Appointment.objects.get().starts_at == tuesday

    phone.get_by_role("link", name="Cancel the visit").click()
    phone.get_by_text("I am unwell").click()
    look(phone, "visit-cancel-390")
    phone.get_by_role("button", name="Cancel my visit").click()
    expect(phone.get_by_role("heading", name="Your visit is cancelled")).to_be_visible()
    look(phone, "visit-cancelled-390")
    assert Appointment.objects.get().status == "cancelled"
