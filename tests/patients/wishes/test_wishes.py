"""What somebody wishes is what happens, from the moment they say it."""

import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.worklist.models import Task
from patients.messaging.actions import hold_message, opt_in, opt_out, queue_message
from patients.messaging.models import Message, OptOut
from patients.messaging.queries import routes_for
from patients.messaging.rules import WantedMessage
from patients.messaging.sender import dispatch
from patients.messaging.silence import stop_contact
from patients.messaging.states import STOPPED, Channel, MessageStatus, Purpose
from patients.registry.access import KEY
from patients.registry.actions import TimeZoneUnknown, correct_patient, issue_link
from patients.registry.models import ContactPoint, Patient
from patients.replies.actions import receive_reply
from patients.replies.rules import Heard
from patients.wishes.actions import set_news, set_wishes, start_again
from patients.wishes.queries import coming_messages, ways_of
from patients.wishes.rules import kinds_wanted, masked, purposes_stopped
from patients.wishes.states import KINDS, Kind
from tests.factories.people import NOW, make_location, make_patient, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_a_monday_at_ten")]
DESK = Actor.task("desk")
ALL = list(Kind)
PHONE = "+447700900123"


@pytest.fixture(autouse=True)
def _plain(settings, tmp_path):
    settings.MFA_COMPULSORY = False
    settings.SMS_GATEWAY, settings.SMS_FILE = "file", tmp_path / "sms.jsonl"


@pytest.fixture
def location():
    return make_location()


@pytest.fixture
def ana(location):
    return make_patient(location, phone=PHONE)


def plan(patient, purpose=Purpose.VISIT, *, step="", after=timedelta(days=2), important=False, channel=Channel.EMAIL):
    wanted = WantedMessage(
        step=step or f"step-{purpose}",
        purpose=purpose,
        channel=channel,
        template="reminder" if purpose == Purpose.VISIT else "recall",
        context={},
        due_at=NOW + after,
        not_after=NOW + after + timedelta(days=1),
        important=important,
    )
    return queue_message(
        patient=patient, location=patient.location, about=f"test:{patient.ref}", wanted=wanted, by=DESK, at=NOW
    )


def hear(text, ref):
    receive_reply(gateway="http", heard=Heard(text_ref=ref, number=PHONE, text=text), by=DESK, at=NOW)


def wish(patient, *, first_by="", time_zone="", at=NOW, **wanted):
    return set_wishes(
        patient=patient, first_by=first_by, time_zone=time_zone, wanted=wanted, how="told the desk", by=DESK, at=at
    )


def state(message):
    message.refresh_from_db()
    return message.status, message.reason


# --- boxes and purposes -----------------------------------------------------------------------------------------------


def test_every_purpose_that_patients_get_unasked_belongs_to_one_kind():
    mine = [purpose for purposes in KINDS.values() for purpose in purposes]

    assert sorted(mine) == sorted(set(Purpose) - {Purpose.ALARM, Purpose.ANSWER})
    assert set(KINDS) == set(Kind)


@pytest.mark.parametrize("wanted", [[], [Kind.NEWS], [Kind.VISITS, Kind.CARE], ALL, ALL[:-1]])
def test_ticks_come_back_as_they_were_set(wanted):
    assert kinds_wanted(purposes_stopped(wanted)) == list(wanted)


def test_nothing_ticked_is_everything_stopped_and_everything_ticked_nothing():
    assert purposes_stopped([]) == {""}
    assert purposes_stopped(ALL) == set()


@pytest.mark.parametrize(
    ("contact", "shown"),
    [("ana.reyes@mail.example", "a…s@mail.example"), ("a@b.example", "a…@b.example"), (PHONE, "…123")],
)
def test_a_contact_is_shown_so_that_only_its_owner_knows_it(contact, shown):
    assert masked(contact) == shown


# --- what a wish does at once -----------------------------------------------------------------------------------------


def test_stopping_one_kind_holds_what_is_planned_of_it_and_nothing_else(ana):
    reminder, recall = plan(ana, Purpose.VISIT), plan(ana, Purpose.NEWS)
    wanted = [kind for kind in ALL if kind != Kind.NEWS]

    settled = wish(ana, email=wanted, phone=wanted)

    assert (settled.stopped, settled.freed) == (1, 0)
    assert state(recall) == (MessageStatus.HELD, f"{STOPPED}they asked us to stop.")
    assert state(reminder) == (MessageStatus.PLANNED, "")
    assert coming_messages(ana, NOW).stopped == [recall]


def test_what_is_stopped_one_way_goes_the_other(ana):
    recall = plan(ana, Purpose.NEWS)

    wish(ana, email=[Kind.VISITS], phone=ALL)

    assert state(recall)[0] == MessageStatus.PLANNED
    assert [route.channel for route in routes_for([recall], NOW)[recall.pk].open] == [Channel.SMS]


def test_allowed_again_it_goes_out_at_its_own_time(ana):
    recall = plan(ana, Purpose.NEWS)
    wish(ana, email=[], phone=[])

    settled = wish(ana, email=ALL, phone=ALL, at=NOW + timedelta(hours=1))

    assert (settled.stopped, settled.freed) == (0, 1)
    assert state(recall) == (MessageStatus.PLANNED, "")
    assert recall.try_at == recall.due_at
    assert not OptOut.objects.filter(until_at=None).exists()


def test_the_same_wish_twice_changes_nothing_the_second_time(ana):
    plan(ana, Purpose.NEWS)
    wish(ana, email=[Kind.VISITS], phone=[])
    before = (OptOut.objects.count(), AuditEvent.objects.count())

    wish(ana, email=[Kind.VISITS], phone=[])

    assert (OptOut.objects.count(), AuditEvent.objects.count()) == before


def test_a_stop_by_text_holds_what_is_planned_for_everyone_at_the_number_who_has_no_other_way(ana, location):
    eli = make_patient(location, "Eli", email="", phone=PHONE)
    hers, his = plan(ana), plan(eli)

    hear("STOP", "1")

    assert state(hers)[0] == MessageStatus.PLANNED, "she has an email address"
    assert state(his) == (MessageStatus.HELD, f"{STOPPED}they asked us to stop.")

    hear("Start", "2")

    assert state(his) == (MessageStatus.PLANNED, "")


def test_what_a_person_holds_stays_held_by_that_person(ana):
    held = hold_message(message=plan(ana), reason="wait for the lab", by=DESK, at=NOW)

    wish(ana, email=[], phone=[])
    wish(ana, email=ALL, phone=ALL)

    assert state(held) == (MessageStatus.HELD, "Held by desk: wait for the lab")


def test_an_important_message_that_stays_stopped_becomes_a_call_when_it_is_due(ana):
    important = plan(ana, after=timedelta(hours=2), important=True)
    wish(ana, email=[], phone=[])

    dispatch(at=NOW + timedelta(hours=2, minutes=1))

    assert state(important) == (MessageStatus.SKIPPED, "They asked us to stop.")
    assert Task.objects.get(kind="call").why == "They asked us to stop."


def test_one_persons_wish_is_not_the_familys(ana, location):
    eli = make_patient(location, "Eli", email="", phone=PHONE)
    his = plan(eli)

    wish(ana, email=[], phone=[])

    assert state(his)[0] == MessageStatus.PLANNED


def test_a_stop_for_all_stands_whatever_one_of_them_ticks(ana):
    point = ContactPoint.objects.get(kind="phone")
    opt_out(point=point, how="wrote STOP", by=DESK, at=NOW)

    wish(ana, email=[], phone=ALL)

    assert OptOut.objects.get(patient=None).until_at is None
    assert ways_of(ana, NOW)[1].stopped_for_all is not None


def test_starting_a_number_again_leaves_what_one_person_stopped(ana, location):
    eli = make_patient(location, "Eli", email="", phone=PHONE)
    opt_out(point=ContactPoint.objects.get(kind="phone"), how="wrote STOP", by=DESK, at=NOW)
    wish(ana, email=[], phone=[])
    his, hers = plan(eli), plan(ana)

    start_again(way=ways_of(eli, NOW)[0], by=DESK, at=NOW + timedelta(minutes=1))
    wish(ana, at=NOW + timedelta(minutes=2))

    assert state(his)[0] == MessageStatus.PLANNED
    assert state(hers)[0] == MessageStatus.HELD


def test_opting_in_ends_everything_at_the_number(ana):
    point = ContactPoint.objects.get(kind="phone")
    wish(ana, phone=[])

    assert opt_in(point=point, by=DESK, at=NOW + timedelta(minutes=1)) == 1


# --- first by, and whose night ----------------------------------------------------------------------------------------


def test_what_the_patient_prefers_goes_first_and_is_shown_so(ana):
    reminder = plan(ana, channel=Channel.EMAIL)

    wish(ana, first_by="phone")

    reminder = Message.objects.select_related("patient").get(pk=reminder.pk)
    assert [route.channel for route in routes_for([reminder], NOW)[reminder.pk].open] == [Channel.SMS, Channel.EMAIL]
    assert reminder.first_by == "Text"


def test_without_a_wish_each_message_goes_as_planned(ana):
    reminder = plan(ana, channel=Channel.SMS)

    assert ana.preferred_channel == "email"
    assert routes_for([reminder], NOW)[reminder.pk].open[0].channel == Channel.SMS


def test_what_the_desk_corrects_on_purpose_is_a_wish(ana):
    same = correct_patient(patient=ana, preferred_channel="email", by=DESK, at=NOW)
    changed = correct_patient(patient=ana, preferred_channel="phone", by=DESK, at=NOW)

    assert (same.channel_is_wish, changed.channel_is_wish) == (False, True)


def test_who_moved_away_is_looked_at_by_the_new_night(ana):
    """21:00 in London is the middle of the day in Los Angeles."""
    evening = NOW.replace(hour=21)
    message = plan(ana, after=timedelta(hours=10))
    dispatch(at=evening)
    assert state(message) == (MessageStatus.HELD, "Held for quiet hours until 09:00.")

    wish(ana, time_zone="America/Los_Angeles", at=evening)

    assert state(message) == (MessageStatus.PLANNED, "")
    assert message.try_at == evening


def test_an_invented_time_zone_is_refused_and_nothing_changes(ana):
    with pytest.raises(TimeZoneUnknown):
        wish(ana, first_by="phone", time_zone="Mars/Olympus", email=[])

    ana.refresh_from_db()
    assert (ana.channel_is_wish, OptOut.objects.count()) == (False, 0)


# --- what the database refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields", [{"do_not_contact": True}, {"do_not_contact": False, "do_not_contact_reason": "left over"}]
)
def test_the_database_refuses_silence_without_a_reason_and_a_reason_without_silence(ana, fields):
    with pytest.raises(IntegrityError, match="patient_not_contacted_says_why"), transaction.atomic():
        Patient.objects.filter(pk=ana.pk).update(**fields)


@pytest.mark.parametrize(
    ("facts", "constraint"),
    [
        ({"how": ""}, "opt_out_says_how"),
        ({"until_at": NOW - timedelta(days=1)}, "opt_out_ends_after_it_began"),
    ],
)
def test_the_database_refuses_an_opt_out_that_cannot_be(ana, facts, constraint):
    point = ContactPoint.objects.get(kind="phone")

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        OptOut.objects.create(**{"point": point, "how": "asked", "since_at": NOW, **facts})


def test_the_database_refuses_the_same_opt_out_twice_and_to_forget_one(ana):
    point = ContactPoint.objects.get(kind="phone")
    made = opt_out(point=point, how="asked", by=DESK, at=NOW)

    with pytest.raises(IntegrityError, match="opt_out_once_in_force"), transaction.atomic():
        OptOut.objects.create(point=point, how="asked", since_at=NOW)
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        made.delete()


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(location):
    client = Client()
    client.force_login(make_user("Dee Desk", Role.FRONT_DESK, location=location))
    return client


@pytest.fixture
def phone(ana):
    link = issue_link(patient=ana, scope="contact", about=f"patient:{ana.ref}", by=DESK, at=timezone.now())[0]
    client, now = Client(), int(timezone.now().timestamp())
    session = client.session
    session[KEY] = {str(link.ref): {"opened": now, "used": now}}
    session.save()
    client.cookies["sessionid"] = session.session_key
    client.page = reverse("my_wishes", args=[link.ref])
    return client


def test_the_desk_saves_wishes_and_sees_at_once_what_will_not_go_out(desk, ana):
    plan(ana, Purpose.NEWS)
    url = reverse("wishes", args=[ana.ref])

    answer = desk.post(
        url, {"first_by": "phone", "time_zone": "", "by_email": ["visits"], "by_phone": ["visits"]}, follow=True
    )

    text = answer.content.decode()
    assert "1 message will not go out." in text
    assert "they asked us to stop." in text
    assert "told Dee Desk" in text
    ana.refresh_from_db()
    assert (ana.preferred_channel, ana.channel_is_wish) == ("phone", True)


def test_who_can_be_reached_by_one_way_alone_reads_that_everything_goes_there(desk, ana):
    wanted = WantedMessage(
        step="reminder", purpose=Purpose.VISIT, channel=Channel.SMS, template="reminder", context={}, due_at=NOW,
        not_after=NOW + timedelta(days=3), important=False,
    )  # fmt: skip
    queue_message(patient=ana, location=ana.location, about="visit:1", wanted=wanted, by=DESK, at=NOW)
    both = [message.first_by for message in coming_messages(ana, NOW).going]
    ana.contacts.filter(point__kind="phone").update(until_at=NOW)

    page = desk.get(reverse("wishes", args=[ana.ref])).content.decode()

    assert (both, [message.first_by for message in coming_messages(ana, NOW).going]) == (["Text"], ["Email"])
    assert '<p class="ag-quiet">Email</p>' in page


def test_a_family_on_one_number_is_shown_by_name_to_staff_and_without_names_to_the_patient(desk, phone, ana, location):
    make_patient(location, "Eli", "Oldfield", email="", phone=PHONE)
    make_patient(make_location("Lisbon", "Europe/Lisbon"), "Uma", "Hidden", email="", phone=PHONE)

    seen_by_desk = desk.get(reverse("wishes", args=[ana.ref])).content.decode()
    seen_by_ana = phone.get(phone.page).content.decode()

    assert "Eli Oldfield" in seen_by_desk
    assert "1 person at another location" in seen_by_desk
    assert "Hidden" not in seen_by_desk + seen_by_ana
    assert "Oldfield" not in seen_by_ana
    assert "also receives messages for 2 other people" in seen_by_ana


def test_the_patient_saves_wishes_on_their_own_page(phone, ana):
    plan(ana, Purpose.NEWS)

    answer = phone.post(
        phone.page, {"first_by": "", "time_zone": "Europe/Madrid", "by_email": ["visits"], "by_phone": []}, follow=True
    )

    assert "1 message will not go out." in answer.content.decode()
    ana.refresh_from_db()
    assert ana.time_zone == "Europe/Madrid"
    assert {(row.point.kind, row.purpose, row.how) for row in OptOut.objects.filter(until_at=None)} >= {
        ("phone", "", "on their own page"),
        ("email", "news", "on their own page"),
    }


def test_the_patients_page_shows_no_whole_contact(phone):
    text = phone.get(phone.page).content.decode()

    assert "a…s@mail.example" in text
    assert "ana.reyes@mail.example" not in text
    assert PHONE not in text


def test_a_refused_form_keeps_what_was_ticked(desk, ana):
    url = reverse("wishes", args=[ana.ref])

    answer = desk.post(url, {"first_by": "pigeon", "time_zone": "", "by_email": ["care"], "by_phone": []})

    assert answer.status_code == 422
    assert re.search(r'name="by_email" value="care"[^>]*checked', answer.content.decode())
    assert OptOut.objects.count() == 0


def test_who_must_not_be_contacted_at_all_is_shown_so_with_the_reason(desk, phone, ana):
    stop_contact(patient=ana, reason="Wrote a letter.", by=DESK, at=NOW)

    assert "Wrote a letter." in desk.get(reverse("wishes", args=[ana.ref])).content.decode()
    assert "You asked us not to contact you at all" in phone.get(phone.page).content.decode()


def test_the_desk_starts_a_number_again(desk, ana):
    opt_out(point=ContactPoint.objects.get(kind="phone"), how="wrote STOP", by=DESK, at=timezone.now())
    before = desk.get(reverse("wishes", args=[ana.ref])).content.decode()

    desk.post(reverse("number_start", args=[ana.ref, "phone"]))

    assert "STOP for everyone here" in before
    assert "STOP for everyone here" not in desk.get(reverse("wishes", args=[ana.ref])).content.decode()
    assert desk.post(reverse("number_start", args=[ana.ref, "pigeon"])).status_code == 404


def test_the_desk_lets_the_patient_choose(desk, ana):
    desk.post(reverse("wishes_send", args=[ana.ref]))

    message = Message.objects.get(step="wishes_link")
    assert (message.link_scope, message.link_about) == ("contact", f"patient:{ana.ref}")


@pytest.mark.parametrize(("scope", "name"), [("healing", "healing_wishes"), ("visit", "visit_wishes")])
def test_other_pages_of_the_patient_lead_there(ana, scope, name):
    link = issue_link(patient=ana, scope=scope, about="x:1", by=DESK, at=timezone.now())[0]
    client, now = Client(), int(timezone.now().timestamp())
    session = client.session
    session[KEY] = {str(link.ref): {"opened": now, "used": now}}
    session.save()
    client.cookies["sessionid"] = session.session_key

    answer = client.post(reverse(name, args=[link.ref]), follow=True)

    assert "How we reach you" in answer.content.decode()
    assert client.get(reverse(name, args=[link.ref])).status_code == 405


# --- news -------------------------------------------------------------------------------------------------------------


def test_nobody_has_agreed_to_news_until_somebody_says_so(desk, ana):
    assert (ana.news_agreed, ana.news_said_at, ana.news_said_by) == (False, None, "")

    desk.post(reverse("wishes", args=[ana.ref]), {"by_email": ALL, "by_phone": ALL})

    ana.refresh_from_db()
    assert (ana.news_agreed, ana.news_said_at) == (False, None)


def test_the_desk_writes_down_that_news_may_be_sent_and_the_page_says_who_did(desk, ana):
    url = reverse("wishes", args=[ana.ref])
    desk.post(url, {"by_email": ALL, "by_phone": ALL, "news": "on"})

    ana.refresh_from_db()
    assert (ana.news_agreed, ana.news_said_by) == (True, "Dee Desk")
    assert "Yes, as Dee Desk wrote down on" in desk.get(url).content.decode()
    assert AuditEvent.objects.filter(action="patient.news_agreed", actor_name="Dee Desk").count() == 1


def test_the_patient_agrees_and_takes_it_back_on_their_own_page(phone, ana):
    ticked = {"first_by": "", "time_zone": "", "by_email": ALL, "by_phone": ALL}

    phone.post(phone.page, {**ticked, "news": "on"})
    ana.refresh_from_db()
    agreed = (ana.news_agreed, ana.news_said_by)
    phone.post(phone.page, ticked)
    ana.refresh_from_db()

    assert agreed == (True, "Ana Reyes")
    assert (ana.news_agreed, ana.news_said_by) == (False, "Ana Reyes")
    said = AuditEvent.objects.filter(action__startswith="patient.news").order_by("pk")
    assert list(said.values_list("action", flat=True)) == ["patient.news_agreed", "patient.news_ended"]


def test_said_twice_it_stays_with_who_said_it_first(ana):
    set_news(patient=ana, agreed=True, by=DESK, at=NOW)

    again = set_news(patient=ana, agreed=True, by=Actor.task("later"), at=NOW + timedelta(days=1))

    assert (again.news_said_at, again.news_said_by) == (NOW, "desk")


def test_the_database_refuses_news_that_nobody_agreed_to(ana):
    with pytest.raises(IntegrityError, match="patient_news_says_who_and_when"), transaction.atomic():
        Patient.objects.filter(pk=ana.pk).update(news_agreed=True)
