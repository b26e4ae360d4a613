"""Where most stories of the upper floor begin: a place, Bo who treats there, Ana who comes, and the desk signed in.

A test that needs another beginning makes its own under the same name.
"""

import pytest

from clinic.staff.states import Role

from .people import make_location, make_patient, make_practitioner, make_user


@pytest.fixture
def place():
    return make_location()


@pytest.fixture
def bo(place):
    return make_practitioner("Bo Lindqvist", place)


@pytest.fixture
def ana(place):
    return make_patient(place)


@pytest.fixture
def desk(client, place):
    client.force_login(make_user("Pia Desk", Role.FRONT_DESK, location=place))
    return client


def text(response) -> str:
    return response.content.decode()
