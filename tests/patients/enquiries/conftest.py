import pytest

from clinic.catalogue.models import Concern
from clinic.packs.models import RulePack
from tests.factories.people import make_location, make_patient


@pytest.fixture
def place():
    return make_location()


@pytest.fixture
def ana(place):
    return make_patient(place)


@pytest.fixture
def knowledge(db):
    """What every clinic starts with: its concerns and its questionnaire."""
    assert Concern.objects.exists()
    assert RulePack.objects.filter(kind="questionnaire", name="intake", status="published").exists()
