"""What the sender does with one message, in every situation it may find it in."""

import random
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from clinic.audit.models import AuditEvent
from clinic.audit.queries import walk_chain
from clinic.statements import run
from clinic.worklist.models import Task
from patients.messaging import claiming, due, marking, sender
from patients.messaging.actions import alert_staff, dispatch, opt_in, opt_out, reconcile
from patients.messaging.models import DeliveryAttempt, Message, SenderPulse
from patients.messaging.rendering import LINK_MARK
from patients.messaging.rules import MAX_DEATHS, MAX_TRIES
from patients.messaging.states import Channel, MessageStatus, Purpose, Tried
from patients.registry.actions import change_contact
from patients.registry.models import ContactPoint, SecureLink
from patients.registry.states import LinkScope
from tests.factories.letters import TEST, plan_many, plan_message, wanted
from tests.factories.people import NOW, make_location, make_patient, make_user
from tests.factories.smtp import DROP

LATER = NOW + timedelta(days=3)
STEADY = {"not_after": LATER}


def only() -> Message:
    return Message.objects.get()


def tasks():
    return list(Task.objects.values_list("title", "role"))


def link_fields(scope=LinkScope.CHECKIN, about="checkin:1"):
    return {"link_scope": scope.value, "link_about": about, "purpose": Purpose.CHECKIN, "template": "checkin"}


# --- it goes ----------------------------------------------------------------------------------------------------------


def test_a_due_message_is_sent_and_frozen(ana, server):
    plan_message(ana)

    assert dispatch(at=NOW) == 1
    assert dispatch(at=NOW) == 0

    message = only()
    assert (message.status, message.reason, message.attempts) == (MessageStatus.SENT, "", 1)
    assert (message.sent_channel, message.point.value) == (Channel.EMAIL, "ana.reyes@mail.example")
    assert NOW <= message.sent_at < NOW + timedelta(seconds=10)
    letter = server.letters[0]
    assert letter.text.splitlines() == message.sent_text["text"].splitlines()
    assert letter.message["Message-ID"] == f"<{message.ref}@afterglow.example>"
    assert letter.message["From"] == "Afterglow Clinic <hello@afterglow.example>"
    assert [part.get_content_type() for part in letter.message.iter_parts()] == ["text/plain", "text/html"]


def test_a_message_that_is_not_due_waits(ana, server):
    plan_message(ana, due_at=NOW + timedelta(minutes=1))

    assert dispatch(at=NOW) == 0
    assert server.letters == []


def test_a_text_goes_to_the_phone(location, texts):
    ana = make_patient(location, phone="+447700900001")
    plan_message(ana, channel=Channel.SMS)

    dispatch(at=NOW)

    assert [(text["to"], text["text"]) for text in texts()] == [
        (
            "+447700900001",
            "Harley Street: your visit is Tuesday 1 December, 10:00. Call: +442079460000",
        )
    ]
    assert only().sent_channel == Channel.SMS


def test_the_link_is_issued_when_it_leaves_and_the_log_keeps_none(ana, server):
    plan_message(ana, **link_fields())
    assert SecureLink.objects.count() == 0

    dispatch(at=NOW)

    link = SecureLink.objects.get()
    assert (link.patient, link.scope, link.about) == (ana, LinkScope.CHECKIN, "checkin:1")
    assert "/l/" in server.letters[0].text
    assert "/l/" not in str(only().sent_text)
    assert LINK_MARK in only().sent_text["text"]


def test_every_outcome_is_in_the_trail_and_the_chain_holds(ana, server):
    plan_message(ana)
    dispatch(at=NOW)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as at commit: the chain is linked then

    event = AuditEvent.objects.get(action="message.sent")
    assert (event.patient_ref, event.actor_name, event.detail["was"]) == (ana.ref, "messaging.dispatch", "sending")
    assert "ana.reyes" not in str(event.detail)
    assert walk_chain().broken == ""


def test_each_sweep_leaves_a_pulse(db):
    dispatch(at=NOW)
    dispatch(at=NOW + timedelta(seconds=15))

    assert SenderPulse.objects.get().swept_at == NOW + timedelta(seconds=15)


def test_alarms_go_before_a_backlog(ana, server):
    bo = make_user("Bo Lindqvist", location=ana.location)
    for number in range(5):
        plan_message(ana, about=f"visit:{number}", due_at=NOW - timedelta(hours=1))
    alert_staff(
        user=bo,
        location=ana.location,
        about="escalation:1",
        step="page",
        template="alarm",
        context={"link": "https://clinic.example/"},
        by=TEST,
        at=NOW,
    )

    dispatch(at=NOW, limit=1)

    assert [letter.to for letter in server.letters] == ["bo.lindqvist@clinic.example"]


# --- it may not go ----------------------------------------------------------------------------------------------------


def test_a_message_that_makes_no_sense_any_more_is_listed_not_sent(ana, server):
    plan_message(ana)

    dispatch(at=NOW + timedelta(hours=6))

    assert (only().status, only().reason) == (MessageStatus.SKIPPED, "It made no sense after 23 Nov 16:00.")
    assert tasks() == [("Call Ana Reyes: a message did not reach them", "front_desk")]
    assert server.letters == []


def test_one_that_does_not_matter_makes_no_work(ana, server):
    plan_message(ana, important=False)

    dispatch(at=NOW + timedelta(hours=6))

    assert only().status == MessageStatus.SKIPPED
    assert tasks() == []


@pytest.mark.parametrize(
    "fields", [{"do_not_contact": True, "do_not_contact_reason": "Asked."}, {"died_on": NOW.date()}]
)
def test_the_dead_and_those_who_want_nothing_hear_nothing_and_nobody_calls(location, server, fields):
    ana = make_patient(location, **fields)
    plan_message(ana)

    dispatch(at=NOW)

    assert only().status == MessageStatus.SKIPPED
    assert (server.letters, tasks()) == ([], [])


def test_without_the_planned_channel_the_other_is_used(location, server, texts):
    plan_message(make_patient(location), channel=Channel.SMS)

    dispatch(at=NOW)

    assert only().sent_channel == Channel.EMAIL
    assert (len(server.letters), texts()) == (1, [])


def test_without_any_channel_somebody_calls(location, server):
    plan_message(make_patient(location, email=""))

    dispatch(at=NOW)

    assert (only().status, only().reason) == (MessageStatus.SKIPPED, "There is no address or number on file.")
    assert tasks() == [("Call Ana Reyes: a message did not reach them", "front_desk")]


def test_a_clinic_without_texts_writes_letters(location, server, settings):
    settings.SMS_GATEWAY = "none"
    plan_message(make_patient(location, phone="+447700900001"), channel=Channel.SMS)

    dispatch(at=NOW)

    assert only().sent_channel == Channel.EMAIL


def test_the_newest_address_is_used(ana, server):
    plan_message(ana)
    change_contact(patient=ana, email="new@mail.example", by=TEST, at=NOW)

    dispatch(at=NOW)

    assert [letter.to for letter in server.letters] == ["new@mail.example"]


# --- STOP -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def family(location):
    """Ana and Bea share a telephone and have no email."""
    return [make_patient(location, name, email="", phone="+447700900001") for name in ("Ana", "Bea")]


def send_both(family, **fields):
    for person in family:
        plan_message(person, about=f"visit:{person.given_name}", channel=Channel.SMS, **fields)
    dispatch(at=NOW + timedelta(minutes=1))
    return dict(Message.objects.values_list("patient__given_name", "status"))


@pytest.mark.parametrize(
    ("whose", "purpose", "expected"),
    [
        ("number", "", {"Ana": "skipped", "Bea": "skipped"}),
        ("Ana", "", {"Ana": "skipped", "Bea": "sent"}),
        ("number", "news", {"Ana": "sent", "Bea": "sent"}),
        ("number", "visit", {"Ana": "skipped", "Bea": "skipped"}),
        ("Bea", "visit", {"Ana": "sent", "Bea": "skipped"}),
    ],
)
def test_stop_by_number_by_person_and_by_purpose(family, server, whose, purpose, expected):
    patient = next((person for person in family if person.given_name == whose), None)
    opt_out(point=ContactPoint.objects.get(), patient=patient, purpose=purpose, how="said so", by=TEST, at=NOW)

    assert send_both(family) == expected


def test_stop_on_one_way_leaves_the_other(location, server):
    ana = make_patient(location, phone="+447700900001")
    opt_out(point=ContactPoint.objects.get(kind="phone"), how="STOP", by=TEST, at=NOW)
    plan_message(ana, channel=Channel.SMS)

    dispatch(at=NOW)

    assert only().sent_channel == Channel.EMAIL


def test_start_ends_a_stop(family, server):
    point = ContactPoint.objects.get()
    opt_out(point=point, how="STOP", by=TEST, at=NOW)

    assert opt_in(point=point, by=TEST, at=NOW) == 1
    assert send_both(family) == {"Ana": "sent", "Bea": "sent"}


# --- quiet hours ------------------------------------------------------------------------------------------------------


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "due", "held_until", "shown"),
    [
        ("Europe/London", "2026-11-23 20:00", "2026-11-24 09:00", "09:00"),
        ("Europe/London", "2026-11-24 08:59", "2026-11-24 09:00", "09:00"),
        # The clocks go back at 02:00 on 25 October and forward at 01:00 on 29 March: 09:00 stays 09:00.
        ("Europe/London", "2026-10-24 19:30", "2026-10-25 09:00", "09:00"),
        ("Europe/London", "2027-03-27 20:30", "2027-03-28 08:00", "09:00"),
        ("America/New_York", "2026-11-01 01:00", "2026-11-01 14:00", "09:00"),
        ("Asia/Kolkata", "2026-11-23 15:00", "2026-11-24 03:30", "09:00"),
    ],
)
def test_at_night_a_message_waits_for_nine_oclock_on_the_wall(server, db, zone, due, held_until, shown):
    ana = make_patient(make_location(time_zone=zone))
    plan_message(ana, due_at=utc(due), not_after=utc(due) + timedelta(days=2))

    dispatch(at=utc(due))

    message = only()
    assert (message.status, message.try_at) == (MessageStatus.HELD, utc(held_until))
    assert message.reason == f"Held for quiet hours until {shown}."
    assert dispatch(at=utc(held_until) - timedelta(seconds=1)) == 0
    assert dispatch(at=utc(held_until)) == 1
    assert only().status == MessageStatus.SENT


def test_the_night_is_the_patients_own(location, server):
    ana = make_patient(location, time_zone="America/New_York")
    plan_message(ana, **STEADY)  # 10:00 in London is 05:00 there

    dispatch(at=NOW)

    assert only().reason == "Held for quiet hours until 09:00, New York time."
    assert only().try_at == utc("2026-11-23 14:00")


def test_what_could_only_go_out_at_night_does_not_go_and_somebody_calls(ana, server):
    plan_message(ana, due_at=utc("2026-11-23 22:00"), not_after=utc("2026-11-24 08:00"))

    dispatch(at=utc("2026-11-23 22:00"))

    assert (only().status, only().reason) == (MessageStatus.SKIPPED, "It could only have gone out at night.")
    assert len(tasks()) == 1


def test_care_meant_for_this_hour_leaves_at_night_but_not_hours_late(ana, server):
    due = utc("2026-11-23 20:30")
    fields = {"any_hour": True, "due_at": due, "not_after": due + timedelta(days=1)}
    plan_message(ana, about="visit:1", **fields)
    dispatch(at=due + timedelta(minutes=20))
    plan_message(ana, about="visit:2", **fields)
    dispatch(at=due + timedelta(hours=3))

    assert list(Message.objects.order_by("pk").values_list("status", flat=True)) == ["sent", "held"]


@pytest.mark.parametrize("template", ["new_link", "auto_reply"])
def test_what_answers_somebody_who_is_awake_is_not_held(ana, server, template):
    night = utc("2026-11-23 23:00")
    plan_message(ana, template=template, context={"link": "https://x.example"}, due_at=night)

    assert dispatch(at=night) == 1
    assert only().status == MessageStatus.SENT


# --- what the gateway says --------------------------------------------------------------------------------------------


def test_not_now_is_tried_again_later_with_growing_waits(ana, server):
    plan_message(ana, **STEADY)
    server.say("RCPT", *["450 4.2.1 greylisted"] * 3)
    at, waits = NOW, []
    for _ in range(3):
        dispatch(at=at)
        waits.append(only().try_at - at)
        assert dispatch(at=only().try_at - timedelta(seconds=1)) == 0
        at = only().try_at

    assert only().reason.startswith("Not taken yet: 450 4.2.1 greylisted. Next try at 10:0")
    assert waits == sorted(waits)
    assert timedelta(seconds=22) < waits[0] < timedelta(seconds=33)
    dispatch(at=at)
    assert (only().status, only().attempts, len(server.letters)) == (MessageStatus.SENT, 4, 1)


def test_after_six_tries_a_person_takes_over(ana, server):
    plan_message(ana, **STEADY)
    server.say("RCPT", *["450 4.2.1 greylisted"] * MAX_TRIES)
    for _ in range(MAX_TRIES):
        dispatch(at=only().try_at)

    assert only().status == MessageStatus.FAILED
    assert only().reason == "Given up after 6 tries. Not taken yet: 450 4.2.1 greylisted"
    assert len(tasks()) == 1


def test_a_refused_address_gives_way_to_the_phone(location, server, texts):
    plan_message(make_patient(location, phone="+447700900001"))
    server.say("RCPT", "550 5.1.1 no such user")

    dispatch(at=NOW)
    dispatch(at=NOW + timedelta(seconds=5))

    assert only().sent_channel == Channel.SMS
    assert len(texts()) == 1
    assert list(DeliveryAttempt.objects.values_list("channel", "outcome")) == [("email", "failed"), ("sms", "sent")]


@pytest.mark.parametrize("email", ["ana reyes@m.example", "ana@m.example>", "@"])
def test_an_address_that_is_none_gives_way_to_the_phone(location, server, texts, email):
    plan_message(make_patient(location, email=email, phone="+447700900001"))

    dispatch(at=NOW)
    dispatch(at=NOW + timedelta(seconds=5))

    assert (only().status, only().sent_channel) == (MessageStatus.SENT, Channel.SMS)
    assert server.commands == []


def test_an_address_outside_ascii_is_written_to(location, server):
    plan_message(make_patient(location, email="bea.núñez@m.example"))

    dispatch(at=NOW)

    assert (only().status, server.letters[0].to) == (MessageStatus.SENT, "bea.núñez@m.example")
    assert "bea.núñez@m.example" in server.letters[0].raw.decode()


def test_a_refused_address_with_no_other_fails_at_once_and_somebody_calls(ana, server):
    plan_message(ana)
    server.say("RCPT", "550 5.1.1 no such user")

    dispatch(at=NOW)

    assert (only().status, only().reason) == (MessageStatus.FAILED, "Refused: 550 5.1.1 no such user")
    assert len(tasks()) == 1


def test_a_reminder_whose_answer_was_lost_is_sent_once_more_under_the_same_name(ana, server):
    plan_message(ana, **STEADY)
    server.say("END", DROP, DROP)

    dispatch(at=NOW)
    assert (only().status, only().reason[:19]) == (MessageStatus.PLANNED, "It may have arrived")
    dispatch(at=only().try_at)

    assert (only().status, only().reason[:19]) == (MessageStatus.UNKNOWN, "It may have arrived")
    assert dispatch(at=NOW + timedelta(days=1)) == 0
    assert len({letter.message["Message-ID"] for letter in server.taken}) == 1
    assert len(server.taken) == 2
    assert tasks() == [("Ask Ana Reyes whether a message arrived", "front_desk")]


def test_a_personal_link_whose_answer_was_lost_waits_for_a_person(ana, server):
    plan_message(ana, **link_fields(), **STEADY)
    server.say("END", DROP)

    dispatch(at=NOW)

    assert only().status == MessageStatus.UNKNOWN
    assert Task.objects.get().due_at < NOW + timedelta(minutes=16)
    assert dispatch(at=NOW + timedelta(days=1)) == 0


def test_a_reminder_that_leads_to_the_visit_is_sent_once_more_all_the_same(ana, server):
    plan_message(ana, **{**link_fields(), "link_scope": "visit"}, **STEADY)
    server.say("END", DROP, DROP)

    dispatch(at=NOW)
    assert (only().status, only().reason[:19]) == (MessageStatus.PLANNED, "It may have arrived")
    dispatch(at=only().try_at)

    assert only().status == MessageStatus.UNKNOWN
    assert dispatch(at=NOW + timedelta(days=1)) == 0
    assert len(server.taken) == 2


def test_when_the_server_is_down_only_one_message_is_handed_over(ana, server):
    for number in range(12):
        plan_message(ana, about=f"visit:{number}", **link_fields(about=f"checkin:{number}"), **STEADY)
    server.say("MAIL", "421 4.3.2 shutting down")

    assert dispatch(at=NOW) == 0

    assert set(Message.objects.values_list("status", "attempts")) == {("planned", 0)}
    assert DeliveryAttempt.objects.count() == 1
    assert SecureLink.objects.count() == 1  # no link was made for those that stayed
    assert dispatch(at=NOW + timedelta(seconds=10)) == 0
    assert dispatch(at=NOW + timedelta(seconds=40)) == 12
    assert len(server.letters) == 12


def test_what_held_a_message_is_over_once_it_waits_for_the_gateway(location, server):
    ana = make_patient(location, time_zone="America/New_York")
    for number in range(3):
        plan_message(ana, about=f"visit:{number}", not_after=NOW + timedelta(days=1))
    dispatch(at=NOW)
    held = set(Message.objects.values_list("reason", flat=True))
    server.say("MAIL", "421 4.3.2 shutting down")

    dispatch(at=utc("2026-11-23 14:00"))

    assert held == {"Held for quiet hours until 09:00, New York time."}
    left = Message.objects.filter(attempts=0, reason__startswith="Waiting").values_list("status", "reason")
    assert list(left) == [("planned", "Waiting for the gateway.")] * 2


def test_that_it_may_have_arrived_stays_said_while_it_waits_for_the_gateway(ana, server):
    plan_message(ana, **STEADY)
    server.say("END", DROP)
    dispatch(at=NOW)
    reason = only().reason
    ahead = sender.sweep(only().try_at, 10)

    sender.hand_back(ahead, only().try_at)

    assert (only().status, only().reason) == (MessageStatus.PLANNED, reason)
    assert reason.startswith("It may have arrived")


def test_a_mail_server_that_is_down_does_not_hold_texts(location, server, texts, settings):
    settings.EMAIL_PORT = 1
    ana = make_patient(location, phone="+447700900001")
    for number in range(3):
        plan_message(ana, about=f"mail:{number}", **STEADY)
        plan_message(ana, about=f"text:{number}", channel=Channel.SMS, **STEADY)

    assert dispatch(at=NOW) == 3
    assert len(texts()) == 3


def test_a_poison_message_fails_alone_with_its_reason(ana, server):
    plan_message(ana, about="good:1")
    plan_message(ana, about="bad:1", template="no_such_template")
    plan_message(ana, about="bad:2", context={"where": "here"})  # nobody said when
    plan_message(ana, about="bad:3", template="checkin", link_scope="nonsense", link_about="x")
    plan_message(ana, about="good:2")

    assert dispatch(at=NOW) == 5

    states = dict(Message.objects.values_list("about", "status"))
    assert states == {"good:1": "sent", "bad:1": "failed", "bad:2": "failed", "bad:3": "failed", "good:2": "sent"}
    assert (
        Message.objects.get(about="bad:2").reason == "reminder/subject.txt must say “when_local”, and it is not known."
    )
    assert Message.objects.get(about="bad:3").reason == "It could not be written (ValueError)."
    assert len(server.letters) == 2


def test_one_poison_row_among_a_thousand_fails_alone_and_999_are_sent(ana, server):
    plan_many(ana, 1000)
    poison = Message.objects.filter(about="visit:500")
    poison.update(context={"where": "here"})  # nobody said when

    while dispatch(at=NOW):
        pass

    assert Counter(Message.objects.values_list("status", flat=True)) == {"failed": 1, "sent": 999}
    assert (poison.get().status, poison.get().attempts) == ("failed", 0)
    assert len({letter.message["Message-ID"] for letter in server.taken}) == len(server.taken) == 999


# --- claims, leases, tokens -------------------------------------------------------------------------------------------


def claim_and_prepare(at):
    """Play a sender that has claimed and handed over, and then stops for whatever reason."""
    claims = sender.sweep(at, 100)
    tick = sender._Tick(sender.Watch(at), list(claims))
    tick.look_at(100)
    tick.mark_next(100)
    ready = tick.leaving
    return claims, ready


def test_a_sender_that_died_before_handing_over_costs_nothing(ana, server):
    plan_message(ana, **STEADY)
    sender.sweep(NOW, 100)

    assert dispatch(at=NOW + timedelta(seconds=60)) == 0  # its lease runs
    dispatch(at=NOW + timedelta(seconds=91))
    dispatch(at=only().try_at)

    assert (only().status, only().token) == (MessageStatus.SENT, 2)
    assert len(server.letters) == 1


def test_a_sender_that_died_in_the_sending_instant_is_resolved_by_what_it_sent(ana, server):
    plan_message(ana, about="plain:1", **STEADY)
    plan_message(ana, about="link:1", **link_fields(), **STEADY)
    claim_and_prepare(NOW)

    dispatch(at=NOW + timedelta(seconds=91))

    states = dict(Message.objects.values_list("about", "status"))
    assert states == {"plain:1": "planned", "link:1": "unknown"}
    assert set(DeliveryAttempt.objects.values_list("outcome", flat=True)) == {Tried.UNKNOWN}


def test_a_text_is_asked_for_again_with_its_key_and_written_once(location, server, texts):
    ana = make_patient(location, phone="+447700900001")
    plan_message(ana, **{**link_fields(), "channel": Channel.SMS}, **STEADY)
    _, ready = claim_and_prepare(NOW)
    sender._hand_over(ready[0], NOW)  # it was written, and then the sender died

    dispatch(at=NOW + timedelta(seconds=91))
    assert dispatch(at=NOW + timedelta(seconds=92)) == 0  # not at once: whatever swallowed the answer may still do so
    dispatch(at=only().try_at)

    assert only().status == MessageStatus.SENT
    assert len(texts()) == 1


def test_a_stalled_sender_cannot_overwrite_what_another_did(ana, server):
    plan_message(ana, **STEADY)
    _, ready = claim_and_prepare(NOW)
    receipt = sender._hand_over(ready[0], NOW)
    dispatch(at=NOW + timedelta(seconds=91))
    dispatch(at=only().try_at)
    after = only()

    with transaction.atomic():
        sender.settle([(ready[0], receipt)], NOW + timedelta(minutes=5))
    sender.hand_back([ready[0].message.claim], NOW + timedelta(minutes=5))

    assert Message.objects.values().get(pk=after.pk) == Message.objects.values().get()
    assert (only().status, only().token, only().sent_at) == (MessageStatus.SENT, 2, after.sent_at)
    assert DeliveryAttempt.objects.filter(outcome=Tried.LATE).count() == 1
    assert len(server.letters) == 2  # plain SMTP repeats one after a stall in the sending instant: never more


def test_a_sender_that_lost_its_claim_hands_nothing_over(ana, server):
    plan_message(ana, **STEADY)
    claims = sender.sweep(NOW, 100)
    dispatch(at=NOW + timedelta(seconds=91))
    dispatch(at=only().try_at)

    sender.send(claims, sender.Watch(NOW))

    assert len(server.letters) == 1


def test_what_is_read_and_marked_is_found_by_its_key_however_many_are_being_sent(ana):
    """Asked for by its status, PostgreSQL would read all that every sender holds, for each twenty that leave."""
    plan_many(ana, 3000)
    keys = [claim.key for claim in sender.sweep(NOW, 2000)][:20]
    run("ANALYZE patients_message, patients_patient, clinic_location, clinic_user")  # as in a clinic with visits in it
    told = {"keys": keys, "tokens": [1] * 20, "now": NOW, "until": NOW, "points": [None] * 20, "channels": [""] * 20,
            "texts": [""] * 20, "refs": [""] * 20}  # fmt: skip

    run("SET LOCAL plan_cache_mode = force_generic_plan")
    for statement in (due._READ, marking._HANDED, marking._SENT):
        plan = "\n".join(line for (line,) in run(f"EXPLAIN {statement}", **told))
        assert not {"message_leased", "message_by_location"} & set(plan.split()), plan


def test_a_message_that_kills_every_sender_is_given_up(ana, server):
    plan_message(ana, **STEADY)
    for _ in range(MAX_DEATHS):
        claims = sender.sweep(only().try_at, 100)
        assert len(claims) == 1
        claiming._release_expired(only().lease_until + timedelta(seconds=1))

    assert (only().status, only().attempts) == (MessageStatus.FAILED, 0)
    assert only().reason == "Given up: 12 senders stopped while they held it."


def test_a_message_that_kills_its_senders_does_not_take_its_neighbours_with_it(ana, server, monkeypatch):
    for number in range(30):
        plan_message(ana, about=f"visit:{number}", purpose=Purpose.CORRECTION, **STEADY)
    real = sender.variables_of

    def deadly(message):
        if message.about == "visit:3":
            raise KeyboardInterrupt  # as a kill does, it leaves everything as it was: nobody hands anything back
        return real(message)

    monkeypatch.setattr(sender, "variables_of", deadly)
    monkeypatch.setattr(sender._Tick, "write_down", lambda tick: None)
    monkeypatch.setattr(sender, "CHUNK", 1)
    # Their order is drawn; one draw in a hundred or so leaves some neighbour behind it every time.
    monkeypatch.setattr(claiming.random, "random", random.Random(8).random)
    at = NOW
    for _ in range(MAX_DEATHS + 2):
        with suppress(KeyboardInterrupt):
            dispatch(at=at)
        at += timedelta(seconds=91)

    states = Counter(Message.objects.values_list("status", flat=True))
    assert states["failed"] == 1
    assert Message.objects.get(status="failed").about == "visit:3"
    assert (
        states["sent"] + states["planned"] + states["unknown"] == 29
    )  # a few may have left when it struck, and are asked for again


def test_an_interrupted_tick_writes_down_what_it_knows(ana, server, monkeypatch):
    for number in range(4):
        plan_message(ana, about=f"visit:{number}", **STEADY)
    real, calls = sender._hand_over, []

    def interrupted(ready, *rest):
        calls.append(ready)
        if len(calls) == 3:
            raise TimeoutError("the soft time limit")
        return real(ready, *rest)

    monkeypatch.setattr(sender, "_hand_over", interrupted)
    with pytest.raises(TimeoutError):
        dispatch(at=NOW)
    monkeypatch.undo()

    assert list(Message.objects.order_by("pk").values_list("status", flat=True)) == [
        "sent",
        "sent",
        "sending",
        "planned",
    ]
    dispatch(at=NOW + timedelta(seconds=91))
    for minutes in (5, 20, 60):  # on a slow machine the server may take longer than we wait, and is asked again
        dispatch(at=NOW + timedelta(minutes=minutes))
    assert set(Message.objects.values_list("status", flat=True)) == {"sent"}


# --- cancelled while it is on its way ---------------------------------------------------------------------------------


def plan(ana, messages, at):
    return reconcile(
        about="visit:1", patient=ana, location=ana.location, wanted=messages, by=TEST, at=at, reason="visit cancelled"
    )


PLANNED = [wanted(visit_at=NOW + timedelta(days=1), not_after=NOW + timedelta(days=1))]


def test_cancelled_between_claim_and_handing_over_it_never_leaves(ana, server):
    plan(ana, PLANNED, NOW)
    claims = sender.sweep(NOW, 100)

    result = plan(ana, [], NOW)
    sender.send(claims, sender.Watch(NOW))

    assert result.sentence == "1 message withdrawn"
    assert only().status == MessageStatus.SUPERSEDED
    assert server.taken == []


def test_cancelled_while_it_leaves_the_patient_is_told(ana, server):
    plan(ana, PLANNED, NOW)
    _, ready = claim_and_prepare(NOW)

    result = plan(ana, [], NOW)
    receipt = sender._hand_over(ready[0], NOW)
    with transaction.atomic():
        sender.settle([(ready[0], receipt)], NOW)
    dispatch(at=NOW + timedelta(minutes=4))

    assert result.sentence == "1 already sent, 1 correction will go out"
    assert [letter.message["Subject"][:9] for letter in server.letters] == ["Your visi", "Cancelled"]


def test_cancelled_while_it_leaves_and_not_taken_it_is_not_tried_again(ana, server):
    plan(ana, PLANNED, NOW)
    _, ready = claim_and_prepare(NOW)
    server.say("RCPT", "450 4.2.1 greylisted")

    plan(ana, [], NOW)
    receipt = sender._hand_over(ready[0], NOW)
    with transaction.atomic():
        sender.settle([(ready[0], receipt)], NOW)

    first = Message.objects.get(step="reminder_24h")
    assert first.status == MessageStatus.SKIPPED
    dispatch(at=NOW + timedelta(hours=1))
    assert [letter.message["Subject"][:9] for letter in server.letters] == ["Cancelled"]


# --- names that bite --------------------------------------------------------------------------------------------------


def test_a_name_that_is_a_template_stays_a_name(location, server):
    ana = make_patient(location, given_name="{{ patient.notes }}", family_name="{% load static %}", email="a@m.example")
    plan_message(ana)

    dispatch(at=NOW)

    assert "Hello {{ patient.notes }}," in server.letters[0].text
    assert "{{ patient.notes }}" in server.letters[0].message.get_body(("html",)).get_content()


def test_a_name_that_is_markup_stays_a_name(location, server):
    ana = make_patient(location, given_name="<script>alert(1)</script>", email="a@m.example")
    plan_message(ana)

    dispatch(at=NOW)

    assert "<script>" not in server.letters[0].message.get_body(("html",)).get_content()
    assert "Hello <script>alert(1)</script>," in server.letters[0].text


@pytest.mark.parametrize(
    "name", ["Ana\r\nBcc: eve@x.example", "Ana\n\nDear Eve", "Ana\u2028.\r\nMAIL FROM:<x@y.example>", "‮anA"]
)
def test_a_name_or_a_clinic_cannot_start_a_line_of_its_own(db, server, name):
    place = make_location(name=f"{name} Clinic")
    ana = make_patient(place, given_name=name, email="a@m.example")
    plan_message(ana, context={"when_local": name, "where": name})

    dispatch(at=NOW)

    letter = server.letters[0].message
    assert letter["Bcc"] is None
    assert letter["To"] == "a@m.example"
    assert set(letter.keys()) == {
        "To", "From", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
    }  # fmt: skip
    assert len(server.commands) == 2
    assert "‮" not in server.letters[0].text
