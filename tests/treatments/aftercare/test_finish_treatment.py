"""The end of a treatment begins its aftercare: all of it, or nothing."""

from datetime import timedelta

import pytest

from clinic.transitions import IllegalMove
from patients.messaging.models import Message
from tests.factories.people import NOW
from tests.factories.treating import ALL_CLEAR, RECORD, fit, make_clinic, make_visit, minutes, treated_area
from treatments.aftercare import actions
from treatments.aftercare.models import CheckIn
from treatments.booking.models import Appointment
from treatments.courses.models import Course
from treatments.sessions.actions import open_session, start_session
from treatments.sessions.fitness import record_fitness
from treatments.sessions.models import TreatmentSession
from treatments.sessions.passes import record_pass
from treatments.sessions.states import RecordIncomplete

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    return make_clinic()


@pytest.fixture
def ablative():
    return make_clinic("afl_co2")


def finish(session, clinic, at=None, completed_at=None, **more):
    at = at or minutes(40)
    return actions.finish_treatment(
        session=session,
        completed_at=completed_at or at,
        record=RECORD | more.pop("record", {}),
        by=clinic.by,
        at=at,
        **more,
    )


def test_the_visit_is_fulfilled_and_the_course_counts(clinic):
    done = finish(treated_area(clinic), clinic)

    clinic.visit.refresh_from_db()
    clinic.course.refresh_from_db()
    assert (done.status, clinic.visit.status) == ("completed", "fulfilled")
    assert (clinic.course.sessions_done, clinic.course.last_treated_at) == (1, minutes(40))


def test_check_ins_stand_on_the_days_of_the_protocol(clinic):
    done = finish(treated_area(clinic), clinic)

    assert [row.day for row in done.checkins.order_by("due_at")] == [1, 3, 7, 28]


def test_after_ablative_treatment_the_first_two_silences_make_a_call(ablative):
    done = finish(treated_area(ablative, area="full_face"), ablative)

    rows = [(row.day, row.call_if_silent) for row in done.checkins.order_by("due_at")]
    assert rows[:3] == [(1, True), (3, True), (7, False)]
    assert {row.silent_at - row.due_at for row in done.checkins.filter(call_if_silent=False)} == {timedelta(hours=48)}
    assert all(row.nudge_at < row.silent_at for row in done.checkins.filter(call_if_silent=True))


def test_each_check_in_message_leads_to_its_own_check_in(clinic):
    done = finish(treated_area(clinic), clinic)

    messages = {row.step: (row.link_scope, row.link_about) for row in Message.objects.filter(about=done.about)}
    for checkin in done.checkins.all():
        assert messages[checkin.step] == ("checkin", checkin.about)


def test_day_0_is_the_true_end_not_the_recording(clinic):
    done = finish(treated_area(clinic), clinic, at=minutes(6 * 60), completed_at=minutes(40))

    first = done.checkins.order_by("due_at").first()
    assert first.day == 1
    assert (first.due_at.date() - NOW.date()).days == 1


def test_recorded_two_days_late_asks_nothing_whose_time_has_passed(clinic):
    done = finish(treated_area(clinic), clinic, at=NOW + timedelta(days=2, hours=1), completed_at=minutes(40))

    assert [row.day for row in done.checkins.order_by("due_at")] == [3, 7, 28]


def test_a_test_spot_uses_up_no_session(clinic):
    Appointment.objects.filter(pk=clinic.visit.pk).update(type="test_spot_nafl")
    clinic.visit.refresh_from_db()

    finish(treated_area(clinic), clinic)

    clinic.course.refresh_from_db()
    assert (clinic.course.sessions_done, clinic.course.last_treated_at) == (0, None)


def test_cut_short_is_followed_up_like_any_other(clinic):
    done = finish(treated_area(clinic), clinic, stopped_reason="Too much pain.")

    assert done.status == "stopped"
    assert done.checkins.count() == 4


def test_an_incomplete_record_leaves_everything_as_it_was(clinic):
    session = treated_area(clinic)

    with pytest.raises(RecordIncomplete):
        finish(session, clinic, record={"anaesthesia": ""})

    untouched(session, clinic)


@pytest.mark.parametrize("last", ["reconcile_plan", "note_treated", "mark_fulfilled"])
def test_a_failure_in_any_later_write_leaves_nothing(clinic, monkeypatch, last):
    session = treated_area(clinic)
    monkeypatch.setattr(actions, last, fail)

    with pytest.raises(RuntimeError):
        finish(session, clinic)

    untouched(session, clinic)


def fail(**_):
    raise RuntimeError("this write fails")


def untouched(session, clinic):
    assert TreatmentSession.objects.get(pk=session.pk).status == "in-progress"
    assert Appointment.objects.get(pk=clinic.visit.pk).status == "arrived"
    assert Course.objects.get(pk=clinic.course.pk).sessions_done == 0
    assert not CheckIn.objects.exists()
    assert not Message.objects.filter(about=session.about).exists()


def test_a_second_tap_finishes_nothing_twice(clinic):
    session = treated_area(clinic)
    finish(session, clinic)

    with pytest.raises(IllegalMove):
        finish(session, clinic, at=minutes(41))

    assert CheckIn.objects.count() == 4
    clinic.course.refresh_from_db()
    assert clinic.course.sessions_done == 1


def test_a_session_that_never_started_cannot_be_finished(clinic):
    with pytest.raises(IllegalMove):
        finish(fit(clinic), clinic)


def test_a_later_treatment_takes_over_the_healing_of_an_earlier_one(clinic):
    first = finish(treated_area(clinic), clinic)
    later = NOW + timedelta(days=5)
    visit = make_visit(clinic.ana, Course.objects.get(), clinic.practitioner, clinic.device, later)
    second = open_session(appointment=visit, by=clinic.by, at=later)
    record_fitness(session=second, answers=ALL_CLEAR, by=clinic.by, at=later)
    start_session(session=second, override_reason="Planned second pass.", by=clinic.by, at=later)
    record_pass(session=second, area="full_face", passes=1, energy_mj=10, by=clinic.by, at=later)

    finish(second, clinic, at=later + timedelta(minutes=40))

    assert {row.day: row.status for row in first.checkins.all()} == {
        1: "planned",  # was due before the second treatment: still hers to answer
        3: "planned",
        7: "cancelled",
        28: "cancelled",
    }
    waiting = Message.objects.filter(about=first.about, status="planned", due_at__gt=later).exclude(purpose="news")
    asked_again = set(Message.objects.filter(about=second.about).values_list("step", flat=True))
    assert not set(waiting.values_list("step", flat=True)) & asked_again
