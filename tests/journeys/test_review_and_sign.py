"""Real browsers: a clinician reviews at a desk, a patient draws a signature on a phone that turns."""

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from clinic.audit.states import Actor
from patients.candidacy.actions import decide, submit_intake
from patients.candidacy.models import CandidacyDecision
from patients.consent.actions import ask_consent
from patients.consent.models import Consent
from patients.consent.queries import is_intact
from patients.registry.actions import issue_link
from tests.factories.people import PASSWORD, actor, make_clinician, make_device, make_location, make_patient
from tests.factories.screenings import answer_intake, make_screening

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SYSTEM = Actor.task("test")
# How many pixels of the drawing field carry ink.
INK = """(() => { const canvas = document.querySelector("canvas");
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let inked = 0; for (let i = 3; i < pixels.length; i += 4) inked += pixels[i] > 0; return inked; })()"""


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


@pytest.fixture
def location():
    place = make_location()
    for modality in ("afl_co2", "nafl_1550", "pico_755"):
        make_device(place, modality)
    return place


@pytest.fixture
def ana(location):
    return make_patient(location)


@pytest.fixture
def bo(location):
    return make_clinician(location=location)


def sign_in(page, user):
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").first.fill(PASSWORD)
    with page.expect_navigation(url=re.compile(r"^(?!.*/accounts/login/)")):
        page.get_by_role("button", name="Sign in", exact=True).click()


def open_link(page, patient, scope, about):
    _, address = issue_link(patient=patient, scope=scope, about=about, by=SYSTEM, at=timezone.now())
    page.goto(address)
    page.get_by_label("Day").fill("14")
    page.get_by_label("Month").fill("5")
    page.get_by_label("Year").fill("1988")
    page.get_by_role("button", name="Open").click()


def test_a_clinician_answers_what_is_blank_and_decides_with_a_condition(desk, open_phone, location, ana, bo, look):
    at = timezone.now()
    uma = make_patient(location, "Uma", "Osei", email="uma@mail.example")
    make_screening(uma, "nafl_1550", at=at - timedelta(days=1), wax_last=str(at.date()))
    other = make_screening(uma, "pico_755", at=at - timedelta(days=1))
    decide(screening=other, kind="defer", reason="Later.", conditions=[], earliest_on=at.date() + timedelta(days=30),
           by=actor(bo), at=at)  # fmt: skip
    response = answer_intake(
        ana, at=at, scar_tendency="keloid", concerns=["acne_scars"], cold_sores="yes", silver="not_sure",
        smoking="current", eye_history="prefer_not_to_say", wax_last=str((at - timedelta(days=2)).date()),
        treatment_areas=["full_face"], poor_healing=True,
    )  # fmt: skip
    submit_intake(response=response, by=Actor.patient(ana.ref, ana.full_name), at=at)
    sign_in(desk, bo)

    desk.goto("/review/")
    look(desk, "review-queue-1280")
    desk.get_by_role("link", name="REYES, Ana").click()
    look(desk, "screening-incomplete-1280")
    with desk.expect_navigation():  # each laser's page looks alike
        desk.get_by_role("link", name="NAFL 1,550").click()
    desk.get_by_label("Skin type (Fitzpatrick), seen by the clinician").select_option("II")
    desk.get_by_role("button", name="Record and screen anew").click()
    desk.get_by_text("Recorded, and every laser screened anew.").wait_for()
    look(desk, "screening-1280")
    desk.get_by_label("Proceed with conditions").check()
    desk.get_by_role("button", name="Record the decision").click()
    desk.get_by_role("heading", name="Please check this").wait_for()
    expect(desk.get_by_label("Proceed with conditions")).to_be_checked()
    look(desk, "screening-refused-1280")
    desk.get_by_label("Reason", exact=True).fill("Acne scars, calm skin; the small risk was talked through.")
    desk.get_by_text("Conditions of your own").click()
    desk.get_by_label("Your own condition").fill("Ring the eye specialist")
    desk.get_by_role("button", name="Record the decision").click()
    desk.get_by_text("Ring the eye specialist").first.wait_for()
    look(desk, "screening-decided-1280")

    decision = CandidacyDecision.objects.get(patient=ana)
    assert (decision.kind, decision.modality) == ("proceed_with_conditions", "nafl_1550")
    phone = open_phone()
    sign_in(phone, bo)
    phone.goto("/review/")
    look(phone, "review-queue-390")
    phone.goto(f"/review/{decision.screening.ref}/")
    look(phone, "screening-390")
    phone.get_by_role("link", name="AFL 10,600").click()
    look(phone, "screening-afl-390")


@pytest.fixture
def asked(ana):
    return ask_consent(
        patient=ana, scope="treatment", about="course:1",
        plan={"modality": "afl_co2", "areas": ["full_face", "neck"], "sessions": 3}, group="AFL", by=SYSTEM,
        at=timezone.now(),
    )  # fmt: skip


def test_a_drawn_signature_survives_a_refusal_and_a_turned_phone(phone, desk, ana, bo, asked, look):
    open_link(phone, ana, "consent", f"consent:{asked.ref}")
    look(phone, "consent-summary-390")
    phone.get_by_role("button", name="Read the full text").click()
    phone.get_by_role("heading", name="What can go wrong, and what to expect").wait_for()
    phone.get_by_label("Your question").fill("May I swim in the sea?")
    phone.get_by_role("button", name="Send the question").click()
    phone.get_by_text("May I swim in the sea?").wait_for()
    phone.wait_for_load_state()
    risks = phone.locator("form input[type=checkbox]")
    for number in range(risks.count() - 1):
        risks.nth(number).check()
    draw(phone)
    drawn = phone.locator("input[name=signature]").input_value()
    look(phone, "consent-sign-390")

    phone.get_by_role("button", name="Sign", exact=True).click()
    phone.get_by_role("heading", name="Please check this").wait_for()
    phone.wait_for_load_state()
    look(phone, "consent-refused-390")
    assert phone.locator("input[name=signature]").input_value() == drawn
    phone.wait_for_function(f"({INK}) > 0")
    assert [risks.nth(n).is_checked() for n in range(risks.count())] == [True] * (risks.count() - 1) + [False]
    was = phone.evaluate("document.querySelector('canvas').width")
    phone.set_viewport_size({"width": 844, "height": 390})
    phone.wait_for_function(f"was => document.querySelector('canvas').width !== was && ({INK}) > 0", arg=was)
    assert phone.locator("input[name=signature]").input_value() == drawn
    risks.last.check()
    phone.get_by_role("button", name="Sign", exact=True).click()
    phone.get_by_text("Signed. This is your copy.").wait_for()

    phone.set_viewport_size({"width": 390, "height": 844})
    look(phone, "consent-copy-390")
    consent = Consent.objects.get()
    assert (consent.status, consent.signed_name, is_intact(consent)) == ("active", "Ana Reyes", True)
    assert consent.signature == json.loads(drawn)
    sign_in(desk, bo)
    desk.goto(f"/consents/{consent.ref}/")
    desk.get_by_text("Words, plan and signature").click()
    look(desk, "consent-record-1280")
    phone.get_by_role("link", name="Back").click()
    phone.get_by_text("I want to take this back").click()
    look(phone, "consent-stands-390")
    phone.get_by_role("button", name="Take it back").click()
    phone.get_by_role("heading", name="This is no longer in force").wait_for()
    look(phone, "consent-over-390")
    assert Consent.objects.get().status == "inactive"


def test_clearing_the_drawing_leaves_nothing_to_sign_with(phone, ana, asked):
    open_link(phone, ana, "consent", f"consent:{asked.ref}")
    phone.get_by_role("button", name="Read the full text").click()
    phone.get_by_role("heading", name="Sign", exact=True).wait_for()
    phone.wait_for_load_state()
    for box in phone.locator("form input[type=checkbox]").all():
        box.check()
    draw(phone)
    phone.get_by_role("button", name="Clear the drawing").click()
    assert phone.evaluate(INK) == 0

    phone.get_by_role("button", name="Sign", exact=True).click()

    phone.get_by_text("Please draw your signature, or type your full name.").first.wait_for()
    assert Consent.objects.get().status == "proposed"


def test_the_last_page_of_the_intake(phone, ana, look):
    at = timezone.now()
    response = answer_intake(ana, at=at)
    submit_intake(response=response, by=Actor.patient(ana.ref, ana.full_name), at=at)
    _, address = issue_link(patient=ana, scope="intake", about=f"response:{response.ref}", by=SYSTEM, at=at)
    phone.goto(address)
    phone.get_by_label("Day").fill("14")
    phone.get_by_label("Month").fill("5")
    phone.get_by_label("Year").fill("1988")
    phone.get_by_role("button", name="Open").click()
    phone.wait_for_url("**/my/**")
    ref = phone.url.partition("/my/")[2].partition("/")[0]
    phone.goto(f"/my/{ref}/intake/done/")
    phone.get_by_role("heading", name="Thank you. Your answers are with us.").wait_for()
    look(phone, "intake-done-390")


def draw(page):
    canvas = page.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 60)
    page.mouse.down()
    for step in range(20):
        page.mouse.move(box["x"] + 30 + step * 12, box["y"] + 60 + (25 if step % 4 < 2 else -25))
    page.mouse.up()
