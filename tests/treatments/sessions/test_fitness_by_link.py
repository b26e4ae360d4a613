"""The questions before a visit: what the patient says at home, who looks at it, and what it never replaces."""

import re
import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.worklist.actions import finish_task
from clinic.worklist.models import Task
from patients.registry.access import KEY
from patients.registry.actions import issue_link
from patients.registry.states import LinkScope
from tests.factories.people import NOW, make_patient
from tests.factories.treating import ALL_CLEAR, fit, make_clinic, opened
from treatments.sessions import actions, fitness, states
from treatments.sessions.models import FitnessAnswers
from treatments.sessions.queries import said_at_home
from treatments.sessions.readiness import NotReady, readiness
from treatments.sessions.states import ASKED_AT_HOME, FitnessQuestion

pytestmark = pytest.mark.django_db
IN_3_DAYS = NOW + timedelta(days=3)


@pytest.fixture
def clinic(time_machine):
    """Ana's visit is in three days; everything is in place but the check at the door."""
    time_machine.move_to(NOW, tick=False)
    return make_clinic(at=IN_3_DAYS, status="booked", arrived_at=None)


def ana_of(clinic):
    return Actor.patient(clinic.ana.ref, clinic.ana.full_name)


def answer(clinic, at=NOW, form_key=None, **answers):
    return fitness.answer_fitness(
        appointment=clinic.visit, answers=ALL_CLEAR | answers, by=ana_of(clinic), at=at, form_key=form_key
    )


def end(visit, status):
    reason = "patient" if status == "cancelled" else ""
    type(visit).objects.filter(pk=visit.pk).update(status=status, cancel_reason=reason)


def tasks():
    return Task.objects.filter(key__startswith="fitness:").order_by("id")


def missing(clinic, at=NOW):
    return [item.key for item in readiness(clinic.visit, at).missing]


class TestAct:
    def test_all_clear_is_kept_and_holds_nothing(self, clinic):
        said = answer(clinic, pregnancy="not_applicable")

        assert said.is_clear
        assert said.answers == ALL_CLEAR | {"pregnancy": "not_applicable"}
        assert not tasks().exists()

    @pytest.mark.parametrize(("question", "given"), [("tan", "yes"), ("cold_sore", "not_sure"), ("pregnancy", "yes")])
    def test_anything_but_a_clear_no_holds_the_visit_until_a_clinician_has_looked(self, clinic, question, given):
        answer(clinic, **{question: given})

        task = tasks().get()
        assert (task.key, task.role, task.modality) == (f"fitness:{clinic.visit.ref}:1", "clinician", "nafl_1550")
        assert task.blocks_treatment
        assert NOW < task.due_at < clinic.visit.starts_at
        assert missing(clinic) == ["tasks", "fitness"]
        finish_task(task=task, outcome="Called: it was last month.", by=clinic.by, at=NOW)
        assert missing(clinic) == ["fitness"]

    def test_shortly_before_the_visit_the_clinician_is_asked_at_once(self, clinic):
        late = IN_3_DAYS - timedelta(hours=2)

        answer(clinic, at=late, unwell="yes")

        assert tasks().get().due_at == late

    def test_answered_again_both_stay_and_the_latest_shows(self, clinic):
        first = answer(clinic, tan="yes")
        second = answer(clinic, at=NOW + timedelta(hours=1), tan="not_sure")

        assert set(FitnessAnswers.objects.all()) == {first, second}
        assert said_at_home(clinic.visit) == second
        assert [task.key.rpartition(":")[2] for task in tasks()] == ["1", "2"]

    def test_a_clear_answer_later_does_not_let_go_of_an_earlier_one(self, clinic):
        answer(clinic, unwell="yes")
        answer(clinic, at=NOW + timedelta(hours=1))

        assert "tasks" in missing(clinic)

    def test_a_double_tap_is_one(self, clinic):
        key = uuid.uuid4()

        assert answer(clinic, form_key=key, tan="yes") == answer(clinic, form_key=key, tan="yes")
        assert (FitnessAnswers.objects.count(), tasks().count()) == (1, 1)

    @pytest.mark.parametrize(("question", "given"), [("tan", ""), ("tan", "maybe"), ("tan", "not_applicable")])
    def test_an_unclear_answer_keeps_nothing(self, clinic, question, given):
        with pytest.raises(states.FitnessIncomplete) as refused:
            answer(clinic, **{question: given})

        assert refused.value.field == question
        assert not FitnessAnswers.objects.exists()

    @pytest.mark.parametrize("status", ["cancelled", "fulfilled", "noshow", "entered-in-error"])
    def test_not_for_a_visit_that_nobody_waits_for(self, clinic, status):
        end(clinic.visit, status)

        with pytest.raises(states.VisitOver):
            answer(clinic)

    def test_not_after_its_time(self, clinic):
        with pytest.raises(states.VisitOver):
            answer(clinic, at=clinic.visit.ends_at)

    def test_the_trail_knows_that_and_not_what(self, clinic):
        answer(clinic, pregnancy="yes")

        event = AuditEvent.objects.get(action="fitness.answered")
        assert (event.actor_kind, event.patient_ref) == ("patient", clinic.ana.ref)
        assert event.detail == {"visit": str(clinic.visit.ref), "is_clear": False}

    def test_when_the_task_cannot_be_raised_nothing_is_kept(self, clinic, monkeypatch):
        def broken(**_):
            raise OSError("gone")

        monkeypatch.setattr(fitness, "raise_task", broken)
        with pytest.raises(OSError, match="gone"):
            answer(clinic, tan="yes")

        assert not FitnessAnswers.objects.exists()
        assert not AuditEvent.objects.filter(action="fitness.answered").exists()

    def test_what_was_said_is_neither_changed_nor_deleted(self, clinic):
        said = answer(clinic)

        with pytest.raises(IntegrityError), transaction.atomic():
            FitnessAnswers.objects.update(is_clear=False)
        with pytest.raises(IntegrityError), transaction.atomic():
            said.delete()


def test_it_does_not_stand_for_the_check_at_the_door():
    clinic = make_clinic()
    answer(clinic)
    session = opened(clinic)

    with pytest.raises(NotReady) as refused:
        actions.start_session(session=session, by=clinic.by, at=NOW)

    assert [item.key for item in refused.value.items] == ["fitness"]


# --- the pages --------------------------------------------------------------------------------------------------------


def text(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def link_to(clinic, about="", patient=None):
    return issue_link(
        patient=patient or clinic.ana,
        scope=LinkScope.FITNESS,
        about=about or clinic.visit.about,
        by=Actor.task("test"),
        at=NOW,
    )


def phone_with(link):
    phone = Client()
    session = phone.session
    session[KEY] = {str(link.ref): dict.fromkeys(("opened", "used"), int(NOW.timestamp()))}
    session.save()
    phone.cookies["sessionid"] = session.session_key
    return phone


@pytest.fixture
def at_home(clinic):
    """A phone on which Ana opened her link, and the address of the page."""
    link, _ = link_to(clinic)
    return phone_with(link), f"/my/{link.ref}/fitness/"


def typed(**answers):
    return ALL_CLEAR | {"form_key": uuid.uuid4()} | answers


def test_the_link_of_the_message_leads_to_the_questions(clinic):
    _, url = link_to(clinic)
    phone = Client()

    opened_page = phone.post(url[url.index("/l/") :], born(clinic.ana.born_on), follow=True)

    said = text(opened_page)
    assert opened_page.status_code == 200
    assert all(question in said for question in ASKED_AT_HOME.values())
    assert "the patient" not in said


def born(day):
    return {"born_on_day": day.day, "born_on_month": day.month, "born_on_year": day.year}


def test_every_question_is_asked_and_none_filled_in(at_home):
    phone, url = at_home

    form = phone.get(url).content.decode()

    assert form.count('type="radio"') == 3 * len(FitnessQuestion) + 1
    assert "checked" not in form


def test_all_clear_thanks_and_names_the_day(at_home):
    phone, url = at_home

    assert phone.post(url, typed())["Location"] == url
    said = text(phone.get(url))
    assert "Thank you See you on" in said
    assert "A clinician" not in said


def test_a_concern_is_answered_calmly(at_home):
    phone, url = at_home

    phone.post(url, typed(infection="not_sure"))

    assert "A clinician will look at this before your visit and call you if something changes." in text(phone.get(url))


def test_once_the_clinician_has_looked_the_page_says_so(clinic, at_home):
    phone, url = at_home
    phone.post(url, typed(infection="not_sure"))
    finish_task(task=tasks().get(), outcome="Called.", by=clinic.by, at=NOW)

    assert "A clinician has looked at your answers. See you on" in text(phone.get(url))


def test_an_unanswered_question_is_said_at_the_field_and_the_rest_is_kept(at_home):
    phone, url = at_home
    answers = typed(tan="yes")
    del answers["unwell"]

    refused = phone.post(url, answers)

    assert refused.status_code == 422
    assert refused.context["form"].errors == {"unwell": ["Please answer this too."]}
    assert refused.content.decode().count("checked") == len(FitnessQuestion) - 1
    assert not FitnessAnswers.objects.exists()


def test_answers_can_be_given_again(at_home):
    phone, url = at_home
    phone.post(url, typed())

    assert "Send my answers" in text(phone.get(url + "?again=1"))
    phone.post(url, typed(cold_sore="yes"))

    assert FitnessAnswers.objects.count() == 2
    assert "A clinician will look" in text(phone.get(url))


def test_a_sent_form_sent_again_is_one(at_home):
    phone, url = at_home
    answers = typed(tan="yes")

    phone.post(url, answers)
    phone.post(url, answers)

    assert (FitnessAnswers.objects.count(), tasks().count()) == (1, 1)


@pytest.mark.parametrize("about", ["other visit", "session"])
def test_the_visit_of_somebody_else_is_not_there(clinic, about):
    mallory = make_patient(clinic.location, "Mal", "Lory")
    target = {"other visit": clinic.visit.about, "session": f"session:{uuid.uuid4()}"}[about]
    link, _ = link_to(clinic, about=target, patient=mallory)
    phone, url = phone_with(link), f"/my/{link.ref}/fitness/"

    assert phone.get(url).status_code == 404
    assert phone.post(url, typed()).status_code == 404
    assert not FitnessAnswers.objects.exists()


def test_a_cancelled_visit_asks_nothing(clinic, at_home):
    phone, url = at_home
    end(clinic.visit, "cancelled")

    shown = phone.get(url)
    assert shown.status_code == 200
    assert "Nothing to answer" in text(shown)
    assert phone.post(url, typed(tan="yes")).status_code == 409
    assert not FitnessAnswers.objects.exists()


# --- who reads it -----------------------------------------------------------------------------------------------------


def signed_in(user):
    browser = Client()
    browser.force_login(user)
    return browser


def test_the_clinician_reads_it_beside_the_check_at_the_door(time_machine):
    time_machine.move_to(NOW, tick=False)
    clinic = make_clinic()
    answer(clinic, at=NOW - timedelta(days=2), new_medicine="yes")
    session = fit(clinic)

    said = text(signed_in(clinic.bo).get(f"/sessions/{session.ref}/"))

    assert "What the patient answered at home" in said
    assert f"{FitnessQuestion.NEW_MEDICINE.label} Yes" in said


def test_the_chart_tells_clinicians_what_was_not_a_clear_no_and_the_desk_nothing(clinic):
    answer(clinic, cold_sore="not_sure")
    chart = f"/patients/{clinic.ana.ref}/"

    said = text(signed_in(clinic.bo).get(chart))
    assert f"{FitnessQuestion.COLD_SORE.label} Not sure." in said
    assert FitnessQuestion.TAN.label not in said
    assert FitnessQuestion.COLD_SORE.label not in text(signed_in(clinic.dee).get(chart))
