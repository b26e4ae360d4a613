"""Whatever happens to a visit, its messages say what is true: each event through its real act, and what changed."""

from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from clinic.packs.actions import load_shipped
from clinic.packs.models import RulePack
from clinic.packs.states import PackKind
from clinic.premises.models import Location
from clinic.staff.states import Role
from patients.candidacy.actions import decide
from patients.candidacy.states import DecisionKind
from patients.consent.actions import ask_consent, load_wordings, reject_consent, revoke_consent
from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from patients.messaging.silence import allow_contact, correct_death, note_death, stop_contact
from patients.registry.actions import correct_patient
from patients.registry.models import Patient
from tests.factories.people import NOW, actor, make_clinician, make_device, make_location, make_patient
from tests.factories.screenings import make_screening
from tests.factories.smtp import SmtpServer
from tests.factories.treating import RECORD, sign
from tests.factories.visits import BY, book, make_course, utc
from treatments.aftercare.actions import finish_treatment
from treatments.aftercare.corrections import correct_completion
from treatments.aftercare.models import CheckIn
from treatments.booking.actions import cancel_appointment, mark_arrived, mark_noshow, move_appointment, undo_status
from treatments.booking.models import Appointment
from treatments.courses.actions import change_course_plan
from treatments.journey.actions import set_messages_right
from treatments.sessions.actions import open_session, sign_off, start_session
from treatments.sessions.fitness import record_fitness
from treatments.sessions.passes import record_pass
from treatments.sessions.states import FitnessQuestion

pytestmark = pytest.mark.django_db
VISIT = utc("2027-01-19T10:00")
WEEK_LATER = utc("2027-01-26T10:00")
PREPARING = ["precare_28", "precare_14", "precare_7", "fitness", "precare_0"]
REMINDERS = ["reminder_48h", "reminder_24h", "reminder_morning"]
BEFORE = ["confirmation", *PREPARING, *REMINDERS]
AFTER = [
    "after_2h", "after_24h", "after_day2", "after_day3", "after_day7", "after_day14", "after_day28", "after_day90",
    "recall_6m", "recall_12m",
]  # fmt: skip
TOLD_AT = NOW + timedelta(minutes=3)
LATER = NOW + timedelta(hours=1)


@dataclass
class Change:
    """What one event did to the messages: names of steps, and the notice as (template, old, new)."""

    planned: list = field(default_factory=list)
    changed: list = field(default_factory=list)
    superseded: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    notice: tuple = ()

    def __eq__(self, other):
        names = ("planned", "changed", "superseded", "skipped")
        return self.notice == other.notice and all(sorted(getattr(self, n)) == sorted(getattr(other, n)) for n in names)


class Story:
    """Ana's treatment on 19 January, booked and confirmed on 23 November, in a house with people in it."""

    def __init__(self):
        self.location = make_location()
        self.bo = make_clinician("Bo Lindqvist", self.location)
        self.kim = make_clinician("Kim Osei", self.location, role=Role.LEAD_CLINICIAN)
        self.by = actor(self.bo)
        self.device = make_device(self.location)
        self.ana = make_patient(self.location, phone="+447700900001")
        load_wordings(by=BY, at=NOW)
        decision = self.decide(NOW)
        self.course = make_course(self.ana, decision)
        self.consent = sign(self.course, at=NOW - timedelta(days=1))
        self.visit = self.book(VISIT, NOW)

    def decide(self, at, *conditions, replaces=None):
        screening = replaces.screening if replaces else make_screening(self.ana)
        kind = DecisionKind.PROCEED_WITH_CONDITIONS if conditions else DecisionKind.PROCEED
        return decide(
            screening=screening,
            kind=kind,
            reason="Suitable.",
            conditions=conditions,
            replaces=replaces,
            by=self.by,
            at=at,
        )

    def book(self, starts_at, at):
        return book(self.ana, self.bo.practitioner, starts_at, "treatment_nafl", course=self.course, at=at)

    def fresh(self, row=None):
        row = row or self.visit
        return type(row).objects.get(pk=row.pk)

    def move(self, to, at):
        visit = self.fresh()
        return move_appointment(appointment=visit, starts_at=to, expected_version=visit.version, by=BY, at=at)

    def treat(self, visit, *, ended=None, reason=""):
        """The treatment took place, an hour after its time, and was written down five minutes after it ended."""
        begun = visit.starts_at + timedelta(hours=1)
        mark_arrived(appointment=self.fresh(visit), by=BY, at=visit.starts_at)
        session = open_session(appointment=self.fresh(visit), by=self.by, at=begun)
        record_fitness(session=session, answers=dict.fromkeys(FitnessQuestion.values, "no"), by=self.by, at=begun)
        session = start_session(session=session, by=self.by, at=begun)
        record_pass(session=session, area="full_face", passes=4, energy_mj=15, coverage_percent=8, by=self.by, at=begun)
        ended = ended or begun + timedelta(minutes=40)
        return finish_treatment(
            session=session,
            completed_at=ended,
            record=RECORD,
            stopped_reason=reason,
            by=self.by,
            at=ended + timedelta(minutes=5),
        )

    def set_right(self, at):
        return set_messages_right(by=BY, at=at)


def snapshot():
    fields = ("status", "due_at", "not_after", "context", "visit_at", "channel", "link_about", "template")
    return {
        (row.about, row.step, row.revision): {name: getattr(row, name) for name in fields}
        for row in Message.objects.all()
        if row.about.startswith(("appointment:", "session:"))
    }


def change(before, after) -> Change:
    found = Change()
    for key, row in after.items():
        was, step = before.get(key), key[1]
        if step == "correction":
            if row["status"] == "planned" and row != was:
                said = row["context"]
                found.notice = (
                    row["template"], said.get("old_when", ""), said.get("new_when", "") or said.get("when_local", "")
                )  # fmt: skip
        elif was is None:
            found.planned.append(step)
        elif was["status"] != row["status"]:
            getattr(found, row["status"]).append(step)
        elif was != row:
            found.changed.append(step)
    return found


@pytest.fixture
def server(settings, tmp_path):
    with SmtpServer() as running:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", running.port, False
        settings.SMS_GATEWAY, settings.SMS_FILE = "file", tmp_path / "sms.jsonl"
        yield running


@pytest.fixture
def story(server):
    """Booked, and Ana has read the confirmation."""
    made = Story()
    dispatch(at=TOLD_AT)
    assert Message.objects.get(step="confirmation").status == "sent"
    return made


def happens(act) -> Change:
    before = snapshot()
    act()
    return change(before, snapshot())


OLD, NEW = "Tuesday 19 January, 10:00", "Tuesday 26 January, 10:00"
WAITING = [step for step in BEFORE if step != "confirmation"]


def test_booked(server):
    assert happens(Story) == Change(planned=BEFORE)


def test_moved(story):
    told = []

    assert happens(lambda: told.append(story.move(WEEK_LATER, LATER))) == Change(
        changed=WAITING, notice=("correction", OLD, NEW)
    )
    assert "8 messages moved, 1 already sent, 1 correction will go out" in told[0].sentence


def test_moved_twice_within_the_time_to_undo_is_one_notice_of_first_and_last(story):
    story.move(utc("2027-01-21T10:00"), LATER)

    assert happens(lambda: story.move(WEEK_LATER, LATER + timedelta(minutes=2))) == Change(
        changed=WAITING, notice=("correction", OLD, NEW)
    )
    assert Message.objects.filter(step="correction").count() == 1


def test_moved_back_tells_nobody(story):
    first = snapshot()
    story.move(WEEK_LATER, LATER)
    story.move(VISIT, LATER + timedelta(minutes=2))

    found = snapshot()
    assert found.pop(("appointment:" + str(story.visit.ref), "correction", 1))["status"] == "superseded"
    # Moved back, the visit counts as moved; what is said of it is word for word what was to be said before.
    assert {key: row["context"] for key, row in found.items()} == {key: row["context"] for key, row in first.items()}
    assert {key: row["due_at"] for key, row in found.items()} == {key: row["due_at"] for key, row in first.items()}


def test_cancelled(story):
    assert happens(lambda: cancel_appointment(appointment=story.visit, reason="patient", by=BY, at=LATER)) == Change(
        superseded=WAITING, notice=("cancelled", OLD, "")
    )


def test_cancelled_before_anybody_was_told_tells_nobody(server):
    story = Story()

    at = NOW + timedelta(minutes=1)
    assert happens(lambda: cancel_appointment(appointment=story.visit, reason="patient", by=BY, at=at)) == Change(
        superseded=BEFORE
    )


def test_a_noshow_and_its_undoing(story):
    after = VISIT + timedelta(minutes=20)

    assert happens(lambda: mark_noshow(appointment=story.visit, by=BY, at=after)) == Change(superseded=WAITING)
    assert happens(lambda: undo_status(appointment=story.fresh(), by=BY, at=after)) == Change()


def test_a_changed_decision_changes_what_is_said_to_prepare(story):
    condition = {"key": "retinoid_plan", "text": "Her own retinoid plan", "blocks": False}

    def decided_anew():
        story.decide(LATER, condition, replaces=story.course.decision)
        story.set_right(LATER)

    assert happens(decided_anew).changed == ["precare_14"]


def test_revoked_consent_ends_the_preparation_and_leaves_the_reminders(story):
    def revoked():
        revoke_consent(consent=story.consent, reason="changed my mind", by=BY, at=LATER)

    assert happens(revoked) == Change(superseded=PREPARING)  # in the act itself
    assert story.set_right(LATER + timedelta(minutes=1)).repaired == 0


def test_revoked_after_the_treatment_the_care_goes_on(story):
    done = story.treat(story.visit)

    def revoked():
        revoke_consent(consent=story.consent, reason="changed my mind", by=BY, at=done.completed_at + timedelta(days=1))
        story.set_right(done.completed_at + timedelta(days=1))

    assert happens(revoked) == Change()


def test_who_says_no_when_asked_anew_prepares_for_nothing(story):
    plan = story.consent.plan | {"sessions": 9}
    asked = ask_consent(
        patient=story.ana, scope="treatment", about=story.course.about, plan=plan, group="NAFL", by=BY, at=LATER
    )

    assert happens(lambda: reject_consent(consent=asked, by=BY, at=LATER)) == Change(superseded=PREPARING)


@pytest.mark.parametrize("scope", ["record_photos", "marketing_photos"])
def test_revoking_what_is_no_treatment_changes_no_message(story, scope):
    photos = ask_consent(
        patient=story.ana, scope=scope, about=story.course.about, plan=story.consent.plan, group="", by=BY, at=NOW
    )

    assert happens(lambda: revoke_consent(consent=photos, reason="no photos", by=BY, at=LATER)) == Change()


def test_completed(story):
    assert happens(lambda: story.treat(story.visit)) == Change(planned=AFTER)


def test_cut_short_is_cared_for_by_what_was_done(story):
    assert happens(lambda: story.treat(story.visit, reason="pain")) == Change(planned=AFTER)


def test_a_corrected_end_moves_what_is_to_come_and_repeats_nothing(story):
    done = story.treat(story.visit)
    dispatch(at=done.completed_at + timedelta(hours=2))
    sent = {key for key, row in snapshot().items() if row["status"] == "sent"}
    true = done.completed_at - timedelta(minutes=30)
    at = done.completed_at + timedelta(hours=3)

    found = happens(lambda: correct_completion(session=done, completed_at=true, reason="clock", by=story.by, at=at))

    assert found.planned == found.superseded == found.skipped == []
    assert found.notice == ()
    assert "after_24h" in found.changed
    assert sent <= {key for key, row in snapshot().items() if row["status"] == "sent"}
    asked = {row.step: row.due_at for row in CheckIn.objects.all()}
    due = {key[1]: row["due_at"] for key, row in snapshot().items() if key[0] == done.about}
    assert asked == {step: due[step] for step in asked}
    assert story.fresh(story.course).last_treated_at == true


def test_an_end_corrected_to_the_day_before_moves_each_day(story):
    done = story.treat(story.visit)
    days = {key[1]: row["due_at"].date() for key, row in snapshot().items() if key[0] == done.about}
    at = done.completed_at + timedelta(hours=1)
    # Begun before midnight by a clock that was wrong: the start says so too.
    type(done).objects.filter(pk=done.pk).update(started_at=done.started_at - timedelta(days=1))

    correct_completion(
        session=done,
        completed_at=done.completed_at - timedelta(days=1),
        reason="typed the wrong day",
        by=story.by,
        at=at,
    )

    moved = {key[1]: row["due_at"].date() for key, row in snapshot().items() if key[0] == done.about}
    for step in ("after_day7", "after_day14", "after_day28"):
        assert moved[step] == days[step] - timedelta(days=1)


def test_a_signed_record_says_a_corrected_end_in_an_addendum(story):
    done = story.treat(story.visit)
    signed = sign_off(session=done, by=story.by, at=done.completed_at + timedelta(minutes=6))
    true = done.completed_at - timedelta(minutes=10)

    correct_completion(session=signed, completed_at=true, reason="clock", by=story.by, at=LATER + timedelta(days=60))

    assert story.fresh(done).completed_at == true
    assert done.addenda.get().body == "Treatment ended 19 Jan 2027 11:30, not 19 Jan 2027 11:40: clock"


def test_changed_areas_change_the_lines_that_are_for_them(story):
    def replanned():
        change_course_plan(
            course=story.course, areas=["neck"], sessions_planned=3, reason="asked", by=story.by, at=LATER
        )
        story.set_right(LATER)

    assert happens(replanned).changed == ["precare_0"]


def test_a_second_treatment_before_the_first_has_healed_is_one_series(story):
    first = story.treat(story.visit)
    second = story.book(utc("2027-02-16T10:00"), first.completed_at + timedelta(days=1))

    dispatch(at=second.starts_at + timedelta(minutes=90))  # day 28 of the first was asked while she was here

    assert happens(lambda: story.treat(second)) == Change(
        planned=AFTER, skipped=["after_day90", "recall_6m", "recall_12m"]
    )
    waiting = [step for (_, step, _), row in snapshot().items() if row["status"] == "planned"]
    assert sorted(waiting) == sorted(AFTER)  # nobody is asked on two days at once, or called back twice


def test_a_changed_address_or_language_plans_nothing_anew_and_the_next_goes_to_the_new_one(story, server):
    def corrected():
        correct_patient(patient=story.ana, email="new@mail.example", language="es", by=BY, at=LATER)
        story.set_right(LATER)

    assert happens(corrected) == Change()
    due = Message.objects.get(step="precare_28").due_at
    dispatch(at=due)
    assert server.letters[-1].message["To"] == "new@mail.example"


@pytest.mark.parametrize(
    ("act", "undo"),
    [
        (lambda ana: note_death(patient=ana, died_on=date(2026, 11, 22), by=BY, at=LATER), correct_death),
        (lambda ana: stop_contact(patient=ana, reason="Asked.", by=BY, at=LATER), allow_contact),
    ],
    ids=["died", "do not contact"],
)
def test_who_died_or_asked_for_it_hears_nothing_more_not_even_that(story, act, undo):
    assert happens(lambda: act(story.ana)) == Change(superseded=WAITING)
    # Moving or cancelling the visit of somebody like this tells nobody either.
    assert happens(lambda: story.move(WEEK_LATER, LATER)) == Change()
    assert happens(lambda: cancel_appointment(appointment=story.fresh(), reason="clinic", by=BY, at=LATER)) == Change()
    assert happens(lambda: story.set_right(LATER)) == Change()
    assert dispatch(at=VISIT) == 0


def test_what_was_written_down_by_mistake_is_planned_again_at_the_next_look(story):
    note_death(patient=story.ana, died_on=date(2026, 11, 22), by=BY, at=LATER)
    correct_death(patient=Patient.objects.get(), by=BY, at=LATER)

    assert happens(lambda: story.set_right(LATER)) == Change(planned=WAITING)


def test_nobody_is_asked_to_call_the_dead_because_they_do_not_answer(story):
    from clinic.worklist.models import Task
    from treatments.aftercare.silence import note_missed_checkins, nudge_checkins

    done = story.treat(story.visit)
    note_death(patient=story.ana, died_on=VISIT.date(), by=BY, at=done.completed_at + timedelta(hours=6))
    later = done.completed_at + timedelta(days=200)
    nudge_checkins(by=BY, at=later)
    note_missed_checkins(by=BY, at=later)

    assert set(CheckIn.objects.values_list("status", flat=True)) == {"cancelled"}
    assert not Task.objects.filter(kind="silence").exists()
    assert not Message.objects.filter(status="planned").exists()


def test_a_new_address_of_the_clinic(story):
    def renovated():
        Location.objects.update(address="9 Wimpole Street, London")
        story.set_right(LATER)

    assert happens(renovated) == Change(changed=WAITING, notice=("correction", "1 Harley Street, London", OLD))


def test_a_newly_published_protocol(story):
    pack = RulePack.objects.get(kind=PackKind.CARE, name="nafl", status="published")
    body = pack.body.replace('title = "Your visit is tomorrow"', 'title = "See you tomorrow"')
    assert body != pack.body

    def published():
        load_shipped(kind=PackKind.CARE, name="nafl", body=body, by=BY, at=LATER)
        story.set_right(LATER)

    assert happens(published) == Change(changed=["reminder_24h"])


def test_whatever_happened_a_second_look_changes_nothing(story):
    story.move(WEEK_LATER, LATER)
    story.set_right(LATER)

    assert happens(lambda: story.set_right(LATER + timedelta(minutes=1))) == Change()
    assert Appointment.objects.get().version == story.fresh().version
