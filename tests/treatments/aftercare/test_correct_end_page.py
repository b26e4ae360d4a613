"""Correcting when a treatment ended, on its page."""

from datetime import timedelta

import pytest
import time_machine

from tests.factories.recovering import after, recovering
from treatments.sessions.models import TreatmentSession

pytestmark = pytest.mark.django_db


@pytest.fixture
def bo(client):
    clinic = recovering()
    with time_machine.travel(after(hours=1), tick=False):
        client.force_login(clinic.bo)
        yield client


def session() -> TreatmentSession:
    return TreatmentSession.objects.select_related("appointment__location").get()


def wall(moment):
    return f"{moment.astimezone(session().appointment.location.zone):%Y-%m-%dT%H:%M}"


def test_the_page_shows_what_was_written_and_changes_nothing(bo):
    was = session().completed_at

    page = bo.get(f"/sessions/{session().ref}/end/").content.decode()

    assert wall(was) in page
    assert session().completed_at == was


def test_the_true_time_stands_and_says_what_moved(bo):
    true = session().completed_at - timedelta(minutes=10)

    answer = bo.post(
        f"/sessions/{session().ref}/end/", {"completed_at": wall(true), "reason": "The clock was fast"}, follow=True
    )

    assert session().completed_at == true.replace(second=0, microsecond=0)
    assert "messages moved" in answer.content.decode()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"reason": ""}, "Please say why the time was wrong."),
        ({"completed_at": ""}, "Please say when it ended."),
        ({"completed_at": "soon"}, "Please give a day and a time."),
        ({"completed_at": "2099-01-01T10:00"}, "The treatment cannot have ended in the future."),
        ({"completed_at": "2001-01-01T10:00"}, "The treatment started at"),
    ],
)
def test_what_cannot_be_is_refused_and_stays_typed(bo, given, sentence):
    was = session().completed_at
    posted = {"completed_at": wall(was), "reason": "The clock was fast", **given}

    answer = bo.post(f"/sessions/{session().ref}/end/", posted)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert posted["completed_at"] in answer.content.decode()
    assert session().completed_at == was
