"""Alarms are taken by one person, handed over by name, climb on time, and close only with an outcome."""

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import DatabaseError, IntegrityError, connection, transaction

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.transitions import IllegalMove
from clinic.worklist.models import Task
from patients.messaging.models import Message
from tests.factories.people import actor, make_clinician
from tests.factories.recovering import CALM, RED, URGENT, after, alarm_of, answer, checkin_of, put_on_call, recovering
from treatments.aftercare import alarms, silence, states
from treatments.aftercare.models import Escalation
from treatments.aftercare.tasks import watch_escalations

WATCH = Actor.task("aftercare.watch_escalations")
RAISED = after(days=1)


@pytest.fixture
def clinic(db):
    return recovering()


@pytest.fixture
def alarm(clinic):
    answer(clinic, RED, at=RAISED)
    return alarm_of(clinic)


def at(minutes):
    return RAISED + timedelta(minutes=minutes)


def take(alarm, user, when=None):
    return alarms.acknowledge(escalation=alarm, by=actor(user), at=when or at(2))


class TestTaking:
    def test_it_has_an_owner_and_a_time(self, clinic, alarm):
        taken = take(alarm, clinic.bo)

        assert (taken.status, taken.owner, taken.acknowledged_at) == ("acknowledged", clinic.bo, at(2))
        assert AuditEvent.objects.filter(action="escalation.acknowledged", actor_name="Bo Lindqvist").count() == 1

    def test_taken_twice_by_the_same_person_changes_nothing(self, clinic, alarm):
        take(alarm, clinic.bo)

        again = take(alarm, clinic.bo, at(9))

        assert again.acknowledged_at == at(2)
        assert AuditEvent.objects.filter(action="escalation.acknowledged").count() == 1

    def test_the_second_person_is_told_who_has_it(self, clinic, alarm):
        take(alarm, clinic.bo)

        with pytest.raises(states.AlreadyTaken, match="Bo Lindqvist took it at 10:42"):
            take(alarm, clinic.kim)

    @pytest.mark.parametrize("who", ["dee", "patient", "task"])
    def test_only_a_clinician_takes_alarms(self, clinic, alarm, who):
        by = {"dee": actor(clinic.dee), "patient": Actor.patient(clinic.ana.ref, "Ana"), "task": WATCH}[who]

        with pytest.raises(states.MayNotAnswerAlarms):
            alarms.acknowledge(escalation=alarm, by=by, at=at(2))

    def test_a_taken_alarm_does_not_climb(self, clinic, alarm):
        take(alarm, clinic.bo)

        assert alarms.climb_due(by=WATCH, at=at(600)) == 0

    def test_a_failed_audit_write_leaves_it_open(self, clinic, alarm, monkeypatch):
        def fail(**_):
            raise RuntimeError("the audit write fails")

        monkeypatch.setattr("clinic.transitions.record", fail)

        with pytest.raises(RuntimeError):
            take(alarm, clinic.bo)

        alarm.refresh_from_db()
        assert (alarm.status, alarm.owner) == ("open", None)


class TestClimbing:
    def test_half_the_clock_pages_again_the_whole_clock_asks_the_next(self, clinic, alarm):
        story = []
        for minute in range(32):
            if alarms.climb_due(by=WATCH, at=at(minute)):
                alarm.refresh_from_db()
                story.append((minute, alarm.rung, alarm.pages, alarm.asked.name))

        # An emergency has 15 minutes: again at half of them, then the next person, who has as long again.
        assert story == [
            (8, 1, 2, "Bo Lindqvist"),
            (15, 2, 1, "Kim Osei"),
            (23, 2, 2, "Kim Osei"),
            (31, 3, 1, "Bo Lindqvist"),
        ]

    def test_every_step_is_a_letter_of_its_own(self, clinic, alarm):
        for minute in (8, 15, 23):
            alarms.climb_due(by=WATCH, at=at(minute))

        letters = Message.objects.filter(about=alarm.about, purpose="alarm").order_by("id")
        assert [(row.step, row.staff.name) for row in letters] == [
            ("page_1_1", "Bo Lindqvist"),
            ("page_1_2", "Bo Lindqvist"),
            ("page_2_1", "Kim Osei"),
            ("page_2_2", "Kim Osei"),
        ]

    def test_the_same_minute_twice_climbs_once(self, clinic, alarm):
        assert [alarms.climb_due(by=WATCH, at=at(8)) for _ in range(3)] == [1, 0, 0]

    def test_not_before_its_time(self, clinic, alarm):
        assert alarms.climb_due(by=WATCH, at=at(7.4)) == 0
        assert alarms.climb_due(by=WATCH, at=at(7.5)) == 1

    def test_past_the_top_it_begins_again_and_says_so(self, clinic, alarm):
        for minute in (8, 15, 23, 31):
            alarms.climb_due(by=WATCH, at=at(minute))

        alarm.refresh_from_db()
        assert (alarm.rung, alarm.asked) == (3, clinic.bo)
        assert "Everybody on call was asked" in alarm.fault

    def test_a_worker_that_slept_all_night_does_not_run_up_the_ladder_at_once(self, clinic, alarm):
        assert [alarms.climb_due(by=WATCH, at=at(600)) for _ in range(3)] == [1, 0, 0]

    def test_a_long_clock_that_ran_out_climbs_by_the_hour(self, clinic):
        answer(clinic, {"colour": "lighter"}, at=RAISED)
        alarm = alarm_of(clinic)
        alarms.climb_due(by=WATCH, at=alarm.climbs_at)
        alarms.climb_due(by=WATCH, at=alarm.act_by)

        alarm.refresh_from_db()
        assert (alarm.rung, alarm.climbs_at - alarm.act_by) == (2, timedelta(minutes=30))

    def test_one_alarm_that_fails_never_holds_up_another(self, clinic, alarm, monkeypatch):
        answer(clinic, URGENT, day=3, at=RAISED)
        ladder = alarms.ladder
        broken = iter([True])

        def sometimes(location, when):
            if next(broken, False):
                raise DatabaseError("this one fails")
            return ladder(location, when)

        for row in Escalation.objects.all():
            row.pages = 2
            row.save()
        monkeypatch.setattr(alarms, "ladder", sometimes)

        assert alarms.climb_due(by=WATCH, at=at(90)) == 1
        assert alarms.climb_due(by=WATCH, at=at(90)) == 1

    def test_the_task_climbs_and_notes_silence_by_the_clock_on_the_wall(self, clinic, alarm):
        with time_machine.travel(at(8), tick=False):
            watch_escalations()
        with time_machine.travel(after(days=8), tick=False):
            watch_escalations()

        alarm.refresh_from_db()
        assert (alarm.rung, alarm.pages) == (2, 1)
        assert {row.day: row.status for row in checkin_of(clinic).session.checkins.all()} == {
            1: "answered", 3: "missed", 7: "planned", 28: "planned",
        }  # fmt: skip


class TestHandingOver:
    def test_it_waits_for_the_named_person_and_climbs_if_they_do_not_take_it(self, clinic, alarm):
        taken = take(alarm, clinic.bo)

        handed = alarms.hand_over(escalation=taken, to=clinic.kim, by=clinic.by, at=at(60))

        assert (handed.status, handed.asked, handed.owner) == ("open", clinic.kim, clinic.bo)
        assert handed.climbs_at == at(67.5)
        assert Message.objects.filter(purpose="alarm", staff=clinic.kim).count() == 1
        assert take(handed, clinic.kim, at(61)).owner == clinic.kim

    def test_not_to_somebody_who_may_not_answer_alarms_or_works_elsewhere(self, clinic, alarm):
        taken = take(alarm, clinic.bo)
        ed = make_clinician("Elsewhere Ed", clinic.location)
        clinic.location.staff.remove(ed)

        for person in (clinic.dee, ed):
            with pytest.raises(states.MayNotAnswerAlarms):
                alarms.hand_over(escalation=taken, to=person, by=clinic.by, at=at(60))

    def test_only_the_owner_or_a_lead_hands_over(self, clinic, alarm):
        other = make_clinician("Pia Ruiz", clinic.location)
        taken = take(alarm, clinic.bo)

        with pytest.raises(states.NotYourAlarm):
            alarms.hand_over(escalation=taken, to=other, by=actor(other), at=at(60))
        assert alarms.hand_over(escalation=taken, to=other, by=actor(clinic.kim), at=at(60)).asked == other

    def test_an_alarm_nobody_has_cannot_be_handed_over(self, clinic, alarm):
        with pytest.raises(IllegalMove):
            alarms.hand_over(escalation=alarm, to=clinic.bo, by=actor(clinic.kim), at=at(2))


class TestClosing:
    def test_it_ends_with_what_came_of_it_and_frees_the_next_treatment(self, clinic, alarm):
        taken = take(alarm, clinic.bo)

        closed = alarms.close_escalation(
            escalation=taken, outcome="sent_to_hospital", note="Eye clinic, seen at 12:00.", by=clinic.by, at=at(80)
        )

        assert (closed.status, closed.outcome, closed.closed_by) == ("closed", "sent_to_hospital", clinic.bo)
        assert closed.outcome_note == "Eye clinic, seen at 12:00."
        task = Task.objects.get(key=f"escalation:{alarm.ref}")
        assert (task.status, task.done_by, task.outcome) == ("completed", clinic.bo, "Sent to emergency care")

    @pytest.mark.parametrize(
        ("outcome", "note", "field"),
        [("", "All well.", "outcome"), ("fine", "All well.", "outcome"), ("advised", "  ", "note")],
    )
    def test_not_without_an_outcome_and_a_note(self, clinic, alarm, outcome, note, field):
        taken = take(alarm, clinic.bo)

        with pytest.raises(states.OutcomeMissing) as refused:
            alarms.close_escalation(escalation=taken, outcome=outcome, note=note, by=clinic.by, at=at(80))

        assert refused.value.field == field
        alarm.refresh_from_db()
        assert alarm.status == "acknowledged"

    @pytest.mark.parametrize(
        "missing", [{"outcome": ""}, {"outcome_note": None}, {"closed_by": None}, {"closed_at": None}]
    )
    def test_the_database_refuses_it_too(self, clinic, alarm, missing):
        take(alarm, clinic.bo)
        alarm.refresh_from_db()
        closing = {"status": "closed", "closed_at": at(80), "closed_by": clinic.bo, "outcome": "advised"}
        for name, value in ({"outcome_note": "Well."} | closing | missing).items():
            setattr(alarm, name, value)

        with pytest.raises(IntegrityError, match="escalation_closed_with_outcome"), transaction.atomic():
            alarm.save()

    def test_not_before_somebody_has_it(self, clinic, alarm):
        with pytest.raises(IllegalMove):
            alarms.close_escalation(escalation=alarm, outcome="advised", note="x", by=actor(clinic.kim), at=at(3))

    def test_only_its_owner_or_a_lead(self, clinic, alarm):
        other = make_clinician("Pia Ruiz", clinic.location)
        taken = take(alarm, clinic.bo)

        with pytest.raises(states.NotYourAlarm):
            alarms.close_escalation(escalation=taken, outcome="advised", note="Well.", by=actor(other), at=at(80))
        closed = alarms.close_escalation(
            escalation=taken, outcome="advised", note="Well.", by=actor(clinic.kim), at=at(80)
        )
        assert closed.closed_by == clinic.kim

    def test_a_closed_one_is_frozen(self, clinic, alarm):
        taken = take(alarm, clinic.bo)
        alarms.close_escalation(escalation=taken, outcome="advised", note="Well.", by=clinic.by, at=at(80))

        with pytest.raises(IllegalMove):
            alarms.close_escalation(escalation=alarm, outcome="seen", note="Again.", by=clinic.by, at=at(90))
        with pytest.raises(IntegrityError, match="is closed"), transaction.atomic():
            Escalation.objects.filter(pk=alarm.pk).update(outcome="false_alarm")


class TestSilence:
    @pytest.fixture
    def ablative(self, db):
        return recovering("afl_co2")

    def test_an_early_ablative_silence_makes_a_call(self, ablative):
        checkin = checkin_of(ablative)

        assert silence.note_missed_checkins(by=WATCH, at=checkin.silent_at) == 1

        task = Task.objects.get(kind="silence")
        assert task.title == "Call Ana Reyes: not heard from on day 1"
        assert checkin_of(ablative).status == "missed"

    def test_not_before_its_time_and_not_twice(self, ablative):
        silent_at = checkin_of(ablative).silent_at

        assert silence.note_missed_checkins(by=WATCH, at=silent_at - timedelta(seconds=1)) == 0
        assert [silence.note_missed_checkins(by=WATCH, at=silent_at) for _ in range(3)] == [1, 0, 0]
        assert Task.objects.filter(kind="silence").count() == 1

    def test_another_silence_is_only_noted(self, clinic):
        assert silence.note_missed_checkins(by=WATCH, at=after(days=3.5)) == 1
        assert checkin_of(clinic).status == "missed"
        assert not Task.objects.filter(kind="silence").exists()

    def test_a_late_answer_ends_the_silence(self, ablative):
        silence.note_missed_checkins(by=WATCH, at=checkin_of(ablative).silent_at)

        answer(ablative, CALM, at=after(days=2))

        assert checkin_of(ablative).status == "answered"
        assert Task.objects.get(kind="silence").status == "cancelled"

    def test_an_answered_one_is_not_missed(self, ablative):
        answer(ablative, CALM)

        assert silence.note_missed_checkins(by=WATCH, at=checkin_of(ablative).silent_at) == 0

    def test_before_the_call_it_is_asked_for_once_more(self, ablative):
        checkin = checkin_of(ablative)

        assert silence.nudge_checkins(by=WATCH, at=checkin.nudge_at - timedelta(seconds=1)) == 0
        assert [silence.nudge_checkins(by=WATCH, at=checkin.nudge_at) for _ in range(3)] == [1, 0, 0]

        message = Message.objects.get(template="checkin_nudge")
        assert (message.link_scope, message.link_about) == ("checkin", checkin.about)
        assert message.not_after == checkin.silent_at

    def test_an_answer_takes_the_reminder_back(self, ablative):
        silence.nudge_checkins(by=WATCH, at=checkin_of(ablative).nudge_at)

        answer(ablative, CALM)

        assert Message.objects.get(template="checkin_nudge").status == "superseded"

    def test_an_answered_one_is_not_asked_again(self, ablative):
        nudge_at = checkin_of(ablative).nudge_at
        answer(ablative, CALM)

        assert silence.nudge_checkins(by=WATCH, at=nudge_at) == 0


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_clinicians_take_it_at_once_and_one_has_it():
    clinic = recovering()
    put_on_call(clinic.kim, order=2)
    for number in range(8):
        answer(clinic, RED, at=RAISED + timedelta(hours=number))
        alarm = Escalation.objects.unfinished().get()
        barrier, said = threading.Barrier(2), []

        def grab(user, alarm=alarm, barrier=barrier, said=said):
            try:
                barrier.wait()
                said.append(take(alarm, user).owner.name)
            except states.AlreadyTaken as refused:
                said.append(refused.for_people)
            finally:
                connection.close()

        threads = [threading.Thread(target=grab, args=[user]) for user in (clinic.bo, clinic.kim)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

        alarm.refresh_from_db()
        assert sorted(said) == sorted([alarm.owner.name, f"{alarm.owner.name} took it at 10:42."])
        alarms.close_escalation(escalation=alarm, outcome="advised", note="Well.", by=actor(alarm.owner), at=at(30))
    assert AuditEvent.objects.filter(action="escalation.acknowledged").count() == 8
