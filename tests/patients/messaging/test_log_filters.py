"""Finding one message among many, and sending one by hand."""

from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.staff.states import Role
from patients.messaging.actions import ReasonMissing, queue_message, resend_message
from patients.messaging.models import Message
from patients.messaging.optouts import opt_out
from patients.messaging.planning import alert_staff
from patients.messaging.queries import PAGE
from patients.messaging.rules import WantedMessage
from patients.messaging.sender import dispatch
from patients.messaging.states import Channel, MessageStatus, Purpose, Shown
from patients.registry.models import ContactPoint
from tests.factories.people import NOW, make_location, make_patient, make_user

pytestmark = pytest.mark.django_db
DESK = Actor.task("desk")


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


@pytest.fixture
def dee(location):
    return make_user("Dee Desk", Role.FRONT_DESK, location=location)


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def desk(dee):
    return signed_in(dee)


def plan(patient, name, *, due_at=NOW, channel=Channel.EMAIL, purpose=Purpose.NEWS, lasts=timedelta(days=3)):
    wanted = WantedMessage(
        step=name, purpose=purpose, channel=channel, template="recall", context={}, due_at=due_at,
        not_after=due_at + lasts, important=False,
    )  # fmt: skip
    return queue_message(
        patient=patient, location=patient.location, about=f"t:{patient.ref}", wanted=wanted, by=DESK, at=NOW
    )


def steps(client, url="/messages/", **asked):
    answer = client.get(url, asked)
    assert answer.status_code == 200
    return [message.step for message in answer.context["listed"]]


@pytest.fixture
def both_ways(location):
    return make_patient(location, phone="+447700900001")


@pytest.fixture
def three(both_ways):
    """By email on Monday, by text on Tuesday, an invitation on Wednesday; the log is read in London."""
    ana = both_ways
    plan(ana, "monday")
    plan(ana, "tuesday", due_at=NOW + timedelta(days=1), channel=Channel.SMS)
    plan(ana, "wednesday", due_at=NOW + timedelta(days=2), purpose=Purpose.INVITATION)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["monday", "tuesday", "wednesday"]),
        ({"channel": "sms"}, ["tuesday"]),
        ({"channel": "email"}, ["monday", "wednesday"]),
        ({"kind": "invitation"}, ["wednesday"]),
        ({"first": "2026-11-24"}, ["tuesday", "wednesday"]),
        ({"last": "2026-11-24"}, ["monday", "tuesday"]),
        ({"first": "2026-11-24", "last": "2026-11-24"}, ["tuesday"]),
        ({"status": "planned"}, ["monday", "tuesday", "wednesday"]),
        ({"status": "held"}, []),
        ({"channel": "email", "kind": "news", "last": "2026-11-23", "q": "rey"}, ["monday"]),
        ({"q": "nobody"}, []),
    ],
)
def test_the_log_is_narrowed(desk, three, asked, found):
    assert steps(desk, **asked) == found


def ways(client, url="/messages/", **asked):
    return {message.step: message.first_by for message in client.get(url, asked).context["listed"]}


def test_a_message_is_listed_by_the_way_there_is_and_not_only_as_planned(desk, location, ana):
    """Ana has an email address alone, Tom a phone alone, and Ida nothing; Bea has both and wishes for texts."""
    plan(ana, "ana", channel=Channel.SMS)
    plan(make_patient(location, "Tom", "Tait", email="", phone="+447700900002"), "tom")
    plan(make_patient(location, "Ida", "Nowhere", email=""), "ida")
    bea = make_patient(location, "Bea", "Both", phone="+447700900003", preferred_channel="phone", channel_is_wish=True)
    plan(bea, "bea")

    said = ways(desk)

    assert said == {
        "ana": "Email", "tom": "Text", "bea": "Text", "ida": "There is no address or number on file.",
    }  # fmt: skip
    assert set(ways(desk, channel="email")) == {"ana", "ida"}
    assert set(ways(desk, channel="sms")) == {"tom", "bea"}
    row = Message.objects.get(step="tom")
    assert "<dt>By</dt><dd>Text</dd>" in desk.get(reverse("message", args=[row.ref])).content.decode()


def test_what_goes_to_staff_is_listed_as_email(desk, dee, location):
    alert_staff(
        user=dee, location=location, about="escalation:1", step="alarm", template="alarm", context={}, by=DESK, at=NOW
    )

    assert (ways(desk, channel="email"), ways(desk, channel="sms")) == ({"alarm": "Email"}, {})


def test_a_day_is_a_day_of_the_clinic_not_of_greenwich(desk, location, ana):
    location.time_zone = "America/Los_Angeles"
    location.save()
    plan(ana, "late", due_at=NOW.replace(day=24, hour=6))  # 22:00 on the 23rd in Los Angeles

    assert steps(desk, first="2026-11-24") == []
    assert steps(desk, last="2026-11-23") == ["late"]


@pytest.mark.parametrize(
    "asked",
    [
        {"channel": "pigeon"}, {"kind": "alarm"}, {"status": "__proto__"}, {"first": "yesterday"},
        {"last": "2026-02-30"},
        {"q": "%' OR 1=1 --"}, {"q": "\x00"}, {"behind": "x"}, {"show": "_connector"}, {"status__in": "sent"},
    ],
)  # fmt: skip
def test_nonsense_is_no_error(desk, three, asked):
    assert desk.get("/messages/", asked).status_code == 200


def test_a_day_that_is_none_is_named_at_its_field(desk, three):
    page = desk.get("/messages/", {"first": "2026-02-30"}).content.decode()

    assert "Please give a day" in page
    assert "2026-02-30" in page


def test_days_the_wrong_way_round_are_named(desk, three):
    page = desk.get("/messages/", {"first": "2026-11-25", "last": "2026-11-24"}).content.decode()

    assert "before the first one" in page


def test_the_next_page_keeps_the_filters_and_begins_where_this_one_ended(desk, both_ways):
    ana = both_ways
    for number in range(PAGE + 3):
        plan(ana, f"text-{number:03}", due_at=NOW + timedelta(minutes=number), channel=Channel.SMS)
        plan(ana, f"mail-{number:03}", due_at=NOW + timedelta(minutes=number))
    first = desk.get("/messages/", {"channel": "sms"})
    more = next(line for line in first.content.decode().splitlines() if "behind=" in line)
    url = more.split('href="')[1].split('"')[0].replace("&amp;", "&")

    found = [message.step for message in first.context["listed"]] + steps(desk, f"/messages/{url}")

    assert found == [f"text-{number:03}" for number in range(PAGE + 3)]


def test_a_page_costs_the_same_with_one_message_and_with_many(desk, ana, django_assert_max_num_queries):
    plan(ana, "one")
    with django_assert_max_num_queries(40) as few:
        desk.get("/messages/", {"channel": "email"})
    for number in range(10):
        plan(ana, f"more-{number}")

    with django_assert_max_num_queries(len(few)):
        desk.get("/messages/", {"channel": "email"})


def test_one_patients_log_holds_nobody_elses(desk, both_ways, location, three):
    eli = make_patient(location, "Eli")
    plan(eli, "his")

    assert steps(desk, reverse("patient_messages", args=[eli.ref])) == ["his"]
    assert steps(desk, reverse("patient_messages", args=[both_ways.ref]), channel="sms") == ["tuesday"]


def test_the_log_of_another_clinics_patient_is_not_there(desk):
    uma = make_patient(make_location("Lisbon", "Europe/Lisbon"), "Uma")

    assert desk.get(reverse("patient_messages", args=[uma.ref])).status_code == 404


def test_every_state_can_be_asked_for_in_its_part_of_the_log(desk):
    offered = set()
    for shown in Shown:
        form = desk.get("/messages/", {"show": shown}).context["form"]
        offered |= {value for value, _ in form.fields["status"].choices}

    assert offered == {"", *MessageStatus}


# --- sending by hand --------------------------------------------------------------------------------------------------

NIGHT = NOW.replace(hour=22)


def test_asking_says_what_goes_to_whom_and_sends_nothing(desk, ana):
    message = plan(ana, "one", due_at=timezone.now() + timedelta(days=1))

    page = desk.get(reverse("message_send", args=[message.ref])).content.decode()

    message.refresh_from_db()
    assert "Send it now?" in page
    assert "Email to ana.reyes@mail.example" in page
    assert message.try_at == message.due_at


def test_asking_says_when_it_could_not_go_out(desk, ana):
    message = plan(ana, "one", due_at=timezone.now() + timedelta(days=1))
    opt_out(point=ContactPoint.objects.get(), how="wrote STOP", by=DESK, at=timezone.now())

    page = desk.get(reverse("message_send", args=[message.ref])).content.decode()

    assert "They asked us to stop." in page
    assert "it will not go out. Call instead." in page


def test_quiet_hours_hold_what_is_sent_by_hand_without_a_word_about_the_night(ana, server):
    message = plan(ana, "one", due_at=NOW + timedelta(days=1))

    resend_message(message=message, reason="She asked.", by=DESK, at=NIGHT)
    dispatch(at=NIGHT)

    message.refresh_from_db()
    assert (message.status, message.reason) == (MessageStatus.HELD, "Held for quiet hours until 09:00.")
    assert server.letters == []


def test_with_a_reason_it_goes_out_in_the_night_and_the_reason_stays(ana, server):
    message = plan(ana, "one", due_at=NOW + timedelta(days=1))

    resend_message(message=message, reason="She is at the airport.", at_night=True, by=DESK, at=NIGHT)
    dispatch(at=NIGHT)

    message.refresh_from_db()
    assert (message.status, message.hurried_why) == (MessageStatus.SENT, "She is at the airport.")
    event = AuditEvent.objects.get(action="message.hurried")
    assert (event.detail["why"], event.detail["at_night"]) == ("She is at the airport.", True)


def test_the_word_about_the_night_is_for_this_night_only(ana, server):
    message = plan(ana, "one", due_at=NOW + timedelta(days=1))
    resend_message(message=message, reason="Now, please.", at_night=True, by=DESK, at=NIGHT)

    dispatch(at=NIGHT + timedelta(hours=2))

    message.refresh_from_db()
    assert message.status == MessageStatus.HELD


def test_nobody_is_woken_without_a_reason(ana):
    message = plan(ana, "one", due_at=NOW + timedelta(days=1))

    with pytest.raises(ReasonMissing):
        resend_message(message=message, reason="  ", at_night=True, by=DESK, at=NIGHT)

    assert Message.objects.get().try_at == message.due_at


def test_the_page_asks_for_the_reason_at_its_field(dee, ana):
    with time_machine.travel(NIGHT):
        desk = signed_in(dee)
        message = plan(ana, "one", due_at=NIGHT + timedelta(days=1))
        desk_page = desk.get(reverse("message_send", args=[message.ref])).content.decode()
        answer = desk.post(reverse("message_send", args=[message.ref]), {"reason": "", "at_night": "on"})

    assert "It is night where they live (Europe/London). It waits until 09:00" in desk_page
    assert answer.status_code == 422
    assert "Please say why." in answer.content.decode()


def test_the_night_is_told_by_the_readers_clock_wherever_the_desk_works(dee, ana):
    boston = make_location("Back Bay", "America/New_York")
    boston.staff.add(dee)
    with time_machine.travel(NIGHT):
        desk = signed_in(dee)
        desk.post(reverse("switch_location"), {"location": boston.ref})
        message = plan(ana, "one", due_at=NIGHT + timedelta(days=1))
        desk_page = desk.get(reverse("message_send", args=[message.ref])).content.decode()

    assert "It is night where they live (Europe/London). It waits until 09:00" in desk_page


def test_what_was_not_sent_stands_a_week_ahead_unless_days_or_a_patient_are_asked_for(dee, ana):
    for name, days in (("soon", 2), ("in_a_year", 365)):
        plan(ana, name, due_at=NOW + timedelta(days=days))
    Message.objects.update(status=MessageStatus.SKIPPED, reason="Not wanted.")

    with time_machine.travel(NOW):
        desk = signed_in(dee)
        shown = steps(desk, show="stopped")
        asked = steps(desk, show="stopped", first=(NOW + timedelta(days=300)).date().isoformat())
        of_ana = steps(desk, f"/patients/{ana.ref}/messages/", show="stopped")

    assert (shown, asked, of_ana) == (["soon"], ["in_a_year"], ["in_a_year", "soon"])


def test_in_the_day_nobody_is_asked_about_the_night(dee, ana):
    with time_machine.travel(NOW):
        desk = signed_in(dee)
        message = plan(ana, "one", due_at=NOW + timedelta(days=1))
        page = desk.get(reverse("message_send", args=[message.ref])).content.decode()

    assert "Send it now?" in page
    assert "at_night" not in page


def test_sent_again_by_hand_leads_to_the_new_one_with_its_reason(desk, ana, server):
    message = plan(ana, "one")
    dispatch(at=NOW)

    answer = desk.post(reverse("message_send", args=[message.ref]), {"reason": "Deleted by mistake."})

    again = Message.objects.get(revision=2)
    assert answer["Location"] == reverse("message", args=[again.ref])
    assert again.hurried_why == "Deleted by mistake."
    assert "Deleted by mistake." in desk.get(answer["Location"]).content.decode()


def test_the_database_refuses_a_night_without_a_reason(ana):
    message = plan(ana, "one")

    with pytest.raises(IntegrityError, match="message_in_the_night_says_why"), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(night_until=NOW)
