"""The door in a real browser: password, authenticator, passkey, and the frame around every page of staff."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.urls import reverse
from playwright.sync_api import expect

from clinic.staff.states import Role
from clinic.worklist.actions import raise_task
from tests.factories.people import NOW, PASSWORD, actor, make_location, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _the_code_does_not_change_while_it_is_typed(monkeypatch):
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: [60_000_000])


@pytest.fixture
def bo():
    harley, lisbon = make_location(), make_location("Lisbon", "Europe/Lisbon")
    bo = make_user("Bo Lindqvist", Role.CLINICIAN, location=harley)
    lisbon.staff.add(bo)
    return bo


def sign_in(page, user, password=PASSWORD, then=None):
    page.goto(f"{reverse('account_login')}?next={then or reverse('tasks')}")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def confirm_password(page):
    page.get_by_role("button", name="Confirm").wait_for()  # the page before has a password too
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def test_a_wrong_password_is_said_once_and_the_keyboard_stands_there(phone, bo):
    sign_in(phone, bo, "not-the-password")

    summary = phone.get_by_role("alert")
    expect(summary).to_contain_text("password you specified are not correct")
    expect(summary).to_be_focused()
    expect(phone.get_by_label("Email")).to_have_value(bo.email)


def test_on_a_phone_the_menu_opens_and_leads_on(phone, bo):
    sign_in(phone, bo)
    menu = phone.get_by_role("button", name="Menu")
    tasks = phone.get_by_role("navigation", name="Main").get_by_role("link", name="Tasks")
    expect(menu).to_have_attribute("aria-expanded", "false")
    expect(tasks).to_be_hidden()

    menu.click()

    expect(tasks).to_be_visible()
    expect(menu).to_have_attribute("aria-expanded", "true")
    expect(tasks).to_have_attribute("aria-current", "page")
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_at_the_desk_the_place_is_switched_by_choosing_it(desk, bo):
    sign_in(desk, bo)

    with desk.expect_navigation():
        desk.get_by_label("Working at").select_option(label="Lisbon")

    assert desk.get_by_label("Working at").evaluate("select => select.selectedOptions[0].text") == "Lisbon"
    assert desk.url.endswith(reverse("tasks"))


def test_signing_out_ends_it_and_going_back_shows_nothing(desk, bo):
    raise_task(
        key="door",
        kind="call",
        title="Call Ana Reyes",
        role=Role.CLINICIAN,
        location=bo.locations.get(name="Harley Street"),
        due_at=NOW,
        by=actor(bo),
        at=NOW,
    )
    sign_in(desk, bo)
    task = desk.get_by_role("link", name="Call Ana Reyes")
    expect(task).to_be_visible()

    desk.get_by_role("button", name="Sign out").click()
    desk.get_by_role("link", name="Staff sign-in").wait_for()
    desk.go_back()

    desk.get_by_label("Password").wait_for()
    expect(task).to_be_hidden()


def test_an_authenticator_app_is_set_up_and_then_asked_for(desk, open_phone, bo, settings):
    settings.MFA_COMPULSORY = True
    sign_in(desk, bo)
    expect(desk.get_by_text("Please add a second factor")).to_be_visible()
    desk.get_by_role("link", name="Set up").click()
    confirm_password(desk)
    secret = desk.get_by_label("Authenticator secret").input_value()
    desk.get_by_label("Authenticator code").fill(code_of(secret))
    desk.get_by_role("button", name="Activate").click()
    assert desk.get_by_label("Unused codes").input_value().count("\n") == 9
    desk.goto(reverse("tasks"))
    expect(desk.get_by_role("heading", name="Tasks")).to_be_visible()

    elsewhere = open_phone()
    sign_in(elsewhere, bo)
    elsewhere.get_by_label("Code").fill("000000")
    elsewhere.get_by_role("button", name="Sign In").click()
    expect(elsewhere.get_by_role("alert")).to_contain_text("Incorrect code")


def code_of(secret):
    (counter,) = totp.yield_hotp_counters_from_time()
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def test_a_passkey_opens_the_door_without_a_password(desk, bo):
    browser = desk.context.new_cdp_session(desk)
    browser.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    browser.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_in(desk, bo, then=reverse("mfa_add_webauthn"))
    confirm_password(desk)
    desk.get_by_label("Name").fill("My phone")
    desk.get_by_label("Passwordless").check()
    desk.get_by_role("button", name="Add", exact=True).click()
    desk.get_by_text("Security key added").wait_for()
    assert Authenticator.objects.filter(user=bo, type="webauthn").count() == 1

    desk.get_by_role("button", name="Sign out").click()
    desk.get_by_role("link", name="Staff sign-in").wait_for()
    desk.goto(f"{reverse('account_login')}?next={reverse('tasks')}")
    desk.get_by_role("button", name="Sign in with a passkey").click()

    desk.get_by_role("heading", name="Tasks").wait_for()
