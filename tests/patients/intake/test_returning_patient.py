"""Somebody who answered before says what is still right; what changes quickly is asked again."""

import re
from datetime import timedelta

import pytest
from django.db import transaction

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.staff.states import Role
from patients.intake.actions import (
    FormClosed,
    amend_response,
    complete_response,
    confirm_answers,
    save_answer,
    start_response,
)
from patients.intake.models import Answer
from patients.intake.queries import former_answers, latest_answers, questionnaire_of
from tests.factories.answers import NEUTRAL
from tests.factories.people import NOW, make_location, make_patient, make_user
from tests.factories.screenings import answer_intake
from tests.patients.intake.test_intake_pages import Form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("knowledge")]
A_YEAR_LATER = NOW + timedelta(days=365)
FORMERLY = {"psoriasis": "past", "eczema": "not_sure", "pregnancy": "yes", "pregnancy_due": "2027-03-01"}


@pytest.fixture
def ana():
    return make_patient(make_location())


def by_ana(patient):
    return Actor.patient(patient.ref, patient.full_name)


def returned(patient, **changes):
    """The form of a patient who sent answers in a year ago."""
    first = answer_intake(patient, **changes)
    complete_response(response=first, by=by_ana(patient), at=NOW)
    return start_response(patient=patient, by=by_ana(patient), at=A_YEAR_LATER)


def test_nothing_said_before_counts_until_it_is_confirmed(ana):
    again = returned(ana, **FORMERLY)

    assert set(latest_answers(again)) == {"age_years"}
    assert former_answers(again)["psoriasis"] == {"value": "past", "at": NOW.isoformat(), "by": "Ana Reyes"}
    assert former_answers(again)["eczema"]["value"] == "not_sure"


def test_what_changes_quickly_is_never_carried(ana):
    again = returned(ana, **FORMERLY)

    expiring = set(questionnaire_of(again).expiring())
    assert expiring & set(former_answers(again)) == set()
    rows = confirm_answers(response=again, questions=["pregnancy", "psoriasis"], by=by_ana(ana), at=A_YEAR_LATER)
    assert [row.question for row in rows] == ["psoriasis"]
    assert "pregnancy" not in latest_answers(again)


def test_a_confirmed_answer_says_when_and_the_old_record_stays(ana):
    again = returned(ana, **FORMERLY)
    old = dict(again.amends.snapshot)

    confirm_answers(response=again, questions=["psoriasis"], by=by_ana(ana), at=A_YEAR_LATER)

    row = Answer.objects.get(response=again, question="psoriasis", is_latest=True)
    assert (row.value, row.answered_at, row.answered_by) == ("past", A_YEAR_LATER, "Ana Reyes")
    again.amends.refresh_from_db()
    assert again.amends.snapshot == old
    event = AuditEvent.objects.get(action="answers.confirmed")
    assert (event.detail["questions"], "past" in str(event.detail)) == (["psoriasis"], False)


def test_confirming_never_undoes_an_answer_given_meanwhile_and_twice_is_once(ana):
    again = returned(ana, **FORMERLY)
    save_answer(response=again, question="psoriasis", raw="active_in_area", by=by_ana(ana), at=A_YEAR_LATER)

    for _ in range(2):
        confirm_answers(response=again, questions=["psoriasis", "eczema"], by=by_ana(ana), at=A_YEAR_LATER)

    assert (latest_answers(again)["psoriasis"], latest_answers(again)["eczema"]) == ("active_in_area", "not_sure")
    assert Answer.objects.filter(response=again, question="eczema").count() == 1


def test_a_form_sent_in_confirms_nothing_more(ana):
    first = answer_intake(ana)
    complete_response(response=first, by=by_ana(ana), at=NOW)

    with pytest.raises(FormClosed):
        confirm_answers(response=first, questions=["psoriasis"], by=by_ana(ana), at=NOW)


def test_a_first_form_and_one_whose_old_answer_no_longer_fits_offer_nothing(ana):
    first = answer_intake(ana)
    assert former_answers(first) == {}

    complete_response(response=first, by=by_ana(ana), at=NOW)
    again = start_response(patient=ana, by=by_ana(ana), at=A_YEAR_LATER)
    again.amends.snapshot["psoriasis"]["value"] = "an option of long ago"
    assert "psoriasis" not in former_answers(again)


def test_what_only_the_clinic_answers_is_carried_with_its_own_date_and_author(ana):
    bo = make_user("Bo Lindqvist", Role.CLINICIAN, location=ana.location)
    first = complete_response(response=answer_intake(ana), by=by_ana(ana), at=NOW)
    seen = amend_response(response=first, answers={"fst_confirmed": "4"}, by=Actor.staff(bo), at=NOW)

    again = complete_response(response=answer_intake(ana, at=A_YEAR_LATER), by=by_ana(ana), at=A_YEAR_LATER)

    assert again.amends == seen
    assert again.snapshot["fst_confirmed"] == {"value": "4", "at": NOW.isoformat(), "by": "Bo Lindqvist"}
    assert again.snapshot["fst_q1"]["at"] == A_YEAR_LATER.isoformat()


def test_a_form_left_lying_asks_again_what_is_too_old(ana):
    begun = answer_intake(ana, anticoagulants=["aspirin"])

    again = start_response(patient=ana, by=by_ana(ana), at=NOW + timedelta(days=90))

    assert again == begun
    assert set(NEUTRAL) - {"fst_confirmed"} - set(latest_answers(again)) == {
        "isotretinoin", "photosensitisers", "anticoagulants",
    }  # fmt: skip
    assert Answer.objects.get(response=again, question="anticoagulants").value == ["aspirin"]


def test_a_form_left_lying_for_less_asks_nothing_again(ana):
    answer_intake(ana)

    again = start_response(patient=ana, by=by_ana(ana), at=NOW + timedelta(days=89))

    assert "isotretinoin" in latest_answers(again)


# --- on the phone -----------------------------------------------------------------------------------------------------


@pytest.fixture
def form(ana):
    first = answer_intake(ana, **FORMERLY)
    complete_response(response=first, by=by_ana(ana), at=NOW)
    return Form(ana)


def marks(page):
    found = re.findall(r'name="((?:former|was)-[a-z0-9_]+)" value="([^"]*)"', page)
    return {name: value.replace("&quot;", '"') for name, value in found}


def test_still_right_on_a_screen_confirms_what_it_showed_and_goes_on(form):
    page = form.page("concerns")
    assert "What you told us last time" in page
    assert "Fine lines" in page

    answered = form.client.post(form.url("intake_group", "concerns"), {**marks(page), "still_right": "1"})

    assert answered.status_code == 302
    assert answered.url == form.url("intake_group", "areas")
    assert latest_answers(form.response)["concerns"] == ["fine_lines"]


def test_a_former_answer_corrected_since_the_page_was_opened_is_asked_about_again(form, ana):
    page = form.page("concerns")
    bo = make_user("Bo Lindqvist", Role.CLINICIAN, location=ana.location)
    found = {"concerns": ["pores"]}
    amend_response(response=form.response.amends, answers=found, by=Actor.staff(bo), at=A_YEAR_LATER)

    form.client.post(form.url("intake_group", "concerns"), {**marks(page), "still_right": "1"})

    assert "concerns" not in latest_answers(form.response)
    label = questionnaire_of(form.response).by_key["concerns"].label_of(["pores"])
    assert f'<span class="ag-said">{label}</span>' in form.page("concerns")


def test_something_changed_shows_the_former_answer_to_alter(form):
    url = form.url("intake_group", "concerns")
    page = form.client.get(url + "?change=1").content.decode()
    assert "What you told us last time" not in page
    assert 'value="fine_lines" id="concerns-fine_lines-is" checked' in page
    assert "concerns" not in latest_answers(form.response)

    form.client.post(url + "?change=1", {**marks(page), "concerns": ["pores"]})

    assert latest_answers(form.response)["concerns"] == ["pores"]


def test_the_screen_of_pregnancy_asks_afresh(form):
    page = form.page("pregnancy")

    assert 'name="pregnancy" value="yes"' in page
    assert 'id="pregnancy-yes-is" checked' not in page
    assert 'name="former-pregnancy"' not in page


def test_a_returning_patient_can_send_in_only_what_was_said_again(form, ana):
    with transaction.atomic():
        confirm_answers(
            response=form.response, questions=former_answers(form.response), by=by_ana(ana), at=A_YEAR_LATER
        )

    page = form.client.get(form.url("intake_check")).content.decode()

    assert "Are you pregnant?" in page
    assert "Send my answers" not in page
