"""No page shows somebody a way that is closed to them."""

import re

import pytest
from django.urls import reverse

from clinic.staff.states import Role

ELSEWHERE = ("/static/", "/accounts/")


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_every_link_of_a_chart_and_of_the_menu_opens(house, role):
    assert house.done
    client = house.client(role)
    pages = [reverse("patient_chart", args=[house.patient.ref]), reverse("today")]
    links = {
        href.replace("&amp;", "&")
        for page in pages
        for href in re.findall(r'href="(/[^"#]*)"', client.get(page).content.decode())
        if not href.startswith(ELSEWHERE)
    }

    closed = sorted(link for link in links if client.get(link).status_code in {403, 404})

    assert len(links) > 5
    assert closed == []
