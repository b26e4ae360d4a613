"""One answer amended at the consultation: what the patient said to every other question still reaches the treatment."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from patients.intake.actions import amend_response
from patients.intake.queries import answers_in_force, completed_response
from tests.factories.people import NOW, make_location, make_patient
from tests.factories.recovering import RED, answer, recovering
from tests.factories.screenings import make_response
from tests.factories.treating import make_clinic, under_way
from tests.factories.visits import make_decision
from treatments.aftercare.queries import history_of
from treatments.sessions.queries import context_of

pytestmark = pytest.mark.django_db
HANDED_IN, FOUND_OUT = NOW + timedelta(days=1), NOW + timedelta(days=2)


def amended(clinic, after=(), **said):
    """The patient said this; then the clinician found something out about each of `after`, one amendment each."""
    make_response(clinic.ana, at=HANDED_IN, **said)
    for number, found in enumerate(after):
        response = completed_response(clinic.ana)
        amend_response(response=response, answers=found, by=clinic.by, at=FOUND_OUT + timedelta(hours=number))


def test_nobody_has_answers_in_force_before_they_are_sent_in():
    assert answers_in_force(make_patient(make_location())) == {}


def test_cold_sores_still_count_when_the_skin_type_was_confirmed_since():
    clinic = recovering()
    amended(clinic, after=[{"fst_confirmed": "5"}], cold_sores="yes")
    session = answer(clinic, RED).checkin.session

    assert history_of(session) == {"cold_sores", "skin_type_4_6"}


def test_an_amended_answer_counts_in_the_place_of_the_patients_own():
    clinic = recovering()
    amended(clinic, after=[{"cold_sores": "never"}], cold_sores="yes", fst_confirmed="2")

    assert history_of(answer(clinic, RED).checkin.session) == frozenset()


def test_settings_are_compared_with_the_skin_type_confirmed_two_amendments_ago():
    clinic = make_clinic()
    session = under_way(clinic)
    amended(clinic, after=[{"fst_confirmed": "5"}, {"smoking": "current"}])

    assert context_of(session, "full_face").skin_type == 5


def test_a_new_course_offers_the_areas_the_patient_asked_for(settings):
    settings.MFA_COMPULSORY = False
    clinic = make_clinic()
    make_decision(clinic.ana, "pico_755", decider=clinic.bo)
    amended(clinic, after=[{"smoking": "current"}], treatment_areas=["neck"])
    client = Client()
    client.force_login(clinic.bo)

    page = client.get(reverse("course_new", args=[clinic.ana.ref]))

    assert page.context["form"].initial["areas"] == ["neck"]
