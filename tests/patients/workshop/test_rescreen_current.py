"""Putting a version in force, and looking at current patients by it: only what used a changed rule is reopened."""

from datetime import timedelta

import pytest

from clinic.audit.models import AuditEvent
from clinic.packs.actions import draft_from
from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind, SecondPersonNeeded
from clinic.transitions import IllegalMove, move
from clinic.worklist.models import Task
from patients.candidacy.actions import decide
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.queries import decision_in_force, open_flags
from patients.candidacy.states import DecisionStatus
from patients.workshop import actions, crafts
from patients.workshop.actions import publish, rescreen, rescreen_all, rescreen_some, save_draft, start_draft
from patients.workshop.rules import Edit, SetDays, SetEffect, SetText, apply_edits
from patients.workshop.states import NotChangedHere, TextRefused
from patients.workshop.tasks import rescreen as rescreen_task
from tests.factories.people import NOW, actor, make_patient
from tests.factories.screenings import ago, make_screening

LATER = NOW + timedelta(hours=1)
SUN = SetDays("sun_exposure", {"AFL": 42, "NAFL": 28, "PICO": 28, "FULL": 42})


class Broken(Exception):
    pass


class Killed(BaseException):
    """The worker's process ends here."""


@pytest.fixture
def put_in_force(shipped, bo, cy):
    """Returns a function that publishes these edits of the version in force, written by Bo, approved by Cy."""

    def act(*edits: Edit) -> RulePack:
        current = published(PackKind.CANDIDACY, "candidacy")
        draft = start_draft(pack=current, by=actor(bo), at=NOW)
        body = apply_edits(draft.body, edits)
        draft = save_draft(pack=draft, body=body, shown=draft.sha256, by=actor(bo), at=NOW)
        return publish(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)

    return act


def decided(screening, by, kind="proceed", **fields):
    given = {"reason": "Seen in person; fits well.", "conditions": [], **fields}
    return decide(screening=screening, kind=kind, by=actor(by), at=NOW, **given)


def look(by):
    return rescreen_all(kind=PackKind.CANDIDACY, by=actor(by), at=LATER)


def tasks():
    return list(Task.objects.filter(key__startswith="rescreen:").order_by("key"))


# --- only what used it ------------------------------------------------------------------------------------------------


def test_a_stricter_rule_reopens_the_decision_it_touches_and_no_other(put_in_force, harley, bo):
    ana, noa = make_patient(harley), make_patient(harley, "Noa", "Levi")
    touched = make_screening(ana, sun_exposure_last=ago(20))
    other = make_screening(noa, cold_sores="yes")
    for screening in (touched, other):
        decided(screening, bo)
    version = put_in_force(SUN)

    done = look(bo)

    assert vars(done) == {"patients": 2, "changed": 1, "reopened": 1, "unreadable": 0, "failed": 0}
    assert [(flag.rule, flag.effect) for flag in open_flags(ana)] == [("R10", "defer")]
    assert open_flags(noa) == []
    assert noa.screenings.get() == other
    assert ana.screenings.get(status="current").pack == version
    assert [task.patient_ref for task in tasks()] == [ana.ref]


def test_the_old_record_and_the_decision_stay_as_they_were(put_in_force, harley, bo):
    ana = make_patient(harley)
    screening = make_screening(ana, sun_exposure_last=ago(20))
    decision = decided(screening, bo)
    before = Screening.objects.filter(pk=screening.pk).values("result", "result_sha256", "outcome", "pack_id").get()
    put_in_force(SUN)

    look(bo)

    row = Screening.objects.filter(pk=screening.pk)
    assert row.values("result", "result_sha256", "outcome", "pack_id").get() == before
    assert row.get().status == "superseded"
    assert decision_in_force(ana, "nafl_1550") == decision
    assert (decision.screening_id, decision.status) == (screening.pk, DecisionStatus.IN_FORCE)


def test_what_a_decision_settled_stays_settled_beside_what_is_new(put_in_force, harley, bo):
    ana = make_patient(harley)
    decided(make_screening(ana, sun_exposure_last=ago(20), bleeding_disorder=True), bo)
    put_in_force(SUN)

    look(bo)

    flags = ana.screenings.get(status="current").flags.order_by("rule")
    assert [(flag.rule, flag.status) for flag in flags] == [("R10", "open"), ("R17", "closed")]


@pytest.mark.parametrize(
    "edit",
    [
        SetText("R10", "patient_text", "Please let the tan fade."),
        SetText("R10", "rationale", "Newer reasons."),
        SetText("R10", "source", "DERMC D"),
        SetDays("after_birth", 120),
    ],
)
def test_words_and_rules_that_speak_of_somebody_else_touch_nobody(put_in_force, harley, bo, edit):
    ana = make_patient(harley)
    screening = make_screening(ana, sun_exposure_last=ago(10))
    decided(screening, bo, "defer", earliest_on=(NOW + timedelta(days=20)).date())
    put_in_force(edit)

    assert vars(look(bo)) == {"patients": 1, "changed": 0, "reopened": 0, "unreadable": 0, "failed": 0}
    assert ana.screenings.get() == screening
    assert tasks() == []


def test_time_that_passed_changes_nothing_by_itself(put_in_force, harley, bo):
    ana = make_patient(harley)
    screening = make_screening(ana, sun_exposure_last=ago(10))
    put_in_force(SetDays("after_birth", 120))

    # Two months later the tan is old news, but no rule about it changed.
    rescreen_all(kind=PackKind.CANDIDACY, by=actor(bo), at=NOW + timedelta(days=60))

    assert ana.screenings.get() == screening


def test_a_milder_rule_gives_a_milder_result_and_reopens_nothing(put_in_force, harley, bo):
    ana = make_patient(harley)
    decided(make_screening(ana, bleeding_disorder=True), bo)
    put_in_force(SetEffect("R17", 0, {"AFL": "review", "NAFL": "info", "PICO": "info", "FULL": "review"}))

    done = look(bo)

    assert (done.changed, done.reopened, tasks()) == (1, 0, [])
    assert ana.screenings.get(status="current").outcome == "eligible"


def test_an_undecided_patient_gets_the_new_result_and_no_second_task(put_in_force, harley, bo):
    ana = make_patient(harley)
    make_screening(ana, sun_exposure_last=ago(20))
    put_in_force(SUN)

    done = look(bo)

    assert (done.changed, done.reopened, tasks()) == (1, 0, [])
    assert ana.screenings.get(status="current").outcome == "defer_until_date"


@pytest.mark.parametrize("kind", ["decline", "refer"])
def test_who_was_declined_or_referred_is_left_in_peace(put_in_force, harley, bo, kind):
    ana = make_patient(harley)
    screening = make_screening(ana, sun_exposure_last=ago(20))
    decided(screening, bo, kind)
    put_in_force(SUN)

    assert look(bo).patients == 0
    assert ana.screenings.get() == screening


def test_a_decision_that_waits_for_a_second_clinician_is_taken_back_and_told(put_in_force, harley, bo):
    ana = make_patient(harley)
    screening = make_screening(ana, "pico_755", gold_ever=True, sun_exposure_last=ago(50))
    waiting = decided(screening, bo)
    assert waiting.status == DecisionStatus.AWAITING_COSIGN
    put_in_force(SetDays("sun_exposure", {"AFL": 60, "NAFL": 60, "PICO": 60, "FULL": 60}))

    done = look(bo)

    assert CandidacyDecision.objects.get(pk=waiting.pk).status == DecisionStatus.WITHDRAWN
    assert (done.reopened, len(tasks())) == (1, 1)


def test_one_patient_has_one_task_for_all_lasers(put_in_force, harley, bo):
    ana = make_patient(harley)
    first = make_screening(ana, "nafl_1550", sun_exposure_last=ago(20))
    for modality in ("nafl_1550", "nafl_1927"):
        screening = (
            first
            if modality == "nafl_1550"
            else actions.screen_response(
                response=first.response, modality=modality, reference_on=first.reference_on, by=actor(bo), at=NOW
            )
        )
        decided(screening, bo)
    put_in_force(SUN)

    look(bo)

    assert len(open_flags(ana)) == 2
    (task,) = tasks()
    assert (task.kind, task.role, task.title) == (
        "candidacy.review", "clinician", "Decide again about Ana Reyes: the rules changed",
    )  # fmt: skip
    assert "sun" not in (task.title + task.why).lower()


def test_answers_to_a_questionnaire_that_lacks_what_is_asked_leave_the_record_and_ask(put_in_force, harley, bo):
    ana = make_patient(harley)
    screening = make_screening(ana)
    # Answers to a questionnaire of the time before a question that the rules read.
    old = RulePack.objects.get(kind="questionnaire", status="published")
    start = old.body.index('[[question]]\nkey = "gold_ever"')
    end = old.body.index("[[question]]", start + 5)
    body = old.body[:start] + old.body[end:]
    earlier = RulePack.objects.create(
        kind="questionnaire", name="intake", version=90, body=body, sha256="9" * 64, status="retired",
        is_shipped=True, created_at=NOW, published_at=NOW,
    )  # fmt: skip
    response = make_patient(harley, "Noa", "Levi").responses.create(
        pack=earlier, status="completed", started_at=NOW, completed_at=NOW,
        snapshot={k: v for k, v in screening.response.snapshot.items() if k != "gold_ever"},
    )  # fmt: skip
    row = Screening.objects.create(
        patient=response.patient, response=response, modality="nafl_1550", pack=screening.pack,
        reference_on=screening.reference_on, answers=screening.answers, result=screening.result,
        result_sha256=screening.result_sha256, outcome=screening.outcome, screened_at=NOW,
    )  # fmt: skip
    put_in_force(SUN)

    done = look(bo)

    assert (done.unreadable, done.changed) == (1, 0)
    assert [(task.kind, task.patient_ref) for task in tasks()] == [("candidacy.answers", response.patient.ref)]
    assert Screening.objects.get(pk=row.pk).status == "current"


# --- batches, twice, cut short ----------------------------------------------------------------------------------------


@pytest.fixture
def five(harley, bo):
    found = []
    for number in range(5):
        patient = make_patient(harley, "Noa", f"Levi {number}", email="")
        decided(make_screening(patient, sun_exposure_last=ago(20)), bo)
        found.append(patient)
    return found


def test_batches_go_on_where_the_last_one_stopped(put_in_force, five, bo):
    version = put_in_force(SUN)

    rounds = [rescreen_some(kind=PackKind.CANDIDACY, by=actor(bo), at=LATER, limit=2) for _ in range(4)]

    assert [each and each.patients for each in rounds] == [2, 2, 1, None]
    version.refresh_from_db()
    assert (version.applied_at, version.applied_to) == (LATER, five[-1].pk)
    assert len(tasks()) == 5


def test_a_second_round_does_nothing(put_in_force, five, bo):
    put_in_force(SUN)
    look(bo)
    rows = Screening.objects.count()

    assert look(bo).patients == 0
    assert (Screening.objects.count(), len(tasks())) == (rows, 5)


def test_a_round_cut_short_leaves_whole_patients_and_is_finished_by_the_worker(put_in_force, five, bo, monkeypatch):
    version = put_in_force(SUN)
    real, seen = actions.screen_response, []

    def third_breaks(**given):
        seen.append(given)
        if len(seen) == 3:
            raise Killed
        return real(**given)

    monkeypatch.setattr(actions, "screen_response", third_breaks)
    with pytest.raises(Killed):
        look(bo)
    version.refresh_from_db()
    assert (len(tasks()), version.applied_at) == (2, None)

    rescreen_task()

    version.refresh_from_db()
    assert (len(tasks()), version.applied_at is not None) == (5, True)
    assert Screening.objects.filter(status="current", pack=version).count() == 5


def test_one_patient_who_cannot_be_screened_fails_alone_and_is_told(put_in_force, five, bo, monkeypatch):
    version = put_in_force(SUN)
    real, third = actions.screen_response, five[2]

    def third_breaks(*, response, **given):
        fresh = real(response=response, **given)
        if response.patient_id == third.pk:
            raise Broken
        return fresh

    monkeypatch.setattr(actions, "screen_response", third_breaks)

    done = look(bo)

    assert vars(done) == {"patients": 5, "changed": 4, "reopened": 4, "unreadable": 0, "failed": 1}
    version.refresh_from_db()
    assert version.applied_at == LATER
    assert set(Screening.objects.filter(status="current", pack=version).values_list("patient_id", flat=True)) == {
        each.pk for each in five if each != third
    }
    assert third.screenings.get().status == "current"
    (failed,) = [task for task in tasks() if task.key.startswith("rescreen:failed:")]
    assert (failed.patient_ref, failed.about) == (third.ref, f"patient:{third.ref}")
    event = AuditEvent.objects.get(action="rulepack.not_applied")
    assert (event.subject_id, event.detail["patient"]) == (str(version.ref), str(third.ref))


def test_few_are_looked_at_at_once_and_many_are_left_to_the_worker(put_in_force, five, bo, monkeypatch):
    version = put_in_force(SUN)
    monkeypatch.setattr(actions, "FEW", 4)
    assert rescreen(kind=PackKind.CANDIDACY, by=actor(bo), at=LATER) is None
    assert tasks() == []

    monkeypatch.setattr(actions, "FEW", 5)
    assert rescreen(kind=PackKind.CANDIDACY, by=actor(bo), at=LATER).reopened == 5
    version.refresh_from_db()
    assert version.applied_at == LATER


def test_a_task_that_cannot_be_raised_leaves_the_patient_as_before(put_in_force, harley, bo, monkeypatch):
    ana = make_patient(harley)
    screening = make_screening(ana, sun_exposure_last=ago(20))
    decided(screening, bo)
    put_in_force(SUN)

    def fail(**_given):
        raise Broken

    monkeypatch.setattr(actions, "raise_task", fail)
    with pytest.raises(Broken):
        look(bo)

    assert ana.screenings.get() == screening
    assert open_flags(ana) == []


def test_other_knowledge_needs_no_second_look(put_in_force, five, bo):
    put_in_force(SUN)

    assert rescreen_all(kind=PackKind.QUESTIONNAIRE, by=actor(bo), at=LATER).patients == 0
    assert tasks() == []


def test_the_trail_says_how_many(put_in_force, five, bo):
    version = put_in_force(SUN)
    look(bo)

    event = AuditEvent.objects.filter(action="rulepack.applied").first()
    assert (event.subject_id, event.detail["patients"], event.detail["reopened"]) == (str(version.ref), 5, 5)


# --- the acts of the workshop -----------------------------------------------------------------------------------------


def test_a_text_that_could_not_be_put_in_force_is_not_saved(shipped, bo):
    draft = start_draft(pack=shipped, by=actor(bo), at=NOW)
    body = draft.body.replace('source = "MED C"', 'source = "somewhere"', 1)

    with pytest.raises(TextRefused) as refused:
        save_draft(pack=draft, body=body, shown=draft.sha256, by=actor(bo), at=NOW)

    assert refused.value.error.item == "R05"
    assert refused.value.for_people.startswith(f"Line {refused.value.error.line}, R05: “somewhere”")
    assert RulePack.objects.get(pk=draft.pk).body == shipped.body


def test_a_questionnaire_must_ask_what_the_rules_read(bo, db):
    asked = published(PackKind.QUESTIONNAIRE, "intake")
    draft = start_draft(pack=asked, by=actor(bo), at=NOW)
    start = draft.body.index('[[question]]\nkey = "gold_ever"')
    body = draft.body[:start] + draft.body[draft.body.index("[[question]]", start + 5) :]

    with pytest.raises(TextRefused, match=r"R18.*need what this removes"):
        save_draft(pack=draft, body=body, shown=draft.sha256, by=actor(bo), at=NOW)


def test_a_questionnaire_with_another_wording_is_saved_and_published(bo, cy):
    asked = published(PackKind.QUESTIONNAIRE, "intake")
    draft = start_draft(pack=asked, by=actor(bo), at=NOW)
    body = draft.body.replace("What would you like to improve?", "What shall we work on?")
    draft = save_draft(pack=draft, body=body, shown=draft.sha256, by=actor(bo), at=NOW)

    version = publish(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)

    assert published(PackKind.QUESTIONNAIRE, "intake") == version


@pytest.mark.parametrize("kind", ["triage", "sessions"])
def test_what_nobody_taught_the_workshop_is_not_changed_there(bo, cy, kind, monkeypatch):
    monkeypatch.delitem(crafts._taught, kind)
    row = RulePack.objects.filter(kind=kind, status="published").first()

    with pytest.raises(NotChangedHere):
        start_draft(pack=row, by=actor(bo), at=NOW)
    draft = draft_from(pack=row, by=actor(bo), at=NOW)
    with pytest.raises(NotChangedHere):
        save_draft(pack=draft, body="x", shown=draft.sha256, by=actor(bo), at=NOW)
    with pytest.raises(NotChangedHere):
        publish(pack=draft, shown=draft.sha256, by=actor(cy), at=NOW)


def test_the_workshop_too_needs_a_second_person(shipped, bo):
    draft = start_draft(pack=shipped, by=actor(bo), at=NOW)
    body = apply_edits(draft.body, [SUN])
    draft = save_draft(pack=draft, body=body, shown=draft.sha256, by=actor(bo), at=NOW)

    with pytest.raises(SecondPersonNeeded):
        publish(pack=draft, shown=draft.sha256, by=actor(bo), at=LATER)


def test_a_draft_that_no_longer_fits_the_questionnaire_is_not_published(shipped, bo, cy):
    draft = start_draft(pack=shipped, by=actor(bo), at=NOW)
    # The questionnaire changed under it: nobody can have saved this text today.
    RulePack.objects.filter(pk=draft.pk).update(body=draft.body.replace("gold_ever", "gold_once"), sha256="1" * 64)

    with pytest.raises(TextRefused, match="R18"):
        publish(pack=draft, shown="1" * 64, by=actor(cy), at=LATER)

    assert published(PackKind.CANDIDACY, "candidacy") == shipped


def test_a_retired_version_never_comes_back(put_in_force, shipped, bo):
    put_in_force(SUN)

    with pytest.raises(IllegalMove):
        move(shipped, "published", by=actor(bo), at=LATER)
