from datetime import date

import pytest

from clinic.audit.models import AuditEvent
from clinic.staff.states import Role
from clinic.transitions import IllegalMove
from patients.candidacy.actions import withdraw_decision
from patients.consent.models import Consent
from tests.factories.people import NOW, actor, make_clinician, make_patient, make_user
from tests.factories.visits import BY, get_area, make_course, make_decision, utc
from treatments.courses.actions import (
    BadPlan,
    change_course_plan,
    end_course,
    hold_course,
    note_treated,
    plan_course,
    resume_course,
)
from treatments.courses.models import Course
from treatments.courses.queries import consent_plan, earliest_next
from treatments.courses.states import AlreadyPlanned, CourseClosed, NotCleared

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(place):
    for area in ("full_face", "neck"):
        get_area(area)
    return make_patient(place)


def plan(ana, decision, **fields):
    return plan_course(
        patient=ana,
        decision=decision,
        **{"modality": "nafl_1550", "areas": ["full_face"], "sessions_planned": 3, "by": BY, "at": NOW, **fields},
    )


def consents(course):
    return [(each.status, each.plan) for each in Consent.objects.filter(about=course.about).order_by("id")]


def test_planning_makes_a_course_and_asks_for_consent_to_exactly_that(ana):
    course = plan(ana, make_decision(ana))

    assert (course.status, course.areas, course.sessions_planned, course.min_interval_days) == (
        "active",
        ["full_face"],
        3,
        28,
    )
    assert consents(course) == [("proposed", {"modality": "nafl_1550", "areas": ["full_face"], "sessions": 3})]
    assert AuditEvent.objects.get(action="course.planned").patient_ref == ana.ref


@pytest.mark.parametrize("kind", ["proceed", "proceed_with_conditions", "test_spot_first"])
def test_decisions_on_which_a_course_can_be_planned(ana, kind):
    assert plan(ana, make_decision(ana, kind=kind)).pk


@pytest.mark.parametrize("kind", ["defer", "decline", "refer"])
def test_decisions_on_which_none_can(ana, kind):
    with pytest.raises(NotCleared):
        plan(ana, make_decision(ana, kind=kind))
    assert not Course.objects.exists()


def test_a_withdrawn_decision_or_one_about_something_else_allows_nothing(ana, place):
    with pytest.raises(NotCleared, match="no longer in force"):
        plan(ana, make_decision(ana, status="withdrawn", withdrawn_at=NOW, withdrawn_reason="New answers"))
    with pytest.raises(NotCleared, match="another patient or another laser"):
        plan(ana, make_decision(make_patient(place, "Ben", "Okafor")))
    with pytest.raises(NotCleared, match="another patient or another laser"):
        plan(ana, make_decision(ana, "afl_co2"))


def test_one_open_course_per_laser(ana):
    decision = make_decision(ana)
    first = plan(ana, decision)

    with pytest.raises(AlreadyPlanned):
        plan(ana, decision)
    end_course(course=first, reason="Moves abroad", by=BY, at=NOW)

    assert plan(ana, decision).pk


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"areas": []}, "areas"),
        ({"areas": ["moon"]}, "areas"),
        ({"areas": ["full_face", "full_face"]}, "areas"),
        ({"sessions_planned": 0}, "sessions_planned"),
        ({"sessions_planned": 21}, "sessions_planned"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_at_its_field(ana, fields, field):
    with pytest.raises(BadPlan) as refused:
        plan(ana, make_decision(ana), **fields)
    assert refused.value.field == field


def test_a_changed_plan_voids_the_consent_and_asks_again(ana):
    course = plan(ana, make_decision(ana))

    changed = change_course_plan(
        course=course, areas=["full_face", "neck"], sessions_planned=4, reason="Neck too", by=BY, at=NOW
    )

    assert [status for status, _plan in consents(course)] == ["inactive", "proposed"]
    assert consents(course)[1][1] == consent_plan(changed)
    assert AuditEvent.objects.get(action="course.changed").detail["reason"] == "Neck too"


def test_the_same_plan_again_leaves_the_consent_alone(ana):
    course = plan(ana, make_decision(ana))

    change_course_plan(course=course, areas=["full_face"], sessions_planned=3, reason="-", by=BY, at=NOW)

    assert [status for status, _plan in consents(course)] == ["proposed"]


def test_a_course_cannot_shrink_below_what_is_done_or_change_when_over(ana):
    course = make_course(ana, sessions_done=2)
    with pytest.raises(BadPlan):
        change_course_plan(course=course, areas=["full_face"], sessions_planned=1, reason="-", by=BY, at=NOW)

    end_course(course=course, reason="-", by=BY, at=NOW)
    with pytest.raises(CourseClosed):
        change_course_plan(course=course, areas=["full_face"], sessions_planned=4, reason="-", by=BY, at=NOW)


def test_sessions_are_counted_and_the_last_completes_the_course(ana):
    course = make_course(ana, sessions_planned=2)

    first = note_treated(course=course, treated_at=utc("2026-11-01T10:00"), by=BY, at=NOW)
    assert (first.sessions_done, first.status, first.last_treated_at) == (1, "active", utc("2026-11-01T10:00"))
    # Recorded late: the latest true completion stays the one that intervals count from.
    second = note_treated(course=course, treated_at=utc("2026-10-01T10:00"), by=BY, at=NOW)
    assert (second.sessions_done, second.status, second.last_treated_at) == (2, "completed", utc("2026-11-01T10:00"))


def test_a_test_spot_uses_up_no_session(ana):
    course = note_treated(course=make_course(ana), treated_at=NOW, counts=False, by=BY, at=NOW)

    assert (course.sessions_done, course.last_treated_at) == (0, None)


def test_hold_resume_end(ana):
    course = hold_course(course=make_course(ana), reason="Pregnant?", by=BY, at=NOW)
    assert course.status == "on-hold"
    assert resume_course(course=course, reason="No", by=BY, at=NOW).status == "active"
    assert end_course(course=course, reason="Enough", by=BY, at=NOW).status == "revoked"
    with pytest.raises(IllegalMove):
        resume_course(course=course, reason="After all", by=BY, at=NOW)


def test_a_course_does_not_go_on_without_its_decision(ana, place):
    clinician = make_clinician("Eve Ash", place)
    decision = make_decision(ana, decider=clinician)
    course = hold_course(course=make_course(ana, decision), reason="-", by=BY, at=NOW)
    withdraw_decision(decision=decision, reason="New answers change the picture", by=actor(clinician), at=NOW)

    with pytest.raises(NotCleared):
        resume_course(course=Course.objects.get(pk=course.pk), reason="-", by=BY, at=NOW)


@pytest.mark.parametrize(
    ("decided", "treated", "earliest"),
    [
        (None, None, None),
        (date(2026, 12, 1), None, date(2026, 12, 1)),
        (None, "2026-11-10T10:00", date(2026, 12, 8)),
        (date(2026, 12, 1), "2026-11-10T10:00", date(2026, 12, 8)),
        (date(2027, 1, 1), "2026-11-10T10:00", date(2027, 1, 1)),
    ],
)
def test_the_earliest_date_is_the_later_of_decision_and_interval(ana, decided, treated, earliest):
    make_course(ana, make_decision(ana, earliest_on=decided), last_treated_at=treated and utc(treated))

    found, reason = earliest_next(ana, "nafl_1550")

    assert found == earliest
    assert bool(reason) == bool(earliest)


def test_a_course_entered_in_error_holds_nothing_back(ana):
    make_course(ana, last_treated_at=NOW, status="entered-in-error")

    assert earliest_next(ana, "nafl_1550") == (None, "")


# --- pages --------------------------------------------------------------------------------------------------------


def test_a_clinician_plans_and_changes_a_course(client, ana, place):
    clinician = make_clinician("Eve Ash", place)
    decision = make_decision(ana, decider=clinician)
    client.force_login(clinician)
    sent = {"decision": str(decision.ref), "areas": ["full_face"], "sessions_planned": "3"}

    assert client.get(f"/patients/{ana.ref}/course/").status_code == 200
    assert client.post(f"/patients/{ana.ref}/course/", {**sent, "sessions_planned": "99"}).status_code == 422
    planned = client.post(f"/patients/{ana.ref}/course/", sent)
    course = Course.objects.get()
    assert planned.headers["Location"] == f"/courses/{course.ref}/"

    assert client.post(f"/courses/{course.ref}/", {"areas": ["neck"], "sessions_planned": "2"}).status_code == 422
    client.post(f"/courses/{course.ref}/", {"areas": ["neck"], "sessions_planned": "2", "reason": "Neck only"})
    client.post(f"/courses/{course.ref}/hold/", {"reason": ""})
    course.refresh_from_db()
    assert (course.areas, course.sessions_planned, course.status) == (["neck"], 2, "active")
    client.post(f"/courses/{course.ref}/hold/", {"reason": "Away"})
    course.refresh_from_db()
    assert course.status == "on-hold"
    assert client.get(f"/courses/{course.ref}/").status_code == 200


def test_the_desk_plans_no_course(client, ana, place):
    client.force_login(make_user("Pia Desk", Role.FRONT_DESK, location=place))

    assert client.get(f"/patients/{ana.ref}/course/").status_code == 403
