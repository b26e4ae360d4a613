"""Default deny: marks, permissions and what a refusal leaves behind."""

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path, reverse

from clinic.audit.models import AuditEvent
from clinic.audit.states import Outcome
from clinic.staff.access import public, staff
from clinic.staff.models import User
from clinic.staff.states import ROLE_TABLE, Permission, Role
from clinic.urls import urlpatterns as ours
from tests.factories.people import make_location, make_user

pytestmark = pytest.mark.django_db


def forgotten(request):
    return HttpResponse("the answers of Ana Reyes")


@staff(Permission.SEE_CHART)
def chart(request, ref=""):
    return HttpResponse("the answers of Ana Reyes")


@public
def leaflet(request):
    return HttpResponse("opening hours")


urlpatterns = [
    path("forgotten/", forgotten, name="forgotten"),
    path("chart/", chart, name="chart"),
    path("chart/<uuid:ref>/", chart, name="chart_of"),
    path("leaflet/", leaflet, name="leaflet"),
    *ours,
]


@pytest.fixture(autouse=True)
def _pages(settings):
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def place():
    return make_location()


def test_a_view_that_forgot_its_mark_is_closed_to_everyone(client, place):
    assert client.get("/forgotten/").status_code == 403
    keeper = make_user("Kai Meyer", *Role, location=place, is_superuser=True, is_staff=True)
    client.force_login(keeper)
    answer = client.get("/forgotten/")
    assert answer.status_code == 403
    assert "Ana" not in answer.content.decode()


def test_a_public_page_is_open(client):
    assert client.get("/leaflet/").status_code == 200


def test_a_visitor_is_shown_the_door(client):
    assert client.get("/chart/")["Location"] == "/accounts/login/?next=/chart/"


def test_a_fragment_sends_the_whole_page_to_the_door(client):
    answer = client.get("/chart/", headers={"HX-Request": "true"})

    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/accounts/login/")


def test_a_role_without_the_permission_is_refused_and_the_trail_says_so(client, place):
    desk = make_user("Dora Diaz", Role.FRONT_DESK, location=place)
    client.force_login(desk)

    answer = client.get("/chart/00000000-0000-0000-0000-000000000001/")

    assert answer.status_code == 403
    assert "Ana" not in answer.content.decode()
    event = AuditEvent.objects.get(action="access.refused")
    assert (event.actor_id, event.outcome, event.subject_id) == (str(desk.pk), Outcome.REFUSED, "chart_of")
    assert event.detail == {
        "why": "permission:see_chart",
        "target": {"ref": "00000000-0000-0000-0000-000000000001"},
    }


def test_taking_a_role_away_works_at_the_next_request(client, place):
    clinician = make_user("Bo Lindqvist", Role.CLINICIAN, location=place)
    client.force_login(clinician)
    assert client.get("/chart/").status_code == 200

    clinician.groups.clear()

    assert client.get("/chart/").status_code == 403


def test_pages_for_people_are_never_kept_by_a_cache(client, place):
    client.force_login(make_user("Bo Lindqvist", Role.CLINICIAN, location=place))

    assert client.get("/chart/")["Cache-Control"] == "no-store"


def test_every_role_holds_exactly_what_the_table_says(place):
    for role, permissions in ROLE_TABLE.items():
        user = User.objects.get(pk=make_user(f"Person {role.label}", role, location=place).pk)
        assert {permission for permission in Permission if user.may(permission)} == set(permissions)


def test_somebody_without_a_role_may_nothing(place):
    user = make_user("Nil Novak", location=place)

    assert [permission for permission in Permission if user.may(permission)] == []


def test_a_form_without_token_is_refused_with_a_way_back(place):
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(make_user("Dora Diaz", Role.FRONT_DESK, location=place))

    answer = careful.post(reverse("switch_location"), {"location": str(place.ref)})

    assert answer.status_code == 403
    assert "Please send that again" in answer.content.decode()
