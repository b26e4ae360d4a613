"""The patient's page of a decision: what it says of each kind, what it never says, what it says once things move."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.transports.email import smtp
from patients.candidacy.actions import cosign, decide, settle_condition, withdraw_decision
from patients.candidacy.next_steps import next_steps
from patients.candidacy.queries import decision_tasks
from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from patients.registry.access import KEY
from patients.registry.actions import issue_link
from tests.factories.people import NOW, actor, make_clinician, make_location, make_patient
from tests.factories.screenings import make_screening
from tests.factories.smtp import SmtpServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_a_monday_at_ten")]
KELOID = {"scar_tendency": "keloid", "concerns": ["acne_scars"]}
LATER_ON = NOW.date() + timedelta(days=100)
REASON = "Her keloid tendency and the lupus letter were talked through."


@pytest.fixture
def at():
    return timezone.now()


@pytest.fixture
def location():
    return make_location()


@pytest.fixture
def ana(location):
    return make_patient(location)


@pytest.fixture
def bo(location):
    return make_clinician(location=location)


def decided(screening, by, kind, at, conditions=(), **fields):
    return decide(
        screening=screening, kind=kind, reason=REASON, conditions=list(conditions), by=actor(by), at=at, **fields
    )


def read(patient, at, path="next_steps"):
    """Return the page as the patient's browser shows it, without head and foot."""
    link, _ = issue_link(
        patient=patient, scope="decision", about=f"patient:{patient.ref}", by=Actor.task("test"), at=at
    )
    client, now = Client(), int(at.timestamp())
    session = client.session
    session[KEY] = {str(link.ref): {"opened": now, "used": now}}
    session.save()
    client.cookies["sessionid"] = session.session_key
    answer = client.get(reverse(path, args=[link.ref]))
    assert answer.status_code == 200
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


@pytest.mark.parametrize(
    ("kind", "fields", "sentences"),
    [
        ("proceed", {}, ["You can go ahead", "We agree a day with you."]),
        (
            "proceed_with_conditions",
            {"conditions": [{"text": "Ask about the lupus letter", "told": "Please bring the letter of your doctor."}]},
            ["You can go ahead, with a few things first", "Please bring the letter of your doctor."],
        ),
        ("test_spot_first", {}, ["A small test area first", "We call you to agree a day for the test area."]),
        (
            "defer",
            {"earliest_on": LATER_ON},
            [
                "A little later is better",
                f"The earliest day for a visit is {LATER_ON.day} {LATER_ON:%B %Y}.",
                "We get in touch when it is time.",
            ],
        ),
        ("decline", {}, ["Not with this treatment", "Would you like to talk about it"]),
        ("refer", {}, ["A colleague looks first", "what the specialist needs to know"]),
    ],
)
def test_each_kind_of_decision_has_kind_words_a_next_step_and_a_way_to_call(ana, bo, at, kind, fields, sentences):
    decided(make_screening(ana, at=at, ctd="lupus", **KELOID), bo, kind, at, **fields)

    page = read(ana, at)

    for sentence in [*sentences, "What happens next", "Call +442079460000"]:
        assert sentence in page
    for secret in ("keloid", "lupus", "R2", "recommended", "flag", REASON):
        assert secret.lower() not in page.lower()


def test_a_condition_without_words_for_the_patient_is_not_repeated_to_them(ana, bo, at):
    conditions = [{"text": "Ring the rheumatologist about the lupus"}, {"text": "Prefers mornings", "blocks": False}]
    decided(make_screening(ana, at=at), bo, "proceed_with_conditions", at, conditions)

    page = read(ana, at)

    assert "Your clinician talks something through with you before the treatment." in page
    assert "rheumatologist" not in page
    assert "mornings" not in page


def test_the_tasks_of_the_rules_read_in_the_rules_own_words_to_patients_and_are_ticked_off(ana, bo, at):
    decision = decided(make_screening(ana, "afl_co2", at=at, fst_confirmed="3"), bo, "proceed", at)
    told = "Your clinician will decide on a tablet that helps prevent cold sores."
    assert told in read(ana, at)
    assert f"{told} Done" not in read(ana, at)
    assert "renal" not in read(ana, at)

    for task in decision_tasks(decision):
        settle_condition(task=task, choice=task.closes_with[0], reason="Told her.", by=actor(bo), at=at)

    assert f"{told} Done" in read(ana, at)
    assert "Told her" not in read(ana, at)


def test_each_laser_has_its_own_part_the_good_news_first(ana, bo, at):
    decided(make_screening(ana, "afl_co2", at=at, **KELOID), bo, "decline", at)
    decided(make_screening(ana, "nafl_1550", at=at, **KELOID), bo, "proceed", at)

    page = read(ana, at)

    assert page.index("You can go ahead") < page.index("1,550 nm") < page.index("Not with this treatment")
    assert page.index("Not with this treatment") < page.index("Fractional CO2 laser")


def test_a_decision_that_waits_for_a_second_clinician_or_was_taken_back_is_not_shown(ana, bo, location, at):
    noor = make_clinician("Noor Haddad", location=location)
    waiting = decided(make_screening(ana, "afl_co2", at=at, **KELOID), bo, "proceed", at)
    nothing_yet = "Your clinician is looking at it"
    assert nothing_yet in read(ana, at)

    agreed = cosign(decision=waiting, by=actor(noor), at=at)
    assert "You can go ahead" in read(ana, at)
    withdraw_decision(decision=agreed, reason="A slip of the hand.", by=actor(bo), at=at)

    page = read(ana, at)
    assert nothing_yet in page
    assert "You can go ahead" not in page


def test_newer_answers_that_a_clinician_has_still_to_look_at_are_said_so(ana, bo, at):
    decided(make_screening(ana, at=at), bo, "proceed", at)
    assert "may still change" not in read(ana, at)

    make_screening(ana, at=at, poor_healing=True)

    assert "Your answers have changed since." in read(ana, at)


def test_a_waiting_time_that_is_over_is_no_longer_a_date_to_wait_for(ana, bo, at):
    decided(make_screening(ana, at=at), bo, "defer", at, earliest_on=at.date() + timedelta(days=30))

    assert [step.earliest_on for step in next_steps(ana, at.date() + timedelta(days=30))] == [None]


def test_the_message_about_the_decision_leads_to_the_page_behind_the_birth_date(ana, bo, settings):
    sent_at = timezone.now()
    decided(make_screening(ana, at=sent_at), bo, "proceed", sent_at)

    with SmtpServer() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
        dispatch(at=sent_at + timedelta(minutes=4))
        smtp().close()

    message = Message.objects.get(patient=ana)
    assert (message.template, message.status) == ("decision", "sent")
    address = re.search(r"https?://[^/]+(/l/[\w-]+/)", server.letters[0].text).group(1)
    client = Client()
    assert "You can go ahead" not in client.get(address).content.decode()
    born = {"born_on_day": ana.born_on.day, "born_on_month": ana.born_on.month, "born_on_year": ana.born_on.year}
    opened = client.post(address, born, follow=True)
    assert "You can go ahead" in opened.content.decode()


def test_the_clinician_sees_on_the_review_page_what_the_patient_reads(ana, bo, at, settings):
    settings.MFA_COMPULSORY = False
    screening = make_screening(ana, at=at)
    decided(screening, bo, "test_spot_first", at)
    client = Client()
    client.force_login(bo)

    text = client.get(reverse("screening", args=[screening.ref])).content.decode()

    assert "What the patient reads" in text
    assert "A small test area first" in text
