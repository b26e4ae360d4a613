"""Answers handed in and screened, to start a test of what a clinician does."""

from datetime import timedelta

from clinic.audit.states import Actor
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from patients.candidacy.actions import screen_response
from patients.intake.actions import save_answer, start_response
from patients.intake.models import QuestionnaireResponse
from patients.intake.queries import questionnaire_of
from tests.factories.answers import NEUTRAL
from tests.factories.people import NOW

TODAY = NOW.date()


def ago(days) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


def make_response(patient, *, without=(), at=NOW, **changes) -> QuestionnaireResponse:
    """Answers of a neutral adult with type II skin, with some changed or left out, frozen as if just sent in."""
    values = {key: value for key, value in (NEUTRAL | changes).items() if key not in without}
    return QuestionnaireResponse.objects.create(
        patient=patient,
        pack=published(PackKind.QUESTIONNAIRE, "intake"),
        status="completed",
        started_at=at,
        completed_at=at,
        snapshot={key: {"value": v, "at": at.isoformat(), "by": patient.full_name} for key, v in values.items()},
    )


def make_screening(patient, modality="nafl_1550", *, without=(), at=NOW, **changes):
    """The current screening of a neutral adult for one laser, with some answers changed or left out."""
    response = make_response(patient, without=without, at=at, **changes)
    by = Actor.patient(patient.ref, patient.full_name)
    return screen_response(response=response, modality=modality, reference_on=at.date(), by=by, at=at)


def answer_intake(patient, *, without=(), at=NOW, **changes) -> QuestionnaireResponse:
    """An open form in which the patient answered every question put to them, through the same action as on a phone."""
    by = Actor.patient(patient.ref, patient.full_name)
    response = start_response(patient=patient, by=by, at=at)
    asked = questionnaire_of(response).by_key
    for key, value in (NEUTRAL | changes).items():
        if key not in without and key != "age_years" and asked[key].by_patient:
            raw = ["none_of_these"] if value == [] else value
            save_answer(response=response, question=key, raw=raw, by=by, at=at)
    return response
