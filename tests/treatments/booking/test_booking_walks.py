"""Random walks of the appointment table: only listed moves happen, and claims always match the status."""

from datetime import timedelta
from typing import ClassVar

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from clinic.audit.models import AuditEvent
from clinic.transitions import IllegalMove
from tests.factories.people import make_location, make_patient, make_practitioner
from tests.factories.visits import BY, book, utc
from treatments.booking.actions import (
    cancel_appointment,
    enter_in_error,
    mark_arrived,
    mark_fulfilled,
    mark_noshow,
    move_appointment,
    undo_status,
)
from treatments.booking.flow import confirm_appointment, show_in, show_out, take_back, unconfirm_appointment
from treatments.booking.models import Appointment
from treatments.booking.states import CLAIMING, PENDING, STEPS, TRANSITIONS, UNDO, StaleVersion, Step, step_of

START = utc("2026-11-24T10:00")
NOW = START + timedelta(minutes=5)


class Walk(RuleBasedStateMachine):
    """One visit, every act in any order; the model is nothing but the table and a version."""

    def __init__(self):
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        place = make_location()
        self.visit = book(make_patient(place), make_practitioner("Bo", place), START, at=START - timedelta(hours=1))
        self.status, self.version, self.moves, self.step = "booked", 1, 0, Step.BOOKED

    def teardown(self):
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def act(self, function, target, **more):
        allowed = target is not None and target in TRANSITIONS[self.status]
        try:
            function(appointment=self.visit, by=BY, at=NOW, **more)
        except IllegalMove:
            assert not allowed
        else:
            assert allowed
            self.status, self.version = target, self.version + 1

    def fact(self, function, wanted, changes):
        """An act beside the status: allowed in one status only, and doing nothing the second time."""
        try:
            function(appointment=self.visit, by=BY, at=NOW)
        except IllegalMove:
            assert self.status != wanted
        else:
            assert self.status == wanted
            self.version += changes

    @rule()
    def confirm(self):
        self.fact(confirm_appointment, "booked", self.step == Step.BOOKED)

    @rule()
    def unconfirm(self):
        self.fact(unconfirm_appointment, "booked", self.step == Step.CONFIRMED)

    @rule()
    def show_in(self):
        self.fact(show_in, "arrived", self.step == Step.ARRIVED)

    @rule()
    def show_out(self):
        self.fact(show_out, "arrived", self.step == Step.IN_ROOM)

    @rule(step=st.sampled_from([Step.PROPOSED, Step.DONE, Step.CANCELLED]))
    def take_back_what_cannot_be(self, step):
        with pytest.raises(IllegalMove):
            take_back(appointment=self.visit, step=step, by=BY, at=NOW)

    @rule()
    def arrive(self):
        self.act(mark_arrived, "arrived")

    @rule()
    def no_show(self):
        self.act(mark_noshow, "noshow")

    @rule()
    def done(self):
        self.act(mark_fulfilled, "fulfilled")

    @rule(reason=st.sampled_from(["patient", "unwell", "clinic"]))
    def cancel(self, reason):
        self.act(cancel_appointment, "cancelled", reason=reason)

    @rule()
    def undo(self):
        self.act(undo_status, UNDO.get(self.status))

    @rule()
    def error(self):
        self.act(enter_in_error, "entered-in-error", reason="Walked here")

    @rule(quarters=st.integers(0, 20), stale=st.booleans())
    def move(self, quarters, stale):
        """A move is only for what is booked, and only from the latest page."""
        version = self.version - stale
        try:
            move_appointment(
                appointment=self.visit,
                starts_at=START + timedelta(minutes=15 * quarters),
                expected_version=version,
                by=BY,
                at=NOW,
            )
        except StaleVersion:
            assert stale
            return
        except IllegalMove:
            assert not stale
            assert self.status != "booked"
            return
        assert not stale
        assert self.status == "booked"
        self.version, self.moves = self.version + 1, self.moves + 1
        # Moved into the future, a no-show cannot be said of it: bring it back for the walk's sake.
        Appointment.objects.filter(pk=self.visit.pk).update(starts_at=START)

    @invariant()
    def the_row_is_as_the_table_says(self):
        row = Appointment.objects.get(pk=self.visit.pk)
        assert row.step == self.step or row.step in STEPS[self.step]
        self.step = row.step
        held = set(row.claims.values_list("active", flat=True))
        assert (row.status, row.version) == (self.status, self.version)
        assert held == {self.status in CLAIMING}
        assert (row.cancel_reason != "") == (self.status == "cancelled") or self.status == "entered-in-error"
        trail = AuditEvent.objects.filter(subject_id=str(row.ref), action__startswith="appointment.")
        assert trail.count() == self.version


@pytest.mark.django_db
def test_no_walk_leaves_the_table():
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


class Table(RuleBasedStateMachine):
    """The table alone, no row behind it, so that it can be walked far: every click the desk is shown, and its undo."""

    walked: ClassVar[list[int]] = []

    def __init__(self):
        super().__init__()
        self.step, self.was = Step.BOOKED, None

    @property
    def status(self):
        return STATUS_OF.get(self.step, self.step.value)

    def goes(self, step):
        assert status_changes_as_listed(self.step, step)
        self.step, self.was = step, self.step
        self.walked.append(1)

    @initialize(step=st.sampled_from([Step.BOOKED, Step.PROPOSED]))
    def begins(self, step):
        self.step = step

    @rule(data=st.data())
    def click(self, data):
        if STEPS[self.step]:
            self.goes(Step(data.draw(st.sampled_from(sorted(STEPS[self.step])))))
        else:
            assert not TRANSITIONS[self.status]
            self.goes_on_as_another_visit()

    @precondition(lambda self: self.status in UNDO)
    @rule()
    def undo(self):
        self.goes(Step(UNDO[self.status]))

    def goes_on_as_another_visit(self):
        self.step, self.was = Step.BOOKED, None

    @invariant()
    def the_step_is_one_the_status_and_its_facts_tell(self):
        told = step_of(self.status, is_confirmed=self.step == Step.CONFIRMED, is_in_room=self.step == Step.IN_ROOM)
        assert told == self.step

    @invariant()
    def what_is_over_is_over(self):
        """Nothing claims its time again that gave it away for good, and only a mistake is told of what is done."""
        if self.was in (Step.CANCELLED, Step.DONE):
            assert self.step == Step.ENTERED_IN_ERROR
        if self.status in PENDING:
            assert self.status in CLAIMING


STATUS_OF = {Step.CONFIRMED: "booked", Step.IN_ROOM: "arrived", Step.DONE: "fulfilled"}


def status_changes_as_listed(step, target):
    """True if the status stays, with another fact beside it, or changes as the table of statuses says."""
    here, there = (STATUS_OF.get(each, each.value) for each in (step, target))
    return here == there or there in TRANSITIONS[here]


def test_ten_thousand_steps_never_leave_the_table():
    Table.walked.clear()
    run_state_machine_as_test(
        Table,
        settings=settings(
            max_examples=300, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

    assert len(Table.walked) >= 10_000


def test_each_step_is_told_by_the_status_and_leads_only_where_the_status_may():
    assert set(STEPS) == set(Step)
    for step, following in STEPS.items():
        here = STATUS_OF.get(step, step.value)
        there = {STATUS_OF.get(each, each.value) for each in following} - {here}
        assert there == TRANSITIONS[here]
