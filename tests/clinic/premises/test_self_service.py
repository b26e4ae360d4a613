"""A manager says what visitors and patients may do without the desk, place by place."""

import pytest
from django.urls import reverse

from clinic.audit.models import AuditEvent
from clinic.premises.models import Location
from clinic.staff.states import Role
from tests.factories.people import make_location, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return make_location()


@pytest.fixture
def manager(client, place):
    client.force_login(make_user("Max Berg", Role.MANAGER, location=place))
    return client


def sent(place, online="on", lead="48", notice="12"):
    facts = {"online_lead_hours": lead, "change_notice_hours": notice, **({"online_booking": online} if online else {})}
    return {"place": str(place.ref), **{f"{place.ref}-{name}": value for name, value in facts.items()}}


def stands(place):
    fresh = Location.objects.get(pk=place.pk)
    return fresh.online_booking, fresh.online_lead_hours, fresh.change_notice_hours


def test_a_new_place_takes_no_visitors(place):
    assert stands(place) == (False, 24, 24)


def test_what_is_saved_counts_at_once_and_is_on_record(manager, place):
    assert manager.post(reverse("self_service"), sent(place)).status_code == 302

    assert stands(place) == (True, 48, 12)
    event = AuditEvent.objects.get(action="location.self_service")
    assert event.detail["was"] == {"online_booking": False, "online_lead_hours": 24, "change_notice_hours": 24}
    assert reverse("online") in manager.get(reverse("self_service")).content.decode()


def test_saving_the_same_again_leaves_no_trace(manager, place):
    for _ in range(2):
        manager.post(reverse("self_service"), sent(place))

    assert AuditEvent.objects.filter(action="location.self_service").count() == 1


@pytest.mark.parametrize(("lead", "notice"), [("-1", "24"), ("24", "337"), ("", "24"), ("soon", "24")])
def test_hours_that_make_no_sense_are_said_and_nothing_changes(manager, place, lead, notice):
    answer = manager.post(reverse("self_service"), sent(place, lead=lead, notice=notice))

    assert answer.status_code == 422
    assert "is-invalid" in answer.content.decode()
    assert stands(place) == (False, 24, 24)


def test_another_place_is_not_there_and_others_may_not(manager, place, client):
    lisbon = make_location("Lisbon", "Europe/Lisbon")

    assert manager.post(reverse("self_service"), sent(lisbon)).status_code == 404

    client.force_login(make_user("Mia Okafor", Role.FRONT_DESK, location=place))
    assert client.post(reverse("self_service"), sent(place)).status_code == 403
    assert stands(place) == stands(lisbon) == (False, 24, 24)
