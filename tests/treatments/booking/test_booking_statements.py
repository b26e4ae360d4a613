"""What a booking asks of the database stays little, and the same however full the diary is."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories.people import make_device, make_patient
from tests.factories.visits import book, get_type, make_course, utc
from treatments.booking.states import SlotTaken

pytestmark = pytest.mark.django_db

TEN = utc("2026-11-24T10:00")


def statements_of(*args, **fields):
    get_type(fields.get("type", "consultation"))
    with CaptureQueriesContext(connection) as asked:
        book(*args, **fields)
    return that_matter(asked)


def that_matter(asked):
    """The statements that read or write, without those that only frame a transaction or are told once."""
    frames = ("SAVEPOINT", "RELEASE", "ROLLBACK", "PREPARE")
    return [each["sql"] for each in asked if not each["sql"].startswith(frames)]


def test_a_consultation_is_booked_in_few_statements_however_many_visits_there_are(place, bo):
    ana = make_patient(place)
    book(ana, bo, TEN + timedelta(days=1))  # the protocol's text is read by the first booking of a process

    few = statements_of(ana, bo, TEN)
    for number in range(1, 6):
        book(make_patient(place, f"P{number}"), bo, TEN + timedelta(minutes=30 * number))
        book(ana, bo, TEN + timedelta(days=7 * number))
    many = statements_of(ana, bo, TEN + timedelta(hours=4))

    assert len(few) == len(many) <= 10
    assert sum("clinic_rulepack" in sql and '"body"' in sql for sql in few) == 0


def test_a_treatment_reads_its_decision_at_most_twice(place, bo):
    make_device(place)
    course = make_course(make_patient(place))
    spare = make_course(make_patient(place, "Spare"))
    book(spare.patient, bo, TEN + timedelta(days=1), "treatment_nafl", course=spare)

    asked = statements_of(course.patient, bo, TEN, type="treatment_nafl", course=course)

    assert len(asked) <= 18
    assert sum('FROM "patients_candidacydecision"' in sql for sql in asked) <= 2
    assert sum('FROM "patients_screening"' in sql for sql in asked) == 0


def test_whoever_is_too_late_asks_less_than_whoever_wins(place, bo):
    ana, eve = make_patient(place), make_patient(place, "Eve")
    won = statements_of(ana, bo, TEN)

    with CaptureQueriesContext(connection) as asked, pytest.raises(SlotTaken) as taken:
        book(eve, bo, TEN)

    assert taken.value.next_free[0].starts_at == TEN + timedelta(minutes=30)
    assert len(that_matter(asked)) <= 5 < len(won)
