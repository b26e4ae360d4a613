"""Opening, checking, starting, recording, completing, signing: what happens, and what is refused."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from clinic.audit.models import AuditEvent
from clinic.transitions import IllegalMove
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision
from patients.consent.actions import revoke_consent
from patients.consent.models import Consent
from tests.factories.people import NOW, actor
from tests.factories.treating import (
    ALL_CLEAR,
    RECORD,
    fit,
    make_clinic,
    make_visit,
    minutes,
    opened,
    sign,
    treated_area,
    under_way,
)
from treatments.booking.models import Appointment
from treatments.courses.models import Course
from treatments.sessions import actions, fitness, passes, readiness, states
from treatments.sessions.models import Addendum, FitnessCheck, SessionPass, TreatmentSession
from treatments.sessions.queries import last_session, pass_lines

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    return make_clinic()


def complete(session, clinic, at=None, completed_at=None, stopped_reason="", **record):
    at = at or minutes(40)
    return actions.complete_session(
        session=session,
        completed_at=completed_at or at,
        record=RECORD | record,
        stopped_reason=stopped_reason,
        by=clinic.by,
        at=at,
    )


class TestOpening:
    def test_it_copies_who_what_and_which(self, clinic):
        session = opened(clinic)

        assert (session.patient, session.course, session.device, session.operator) == (
            clinic.ana,
            clinic.course,
            clinic.device,
            clinic.practitioner,
        )
        assert (session.number, session.modality, session.status) == (1, "nafl_1550", "preparation")

    def test_opened_twice_is_one(self, clinic):
        assert opened(clinic) == opened(clinic)
        assert TreatmentSession.objects.count() == 1

    def test_not_before_the_patient_has_arrived(self, clinic):
        clinic.visit.status = "booked"
        clinic.visit.save()

        with pytest.raises(states.NotArrived):
            opened(clinic)

    def test_not_without_a_laser(self, clinic):
        clinic.visit.device = None
        clinic.visit.save()

        with pytest.raises(states.NotArrived):
            opened(clinic)

    def test_a_failed_audit_write_leaves_nothing(self, clinic, monkeypatch):
        monkeypatch.setattr(actions, "record_event", fail)

        with pytest.raises(RuntimeError):
            opened(clinic)

        assert TreatmentSession.objects.count() == 0


def fail(**_):
    raise RuntimeError("the last write fails")


class TestFitness:
    def test_answers_are_kept_with_who_and_when(self, clinic):
        session = fit(clinic)

        check = session.fitness
        assert (check.answers, check.is_fit, check.checked_by, check.checked_at) == (ALL_CLEAR, True, clinic.bo, NOW)
        assert not Task.objects.exists()

    @pytest.mark.parametrize(
        ("question", "given"),
        [(question, given) for question in ALL_CLEAR for given in (None, "", "maybe")] + [("tan", "not_applicable")],
    )
    def test_a_question_without_a_known_answer_is_refused_at_its_place(self, clinic, question, given):
        session = opened(clinic)
        answers = {key: value for key, value in ALL_CLEAR.items() if key != question}
        answers |= {question: given} if given is not None else {}

        with pytest.raises(states.FitnessIncomplete) as refused:
            fitness.record_fitness(session=session, answers=answers, by=clinic.by, at=NOW)

        assert refused.value.field == question
        assert not FitnessCheck.objects.exists()

    def test_a_yes_tells_the_clinicians_without_saying_what(self, clinic):
        fit(clinic, cold_sore="yes")

        task = Task.objects.get()
        assert (task.role, task.blocks_treatment, task.modality, task.due_at) == ("clinician", True, "nafl_1550", NOW)
        assert "sore" not in task.title + task.why

    def test_a_check_is_never_rewritten(self, clinic):
        check = fit(clinic).fitness

        with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
            FitnessCheck.objects.filter(pk=check.pk).update(is_fit=False)

    def test_not_after_the_start(self, clinic):
        session = under_way(clinic)

        with pytest.raises(IllegalMove):
            fitness.record_fitness(session=session, answers=ALL_CLEAR, by=clinic.by, at=NOW)


class TestStarting:
    def test_the_patient_is_in_the_room_once_it_starts(self, clinic):
        waiting = fit(clinic)
        assert waiting.appointment.in_room_at is None

        actions.start_session(session=waiting, by=clinic.by, at=NOW)

        visit = Appointment.objects.get(pk=clinic.visit.pk)
        assert (visit.step, visit.in_room_at) == ("in_room", NOW)

    def test_a_ready_session_starts_with_its_time(self, clinic):
        session = under_way(clinic)

        assert (session.status, session.started_at, session.override_reason) == ("in-progress", NOW, "")

    def test_unready_is_refused_naming_what_is_missing(self, clinic):
        session = opened(clinic)
        Course.objects.update(last_treated_at=NOW - timedelta(days=3))

        with pytest.raises(readiness.NotReady) as refused:
            actions.start_session(session=session, by=clinic.by, at=NOW)

        assert [item.key for item in refused.value.items] == ["interval", "fitness"]
        assert "time since the last treatment" in refused.value.for_people
        session.refresh_from_db()
        assert session.status == "preparation"

    def test_an_override_stays_on_the_record_with_its_name(self, clinic):
        session = fit(clinic)
        Course.objects.update(last_treated_at=NOW - timedelta(days=27))

        started = actions.start_session(session=session, override_reason="One day early.", by=clinic.by, at=NOW)

        assert (started.override_reason, started.override_by) == ("One day early.", clinic.bo)
        event = AuditEvent.objects.filter(action="treatmentsession.in-progress").get()
        assert event.detail["reason"] == "One day early."

    def test_a_reason_without_need_is_not_an_override(self, clinic):
        session = fit(clinic)

        started = actions.start_session(session=session, override_reason="Just in case.", by=clinic.by, at=NOW)

        assert (started.override_reason, started.override_by) == ("", None)

    def test_the_desk_cannot_override(self, clinic):
        session = fit(clinic)
        Course.objects.update(last_treated_at=NOW - timedelta(days=27))

        with pytest.raises(readiness.NotReady, match="Only a clinician"):
            actions.start_session(session=session, override_reason="She insists.", by=actor(clinic.dee), at=NOW)

    @pytest.mark.parametrize("spoil", ["consent", "decision", "unasked"])
    def test_what_cannot_be_passed_over(self, clinic, spoil):
        session = opened(clinic) if spoil == "unasked" else fit(clinic)
        if spoil == "consent":
            revoke_consent(consent=clinic.consent, reason="No.", by=clinic.by, at=NOW)
        if spoil == "decision":
            CandidacyDecision.objects.update(status="superseded")

        with pytest.raises(readiness.NotReady, match="can't be passed over"):
            actions.start_session(session=session, override_reason="All will be well.", by=clinic.by, at=NOW)

    def test_an_unfit_patient_can_be_treated_on_a_clinicians_word(self, clinic):
        session = fit(clinic, tan="yes")

        started = actions.start_session(session=session, override_reason="Self-tan, washed off.", by=clinic.by, at=NOW)

        assert started.override_by == clinic.bo

    def test_not_twice(self, clinic):
        session = under_way(clinic)

        with pytest.raises(IllegalMove):
            actions.start_session(session=session, by=clinic.by, at=NOW)

    def test_not_when_the_visit_was_cancelled_meanwhile(self, clinic):
        session = fit(clinic)
        clinic.visit.status, clinic.visit.cancel_reason = "cancelled", "patient"
        clinic.visit.save()

        with pytest.raises(readiness.NotReady, match="arrived"):
            actions.start_session(session=session, by=clinic.by, at=NOW)

    @pytest.mark.parametrize("gone", ["consent", "decision"])
    def test_the_database_itself_refuses_a_start_without_consent_or_decision(self, clinic, gone):
        session = fit(clinic)
        if gone == "consent":
            Consent.objects.update(status="inactive", reason="Withdrawn.")
        else:
            CandidacyDecision.objects.update(status="superseded")

        with pytest.raises(IntegrityError, match=gone), transaction.atomic():
            TreatmentSession.objects.filter(pk=session.pk).update(status="in-progress", started_at=NOW)


class TestPasses:
    def test_a_row_is_recorded_with_its_units(self, clinic):
        session = treated_area(clinic)

        row = session.passes.get()
        assert (row.area, row.passes, row.energy_mj, row.coverage_percent) == ("full_face", 4, Decimal(15), Decimal(8))
        assert (row.warnings, row.warning_reason, row.recorded_by) == ([], "", clinic.bo)

    def test_outside_the_usual_range_needs_a_reason_and_keeps_both(self, clinic):
        session = under_way(clinic)
        settings = {"area": "full_face", "passes": 1, "energy_mj": Decimal(80), "coverage_percent": Decimal(8)}

        with pytest.raises(states.WarningsNeedReason) as refused:
            passes.record_pass(session=session, **settings, by=clinic.by, at=NOW)
        row = passes.record_pass(
            session=session, **settings, warning_reason="Deep scar, tip tested.", by=clinic.by, at=NOW
        )

        assert ["70 mJ" in text for text in refused.value.warnings] == [True]
        assert [each["rule"] for each in row.warnings] == ["W21"]
        assert row.warning_reason == "Deep scar, tip tested."
        assert SessionPass.objects.count() == 1

    def test_a_range_that_could_not_be_checked_is_said_but_needs_no_reason(self, clinic):
        session = under_way(clinic)

        row = passes.record_pass(
            session=session,
            area="full_face",
            passes=1,
            energy_mj=Decimal(15),
            coverage_percent=Decimal(40),
            by=clinic.by,
            at=NOW,
        )

        assert row.warnings == []
        assert any("Skin type is not recorded" in each["text"] for each in row.unchecked)

    @pytest.mark.parametrize(
        ("limits", "energy"), [({"energy_mj": [10, 70]}, 71), ({"energy_mj": [10, 70]}, 9), ({"energy_mj": 70}, 71)]
    )
    def test_the_makers_limit_is_hard(self, clinic, limits, energy):
        clinic.device.limits = limits
        clinic.device.save()
        session = under_way(clinic)

        with pytest.raises(states.BeyondDevice) as refused:
            passes.record_pass(
                session=session,
                area="full_face",
                passes=1,
                energy_mj=Decimal(energy),
                warning_reason="I insist.",
                by=clinic.by,
                at=NOW,
            )

        assert refused.value.field == "energy_mj"

    def test_an_area_outside_the_consent_is_refused(self, clinic):
        session = under_way(clinic)

        with pytest.raises(states.NotConsented):
            passes.record_pass(session=session, area="neck", passes=1, energy_mj=Decimal(10), by=clinic.by, at=NOW)

    def test_a_part_of_a_consented_area_is_covered(self, clinic):
        session = treated_area(clinic, area="forehead")

        assert session.passes.get().area == "forehead"

    def test_a_double_tap_is_one_row(self, clinic):
        session = under_way(clinic)
        key = clinic.visit.form_key
        give = {"area": "full_face", "passes": 1, "energy_mj": Decimal(10), "form_key": key}

        rows = [passes.record_pass(session=session, **give, by=clinic.by, at=NOW) for _ in range(2)]

        assert rows[0] == rows[1]
        assert SessionPass.objects.count() == 1

    @pytest.mark.parametrize(
        ("settings", "field"),
        [
            ({}, "energy_mj"),
            ({"passes": 0, "energy_mj": Decimal(5)}, "passes"),
            ({"energy_mj": Decimal(-1)}, "energy_mj"),
        ],
    )
    def test_a_row_without_a_dose_is_refused(self, clinic, settings, field):
        session = under_way(clinic)

        with pytest.raises(states.DoseMissing) as refused:
            passes.record_pass(session=session, **({"area": "full_face", "passes": 1} | settings), by=clinic.by, at=NOW)

        assert refused.value.field == field

    def test_not_before_the_start(self, clinic):
        with pytest.raises(states.NotUnderWay):
            passes.record_pass(
                session=fit(clinic), area="full_face", passes=1, energy_mj=Decimal(10), by=clinic.by, at=NOW
            )

    def test_the_last_settings_of_an_area_stand_beside_with_what_changed(self, clinic):
        first = complete(treated_area(clinic), clinic)

        later = NOW + timedelta(days=30)
        second = second_session(clinic, later)
        passes.record_pass(
            session=second, area="full_face", passes=5, energy_mj=Decimal(18), coverage_percent=Decimal(8),
            by=clinic.by, at=later,
        )  # fmt: skip

        [line] = pass_lines(second)
        assert last_session(second) == first
        assert line.changes == ("15 → 18 mJ (+20 %)", "4 → 5 passes (+25 %)")

    def test_a_struck_row_stays_readable_and_counts_no_more(self, clinic):
        session = treated_area(clinic)

        row = passes.strike_pass(row=session.passes.get(), reason="Wrong area.", by=clinic.by, at=minutes(5))

        assert (row.struck_by, row.struck_reason, row.struck_at) == (clinic.bo, "Wrong area.", minutes(5))
        with pytest.raises(states.RecordIncomplete):
            complete(session, clinic)

    def test_striking_says_why(self, clinic):
        with pytest.raises(states.ReasonMissing):
            passes.strike_pass(row=treated_area(clinic).passes.get(), reason=" ", by=clinic.by, at=NOW)

    @pytest.mark.parametrize("change", [{"energy_mj": 1}, {"laterality": "left"}, {"depth_um": 300}])
    def test_the_database_refuses_to_rewrite_a_row(self, clinic, change):
        row = treated_area(clinic).passes.get()

        with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
            SessionPass.objects.filter(pk=row.pk).update(**change)


def second_session(clinic, at):
    Course.objects.filter(pk=clinic.course.pk).update(last_treated_at=NOW, sessions_done=1)
    visit = make_visit(clinic.ana, Course.objects.get(pk=clinic.course.pk), clinic.practitioner, clinic.device, at)
    session = actions.open_session(appointment=visit, by=clinic.by, at=at)
    fitness.record_fitness(session=session, answers=ALL_CLEAR, by=clinic.by, at=at)
    return actions.start_session(session=session, by=clinic.by, at=at)


class TestCompleting:
    def test_the_record_holds_what_was_said_and_when_it_truly_ended(self, clinic):
        done = complete(
            treated_area(clinic),
            clinic,
            at=minutes(300),
            completed_at=minutes(40),
            endpoints=["erythema", "oedema"],
            note="Calm.",
        )

        assert (done.status, done.completed_at, done.areas_treated) == ("completed", minutes(40), ["full_face"])
        assert (done.anaesthesia, done.eye_protection, done.cooling, done.pain_during) == (
            "none", "external", "forced_air", 4,
        )  # fmt: skip
        assert (done.endpoints, done.note) == (["erythema", "oedema"], "Calm.")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("anaesthesia", ""),
            ("anaesthesia", "laughter"),
            ("eye_protection", ""),
            ("cooling", None),
            ("pain_during", None),
            ("pain_during", 11),
            ("pain_during", True),
            ("endpoints", ["sparkles"]),
            ("areas_treated", ["neck"]),
        ],
    )
    def test_what_must_be_said_is_asked_for_at_its_place(self, clinic, field, value):
        session = treated_area(clinic)

        with pytest.raises(states.RecordIncomplete) as refused:
            complete(session, clinic, **{field: value})

        assert refused.value.field == field
        session.refresh_from_db()
        assert session.status == "in-progress"

    @pytest.mark.parametrize("completed_at", [minutes(-1), minutes(41)], ids=["before the start", "in the future"])
    def test_it_cannot_have_ended_before_it_began_or_later_than_now(self, clinic, completed_at):
        with pytest.raises(states.WrongTime):
            complete(treated_area(clinic), clinic, at=minutes(40), completed_at=completed_at)

    def test_cut_short_says_why(self, clinic):
        done = complete(treated_area(clinic), clinic, stopped_reason="Felt faint.")

        assert (done.status, done.stopped_reason) == ("stopped", "Felt faint.")

    def test_numbing_outside_the_usual_needs_a_reason(self, clinic):
        session = treated_area(clinic)
        numbing = {"anaesthesia": "topical", "anaesthesia_detail": {"strength_percent": 30, "minutes": 45}}

        with pytest.raises(states.WarningsNeedReason) as refused:
            complete(session, clinic, **numbing)
        done = complete(session, clinic, **numbing, anaesthesia_reason="Compounded, small area.")

        assert refused.value.field == "anaesthesia_reason"
        assert [each["rule"] for each in done.anaesthesia_detail["warnings"]] == ["N04", "N05"]
        assert done.anaesthesia_detail["reason"] == "Compounded, small area."

    def test_not_twice(self, clinic):
        session = treated_area(clinic)
        complete(session, clinic)

        with pytest.raises(IllegalMove):
            complete(session, clinic)

    def test_not_before_the_start(self, clinic):
        with pytest.raises(IllegalMove):
            complete(fit(clinic), clinic)


class TestAbandoning:
    def test_nothing_was_treated_and_the_reason_stands(self, clinic):
        session = actions.abandon_session(session=fit(clinic), reason="Cold sore today.", by=clinic.by, at=NOW)

        assert (session.status, session.stopped_reason) == ("not-done", "Cold sore today.")

    def test_not_without_a_reason_and_not_once_under_way(self, clinic):
        session = fit(clinic)

        with pytest.raises(states.ReasonMissing):
            actions.abandon_session(session=session, reason="", by=clinic.by, at=NOW)
        started = actions.start_session(session=session, by=clinic.by, at=NOW)
        with pytest.raises(IllegalMove):
            actions.abandon_session(session=started, reason="Changed my mind.", by=clinic.by, at=NOW)


class TestSigning:
    def test_signed_off_says_who_and_when(self, clinic):
        session = complete(treated_area(clinic), clinic)

        signed = actions.sign_off(session=session, by=clinic.by, at=minutes(60))

        assert (signed.signed_off_by, signed.signed_off_at) == (clinic.bo, minutes(60))

    def test_the_desk_cannot_sign(self, clinic):
        session = complete(treated_area(clinic), clinic)

        with pytest.raises(states.NotYours):
            actions.sign_off(session=session, by=actor(clinic.dee), at=minutes(60))

    def test_not_before_the_end_and_not_twice(self, clinic):
        session = treated_area(clinic)

        with pytest.raises(states.NotUnderWay):
            actions.sign_off(session=session, by=clinic.by, at=minutes(60))
        complete(session, clinic)
        actions.sign_off(session=session, by=clinic.by, at=minutes(60))
        with pytest.raises(states.SignedOff):
            actions.sign_off(session=session, by=clinic.by, at=minutes(61))

    def test_after_it_the_record_is_frozen_by_action_and_by_database(self, clinic):
        session = complete(treated_area(clinic), clinic)
        row = session.passes.get()
        actions.sign_off(session=session, by=clinic.by, at=minutes(60))

        with pytest.raises(states.SignedOff):
            passes.strike_pass(row=row, reason="Late thought.", by=clinic.by, at=minutes(61))
        with pytest.raises(states.SignedOff):
            passes.record_pass(
                session=session, area="full_face", passes=1, energy_mj=Decimal(10), by=clinic.by, at=minutes(61)
            )
        with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
            TreatmentSession.objects.filter(pk=session.pk).update(pain_during=0)
        with pytest.raises(IntegrityError, match="signed off"), transaction.atomic():
            SessionPass.objects.filter(pk=row.pk).update(
                struck_at=minutes(61), struck_by=clinic.bo, struck_reason="Late thought."
            )

    def test_addenda_only_after_signing_and_never_rewritten(self, clinic):
        session = complete(treated_area(clinic), clinic)

        with pytest.raises(states.NotSignedOff):
            actions.add_addendum(session=session, body="Tip lot 4711.", by=clinic.by, at=minutes(60))
        actions.sign_off(session=session, by=clinic.by, at=minutes(60))
        with pytest.raises(states.ReasonMissing):
            actions.add_addendum(session=session, body="  ", by=clinic.by, at=minutes(60))
        addendum = actions.add_addendum(session=session, body="Tip lot 4711.", by=clinic.by, at=minutes(61))

        assert (addendum.body, addendum.added_by) == ("Tip lot 4711.", clinic.bo)
        with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
            Addendum.objects.filter(pk=addendum.pk).update(added_by=clinic.kim)

    def test_a_pass_added_after_the_end_keeps_the_areas_true(self, clinic):
        session = complete(treated_area(clinic), clinic)

        passes.record_pass(
            session=session, area="forehead", passes=1, energy_mj=Decimal(10), by=clinic.by, at=minutes(50)
        )

        session.refresh_from_db()
        assert session.areas_treated == ["full_face", "forehead"]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_consent_revoked_at_the_very_moment_comes_before_the_check_or_after_the_start():
    clinic = make_clinic()
    started = 0
    for number in range(8):
        if number:
            Appointment.objects.update(status="fulfilled")
            clinic.consent = sign(clinic.course, at=NOW)
            clinic.visit = make_visit(clinic.ana, clinic.course, clinic.practitioner, clinic.device, NOW)
        session = fit(clinic)
        barrier, said = threading.Barrier(2), []

        def begin(session=session, barrier=barrier, said=said):
            barrier.wait()
            try:
                said.append(actions.start_session(session=session, by=clinic.by, at=NOW).status)
            except readiness.NotReady as refused:
                said.append([item.key for item in refused.items])
            finally:
                connection.close()

        def revoke(consent=clinic.consent, barrier=barrier):
            barrier.wait()
            revoke_consent(consent=consent, reason="No.", by=clinic.by, at=NOW)
            connection.close()

        threads = [threading.Thread(target=begin), threading.Thread(target=revoke)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

        assert said in (["in-progress"], [["consent"]])
        assert not Consent.objects.in_force().exists()
        started += said == ["in-progress"]
        Task.objects.update(blocks_treatment=False)
    begun = AuditEvent.objects.filter(action="treatmentsession.in-progress").count()
    assert begun == started
