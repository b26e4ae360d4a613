"""A red answer is never nobody's: graded at once, somebody's at once, and nothing closes it by itself."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from clinic.worklist.models import Task
from patients.messaging.actions import dispatch, queue_message
from patients.messaging.models import Message
from patients.messaging.rules import WantedMessage
from patients.messaging.states import Channel, Purpose
from patients.registry.models import Patient
from tests.factories.people import make_user
from tests.factories.recovering import (
    CALM,
    RED,
    SAME_DAY,
    URGENT,
    after,
    alarm_of,
    answer,
    checkin_of,
    patient,
    put_on_call,
    recovering,
)
from tests.factories.smtp import SmtpServer
from treatments.aftercare import actions, alarms, states
from treatments.aftercare.models import CheckInAnswer, Escalation
from treatments.aftercare.queries import day_of, draft_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    return recovering()


class TestGrading:
    def test_a_calm_answer_is_kept_and_wakes_nobody(self, clinic):
        given = answer(clinic, CALM)

        assert (given.level, given.day_answered, given.is_complete, given.answers) == ("ok", 1, True, CALM)
        assert checkin_of(clinic).status == "answered"
        assert not Escalation.objects.exists()
        assert not Task.objects.unfinished().exists()

    def test_it_keeps_the_rule_its_words_its_source_and_the_version(self, clinic):
        given = answer(clinic, RED)

        [match] = given.triage["matched"]
        assert (match["rule"], match["source"]) == ("T05", "section 7: NCDE D, PERI C")
        assert "eye emergency" in given.triage["advice"][0]
        assert given.triage["pack"]["version"] == 1

    @pytest.mark.parametrize(
        ("day_asked", "day_answered", "level"),
        [(1, 1, "R"), (1, 2, "U1"), (1, 5, "U1")],
        ids=["on day 1", "day 2", "day 5"],
    )
    def test_a_late_answer_is_graded_on_the_day_it_is_given(self, clinic, day_asked, day_answered, level):
        given = answer(clinic, {"pain_trend": "worse"}, day=day_asked, at=after(days=day_answered))

        assert (given.level, given.day_answered) == (level, day_answered)

    @pytest.mark.parametrize(("hours", "day"), [(13, 0), (13.4, 1), (37, 1), (37.4, 2)])
    def test_days_are_those_of_the_clinics_wall_calendar(self, clinic, hours, day):
        # The treatment ended at 10:40 in London: midnight is 13 h 20 min away.
        assert day_of(checkin_of(clinic).session, after(hours=hours)) == day

    def test_nothing_answered_is_no_answer(self, clinic):
        with pytest.raises(states.NothingAnswered):
            answer(clinic, {})

    def test_answered_twice_both_stay_and_the_latest_counts(self, clinic):
        answer(clinic, CALM)
        answer(clinic, {"itch": 3}, at=after(days=1, hours=2))

        assert [row.level for row in CheckInAnswer.objects.all()] == ["ok", "R"]
        assert checkin_of(clinic).level == "R"

    def test_an_answer_is_never_rewritten(self, clinic):
        given = answer(clinic, RED)

        with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
            CheckInAnswer.objects.filter(pk=given.pk).update(level="ok")

    def test_a_routine_answer_is_on_a_list_for_the_next_working_day(self, clinic):
        answer(clinic, {"itch": 3}, at=after(days=1))

        task = Task.objects.unfinished().get()
        assert (task.kind, task.role) == ("checkin_reply", "clinician")
        assert task.due_at == after(days=1).replace(day=25, hour=18, minute=0)
        assert not Escalation.objects.exists()


class TestAlarms:
    @pytest.mark.parametrize(
        ("answers", "level", "within"),
        [(RED, "E", timedelta(minutes=15)), (URGENT, "U1", timedelta(hours=1)), (SAME_DAY, "U2", timedelta(hours=4))],
    )
    def test_an_urgent_answer_is_somebodys_by_a_time(self, clinic, answers, level, within):
        answer(clinic, answers, at=after(days=1))

        alarm = alarm_of(clinic)
        assert (alarm.level, alarm.status, alarm.asked, alarm.fault) == (level, "open", clinic.bo, "")
        assert alarm.act_by - alarm.raised_at == within
        assert alarm.climbs_at - alarm.raised_at == within / 2

    def test_working_clocks_run_in_opening_hours(self, clinic):
        answer(clinic, SAME_DAY, at=after(days=1, hours=6))  # 16:40, the clinic closes at 18:00

        alarm = alarm_of(clinic)
        assert alarm.act_by == after(days=1).replace(day=25, hour=11, minute=40)

    def test_the_person_is_written_to_without_a_word_of_it(self, clinic):
        answer(clinic, RED)

        [message] = Message.objects.filter(purpose="alarm")
        assert (message.staff, message.status, message.template) == (clinic.bo, "planned", "alarm")
        assert list(message.context) == ["link"]
        assert f"/alarms/{alarm_of(clinic).ref}/" in message.context["link"]

    def test_the_next_treatment_waits_for_it(self, clinic):
        answer(clinic, RED)

        task = Task.objects.get(key=f"escalation:{alarm_of(clinic).ref}")
        assert (task.blocks_treatment, task.patient_ref, task.modality) == (True, clinic.ana.ref, "")
        assert "vision" not in task.title + task.why

    def test_a_red_item_acts_before_the_rest_is_given(self, clinic):
        given = answer(clinic, RED, is_complete=False)

        assert not given.is_complete
        assert alarm_of(clinic).status == "open"

    def test_a_storm_of_answers_is_one_alarm_and_the_person_is_told_again(self, clinic):
        for minute in range(4):
            answer(clinic, RED, at=after(days=1, mins=minute))

        assert Escalation.objects.count() == 1
        assert CheckInAnswer.objects.count() == 4
        assert Message.objects.filter(purpose="alarm").count() == 4

    def test_a_better_answer_closes_nothing(self, clinic):
        answer(clinic, RED)
        answer(clinic, CALM, at=after(days=1, hours=1))

        assert alarm_of(clinic).status == "open"
        assert checkin_of(clinic).level == "ok"

    def test_a_less_urgent_one_joins_a_worse_one_has_its_own_clock(self, clinic):
        answer(clinic, URGENT)
        answer(clinic, SAME_DAY, at=after(days=1, mins=1))
        answer(clinic, RED, at=after(days=1, mins=2))

        assert sorted(Escalation.objects.values_list("level", flat=True)) == ["E", "U1"]

    def test_after_it_was_closed_the_same_answer_raises_a_new_one(self, clinic):
        answer(clinic, RED)
        alarm = alarms.acknowledge(escalation=alarm_of(clinic), by=clinic.by, at=after(days=1, mins=2))
        alarms.close_escalation(
            escalation=alarm, outcome="advised", note="Fine.", by=clinic.by, at=after(days=1, mins=9)
        )
        answer(clinic, RED, at=after(days=1, hours=5))

        assert list(Escalation.objects.order_by("raised_at").values_list("status", flat=True)) == ["closed", "open"]

    def test_the_database_keeps_one_alarm_per_level(self, clinic):
        answer(clinic, RED)
        alarm = alarm_of(clinic)
        alarm.pk, alarm.ref = None, checkin_of(clinic).ref

        with pytest.raises(IntegrityError, match="one_unfinished_alarm_per_level"), transaction.atomic():
            alarm.save(force_insert=True)

    def test_review_requests_wait_while_it_is_red(self, clinic, settings):
        agreed = {"news_agreed": True, "news_said_at": after(), "news_said_by": "Ana Reyes"}
        Patient.objects.filter(pk=clinic.ana.pk).update(**agreed)
        session = checkin_of(clinic).session
        wanted = WantedMessage(
            step="review_request",
            purpose=Purpose.NEWS,
            channel=Channel.EMAIL,
            template="review_request",
            context={},
            due_at=after(days=100),
            not_after=after(days=110),
            important=False,
        )
        news = queue_message(
            patient=clinic.ana, location=clinic.location, about=session.about, wanted=wanted, by=clinic.by, at=after()
        )

        answer(clinic, RED)
        dispatch(at=after(days=100))
        news.refresh_from_db()
        assert (news.status, news.reason[:35]) == ("held", "An urgent answer of the patient is ")
        assert not news.is_held_by_desk

        alarm = alarms.acknowledge(escalation=alarm_of(clinic), by=clinic.by, at=after(days=100))
        alarms.close_escalation(escalation=alarm, outcome="seen", note="Well.", by=clinic.by, at=after(days=100))
        with SmtpServer() as server:
            settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
            dispatch(at=after(days=101))
        news.refresh_from_db()
        assert news.status == "sent"


class TestWhoIsAsked:
    def test_nobody_on_the_rota_asks_the_leads_and_says_so(self):
        clinic = recovering(on_call=False)

        answer(clinic, RED)

        alarm = alarm_of(clinic)
        assert alarm.asked == clinic.kim
        assert "Nobody is on call" in alarm.fault

    def test_somebody_on_call_who_does_not_work_here_is_not_asked(self):
        clinic = recovering(on_call=False)
        put_on_call(make_user("Elsewhere Ed", *clinic.bo.roles))

        answer(clinic, RED)

        assert alarm_of(clinic).asked == clinic.kim

    def test_no_lead_either_asks_any_clinician(self):
        clinic = recovering(on_call=False)
        clinic.kim.is_active = False
        clinic.kim.save()

        answer(clinic, RED)

        assert alarm_of(clinic).asked == clinic.bo
        assert "no lead clinician" in alarm_of(clinic).fault

    def test_nobody_at_all_is_still_an_alarm_with_a_visible_fault(self):
        clinic = recovering(on_call=False)
        clinic.location.staff.clear()

        answer(clinic, RED)

        assert (alarm_of(clinic).asked, alarm_of(clinic).status) == (None, "open")
        assert alarm_of(clinic).fault == "Nobody who may answer alarms works here."

    def test_a_letter_that_cannot_be_written_never_costs_the_alarm(self, clinic, monkeypatch):
        def broken(**_):
            raise DatabaseError("the message table is gone")

        monkeypatch.setattr(alarms, "alert_staff", broken)

        answer(clinic, RED)

        assert alarm_of(clinic).status == "open"
        assert "could not be paged" in alarm_of(clinic).fault


class TestOneByOne:
    def save(self, clinic, question, value, at=None):
        return actions.save_checkin_answer(
            checkin=checkin_of(clinic), question=question, value=value, by=patient(clinic), at=at or after(days=1)
        )

    def test_each_answer_is_saved_when_given(self, clinic):
        self.save(clinic, "pain_now", 2)
        self.save(clinic, "swelling", "mild")

        assert draft_of(checkin_of(clinic), after(days=1)) == {"pain_now": 2, "swelling": "mild"}
        assert not CheckInAnswer.objects.exists()

    def test_a_red_one_acts_at_once_with_all_given_so_far(self, clinic):
        self.save(clinic, "pain_now", 2)
        raised = self.save(clinic, "eye", "vision_change")

        assert (raised.level, raised.is_complete, raised.answers) == (
            "E",
            False,
            {"pain_now": 2, "eye": "vision_change"},
        )
        assert alarm_of(clinic).level == "E"

    def test_going_on_after_a_red_one_does_not_raise_it_again(self, clinic):
        self.save(clinic, "eye", "vision_change")

        assert self.save(clinic, "pain_now", 2) is None
        assert CheckInAnswer.objects.count() == 1

    def test_a_second_red_one_is_told_too(self, clinic):
        self.save(clinic, "eye", "vision_change")
        raised = self.save(clinic, "temp_c", 39.0)

        assert [match["rule"] for match in raised.triage["matched"]] == ["T05", "T17"]
        assert Escalation.objects.count() == 1

    def test_a_half_filled_form_says_nothing_about_another_day(self, clinic):
        self.save(clinic, "pain_now", 2)

        assert draft_of(checkin_of(clinic), after(days=3)) == {}

    def test_completing_empties_the_draft(self, clinic):
        self.save(clinic, "pain_now", 2)
        answer(clinic, {"pain_now": 2})

        assert checkin_of(clinic).draft is None

    def test_a_failed_audit_write_leaves_nothing(self, clinic, monkeypatch):
        monkeypatch.setattr(alarms, "record_event", fail)

        with pytest.raises(RuntimeError):
            self.save(clinic, "eye", "vision_change")

        assert checkin_of(clinic).draft is None
        assert not CheckInAnswer.objects.exists()
        assert not Escalation.objects.exists()


def fail(**_):
    raise RuntimeError("the last write fails")
