"""Requests for a review go to those who agreed to them, from the moment they say so until they take it back."""

from datetime import timedelta

import pytest

from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from patients.registry.models import Patient
from patients.wishes.actions import set_news
from tests.factories.people import NOW
from tests.factories.recovering import ENDED, RED, after, answer, recovering
from tests.factories.smtp import SmtpServer
from tests.factories.treating import RECORD, make_clinic, treated_area
from tests.factories.visits import BY
from treatments.aftercare.actions import finish_treatment
from treatments.journey.actions import check_messages

pytestmark = pytest.mark.django_db


def say(clinic, agreed, at):
    set_news(patient=clinic.ana, agreed=agreed, by=BY, at=at)


def asked(status="planned"):
    return Message.objects.filter(step="review_request", status=status).count()


def test_after_a_treatment_nobody_is_asked_for_a_review_who_did_not_agree():
    recovering()

    assert (asked(), Message.objects.filter(step="recall_6m").count()) == (0, 1)


def test_who_agreed_before_the_treatment_is_asked_after_it():
    clinic = make_clinic()
    say(clinic, True, NOW)

    finish_treatment(session=treated_area(clinic), completed_at=ENDED, record=RECORD, by=clinic.by, at=ENDED)

    assert asked() == 1


def test_agreeing_plans_the_request_and_taking_it_back_withdraws_it_and_nothing_else():
    clinic = recovering()
    others = lambda: set(  # noqa: E731
        Message.objects.exclude(step="review_request").values_list("pk", "status", "revision", "due_at")
    )
    before = others()

    counts = []
    for number, agreed in enumerate([True, False, True]):
        say(clinic, agreed, after(days=2, hours=number))
        counts.append(asked())

    assert counts == [1, 0, 1]
    assert others() == before
    withdrawn = Message.objects.get(step="review_request", status="superseded")
    assert withdrawn.reason.startswith("No longer agrees to news")


def test_who_agrees_while_an_alarm_is_open_is_not_asked_before_it_is_closed():
    clinic = recovering()
    answer(clinic, RED)

    say(clinic, True, after(days=2))
    check_messages(by=BY, at=after(days=3))

    assert asked() == 0


def test_the_night_finds_nothing_to_repair_after_somebody_agreed():
    clinic = recovering()
    say(clinic, True, after(days=1))

    assert check_messages(by=BY, at=after(days=2)).repaired == 0


@pytest.mark.parametrize(("agreed", "letters", "status"), [(True, 1, "sent"), (False, 0, "skipped")])
def test_the_sender_asks_once_more_whether_they_agreed(settings, agreed, letters, status):
    clinic = recovering()
    say(clinic, True, after(days=1))
    if not agreed:  # as if the planner had never heard of it
        Patient.objects.filter(pk=clinic.ana.pk).update(news_agreed=False)
    request = Message.objects.get(step="review_request")
    Message.objects.exclude(pk=request.pk).update(try_at=request.due_at + timedelta(days=900))

    with SmtpServer() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
        dispatch(at=request.due_at)

    request.refresh_from_db()
    assert (len(server.letters), request.status) == (letters, status)
