"""Threads on the real database: one form sent twice at once, many visitors for one time, a burst from one place."""

import uuid
from datetime import date

import pytest

from clinic.audit.states import Actor
from patients.registry.models import Patient
from tests.factories.people import NOW, make_location, make_practitioner
from tests.factories.visits import get_type, utc
from tests.treatments.booking.test_booking_races import overlaps, together
from treatments.booking.models import Appointment
from treatments.online.actions import Visitor, book_consultation
from treatments.online.rules import FROM_ONE_ADDRESS
from treatments.online.states import TooMany

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]


@pytest.fixture
def place():
    place = make_location(online_booking=True)
    make_practitioner("Bo Lindqvist", place)
    return place


def ask(place, starts_at, number=0, form_key=None, network=None):
    return lambda: book_consultation(
        place=place,
        kind=get_type(),
        starts_at=starts_at,
        visitor=Visitor("Noa", "Castel", date(1985, 3, 27), f"noa{number}@mail.example"),
        network=network or f"10.0.0.{number}",
        form_key=form_key or uuid.uuid4(),
        by=Actor.visitor(),
        at=NOW,
    )


def test_one_form_sent_four_times_at_once_is_one_visit_in_every_round(place):
    for hour in range(9, 17):
        key = uuid.uuid4()

        found = together(*[ask(place, utc(f"2026-11-26T{hour:02}:00"), hour, key) for _ in range(4)])

        assert {each.pk for each in found} == {Appointment.objects.get(form_key=key).pk}
    assert (Appointment.objects.count(), Patient.objects.count()) == (8, 8)


def test_eight_visitors_for_one_time_get_one_visit_and_seven_next_pages(place):
    for round_, hour in enumerate(range(9, 17)):
        starts_at = utc(f"2026-11-27T{hour:02}:00")

        found = together(*[ask(place, starts_at, 10 * round_ + each) for each in range(8)])

        assert sorted(type(each).__name__ for each in found) == ["Appointment"] + ["SlotTaken"] * 7
    assert overlaps() == 0
    assert Patient.objects.count() == 8


def test_a_burst_from_one_network_counts_like_a_queue(place):
    for _ in range(3):
        make_practitioner("Cy Adeyemi", place)
    asks = [
        ask(place, utc(f"2026-11-25T{9 + each // 2:02}:{30 * (each % 2):02}"), each, network="10.9.9.9")
        for each in range(FROM_ONE_ADDRESS + 4)
    ]

    found = together(*asks)

    assert sum(isinstance(each, TooMany) for each in found) == 4
    assert Appointment.objects.count() == FROM_ONE_ADDRESS
