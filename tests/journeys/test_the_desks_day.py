"""Pia at the desk works through her day with the keyboard alone, and sees at once what a colleague does."""

from datetime import time, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from clinic.premises.models import OpeningHours
from clinic.staff.models import User
from clinic.staff.states import Role
from tests.factories.people import make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import BY, book
from treatments.booking.actions import mark_arrived, move_appointment

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOK_AGAIN = "htmx.trigger('#day-list', 'look-again')"


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


@pytest.fixture
def bo(place):
    bo = make_practitioner("Bo Lindqvist", place)
    OpeningHours.objects.create(location=place, practitioner=bo, weekday=6, opens=time(9), closes=time(18))
    return bo


@pytest.fixture
def pia(desk, place, live_server):
    browser = Client()
    browser.force_login(make_user("Pia Desk", Role.FRONT_DESK, location=place))
    desk.context.add_cookies(
        [{"name": "sessionid", "value": browser.cookies["sessionid"].value, "url": live_server.url}]
    )
    return desk


def test_arrivals_with_the_keyboard(pia, place, bo, noon, look):
    ana = book(make_patient(place), bo, noon + timedelta(hours=2), at=noon)
    ben = book(make_patient(place, "Ben", "Okafor"), bo, noon + timedelta(hours=3), at=noon)
    pia.goto("/today/")

    pia.keyboard.press("ArrowDown")
    pia.keyboard.press("ArrowDown")
    assert pia.evaluate("document.activeElement.textContent") == "Ben Okafor"
    pia.keyboard.press("a")
    row = pia.locator(f"#line-{ben.ref}")
    row.get_by_text("Arrived", exact=True).wait_for()
    ben.refresh_from_db()
    assert ben.status == "arrived"
    # The keyboard is still on the row, and one button takes it back.
    focused = pia.locator(":focus")
    expect(focused).to_have_text("Ben Okafor")
    row.get_by_role("button", name="Undo").click()
    row.get_by_text("Booked", exact=True).wait_for()
    expect(focused).to_have_text("Ben Okafor")
    look(pia, "today-1280")

    pia.keyboard.press("ArrowUp")
    pia.keyboard.press("Enter")
    pia.wait_for_url(f"**/visits/{ana.ref}/")
    pia.keyboard.press("m")
    pia.wait_for_url(f"**/visits/{ana.ref}/move/")


def test_single_keys_can_be_switched_off_for_a_person_on_every_machine(pia, open_desk, place, bo):
    pia.goto("/today/")
    pia.keyboard.press("?")
    with pia.expect_response("**/today/keys/"):
        pia.get_by_label("Use single keys on these pages").uncheck()
    pia.keyboard.press("Escape")

    pia.keyboard.press("n")
    pia.wait_for_timeout(300)
    assert pia.url.endswith("/today/")

    elsewhere = open_desk()
    elsewhere.context.add_cookies([cookie for cookie in pia.context.cookies() if cookie["name"] == "sessionid"])
    elsewhere.goto("/diary/")
    elsewhere.keyboard.press("n")
    elsewhere.keyboard.press("/")
    elsewhere.wait_for_timeout(300)
    assert not elsewhere.locator("#quick-panel").is_visible()
    assert elsewhere.locator("input:focus").count() == 0

    elsewhere.keyboard.press("?")  # the list itself can always be opened
    with elsewhere.expect_response("**/today/keys/"):
        elsewhere.get_by_label("Use single keys on these pages").check()
    elsewhere.keyboard.press("Escape")
    elsewhere.keyboard.press("n")
    elsewhere.locator("#book-q").wait_for()
    assert User.objects.get(name="Pia Desk").uses_single_keys


def test_the_page_follows_what_a_colleague_does(pia, place, bo, noon):
    ana = book(make_patient(place), bo, noon + timedelta(hours=2), at=noon)
    pia.goto("/today/")
    etag = pia.locator("#day-list").get_attribute("data-etag")
    # The list asks every 15 seconds; here it is asked to ask now.
    pia.evaluate(
        "() => { const list = document.getElementById('day-list');"
        " list.setAttribute('hx-trigger', 'look-again'); htmx.process(list); }"
    )
    with pia.expect_response("**/today/list/**") as same:
        pia.evaluate(LOOK_AGAIN)
    assert same.value.status == 304
    assert pia.locator("#day-list").get_attribute("data-etag") == etag
    assert pia.get_by_role("link", name="Ana Reyes").is_visible()

    mark_arrived(appointment=ana, by=BY, at=timezone.now())
    with pia.expect_response("**/today/list/**") as changed:
        pia.evaluate(LOOK_AGAIN)
    assert changed.value.status == 200
    pia.locator(f"#line-{ana.ref}").get_by_text("Arrived", exact=True).wait_for()


def test_an_answer_from_before_an_act_does_not_take_it_back_on_screen(pia, place, bo, noon):
    """The list asks by itself; while the answer travels, Pia marks the patient as arrived."""
    ana = book(make_patient(place), bo, noon + timedelta(hours=2), at=noon)
    pia.goto("/today/")
    late = []

    book(make_patient(place, "Ben", "Okafor"), bo, noon + timedelta(hours=3), at=noon)  # something to tell
    pia.route("**/today/list/**", lambda route: late.append((route, route.fetch())), times=1)
    pia.evaluate(
        "() => { const list = document.getElementById('day-list');"
        " list.setAttribute('hx-trigger', 'look-again'); htmx.process(list);"
        " list.addEventListener('htmx:afterRequest', (event) => { list.told = event.target === list; }); }"
    )
    pia.evaluate(LOOK_AGAIN)
    row = pia.locator(f"#line-{ana.ref}")
    row.locator("[data-row]").focus()
    while not late:
        pia.wait_for_timeout(50)
    pia.keyboard.press("a")
    row.get_by_text("Arrived", exact=True).wait_for()
    row.evaluate("row => { row.stayed = true; }")

    route, answer = late[0]
    route.fulfill(response=answer)
    pia.wait_for_function("document.getElementById('day-list').told")

    assert "Ben" in answer.text()
    assert row.evaluate("row => row.stayed")
    pia.evaluate(LOOK_AGAIN)  # and the next look brings what else is new
    pia.get_by_role("link", name="Ben Okafor").wait_for()
    expect(row.get_by_text("Arrived", exact=True)).to_be_visible()


def test_a_move_over_a_colleagues_move_is_stopped(pia, place, bo, noon):
    ana = book(make_patient(place), bo, noon + timedelta(hours=2), at=noon)
    pia.goto(f"/visits/{ana.ref}/move/")
    move_appointment(appointment=ana, starts_at=noon + timedelta(hours=3), expected_version=1, by=BY, at=timezone.now())

    pia.locator("label.dy-pill").last.click()
    pia.get_by_role("button", name="Move", exact=True).click()

    pia.get_by_role("alert").get_by_text("test changed this visit at").wait_for()
    ana.refresh_from_db()
    assert (ana.version, ana.starts_at) == (2, noon + timedelta(hours=3))


# --- dragging -----------------------------------------------------------------------------------------------------


def grab(page, card, grip=False):
    """Return where to press on a card, once the page has settled: a banner that loads pushes the grid down."""
    page.wait_for_load_state("networkidle")
    card.scroll_into_view_if_needed()
    box = card.bounding_box()
    return box["x"] + 40, box["y"] + (box["height"] - 3 if grip else 8)


def drag(page, card, down, across=0, grip=False):
    """Press on a card, move the pointer by pixels in small steps, and let go."""
    x, y = grab(page, card, grip)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(x + across * step / 8, y + down * step / 8)
    page.mouse.up()


def card_of(page, visit):
    return page.locator(f"#p-{visit.ref}")


HOUR = 120  # pixels: twelve rows of five minutes


def test_a_visit_is_dragged_to_another_hour_and_taken_back(pia, place, bo, noon, look):
    ana = book(make_patient(place), bo, noon + timedelta(hours=1), at=noon)
    pia.goto("/diary/")

    with pia.expect_response("**/drop/") as dropped:
        drag(pia, card_of(pia, ana), HOUR)
    assert dropped.value.status == 200
    pia.get_by_text("with Bo Lindqvist.").wait_for()
    ana.refresh_from_db()
    assert (ana.starts_at, ana.version) == (noon + timedelta(hours=2), 2)
    assert pia.url.endswith("/diary/")  # the click that ends a drag opens nothing
    look(pia, "diary-dragged-1280")

    pia.get_by_role("button", name="Undo").click()
    pia.locator(f'#p-{ana.ref}[data-drag="3"]').wait_for()
    ana.refresh_from_db()
    assert ana.starts_at == noon + timedelta(hours=1)


def test_a_visit_that_is_held_is_seen_over_every_other_column(pia, place, bo, noon, look):
    ida = make_practitioner("Ida Moss", place)
    OpeningHours.objects.create(location=place, practitioner=ida, weekday=6, opens=time(9), closes=time(18))
    ana = book(make_patient(place), bo, noon + timedelta(hours=1), at=noon)
    book(make_patient(place, "Cy", "Lee"), ida, noon + timedelta(hours=1), at=noon)
    pia.goto("/diary/")
    x, y = grab(pia, card_of(pia, ana))
    across = pia.locator(".dg-col").nth(1).bounding_box()["x"] - pia.locator(".dg-col").first.bounding_box()["x"]

    pia.mouse.move(x, y)
    pia.mouse.down()
    pia.mouse.move(x + 30, y)
    pia.mouse.move(x + across, y)

    look(pia, "diary-held-1280")
    on_top = "([x, y]) => Boolean(document.elementFromPoint(x, y).closest('.is-dragged'))"
    pia.wait_for_function(on_top, arg=[x + across, y])  # the browser may be a frame behind
    pia.keyboard.press("Escape")
    pia.mouse.up()


def test_the_lower_edge_makes_a_visit_longer(pia, place, bo, noon):
    ana = book(make_patient(place), bo, noon + timedelta(hours=1), at=noon)
    pia.goto("/diary/")

    drag(pia, card_of(pia, ana), HOUR / 2, grip=True)

    pia.locator(f'#p-{ana.ref}[data-work="60"]').wait_for()
    ana.refresh_from_db()
    assert ana.ends_at == noon + timedelta(hours=2)


def test_a_drag_while_a_colleague_moved_it_says_who_and_changes_nothing(pia, place, bo, noon):
    ana = book(make_patient(place), bo, noon + timedelta(hours=1), at=noon)
    pia.goto("/diary/")
    card = card_of(pia, ana)
    x, y = grab(pia, card)
    pia.mouse.move(x, y)
    pia.mouse.down()
    pia.mouse.move(x, y + 40)
    move_appointment(appointment=ana, starts_at=noon + timedelta(hours=3), expected_version=1, by=BY, at=timezone.now())
    # The grid looks again while the visit is held: nothing may jump under the pointer.
    pia.evaluate("htmx.trigger('#day-grid', 'day-changed')")
    pia.wait_for_timeout(300)
    assert card.get_attribute("data-drag") == "1"
    pia.mouse.move(x, y + HOUR)
    with pia.expect_response("**/drop/") as dropped:
        pia.mouse.up()

    assert dropped.value.status == 409
    pia.get_by_role("alert").get_by_text("test changed this visit at").wait_for()
    pia.locator(f'#p-{ana.ref}[data-drag="2"]').wait_for()
    ana.refresh_from_db()
    assert (ana.starts_at, ana.version) == (noon + timedelta(hours=3), 2)


def test_escape_lets_go_of_a_visit_where_it_was(pia, place, bo, noon):
    ana = book(make_patient(place), bo, noon + timedelta(hours=1), at=noon)
    pia.goto("/diary/")
    x, y = grab(pia, card_of(pia, ana))
    pia.mouse.move(x, y)
    pia.mouse.down()
    pia.mouse.move(x, y + 80)
    pia.locator(".is-dragged").wait_for()

    pia.keyboard.press("Escape")
    pia.mouse.up()

    expect(pia.locator(".is-dragged, .dg-visit[style]")).to_have_count(0)
    assert pia.url.endswith("/diary/")
    ana.refresh_from_db()
    assert ana.version == 1


# --- looking again, and the keyboard on the grid --------------------------------------------------------------------

MARK_NODES = "document.querySelectorAll('.dg-col, .dg-visit').forEach((each) => { each.stayed = true; })"
STAYED = "(id) => Boolean(document.getElementById(id).stayed)"


def test_a_colleagues_move_draws_its_columns_alone_and_keyboard_and_scroll_stay(pia, place, bo, noon):
    ida = make_practitioner("Ida Moss", place)
    OpeningHours.objects.create(location=place, practitioner=ida, weekday=6, opens=time(9), closes=time(18))
    ana = book(make_patient(place), bo, noon + timedelta(hours=1), at=noon)
    bea = book(make_patient(place, "Bea", "Lund"), bo, noon + timedelta(hours=2), at=noon)
    cy = book(make_patient(place, "Cy", "Lee"), ida, noon + timedelta(hours=1), at=noon)
    pia.goto("/diary/")
    pia.wait_for_load_state("networkidle")
    card_of(pia, bea).focus()
    pia.evaluate("document.querySelector('.dg').scrollTop = 60")
    pia.evaluate(MARK_NODES)

    move_appointment(appointment=ana, starts_at=noon + timedelta(hours=3), expected_version=1, by=BY, at=timezone.now())
    with pia.expect_response("**/diary/grid/**"):
        pia.evaluate("htmx.trigger('#day-grid', 'day-changed')")
    pia.locator(f'#p-{ana.ref}[data-drag="2"]').wait_for()

    assert [pia.evaluate(STAYED, f"p-{visit.ref}") for visit in (bea, cy)] == [False, True]
    assert pia.evaluate("document.activeElement.id") == f"p-{bea.ref}"
    assert pia.evaluate("document.querySelector('.dg').scrollTop") == 60


def test_the_grid_is_one_stop_of_the_tab_key(pia, place, bo, noon):
    for hours in range(1, 5):
        book(make_patient(place, f"P{hours}", "Crowd"), bo, noon + timedelta(hours=hours), at=noon)
    pia.goto("/diary/")
    pia.wait_for_load_state("networkidle")
    stops = "[...document.querySelectorAll('#day-grid *')].filter((each) => each.tabIndex >= 0).length"
    assert pia.evaluate(stops) == 1

    card = pia.locator(".dg-visit").nth(2)
    card.focus()
    pia.keyboard.press("Tab")
    assert pia.evaluate("document.activeElement.closest('#day-grid')") is None
    pia.keyboard.press("Shift+Tab")
    # Back where the keyboard was in the grid.
    assert pia.evaluate("document.activeElement.id") == card.get_attribute("id")
    assert pia.evaluate(stops) == 1


def test_a_marks_the_patient_on_the_grid_arrived_and_one_button_takes_it_back(pia, place, bo, noon):
    ana = book(make_patient(place), bo, noon + timedelta(hours=1), at=noon)
    pia.goto("/diary/")
    card_of(pia, ana).focus()

    pia.keyboard.press("a")
    pia.get_by_text("Ana Reyes: Arrived.").wait_for()
    pia.locator(f"#p-{ana.ref}.is-arrived").wait_for()
    ana.refresh_from_db()
    assert ana.status == "arrived"

    pia.get_by_role("button", name="Undo").click()
    pia.locator(f"#p-{ana.ref}.is-booked").wait_for()
    ana.refresh_from_db()
    assert ana.status == "booked"


def test_who_comes_tomorrow_is_rung_and_the_week_shows_it(pia, open_phone, place, bo, noon, look):
    ana = book(make_patient(place, phone="+442079460123"), bo, noon + timedelta(days=1), at=noon)
    book(make_patient(place, "Ben", "Okafor"), bo, noon + timedelta(days=1, hours=1), at=noon)
    pia.goto("/today/")
    pia.get_by_role("link", name="Confirm tomorrow").click()
    row = pia.locator(f"#ring-{ana.ref}")
    row.get_by_label("Note of the call").fill("Comes with her sister")
    row.get_by_role("button", name="Left a message").click()
    row.get_by_text("Comes with her sister").wait_for()
    row.get_by_role("button", name="Confirmed").click()
    row.get_by_role("button", name="Undo").wait_for()
    ana.refresh_from_db()
    assert ana.confirmed_by_name == "Pia Desk"
    look(pia, "confirmations-1280")

    pia.goto("/diary/")
    pia.get_by_role("link", name="Week", exact=True).click()
    pia.wait_for_url("**/diary/week/**")
    day = timezone.now().astimezone(place.zone)
    pia.goto(f"/diary/week/?day={day + timedelta(days=1):%Y-%m-%d}")
    card_of(pia, ana).get_by_text("Confirmed").first.wait_for(state="attached")
    look(pia, "week-1280")

    phone = open_phone()
    phone.context.add_cookies([cookie for cookie in pia.context.cookies() if cookie["name"] == "sessionid"])
    for page, name in (("/today/", "today"), ("/confirmations/", "confirmations"), ("/diary/", "diary")):
        phone.goto(page)
        phone.wait_for_load_state("networkidle")
        look(phone, f"{name}-390")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
