"""Asking, reading, signing, declining and taking back; what a changed plan does."""

import json
from datetime import date, timedelta
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.transitions import IllegalMove
from clinic.worklist.models import Task
from patients.consent import actions
from patients.consent.actions import (
    ask_consent,
    ask_question,
    load_wordings,
    note_read,
    reject_consent,
    revoke_consent,
    sign_consent,
    void_changed_plan,
)
from patients.consent.models import Consent, ConsentWording
from patients.consent.queries import is_intact, plan_in_words, plans_agreed, wording_in_force
from patients.consent.rules import plan_sha256, shown_sha256
from patients.consent.states import (
    AlreadySigned,
    GuardianNeeded,
    GuardianUnknown,
    NotAskedAnyMore,
    PlanChanged,
    QuestionMissing,
    ReflectionNotOver,
    RevokeReasonMissing,
    RisksUnticked,
    SignatureMissing,
    SignatureRefused,
    WordingMissing,
)
from patients.messaging.models import Message
from patients.registry.models import RelatedPerson
from tests.factories.people import NOW, actor, make_location, make_patient, make_user

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)
PLAN = {"modality": "afl_co2", "areas": ["full_face"], "sessions": 3}
DRAWN = [[[0.1, 0.5], [0.3, 0.2], [0.6, 0.7]], [[0.7, 0.4], [0.9, 0.4]]]


@pytest.fixture
def ana():
    return make_patient(make_location())


@pytest.fixture
def desk(ana):
    return actor(make_user("Dee Desk", location=ana.location))


def asked(patient, scope="treatment", about="course:1", plan=PLAN, group="AFL", at=NOW):
    group = group if scope == "treatment" else ""
    return ask_consent(patient=patient, scope=scope, about=about, plan=plan, group=group, by=Actor.task("test"), at=at)


def herself(patient):
    return Actor.patient(patient.ref, patient.full_name)


def every_risk(consent):
    return [risk["key"] for risk in consent.wording.body["risks"]]


def signed(consent, **fields):
    whole = {
        "risks_ticked": every_risk(consent),
        "questions": "",
        "signed_name": "Ana Reyes",
        "signed_as": "patient",
        "signature": [],
        "by": herself(consent.patient),
        "at": LATER,
    }
    return sign_consent(consent=consent, **{**whole, **fields})


# --- asking -----------------------------------------------------------------------------------------------------------


def test_asking_pins_words_and_plan_and_invites_by_a_link(ana):
    consent = asked(ana)

    assert (consent.status, consent.plan, len(consent.plan_sha256)) == ("proposed", PLAN, 64)
    assert consent.wording == wording_in_force("treatment", "AFL", "en")
    message = Message.objects.get(patient=ana)
    assert (message.template, message.link_scope, message.link_about) == (
        "consent_invitation", "consent", f"consent:{consent.ref}",
    )  # fmt: skip
    assert message.due_at == NOW + timedelta(minutes=3)


def test_asking_for_the_same_plan_again_is_one_consent(ana):
    first = asked(ana)

    assert asked(ana, plan=dict(reversed(PLAN.items())), at=LATER) == first
    signed(first)
    assert asked(ana, at=LATER) == first
    assert Consent.objects.count() == 1


def test_asking_for_another_plan_ends_the_older_request(ana):
    first = asked(ana)

    second = asked(ana, plan=PLAN | {"sessions": 4}, at=LATER)

    first.refresh_from_db()
    assert (first.status, second.status) == ("inactive", "proposed")
    assert [m.status for m in Message.objects.filter(about=f"consent:{first.ref}")] == ["superseded"]


def test_a_scope_without_words_is_not_asked_for(ana):
    with pytest.raises(WordingMissing):
        asked(ana, group="FULL")
    assert Consent.objects.count() == 0


def test_a_failure_in_the_last_write_leaves_nothing_asked(ana, monkeypatch):
    def fail(**kwargs):
        raise RuntimeError("no messages today")

    monkeypatch.setattr(actions, "queue_message", fail)
    with pytest.raises(RuntimeError):
        asked(ana)

    assert Consent.objects.count() == AuditEvent.objects.count() == 0


def test_the_language_of_the_patient_is_used_where_there_are_words(ana):
    ana.language = "es"
    ana.save()

    assert asked(ana).wording.language == "en"
    english = wording_in_force("treatment", "NAFL", "en")
    ConsentWording.objects.create(
        scope="treatment", group="NAFL", language="es", version=1, body=english.body, sha256="0" * 64, created_at=NOW
    )
    assert asked(ana, about="course:2", group="NAFL").wording.language == "es"


# --- reading and asking back ------------------------------------------------------------------------------------------


def test_the_first_reading_is_on_record_once(ana):
    consent = asked(ana)

    note_read(consent=consent, by=herself(ana), at=NOW)
    again = note_read(consent=consent, by=herself(ana), at=LATER)

    assert again.first_read_at == NOW
    assert AuditEvent.objects.filter(action="consent.read").count() == 1


def test_a_question_reaches_the_clinicians_and_signs_nothing(ana):
    consent = asked(ana)

    ask_question(consent=consent, question=" May I swim? ", by=herself(ana), at=NOW)
    ask_question(consent=consent, question="May I swim?", by=herself(ana), at=LATER)
    after = ask_question(consent=consent, question="And run?", by=herself(ana), at=LATER)

    assert after.status == "proposed"
    assert [each["text"] for each in after.questions] == ["May I swim?", "And run?"]
    titles = list(Task.objects.values_list("title", "role"))
    assert titles == [("Answer a question of Ana Reyes about a consent", "clinician")] * 2


def test_an_empty_question_is_not_sent(ana):
    with pytest.raises(QuestionMissing):
        ask_question(consent=asked(ana), question=" \n ", by=herself(ana), at=NOW)


# --- signing ----------------------------------------------------------------------------------------------------------


def is_agreed(patient, scope, about, plan):
    return (patient.pk, about, plan_sha256(plan)) in plans_agreed([patient.pk], scope)


@pytest.mark.parametrize(
    ("typed", "drawn", "name"),
    [("Ana  Reyes ", [], "Ana Reyes"), ("", DRAWN, "Ana Reyes"), ("A. Reyes", DRAWN, "A. Reyes")],
)
def test_signing_puts_the_consent_in_force_for_exactly_that_plan(ana, typed, drawn, name):
    consent = signed(asked(ana), signed_name=typed, signature=drawn)

    assert (consent.status, consent.signed_name, consent.signed_at) == ("active", name, LATER)
    assert consent.signature == drawn
    assert is_agreed(ana, "treatment", "course:1", PLAN)
    for other in (PLAN | {"sessions": 4}, PLAN | {"areas": ["neck"]}, PLAN | {"modality": "nafl_1550"}, {}):
        assert not is_agreed(ana, "treatment", "course:1", other)
    assert not is_agreed(ana, "treatment", "course:2", PLAN)
    assert not is_agreed(ana, "marketing_photos", "course:1", PLAN)


def test_after_signing_the_copy_goes_out_and_the_invitation_does_not(ana):
    consent = signed(asked(ana), at=NOW + timedelta(minutes=1))

    states = dict(Message.objects.filter(about=f"consent:{consent.ref}").values_list("template", "status"))
    assert states == {"consent_invitation": "superseded", "consent_copy": "planned"}


@pytest.mark.parametrize(
    ("fields", "refusal", "field"),
    [
        ({"risks_ticked": []}, RisksUnticked, "risks_ticked"),
        ({"risks_ticked": ["scars", "made_up"]}, RisksUnticked, "risks_ticked"),
        ({"signed_name": " \t"}, SignatureMissing, "signed_name"),
        ({"signed_name": "", "signature": [[[0.5, 0.5]]]}, SignatureMissing, "signed_name"),
        ({"signed_name": "", "signature": [[[0.5, 0.5], [0.51, 0.5]]]}, SignatureMissing, "signed_name"),
        ({"signature": "<svg>"}, SignatureRefused, "signature"),
        ({"signature": [[[0.1, 7]]]}, SignatureRefused, "signature"),
        ({"signature": [[[0.1, float("nan")]]]}, SignatureRefused, "signature"),
        ({"signature": [[[0.1, True]]]}, SignatureRefused, "signature"),
        ({"signature": [[]]}, SignatureRefused, "signature"),
        ({"signature": [[[0.1, 0.1]] * 4001]}, SignatureRefused, "signature"),
        ({"shown": "0" * 64}, PlanChanged, None),
        ({"signed_as": "guardian"}, GuardianUnknown, "signed_name"),
    ],
)
def test_what_is_not_signed(ana, fields, refusal, field):
    consent = asked(ana)

    with pytest.raises(refusal) as refused:
        signed(consent, **fields)

    assert refused.value.field == field
    consent.refresh_from_db()
    assert (consent.status, consent.signed_at, consent.risks_ticked) == ("proposed", None, None)


def test_every_risk_is_ticked_by_itself(ana):
    consent = asked(ana)
    risks = every_risk(consent)

    for risk in risks:
        with pytest.raises(RisksUnticked) as refused:
            signed(consent, risks_ticked=[each for each in risks if each != risk])
        assert refused.value.risks == (risk,)


def test_what_was_on_the_screen_is_what_is_signed(ana):
    consent = asked(ana)

    shown = shown_sha256(consent.wording.sha256, consent.plan_sha256)

    assert signed(consent, shown=shown).status == "active"


def test_a_plan_that_changed_after_the_page_was_opened_is_not_signed(ana, desk):
    consent = asked(ana)
    assert void_changed_plan(about="course:1", plan=PLAN | {"areas": ["neck"]}, by=desk, at=NOW) == 1

    with pytest.raises(PlanChanged):
        signed(consent)


def test_signing_twice_is_refused_and_changes_nothing(ana):
    consent = signed(asked(ana))
    events = AuditEvent.objects.count()

    with pytest.raises(AlreadySigned):
        signed(consent, signed_name="Somebody Else")

    consent.refresh_from_db()
    assert consent.signed_name == "Ana Reyes"
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize("end", [reject_consent, revoke_consent])
def test_what_is_over_is_not_signed(ana, end):
    consent = asked(ana)
    end(consent=consent, by=herself(ana), at=NOW, **({"reason": ""} if end is revoke_consent else {}))

    with pytest.raises(NotAskedAnyMore):
        signed(consent)


def test_a_failure_in_the_last_write_leaves_it_unsigned(ana, monkeypatch):
    consent = asked(ana)

    def fail(**kwargs):
        raise RuntimeError("no messages today")

    monkeypatch.setattr(actions, "queue_message", fail)
    with pytest.raises(RuntimeError):
        signed(consent)

    consent.refresh_from_db()
    assert (consent.status, consent.signed_at) == ("proposed", None)


def test_a_question_asked_while_signing_reaches_the_clinicians(ana):
    consent = signed(asked(ana), questions="How long do I stay red?")

    assert [each["text"] for each in consent.questions] == ["How long do I stay red?"]
    assert Task.objects.get().kind == "consent.question"


# --- the time to think ------------------------------------------------------------------------------------------------


@pytest.fixture
def with_reflection(ana):
    current = wording_in_force("treatment", "AFL", "en")
    ConsentWording.objects.filter(pk=current.pk).update(is_current=False)
    ConsentWording.objects.create(
        scope="treatment",
        group="AFL",
        language="en",
        version=current.version + 1,
        body=current.body,
        sha256="1" * 64,
        reflection_hours=24,
        created_at=NOW,
    )


@pytest.mark.usefixtures("with_reflection")
def test_nobody_signs_before_the_time_to_think_is_over(ana):
    consent = asked(ana)
    assert consent.reflect_until == NOW + timedelta(hours=24)

    with pytest.raises(ReflectionNotOver) as refused:
        signed(consent, at=consent.reflect_until - timedelta(seconds=1))
    assert refused.value.for_people == "Please take your time: you can sign from Tuesday 24 November, 10:00."

    assert signed(consent, at=consent.reflect_until).status == "active"


@pytest.mark.usefixtures("with_reflection")
def test_the_database_too_keeps_the_time_to_think(ana):
    consent = asked(ana)

    with pytest.raises(IntegrityError), transaction.atomic():
        Consent.objects.filter(pk=consent.pk).update(
            status="active", signed_at=LATER, signed_name="Ana", signed_sha256="x"
        )


# --- who signs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mia(ana):
    return make_patient(ana.location, given_name="Mia", born_on=date(2008, 11, 24), email="mia@mail.example")


def test_a_minor_does_not_sign_alone_until_the_birthday(mia):
    consent = asked(mia)

    with pytest.raises(GuardianNeeded):
        signed(consent, signed_name="Mia Reyes")
    assert signed(consent, signed_name="Mia Reyes", at=NOW + timedelta(days=365)).signed_as == "patient"


def test_only_a_guardian_on_record_signs_for_a_minor(mia):
    consent = asked(mia)
    guardian = RelatedPerson.objects.create(patient=mia, name="Ana Reyes", relation="mother", may_consent=True)
    RelatedPerson.objects.create(patient=mia, name="Uncle Joe", relation="uncle", may_consent=False)

    for name in ("Uncle Joe", "A Stranger"):
        with pytest.raises(GuardianUnknown):
            signed(consent, signed_name=name, signed_as="guardian")
    RelatedPerson.objects.filter(pk=guardian.pk).update(ends_on=LATER.date())
    with pytest.raises(GuardianUnknown):
        signed(consent, signed_name="Ana Reyes", signed_as="guardian")
    RelatedPerson.objects.filter(pk=guardian.pk).update(ends_on=date(2026, 11, 25))

    assert signed(consent, signed_name="ana reyes", signed_as="guardian").signed_as == "guardian"


# --- saying no, taking back -------------------------------------------------------------------------------------------


def test_saying_no_signs_nothing_and_tells_a_clinician(ana):
    consent = reject_consent(consent=asked(ana), by=herself(ana), at=NOW)

    assert consent.status == "rejected"
    assert [task.title for task in Task.objects.all()] == ["Ana Reyes said no to a consent"]
    assert [message.status for message in Message.objects.all()] == ["superseded"]
    with pytest.raises(IllegalMove):
        reject_consent(consent=consent, by=herself(ana), at=LATER)


@pytest.mark.parametrize(
    ("scope", "role", "title"),
    [
        ("treatment", "front_desk", "Hold the visits of Ana Reyes: consent was withdrawn"),
        ("record_photos", "clinician", "No more photographs of Ana Reyes: consent was withdrawn"),
        ("teaching", "lead_clinician", "Stop showing photographs of Ana Reyes: consent was withdrawn"),
        ("marketing_photos", "manager", "Take down photographs of Ana Reyes: consent was withdrawn"),
        ("texts", "front_desk", "No more texts to Ana Reyes: consent was withdrawn"),
    ],
)
def test_a_patient_takes_back_at_once_and_somebody_sees_to_it(ana, scope, role, title):
    consent = signed(asked(ana, scope, plan={}))

    gone = revoke_consent(consent=consent, reason="", by=herself(ana), at=LATER)

    assert (gone.status, gone.reason) == ("inactive", "Withdrawn by the patient, who gave no reason.")
    assert not is_agreed(ana, scope, "course:1", {})
    assert list(Task.objects.values_list("role", "title")) == [(role, title)]
    assert (gone.signed_at, is_intact(gone)) == (LATER, True)


def test_taking_one_back_leaves_the_others(ana):
    signed(asked(ana, "record_photos", plan={}))
    marketing = signed(asked(ana, "marketing_photos", plan={}))

    revoke_consent(consent=marketing, reason="", by=herself(ana), at=LATER)

    assert is_agreed(ana, "record_photos", "course:1", {})


def test_the_desk_says_how_the_patient_withdrew(ana, desk):
    consent = signed(asked(ana))

    with pytest.raises(RevokeReasonMissing):
        revoke_consent(consent=consent, reason="  ", by=desk, at=LATER)
    gone = revoke_consent(consent=consent, reason="Rang at 11.", by=desk, at=LATER)

    assert gone.reason == "Rang at 11."
    with pytest.raises(IllegalMove):
        revoke_consent(consent=consent, reason="Rang again.", by=desk, at=LATER)


def test_the_trail_holds_no_words_of_the_patient(ana):
    consent = signed(asked(ana), questions="Does it hurt with my psoriasis?")
    revoke_consent(consent=consent, reason="My psoriasis is back.", by=herself(ana), at=LATER)

    assert "psoriasis" not in json.dumps(list(AuditEvent.objects.values_list("detail", flat=True)))


# --- a changed plan ---------------------------------------------------------------------------------------------------


def test_a_changed_plan_ends_what_was_signed_for_the_old_one_and_only_that(ana, desk):
    old = signed(asked(ana))
    signed(asked(ana, about="course:2"))

    assert void_changed_plan(about="course:1", plan=PLAN, by=desk, at=LATER) == 0
    assert void_changed_plan(about="course:1", plan=PLAN | {"sessions": 2}, by=desk, at=LATER) == 1
    assert void_changed_plan(about="course:1", plan=PLAN | {"sessions": 2}, by=desk, at=LATER) == 0

    old.refresh_from_db()
    assert (old.status, bool(old.reason)) == ("inactive", True)
    assert is_agreed(ana, "treatment", "course:2", PLAN)


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE patients_consent SET signed_name = 'Mallory'",
        "UPDATE patients_consent SET plan = '{}'",
        "UPDATE patients_consent SET risks_ticked = 'x'",
        "UPDATE patients_consent SET signed_at = now()",
        "UPDATE patients_consent SET status = 'inactive', reason = ''",
        "UPDATE patients_consentwording SET body = '{}'",
        "DELETE FROM patients_consent",
        "DELETE FROM patients_consentwording",
    ],
)
def test_the_database_refuses_to_rewrite_what_was_signed(ana, statement):
    signed(asked(ana))

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_database_refuses_an_unsigned_consent_in_force(ana):
    consent = asked(ana)

    with pytest.raises(IntegrityError), transaction.atomic():
        Consent.objects.filter(pk=consent.pk).update(status="active")


@pytest.mark.parametrize(
    "change",
    [
        "signed_name = 'Mallory'",
        "signed_as = 'guardian'",
        "signed_at = signed_at + interval '1 second'",
        """plan = '{"modality": "afl_co2", "areas": ["neck"], "sessions": 3}'""",
    ],
)
def test_a_row_altered_behind_the_databases_back_no_longer_fits_its_hash(ana, change):
    consent = signed(asked(ana), signature=DRAWN)
    assert is_intact(Consent.objects.get(pk=consent.pk))

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # as the owner of the tables could
        cursor.execute(f"UPDATE patients_consent SET {change}")
        cursor.execute("SET session_replication_role = origin")

    assert not is_intact(Consent.objects.get(pk=consent.pk))


def test_words_altered_behind_the_databases_back_no_longer_fit_either(ana):
    consent = signed(asked(ana))

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            """UPDATE patients_consentwording SET body = jsonb_set(body, '{title}', '"Nothing can go wrong"')"""
        )
        cursor.execute("SET session_replication_role = origin")

    assert not is_intact(Consent.objects.get(pk=consent.pk))


# --- wordings ---------------------------------------------------------------------------------------------------------


def test_loading_the_wordings_again_changes_nothing(ana):
    before = set(ConsentWording.objects.values_list("scope", "group", "version"))

    assert load_wordings(by=Actor.command("test"), at=LATER) == 0

    assert ConsentWording.objects.count() == len(before)
    assert set(ConsentWording.objects.values_list("scope", "group", "version")) == before
    assert ("treatment", "AFL", 1) in before


def test_changed_words_are_a_new_version_and_old_consents_keep_theirs(ana, monkeypatch):
    consent = signed(asked(ana))
    current = wording_in_force("treatment", "AFL", "en")
    ConsentWording.objects.filter(pk=current.pk).update(is_current=False)
    ConsentWording.objects.create(
        scope="treatment", group="AFL", language="en", version=2, body=current.body, sha256="2" * 64, created_at=NOW
    )

    assert load_wordings(by=Actor.command("test"), at=LATER) == 1

    newest = wording_in_force("treatment", "AFL", "en")
    assert (newest.version, newest.sha256) == (3, current.sha256)
    consent.refresh_from_db()
    assert consent.wording == current
    assert is_agreed(ana, "treatment", "course:1", PLAN)


def test_a_plan_is_read_in_words(ana):
    facts = [
        (fact.label, fact.text)
        for fact in plan_in_words({"sessions": 3, "areas": ["full_face"], "modality": "afl_co2"})
    ]

    assert facts[0] == ("Laser", "Fractional CO2 laser: removes tiny columns of skin")
    assert [label for label, _ in facts] == ["Laser", "Areas", "Sessions"]
    assert plan_in_words({"lot_number": 7})[0].text == "7"


# --- at the same moment -----------------------------------------------------------------------------------------------


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_signing_and_changing_the_plan_at_once_never_leave_the_old_plan_agreed(ana, desk):
    for number in range(8):
        about = f"course:{number}"
        consent = asked(ana, about=about)
        barrier, results = Barrier(2), []

        def run(act, barrier=barrier, results=results):
            try:
                barrier.wait()
                results.append(act())
            except Exception as error:
                results.append(error)
            finally:
                connection.close()

        acts = (
            lambda consent=consent: signed(consent),
            lambda about=about: void_changed_plan(about=about, plan=PLAN | {"sessions": 1}, by=desk, at=LATER),
        )
        threads = [Thread(target=run, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert all(not isinstance(each, Exception) or isinstance(each, PlanChanged) for each in results), results
        assert not is_agreed(ana, "treatment", about, PLAN)
