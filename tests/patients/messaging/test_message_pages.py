"""The message log and its acts, as the desk and clinicians see them; the sender's state; the demo's mailbox."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.staff.states import Role
from patients.messaging.actions import dispatch
from patients.messaging.models import Message, SenderPulse
from patients.messaging.states import LABELS, SHOWN, MessageStatus, Purpose
from tests.factories.letters import plan_message
from tests.factories.people import NOW, make_location, make_patient, make_user

ROOT = Path(django_settings.BASE_DIR)


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def desk(location):
    return signed_in(make_user("Dee Desk", Role.FRONT_DESK, location=location))


@pytest.fixture
def clinician(location):
    return signed_in(make_user("Bo Lindqvist", Role.CLINICIAN, location=location))


def page_of(client, message):
    return client.get(reverse("message", args=[message.ref])).content.decode()


# --- the log ----------------------------------------------------------------------------------------------------------


def test_every_status_stands_in_exactly_one_part_of_the_log():
    listed = [status for statuses in SHOWN.values() for status in statuses]

    assert sorted(listed) == sorted(MessageStatus)


def test_every_template_has_a_name_for_people():
    folders = {path.name for path in (ROOT / "templates" / "messages").iterdir() if path.is_dir()}

    assert folders == set(LABELS)


def test_each_row_says_why_it_is_where_it_is(ana, desk, server):
    night = NOW.replace(hour=22)
    plan_message(ana, due_at=night, not_after=night + timedelta(days=1))
    dispatch(at=night)

    page = desk.get("/messages/").content.decode()

    assert "Held for quiet hours until 09:00." in page
    assert "Ana Reyes" in page


def test_the_parts_of_the_log(ana, desk, server):
    plan_message(ana, about="a:1")
    plan_message(ana, about="a:2", template="nothing")
    dispatch(at=NOW)
    plan_message(ana, about="a:3", due_at=NOW + timedelta(days=1))

    counts = {show: len(desk.get("/messages/", {"show": show}).context["listed"]) for show in SHOWN}

    assert counts == {"coming": 1, "trouble": 1, "sent": 1, "stopped": 0}
    assert desk.get("/messages/", {"show": "nonsense"}).context["shown"] == "coming"


@pytest.mark.parametrize("show", ["coming", "sent"])
def test_pages_follow_each_other_without_gap_or_repeat(ana, desk, show):
    for number in range(120):
        plan_message(ana, about=f"a:{number}", due_at=NOW + timedelta(days=1, minutes=number // 7))
    if show == "sent":
        Message.objects.update(status="sent", sent_at=NOW)
    seen, behind = [], ""
    for _ in range(5):
        answer = desk.get("/messages/", {"show": show, "behind": behind})
        seen += [message.pk for message in answer.context["listed"]]
        if answer.context["last"] is None:
            break
        behind = answer.context["last"].ref

    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, reverse=show == "sent")


def test_the_log_costs_as_many_queries_for_forty_rows_as_for_one(ana, desk):
    plan_message(ana, about="a:0", due_at=NOW + timedelta(days=1))
    desk.get("/messages/")
    with CaptureQueriesContext(connection) as one:
        desk.get("/messages/")
    for number in range(40):
        plan_message(ana, about=f"b:{number}", due_at=NOW + timedelta(days=1))
    with CaptureQueriesContext(connection) as many:
        desk.get("/messages/")

    assert len(many) == len(one)


def test_the_log_finds_people_by_the_beginning_of_either_name(location, desk):
    for given, family in (("Ana", "Núñez"), ("Bea", "Stone")):
        plan_message(make_patient(location, given, family), about=f"a:{given}", due_at=NOW + timedelta(days=1))

    found = [message.patient.given_name for message in desk.get("/messages/", {"q": "núñ"}).context["listed"]]

    assert found == ["Ana"]


def test_messages_of_another_place_are_not_there(ana, server):
    stranger = signed_in(make_user("Lia", Role.FRONT_DESK, location=make_location("Lisbon", "Europe/Lisbon")))
    message = plan_message(ana)

    assert stranger.get("/messages/").context["listed"] == []
    assert stranger.get(reverse("message", args=[message.ref])).status_code == 404
    assert stranger.post(reverse("message_send", args=[message.ref])).status_code == 404
    assert Message.objects.get().try_at == NOW


# --- one message ------------------------------------------------------------------------------------------------------

CARE = {
    "purpose": Purpose.CARE,
    "template": "aftercare",
    "context": {"title": "Day 2", "what_is_normal": "The skin feels rough.", "do_now": (), "contact_if": ()},
}


def test_the_desk_reads_what_a_visit_says_but_not_what_care_says(ana, desk, clinician, server):
    visit, care = plan_message(ana, about="a:1"), plan_message(ana, about="a:2", **CARE)
    dispatch(at=NOW)

    assert "Tuesday 1 December, 10:00" in page_of(desk, visit)
    assert "The skin feels rough." not in page_of(desk, care)
    assert "A message from Harley Street" in page_of(desk, care)
    assert "The skin feels rough." in page_of(clinician, care)


def test_looking_is_in_the_trail(ana, desk, server):
    message = plan_message(ana)

    page_of(desk, message)

    event = AuditEvent.objects.get(action="message.viewed")
    assert (event.actor_name, event.patient_ref) == ("Dee Desk", ana.ref)


def test_what_was_sent_is_shown_as_text_not_as_markup(location, desk, server):
    ana = make_patient(location, given_name="<script>alert(1)</script>", email="a@m.example")
    message = plan_message(ana)
    dispatch(at=NOW)

    page = page_of(desk, message)

    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;" in page


def test_hold_release_skip_and_send_from_the_page(ana, desk):
    message = plan_message(ana, due_at=timezone.now() + timedelta(hours=3))

    def press(name, **data):
        answer = desk.post(reverse(name, args=[message.ref]), data)
        message.refresh_from_db()
        return answer.status_code, message.status

    assert press("message_hold", **{"hold-reason": "asks first"}) == (302, "held")
    assert message.reason == "Held by Dee Desk: asks first"
    assert press("message_release") == (302, "planned")
    assert press("message_send") == (302, "planned")
    assert message.try_at <= timezone.now()
    assert press("message_skip", **{"skip-reason": "told on the phone"}) == (302, "skipped")
    assert press("message_skip", **{"skip-reason": "again"}) == (302, "skipped")  # a sentence, not an error
    assert message.reason == "told on the phone (Dee Desk)"


@pytest.mark.parametrize(("name", "field"), [("message_hold", "hold-reason"), ("message_skip", "skip-reason")])
def test_without_a_reason_the_page_asks_for_one(ana, desk, name, field):
    message = plan_message(ana, due_at=NOW + timedelta(days=1))

    answer = desk.post(reverse(name, args=[message.ref]), {field: " "})

    assert answer.status_code == 422
    assert "Please say why." in answer.content.decode()
    assert Message.objects.get().status == MessageStatus.PLANNED


# --- the sender's state -----------------------------------------------------------------------------------------------


def sweep(ago=timedelta(0)):
    SenderPulse.objects.update_or_create(pk=1, defaults={"swept_at": timezone.now() - ago})


def test_no_banner_while_messages_go_out(desk):
    sweep()

    assert desk.get(reverse("sender_banner")).content.strip() == b""


def test_a_banner_when_the_sender_has_not_looked_for_two_minutes(desk):
    sweep(timedelta(minutes=3))

    assert b"Messages are late." in desk.get(reverse("sender_banner")).content


def test_a_banner_when_something_waits_too_long(ana, desk):
    sweep()
    now = timezone.now()
    plan_message(ana, due_at=now - timedelta(minutes=95), not_after=now + timedelta(days=1))

    assert b"The oldest has waited 1 h 35 min." in desk.get(reverse("sender_banner")).content


def test_readyz_tells_no_secrets_and_keeps_the_web_up_when_only_the_sender_stalls(client, db, ana):
    sweep(timedelta(minutes=3))

    plain, strict = client.get("/readyz"), client.get("/readyz?sender")

    assert (plain.status_code, strict.status_code) == (200, 503)
    facts = plain.json()
    assert facts["last_sweep_seconds"] >= 179  # the clocks of process and database
    assert facts == {**facts, "database": "up", "sender": "stalled", "oldest_overdue_minutes": 0}
    assert set(facts) == {"database", "sender", "last_sweep_seconds", "oldest_overdue_minutes"}


def test_readyz_before_the_first_sweep(client, db):
    assert client.get("/readyz").json()["last_sweep_seconds"] is None


def test_readyz_says_503_when_no_database_answers():
    code = (
        "import django; django.setup(); from django.test import Client; answer = Client().get('/readyz');"
        "print(answer.status_code, answer.content.decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "LOG_LEVEL": "CRITICAL"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.stdout.strip() == '503 {"database": "down"}', done.stderr


# --- the demo's mailbox -----------------------------------------------------------------------------------------------


def test_outside_the_demo_there_is_no_mailbox(client, desk, db):
    assert client.get("/mailbox/").status_code == 404
    assert desk.get("/mailbox/").status_code == 404


@pytest.fixture
def demo(settings, tmp_path, db):
    settings.DEMO = True
    settings.MAILBOX_DIR, settings.SMS_FILE = tmp_path / "box", tmp_path / "sms.jsonl"
    settings.MAILBOX_DIR.mkdir()
    (settings.MAILBOX_DIR / "1.eml").write_bytes(
        b"To: ana@mail.example\r\nSubject: A form <b>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\n"
        b"Open: http://127.0.0.1:8000/l/abc_-1/\r\n<script>x</script>\r\n"
    )
    settings.SMS_FILE.write_text(
        json.dumps(
            {"key": "k", "at": "2026-11-23T11:00:00+00:00", "to": "+447700900001", "text": "Hi http://x.example/l/t/"}
        )
    )
    return settings


def test_in_the_demo_everyone_reads_letters_with_links_that_work(demo, client):
    listed = client.get("/mailbox/").content.decode()
    letter = client.get("/mailbox/", {"open": "1.eml"}).content.decode()
    text = client.get("/mailbox/", {"open": "text-1"}).content.decode()

    assert listed.index("+447700900001") < listed.index("ana@mail.example")
    assert '<a href="http://127.0.0.1:8000/l/abc_-1/" rel="nofollow">' in letter
    assert "<script>x" not in letter
    assert "A form &lt;b&gt;" in letter
    assert '<a href="http://x.example/l/t/" rel="nofollow">' in text


def test_a_letter_that_is_not_there(demo, client):
    assert client.get("/mailbox/", {"open": "../settings.py"}).status_code == 404


def test_an_empty_mailbox(demo, client):
    (demo.MAILBOX_DIR / "1.eml").unlink()
    demo.SMS_FILE.unlink()

    assert "Nothing was sent yet." in client.get("/mailbox/").content.decode()
