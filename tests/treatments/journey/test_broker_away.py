"""No broker: every act of the clinic happens, and what it had to say leaves as soon as a sender looks."""

from datetime import timedelta

import pytest
from celery import Celery

from clinic.transports.email import smtp
from patients.consent.actions import revoke_consent
from patients.intake.actions import send_intake_link, start_response
from patients.messaging import bell
from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from tests.factories.people import NOW, actor, make_location, make_patient, make_practitioner
from tests.factories.recovering import after, answer, recovering
from tests.factories.smtp import SmtpServer
from tests.factories.visits import BY, book, utc
from treatments.booking.actions import cancel_appointment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def no_broker(monkeypatch):
    """Nobody answers at the broker's address, and everybody who rings finds that out anew."""
    lost = Celery("lost", broker="redis://127.0.0.1:1/0", set_as_current=False)
    failed = []

    def send_task(*args, **options):
        failed.append(args)
        monkeypatch.setattr(bell, "_deaf_until", 0.0)
        return real(*args, **options)

    real = lost.send_task
    monkeypatch.setattr(lost, "send_task", send_task)
    monkeypatch.setattr(bell, "_deaf_until", 0.0)
    monkeypatch.setattr(bell, "current_app", lost)
    monkeypatch.setattr(bell, "RING_AGAIN_AFTER", 0.0)
    return failed


@pytest.fixture
def server(settings):
    with SmtpServer() as running:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", running.port, False
        yield running
        smtp().close()


def test_booking_cancelling_intake_consent_and_check_in_happen_and_are_told_once_a_sender_looks(no_broker, server):
    place = make_location("Harbour")
    bo = make_practitioner("Bo Lindqvist", place)
    ben = make_patient(place, "Ben", email="ben@mail.example")

    kept = book(ben, bo, utc("2027-01-18T10:00"))
    off = book(ben, bo, utc("2027-01-25T10:00"))
    cancel_appointment(appointment=off, reason="patient", by=BY, at=NOW)
    link = send_intake_link(patient=ben, by=BY, at=NOW)
    form = start_response(patient=ben, by=BY, at=NOW)
    clinic = recovering()
    revoke_consent(consent=clinic.consent, reason="changed my mind", by=actor(clinic.bo), at=after(mins=5))
    answer(clinic, {"pain_now": "2"})

    assert len(no_broker) >= 1
    assert (kept.status, form.status) == ("booked", "in-progress")
    assert Message.objects.filter(status__in=["sending", "sent"]).count() == 0
    dispatch(at=NOW + timedelta(minutes=3))
    link.refresh_from_db()
    assert link.status == "sent"
    assert Message.objects.get(about=kept.about, step="confirmation").status == "sent"
    assert not Message.objects.filter(about=off.about, status="sent").exists()
