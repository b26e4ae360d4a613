"""Pia books beside the grid: with the keyboard alone, with the mouse, on a phone, and somebody new on the way."""

from datetime import time, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from clinic.premises.models import OpeningHours
from clinic.staff.states import Role
from patients.registry.models import Patient
from tests.factories.people import make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import book
from treatments.booking.models import Appointment

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FOCUSED = "document.activeElement.textContent.trim()"


@pytest.fixture
def noon():
    """A quarter past the hour, about noon where the clinic is, wherever the suite runs and whenever."""
    return timezone.now().replace(minute=15, second=0, microsecond=0)


@pytest.fixture
def place(noon):
    ahead = 12 - noon.hour  # Etc/GMT names count westwards
    place = make_location("Noon Street", f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT")
    OpeningHours.objects.create(location=place, weekday=6, opens=time(9), closes=time(18))
    return place


def works_daily(name, place):
    person = make_practitioner(name, place)
    OpeningHours.objects.create(location=place, practitioner=person, weekday=6, opens=time(9), closes=time(18))
    return person


@pytest.fixture
def bo(place):
    return works_daily("Bo Lindqvist", place)


@pytest.fixture
def sign_in(place, live_server):
    def sign(page):
        browser = Client()
        browser.force_login(make_user("Pia Desk", Role.FRONT_DESK, location=place))
        page.context.add_cookies(
            [{"name": "sessionid", "value": browser.cookies["sessionid"].value, "url": live_server.url}]
        )
        return page

    return sign


@pytest.fixture
def pia(desk, sign_in):
    return sign_in(desk)


def focus_on(page, words):
    page.locator(":focus", has_text=words).wait_for()


def test_a_visit_is_booked_with_the_keyboard_alone(pia, place, bo, look):
    works_daily("Cleo Marsh", place)
    make_patient(place)
    pia.goto("/diary/")

    pia.keyboard.press("ArrowDown")
    pia.keyboard.press("Home")
    while not pia.evaluate(FOCUSED).startswith("Book 15:00"):
        pia.keyboard.press("ArrowDown")
    pia.keyboard.press("ArrowRight")
    focus_on(pia, "Book 15:00, Cleo Marsh")
    pia.keyboard.press("ArrowLeft")
    focus_on(pia, "Book 15:00, Bo Lindqvist")
    pia.keyboard.press("Enter")
    pia.locator("#book-q:focus").wait_for()
    assert pia.url.endswith("/diary/")
    pia.keyboard.type("rey")
    pia.locator("[data-found-for='rey']").get_by_role("link", name="REYES, Ana").wait_for()
    pia.keyboard.press("Enter")  # to the first who was found
    focus_on(pia, "REYES, Ana")
    pia.keyboard.press("Enter")
    pia.get_by_text("15:00–15:30").wait_for()
    kind = pia.locator("#quick [name=what]:checked:focus")
    kind.wait_for()
    look(pia, "quick-book-1280")
    pia.keyboard.press("ArrowDown")  # another kind of visit, and the length follows
    pia.get_by_text("15:00–15:20").wait_for()
    kind.wait_for()
    pia.keyboard.press("Enter")

    pia.get_by_text("Booked: Ana Reyes").wait_for()
    visit = Appointment.objects.get()
    assert (visit.practitioner, visit.type.key) == (bo, "review")
    # The panel is closed and the keyboard is on the visit.
    pia.locator(f"[id='p-{visit.ref}']:focus").wait_for()
    expect(pia.locator("#quick-panel")).to_be_hidden()


def test_escape_closes_the_panel_and_the_keyboard_is_where_it_was(pia, place, bo, noon):
    pia.goto("/diary/")
    cell = pia.get_by_role("link", name="Book 15:00")
    cell.focus()
    pia.keyboard.press("Enter")
    pia.locator("#book-q:focus").wait_for()
    # Somebody else books meanwhile: the grid is drawn anew behind the panel.
    book(make_patient(place, "Ben", "Okafor"), bo, noon + timedelta(hours=4), at=noon)
    pia.evaluate("htmx.trigger('#day-grid', 'day-changed')")
    pia.locator("#day-grid").get_by_text("Ben Okafor").wait_for(state="attached")

    pia.keyboard.press("Escape")

    focus_on(pia, "Book 15:00")
    expect(pia.locator("#quick-panel")).to_be_hidden()
    pia.keyboard.press("Escape")  # out of the grid, and the arrow keys are days again
    pia.locator(".dg:focus").wait_for()


def test_somebody_new_is_registered_on_the_way(pia, place, bo, look):
    pia.goto("/diary/")
    pia.get_by_role("link", name="Book 15:00").click()
    pia.locator("#book-q:focus").wait_for()
    pia.keyboard.type("Noor Haddad")
    pia.get_by_text("Nobody at your locations matches that.").wait_for()
    pia.locator("#people a[href*='Haddad']", has_text="New patient").click()
    expect(pia.locator("[name=family_name]")).to_have_value("Haddad")
    look(pia, "quick-patient-1280")
    pia.get_by_role("button", name="Register and go on").click()
    pia.locator("#quick [data-focus-me], #quick .is-invalid").first.wait_for()
    for name, value in (("day", "3"), ("month", "4"), ("year", "1990")):
        pia.locator(f"[name=born_on_{name}]").fill(value)
    pia.get_by_role("button", name="Register and go on").click()

    pia.get_by_text("15:00–15:30").wait_for()
    pia.get_by_role("button", name="Book", exact=True).dblclick()
    pia.get_by_text("Booked: Noor Haddad").wait_for()
    visit = Appointment.objects.get()
    assert visit.patient == Patient.objects.get(family_name="Haddad")
    assert (visit.starts_at.astimezone(place.zone).hour, visit.practitioner) == (15, bo)


def test_a_time_that_was_just_taken_keeps_what_was_typed(pia, place, bo, noon):
    make_patient(place)
    pia.goto("/diary/")
    pia.get_by_role("link", name="Book 15:00").click()
    pia.locator("#book-q").fill("rey")
    pia.get_by_role("link", name="REYES, Ana").click()
    pia.get_by_text("15:00–15:30").wait_for()
    pia.get_by_label("Note").fill("Comes by train")
    three = noon.astimezone(place.zone).replace(hour=15, minute=0)
    book(make_patient(place, "Ben", "Okafor"), bo, three, at=noon)

    pia.get_by_role("button", name="Book", exact=True).click()
    pia.get_by_role("heading", name="Please check this").wait_for()
    expect(pia.get_by_label("Note")).to_have_value("Comes by train")
    pia.locator("#times .ag-notice .dy-pill").first.click()
    pia.get_by_text("15:30–16:00").wait_for()
    pia.get_by_role("button", name="Book", exact=True).click()
    pia.get_by_text("Booked: Ana Reyes").wait_for()
    assert Appointment.objects.get(patient__family_name="Reyes").note == "Comes by train"


def test_without_a_script_the_same_steps_are_pages(open_desk, sign_in, place, bo):
    make_patient(place)
    page = sign_in(open_desk(java_script_enabled=False))
    page.goto("/diary/")
    page.get_by_role("link", name="Book 15:00").click()
    page.get_by_text("Who comes?").wait_for()
    page.locator("#book-q").fill("rey")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="REYES, Ana").click()
    chosen = page.locator("input[name=starts_at]:checked")
    assert chosen.get_attribute("value").endswith(str(bo.ref))
    page.get_by_role("button", name="Book", exact=True).click()
    page.wait_for_url("**/visits/**")
    assert Appointment.objects.get().starts_at.astimezone(place.zone).hour == 15


def test_a_tap_on_a_phone_books_too(open_phone, sign_in, place, bo, look):
    make_patient(place)
    phone = sign_in(open_phone())
    phone.goto("/diary/")
    phone.get_by_role("link", name="Book 15:00").tap()
    phone.locator("#book-q").fill("rey")
    phone.get_by_role("link", name="REYES, Ana").tap()
    phone.get_by_text("15:00–15:30").wait_for()
    look(phone, "quick-book-390")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.get_by_role("button", name="Book", exact=True).tap()
    phone.get_by_text("Booked: Ana Reyes").wait_for()
    assert Appointment.objects.count() == 1
