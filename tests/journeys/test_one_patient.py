"""One patient, from the public page to a closed alarm, in real browsers, with a real worker and a real mail server.

Ana writes on the public page. Dina at the desk makes her a patient; the worker sends her the link. She answers on
her phone. Bo, a clinician, decides. Dina books, Ana consents, Bo treats. The next day Ana's eye hurts.
"""

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from datetime import time as wall_time
from pathlib import Path

import pytest
import time_machine
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from playwright.sync_api import expect

from clinic.audit.queries import walk_chain
from clinic.premises.models import OpeningHours
from clinic.staff.models import OnCall
from clinic.staff.states import Role
from clinic.standalone import mailbox
from clinic.standalone.processes import any_free_port
from patients.candidacy.models import CandidacyDecision
from patients.consent.models import Consent
from patients.enquiries.models import Enquiry
from patients.intake.models import QuestionnaireResponse
from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from tests.factories.people import PASSWORD, make_clinician, make_device, make_location, make_user
from treatments.aftercare.models import CheckIn, Escalation
from treatments.booking.models import Appointment
from treatments.sessions.models import TreatmentSession

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
ROOT = Path(__file__).resolve().parents[2]

# What Ana chooses where nothing of it applies to her; by question where the harmless answer is another.
HARMLESS = ("none", "never", "no", "false", "none_of_these", "lt1", "improvement", "1")
ANA = {
    "concerns": ["acne_scars", "texture"],
    "treatment_areas": ["cheeks"],
    "cold_sores": ["yes"],
    "can_avoid_sun": ["true"],
    "can_follow_aftercare": ["true"],
    "escort_home": ["true"],
}


@pytest.fixture
def post(settings, tmp_path):
    """A mail server whose letters the mailbox page shows."""
    settings.DEMO, settings.MFA_COMPULSORY = True, False
    settings.MAILBOX_DIR, settings.SMS_FILE = tmp_path / "mailbox", tmp_path / "sms.jsonl"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", any_free_port(), False
    server = mailbox.start(settings.MAILBOX_DIR, settings.EMAIL_PORT)
    yield settings
    server.stop()


def database_url() -> str:
    """Return the address of this test's database, as a process of its own would be given it."""
    parts = connection.settings_dict
    where = parts["HOST"] or "localhost"
    if where.startswith("/"):
        return f"postgresql://{parts['USER']}@/{parts['NAME']}?host={where}"
    secret = f":{parts['PASSWORD']}" if parts["PASSWORD"] else ""
    return f"postgresql://{parts['USER']}{secret}@{where}:{parts['PORT'] or 5432}/{parts['NAME']}"


@pytest.fixture
def worker(post, live_server, tmp_path):
    """A real Celery worker with its beat, on the test's database and broker: a lost doorbell only delays."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(post.EMAIL_PORT),
        "SMS_FILE": str(post.SMS_FILE),
        "PUBLIC_URL": live_server.url,
    }
    command = [sys.executable, "-m", "celery", "--app", "clinic.celery", "worker", "--concurrency", "1"]
    command += ["--beat", "--schedule", str(tmp_path / "beat")]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        yield process
        process.terminate()
        process.wait(200)


@pytest.fixture
def clinic(db):
    """A clinic where it is mid-morning now, wherever and whenever this runs: nothing here depends on the hour."""
    ahead = (10 - datetime.now(UTC).hour) % 24
    ahead -= 24 if ahead > 12 else 0
    location = make_location(time_zone=f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT")
    make_device(location, "nafl_1550")
    make_user("Dina Okafor", Role.FRONT_DESK, location=location)
    bo = make_clinician("Bo Lindqvist", location)
    OpeningHours.objects.all().delete()
    for weekday in range(7):
        for practitioner in (None, bo.practitioner):
            OpeningHours.objects.create(
                location=location, practitioner=practitioner, weekday=weekday, opens=wall_time(7), closes=wall_time(20)
            )
    now = timezone.now()
    OnCall.objects.create(user=bo, starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=30))
    return location


class Clock:
    """Moves this process, and so the web server, ahead in time; the database and the worker stay behind."""

    def __init__(self):
        self._travel = None

    def ahead(self, delta):
        target = datetime.now(UTC) + delta
        self.back()
        self._travel = time_machine.travel(target, tick=True)
        self._travel.start()

    def back(self):
        if self._travel:
            self._travel.stop()
            self._travel = None


@pytest.fixture
def clock():
    moving = Clock()
    yield moving
    moving.back()


def sign_in(page, email):
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").first.fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/today/")


def letters() -> list[str]:
    return [path.read_text() for path in sorted(django_settings.MAILBOX_DIR.glob("*.eml"))]


def wait_for_letter(words: str, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not any(words in letter for letter in letters()):
        assert time.monotonic() < deadline, [f"{row.step} {row.status} {row.reason}" for row in Message.objects.all()]
        time.sleep(0.2)


def send_what_is_due() -> None:
    """What the worker does, at this process's own time."""
    while dispatch(at=timezone.now()):
        pass


def open_letter(page, subject: str) -> None:
    """Find the newest letter of that subject on the mailbox page and follow its link, as the patient would."""
    page.goto("/mailbox/")
    page.locator("li", has_text=subject).first.get_by_role("link").click()
    page.locator("a[href*='/l/']").first.click()
    page.wait_for_url("**/l/**")


def say_who_i_am(page, day="14", month="5", year="1988"):
    page.get_by_label("Day").fill(day)
    page.get_by_label("Month").fill(month)
    page.get_by_label("Year").fill(year)
    page.get_by_role("button", name="Open", exact=True).click()


def answer_group(page) -> None:
    """Tap one answer for each question on the screen, then go on. An answer may bring up or take away a question."""
    page.locator("form[data-intake]").wait_for()
    page.wait_for_load_state()
    for question in page.locator("fieldset[data-question]").all():
        if question.is_hidden():
            continue
        key = question.get_attribute("data-question")
        for value in ANA.get(key, HARMLESS):
            choice = question.locator(f"input[value='{value}']")
            if choice.count():
                choice.first.check()
                expect(page.locator("[data-status]")).not_to_contain_text("Saving")
                if key not in ANA:
                    break
    page.get_by_role("button", name="Continue").click()


def test_one_patient_from_enquiry_to_a_closed_alarm(clinic, worker, phone, desk, open_desk, open_phone, clock, look):
    # Ana writes on the public page.
    phone.goto("/")
    look(phone, "home-390")
    phone.get_by_role("link", name="Ask about treatment").first.click()
    phone.get_by_label("First name").fill("Ana")
    phone.get_by_label("Family name").fill("Reyes")
    phone.get_by_label("Email").fill("ana.reyes@mail.example")
    phone.get_by_label("Acne scars").check()
    look(phone, "enquiry-390")
    phone.get_by_role("button", name="Send").click()
    phone.wait_for_url("**/enquire/thanks/**")
    look(phone, "enquiry-thanks-390")
    assert Enquiry.objects.get().full_name == "Ana Reyes"

    # Dina makes her a patient; the worker sends the link.
    sign_in(desk, "dina.okafor@clinic.example")
    desk.goto("/enquiries/")
    look(desk, "enquiries-1280")
    desk.get_by_role("link", name="Make a patient").click()
    desk.get_by_label("Day").fill("14")
    desk.get_by_label("Month").fill("5")
    desk.get_by_label("Year").fill("1988")
    look(desk, "convert-1280")
    desk.get_by_role("button", name="Make a patient and send the link").click()
    desk.wait_for_url("**/patients/**")
    look(desk, "chart-new-1280")
    chart = desk.url
    wait_for_letter("ana.reyes@mail.example")

    # Ana opens it on her phone, after one slip, and answers.
    phone.goto("/mailbox/")
    look(phone, "mailbox-390")
    open_letter(phone, "A form from")
    look(phone, "link-390")
    say_who_i_am(phone, year="1989")
    phone.get_by_text("4 tries left").first.wait_for()
    say_who_i_am(phone)
    phone.wait_for_url("**/intake/**")
    look(phone, "intake-start-390")
    phone.get_by_role("link", name=re.compile("Begin|Start|Continue|Go on")).first.click()
    while "/check/" not in phone.url:
        before = phone.url
        answer_group(phone)
        phone.wait_for_url(lambda url, before=before: url != before)
    look(phone, "intake-check-390")
    phone.get_by_role("button", name="Send my answers").click()
    phone.get_by_role("heading", name="Thank you").wait_for()
    look(phone, "intake-done-390")
    assert QuestionnaireResponse.objects.get().status == "completed"

    # Bo sees what the rules found, says which skin type he sees, and decides.
    bo = open_desk()
    sign_in(bo, "bo.lindqvist@clinic.example")
    bo.goto("/review/")
    bo.get_by_role("link", name=re.compile("REYES")).first.click()
    look(bo, "review-1280")
    bo.get_by_label("Skin type (Fitzpatrick), seen by the clinician").select_option("II")
    bo.get_by_role("button", name="Record and screen anew").click()
    bo.get_by_text("Recorded, and every laser screened anew.").wait_for()
    bo.get_by_text("HSV").first.wait_for()
    bo.get_by_label("Proceed with conditions").check()
    bo.get_by_label("Reason", exact=True).fill("Calm skin, clear aims. Antiviral as she has cold sores.")
    bo.get_by_role("button", name="Record the decision").click()
    bo.get_by_text("In force").first.wait_for()
    look(bo, "decided-1280")
    decision = CandidacyDecision.objects.get()
    assert (decision.status, decision.modality) == ("in_force", "nafl_1550")
    bo.goto("/tasks/")
    look(bo, "tasks-1280")
    bo.get_by_role("link", name=re.compile("antiviral|cold sore", re.IGNORECASE)).first.click()
    look(bo, "task-1280")
    bo.get_by_label("Give").check()
    bo.get_by_label("Why?").fill("Valaciclovir from the day before.")
    with bo.expect_navigation():
        bo.get_by_role("button", name="Done", exact=True).click()

    # Bo plans a course; Ana consents on her phone.
    bo.goto(chart)
    look(bo, "chart-decided-1280")
    bo.get_by_role("link", name="Plan the course").click()
    look(bo, "course-new-1280")
    bo.get_by_label("Cheeks").check()
    bo.get_by_label("Sessions").fill("3")
    bo.get_by_role("button", name="Plan and ask for consent").click()
    bo.wait_for_url("**/courses/**")
    consent = Consent.objects.get(scope="treatment")
    clock.ahead(timedelta(minutes=4))  # the undo window
    send_what_is_due()
    open_letter(phone, "Something to read and sign")
    say_who_i_am(phone)
    phone.wait_for_url("**/consent/**")
    look(phone, "consent-390")
    phone.get_by_role("button", name="Read the full text").click()
    phone.get_by_role("heading", name="What can go wrong, and what to expect").wait_for()
    for risk in phone.locator("form input[type=checkbox]").all():
        risk.check()
    phone.get_by_label(re.compile("full name", re.IGNORECASE)).fill("Ana Reyes")
    look(phone, "consent-sign-390")
    phone.get_by_role("button", name="Sign", exact=True).click()
    phone.get_by_text("Signed. This is your copy.").wait_for()
    assert Consent.objects.get(pk=consent.pk).status == "active"

    # Dina books the treatment: the first free time in a fortnight. The messages of its course are planned.
    treated_on = timezone.now().astimezone(clinic.zone).date() + timedelta(days=14)
    desk.goto(chart)
    desk.get_by_role("link", name="Book the treatment").click()
    expect(desk.get_by_label(re.compile("Treatment.*session 1 of 3"))).to_be_checked()
    desk.wait_for_load_state()
    desk.get_by_label("Day", exact=True).fill(treated_on.isoformat())
    desk.get_by_label("Day", exact=True).press("Tab")
    desk.get_by_text(f"{treated_on:%A} {treated_on.day} {treated_on:%B}").first.wait_for()
    desk.locator("label.dy-pill").first.click()
    look(desk, "book-1280")
    desk.get_by_role("button", name="Book", exact=True).click()
    desk.wait_for_url("**/visits/**")
    look(desk, "visit-1280")
    visit = Appointment.objects.get(type__kind="treatment")
    planned = Message.objects.filter(about=visit.about, status="planned")
    assert {"reminder_48h", "reminder_24h", "precare_7", "fitness"} <= set(planned.values_list("step", flat=True))

    # The day has come. The treatment cannot start before the check at the door; then it can.
    clock.ahead(visit.starts_at - timezone.now() - timedelta(minutes=5))
    sign_in(desk, "dina.okafor@clinic.example")
    look(desk, "today-1280")
    desk.get_by_role("button", name="Arrived").click()
    desk.locator(".dy-line").get_by_text("Arrived", exact=True).wait_for()
    sign_in(bo, "bo.lindqvist@clinic.example")
    bo.goto(f"/visits/{visit.ref}/")
    bo.get_by_role("button", name="Start treatment").click()
    bo.wait_for_url("**/sessions/**")
    look(bo, "session-unready-1280")
    bo.get_by_text("One check left").wait_for()
    assert bo.get_by_role("button", name="Start treatment").count() == 0
    for question in bo.locator("fieldset", has=bo.get_by_label("Not sure")).all():
        question.get_by_label("No", exact=True).check()
    bo.get_by_role("button", name="Save the answers").click()
    bo.get_by_text("Ready to start").wait_for()
    look(bo, "session-ready-1280")
    bo.locator("[name=eye_protection][value=external]").first.check()
    bo.get_by_role("button", name="Start treatment").click()
    bo.get_by_role("heading", name="First passes").wait_for()
    for setting, value in {"passes": "8", "energy_mj": "40", "coverage_percent": "14"}.items():
        bo.locator(f"[name={setting}]").fill(value)
    bo.get_by_role("button", name="Record passes").click()
    bo.get_by_role("heading", name="Add another").wait_for()
    clock.ahead(timedelta(minutes=130))
    said = {"anaesthesia": "none", "eye_protection": "external", "cooling": "forced_air", "pain_during": "3"}
    for name, value in said.items():
        bo.locator(f"#finish [name={name}][value='{value}']").check()
    look(bo, "session-record-1280")
    bo.get_by_role("button", name="Finish and start aftercare").click()
    bo.get_by_role("heading", name="Sign off").wait_for()
    bo.get_by_role("button", name="Sign off").click()
    bo.get_by_role("heading", name="Signed off").wait_for()
    look(bo, "session-done-1280")
    session = TreatmentSession.objects.get()
    assert (session.status, session.signed_off_by.name) == ("completed", "Bo Lindqvist")

    # The next morning the check-in goes out. Ana's eye hurts: she is told what to do at once.
    checkin = CheckIn.objects.order_by("due_at").first()
    assert Message.objects.filter(about=session.about, due_at__gt=session.completed_at).count() > 5
    clock.ahead(checkin.due_at - timezone.now() + timedelta(minutes=1))
    send_what_is_due()
    open_letter(phone, "How are you?")
    say_who_i_am(phone)
    phone.wait_for_url("**/checkin/**")
    look(phone, "checkin-390")
    while not phone.locator("[name=question][value=eye]").count():
        with phone.expect_navigation():
            phone.locator(".ag-tap:not(.ag-tap-urgent)").first.click()
    look(phone, "checkin-eye-390")
    phone.locator("button[name=answer][value=vision_change]").click()
    phone.locator(".ag-emergency").wait_for()
    look(phone, "checkin-emergency-390")
    assert phone.get_by_role("link", name="Call 999").get_attribute("href") == "tel:999"

    # Bo sees it on whichever page he is, takes it, and closes it with what came of it.
    sign_in(bo, "bo.lindqvist@clinic.example")
    bo.get_by_text("Emergency alarm: Ana Reyes").wait_for()
    look(bo, "alarm-banner-1280")
    bo.locator(".ag-alarms").get_by_role("link", name="Open").click()
    look(bo, "alarm-1280")
    bo.get_by_role("button", name="I have it").click()
    bo.get_by_role("heading", name="Close").wait_for()
    phone.get_by_text("Bo Lindqvist").wait_for()
    look(phone, "checkin-seen-390")
    bo.get_by_role("button", name="Close with this outcome").click()
    bo.get_by_role("heading", name="Please check this").wait_for()
    bo.get_by_label("Sent to emergency care").check()
    bo.get_by_label("What was found and done").fill("Seen at the eye hospital within the hour. Cornea clear.")
    bo.get_by_role("button", name="Close with this outcome").click()
    bo.get_by_text("Sent to emergency care").first.wait_for()
    alarm = Escalation.objects.get()
    assert (alarm.status, alarm.owner.name, alarm.outcome) == ("closed", "Bo Lindqvist", "sent_to_hospital")

    # And the whole story stands in an unbroken trail.
    bo.goto(chart)
    look(bo, "chart-1280")
    assert walk_chain().broken == ""
