import json
from datetime import date, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.packs.models import RulePack
from clinic.packs.queries import PackMissing
from clinic.transitions import IllegalMove, move
from patients.intake import actions
from patients.intake.actions import (
    AnswersMissing,
    AnswerUnusable,
    FormClosed,
    complete_response,
    save_answer,
    send_intake_link,
    start_response,
)
from patients.intake.models import Answer, QuestionnaireResponse
from patients.intake.queries import (
    WORDS,
    Given,
    asked_groups,
    completed_response,
    critical_unanswered,
    latest_answers,
    latest_rows,
    next_group,
    open_response,
    questionnaire_of,
    shown,
    shown_groups,
)
from patients.intake.states import QuestionType
from patients.messaging.models import Message
from patients.registry.actions import correct_patient
from tests.factories.people import NOW, make_location, make_patient, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("knowledge")]
MIA = Actor.command("desk")


def patient_actor(response):
    return Actor.patient(response.patient.ref, response.patient.full_name)


def answer(response, question, raw, at=NOW, by=None, **fields):
    return save_answer(response=response, question=question, raw=raw, by=by or patient_actor(response), at=at, **fields)


def easy_raw(question):
    """An honest, reassuring answer to any question, as a form holds it."""
    if question.type == QuestionType.MULTI:
        return ["none_of_these"] if question.none_option else [question.options[0].key]
    if question.options:
        return question.options[0].key
    return {"bool": "false", "date": "never" if question.never_allowed else "not_sure", "int": "1"}.get(
        question.type.value, "words"
    )


def answer_everything(response, *, leave=()):
    questionnaire = questionnaire_of(response)
    while missing := [q for q in critical_unanswered(questionnaire, latest_answers(response)) if q.key not in leave]:
        for question in missing:
            answer(response, question.key, easy_raw(question))


def trail():
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def fail_at(monkeypatch, action):
    real = actions.record

    def record(**kwargs):
        if kwargs["action"] == action:
            raise ZeroDivisionError
        return real(**kwargs)

    monkeypatch.setattr(actions, "record", record)


# --- starting ---------------------------------------------------------------------------------------------------------


def test_starting_opens_one_form_and_knows_the_age_already(ana):
    first = start_response(patient=ana, by=MIA, at=NOW)
    second = start_response(patient=ana, by=MIA, at=NOW + timedelta(days=3))

    assert first == second == open_response(ana)
    assert latest_answers(first) == {"age_years": 38}
    assert latest_rows(first)["age_years"].answered_by == "intake.age"


def test_starting_without_a_published_questionnaire_is_refused(ana):
    with transaction.atomic():
        move(RulePack.objects.get(kind="questionnaire"), "retired", by=MIA, at=NOW)

    with pytest.raises(PackMissing):
        start_response(patient=ana, by=MIA, at=NOW)

    assert QuestionnaireResponse.objects.count() == 0


def test_the_database_refuses_a_second_open_form(ana, response):
    with pytest.raises(IntegrityError), transaction.atomic():
        QuestionnaireResponse.objects.create(patient=ana, pack=response.pack, started_at=NOW)


# --- answering --------------------------------------------------------------------------------------------------------


def test_an_answer_is_sealed_in_the_database_and_absent_from_the_trail(response):
    saved = answer(response, "concerns", ["melasma", "acne_scars"])

    assert (saved.value, saved.answered_by, saved.answered_at) == (["acne_scars", "melasma"], "Ana Reyes", NOW)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(a)::text FROM patients_answer AS a WHERE question = 'concerns'")
        assert "melasma" not in cursor.fetchone()[0]
    event = AuditEvent.objects.get(action="answer.saved", detail__question="concerns")
    assert "melasma" not in json.dumps(event.detail)
    assert event.patient_ref == response.patient.ref


def test_the_last_answer_counts_and_both_stay(response):
    answer(response, "cold_sores", "never")
    answer(response, "cold_sores", "yes", at=NOW + timedelta(minutes=1))

    assert latest_answers(response)["cold_sores"] == "yes"
    kept = Answer.objects.filter(question="cold_sores").values_list("is_latest", flat=True)
    assert list(kept) == [False, True]


def test_the_same_answer_again_changes_nothing(response):
    first = answer(response, "gold_ever", "false")
    before = trail()

    assert answer(response, "gold_ever", "false", at=NOW + timedelta(hours=1)) == first
    assert trail() == before


def test_two_people_on_one_form_the_last_counts_and_both_are_named(response):
    bo = make_user("Bo Lindqvist", location=response.patient.location)
    answer(response, "smoking", "never")
    answer(response, "smoking", "never", by=Actor.staff(bo), by_phone=True)

    kept = list(Answer.objects.filter(question="smoking").values_list("answered_by", "by_phone", "user", "is_latest"))
    assert kept == [("Ana Reyes", False, None, False), ("Bo Lindqvist, by phone", True, bo.pk, True)]
    event = AuditEvent.objects.filter(action="answer.saved").latest("id")
    assert event.detail["replaces"] == "Ana Reyes"


@pytest.mark.parametrize("blank", [None, "", "  ", []])
def test_a_blank_takes_the_answer_back_and_is_not_a_no(response, blank):
    answer(response, "pih_history", "true")

    assert answer(response, "pih_history", blank) is None
    assert "pih_history" not in latest_answers(response)
    assert Answer.objects.filter(question="pih_history").count() == 1
    assert trail()[-1] == "answer.taken_back"


def test_a_blank_where_nothing_stood_leaves_no_trace(response):
    before = trail()

    assert answer(response, "pih_history", "") is None
    assert trail() == before


@pytest.mark.parametrize(
    ("question", "raw"),
    [
        ("no_such_question", "yes"),
        ("age_years", "17"),
        ("modality", "afl_co2"),
        ("reference_date", "2026-12-01"),
        ("fst_confirmed", "2"),
        ("cold_sores", "perhaps"),
        ("cold_sores", "not_applicable"),
        ("concerns", ["none_of_these", "melasma"]),
        ("concerns", ["melasma", "not_sure"]),
        ("fst_q1", "5"),
        ("fst_q1", "not_sure"),
        ("sun_exposure_last", "2026-02-31"),
        ("sun_exposure_last", "2027-01-01"),
        ("sun_exposure_last", "1899-01-01"),
        ("allergies_text", "A" * 501),
        ("gold_ever", "maybe"),
    ],
)
def test_what_is_no_answer_is_refused_at_its_question_and_changes_nothing(response, question, raw):
    before = (Answer.objects.count(), trail())

    with pytest.raises(AnswerUnusable) as refused:
        answer(response, question, raw)

    assert refused.value.field == question
    assert refused.value.for_people.endswith(".")
    assert (Answer.objects.count(), trail()) == before


def test_today_is_the_clinics_day_when_a_date_must_lie_behind():
    kai = make_patient(make_location("Ponsonby", "Pacific/Auckland", phone="+6491234567"), "Kai", "Tane")
    response = start_response(patient=kai, by=MIA, at=NOW)

    saved = answer(response, "sun_exposure_last", "2026-11-24", at=NOW.replace(hour=12))

    assert saved.value == "2026-11-24"


def test_still_using_is_written_as_the_day_it_was_said(response):
    assert answer(response, "topical_retinoid_last", "still_using").value == "2026-11-23"


def test_staff_may_answer_what_staff_are_asked_but_by_phone_only_what_the_patient_is(response):
    bo = Actor.staff(make_user("Bo Lindqvist"))

    assert answer(response, "modality", "nafl_1550", by=bo).value == "nafl_1550"
    with pytest.raises(AnswerUnusable):
        answer(response, "modality", "nafl_1550", by=bo, by_phone=True)
    with pytest.raises(AnswerUnusable):
        answer(response, "reference_date", "2026-12-01", by=bo)


def test_when_the_trail_fails_the_answer_before_still_counts(response, monkeypatch):
    answer(response, "smoking", "never")
    fail_at(monkeypatch, "answer.saved")

    with pytest.raises(ZeroDivisionError):
        answer(response, "smoking", "current")

    assert latest_answers(response)["smoking"] == "never"
    assert Answer.objects.filter(question="smoking").count() == 1


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_many_answers_at_the_same_instant_leave_one_that_counts_and_lose_none(response):
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    barrier = Barrier(6)

    def give(raw):
        barrier.wait()
        try:
            answer(response, "smoking", raw)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(give, ["never", "ex", "current", "vape", "not_sure", "prefer_not_to_say"]))

    rows = Answer.objects.filter(question="smoking")
    assert {row.value for row in rows} == {"never", "ex", "current", "vape", "not_sure", "prefer_not_to_say"}
    assert rows.filter(is_latest=True).count() == 1


# --- completing -------------------------------------------------------------------------------------------------------


def test_completing_freezes_every_answer_with_when_and_by_whom(response):
    answer_everything(response)
    answer(response, "smoking", "ex", at=NOW + timedelta(minutes=3))

    done = complete_response(response=response, by=patient_actor(response), at=NOW + timedelta(minutes=9))

    assert (done.status, done.completed_at) == ("completed", NOW + timedelta(minutes=9))
    assert done.snapshot["smoking"] == {"value": "ex", "at": "2026-11-23T10:03:00+00:00", "by": "Ana Reyes"}
    assert done.snapshot["age_years"]["value"] == 38
    assert completed_response(response.patient) == done
    with connection.cursor() as cursor:
        cursor.execute("SELECT snapshot FROM patients_questionnaireresponse")
        assert "smoking" not in cursor.fetchone()[0]


def test_completing_names_the_starred_questions_without_an_answer(response):
    answer_everything(response, leave={"cold_sores", "gold_ever"})

    with pytest.raises(AnswersMissing) as refused:
        complete_response(response=response, by=MIA, at=NOW)

    assert [question.key for question in refused.value.questions] == ["cold_sores", "gold_ever"]
    for question in refused.value.questions:
        assert question.label in refused.value.for_people
    response.refresh_from_db()
    assert (response.status, response.snapshot) == ("in-progress", None)


@pytest.mark.parametrize("unknown", ["not_sure", "prefer_not_to_say"])
def test_not_sure_is_an_answer_and_stays_what_it_is(response, unknown):
    answer_everything(response, leave={"cold_sores"})
    answer(response, "cold_sores", unknown)

    done = complete_response(response=response, by=MIA, at=NOW)

    assert done.snapshot["cold_sores"]["value"] == unknown


def test_an_answer_hidden_since_is_kept_and_marked_not_applicable(response):
    answer(response, "isotretinoin", "stopped")
    answer(response, "isotretinoin_last", "2026-05-01")
    answer(response, "isotretinoin", "never")
    answer_everything(response)

    done = complete_response(response=response, by=MIA, at=NOW)

    assert done.snapshot["isotretinoin_last"]["value"] == "not_applicable"
    assert Answer.objects.get(question="isotretinoin_last").value == "2026-05-01"


def test_the_age_is_that_of_the_day_and_of_the_corrected_birth_date(response):
    answer_everything(response)
    correct_patient(patient=response.patient, born_on=date(2008, 11, 24), by=MIA, at=NOW)

    done = complete_response(response=response, by=MIA, at=NOW)

    assert done.snapshot["age_years"]["value"] == 17


def test_a_completed_form_takes_no_answer_and_is_not_completed_twice(response):
    answer_everything(response)
    complete_response(response=response, by=MIA, at=NOW)
    before = (Answer.objects.count(), trail())

    with pytest.raises(FormClosed):
        answer(response, "smoking", "current")
    with pytest.raises(IllegalMove):
        complete_response(response=response, by=MIA, at=NOW)

    assert (Answer.objects.count(), trail()) == before


def test_the_database_keeps_a_completed_form_as_it_was(response):
    answer_everything(response)
    done = complete_response(response=response, by=MIA, at=NOW)
    done.snapshot = {"age_years": {"value": 30}}

    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        done.save()


def test_when_the_last_write_of_completing_fails_the_form_is_still_open(response, monkeypatch):
    answer_everything(response)
    monkeypatch.setattr(actions, "withdraw", lambda **kwargs: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        complete_response(response=response, by=MIA, at=NOW)

    response.refresh_from_db()
    assert (response.status, response.snapshot, response.completed_at) == ("in-progress", None, None)


def test_an_invitation_still_waiting_is_taken_back_when_the_form_is_in(ana):
    message = send_intake_link(patient=ana, by=MIA, at=NOW)
    response = open_response(ana)
    answer_everything(response)

    complete_response(response=response, by=MIA, at=NOW)

    message.refresh_from_db()
    assert Message.objects.filter(status__in=["planned", "held"]).count() == 0
    assert message.reason == "The form has been sent in."


def test_a_later_form_amends_the_answers_in_force(response):
    answer_everything(response)
    first = complete_response(response=response, by=MIA, at=NOW)
    second = start_response(patient=response.patient, by=MIA, at=NOW + timedelta(days=90))
    assert (second.amends, completed_response(response.patient)) == (first, first)
    answer_everything(second)

    second = complete_response(response=second, by=MIA, at=NOW + timedelta(days=90))

    first.refresh_from_db()
    assert first.status == "amended"
    assert completed_response(response.patient) == second


# --- five things that never look alike (C1) ---------------------------------------------------------------------------

ASKED = ["pih_history", "cold_sores", "smoking", "eye_history", "self_tanner_last"]
SAID = {
    "pih_history": ["false", "true"],
    "cold_sores": ["never", "yes"],
    "smoking": ["never", "current"],
    "eye_history": [["none_of_these"], ["severe_dry_eye"]],
    "self_tanner_last": ["never", "2026-10-01"],
}
STATES = st.one_of(
    st.sampled_from([("answer", 0), ("answer", 1)]),
    st.sampled_from([("not_sure", 0), ("prefer_not_to_say", 0), ("not_answered", 0)]),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.fixed_dictionaries(dict.fromkeys(ASKED, STATES)))
def test_no_unknown_unsaid_unanswered_and_hidden_stay_different_from_form_to_snapshot(ana, states):
    """What is given in one of five ways is read back as that way: from the rows, the frozen snapshot and the page."""
    with transaction.atomic():
        response = start_response(patient=ana, by=MIA, at=NOW)
        answer_everything(response, leave=set(ASKED))
        answer(response, "isotretinoin", "never")
        for key, (kind, pick) in states.items():
            raw = {"answer": SAID[key][pick], "not_answered": ""}.get(kind, kind)
            answer(response, key, raw)
        if states["cold_sores"][0] == "not_answered":
            answer(response, "cold_sores", "not_sure")
            states = {**states, "cold_sores": ("not_sure", 0)}
        done = complete_response(response=response, by=MIA, at=NOW)
        done.refresh_from_db()
        questionnaire, rows = questionnaire_of(done), latest_rows(done)
        page = {item.question.key: item for group in shown_groups(questionnaire, rows) for item in group.items}
        whole = {
            item.question.key: item
            for group in shown_groups(questionnaire, rows, hidden_too=True)
            for item in group.items
        }
        for key, (kind, _) in states.items():
            frozen = done.snapshot.get(key, {}).get("value")
            assert (frozen is None) == (kind == "not_answered")
            assert shown(questionnaire.by_key[key], frozen).given == page[key].given == Given(kind)
            if kind != "answer":
                assert page[key].text == WORDS[Given(kind)]
            else:
                assert page[key].text not in WORDS.values()
        assert done.snapshot["isotretinoin_last"]["value"] == "not_applicable"
        assert whole["isotretinoin_last"].given == Given.NOT_APPLICABLE
        assert "isotretinoin_last" not in page
        transaction.set_rollback(True)


def test_the_five_have_five_wordings():
    assert len({*WORDS.values(), "No", "Never", "None of these"}) == 7


# --- which screen is next ---------------------------------------------------------------------------------------------


def test_screens_follow_each_other_and_the_age_is_not_asked(response):
    questionnaire = questionnaire_of(response)
    keys = [group.key for group in asked_groups(questionnaire, latest_answers(response))]

    assert "age" not in keys
    assert len(keys) > 20
    assert next_group(questionnaire, latest_answers(response)) == keys[0]
    assert next_group(questionnaire, latest_answers(response), after=keys[3]) == keys[4]
    assert next_group(questionnaire, latest_answers(response), after=keys[-1]) == keys[0]


def test_when_every_screen_is_answered_none_is_next(response):
    questionnaire = questionnaire_of(response)
    while key := next_group(questionnaire, latest_answers(response)):
        group = next(g for g in asked_groups(questionnaire, latest_answers(response)) if g.key == key)
        for question in group.questions:
            answer(response, question.key, easy_raw(question))

    assert critical_unanswered(questionnaire, latest_answers(response)) == ()
