"""A patient fills in the questionnaire on a phone, loses the connection, and goes on with another one."""

import re
from datetime import date

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from clinic.audit.states import Actor
from patients.intake.actions import start_response
from patients.intake.models import Answer
from patients.intake.queries import asked_groups, latest_answers, questionnaire_of
from patients.registry.actions import issue_link
from patients.registry.states import LinkScope
from tests.factories.people import make_location, make_patient

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
BY = Actor.command("desk")
SAVED = re.compile(r"Saved \d\d:\d\d")


@pytest.fixture
def form(live_server, settings):
    """Ana's open questionnaire; `form.address` is the link in her letter."""
    settings.PUBLIC_URL = live_server.url
    ana = make_patient(make_location(), "Ana", "Reyes", born_on=date(1988, 5, 14))
    response = start_response(patient=ana, by=BY, at=timezone.now())
    about = f"response:{response.ref}"
    _, response.address = issue_link(patient=ana, scope=LinkScope.INTAKE, about=about, by=BY, at=timezone.now())
    return response


def open_link(page, form, year="1988"):
    page.goto(form.address)
    page.get_by_label("Day").fill("14")
    page.get_by_label("Month").fill("5")
    page.get_by_label("Year").fill(year)
    page.get_by_role("button", name="Open").click()


def question(page, label):
    return page.get_by_role("group", name=label)


def tap(page, label, answer):
    question(page, label).get_by_text(answer, exact=True).click()


def tap_and_save(page, label, answer):
    with page.expect_response("**/intake/save/"):
        tap(page, label, answer)
    expect(page.get_by_text(SAVED)).to_be_visible()


def is_given(page, label, answer):
    expect(question(page, label).get_by_label(answer, exact=True)).to_be_checked()


def go_on(page):
    page.get_by_role("button", name="Continue").click()


def heading(page, text):
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def answers(form):
    return {key: value for key, value in latest_answers(form).items() if key != "age_years"}


def test_a_patient_loses_the_connection_and_nothing_else(form, phone, open_phone, look):
    # The door: a wrong year says how many tries are left, the right one opens.
    open_link(phone, form, year="1989")
    expect(phone.get_by_text("4 tries left").first).to_be_visible()
    look(phone, "link-wrong-390")
    open_link(phone, form)
    heading(phone, "Hello Ana")
    look(phone, "intake-start-390")
    phone.get_by_role("link", name="Start").click()

    # Each answer is saved when it is given.
    heading(phone, "What would you like to improve?")
    tap_and_save(phone, "What would you like to improve?", "Acne scars")
    assert answers(form) == {"concerns": ["acne_scars"]}
    look(phone, "intake-group-390")
    go_on(phone)
    heading(phone, "Where on your body?")
    tap(phone, "Which areas would you like treated?", "Cheeks")
    go_on(phone)

    # Back works, and shows what was said.
    heading(phone, "What you hope for")
    phone.go_back()
    heading(phone, "Where on your body?")
    is_given(phone, "Which areas would you like treated?", "Cheeks")
    phone.go_forward()
    heading(phone, "What you hope for")
    phone.wait_for_load_state()

    # The connection drops in the middle; the answer waits on the page and says so.
    phone.context.set_offline(True)
    tap(phone, "What result do you hope for?", "It should look better")
    expect(phone.get_by_text("Not saved yet, will try again")).to_be_visible()
    look(phone, "intake-offline-390")
    go_on(phone)
    expect(phone.get_by_text("You are offline")).to_be_visible()
    heading(phone, "What you hope for")
    assert "expectation" not in answers(form)

    # It comes back: the answer is saved, and the page goes on as asked.
    phone.context.set_offline(False)
    heading(phone, "Pregnancy and breastfeeding")
    assert answers(form)["expectation"] == "improvement"

    # An answer brings up a question at once.
    expect(question(phone, "When is your baby due?")).to_be_hidden()
    tap(phone, "Are you pregnant?", "Yes")
    expect(question(phone, "When is your baby due?")).to_be_visible()
    question(phone, "When is your baby due?").get_by_label("Day").fill("1")
    question(phone, "When is your baby due?").get_by_label("Month").fill("13")
    question(phone, "When is your baby due?").get_by_label("Year").fill("2027")
    phone.get_by_label("Year").blur()
    expect(phone.get_by_text("There is no month 13.")).to_be_visible()
    look(phone, "intake-date-wrong-390")
    question(phone, "When is your baby due?").get_by_label("Month").fill("3")
    phone.get_by_label("Month").blur()
    expect(phone.get_by_text("There is no month 13.")).to_be_hidden()
    expect(phone.get_by_text(SAVED)).to_be_visible()
    assert answers(form)["pregnancy_due"] == "2027-03-01"

    # Another phone, the same link: it goes on where the first stopped.
    second = open_phone()
    open_link(second, form)
    heading(second, "Hello Ana")
    expect(second.get_by_text("Everything you answered is still here.")).to_be_visible()
    look(second, "intake-resume-390")
    second.get_by_role("link", name="Go on where you stopped").click()
    heading(second, "Pregnancy and breastfeeding")
    is_given(second, "Are you pregnant?", "Yes")
    expect(question(second, "When is your baby due?").get_by_label("Day")).to_have_value("1")

    # Both phones answer: the last one counts, is told so, and both stay on record.
    tap_and_save(second, "Are you breastfeeding?", "No")
    tap(phone, "Are you breastfeeding?", "I am not sure")
    expect(phone.get_by_text("This replaces an answer given elsewhere")).to_be_visible()
    look(phone, "intake-two-phones-390")
    assert answers(form)["breastfeeding"] == "not_sure"
    assert list(Answer.objects.filter(question="breastfeeding").values_list("value", flat=True)) == [False, "not_sure"]


def first_choice(asked):
    """Return words to tap: the first option, else that one is not sure, else "Never" of a date, else "No"."""
    if asked.options:
        return asked.options[0].label
    return "I am not sure" if asked.offers_unknown else {"date": "Never"}.get(asked.type.value, "No")


def test_every_screen_to_the_end_and_the_answers_are_sent(form, phone, look):
    """All screens by tapping alone, the check, and what it says before and after the last starred answer."""
    open_link(phone, form)
    phone.get_by_role("link", name="Start").click()
    questionnaire = questionnaire_of(form)
    skipped = "cold_sores"
    for group in asked_groups(questionnaire, latest_answers(form)):
        heading(phone, group.title)
        phone.wait_for_load_state()
        for asked in group.questions:
            if asked.key == skipped or not question(phone, asked.label).is_visible():
                continue
            tap_and_save(phone, asked.label, first_choice(asked))
        go_on(phone)

    heading(phone, "Check your answers")
    expect(phone.get_by_text("One question still needs an answer.")).to_be_visible()
    look(phone, "intake-check-missing-390")
    phone.get_by_role("link", name="Answer one more question").click()
    tap_and_save(phone, "Have you ever had a cold sore?", "I would rather not say")
    go_on(phone)
    heading(phone, "Check your answers")
    expect(phone.get_by_text("Prefers not to say")).to_be_visible()
    look(phone, "intake-check-390")
    phone.get_by_role("button", name="Send my answers").click()

    expect(phone.get_by_role("heading", level=1)).to_contain_text("Thank you")
    look(phone, "intake-done-390")
    form.refresh_from_db()
    assert form.status == "completed"
    assert form.snapshot["cold_sores"]["value"] == "prefer_not_to_say"


def test_what_is_answered_before_the_page_listens_is_saved_too(form, phone):
    held = []
    phone.route("**/js/intake*.js", lambda route: held.append(route))
    open_link(phone, form)
    phone.get_by_role("link", name="Start").click(no_wait_after=True)
    heading(phone, "What would you like to improve?")
    tap(phone, "What would you like to improve?", "Acne scars")
    tap(phone, "What would you like to improve?", "Fine lines")
    is_given(phone, "What would you like to improve?", "Fine lines")

    with phone.expect_response("**/intake/save/"):
        held[0].continue_()

    expect(phone.get_by_text(SAVED)).to_be_visible()
    assert sorted(answers(form)["concerns"]) == ["acne_scars", "fine_lines"]


def test_it_works_without_scripts(form, open_phone):
    page = open_phone(java_script_enabled=False)
    open_link(page, form)
    page.get_by_role("link", name="Start").click()
    tap(page, "What would you like to improve?", "Fine lines")
    go_on(page)
    heading(page, "Where on your body?")

    assert answers(form) == {"concerns": ["fine_lines"]}
