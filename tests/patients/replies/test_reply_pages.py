"""The inbox as the desk sees it."""

from datetime import timedelta

import pytest

from clinic.audit.states import Actor
from clinic.staff.states import Role
from patients.messaging.models import Message
from patients.replies.actions import receive_reply
from patients.replies.models import Conversation
from patients.replies.rules import Heard
from tests.factories.people import NOW, make_patient, make_user

NUMBER = "+447700900001"


@pytest.fixture
def desk(client, location):
    user = make_user("Bo Lindqvist", Role.FRONT_DESK, location=location)
    client.force_login(user)
    return client


def write(text, ref="r-1", number=NUMBER, at=NOW) -> Conversation:
    heard = Heard(text_ref=ref, number=number, text=text)
    return receive_reply(gateway="http", heard=heard, by=Actor.task("gateway.http"), at=at).conversation


@pytest.fixture
def family(location):
    return [make_patient(location, name, email="", phone=NUMBER) for name in ("Ana", "Bea")]


def html(answer):
    return answer.content.decode()


def test_the_longest_waiting_stands_first_with_everybody_it_may_be(desk, family):
    write("second", ref="r-2", number="+447700900555", at=NOW + timedelta(hours=1))
    write("first")

    page = html(desk.get("/replies/"))

    assert page.index("Ana Reyes, Bea Reyes") < page.index("+447700900555")
    assert "Nobody on file has this number" in page
    assert "One number, several people" in page


def test_an_emergency_stands_above_who_waits_longer(desk, family):
    write("first")
    write("I can't breathe", ref="r-2", number="+447700900555", at=NOW + timedelta(hours=1))

    page = html(desk.get("/replies/"))

    assert page.index("+447700900555") < page.index("Ana Reyes, Bea Reyes")


def test_the_count_on_the_staff_bar_is_of_those_who_wait(desk, family):
    assert html(desk.get("/replies/count/")).strip() == ""
    write("hello")

    assert ">1<" in html(desk.get("/replies/count/"))


def test_the_inbox_asks_as_often_for_three_as_for_one(desk, family, django_assert_num_queries, location):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    write("hello")
    with CaptureQueriesContext(connection) as one:
        desk.get("/replies/")
    for number in (2, 3):
        make_patient(location, f"P{number}", email="", phone=f"+44770090010{number}")
        write("hello", ref=f"r-{number}", number=f"+44770090010{number}")
    with CaptureQueriesContext(connection) as three:
        desk.get("/replies/")

    assert len(three) == len(one)


def test_a_ready_answer_goes_out_in_the_language_of_whom_it_greets(desk, family):
    ana = family[0]
    ana.language = "es"
    ana.save()
    found = write("hello")

    answered = desk.post(f"/replies/{found.ref}/answer/", {"patient": str(ana.ref), "canned": "noted", "text": ""})

    assert answered.status_code == 302
    assert Message.objects.get(template="desk_reply").context == {"answer": "gracias, queda anotado."}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"text": ""}, "Please write an answer, or choose one."),
        ({"canned": "", "text": "hello"}, "Please choose an answer, or your own words."),
        ({"canned": "noted", "text": "and hello"}, "Please send either this or your own words."),
        ({"text": "keep the ointment on"}, "“ointment” tells what the message is about."),
        ({"text": "hello", "patient": ""}, "Please say whom the answer is for."),
    ],
)
def test_what_cannot_be_sent_says_why_and_keeps_what_was_typed(desk, family, given, sentence):
    found = write("hello")
    posted = {"patient": str(family[0].ref), "canned": "own", **given}

    answered = desk.post(f"/replies/{found.ref}/answer/", posted)

    assert answered.status_code == 422
    assert sentence in html(answered)
    assert given.get("text", "") in html(answered)
    assert Message.objects.filter(template="desk_reply").count() == 0


def test_taking_giving_and_closing(desk, family, location):
    found = write("hello")
    ivy = make_user("Ivy Clinician", Role.CLINICIAN, location=location)

    desk.post(f"/replies/{found.ref}/take/", {"to": ivy.pk})
    assert Conversation.objects.get().owner == ivy
    assert desk.post(f"/replies/{found.ref}/take/", {"to": 0}).status_code == 422
    assert desk.post(f"/replies/{found.ref}/close/", {"note": "typed"}).status_code == 422
    desk.post(f"/replies/{found.ref}/close/", {"outcome": "called", "note": "done"})

    assert Conversation.objects.get().status == "closed"
    assert "Called them" in html(desk.get("/replies/?show=closed"))
    page = html(desk.get(f"/replies/{found.ref}/"))
    assert "done" in page
    assert "Answer by text" not in page


def test_words_are_shown_and_never_run(desk, family):
    found = write("<script>alert(1)</script>")

    page = html(desk.get(f"/replies/{found.ref}/"))

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
