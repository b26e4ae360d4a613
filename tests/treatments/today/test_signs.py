"""The signs of the day's pages: what is missing, each once, in words, and in the legend."""

import pytest

from tests.factories.treating import make_clinic
from treatments.booking.states import AppointmentStatus
from treatments.diary.cells import legend
from treatments.today.lines import MARKS, marks_of
from treatments.today.queries import visits_of_day


def seen(visit):
    day = visit.starts_at.astimezone(visit.location.zone).date()
    return next(each for each in visits_of_day(visit.location, day) if each.ref == visit.ref)


@pytest.fixture
def visit(db):
    return make_clinic().visit


def labels(day_visit):
    return [mark.label for mark in marks_of(day_visit)]


def test_a_treatment_of_somebody_without_photos_says_so(visit):
    shown = seen(visit)

    assert shown.has_photos is False
    assert "Photos missing" in labels(shown)
    assert "Photos missing" not in labels(shown._replace(has_photos=True))
    assert "Photos missing" not in labels(shown._replace(kind="consultation"))


@pytest.mark.parametrize("fact", ["has_alarm", "has_event_to_review"])
def test_an_open_alert_stands_first_until_it_is_closed(visit, fact):
    shown = seen(visit)

    assert "Alert: ask a clinician first" not in labels(shown)
    assert labels(shown._replace(**{fact: True}))[0] == "Alert: ask a clinician first"


def test_a_visit_that_is_over_misses_nothing(visit):
    shown = seen(visit)._replace(
        status=AppointmentStatus.FULFILLED, has_alarm=True, has_photos=False, has_answers=False, override_reason="x"
    )

    assert labels(shown) == ["Booked past a rule"]


def test_the_legend_explains_every_sign_there_is():
    words = legend("en")

    assert [mark.label for mark in MARKS.values() if mark.label not in words] == []
