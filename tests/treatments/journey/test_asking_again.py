"""The desk sees where a questionnaire stands, never an answer, and sends it again from chart or visit."""

from datetime import timedelta

import pytest
import time_machine
from django.db import DatabaseError
from django.urls import reverse

from clinic.worklist.models import Task
from patients.candidacy.actions import decide
from patients.candidacy.queries import decision_in_force
from patients.expiry.actions import expire_all
from patients.intake.actions import send_intake_link
from patients.messaging.models import Message
from tests.factories.people import NOW, actor, make_clinician, make_device, make_patient
from tests.factories.screenings import make_screening
from tests.factories.visits import BY, book, make_course
from treatments.booking.actions import cancel_appointment
from treatments.journey import asking
from treatments.journey.asking import ask_again
from treatments.journey.tasks import ask_again_before_visits
from treatments.sessions.readiness import readiness

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=90)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(LATER, tick=False) as traveller:
        yield traveller


@pytest.fixture
def bo(place):
    return make_clinician("Bo Lindqvist", place)


@pytest.fixture
def visit(ana, bo):
    """A treatment booked for the week after Ana's answers grow too old."""
    decision = {"kind": "proceed", "reason": "Fits well.", "conditions": [], "by": actor(bo), "at": NOW}
    made = decide(screening=make_screening(ana), **decision)
    make_device(ana.location)
    course = make_course(ana, made)
    monday = LATER + timedelta(days=8)
    return book(ana, bo.practitioner, monday, "treatment_nafl", course=course, at=NOW)


def open_flags_item(visit):
    return next(item for item in readiness(visit, LATER).items if item.key == "flags")


def test_a_visit_waits_while_answers_are_too_old(visit, ana):
    assert open_flags_item(visit).ok

    expire_all(by=BY, at=LATER)

    assert not open_flags_item(visit).ok
    assert decision_in_force(ana, "nafl_1550") is not None


@pytest.mark.parametrize("page", ["chart", "visit"])
def test_the_desk_sends_fresh_questions_from_chart_and_visit(desk, visit, ana, page):
    url = reverse("patient_chart", args=[ana.ref]) if page == "chart" else reverse("appointment", args=[visit.ref])

    text = desk.get(url).content.decode()
    assert "Some answers are too old to count" in text
    assert "Ask for fresh answers" in text
    assert "retinoin" not in text

    assert desk.post(reverse("send_link", args=[ana.ref]), {"scope": "intake", "next": url})["Location"] == url
    form = ana.responses.get(status="in-progress")
    assert form.amends == ana.responses.get(status="completed")
    assert Message.objects.get(template="intake_invitation").about == f"response:{form.ref}"
    assert "Send the link again" in desk.get(url).content.decode()


def test_the_form_never_leads_elsewhere(desk, ana):
    sent = desk.post(reverse("send_link", args=[ana.ref]), {"scope": "intake", "next": "https://elsewhere.example/"})

    assert sent["Location"] == reverse("patient_chart", args=[ana.ref])


def test_before_anything_is_sent_the_chart_offers_it_once(desk, ana):
    text = desk.get(reverse("patient_chart", args=[ana.ref])).content.decode()

    assert text.count("Send the questionnaire") == 1
    assert "Not answered yet" in text


# --- by itself, before a visit ----------------------------------------------------------------------------------------


def expired(at=LATER):
    expire_all(by=BY, at=at)
    return ask_again(by=BY, at=at)


def test_whoever_has_a_treatment_booked_is_asked_once(visit, ana):
    assert ask_again(by=BY, at=LATER) == 0  # nothing is too old yet

    assert [expired(), expired(), ask_again(by=BY, at=LATER + timedelta(hours=1))] == [1, 0, 0]

    form = ana.responses.get(status="in-progress")
    assert [(m.template, m.about) for m in Message.objects.filter(template="intake_invitation")] == [
        ("intake_invitation", f"response:{form.ref}")
    ]
    assert form.amends == ana.responses.get(status="completed")


def test_who_has_no_treatment_booked_is_left_to_the_clinicians(visit, ana, bo):
    cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW)
    book(ana, bo.practitioner, LATER + timedelta(days=8), at=NOW)

    assert expired() == 0
    assert Task.objects.unfinished().filter(kind="candidacy.expired", patient_ref=ana.ref).exists()


def test_a_form_sent_by_the_desk_meanwhile_is_not_sent_again(visit, ana):
    expire_all(by=BY, at=LATER)
    send_intake_link(patient=ana, by=BY, at=LATER)

    assert ask_again(by=BY, at=LATER + timedelta(minutes=10)) == 0
    assert Message.objects.filter(template="intake_invitation").count() == 1


def test_one_who_cannot_be_asked_fails_alone(visit, ana, bo, place, monkeypatch):
    noa = make_patient(place, "Noa", "Levi")
    decision = {"kind": "proceed", "reason": "Fits well.", "conditions": [], "by": actor(bo), "at": NOW}
    course = make_course(noa, decide(screening=make_screening(noa), **decision))
    book(noa, bo.practitioner, LATER + timedelta(days=9), "treatment_nafl", course=course, at=NOW)
    real = asking.send_intake_link

    def not_for_ana(*, patient, **given):
        message = real(patient=patient, **given)
        if patient == ana:
            raise DatabaseError
        return message

    monkeypatch.setattr(asking, "send_intake_link", not_for_ana)

    assert expired() == 1
    assert not ana.responses.filter(status="in-progress").exists()
    assert noa.responses.filter(status="in-progress").exists()


def test_the_doorbell_asks(visit, ana, monkeypatch):
    monkeypatch.setattr("treatments.journey.tasks.database_clock", lambda: LATER)
    expire_all(by=BY, at=LATER)

    ask_again_before_visits()

    assert Message.objects.filter(template="intake_invitation").count() == 1
