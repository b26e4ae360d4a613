"""Deciding: who may, what each kind needs, what it does, and how it is taken back."""

import json
import re
from datetime import date, timedelta
from functools import partial
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.staff.models import Authorisation
from clinic.transitions import IllegalMove
from clinic.worklist.actions import OutcomeMissing, finish_task
from clinic.worklist.models import Task
from patients.candidacy import work
from patients.candidacy.actions import cosign, decide, screen_response, settle_condition, withdraw_decision
from patients.candidacy.models import CandidacyDecision, Flag
from patients.candidacy.queries import decision_in_force, decision_tasks, open_flags, review_queue
from patients.candidacy.states import (
    AlreadyDecided,
    AlreadyTakenBack,
    ConditionMissing,
    ConditionsNotMeant,
    ConditionUnclear,
    DateNotAhead,
    DateNotMeant,
    DateOrConditionMissing,
    MayNotBeOverridden,
    NotAuthorised,
    OutcomeNotOffered,
    OverrideReasonTooShort,
    ReasonMissing,
    SameClinician,
    ScreeningIncomplete,
    ScreeningReplaced,
)
from patients.messaging.models import Message
from tests.factories.people import NOW, actor, make_clinician, make_location, make_patient, make_user
from tests.factories.screenings import ago, make_screening

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)
REASON = "Talked it through; the aim and the skin fit this laser."
SPRING = date(2027, 3, 1)
KELOID = {"scar_tendency": "keloid", "concerns": ["acne_scars"]}


@pytest.fixture
def location():
    return make_location()


@pytest.fixture
def ana(location):
    return make_patient(location)


@pytest.fixture
def bo(location):
    return make_clinician(location=location)


@pytest.fixture
def noor(location):
    return make_clinician("Noor Haddad", location=location)


def decided(screening, by, kind="proceed", conditions=(), **fields):
    return decide(
        screening=screening,
        kind=kind,
        conditions=list(conditions),
        by=actor(by),
        **{"reason": REASON, "at": LATER, **fields},
    )


def todo(decision):
    return [(task.kind, task.role, task.blocks_treatment, task.status) for task in decision_tasks(decision)]


# --- it happens -------------------------------------------------------------------------------------------------------


def test_a_decision_closes_the_flags_of_its_screening_and_finishes_the_review(ana, bo):
    other = make_screening(ana, "pico_755", wax_last=ago(3))
    screening = make_screening(ana, wax_last=ago(3), tan_present="tanned")

    decision = decided(screening, bo, "proceed", earliest_on=SPRING)

    assert (decision.status, decision.kind, decision.decided_by) == ("in_force", "proceed", bo)
    assert decision_in_force(ana, "nafl_1550") == decision
    assert {flag.rule: flag.closed_by for flag in screening.flags.all()} == {"R10": decision, "R47": decision}
    assert [flag.screening for flag in open_flags(ana)] == [other]
    assert review_queue(bo) == []


def test_the_result_of_the_engine_stands_untouched_beside_the_decision(ana, bo):
    screening = make_screening(ana, wax_last=ago(3))
    before = (screening.outcome, screening.result, screening.result_sha256)

    decided(screening, bo)

    screening.refresh_from_db()
    assert (screening.outcome, screening.result, screening.result_sha256) == before


def test_ablative_laser_to_the_face_waits_for_the_antiviral_decision_whatever_the_clinician_chose(ana, bo):
    decision = decided(make_screening(ana, "afl_co2"), bo)

    task = Task.objects.get(about=f"decision:{decision.ref}")
    assert (task.blocks_treatment, task.modality, task.patient_ref) == (True, "afl_co2", ana.ref)
    assert task.closes_with == ["give", "not_needed", "contraindicated"]
    with pytest.raises(OutcomeMissing):
        finish_task(task=task, outcome="done", by=actor(bo), at=LATER)
    with pytest.raises(OutcomeMissing):
        finish_task(task=task, outcome="give:  ", by=actor(bo), at=LATER)

    settle_condition(task=task, choice="not_needed", reason="Had the tablets last week.", by=actor(bo), at=LATER)

    task.refresh_from_db()
    assert (task.status, task.outcome, task.done_by) == ("completed", "not_needed: Had the tablets last week.", bo)


def test_the_rules_tasks_are_part_of_the_conditions_that_the_decision_keeps(ana, bo):
    screening = make_screening(ana, "nafl_1550", fst_confirmed="5", cold_sores="yes")

    decision = decided(
        screening, bo, "proceed_with_conditions", [{"text": "Lower density on the cheeks", "blocks": False}]
    )

    assert [each["key"] for each in decision.conditions] == ["antiviral_decision", "test_spot", "own-1"]
    assert todo(decision) == [
        ("candidacy.antiviral_decision", "clinician", True, "requested"),
        ("candidacy.test_spot", "clinician", True, "requested"),
        ("candidacy.condition", "clinician", False, "requested"),
    ]


def test_a_task_that_an_unsure_answer_may_ask_for_is_asked_for(ana, bo):
    decision = decided(make_screening(ana, "nafl_1550", cold_sores="not_sure"), bo)

    assert [each["key"] for each in decision.conditions] == ["antiviral_decision"]


@pytest.mark.parametrize("kind", ["defer", "decline", "refer"])
def test_who_is_not_treated_has_no_tasks_before_treatment(ana, bo, kind):
    decision = decided(make_screening(ana, "afl_co2"), bo, kind, earliest_on=SPRING if kind == "defer" else None)

    assert [task for task in decision_tasks(decision) if task.blocks_treatment] == []


def test_deferring_keeps_the_first_day_and_reminds_the_desk_then(ana, bo):
    decision = decided(make_screening(ana), bo, "defer", earliest_on=SPRING)

    assert decision.earliest_on == SPRING
    task = Task.objects.get(about=f"decision:{decision.ref}")
    assert (task.role, task.title) == ("front_desk", "Invite Ana Reyes again: the waiting time is over")
    assert task.due_at.isoformat() == "2027-03-01T09:00:00+00:00"


def test_a_test_spot_first_asks_the_desk_to_book_it(ana, bo):
    decision = decided(make_screening(ana), bo, "test_spot_first")

    assert [task.title for task in decision_tasks(decision)] == ["Book a test spot for Ana Reyes"]


@pytest.mark.parametrize(
    ("kind", "template", "context"),
    [
        ("proceed", "decision", {}),
        ("decline", "decision", {}),
        ("refer", "decision", {}),
        ("defer", "deferred", {"when_local": "1 March 2027"}),
    ],
)
def test_the_patient_is_told_after_the_time_to_undo_without_a_word_of_why(ana, bo, kind, template, context):
    decided(make_screening(ana, wax_last=ago(3)), bo, kind, earliest_on=SPRING if kind == "defer" else None)

    message = Message.objects.get(patient=ana)
    assert (message.template, message.context, message.status) == (template, context, "planned")
    assert message.due_at == LATER + timedelta(minutes=3)


def test_two_lasers_decided_in_one_go_are_one_message(ana, bo):
    decided(make_screening(ana, "nafl_1550"), bo)
    decided(make_screening(ana, "pico_755"), bo, "decline")

    assert Message.objects.filter(patient=ana).count() == 1


def test_the_trail_says_who_decided_and_nothing_of_the_answers_or_the_reason(ana, bo):
    screening = make_screening(ana, eczema="active_elsewhere")
    decision = decided(screening, bo, reason="Her eczema is calm on the face.")
    withdraw_decision(decision=decision, reason="The eczema came back.", by=actor(bo), at=LATER)

    trail = json.dumps(list(AuditEvent.objects.values_list("detail", flat=True)))

    assert "eczema" not in trail.lower()
    event = AuditEvent.objects.get(action="candidacy.decided")
    assert (event.actor_name, event.patient_ref) == ("Bo Lindqvist", ana.ref)


# --- what each kind of decision needs, on each outcome ----------------------------------------------------------------

OUTCOMES = {
    "eligible": {},
    "needs_clinician_review": {"poor_healing": True},
    "defer_until_date": {"wax_last": ago(3)},
    "not_recommended": KELOID,
    "incomplete": {"without": ["fst_confirmed"]},
}
GOES, WAITS, BLANK = "in_force", "awaiting", ScreeningIncomplete
TABLE = {
    "eligible": dict.fromkeys(
        ["proceed", "proceed_with_conditions", "test_spot_first", "defer", "decline", "refer"], GOES
    ),
}
TABLE["needs_clinician_review"] = TABLE["defer_until_date"] = TABLE["eligible"]
TABLE["not_recommended"] = TABLE["eligible"] | dict.fromkeys(
    ["proceed", "proceed_with_conditions", "test_spot_first"], WAITS
)
TABLE["incomplete"] = TABLE["eligible"] | dict.fromkeys(
    ["proceed", "proceed_with_conditions", "test_spot_first"], BLANK
)


@pytest.mark.parametrize("kind", list(TABLE["eligible"]))
@pytest.mark.parametrize("outcome", list(OUTCOMES))
def test_each_kind_of_decision_on_each_outcome(ana, bo, outcome, kind):
    screening = make_screening(ana, "afl_co2", **OUTCOMES[outcome])
    assert screening.outcome == outcome
    conditions = [{"text": "Bring the letter"}] if kind == "proceed_with_conditions" else []
    wanted = TABLE[outcome][kind]

    def act():
        return decided(screening, bo, kind, conditions, earliest_on=SPRING if kind == "defer" else None)

    if isinstance(wanted, str):
        assert act().status == wanted
    else:
        with pytest.raises(wanted):
            act()
        assert CandidacyDecision.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "refusal", "field"),
    [
        ({"reason": "  "}, ReasonMissing, "reason"),
        ({"reason": "x" * 4001}, ReasonMissing, "reason"),
        ({"kind": "defer"}, DateOrConditionMissing, "earliest_on"),
        ({"kind": "defer", "earliest_on": NOW.date()}, DateNotAhead, "earliest_on"),
        ({"kind": "defer", "earliest_on": date(2206, 1, 1)}, DateNotAhead, "earliest_on"),
        ({"kind": "decline", "earliest_on": SPRING}, DateNotMeant, "earliest_on"),
        ({"kind": "refer", "conditions": [{"text": "x"}]}, ConditionsNotMeant, "kind"),
        ({"kind": "proceed", "conditions": [{"text": "x"}]}, ConditionsNotMeant, "kind"),
        ({"kind": "proceed_with_conditions"}, ConditionMissing, "conditions"),
        ({"kind": "proceed_with_conditions", "conditions": [{"text": " "}]}, ConditionUnclear, "conditions"),
        ({"kind": "proceed_with_conditions", "conditions": [{"text": "x" * 301}]}, ConditionUnclear, "conditions"),
        (
            {"kind": "proceed_with_conditions", "conditions": [{"key": "a", "text": "x"}, {"key": "a", "text": "y"}]},
            ConditionUnclear,
            "conditions",
        ),
    ],
)
def test_what_a_decision_must_say(ana, bo, fields, refusal, field):
    with pytest.raises(refusal) as refused:
        decided(make_screening(ana), bo, **fields)

    assert refused.value.field == field
    assert CandidacyDecision.objects.count() == Task.objects.count() == Message.objects.count() == 0


def test_deferring_until_something_is_true_needs_no_date(ana, bo):
    decision = decided(make_screening(ana), bo, "defer", [{"text": "The skin is calm for a month"}])

    assert decision.earliest_on is None
    assert [task.title for task in decision_tasks(decision)] == ["The skin is calm for a month: Ana Reyes"]


def test_a_blank_starred_question_bars_treatment_even_where_something_worse_has_fired(ana, bo):
    screening = make_screening(ana, "afl_co2", without=["fst_confirmed"], **KELOID)
    assert screening.outcome == "not_recommended"

    with pytest.raises(ScreeningIncomplete):
        decided(screening, bo)


def test_a_finding_that_nobody_may_override_bars_treatment(ana, bo):
    screening = make_screening(ana, "afl_co2", scar_tendency="keloid", concerns=["fine_lines"])

    with pytest.raises(MayNotBeOverridden) as refused:
        decided(screening, bo)

    assert refused.value.field == "kind"
    assert "keloid" in refused.value.for_people
    assert decided(screening, bo, "decline").status == "in_force"


def test_going_against_not_recommended_needs_a_real_reason(ana, bo):
    with pytest.raises(OverrideReasonTooShort):
        decided(make_screening(ana, "afl_co2", **KELOID), bo, reason="It is fine.")


# --- who may ----------------------------------------------------------------------------------------------------------


def test_only_who_is_authorised_for_the_laser_decides(ana, bo, location):
    screening = make_screening(ana)
    desk = make_user("Dee Desk", location=location)
    Authorisation.objects.filter(practitioner=bo.practitioner, modality="nafl_1550").update(may_decide=False)
    gone = make_clinician("Gus Gone", location=location)
    gone.practitioner.is_active = False
    gone.practitioner.save()

    for someone in (actor(bo), actor(desk), actor(gone), Actor.patient(ana.ref, "Ana"), Actor.task("import")):
        with pytest.raises(NotAuthorised):
            decide(screening=screening, kind="proceed", reason=REASON, conditions=[], by=someone, at=LATER)
    assert [flag.status for flag in Flag.objects.all()] == []


def test_a_screening_that_was_replaced_is_not_decided(ana, bo):
    first = make_screening(ana, wax_last=ago(3))
    make_screening(ana, at=LATER)

    with pytest.raises(ScreeningReplaced):
        decided(first, bo)


def test_who_decides_second_without_having_seen_the_first_is_refused(ana, bo, noor):
    screening = make_screening(ana, wax_last=ago(3))
    first = decided(screening, bo, "decline")

    with pytest.raises(AlreadyDecided) as refused:
        decided(screening, noor)

    assert "Bo Lindqvist decided “Decline” on 23 November 2026 at 11:00." in refused.value.for_people
    assert decision_in_force(ana, "nafl_1550") == first


def test_who_has_seen_the_first_decision_may_replace_it(ana, bo, noor):
    screening = make_screening(ana, "afl_co2", wax_last=ago(3))
    first = decided(screening, bo)

    second = decided(screening, noor, "decline", replaces=first)

    first.refresh_from_db()
    assert (first.status, second.status) == ("superseded", "in_force")
    assert todo(first) == [("candidacy.antiviral_decision", "clinician", True, "cancelled")]
    assert open_flags(ana, "afl_co2") == []
    assert {flag.closed_by for flag in screening.flags.all()} == {second}


def test_what_a_replacing_decision_settled_stays_settled_when_the_answers_are_screened_again(ana, bo, noor):
    screening = make_screening(ana, wax_last=ago(3))
    decided(screening, noor, replaces=decided(screening, bo, "decline"))

    make_screening(ana, at=LATER, wax_last=ago(3), smoking="current")

    assert [flag.rule for flag in open_flags(ana, "nafl_1550")] == []


def test_a_decision_on_a_newer_screening_takes_the_place_of_the_older_one(ana, bo, noor):
    first = decided(make_screening(ana, wax_last=ago(3)), bo, "defer", earliest_on=SPRING)

    second = decided(make_screening(ana, at=LATER), noor)

    first.refresh_from_db()
    assert first.status == "superseded"
    assert decision_in_force(ana, "nafl_1550") == second
    assert [m.status for m in Message.objects.filter(template="deferred")] == ["superseded"]


def test_a_failure_in_the_last_write_leaves_nothing(ana, bo, monkeypatch):
    screening = make_screening(ana, "afl_co2", wax_last=ago(3))
    events = AuditEvent.objects.count()

    def fail(**kwargs):
        raise RuntimeError("no messages today")

    monkeypatch.setattr(work, "queue_message", fail)
    with pytest.raises(RuntimeError):
        decided(screening, bo)

    assert CandidacyDecision.objects.count() == Task.objects.count() == 0
    assert [flag.status for flag in screening.flags.all()] == ["open"]
    assert AuditEvent.objects.count() == events


# --- the second clinician ---------------------------------------------------------------------------------------------


@pytest.fixture
def proposed(ana, bo):
    return decided(make_screening(ana, "afl_co2", **KELOID), bo)


def test_an_override_changes_nothing_until_a_second_clinician_agrees(ana, proposed, noor):
    assert (proposed.status, proposed.overrides) == ("awaiting", True)
    assert decision_in_force(ana, "afl_co2") is None
    assert len(open_flags(ana, "afl_co2")) == 1
    assert Message.objects.count() == 0
    assert [row.cosign for row in review_queue(noor)] == [True]

    agreed = cosign(decision=proposed, by=actor(noor), at=LATER)

    assert (agreed.status, agreed.cosigned_by, agreed.cosigned_at) == ("in_force", noor, LATER)
    assert open_flags(ana, "afl_co2") == []
    assert [(task.kind, task.status) for task in decision_tasks(agreed)] == [
        ("candidacy.cosign", "completed"),
        ("candidacy.antiviral_decision", "requested"),
    ]
    assert Message.objects.count() == 1


def test_nobody_is_their_own_second_clinician(proposed, bo):
    with pytest.raises(SameClinician):
        cosign(decision=proposed, by=actor(bo), at=LATER)


def test_the_second_clinician_must_be_authorised_too(proposed, noor):
    Authorisation.objects.filter(practitioner=noor.practitioner, modality="afl_co2").update(may_decide=False)

    with pytest.raises(NotAuthorised):
        cosign(decision=proposed, by=actor(noor), at=LATER)


def test_agreeing_twice_is_refused_and_changes_nothing(proposed, noor):
    cosign(decision=proposed, by=actor(noor), at=LATER)
    events = AuditEvent.objects.count()

    with pytest.raises(IllegalMove):
        cosign(decision=proposed, by=actor(noor), at=LATER)

    assert AuditEvent.objects.count() == events


def test_answers_screened_again_take_back_what_waits_for_a_second_clinician(ana, proposed, noor):
    make_screening(ana, "afl_co2", at=LATER, wax_last=ago(1), **KELOID)

    with pytest.raises((ScreeningReplaced, IllegalMove)):
        cosign(decision=proposed, by=actor(noor), at=LATER)
    proposed.refresh_from_db()
    assert proposed.status == "withdrawn"


def test_a_decision_that_stands_is_kept_while_its_override_waits(ana, bo, noor):
    screening = make_screening(ana, "afl_co2", **KELOID)
    declined = decided(screening, bo, "decline")

    waiting = decided(screening, noor, replaces=declined)

    assert decision_in_force(ana, "afl_co2") == declined
    withdraw_decision(decision=waiting, reason="On second thoughts, no.", by=actor(noor), at=LATER)
    assert decision_in_force(ana, "afl_co2") == declined
    assert open_flags(ana, "afl_co2") == []


def test_the_database_refuses_an_override_without_a_second_clinician(proposed, bo):
    for fields in ({"status": "in_force"}, {"cosigned_by": bo, "cosigned_at": LATER}):
        with pytest.raises(IntegrityError), transaction.atomic():
            CandidacyDecision.objects.filter(pk=proposed.pk).update(**fields)


# --- taking back ------------------------------------------------------------------------------------------------------


def test_a_decision_taken_back_opens_its_flags_and_stops_its_work(ana, bo, noor):
    screening = make_screening(ana, "afl_co2", wax_last=ago(3))
    decision = decided(screening, bo)

    gone = withdraw_decision(decision=decision, reason="The wrong patient was on the screen.", by=actor(noor), at=LATER)

    assert (gone.status, gone.withdrawn_reason) == ("withdrawn", "The wrong patient was on the screen.")
    assert [(flag.rule, flag.closed_by) for flag in open_flags(ana)] == [("R47", None)]
    assert todo(gone) == [("candidacy.antiviral_decision", "clinician", True, "cancelled")]
    assert [message.status for message in Message.objects.all()] == ["superseded"]
    assert decision_in_force(ana, "afl_co2") is None


def test_taking_back_says_why_and_happens_once(ana, bo):
    decision = decided(make_screening(ana), bo)

    with pytest.raises(ReasonMissing):
        withdraw_decision(decision=decision, reason=" ", by=actor(bo), at=LATER)
    withdraw_decision(decision=decision, reason="A slip of the hand.", by=actor(bo), at=LATER)
    assert CandidacyDecision.objects.get().withdrawn_by == "Bo Lindqvist"
    with pytest.raises(AlreadyTakenBack) as refused:
        withdraw_decision(decision=decision, reason="Again.", by=actor(bo), at=LATER + timedelta(days=1))
    assert refused.value.for_people.startswith("Bo Lindqvist took this decision back on 23 November 2026 at 11:00.")


def test_a_decision_already_replaced_is_not_taken_back_and_names_the_newer_one(ana, bo, noor):
    screening = make_screening(ana)
    first = decided(screening, bo)
    second = decided(screening, noor, "decline", replaces=first, at=LATER + timedelta(minutes=42))

    with pytest.raises(AlreadyDecided) as refused:
        withdraw_decision(decision=first, reason="A slip.", by=actor(bo), at=LATER + timedelta(hours=1))

    assert "Noor Haddad decided “Decline” on 23 November 2026 at 11:42." in refused.value.for_people
    assert decision_in_force(ana, "nafl_1550") == second


def test_the_second_to_decide_reads_the_time_on_the_clock_of_the_patients_clinic(noor, bo):
    athens = make_location("Athens", "Europe/Athens")
    eva = make_patient(athens, "Eva", email="eva@mail.example")
    screening = make_screening(eva)
    decided(screening, bo, "decline")

    with pytest.raises(AlreadyDecided, match="on 23 November 2026 at 13:00"):
        decided(screening, noor)


def test_taking_back_is_for_who_may_decide(ana, bo, location):
    decision = decided(make_screening(ana), bo)

    with pytest.raises(NotAuthorised):
        withdraw_decision(decision=decision, reason="x", by=actor(make_user("Dee Desk", location=location)), at=LATER)


def test_a_flag_settled_before_and_carried_over_opens_too_when_its_decision_is_taken_back(ana, bo):
    first = make_screening(ana, wax_last=ago(3))
    decision = decided(first, bo)
    screen_response(
        response=make_screening(ana, "pico_755", at=LATER, wax_last=ago(3), smoking="current").response,
        modality="nafl_1550",
        reference_on=NOW.date(),
        by=actor(bo),
        at=LATER,
    )
    assert open_flags(ana, "nafl_1550") == []

    withdraw_decision(decision=decision, reason="Too soon.", by=actor(bo), at=LATER)

    assert [flag.rule for flag in open_flags(ana, "nafl_1550")] == ["R47"]


# --- closing a condition ----------------------------------------------------------------------------------------------


@pytest.fixture
def antiviral(ana, bo):
    decision = decided(make_screening(ana, "afl_co2"), bo)
    return Task.objects.get(about=f"decision:{decision.ref}")


@pytest.mark.parametrize(
    ("choice", "reason", "refusal"),
    [("perhaps", "x", OutcomeNotOffered), ("", "x", OutcomeNotOffered), ("give", " ", ReasonMissing)],
)
def test_a_condition_closes_with_its_own_words_and_a_reason(antiviral, bo, choice, reason, refusal):
    with pytest.raises(refusal):
        settle_condition(task=antiviral, choice=choice, reason=reason, by=actor(bo), at=LATER)

    antiviral.refresh_from_db()
    assert antiviral.status == "requested"


def test_a_condition_is_closed_by_who_is_authorised_and_once(antiviral, bo, location):
    with pytest.raises(NotAuthorised):
        settle_condition(
            task=antiviral, choice="give", reason="x", by=actor(make_user("Dee Desk", location=location)), at=LATER
        )
    settle_condition(task=antiviral, choice="give", reason="Valaciclovir.", by=actor(bo), at=LATER)
    with pytest.raises(IllegalMove):
        settle_condition(task=antiviral, choice="give", reason="Valaciclovir.", by=actor(bo), at=LATER)


def test_a_test_spot_that_read_badly_takes_the_decision_back(ana, bo):
    decision = decided(make_screening(ana, fst_confirmed="4"), bo)
    task = Task.objects.get(kind="candidacy.test_spot")
    with pytest.raises(OutcomeMissing):
        finish_task(task=task, outcome="read_not_ok: dark marks", by=actor(bo), at=LATER)

    closed = settle_condition(
        task=task, choice="read_not_ok", reason="Dark marks after a week.", by=actor(bo), at=LATER
    )

    decision.refresh_from_db()
    assert (closed.status, decision.status) == ("cancelled", "withdrawn")
    assert decision.withdrawn_reason == "read_not_ok: Dark marks after a week."
    assert decision_in_force(ana, "nafl_1550") is None


# --- what the database refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE patients_candidacydecision SET kind = 'refer'",
        "UPDATE patients_candidacydecision SET reason = 'x'",
        "UPDATE patients_candidacydecision SET overrides = true",
        "UPDATE patients_candidacydecision SET earliest_on = '2027-01-01'",
        "UPDATE patients_candidacydecision SET status = 'withdrawn'",
        "DELETE FROM patients_candidacydecision",
    ],
)
def test_the_database_refuses_to_rewrite_a_decision(ana, bo, statement):
    decided(make_screening(ana), bo)

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_database_refuses_two_decisions_in_force(ana, bo):
    decision = decided(make_screening(ana), bo)
    decision.pk = None
    decision.ref = "00000000-0000-4000-8000-000000000001"

    with pytest.raises(IntegrityError), transaction.atomic():
        decision.save(force_insert=True)


# --- at the same moment -----------------------------------------------------------------------------------------------


def at_once(*acts):
    """Run the acts in threads that start together; return what each returned or raised."""
    barrier, results = Barrier(len(acts)), [None] * len(acts)

    def run(place, act):
        try:
            barrier.wait()
            results[place] = act()
        except Exception as error:
            results[place] = error
        finally:
            connection.close()

    threads = [Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_clinicians_who_decide_at_once_one_wins_and_the_other_is_told(location, bo, noor):
    for number in range(8):
        patient = make_patient(location, given_name=f"P{number}", email=f"p{number}@mail.example")
        screening = make_screening(patient, "afl_co2", wax_last=ago(3))

        results = at_once(lambda s=screening: decided(s, bo), lambda s=screening: decided(s, noor, "decline"))

        won = [each for each in results if isinstance(each, CandidacyDecision)]
        lost = [each for each in results if isinstance(each, AlreadyDecided)]
        assert (len(won), len(lost)) == (1, 1), results
        assert f"{won[0].decided_by.name} decided “{won[0].get_kind_display()}” on 23 November" in lost[0].for_people
        assert CandidacyDecision.objects.get(patient=patient) == won[0]
        assert AuditEvent.objects.filter(action="candidacy.decided", patient_ref=patient.ref).count() == 1


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_decision_and_a_new_screening_at_once_never_leave_an_old_decision_on_new_findings(location, bo):
    for number in range(8):
        patient = make_patient(location, given_name=f"P{number}", email=f"p{number}@mail.example")
        screening = make_screening(patient, wax_last=ago(3))
        other = make_screening(patient, "pico_755", at=LATER, wax_last=ago(3), tan_present="tanned")

        def again(response=other.response, patient=patient):
            by = Actor.patient(patient.ref, patient.full_name)
            return screen_response(response=response, modality="nafl_1550", reference_on=NOW.date(), by=by, at=LATER)

        results = at_once(lambda s=screening: decided(s, bo), again)

        assert all(not isinstance(each, Exception) or isinstance(each, ScreeningReplaced) for each in results), results
        assert "R10" in [flag.rule for flag in open_flags(patient, "nafl_1550")]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_taking_back_and_replacing_at_once_leave_the_newer_decision_in_force_and_all_its_flags_closed(
    location, bo, noor
):
    for number in range(8):
        patient = make_patient(location, given_name=f"P{number}", email=f"p{number}@mail.example")
        screening = make_screening(patient, "afl_co2", wax_last=ago(3))
        first = decided(screening, bo)

        taken, newer = at_once(
            lambda d=first: withdraw_decision(decision=d, reason="A slip of the hand.", by=actor(bo), at=LATER),
            lambda s=screening, d=first: decided(s, noor, replaces=d),
        )

        assert isinstance(newer, CandidacyDecision), newer
        assert isinstance(taken, (CandidacyDecision, AlreadyDecided)), taken
        if isinstance(taken, AlreadyDecided):
            assert "Noor Haddad decided “Proceed”" in taken.for_people
        assert decision_in_force(patient, "afl_co2") == newer
        assert {flag.closed_by for flag in screening.flags.all()} == {newer}
        assert [task.status for task in decision_tasks(first)] == ["cancelled"]
        assert [task.status for task in decision_tasks(newer)] == ["requested"]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_taking_back_while_another_decides_unseeing_never_closes_flags_without_a_decision(location, bo, noor):
    for number in range(8):
        patient = make_patient(location, given_name=f"P{number}", email=f"p{number}@mail.example")
        screening = make_screening(patient, "afl_co2", wax_last=ago(3))
        first = decided(screening, bo)

        taken, second = at_once(
            lambda d=first: withdraw_decision(decision=d, reason="A slip of the hand.", by=actor(bo), at=LATER),
            lambda s=screening: decided(s, noor, "decline"),
        )

        assert isinstance(taken, CandidacyDecision), taken
        assert isinstance(second, (CandidacyDecision, AlreadyDecided)), second
        stands = second if isinstance(second, CandidacyDecision) else None
        assert decision_in_force(patient, "afl_co2") == stands
        assert {flag.closed_by for flag in screening.flags.all()} == {stands}


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_clinicians_who_send_the_page_at_once_one_is_in_force_and_the_other_keeps_every_word(
    location, bo, noor, settings
):
    settings.MFA_COMPULSORY = False
    typed = {
        bo: {"kind": "proceed_with_conditions", "reason": "The aim and the skin fit.", "own_1": "Ring the specialist"},
        noor: {"kind": "decline", "reason": "The skin is not calm enough for me."},
    }
    for number in range(4):
        patient = make_patient(location, given_name=f"P{number}", email=f"p{number}@mail.example")
        url = reverse("screening_decide", args=[make_screening(patient, "afl_co2", wax_last=ago(3)).ref])
        sends = []
        for user, fields in typed.items():
            client = Client()
            client.force_login(user)
            sends.append(partial(client.post, url, fields))

        answers = at_once(*sends)

        assert sorted(answer.status_code for answer in answers) == [302, 409]
        won = CandidacyDecision.objects.get(patient=patient)
        loser = noor if won.decided_by == bo else bo
        page = answers[list(typed).index(loser)].content.decode()
        local = won.decided_at.astimezone(location.zone)
        when = f"{local.day} {local:%B %Y} at {local:%H:%M}"
        assert f"{won.decided_by} decided “{won.get_kind_display()}” on {when}." in page
        for word in list(typed[loser].values())[1:]:
            assert word in page
        assert re.search(rf'value="{typed[loser]["kind"]}"[^>]*checked', page)
        assert f'name="replaces" value="{won.ref}"' in page


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_second_clinicians_at_once_agree_once(location, bo, noor):
    patient = make_patient(location)
    proposed = decided(make_screening(patient, "afl_co2", **KELOID), bo)
    third = make_clinician("Ime Third", location=location)

    results = at_once(*(lambda u=user: cosign(decision=proposed, by=actor(u), at=LATER) for user in (noor, third)))

    assert sorted(type(each).__name__ for each in results) == ["CandidacyDecision", "IllegalMove"]
    assert Task.objects.filter(kind="candidacy.antiviral_decision").count() == 1
    assert Message.objects.count() == 1
