"""Handing answers in: what is screened, what becomes a flag, what is kept byte for byte."""

import hashlib
import json
from datetime import date, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.worklist.models import Task
from patients.candidacy import screening as screening_acts
from patients.candidacy.actions import decide, record_answers, screen_response, submit_intake
from patients.candidacy.models import Flag, Screening
from patients.candidacy.queries import current_screenings, open_flags, review_queue
from patients.candidacy.states import NotAuthorised, NotCompleted, ScreeningReplaced
from patients.intake.actions import AnswersMissing, AnswerUnusable
from patients.intake.models import QuestionnaireResponse
from tests.factories.people import NOW, actor, make_clinician, make_device, make_location, make_patient
from tests.factories.screenings import ago, answer_intake, make_response, make_screening

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def location():
    place = make_location()
    for modality in ("afl_co2", "nafl_1550", "pico_755"):
        make_device(place, modality)
    return place


@pytest.fixture
def ana(location):
    return make_patient(location)


@pytest.fixture
def bo(location):
    return make_clinician(location=location)


def patient_of(patient):
    return Actor.patient(patient.ref, patient.full_name)


def submit(patient, **changes):
    response = answer_intake(patient, **changes)
    return submit_intake(response=response, by=patient_of(patient), at=NOW)


def test_sending_answers_screens_each_laser_of_the_location_and_asks_a_clinician(location, ana):
    make_device(location, "nafl_1540", is_active=False)

    screenings = submit(ana, eczema="past")

    assert [each.modality for each in screenings] == ["afl_co2", "nafl_1550", "pico_755"]
    assert {each.outcome for each in screenings} == {"incomplete"}
    assert {each.reference_on for each in screenings} == {NOW.date()}
    task = Task.objects.get(kind="candidacy.review")
    assert (task.role, task.title) == ("clinician", "Review the answers of Ana Reyes")
    assert task.about == f"screening:{screenings[0].ref}"


def test_sending_twice_changes_nothing(ana):
    first = submit(ana)
    events = AuditEvent.objects.count()

    again = submit_intake(response=first[0].response, by=patient_of(ana), at=LATER)

    assert [each.pk for each in again] == [each.pk for each in first]
    assert Screening.objects.count() == 3
    assert AuditEvent.objects.count() == events


def test_a_failure_in_the_last_write_leaves_the_form_open(ana, monkeypatch):
    response = answer_intake(ana)

    def fail(**kwargs):
        raise RuntimeError("the list of tasks is down")

    monkeypatch.setattr(screening_acts, "raise_task", fail)
    with pytest.raises(RuntimeError):
        submit_intake(response=response, by=patient_of(ana), at=NOW)

    response.refresh_from_db()
    assert (response.status, response.snapshot) == ("in-progress", None)
    assert Screening.objects.count() == Flag.objects.count() == 0


def test_a_blank_starred_question_keeps_the_form_open(ana):
    response = answer_intake(ana, without=["isotretinoin"])

    with pytest.raises(AnswersMissing):
        submit_intake(response=response, by=patient_of(ana), at=NOW)

    assert QuestionnaireResponse.objects.get(pk=response.pk).status == "in-progress"


def test_without_a_laser_a_clinician_still_hears_of_the_answers(ana, location):
    location.devices.update(is_active=False)

    assert submit(ana) == []
    assert "No laser is set up" in Task.objects.get(kind="candidacy.review").why


def test_answers_that_are_still_open_are_not_screened(ana):
    response = answer_intake(ana)

    with pytest.raises(NotCompleted):
        screen_response(response=response, modality="nafl_1550", reference_on=NOW.date(), by=patient_of(ana), at=NOW)


def test_the_age_comes_from_the_birth_date_and_not_from_what_was_typed(location):
    child = make_patient(location, given_name="Mia", born_on=date(2009, 11, 24))

    screening = make_screening(child, age_years=40)

    assert screening.answers["age_years"] == 16
    assert screening.outcome == "not_recommended"


def test_the_same_answers_rules_and_day_give_the_same_bytes(ana):
    screening = make_screening(ana, "afl_co2", eczema="past", cold_sores="yes", wax_last=ago(3), silver="not_sure")

    again = screen_response(
        response=screening.response, modality="afl_co2", reference_on=NOW.date(), by=patient_of(ana), at=LATER
    )

    assert again.pk == screening.pk
    stored = Screening.objects.get(pk=screening.pk)
    text = json.dumps(stored.result, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == stored.result_sha256
    Screening.objects.filter(pk=screening.pk).update(status="superseded")
    anew = screen_response(
        response=screening.response, modality="afl_co2", reference_on=NOW.date(), by=patient_of(ana), at=LATER
    )
    assert anew.pk != screening.pk
    assert anew.result_sha256 == screening.result_sha256


def test_only_what_needs_a_person_becomes_a_flag(ana):
    screening = make_screening(
        ana,
        "afl_co2",
        scar_tendency="keloid",  # not recommended
        wax_last=ago(3),  # wait
        smoking="current",  # for information
        silver="not_sure",  # undecided, and a reason to review
    )

    flags = {flag.rule: flag.effect for flag in screening.flags.all()}

    assert flags == {"R19": "not_recommended", "R20": "not_recommended", "R47": "defer", "R57": "review"}
    undecided = screening.flags.get(rule="R19").finding
    assert undecided["fired"] is None
    assert undecided["open"]["answers"] == {"silver": "not_sure"}
    assert {finding["rule"] for finding in screening.result["findings"]} >= {"R07", "R38"}


def test_a_newer_screening_replaces_the_older_and_its_open_flags_lapse(ana):
    first = make_screening(ana, wax_last=ago(3))
    second = make_screening(ana, at=LATER, tan_present="tanned")

    first.refresh_from_db()
    assert first.status == "superseded"
    assert [flag.status for flag in first.flags.all()] == ["lapsed"]
    assert [flag.rule for flag in open_flags(ana)] == ["R10"]
    assert current_screenings(ana) == [second]


def test_a_newer_screening_reopens_only_what_a_changed_answer_touches(ana, bo):
    first = make_screening(ana, wax_last=ago(3), scar_tendency="keloid")
    decision = decide(
        screening=first, kind="proceed", reason="Looked at the skin.", conditions=[], by=actor(bo), at=NOW
    )

    make_screening(ana, at=LATER, wax_last=ago(2), scar_tendency="keloid")

    assert [flag.rule for flag in open_flags(ana, "nafl_1550")] == ["R47"]
    settled = Flag.objects.get(rule="R20", screening__status="current")
    assert (settled.status, settled.closed_by) == ("closed", decision)


def test_the_trail_says_that_it_was_screened_and_nothing_of_the_answers(ana):
    submit(ana, eczema="active_in_area", pregnancy="possible")

    details = " ".join(json.dumps(event.detail) for event in AuditEvent.objects.filter(action__startswith="candidacy"))

    assert "modality" in details
    for word in ("eczema", "active_in_area", "possible", "R25", "R03"):
        assert word not in details


# --- what a clinician finds -------------------------------------------------------------------------------------------


def test_a_clinicians_answer_makes_an_amended_response_and_screens_every_laser_anew(ana, bo):
    before = submit(ana)

    after = record_answers(screening=before[0], answers={"fst_confirmed": "2"}, by=actor(bo), at=LATER)

    assert [each.modality for each in after] == ["afl_co2", "nafl_1550", "pico_755"]
    assert [each.outcome for each in after] == ["eligible"] * 3
    old = QuestionnaireResponse.objects.get(pk=before[0].response_id)
    new = after[0].response
    assert (old.status, "fst_confirmed" in old.snapshot) == ("amended", False)
    assert new.amends == old
    assert new.snapshot["fst_confirmed"] == {"value": "2", "at": LATER.isoformat(), "by": "Bo Lindqvist"}
    assert new.snapshot["eczema"] == old.snapshot["eczema"]
    assert old.snapshot["eczema"]["by"] == "Ana Reyes"


def test_a_form_begun_since_amends_the_newest_answers(ana, bo):
    before = submit(ana)
    begun = answer_intake(ana, at=LATER)

    after = record_answers(screening=before[0], answers={"fst_confirmed": "2"}, by=actor(bo), at=LATER)

    begun.refresh_from_db()
    assert begun.amends == after[0].response
    submit_intake(response=begun, by=patient_of(ana), at=LATER)
    assert QuestionnaireResponse.objects.filter(status="completed").get() == begun


def test_an_answer_that_opens_a_question_leaves_it_blank_and_not_no(ana, bo):
    before = submit(ana)
    assert before[0].response.snapshot["isotretinoin_last"]["value"] == "not_applicable"

    after = record_answers(
        screening=before[0], answers={"isotretinoin": "stopped", "fst_confirmed": "2"}, by=actor(bo), at=LATER
    )

    assert "isotretinoin_last" not in after[0].response.snapshot
    assert "isotretinoin_last" in after[0].result["missing"]
    assert after[0].outcome == "needs_clinician_review"


@pytest.mark.parametrize("answers", [{"fst_confirmed": "9"}, {"no_such_question": "1"}, {"age_years": "3"}])
def test_an_answer_that_fits_no_question_is_refused_and_changes_nothing(ana, bo, answers):
    before = submit(ana)

    with pytest.raises(AnswerUnusable) as refused:
        record_answers(screening=before[0], answers=answers, by=actor(bo), at=LATER)

    assert refused.value.field == next(iter(answers))
    assert QuestionnaireResponse.objects.get().status == "completed"
    assert Screening.objects.filter(status="current").count() == 3


def test_only_a_practitioner_records_findings(ana, location):
    before = submit(ana)

    for someone in (patient_of(ana), Actor.task("import")):
        with pytest.raises(NotAuthorised):
            record_answers(screening=before[0], answers={"fst_confirmed": "2"}, by=someone, at=LATER)


def test_findings_for_a_replaced_screening_are_refused(ana, bo):
    before = submit(ana)
    record_answers(screening=before[0], answers={"fst_confirmed": "2"}, by=actor(bo), at=LATER)

    with pytest.raises(ScreeningReplaced):
        record_answers(screening=before[0], answers={"fst_confirmed": "5"}, by=actor(bo), at=LATER)


# --- what the database refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE patients_screening SET outcome = 'eligible'",
        "UPDATE patients_screening SET result_sha256 = 'x'",
        "DELETE FROM patients_screening",
        "DELETE FROM patients_flag",
        "UPDATE patients_flag SET status = 'closed'",
        "UPDATE patients_screening SET status = 'current'",
    ],
)
def test_the_database_refuses_to_rewrite_a_screening(ana, statement):
    make_screening(ana, wax_last=ago(3))
    make_screening(ana, at=LATER, wax_last=ago(2))

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


# --- what waits for a clinician ---------------------------------------------------------------------------------------


def test_the_queue_shows_the_worst_first_then_who_waits_longest(location, bo):
    people = {
        name: make_patient(location, given_name=name, email=f"{name.lower()}@mail.example")
        for name in ("Early", "Late", "Bad", "Done")
    }
    make_screening(people["Late"], at=LATER)
    make_screening(people["Early"])
    make_screening(people["Bad"], "afl_co2", at=LATER, scar_tendency="keloid")
    done = make_screening(people["Done"], "afl_co2", scar_tendency="keloid")
    decide(screening=done, kind="decline", reason="Not this one.", conditions=[], by=actor(bo), at=LATER)

    assert [row.patient.given_name for row in review_queue(bo)] == ["Bad", "Early", "Late"]


def test_the_queue_takes_the_same_queries_for_one_and_for_many(location, bo, django_assert_num_queries):
    for number in range(3):
        patient = make_patient(location, given_name=f"P{number}", email=f"p{number}@mail.example")
        make_screening(patient, wax_last=ago(2))
    with django_assert_num_queries(2):
        rows = review_queue(bo)
    assert [len(row.screenings) for row in rows] == [1, 1, 1]
    assert [row.screenings[0].open_count for row in rows] == [1, 1, 1]


def test_a_clinician_of_another_place_sees_none_of_it(ana):
    make_screening(ana)
    elsewhere = make_clinician("Noor Haddad", location=make_location("Elsewhere"))

    assert review_queue(elsewhere) == []


def test_a_response_is_made_by_hand_only_with_its_snapshot(ana):
    response = make_response(ana)

    with pytest.raises(IntegrityError), transaction.atomic():
        QuestionnaireResponse.objects.filter(pk=response.pk).update(snapshot=None)
