"""A test spot that the rules ask for holds the treatment, but never the test spot itself."""

import pytest

from clinic.catalogue.models import AppointmentType
from clinic.worklist.models import Task
from patients.candidacy.actions import decide, settle_condition
from tests.factories.people import NOW
from tests.factories.screenings import make_screening
from tests.factories.treating import fit, make_clinic
from treatments.sessions.readiness import readiness

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    made = make_clinic()
    screening = make_screening(made.ana, made.course.modality, fst_confirmed="5")
    decide(
        screening=screening, kind="proceed", reason="Test spot, then low density.", conditions=[], by=made.by, at=NOW
    )
    fit(made)
    return made


def missing(clinic):
    clinic.visit.refresh_from_db()
    return [item.key for item in readiness(clinic.visit, NOW).missing]


def test_the_treatment_waits_for_the_reading_and_the_test_spot_does_not(clinic):
    assert missing(clinic) == ["tasks"]

    clinic.visit.type = AppointmentType.objects.filter(kind="test_spot").first()
    clinic.visit.save()

    assert missing(clinic) == []


def test_a_test_spot_read_well_frees_the_treatment(clinic):
    task = Task.objects.unfinished().get(kind="candidacy.test_spot")

    settle_condition(task=task, choice="read_ok", reason="Nothing to see after a week.", by=clinic.by, at=NOW)

    assert missing(clinic) == []


def test_a_test_spot_read_badly_leaves_no_decision_to_treat_on(clinic):
    task = Task.objects.unfinished().get(kind="candidacy.test_spot")

    settle_condition(task=task, choice="read_not_ok", reason="Dark marks.", by=clinic.by, at=NOW)

    assert "decision" in missing(clinic)
    assert "flags" in missing(clinic)
