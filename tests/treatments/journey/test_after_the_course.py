"""Where a patient stands once a course is over: nobody is asked to plan again what has just been done."""

from datetime import timedelta

import pytest

from clinic.staff.states import Role
from tests.factories.people import NOW, make_user
from tests.factories.visits import make_course, make_decision
from treatments.courses.models import Course
from treatments.journey.queries import chart

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=90)


@pytest.fixture
def step(place, ana):
    bo = make_user("Bo Lindqvist", Role.CLINICIAN, location=place)
    return lambda at=LATER: chart(ana, bo, at).next_step


def over(course, status, done):
    """The course is over, its last session sixty days after it was planned."""
    last = NOW + timedelta(days=60) if done else None
    Course.objects.filter(pk=course.pk).update(status=status, sessions_done=done, last_treated_at=last)


def test_a_course_that_is_done_offers_no_other(ana, step):
    over(make_course(ana), "completed", 3)

    assert (step().stage, step().sentence, step().url) == ("done", "All 3 sessions are done; follow-up goes on.", "")


def test_a_course_that_was_ended_says_after_how_many(ana, step):
    over(make_course(ana), "revoked", 1)

    assert (step().stage, step().sentence) == ("ended", "The course was ended after 1 of 3 sessions.")


def test_a_decision_after_the_last_session_is_one_to_plan_on(ana, step):
    over(make_course(ana), "completed", 3)
    ana.decisions.update(status="superseded")
    ana.screenings.update(status="superseded")
    make_decision(ana, decided_at=LATER)

    assert (step().stage, step().label) == ("course", "Plan the course")


def test_another_lasers_decision_is_still_to_plan_on(ana, step):
    over(make_course(ana), "completed", 3)
    make_decision(ana, "pico_755")

    assert (step().stage, step().label) == ("course", "Plan the course")


def test_another_course_can_still_be_planned_by_who_decides(client, place, ana):
    over(make_course(ana), "completed", 3)
    link = f'href="/patients/{ana.ref}/course/"'
    pages = []
    for role in (Role.CLINICIAN, Role.FRONT_DESK):
        client.force_login(make_user(role.label, role, location=place))
        pages.append(client.get(f"/patients/{ana.ref}/").content.decode())

    assert [link in page for page in pages] == [True, False]


def test_a_course_entered_in_error_used_nothing_up(ana, step):
    over(make_course(ana), "entered-in-error", 0)

    assert step().label == "Plan the course"
