"""The front door."""

import pytest
from django.urls import reverse

from clinic.staff.states import Role
from tests.factories.people import make_location, make_user


@pytest.mark.django_db
def test_a_visitor_may_ask_about_treatment_or_sign_in(client):
    page = client.get("/").content.decode()

    assert reverse("account_login") in page
    assert 'href="/enquire/"' in page
    assert "Ask about treatment" in page


@pytest.mark.django_db
def test_staff_go_on_to_their_day(client):
    client.force_login(make_user("Dora Diaz", Role.FRONT_DESK, location=make_location()))

    assert client.get("/")["Location"] == "/today/"


def test_the_process_says_it_is_alive_and_nothing_else(client):
    answer = client.get("/livez")

    assert (answer.status_code, answer.content) == (200, b"alive\n")


@pytest.mark.django_db
def test_the_security_policy_allows_no_inline_script_or_style(client):
    policy = client.get("/")["Content-Security-Policy"]

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
