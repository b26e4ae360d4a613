"""Working at more than one place."""

import pytest
from django.urls import reverse

from clinic.staff.states import Role
from tests.factories.people import make_location, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def places():
    return make_location("Harley Street"), make_location("Lisbon", "Europe/Lisbon")


@pytest.fixture
def dora(client, places):
    user = make_user("Dora Diaz", Role.FRONT_DESK, location=places[0])
    places[1].staff.add(user)
    client.force_login(user)
    return user


def here(client):
    return client.get(reverse("tasks")).wsgi_request.location


def test_the_first_place_is_where_one_starts(client, dora, places):
    assert here(client) == places[0]


def test_switching_lasts_for_the_session_and_stays_on_a_list(client, dora, places):
    answer = client.post(reverse("switch_location"), {"location": places[1].ref, "next": "/tasks/?show=mine"})

    assert answer["Location"] == "/tasks/?show=mine"
    assert here(client) == places[1]


@pytest.mark.parametrize(
    "came_from",
    ["/tasks/00000000-0000-0000-0000-000000000001/", "https://evil.example/", "//evil.example/", "/no/such/page/", ""],
)
def test_switching_leaves_a_page_about_one_row_and_never_the_site(client, dora, places, came_from):
    answer = client.post(reverse("switch_location"), {"location": places[1].ref, "next": came_from})

    assert answer["Location"] == "/today/"


@pytest.mark.parametrize("wanted", ["", "nonsense", "00000000-0000-0000-0000-000000000001"])
def test_a_place_that_is_not_theirs_is_not_there(client, dora, places, wanted):
    assert client.post(reverse("switch_location"), {"location": wanted}).status_code == 404
    assert here(client) == places[0]


def test_somebody_who_no_longer_works_there_is_elsewhere_at_the_next_request(client, dora, places):
    client.post(reverse("switch_location"), {"location": places[1].ref})
    places[1].staff.remove(dora)

    assert here(client) == places[0]


def test_the_switcher_names_the_places_only_where_there_is_a_choice(client, dora, places):
    page = client.get(reverse("tasks")).content.decode()
    assert 'name="location"' in page
    assert "Lisbon" in page

    places[1].staff.remove(dora)
    assert 'name="location"' not in client.get(reverse("tasks")).content.decode()
