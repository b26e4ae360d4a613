"""What people write back: STOP and START at once for a whole family, all else in the inbox until somebody closes it."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.transitions import IllegalMove
from clinic.worklist.models import Task
from patients.messaging.actions import dispatch
from patients.messaging.models import Message, OptOut
from patients.messaging.optouts import opt_out
from patients.messaging.states import Channel, MessageStatus
from patients.registry.models import ContactPoint
from patients.replies import alarms
from patients.replies.actions import (
    CannotAnswerReplies,
    NobodyThere,
    NotDiscreet,
    NothingSaid,
    OutcomeMissing,
    TheyStopped,
    answer,
    close_conversation,
    receive_reply,
    take_conversation,
)
from patients.replies.models import Conversation, Reply
from patients.replies.rules import Heard
from tests.factories.gateway_calls import plain, twilio
from tests.factories.letters import plan_message
from tests.factories.people import NOW, actor, make_patient, make_user

NUMBER = "+447700900001"
SMS = Actor.task("gateway.http")
LATER = NOW + timedelta(days=1)


@pytest.fixture
def family(location):
    """Ana and Bea share a telephone."""
    return [make_patient(location, name, email="", phone=NUMBER) for name in ("Ana", "Bea")]


@pytest.fixture
def texts(settings, tmp_path):
    """The texts that have left so far, as a function."""
    import json

    settings.SMS_GATEWAY, settings.SMS_FILE = "file", tmp_path / "sms.jsonl"
    path = settings.SMS_FILE
    return lambda: [json.loads(line)["text"] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def bo(location):
    return make_user("Bo Lindqvist", Role.FRONT_DESK, location=location)


def write(text, ref="r-1", at=NOW, number=NUMBER, **heard) -> Reply:
    return receive_reply(gateway="http", heard=Heard(text_ref=ref, number=number, text=text, **heard), by=SMS, at=at)


def only() -> Conversation:
    return Conversation.objects.get()


# --- STOP and START ---------------------------------------------------------------------------------------------------


def test_stop_ends_everything_for_everybody_at_the_number_and_is_confirmed_once_even_at_night(family, texts):
    night = NOW.replace(hour=23)
    for ref in ("r-1", "r-1", "r-2"):  # delivered twice by the gateway, and written twice
        write("Stop.", ref=ref, at=night)
    for patient in family:
        plan_message(
            patient, about=f"visit:{patient}", channel=Channel.SMS, due_at=night, not_after=night + timedelta(days=1)
        )

    dispatch(at=night)
    dispatch(at=night + timedelta(hours=12))

    assert texts() == ["Harley Street: you will get no more texts from us. Text START to get them again."]
    assert [(stop.patient, stop.until_at) for stop in OptOut.objects.all()] == [(None, None)]
    reminders = Message.objects.filter(step="reminder_24h")
    assert {row.reason for row in reminders} == {"They asked us to stop."}
    assert Conversation.objects.count() == 0


def test_the_next_text_is_blocked_within_the_second(family, texts):
    plan_message(family[0], channel=Channel.SMS)
    write("STOP")

    dispatch(at=NOW + timedelta(milliseconds=500))

    assert Message.objects.get(step="reminder_24h").status == MessageStatus.SKIPPED


def test_start_brings_texts_back_and_stop_holds_again(family, texts):
    write("STOP")
    write("Start", ref="r-2", at=NOW + timedelta(minutes=1))
    plan_message(family[0], channel=Channel.SMS)
    dispatch(at=NOW + timedelta(minutes=2))
    write("stop", ref="r-3", at=NOW + timedelta(minutes=3))
    dispatch(at=NOW + timedelta(minutes=4))

    assert Message.objects.get(step="reminder_24h").status == MessageStatus.SENT
    assert [row.until_at for row in OptOut.objects.order_by("pk")] == [NOW + timedelta(minutes=1), None]
    assert Message.objects.filter(template="stop_confirmation").count() == 2


def test_start_of_nobody_who_stopped_says_nothing(family, texts):
    write("START")
    dispatch(at=NOW)

    assert (texts(), Conversation.objects.count()) == ([], 0)


def test_start_by_one_of_a_family_leaves_what_the_other_stopped_for_herself(family, texts):
    _, bea = family
    opt_out(point=ContactPoint.objects.get(value=NUMBER), patient=bea, how="asked at the desk", by=SMS, at=NOW)
    write("STOP")
    write("START", ref="r-2", at=NOW + timedelta(minutes=1))

    in_force = OptOut.objects.filter(until_at=None)
    assert [stop.patient for stop in in_force] == [bea]


@pytest.mark.parametrize(("text", "extra"), [("STOP", {}), ("ALTO YA", {"OptOutType": "STOP"})])
def test_what_twilio_confirms_itself_is_not_confirmed_again(family, gateway, settings, live_server, text, extra):
    settings.SMS_GATEWAY = "twilio"
    fields = {"MessageSid": "SM1", "From": NUMBER, "To": "+447700900999", "Body": text, **extra}

    assert twilio(live_server.url + "/gateway/twilio/reply/", fields) == 200
    assert OptOut.objects.count() == 1
    assert Message.objects.count() == 0


def test_where_twilio_was_told_not_to_we_confirm(family, gateway, settings, live_server):
    settings.TWILIO_CONFIRMS_STOP = False
    twilio(live_server.url + "/gateway/twilio/reply/", {"MessageSid": "SM1", "From": NUMBER, "Body": "STOP"})

    assert [row.template for row in Message.objects.all()] == ["stop_confirmation"]


def test_a_stop_from_a_number_nobody_has_holds_too(location):
    write("STOP", number="+447700900555")

    assert OptOut.objects.get().point.value == "+447700900555"
    assert Message.objects.count() == 0


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_stops_at_one_instant_are_one(family):
    barrier = Barrier(4)

    def one(number):
        barrier.wait()
        write("STOP", ref=f"r-{number}")
        connection.close()

    threads = [Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (Reply.objects.count(), OptOut.objects.count(), Message.objects.count()) == (4, 1, 1)


# --- the door ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_forged_reply_stops_nobody_and_is_told(family, gateway, live_server):
    said = {"id": "x", "from": NUMBER, "text": "STOP"}

    assert plain(live_server.url + "/gateway/http/reply/", said, NOW, secret="guessed") == 403
    assert (
        twilio(live_server.url + "/gateway/twilio/reply/", {"MessageSid": "x", "From": NUMBER, "Body": "STOP"}, "no")
        == 403
    )
    assert (OptOut.objects.count(), Reply.objects.count()) == (0, 0)
    assert AuditEvent.objects.filter(action="access.refused").count() == 2


def test_the_gateways_time_stands_where_it_names_one(family, gateway, live_server):
    said = {"id": "x", "from": NUMBER, "text": "hello", "at": (NOW - timedelta(hours=3)).isoformat()}

    assert plain(live_server.url + "/gateway/http/reply/", said, NOW) == 204
    assert Reply.objects.get().received_at == NOW - timedelta(hours=3)


def test_what_no_persons_telephone_sent_is_noted_without_its_words(location):
    assert write("You won!", number="PRIZES") is None
    assert AuditEvent.objects.get(action="reply.from_no_number").detail == {}


# --- the inbox --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["Please stop by the pharmacy", "cancel", "my face is hot", "", "\u202eevil", "💬 mañana"]
)
def test_anything_else_waits_word_for_word_in_one_conversation(family, text):
    write(text)
    write("and one more thing", ref="r-2", at=NOW + timedelta(minutes=5))

    found = only()
    assert (found.status, found.waits_since, found.last_at) == ("waiting", NOW, NOW + timedelta(minutes=5))
    assert [reply.text for reply in found.replies.order_by("pk")] == [text, "and one more thing"]
    assert OptOut.objects.count() == 0


def test_the_writer_is_told_once_when_it_is_read_and_what_to_do_if_it_is_urgent(family, texts):
    write("my face is hot")
    write("hello?", ref="r-2")
    dispatch(at=NOW)

    assert len(texts()) == 1
    assert "If it can't wait call" in texts()[0]
    assert "999" in texts()[0]


def test_somebody_nobody_knows_waits_too_and_is_not_written_to(location, bo):
    write("wrong person?", number="+447700900555")

    found = only()
    assert (found.location, Message.objects.count()) == (location, 0)
    with pytest.raises(NobodyThere):
        answer(conversation=found, patient=make_patient(location), text="hello", by=actor(bo), at=NOW)


def test_a_text_to_a_message_that_may_not_have_arrived_is_kept_and_changes_nothing_of_it(family):
    message = plan_message(family[0], channel=Channel.SMS)
    point = ContactPoint.objects.get(value=NUMBER)
    Message.objects.update(
        status="unknown", reason="It may have arrived.", handed_at=NOW, point=point, sent_channel="sms"
    )

    write("ok see you then")

    assert only().status == "waiting"
    assert Message.objects.get(pk=message.pk).status == MessageStatus.UNKNOWN


def test_an_answer_goes_out_as_a_text_and_a_new_one_waits_again(family, texts, bo):
    write("may I come later?")
    answer(conversation=only(), patient=family[1], text="yes, come at 11.", by=actor(bo), at=NOW)
    dispatch(at=NOW)

    assert texts()[-1] == "Harley Street: yes, come at 11."
    assert (only().status, Reply.objects.get().read_by) == ("answered", bo)
    write("thanks", ref="r-2", at=LATER)
    assert (only().status, only().waits_since) == ("waiting", LATER)
    answer(conversation=only(), patient=family[1], text="you are welcome.", by=actor(bo), at=LATER)
    assert Message.objects.filter(template="desk_reply").count() == 2


def test_an_answer_is_a_value_and_never_a_template(family, texts, bo):
    write("hello")
    answer(conversation=only(), patient=family[0], text="{{ clinic_phone }} {% load x %}", by=actor(bo), at=NOW)
    dispatch(at=NOW)

    assert texts()[-1] == "Harley Street: {{ clinic_phone }} {% load x %}"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("  ", NothingSaid),
        ("keep the ointment on your skin", NotDiscreet),
        ("Ana, open https://x.example/1", NotDiscreet),
        ("x" * 306, NotDiscreet),
    ],
)
def test_what_may_not_be_said_by_text_is_not(family, bo, text, refused):
    write("hello")

    with pytest.raises(refused):
        answer(conversation=only(), patient=family[0], text=text, by=actor(bo), at=NOW)
    assert (only().status, Message.objects.filter(template="desk_reply").count()) == ("waiting", 0)


def test_nobody_who_stopped_is_answered_by_text(family, bo):
    write("hello")
    write("STOP", ref="r-2")

    with pytest.raises(TheyStopped):
        answer(conversation=only(), patient=family[0], text="hello", by=actor(bo), at=NOW)


def test_a_conversation_has_an_owner_who_works_there(family, bo, location):
    write("hello")
    manager = make_user("Mo", Role.MANAGER, location=location)

    assert take_conversation(conversation=only(), to=bo, by=actor(bo), at=NOW).owner == bo
    for wrong in (manager, make_user("Li", Role.FRONT_DESK)):
        with pytest.raises(CannotAnswerReplies):
            take_conversation(conversation=only(), to=wrong, by=actor(bo), at=NOW)


def test_it_closes_only_with_an_outcome_and_who_writes_again_begins_another(family, bo):
    write("hello")
    with pytest.raises(OutcomeMissing):
        close_conversation(conversation=only(), outcome="", note="", by=actor(bo), at=NOW)

    closed = close_conversation(conversation=only(), outcome="called", note="She comes at 11.", by=actor(bo), at=NOW)
    assert (closed.status, closed.closed_by, closed.outcome_note) == ("closed", bo, "She comes at 11.")
    with pytest.raises(IllegalMove):
        close_conversation(conversation=closed, outcome="called", note="", by=actor(bo), at=NOW)
    with pytest.raises(IllegalMove):
        answer(conversation=closed, patient=family[0], text="hello", by=actor(bo), at=NOW)
    write("me again", ref="r-2", at=NOW + timedelta(hours=1))

    assert [row.status for row in Conversation.objects.order_by("pk")] == ["closed", "waiting"]
    assert Message.objects.filter(template="auto_reply").count() == 1  # told an hour ago


def test_the_database_keeps_what_was_written(family):
    from django.db import IntegrityError, transaction

    write("hello")
    for rows in (Reply.objects.all(), Conversation.objects.all()):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows._raw_delete(using="default")


# --- words that may mean an emergency ---------------------------------------------------------------------------------


@pytest.fixture
def _no_room_that_owns_alarms(monkeypatch):
    monkeypatch.setattr(alarms, "_bells", [])


@pytest.mark.usefixtures("_no_room_that_owns_alarms")
def test_an_emergency_rings_a_clinician_even_where_no_room_owns_alarms(family, location, texts, mail):
    lead = make_user("Bo Lind", Role.LEAD_CLINICIAN, location=location)
    write("I can't breathe")
    dispatch(at=NOW)

    task = Task.objects.get()
    assert (task.role, task.due_at, task.kind) == ("clinician", NOW + timedelta(minutes=15), "reply_alarm")
    assert Message.objects.get(template="alarm").staff == lead
    assert len(mail.letters) == 1
    assert [row.template for row in Message.objects.filter(staff=None)] == ["auto_reply"]  # nothing clinical is said


def test_an_emergency_from_a_number_nobody_has_is_a_task_with_the_number(location):
    write("help I fainted", number="+447700900555")

    assert Task.objects.get().title == "Call +447700900555: a text may speak of an emergency"


def test_a_bell_that_breaks_loses_neither_the_text_nor_the_alarm(family, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(alarms, "_bells", [broken])
    write("blisters everywhere")

    assert (Reply.objects.count(), Task.objects.get().due_at) == (1, NOW + timedelta(minutes=60))
    assert only().urgency == "U1"
