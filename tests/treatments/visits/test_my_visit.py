"""A patient's own visit behind its link: when, where, what to prepare, and what became of it."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from clinic.audit.models import AuditEvent
from patients.messaging.models import Message
from patients.registry.access import KEY
from patients.registry.actions import issue_link
from patients.registry.states import LinkScope
from tests.factories.people import NOW, make_clinician, make_location, make_patient
from tests.factories.visits import BY, book, utc
from treatments.booking.actions import cancel_appointment, enter_in_error, mark_noshow, move_appointment
from treatments.booking.models import Appointment

pytestmark = pytest.mark.django_db
TUESDAY = utc("2026-12-01T10:00")


@pytest.fixture
def place(time_machine):
    time_machine.move_to(NOW, tick=False)
    return make_location()


@pytest.fixture
def bo(place):
    return make_clinician("Bo Lindqvist", place).practitioner


@pytest.fixture
def visit(ana, bo):
    return book(ana, bo, TUESDAY)


def opened(patient, about, scope=LinkScope.VISIT):
    """A phone that opened a link of this scope, and the link."""
    link, _ = issue_link(patient=patient, scope=scope, about=about, by=BY, at=timezone.now())
    phone = Client()
    session = phone.session
    now = int(timezone.now().timestamp())
    session[KEY] = {str(link.ref): {"opened": now, "used": now}}
    session.save()
    phone.cookies["sessionid"] = session.session_key
    return phone, link


def page(visit, path="", patient=None):
    phone, link = opened(patient or visit.patient, visit.about)
    return phone.get(f"/my/{link.ref}/visit/{path}")


def text(answer):
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", f"<main{main}").split())


def test_it_says_when_by_the_wall_clock_of_the_place_and_where(visit):
    assert text(page(visit)).startswith(
        "Your visit Tuesday 1 December 2026 10:00 Where Harley Street 1 Harley Street, London With Bo Lindqvist "
        "Phone +442079460000 Yes, I’ll come Add to calendar"
    )


def test_the_clock_is_that_of_the_place_of_the_visit_and_not_of_the_patient(ana):
    madrid = make_location("Madrid", "Europe/Madrid", address="Calle Mayor 1")
    visit = book(ana, make_clinician("Eva Sanz", madrid).practitioner, TUESDAY, location=madrid)

    assert "Tuesday 1 December 2026 11:00 Where Madrid Calle Mayor 1" in text(page(visit))


def test_what_messages_have_told_so_far_is_there_and_what_is_not_due_is_not(visit):
    def say(due_at, *lines):
        Message.objects.filter(about=visit.about).filter(pk=say.rows.pop(0)).update(
            due_at=due_at, context={"do_now": list(lines)}
        )

    say.rows = list(Message.objects.filter(about=visit.about).values_list("pk", flat=True))
    assert len(say.rows) >= 2
    Message.objects.filter(about=visit.about).update(context={})
    say(NOW, "Bring your passport", "Bring <b>water</b>")
    say(NOW + timedelta(days=3), "Wash your hair")

    answer = page(visit)
    assert "Bring your passport" in text(answer)
    assert "Bring &lt;b&gt;water&lt;/b&gt;" in answer.content.decode()
    assert "Wash your hair" not in text(answer)


def test_a_moved_visit_says_so_and_shows_the_new_time(visit):
    move_appointment(
        appointment=visit, starts_at=utc("2026-12-03T14:30"), expected_version=visit.version, by=BY, at=NOW
    )

    said = text(page(visit))
    assert "The time or place was changed. What you read here is what counts." in said
    assert "Thursday 3 December 2026 14:30" in said
    assert "1 December" not in said


def cancel(visit):
    cancel_appointment(appointment=visit, reason="clinic", by=BY, at=NOW)


def miss(visit):
    mark_noshow(appointment=visit, by=BY, at=TUESDAY + timedelta(minutes=20))


def let_pass(visit):
    Appointment.objects.filter(pk=visit.pk).update(starts_at=NOW - timedelta(hours=2), ends_at=NOW - timedelta(hours=1))


@pytest.mark.parametrize(
    ("end", "heading"),
    [(cancel, "Your visit is cancelled"), (miss, "We missed you"), (let_pass, "This visit is over")],
)
def test_a_visit_that_is_off_or_over_says_so_and_how_to_call(visit, end, heading):
    end(visit)

    said = text(page(visit))
    assert said.startswith(heading)
    assert "Call +442079460000" in said
    assert "Add to calendar" not in said


def test_a_visit_entered_in_error_was_never_there(visit):
    enter_in_error(appointment=visit, reason="Wrong patient", by=BY, at=NOW)

    assert page(visit).status_code == 404
    assert page(visit, "calendar/").status_code == 404


def test_the_calendar_file_says_when_and_where_and_never_what_for(visit):
    visit.type.patient_label = visit.type.label = "Acne scar laser"
    visit.type.save()

    answer = page(visit, "calendar/")
    body = answer.content.decode()
    assert answer["Content-Type"] == "text/calendar; charset=utf-8; method=PUBLISH"
    assert answer["Content-Disposition"] == 'attachment; filename="visit.ics"'
    assert "METHOD:PUBLISH\r\n" in body
    assert "DTSTART:20261201T100000Z\r\n" in body
    assert "SUMMARY:Visit at Harley Street\r\n" in body
    assert "laser" not in body.lower()


@pytest.mark.parametrize("path", ["", "calendar/"])
def test_only_a_link_of_this_scope_to_ones_own_visit_shows_it(visit, bo, path):
    other = make_patient(visit.location, "Uma", "Stranger")
    healing, healing_link = opened(visit.patient, visit.about, LinkScope.HEALING)

    assert healing.get(f"/my/{healing_link.ref}/visit/{path}").status_code == 404
    assert page(visit, path, patient=other).status_code == 404
    stranger, _ = opened(other, visit.about)
    _, link = opened(visit.patient, visit.about)
    assert stranger.get(f"/my/{link.ref}/visit/{path}").status_code == 404
    assert Client().get(f"/my/{link.ref}/visit/{path}").status_code == 403


@pytest.mark.parametrize("path", ["", "calendar/"])
def test_looking_changes_nothing(visit, path):
    before = Appointment.objects.values().get(pk=visit.pk)
    phone, link = opened(visit.patient, visit.about)
    events = AuditEvent.objects.count()

    assert phone.get(f"/my/{link.ref}/visit/{path}").status_code == 200
    assert phone.post(f"/my/{link.ref}/visit/{path}").status_code == 405
    assert Appointment.objects.values().get(pk=visit.pk) == before
    assert AuditEvent.objects.count() == events
