"""Promise 4: no treatment starts unready. Each thing that is missing blocks by itself, and says whose it is."""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.premises.models import Absence
from clinic.staff.models import Authorisation
from clinic.staff.states import Role
from clinic.worklist.actions import raise_task
from patients.candidacy.models import CandidacyDecision, Flag
from patients.consent.actions import revoke_consent
from tests.factories.people import NOW, actor, make_patient, set_clock
from tests.factories.treating import ALL_CLEAR, fit, make_clinic, make_visit, opened
from tests.factories.visits import make_course, make_decision
from treatments.booking.models import Appointment
from treatments.courses.models import Course
from treatments.sessions.fitness import record_fitness
from treatments.sessions.readiness import readiness, readiness_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    return make_clinic()


def missing(clinic, at=NOW):
    clinic.visit.refresh_from_db()
    return [item.key for item in readiness(clinic.visit, at).missing]


def put_off(clinic, days, status):
    visit = clinic.visit
    visit.starts_at, visit.ends_at = visit.starts_at + timedelta(days=days), visit.ends_at + timedelta(days=days)
    visit.status = status
    visit.save()


def block(clinic, **fields):
    fields = {"blocks_treatment": True, "patient_ref": clinic.ana.ref, "kind": "antiviral"} | fields
    raise_task(
        key="a-task",
        title="Antiviral decision",
        role=Role.CLINICIAN,
        location=clinic.location,
        due_at=NOW,
        by=clinic.by,
        at=NOW,
        **fields,
    )


def test_everything_in_place_is_ready(clinic):
    fit(clinic)

    found = readiness(clinic.visit, NOW)

    assert found.ready
    assert [item.key for item in found.items] == [
        "decision", "flags", "tasks", "consent", "interval", "device", "operator", "fitness",
    ]  # fmt: skip


def test_only_the_check_at_the_door_is_left_before_it(clinic):
    opened(clinic)

    found = readiness(clinic.visit, NOW)

    assert [item.key for item in found.missing] == ["fitness"]
    assert found.prepared
    assert not found.can_override


@pytest.mark.parametrize("kind", ["defer", "decline", "refer", "test_spot_first"])
def test_a_decision_that_does_not_allow_treatment_blocks(clinic, kind):
    fit(clinic)
    CandidacyDecision.objects.update(status="superseded")
    replace_decision(clinic, kind)

    assert missing(clinic) == ["decision"]


def replace_decision(clinic, kind):
    old = CandidacyDecision.objects.get()
    return CandidacyDecision.objects.create(
        patient=clinic.ana,
        screening=old.screening,
        modality=old.modality,
        kind=kind,
        reason="Wait.",
        conditions=[],
        decided_by=clinic.bo,
        decided_at=NOW,
    )


def test_no_decision_in_force_blocks(clinic):
    fit(clinic)
    CandidacyDecision.objects.update(status="superseded")

    assert missing(clinic) == ["decision"]


def test_a_decision_for_another_laser_does_not_count(clinic):
    fit(clinic)
    CandidacyDecision.objects.update(modality="afl_co2")

    assert missing(clinic) == ["decision"]


def test_a_test_spot_needs_only_a_decision_for_a_test_spot(clinic):
    CandidacyDecision.objects.update(status="superseded")
    replace_decision(clinic, "test_spot_first")
    visit = make_visit(clinic.ana, clinic.course, clinic.practitioner, clinic.device, NOW, kind="test_spot")

    assert "decision" not in [item.key for item in readiness(visit, NOW).missing]


def test_an_open_flag_blocks_and_tells_no_medical_answer(clinic):
    fit(clinic)
    screening = CandidacyDecision.objects.get().screening
    Flag.objects.create(
        screening=screening, rule="R12", topic="isotretinoin", effect="review", finding={}, raised_at=NOW
    )

    [item] = readiness(clinic.visit, NOW).missing

    assert item.key == "flags"
    assert "isotretinoin" not in item.detail
    assert not item.can_override


def test_a_blocking_task_blocks_and_names_whose_it_is(clinic):
    fit(clinic)
    block(clinic)

    [item] = readiness(clinic.visit, NOW).missing

    assert (item.key, item.whose, item.due_on, item.can_override) == ("tasks", "Clinician", NOW.date(), True)


def test_an_open_alarm_blocks_and_cannot_be_passed_over(clinic):
    fit(clinic)
    block(clinic, kind="escalation")

    [item] = readiness(clinic.visit, NOW).missing

    assert (item.key, item.can_override) == ("tasks", False)


@pytest.mark.parametrize(
    "task",
    [{"blocks_treatment": False}, {"modality": "afl_co2"}, {"patient_ref": None}],
    ids=["it does not block", "it blocks another laser", "it is nobody's"],
)
def test_a_task_that_does_not_concern_this_treatment_blocks_nothing(clinic, task):
    fit(clinic)
    block(clinic, **task)

    assert missing(clinic) == []


def test_a_revoked_consent_blocks_and_cannot_be_passed_over(clinic):
    fit(clinic)
    revoke_consent(consent=clinic.consent, reason="I have changed my mind.", by=clinic.by, at=NOW)

    [item] = readiness(clinic.visit, NOW).missing

    assert (item.key, item.whose, item.can_override) == ("consent", "Patient", False)


def test_a_changed_plan_makes_the_consent_worth_nothing(clinic):
    fit(clinic)
    Course.objects.update(areas=["full_face", "neck"])

    assert missing(clinic) == ["consent"]


@pytest.mark.parametrize(("days_ago", "blocked"), [(27, True), (28, False), (29, False)])
def test_the_interval_counts_whole_days_since_the_last_treatment(clinic, days_ago, blocked):
    fit(clinic)
    Course.objects.update(last_treated_at=NOW - timedelta(days=days_ago))

    assert missing(clinic) == (["interval"] if blocked else [])


def test_a_visit_to_come_is_judged_for_its_own_day(clinic):
    fit(clinic)
    Course.objects.update(last_treated_at=NOW - timedelta(days=20))
    put_off(clinic, days=8, status="booked")

    assert "interval" not in missing(clinic)


def test_a_visit_wrongly_marked_as_arrived_is_judged_for_today(clinic):
    Course.objects.update(last_treated_at=NOW - timedelta(days=20))
    put_off(clinic, days=8, status="arrived")

    assert "interval" in missing(clinic)


def test_no_laser_blocks(clinic):
    fit(clinic)
    clinic.visit.device = None
    clinic.visit.save()

    assert missing(clinic) == ["device"]


@pytest.mark.parametrize(
    ("fields", "can_override"),
    [
        ({"is_active": False}, False),
        ({"modality": "afl_co2"}, False),
        ({"service_due_on": date(2026, 11, 22)}, True),
    ],
    ids=["not in use", "another laser", "service overdue"],
)
def test_a_laser_out_of_order_blocks(clinic, fields, can_override):
    fit(clinic)
    for name, value in fields.items():
        setattr(clinic.device, name, value)
    clinic.device.save()
    clinic.visit.refresh_from_db()

    [item] = readiness(clinic.visit, NOW).missing

    assert (item.key, item.can_override) == ("device", can_override)


def test_service_due_today_does_not_block(clinic):
    fit(clinic)
    clinic.device.service_due_on = date(2026, 11, 23)
    clinic.device.save()

    assert missing(clinic) == []


def test_a_laser_away_for_service_blocks(clinic):
    fit(clinic)
    Absence.objects.create(
        resource=clinic.device.resource,
        starts_at=NOW - timedelta(hours=1),
        ends_at=NOW + timedelta(hours=1),
        reason="With the maker",
    )

    assert missing(clinic) == ["device"]


def test_an_operator_who_may_not_treat_blocks(clinic):
    fit(clinic)
    Authorisation.objects.filter(practitioner=clinic.practitioner).update(may_treat=False)

    assert missing(clinic) == ["operator"]


def test_a_check_of_yesterday_is_not_todays(clinic):
    fit(clinic, at=NOW - timedelta(days=1))

    assert missing(clinic) == ["fitness"]


def test_the_day_of_the_check_is_the_clinics_day():
    clinic = make_clinic()
    set_clock(clinic.location, "Pacific/Auckland")
    late = NOW.replace(hour=10, minute=30)  # 23:30 in Auckland
    fit(clinic, at=late)

    assert missing(clinic, late + timedelta(minutes=20)) == []
    assert missing(clinic, late + timedelta(minutes=40)) == ["fitness"]


@pytest.mark.parametrize("answer", ["yes", "not_sure"])
@pytest.mark.parametrize("question", list(ALL_CLEAR))
def test_any_answer_but_a_clear_no_is_not_fit(clinic, question, answer):
    session = fit(clinic, **{question: answer})

    found = readiness(clinic.visit, NOW)

    assert not session.fitness.is_fit
    assert {item.key for item in found.missing} == {"fitness", "tasks"}
    assert found.can_override


def test_pregnancy_that_does_not_apply_is_fit_and_nothing_else_may_not_apply(clinic):
    session = fit(clinic, pregnancy="not_applicable")

    assert session.fitness.is_fit


def test_a_second_check_counts_but_the_clinicians_task_stays(clinic):
    session = fit(clinic, tan="yes")
    record_fitness(session=session, answers=ALL_CLEAR, by=actor(clinic.bo), at=NOW + timedelta(minutes=1))

    assert session.fitness_checks.count() == 2
    assert missing(clinic, NOW + timedelta(minutes=2)) == ["tasks"]


def test_a_missing_item_never_hides_another(clinic):
    CandidacyDecision.objects.update(status="superseded")
    clinic.visit.device = None
    clinic.visit.save()
    revoke_consent(consent=clinic.consent, reason="No.", by=clinic.by, at=NOW)
    block(clinic)

    assert {"decision", "tasks", "consent", "device", "fitness"} <= set(missing(clinic))


def booked_for_somebody_else(clinic, name="Marsh", days=2):
    patient = make_patient(clinic.location, given_name="Cleo", family_name=name)
    course = make_course(patient, make_decision(patient, decider=clinic.bo, kind="defer"))
    at = NOW + timedelta(days=days)
    return make_visit(
        patient, course, clinic.practitioner, clinic.device, at, status="booked", booked_at=NOW, arrived_at=None
    )


def test_visits_judged_together_are_judged_as_each_alone(clinic):
    fit(clinic)
    block(clinic)
    spot = make_visit(clinic.ana, clinic.course, clinic.practitioner, clinic.device, NOW, kind="test_spot")
    visits = [booked_for_somebody_else(clinic), clinic.visit, spot]

    together = readiness_of(visits, NOW)

    assert together == [readiness(each, NOW) for each in visits]
    assert [[item.key for item in found.missing] for found in together] == [
        ["decision", "consent", "fitness"], ["tasks"], ["tasks", "fitness"],
    ]  # fmt: skip
    assert readiness_of([], NOW) == []


def test_judging_more_visits_takes_no_more_queries(clinic, django_assert_num_queries):
    visits = [clinic.visit, *(booked_for_somebody_else(clinic, f"Marsh {days}", days) for days in range(1, 4))]
    loaded = Appointment.objects.select_related(
        "patient__location", "type", "course", "practitioner", "device", "location"
    )
    visits = list(loaded.filter(pk__in=[visit.pk for visit in visits]))
    with CaptureQueriesContext(connection) as one:
        readiness_of(visits[:1], NOW)

    with django_assert_num_queries(len(one)):
        readiness_of(visits, NOW)
