"""Fifty secrets go through the house, much goes wrong, and none of them is found where operators look."""

import io
import logging
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path

import pytest
from django.conf import settings as real
from django.core import mail
from django.db import IntegrityError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.masked import Masked
from clinic.staff.states import Role
from clinic.transports import web
from patients.intake.actions import save_answer
from patients.messaging import bell
from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from patients.messaging.states import Channel, MessageStatus
from patients.replies.models import Reply
from tests.factories import gateway_calls
from tests.factories.letters import plan_message
from tests.factories.people import NOW, make_location, make_patient, make_user
from tests.factories.screenings import answer_intake
from tests.factories.sms_gateway import ACCOUNT, SECRET, SENDER, TAKE_AND_DROP, TOKEN, Say, SmsGatewayServer

pytestmark = pytest.mark.django_db(transaction=True)
GIVEN = [f"Zerafina{word}" for word in ("bo", "cu", "da", "el", "fi", "go", "ha", "im", "jo", "ka")]
FAMILY = [f"Quillbane{word}" for word in ("ra", "se", "ti", "ul", "vo", "wa", "xe", "yi", "zo", "qu")]
PHONES = [f"+44770090{number}" for number in range(1110, 1120)]
EMAILS = [f"hidden.{word}@private{number}.example" for number, word in enumerate(GIVEN)]
ANSWERS = [f"swelled up after {word}" for word in ("tourmaline", "obsidian", "malachite", "carnelian", "jasper")]
REPLIES = [f"it weeps and smells like {word}" for word in ("vetiver", "labdanum", "galbanum", "ambrette", "orris")]
SECRETS = GIVEN + FAMILY + PHONES + EMAILS + ANSWERS + REPLIES


@pytest.fixture
def log(request):
    """What operators read at this level, as the console handler of the settings would write it."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Masked(real.LOGGING["formatters"]["masked"]["fmt"]))
    handler.addFilter(lambda record: record.name != "mail.log")  # the mail server at the other end is not ours
    root = logging.getLogger()
    was = root.level
    root.setLevel(request.param)
    root.addHandler(handler)
    yield out
    root.removeHandler(handler)
    root.setLevel(was)


@pytest.fixture
def gateway(settings, server):
    with SmsGatewayServer(NOW) as running:
        settings.SMS_GATEWAY, settings.SMS_TIMEOUT = "twilio", 60
        settings.TWILIO_URL, settings.TWILIO_FROM = running.root, SENDER
        settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT, TOKEN
        settings.SMS_HTTP_SECRET = SECRET
        yield running
        web.close_connections()


@pytest.fixture
def people():
    place = make_location()
    return [
        make_patient(place, given, family, email=email, phone=phone)
        for given, family, email, phone in zip(GIVEN, FAMILY, EMAILS, PHONES, strict=True)
    ]


def send_well_and_badly(people, server, gateway):
    """Letters and texts that arrive, are refused by name, cannot be written, or may have left."""
    server.say("RCPT", f"550 5.1.1 <{EMAILS[0]}>: nobody called {FAMILY[0]} here", f"451 {EMAILS[1]} is busy")
    gateway.say(TAKE_AND_DROP, Say(400, {"code": 21211, "message": f"{PHONES[1]} is no number"}), Say(500, PHONES[2]))
    gateway.say_to_looks(Say(500, PHONES[0]))
    for patient in people:
        plan_message(patient, about=f"letter:{patient.pk}")
        plan_message(patient, about=f"text:{patient.pk}", channel=Channel.SMS)
    plan_message(people[2], about="poison:1", context={"where": ANSWERS[0]})
    for minutes in (0, 1, 5):
        dispatch(at=NOW + timedelta(minutes=minutes))


def write_to_us(live_server, people):
    """Replies come signed, and one forged."""
    for number, text in enumerate(REPLIES):
        said = {"id": f"R{number}", "from": PHONES[number], "text": text}
        gateway_calls.plain(f"{live_server.url}{reverse('http_reply')}", said, timezone.now())
    gateway_calls.plain(f"{live_server.url}{reverse('http_reply')}", {"text": REPLIES[0]}, timezone.now())
    forged = {"id": "F", "from": PHONES[0], "text": REPLIES[1]}
    gateway_calls.plain(f"{live_server.url}{reverse('http_reply')}", forged, timezone.now(), secret="wrong")


def break_pages(people, monkeypatch):
    """Return the pages that somebody sees who finds nothing, or meets a refusal of the database."""
    desk = Client(raise_request_exception=False)
    desk.force_login(make_user("Dee Desk", Role.FRONT_DESK, location=people[0].location))

    def refused(*, patient, **_given):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE patients_patient SET news_agreed = true WHERE id = %s", [patient.pk])

    monkeypatch.setattr("patients.wishes.views.actions.set_wishes", refused)
    typed = {"first_by": "", "time_zone": "", "by_email": ["visits"], "note": ANSWERS[1]}
    broken = [desk.post(reverse("wishes", args=[patient.ref]), typed) for patient in people]
    lost = [desk.get("/no/such/page/", {"q": secret}) for secret in SECRETS]
    assert ({page.status_code for page in broken}, {page.status_code for page in lost}) == ({500}, {404})
    return "".join(page.content.decode() for page in (*broken, *lost))


@pytest.mark.parametrize("log", [logging.DEBUG, logging.ERROR], ids=["DEBUG", "ERROR"], indirect=True)
def test_no_log_broker_error_page_or_mail_to_admins_holds_one_of_fifty_secrets(
    log, people, server, gateway, live_server, monkeypatch, settings
):
    settings.ADMINS, settings.MFA_COMPULSORY = [("Ops", "ops@clinic.example")], False
    monkeypatch.setattr(bell, "_deaf_until", 0.0)
    send_well_and_badly(people, server, gateway)
    for patient, secret in zip(people, ANSWERS, strict=False):
        form = answer_intake(patient)
        save_answer(
            response=form,
            question="allergies_text",
            raw=secret,
            by=Actor.patient(patient.ref, patient.full_name),
            at=NOW,
        )
    write_to_us(live_server, people)
    pages = break_pages(people, monkeypatch)
    tasks = b"".join(path.read_bytes() for path in Path(real.DATA_DIR, "broker").rglob("*") if path.is_file()).decode()

    looked_at = {"log": log.getvalue(), "pages": pages, "tasks": tasks, "mails": "".join(map(str, mail.outbox))}

    assert [(where, secret) for where, text in looked_at.items() for secret in SECRETS if secret in text] == []
    assert len(set(SECRETS)) == 50
    # The secrets did come by there: letters, texts and replies arrived, tasks were rung, and the faults are in the log.
    assert {parseaddr(letter.to)[1] for letter in server.letters} >= set(EMAILS[3:])
    assert {text.to for text in gateway.texts} >= set(PHONES[3:])
    bodies = [str(reply.body) for reply in Reply.objects.order_by("pk")]
    assert all(said in body for said, body in zip(REPLIES, bodies, strict=True))
    assert Message.objects.filter(status=MessageStatus.FAILED).exists()
    assert "patient_news_says_who_and_when" in looked_at["log"]
    assert IntegrityError.__name__ in looked_at["log"]
    assert real.REDIS_URL or "messaging.dispatch_due_messages" in tasks
