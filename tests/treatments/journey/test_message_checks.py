"""What the night found, on a page: names of one's own patients, and only how many of others."""

from datetime import timedelta

import pytest

from clinic.staff.states import Role
from patients.messaging.models import Message
from tests.factories.people import NOW, make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import BY, book, utc
from treatments.journey.actions import check_messages

pytestmark = pytest.mark.django_db


def test_the_desk_sees_what_the_night_put_right_and_nobody_of_another_place(client):
    here, there = make_location(), make_location(name="Quay Street")
    ana = make_patient(here)
    eve = make_patient(there, "Eve", email="eve@m.example")
    for patient, place, name in ((ana, here, "Bo Lindqvist"), (eve, there, "Kim Park")):
        book(patient, make_practitioner(name, place), utc("2027-01-18T10:00"))
    Message.objects.filter(step__startswith="reminder").delete()
    check_messages(by=BY, at=NOW + timedelta(hours=1))
    client.force_login(make_user("Dee", Role.FRONT_DESK, location=here))

    page = client.get("/messages/nightly/").content.decode()

    assert "repaired 2 differences" in page
    assert "Ana Reyes" in page
    assert "Eve" not in page
    assert "and 1 at another location" in page


def test_a_night_without_differences_says_so(client):
    place = make_location()
    client.force_login(make_user("Dee", Role.FRONT_DESK, location=place))
    assert "No night has passed yet" in client.get("/messages/nightly/").content.decode()

    check_messages(by=BY, at=NOW)

    assert "all as it should be" in client.get("/messages/nightly/").content.decode()
