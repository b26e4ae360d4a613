"""A finger on the diary: a swipe scrolls, a long press picks a visit up, and letting go moves it."""

import time as time_of_day
from datetime import time, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from clinic.premises.models import OpeningHours
from clinic.staff.states import Role
from tests.factories.people import make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import book

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SCROLLED = "[document.querySelector('.dg').scrollTop, window.scrollY]"


class Finger:
    """One finger on a touch screen, as Chromium itself feels it. It moves by a clock of its own."""

    def __init__(self, page):
        self.page, self.wire = page, page.context.new_cdp_session(page)
        self.now = time_of_day.time()

    def _touch(self, kind, *points, after=0.016):
        self.now += after
        touched = [{"x": x, "y": y} for x, y in points]
        self.wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched, "timestamp": self.now})

    def press(self, start):
        """Press until the visit is picked up."""
        self._touch("touchStart", start)
        self.page.locator(".dg-visit.is-dragged").wait_for()
        self.now += 0.5

    def drag(self, start, end):
        """Move from start, where the finger is, to end. Returns how far all was scrolled just before it left."""
        for step in range(1, 13):
            self._touch("touchMove", tuple(a + (b - a) * step / 12 for a, b in zip(start, end, strict=True)))
            self.page.wait_for_timeout(16)  # a frame
        scrolled = self.page.evaluate(SCROLLED)
        self.lift()
        return scrolled

    def lift(self):
        self._touch("touchEnd")


@pytest.fixture
def noon():
    return timezone.now().replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def place(noon):
    ahead = 12 - noon.hour
    place = make_location("Noon Street", f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT")
    OpeningHours.objects.create(location=place, weekday=6, opens=time(9), closes=time(18))
    return place


@pytest.fixture
def bo(place):
    bo = make_practitioner("Bo Lindqvist", place)
    OpeningHours.objects.create(location=place, practitioner=bo, weekday=6, opens=time(9), closes=time(18))
    return bo


@pytest.fixture
def phone(open_phone, place, live_server):
    phone = open_phone()
    browser = Client()
    browser.force_login(make_user("Pia Desk", Role.FRONT_DESK, location=place))
    phone.context.add_cookies(
        [{"name": "sessionid", "value": browser.cookies["sessionid"].value, "url": live_server.url}]
    )
    return phone


@pytest.fixture
def ana(place, bo, noon):
    return book(make_patient(place), bo, noon + timedelta(hours=2), at=noon)


def open_at(phone, visit):
    """Open the diary with the visit in the middle of the screen. Returns the middle of its card."""
    phone.goto("/diary/")
    phone.wait_for_load_state("networkidle")  # a banner that loads pushes the grid down
    card = phone.locator(f"[id='p-{visit.ref}']")
    card.evaluate("each => each.scrollIntoView({block: 'center'})")
    card.hover(trial=True)  # it stands still
    box = card.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_swipe_over_a_visit_scrolls_and_moves_nothing(phone, ana):
    middle = open_at(phone, ana)
    before = phone.evaluate(SCROLLED)
    dropped = []
    phone.on("request", lambda request: "/drop/" in request.url and dropped.append(request.url))
    finger = Finger(phone)

    finger._touch("touchStart", middle)
    finger.drag(middle, (middle[0], middle[1] - 160))

    phone.wait_for_function(f"before => String({SCROLLED}) !== String(before)", arg=before)
    assert dropped == []
    ana.refresh_from_db()
    assert ana.version == 1
    assert phone.locator(".is-dragged").count() == 0
    assert phone.url.endswith("/diary/")


def test_a_swipe_that_a_busy_page_takes_for_a_long_press_scrolls_all_the_same(phone, ana):
    middle = open_at(phone, ana)
    before = phone.evaluate(SCROLLED)
    dropped = []
    phone.on("request", lambda request: "/drop/" in request.url and dropped.append(request.url))
    finger = Finger(phone)

    finger._touch("touchStart", middle)
    phone.locator(".dg-visit.is-dragged").wait_for()  # the finger has long moved, by its own clock
    finger.drag(middle, (middle[0], middle[1] - 160))

    phone.wait_for_function(f"before => String({SCROLLED}) !== String(before)", arg=before)
    assert dropped == []
    expect(phone.locator(".is-dragged, .dg-visit[style]")).to_have_count(0)
    ana.refresh_from_db()
    assert ana.version == 1


def test_a_long_press_picks_a_visit_up_and_letting_go_moves_it(phone, ana, noon):
    middle = open_at(phone, ana)
    row = phone.locator(f"[id='p-{ana.ref}']").evaluate("each => (each.offsetHeight + 3) / 6")
    before = phone.evaluate(SCROLLED)

    finger = Finger(phone)
    finger.press(middle)
    scrolled = finger.drag(middle, (middle[0], middle[1] + row * 6))

    assert scrolled == before  # the page stood still under the finger
    notice = phone.locator("#day-notice")
    notice.get_by_role("button", name="Undo").wait_for()
    ana.refresh_from_db()
    assert ana.starts_at == noon + timedelta(hours=2, minutes=30)

    notice.get_by_role("button", name="Undo").tap()
    phone.locator(f"[id='p-{ana.ref}'][data-drag='3']").wait_for()
    notice.get_by_text("14:00").first.wait_for()
    ana.refresh_from_db()
    assert ana.starts_at == noon + timedelta(hours=2)


def test_a_long_press_without_a_move_leaves_the_visit_where_it_is(phone, ana):
    middle = open_at(phone, ana)
    finger = Finger(phone)

    finger.press(middle)
    finger.lift()

    expect(phone.locator(".is-dragged, .dg-visit[style]")).to_have_count(0)
    ana.refresh_from_db()
    assert ana.version == 1
