import pytest

from clinic.audit.states import Actor
from clinic.catalogue.models import Concern
from clinic.packs.models import RulePack
from patients.intake.actions import start_response
from tests.factories.people import NOW, make_location, make_patient


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


@pytest.fixture
def response(ana, knowledge):
    return start_response(patient=ana, by=Actor.command("desk"), at=NOW)
