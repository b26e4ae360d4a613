"""What went wrong is on the treatment's record by its word and grade, and holds up the next until it was reviewed."""

import re
from datetime import date, timedelta

import pytest
from django.test import Client

from clinic.worklist.models import Task
from tests.factories.people import actor
from tests.factories.recovering import RED, after, alarm_of, answer, recovering
from treatments.aftercare import adverse, states
from treatments.aftercare.models import AdverseEvent
from treatments.sessions.readiness import readiness

RAISED = after(days=1)
TODAY = date(2026, 11, 24)


@pytest.fixture
def clinic(db):
    return recovering()


@pytest.fixture
def alarm(clinic):
    answer(clinic, RED, at=RAISED)
    return alarm_of(clinic)


def note(clinic, alarm, **more):
    given = {"term": "blister", "grade": 1, "relatedness": "probable", "onset_on": TODAY} | more
    return adverse.record_adverse_event(escalation=alarm, **given, by=clinic.by, at=RAISED + timedelta(hours=1))


def test_it_links_treatment_alarm_word_and_grade(clinic, alarm):
    event = note(clinic, alarm, note="Left cheek.")

    assert (event.session, event.escalation, event.patient) == (alarm.checkin.session, alarm, clinic.ana)
    assert (event.term, event.grade, event.is_serious, event.note) == ("blister", 1, False, "Left cheek.")


def test_the_next_treatment_waits_for_its_review(clinic, alarm):
    event = note(clinic, alarm)

    task = Task.objects.get(kind="adverse_event")
    assert (task.role, task.blocks_treatment) == ("clinician", True)
    assert "tasks" in [item.key for item in readiness(clinic.visit, RAISED).missing]
    adverse.review_adverse_event(event=event, note="Healed over, no change.", by=clinic.by, at=RAISED)
    task.refresh_from_db()
    event.refresh_from_db()
    assert (task.status, task.outcome, event.reviewed_by) == ("completed", "Healed over, no change.", clinic.bo)


def test_from_grade_3_on_a_lead_reviews_it_the_same_day(clinic, alarm):
    event = note(clinic, alarm, grade=3)

    task = Task.objects.get(kind="adverse_event")
    assert (event.is_serious, task.role) == (True, "lead_clinician")
    assert task.due_at.date() == TODAY
    with pytest.raises(states.NotYourAlarm):
        adverse.review_adverse_event(event=event, note="Fine.", by=clinic.by, at=RAISED)
    assert adverse.review_adverse_event(event=event, note="Fine.", by=actor(clinic.kim), at=RAISED).reviewed_at


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"term": "sparkles"}, "term"),
        ({"grade": 0}, "grade"),
        ({"grade": 6}, "grade"),
        ({"term": "anaphylaxis", "grade": 2}, "grade"),
        ({"relatedness": "no"}, "relatedness"),
        ({"onset_on": date(2026, 11, 22)}, "onset_on"),
        ({"onset_on": date(2026, 11, 25)}, "onset_on"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(clinic, alarm, wrong, field):
    with pytest.raises(states.BadEvent) as refused:
        note(clinic, alarm, **wrong)

    assert refused.value.field == field
    assert not AdverseEvent.objects.exists()


def test_a_double_tap_is_one(clinic, alarm):
    assert note(clinic, alarm) == note(clinic, alarm)
    assert Task.objects.filter(kind="adverse_event").count() == 1


def test_a_review_says_what_it_found_and_is_made_once(clinic, alarm):
    event = note(clinic, alarm)

    with pytest.raises(states.OutcomeMissing):
        adverse.review_adverse_event(event=event, note=" ", by=clinic.by, at=RAISED)
    adverse.review_adverse_event(event=event, note="Fine.", by=clinic.by, at=RAISED)
    with pytest.raises(states.AlreadyReviewed):
        adverse.review_adverse_event(event=event, note="Fine.", by=clinic.by, at=RAISED)


def test_the_desk_records_nothing(clinic, alarm):
    with pytest.raises(states.MayNotAnswerAlarms):
        adverse.record_adverse_event(
            escalation=alarm, term="blister", grade=1, relatedness="possible", onset_on=TODAY,
            by=actor(clinic.dee), at=RAISED,
        )  # fmt: skip


def test_a_failed_last_write_leaves_nothing(clinic, alarm, monkeypatch):
    def fail(**_):
        raise RuntimeError("the task cannot be written")

    monkeypatch.setattr(adverse, "raise_task", fail)

    with pytest.raises(RuntimeError):
        note(clinic, alarm)

    assert not AdverseEvent.objects.exists()


def test_the_alarms_page_records_and_reviews_it(clinic, alarm, time_machine):
    time_machine.move_to(RAISED + timedelta(hours=1), tick=False)
    browser = Client()
    browser.force_login(clinic.bo)
    there = f"/alarms/{alarm.ref}/"

    refused = browser.post(f"{there}events/", {"term": "blister", "grade": "1", "note": "Left cheek."})
    assert refused.status_code == 422
    assert "Left cheek." in refused.content.decode()
    data = {"term": "blister", "grade": "1", "relatedness": "probable", "onset_on": "2026-11-24", "note": "Left cheek."}
    browser.post(f"{there}events/", data)
    event = AdverseEvent.objects.get()
    page = browser.post(f"{there}events/{event.ref}/review/", {"note": "Healed."}, follow=True)

    words = " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split())
    assert "Grade 1, mild, began 24 Nov 2026, probable" in words
    assert "Reviewed" in words
