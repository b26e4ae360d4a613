"""Several answers at once: all of them or none, each on record, none of them in the trail."""

import pytest

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from patients.intake.actions import AnswerUnusable, FormClosed, complete_response, save_answers, start_response
from patients.intake.models import Answer
from patients.intake.queries import latest_answers
from tests.factories.answers import NEUTRAL
from tests.factories.people import NOW, make_location, make_patient
from tests.factories.screenings import answer_intake

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana():
    return make_patient(make_location())


@pytest.fixture
def by(ana):
    return Actor.patient(ana.ref, ana.full_name)


@pytest.fixture
def response(ana, by):
    return start_response(patient=ana, by=by, at=NOW)


def test_each_answer_counts_and_the_trail_names_questions_only(response, by):
    rows = save_answers(response=response, given={"cold_sores": "yes", "eczema": "not_sure"}, by=by, at=NOW)

    assert [(row.question, row.value) for row in rows] == [("cold_sores", "yes"), ("eczema", "not_sure")]
    answers = latest_answers(response)
    assert (answers["cold_sores"], answers["eczema"]) == ("yes", "not_sure")
    event = AuditEvent.objects.get(action="answers.saved")
    assert event.detail == {"questions": ["cold_sores", "eczema"], "by_phone": False}


def test_a_blank_leaves_the_answer_that_stood_there(response, by):
    save_answers(response=response, given={"cold_sores": "yes"}, by=by, at=NOW)

    assert save_answers(response=response, given={"cold_sores": ""}, by=by, at=NOW) == []
    assert latest_answers(response)["cold_sores"] == "yes"


def test_one_unusable_answer_leaves_none(response, by):
    with pytest.raises(AnswerUnusable) as refused:
        save_answers(response=response, given={"cold_sores": "yes", "eczema": "perhaps"}, by=by, at=NOW)

    assert refused.value.field == "eczema"
    assert not Answer.objects.filter(question="cold_sores").exists()


def test_the_same_answers_again_change_nothing_and_new_ones_keep_the_old(response, by):
    save_answers(response=response, given={"cold_sores": "yes", "diabetes": "none"}, by=by, at=NOW)

    rows = save_answers(response=response, given={"cold_sores": "never", "diabetes": "none"}, by=by, at=NOW)

    assert [row.question for row in rows] == ["cold_sores"]
    kept = Answer.objects.filter(response=response, question="cold_sores").order_by("pk")
    assert [(row.value, row.is_latest) for row in kept] == [("yes", False), ("never", True)]


def test_a_form_sent_in_takes_no_more(ana, by):
    response = complete_response(response=answer_intake(ana, at=NOW), by=by, at=NOW)

    with pytest.raises(FormClosed):
        save_answers(response=response, given={"cold_sores": NEUTRAL["cold_sores"]}, by=by, at=NOW)
