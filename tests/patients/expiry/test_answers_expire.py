"""Answers that grew too old: only what used them is open again, the visit waits, and the record stays as it was."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.packs.actions import load_shipped
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.worklist.models import Task
from patients.candidacy.actions import decide, record_answers, submit_intake
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.queries import decision_in_force, open_flags
from patients.candidacy.review import review_of
from patients.candidacy.states import DecisionStatus
from patients.expiry import actions
from patients.expiry.actions import expire_all, expire_some
from patients.expiry.tasks import let_answers_expire
from patients.intake.actions import amend_response, confirm_answers, save_answers, start_response
from patients.intake.models import QuestionnaireResponse
from patients.intake.pack import load_questionnaire
from patients.intake.queries import former_answers, questionnaire_in_force
from patients.intake.rules import expired_answers
from tests.factories.answers import NEUTRAL
from tests.factories.people import NOW, actor, make_clinician, make_device, make_location, make_patient
from tests.factories.screenings import make_response, make_screening

BEAT = Actor.task("expiry.let_answers_expire")
NAME = "intake.toml"
DAYS = 90
OLD = NOW + timedelta(days=DAYS)


@pytest.fixture
def harley(db):
    return make_location()


@pytest.fixture
def bo(harley):
    return make_clinician("Bo Lindqvist", harley)


@pytest.fixture
def ana(harley):
    return make_patient(harley)


def decided(screening, by, kind="proceed", **fields):
    given = {"reason": "Seen in person; fits well.", "conditions": [], **fields}
    return decide(screening=screening, kind=kind, by=actor(by), at=NOW, **given)


def look(at=OLD):
    return expire_all(by=BEAT, at=at)


def tasks():
    return list(Task.objects.unfinished().filter(kind__in=["candidacy.expired", "candidacy.expiry"]).order_by("key"))


# --- the rule ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def questionnaire(db):
    return questionnaire_in_force()


@pytest.mark.parametrize(("days", "expired"), [(DAYS - 1, False), (DAYS, True), (DAYS + 1, True)])
def test_an_answer_counts_to_the_day_before_its_last(questionnaire, days, expired):
    given = {"isotretinoin": date(2026, 3, 1), "smoking": date(2020, 1, 1)}

    found = expired_answers(given, questionnaire, date(2026, 3, 1) + timedelta(days=days))

    assert found == (frozenset({"isotretinoin"}) if expired else frozenset())


def test_only_medicines_grow_old_as_shipped_and_each_says_why(questionnaire):
    assert questionnaire.timed() == {"isotretinoin": 90, "photosensitisers": 90, "anticoagulants": 90}
    assert {str(question.valid) for question in questionnaire.questions if question.valid} == {"90 days (G)"}


@pytest.mark.parametrize(
    ("valid", "sentence"),
    [
        ("90", "needs days and source"),
        ("{ days = 90 }", "needs days and source"),
        ('{ days = 90, source = "G", more = 1 }', "needs days and source"),
        ('{ days = 0, source = "G" }', "above 0"),
        ('{ days = -1, source = "G" }', "above 0"),
        ('{ days = true, source = "G" }', "above 0"),
        ('{ days = 1.5, source = "G" }', "above 0"),
        ('{ days = 90, source = " " }', "where the number comes from"),
    ],
)
def test_a_validity_that_cannot_be_meant_refuses_the_questionnaire(db, valid, sentence):
    body = published(PackKind.QUESTIONNAIRE, "intake").body
    body = body.replace('valid = { days = 90, source = "G" }', f"valid = {valid}", 1)

    with pytest.raises(ValueError, match=f"isotretinoin.*{sentence}"):
        load_questionnaire(body, NAME)


def test_what_nobody_is_asked_cannot_grow_old(db):
    body = published(PackKind.QUESTIONNAIRE, "intake").body
    body = body.replace('key = "reference_date"', 'key = "reference_date"\nvalid = { days = 9, source = "G" }')

    with pytest.raises(ValueError, match=r"reference_date.*cannot grow old"):
        load_questionnaire(body, NAME)


# --- only what used it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "reopened"), [(DAYS - 1, 0), (DAYS, 1), (DAYS + 1, 1)])
def test_a_decision_stands_until_the_day_its_answers_are_too_old(ana, bo, days, reopened):
    decision = decided(make_screening(ana), bo)

    done = look(NOW + timedelta(days=days))

    assert (done.changed, done.reopened, done.failed) == (reopened, reopened, 0)
    assert bool(open_flags(ana)) is bool(reopened)
    assert decision_in_force(ana, "nafl_1550") == decision


def test_only_what_used_the_old_answer_is_open_again(ana, bo):
    decided(make_screening(ana, "afl_co2", anticoagulants=["aspirin"], bleeding_disorder=True), bo)

    look()

    flags = ana.screenings.get(status="current").flags
    assert sorted((flag.rule, flag.status) for flag in flags.all()) == [
        ("R13", "open"), ("R15", "open"), ("R16", "open"), ("R17", "closed"), ("R57", "open"),
    ]  # fmt: skip


def test_an_answer_given_again_meanwhile_counts_on(ana, bo):
    screening = make_screening(ana)
    decided(screening, bo)
    said = {key: NEUTRAL[key] or ["none_of_these"] for key in ("isotretinoin", "photosensitisers")}
    record_answers(screening=screening, answers=said, by=actor(bo), at=NOW + timedelta(days=30))

    look()

    current = ana.screenings.get(status="current")
    assert current.expired == ["anticoagulants"]
    assert "isotretinoin" in current.answers
    assert {flag.rule for flag in open_flags(ana)} == {"R57"}


def test_the_old_record_stays_and_the_new_one_says_what_it_left_out(ana, bo):
    screening = make_screening(ana)
    decision = decided(screening, bo)
    fields = ("answers", "result", "result_sha256", "outcome", "expired")
    before = Screening.objects.values(*fields).get(pk=screening.pk)
    snapshot = QuestionnaireResponse.objects.get(pk=screening.response_id).snapshot

    look()

    assert Screening.objects.values(*fields).get(pk=screening.pk) == before
    assert QuestionnaireResponse.objects.get().snapshot == snapshot
    assert QuestionnaireResponse.objects.get().status == "completed"
    decision.refresh_from_db()
    assert (decision.status, decision.screening_id) == (DecisionStatus.IN_FORCE, screening.pk)
    fresh = ana.screenings.get(status="current")
    assert fresh.expired == ["anticoagulants", "isotretinoin", "photosensitisers"]
    assert (fresh.outcome, fresh.response_id) == ("incomplete", screening.response_id)
    assert set(screening.answers) - set(fresh.answers) == set(fresh.expired)


def test_a_second_round_finds_nothing_to_do(ana, bo):
    decided(make_screening(ana), bo)
    look()
    rows, events = Screening.objects.count(), AuditEvent.objects.count()

    again = look(OLD + timedelta(days=1))

    assert vars(again) == {"patients": 0, "changed": 0, "reopened": 0, "failed": 0}
    assert (Screening.objects.count(), AuditEvent.objects.count(), len(tasks())) == (rows, events, 1)


def test_clinicians_have_one_task_for_all_lasers_and_it_says_nothing_of_health(ana, bo):
    response = make_response(ana)
    for modality in ("nafl_1550", "nafl_1927"):
        screening = actions.screen_response(
            response=response, modality=modality, reference_on=NOW.date(), by=actor(bo), at=NOW
        )
        decided(screening, bo)

    look()

    (task,) = tasks()
    assert (task.role, task.title) == ("clinician", "Ask Ana Reyes again: some answers are too old")
    assert "retinoin" not in task.why
    assert len({flag.screening_id for flag in open_flags(ana)}) == 2
    events = AuditEvent.objects.filter(action="answers.expired")
    assert {event.detail["questions"][1] for event in events} == {"isotretinoin"}


def test_who_answered_yesterday_is_untouched(harley, ana, bo):
    noa = make_patient(harley, "Noa", "Levi")
    decided(make_screening(ana), bo)
    recent = make_screening(noa, at=OLD - timedelta(days=1))

    look()

    assert noa.screenings.get() == recent
    assert [task.patient_ref for task in tasks()] == [ana.ref]


def test_somebody_undecided_is_screened_anew_without_another_task(ana):
    make_screening(ana)

    done = look()

    assert (done.changed, done.reopened, tasks()) == (1, 0, [])
    assert ana.screenings.get(status="current").outcome == "incomplete"


@pytest.mark.parametrize("kind", ["decline", "refer"])
def test_who_was_declined_or_referred_is_left_in_peace(ana, bo, kind):
    screening = make_screening(ana)
    decided(screening, bo, kind)

    assert look().patients == 0
    assert ana.screenings.get() == screening


def newer_version(old, new):
    """A newer version of the questionnaire is in force, with this in its text."""
    body = published(PackKind.QUESTIONNAIRE, "intake").body
    assert old in body
    load_shipped(kind=PackKind.QUESTIONNAIRE, name="intake", body=body.replace(old, new, 1), by=BEAT, at=NOW)


def test_the_dead_are_left_in_peace(ana, bo):
    decided(make_screening(ana), bo)
    type(ana).objects.filter(pk=ana.pk).update(died_on=NOW.date())

    assert (look().patients, tasks()) == (0, [])


def test_what_skip_logic_hid_does_not_grow_old(ana):
    timed = 'key = "isotretinoin_last"'
    newer_version(timed, f'{timed}\nvalid = {{ days = 1, source = "G" }}')
    make_screening(ana, isotretinoin_last="not_applicable")

    look(NOW + timedelta(days=5))

    assert ana.screenings.get().expired == []


def test_a_newer_version_with_a_shorter_time_means_everybody(ana):
    make_screening(ana)
    newer_version("days = 90", "days = 5")

    assert look(NOW + timedelta(days=4)).changed == 0
    assert look(NOW + timedelta(days=5)).changed == 1
    assert ana.screenings.get(status="current").expired == ["isotretinoin"]


def test_a_decision_that_waits_for_a_second_clinician_is_taken_back_and_told(ana, bo):
    waiting = decided(make_screening(ana, "pico_755", gold_ever=True), bo, reason="The old scar itself is the aim.")
    assert waiting.status == DecisionStatus.AWAITING_COSIGN

    look()

    assert CandidacyDecision.objects.get(pk=waiting.pk).status == DecisionStatus.WITHDRAWN
    assert len(tasks()) == 1


# --- where it is which day --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "given", "last_moment", "expired_at"),
    [
        # Ninety days on, across the spring night in London: midnight there is 23:00 UTC the day before.
        (
            "Europe/London",
            datetime(2027, 1, 20, 23, 30, tzinfo=UTC),
            datetime(2027, 4, 19, 22, 59, tzinfo=UTC),
            datetime(2027, 4, 19, 23, 1, tzinfo=UTC),
        ),
        # Los Angeles: the evening of the 20th is the 21st in UTC.
        (
            "America/Los_Angeles",
            datetime(2027, 1, 21, 5, 0, tzinfo=UTC),
            datetime(2027, 4, 20, 6, 59, tzinfo=UTC),
            datetime(2027, 4, 20, 7, 1, tzinfo=UTC),
        ),
        # Auckland, whose clocks go back meanwhile.
        (
            "Pacific/Auckland",
            datetime(2027, 1, 19, 11, 30, tzinfo=UTC),
            datetime(2027, 4, 19, 11, 59, tzinfo=UTC),
            datetime(2027, 4, 19, 12, 1, tzinfo=UTC),
        ),
    ],
)
def test_midnight_is_that_of_the_place(db, zone, given, last_moment, expired_at):
    ana = make_patient(make_location("Elsewhere", zone))
    screening = make_screening(ana, at=given)

    assert look(last_moment).changed == 0
    assert ana.screenings.get() == screening
    assert look(expired_at).changed == 1


# --- one fails alone --------------------------------------------------------------------------------------------------


@pytest.fixture
def five(harley, bo):
    people = [make_patient(harley, name, "Reyes") for name in ("Ana", "Noa", "Ida", "Lea", "Mia")]
    for each in people:
        decided(make_screening(each), bo)
    return people


class Broken(Exception):
    pass


def test_one_patient_fails_alone_and_clinicians_know_once(five, monkeypatch):
    real, third = actions.screen_response, five[2]

    def third_breaks(*, response, **given):
        fresh = real(response=response, **given)
        if response.patient_id == third.pk:
            raise Broken
        return fresh

    monkeypatch.setattr(actions, "screen_response", third_breaks)

    assert vars(look()) == {"patients": 5, "changed": 4, "reopened": 4, "failed": 1}
    assert vars(look(OLD + timedelta(hours=1))) == {"patients": 1, "changed": 0, "reopened": 0, "failed": 1}

    assert third.screenings.get().expired == []
    assert [task.patient_ref for task in tasks() if task.kind == "candidacy.expiry"] == [third.ref]


def test_a_round_goes_on_where_it_stopped(five):
    done, after = expire_some(after=0, by=BEAT, at=OLD, limit=2)
    assert (done.changed, after) == (2, five[1].pk)
    done, after = expire_some(after=after, by=BEAT, at=OLD, limit=3)
    assert (done.changed, after) == (3, five[4].pk)
    assert expire_some(after=after, by=BEAT, at=OLD, limit=3)[1] == 0


def test_the_worker_rings_again_for_the_rest(five, monkeypatch, time_machine_at_old):
    rung = []
    monkeypatch.setattr("patients.expiry.tasks.ENOUGH_SECONDS", 0)
    monkeypatch.setattr(let_answers_expire, "delay", rung.append)
    let_answers_expire()
    assert rung == [0]

    monkeypatch.setattr("patients.expiry.tasks.ENOUGH_SECONDS", 20)
    let_answers_expire()
    assert all(each.screenings.get(status="current").expired for each in five)


@pytest.fixture
def time_machine_at_old(time_machine):
    time_machine.move_to(OLD, tick=False)


def test_a_task_that_cannot_be_raised_leaves_the_patient_as_before(ana, bo, monkeypatch):
    screening = make_screening(ana)
    decided(screening, bo)

    def fail(**_given):
        raise Broken

    monkeypatch.setattr(actions, "raise_task", fail)
    with pytest.raises(Broken):
        look()

    assert ana.screenings.get() == screening
    assert open_flags(ana) == []


# --- and is asked again -----------------------------------------------------------------------------------------------


def answered_again(ana, at=OLD):
    """Ana opens the form she gets by her link, confirms what she said and answers what is asked afresh."""
    by = Actor.patient(ana.ref, ana.full_name)
    form = start_response(patient=ana, by=by, at=at)
    confirm_answers(response=form, questions=former_answers(form), by=by, at=at)
    afresh = {key: NEUTRAL[key] for key in questionnaire_in_force().expiring()}
    given = {key: ["none_of_these"] if value == [] else value for key, value in afresh.items()}
    given = {key: str(value).lower() if isinstance(value, bool) else value for key, value in given.items()}
    save_answers(response=form, given=given, by=by, at=at)
    return submit_intake(response=form, by=by, at=at)


def test_the_patient_confirms_the_old_answers_and_the_decision_stands_again(ana, bo, harley):
    make_device(harley)
    screening = make_screening(ana, bleeding_disorder=True)
    amended = amend_response(response=screening.response, answers={"fst_confirmed": "2"}, by=actor(bo), at=NOW)
    decision = decided(
        actions.screen_response(response=amended, modality="nafl_1550", reference_on=NOW.date(), by=actor(bo), at=NOW),
        bo,
    )
    look()
    assert open_flags(ana) != []

    form = start_response(patient=ana, by=BEAT, at=OLD)
    assert former_answers(form)["isotretinoin"]["value"] == "never"
    answered_again(ana)

    assert decision_in_force(ana, "nafl_1550") == decision
    assert (open_flags(ana), tasks()) == ([], [])
    current = ana.screenings.get(status="current")
    assert (current.expired, current.outcome) == ([], "needs_clinician_review")
    assert current.response.snapshot["fst_confirmed"] == amended.snapshot["fst_confirmed"]


def test_the_review_page_shows_what_was_said_and_that_it_is_too_old(ana, bo):
    decided(make_screening(ana), bo)
    look()

    review = review_of(ana.screenings.get(status="current"))

    assert [(said.question, said.text, said.is_expired) for said in review.expired] == [
        ("Have you ever taken isotretinoin?", "Never", True),
        ("Do you take any of these?", "None of these", True),
        ("Do you take anything that thins the blood?", "None of these", True),
    ]
    assert review.missing == ()


def test_what_was_left_out_is_never_rewritten(ana):
    screening = make_screening(ana)

    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        Screening.objects.filter(pk=screening.pk).update(expired=["isotretinoin"])
