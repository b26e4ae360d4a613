"""Real browsers: one lead clinician changes a rule in a form, another reads what would change and puts it in force."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from playwright.sync_api import expect

from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.states import Role
from clinic.worklist.models import Task
from patients.candidacy.actions import decide
from patients.candidacy.models import Screening
from patients.candidacy.queries import decision_in_force, open_flags
from tests.factories.people import PASSWORD, actor, make_clinician, make_device, make_location, make_patient
from tests.factories.screenings import make_response, make_screening

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


@pytest.fixture(autouse=True)
def _rules_as_they_were(transactional_db):
    """Versions outlive a test that really commits: put the shipped one back in force afterwards."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM clinic_rulepack WHERE drafted_by_id IS NOT NULL")
        cursor.execute(
            "UPDATE clinic_rulepack SET status = 'published', applied_at = NULL, applied_to = 0"
            " WHERE kind = 'candidacy' AND name = 'candidacy' AND is_shipped"
        )
        cursor.execute("SET session_replication_role = origin")


def sign_in(page, user):
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").first.fill(PASSWORD)
    with page.expect_navigation(url=re.compile(r"^(?!.*/accounts/login/)")):
        page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_longer_sun_window_is_drafted_tried_published_and_reopens_a_decision(desk, open_phone, look):
    harley, now = make_location(), timezone.now()
    make_device(harley, "nafl_1550")
    bo = make_clinician("Bo Lindqvist", harley, Role.LEAD_CLINICIAN)
    cy = make_clinician("Cy Amadi", harley, Role.LEAD_CLINICIAN)
    ana = make_patient(harley)
    tanned = (now - timedelta(days=20)).date().isoformat()
    screening = make_screening(ana, at=now, sun_exposure_last=tanned)
    decide(screening=screening, kind="proceed", reason="Fits.", conditions=[], by=actor(bo), at=now)
    for number in range(6):
        other = make_patient(harley, "Noa", f"Levi {number}", email="")
        make_response(other, at=now, sun_exposure_last=tanned if number % 2 else "never")

    sign_in(desk, bo)
    desk.get_by_role("link", name="Rules", exact=True).click()
    look(desk, "rules-desk")
    desk.get_by_role("link", name="Candidacy rules").click()
    desk.get_by_text("60 rules of 60").wait_for()
    desk.wait_for_load_state()  # its scripts listen for keys
    desk.keyboard.press("/")
    desk.keyboard.type("sun exposure")
    desk.get_by_text("60 rules of 60").wait_for(state="detached")
    expect(desk.locator("#R02")).to_have_count(0)  # while it is typed, fewer and fewer are left
    expect(desk.locator("#R10")).to_have_count(1)
    look(desk, "rules-read-desk")
    desk.get_by_role("button", name="Draft a change").click()
    look(desk, "rules-edit-empty-desk")
    desk.get_by_label("Find the rule to change").fill("R10")
    desk.get_by_role("link", name="R10 Sun exposure").click()
    desk.get_by_label("Sun exposure, fractional non-ablative").first.fill("28")
    desk.get_by_label("Wording for the patient").fill("Tanned skin marks more easily, so we wait four weeks.")
    desk.get_by_label("Wording for the patient").scroll_into_view_if_needed()
    look(desk, "rules-rule-desk")
    desk.get_by_label("Fractional ablative", exact=True).nth(2).select_option("review")
    desk.get_by_role("button", name="Save in the draft").click()
    desk.get_by_text("Saved.").wait_for()
    expect(desk.locator("main")).to_contain_text("More cautious")
    look(desk, "rules-edit-desk")
    desk.get_by_role("link", name="The whole text").click()
    text = desk.get_by_label("The text of the pack").input_value()
    desk.get_by_label("The text of the pack").fill(text.replace('id = "R05"', 'id = "R05"\nsorce = "G"'))
    desk.get_by_role("button", name="Check and save").click()
    desk.get_by_text("“sorce” is not known here.").first.wait_for()
    assert 'sorce = "G"' in desk.get_by_label("The text of the pack").input_value()
    look(desk, "rules-text-desk")
    desk.get_by_role("link", name="Try on past intakes").click()
    desk.get_by_text("of 7 past intakes would change").wait_for()
    look(desk, "rules-try-desk")
    with desk.expect_navigation():
        desk.get_by_role("link", name="Publish").click()
    assert desk.get_by_role("button", name="Approve").count() == 0

    phone = open_phone()
    sign_in(phone, cy)
    phone.goto("/rules/")
    look(phone, "rules-phone")
    phone.goto(f"/rules/{published(PackKind.CANDIDACY, 'candidacy').ref}/?q=sun+exposure")
    look(phone, "rules-read-phone")
    phone.goto("/rules/")
    phone.get_by_role("link", name="Draft by Bo Lindqvist").click()
    look(phone, "rules-changes-phone")
    phone.get_by_role("link", name="Try on past intakes").click()
    look(phone, "rules-try-phone")
    with phone.expect_navigation():
        phone.get_by_role("link", name="Publish").click()
    look(phone, "rules-publish-phone")
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.get_by_role("button", name="Approve and put version 2 in force").click()
    phone.get_by_text("Version 2 is in force.").wait_for()
    phone.get_by_text("1 decision reopened.").wait_for()
    look(phone, "rules-published-phone")

    version = published(PackKind.CANDIDACY, "candidacy")
    assert (version.version, version.drafted_by, version.approved_by) == (2, bo, cy)
    assert [flag.rule for flag in open_flags(ana, "nafl_1550")] == ["R10"]
    assert decision_in_force(ana, "nafl_1550").screening == screening
    assert Screening.objects.get(pk=screening.pk).result == screening.result
    assert Task.objects.filter(kind="candidacy.review", patient_ref=ana.ref, status="requested").count() == 1
