"""What a clinician decides is seen at work: in the chart, on the readiness board, in messages, at check-ins."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from clinic.staff.states import Role
from clinic.worklist.models import Task
from patients.candidacy.actions import decide, settle_condition, withdraw_decision
from patients.candidacy.queries import decision_tasks
from patients.candidacy.states import PatientWordsMissing
from patients.messaging.models import Message
from tests.factories.people import NOW, actor, make_clinician, make_device, make_location, make_patient, make_user
from tests.factories.recovering import after, answer, checkin_of, recovering
from tests.factories.screenings import make_screening
from tests.factories.treating import sign
from tests.factories.visits import book, make_course, utc
from treatments.aftercare.queries import in_words, questions_of, triage_of
from treatments.booking.states import TooEarly
from treatments.courses.states import NotCleared
from treatments.journey.actions import set_messages_right
from treatments.journey.queries import readiness_board

pytestmark = pytest.mark.django_db
TEN = utc("2027-01-18T10:00")
SOON = utc("2026-12-01T10:00")
REASON = "Talked it through with her."
OWN_LINE = "Bring the letter of your doctor."
OWN_QUESTION = "Has the spot on your chin come back?"


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


@pytest.fixture
def location():
    place = make_location()
    make_device(place, "nafl_1550")
    return place


@pytest.fixture
def ana(location):
    return make_patient(location)


@pytest.fixture
def bo(location):
    return make_clinician(location=location)


def decided(patient, bo, kind="proceed", conditions=(), *, replaces=None, answers=(), **fields):
    return decide(
        screening=make_screening(patient, **dict(answers)),
        kind=kind,
        reason=REASON,
        conditions=list(conditions),
        replaces=replaces,
        by=actor(bo),
        at=NOW,
        **fields,
    )


def booked(patient, bo, decision, at=TEN, kind="treatment_nafl"):
    course = make_course(patient, decision)
    sign(course, at=NOW)
    return book(patient, bo.practitioner, at, kind, course=course)


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def words(response):
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def before_the_visit(visit):
    rows = Message.objects.filter(about=visit.about, template="precare", status="planned").order_by("due_at")
    return [row.context["do_now"] for row in rows]


# --- tasks ------------------------------------------------------------------------------------------------------------


def test_a_task_before_treatment_stands_in_the_chart_and_holds_the_visit_on_the_board_until_it_is_done(
    ana, bo, location
):
    decision = decided(ana, bo, "proceed_with_conditions", [{"text": "Ring the specialist"}])
    visit = booked(ana, bo, decision, SOON)
    [task] = decision_tasks(decision)
    client = signed_in(bo)

    [row] = [row for row in readiness_board(location, NOW) if row.visit == visit]
    assert "tasks" in [item.key for item in row.missing]
    assert "Ring the specialist" in words(client.get(reverse("patient_chart", args=[ana.ref])))
    assert "Ring the specialist" in words(client.get(reverse("screening", args=[decision.screening.ref])))

    settle_condition(task=task, choice="", reason="Rang, no objection.", by=actor(bo), at=NOW)

    [row] = [row for row in readiness_board(location, NOW) if row.visit == visit]
    assert "tasks" not in [item.key for item in row.missing]


def test_the_desk_sees_that_a_clinician_has_something_to_do_and_not_what_it_is(ana, bo, location):
    decision = decided(ana, bo, "proceed_with_conditions", [{"text": "Ring about the lupus"}])
    booked(ana, bo, decision, SOON)
    desk = signed_in(make_user("Dee Desk", Role.FRONT_DESK, location=location))

    for url in (reverse("readiness"), reverse("patient_chart", args=[ana.ref]), reverse("tasks")):
        assert "lupus" not in words(desk.get(url)).lower()


def test_a_note_to_keep_in_mind_is_a_task_that_holds_nothing(ana, bo, location):
    decision = decided(ana, bo, "proceed_with_conditions", [{"text": "Prefers mornings", "work": "noted"}])
    visit = booked(ana, bo, decision, SOON)

    [row] = [row for row in readiness_board(location, NOW) if row.visit == visit]
    assert [item.key for item in row.missing if item.key == "tasks"] == []
    assert "Prefers mornings" in words(signed_in(bo).get(reverse("patient_chart", args=[ana.ref])))


def test_a_referral_is_a_clinicians_task_and_no_visit_can_be_booked(ana, bo):
    decision = decided(ana, bo, "refer")

    [task] = decision_tasks(decision)
    assert (task.kind, task.role, task.title) == ("candidacy.referral", "clinician", "Write the referral for Ana Reyes")
    assert task.title in words(signed_in(bo).get(reverse("patient_chart", args=[ana.ref])))
    with pytest.raises(NotCleared):
        booked(ana, bo, decision)


def test_declining_leaves_nothing_to_book_and_withdrawing_holds_what_was_booked(ana, bo, location):
    first = decided(ana, bo)
    visit = booked(ana, bo, first, SOON)

    withdraw_decision(decision=first, reason="A slip of the hand.", by=actor(bo), at=NOW)

    [row] = [row for row in readiness_board(location, NOW) if row.visit == visit]
    assert "decision" in [item.key for item in row.missing]
    with pytest.raises(NotCleared):
        booked(ana, bo, decided(ana, bo, "decline"))


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["proceed", "test_spot_first"])
def test_no_visit_is_booked_before_the_earliest_date_and_one_is_on_that_day(ana, bo, kind):
    tuesday = TEN + timedelta(days=1)
    decision = decided(ana, bo, kind, earliest_on=tuesday.date())
    visit_type = "treatment_nafl" if kind == "proceed" else "test_spot_nafl"

    with pytest.raises(TooEarly):
        booked(ana, bo, decision, TEN, visit_type)
    course = ana.courses.first()

    assert book(ana, bo.practitioner, tuesday, visit_type, course=course).status == "booked"


def test_deferring_reminds_the_desk_on_the_day_and_shows_it_on_the_task_list(ana, bo, location):
    decision = decided(ana, bo, "defer", earliest_on=TEN.date())

    [task] = decision_tasks(decision)
    assert (task.role, task.due_at.astimezone(location.zone).date()) == ("front_desk", TEN.date())
    desk = signed_in(make_user("Dee Desk", Role.FRONT_DESK, location=location))
    assert task.title in words(desk.get(reverse("tasks")))
    with pytest.raises(NotCleared):
        booked(ana, bo, decision)


def test_a_test_spot_first_lets_a_test_spot_be_booked_and_no_treatment(ana, bo):
    decision = decided(ana, bo, "test_spot_first")

    with pytest.raises(NotCleared):
        booked(ana, bo, decision)
    assert book(ana, bo.practitioner, TEN, "test_spot_nafl", course=ana.courses.first()).status == "booked"


# --- messages before the visit ----------------------------------------------------------------------------------------


def test_a_line_for_the_patient_stands_in_every_message_before_the_visit_and_makes_no_task(ana, bo):
    decision = decided(
        ana, bo, "proceed_with_conditions", [{"text": "Lupus letter", "told": OWN_LINE, "work": "precare"}]
    )
    visit = booked(ana, bo, decision)

    lines = before_the_visit(visit)
    assert len(lines) > 2
    assert all(each[-1] == OWN_LINE for each in lines)
    assert "Lupus" not in str(lines)
    assert decision_tasks(decision) == []
    text = words(signed_in(bo).get(reverse("screening", args=[decision.screening.ref])))
    assert "In the messages before visits" in text


def test_a_line_taken_back_with_its_decision_leaves_the_messages(ana, bo):
    first = decided(ana, bo, "proceed_with_conditions", [{"told": OWN_LINE, "work": "precare"}])
    visit = booked(ana, bo, first)
    decide(
        screening=first.screening, kind="proceed", reason=REASON, conditions=[], replaces=first, by=actor(bo), at=NOW
    )

    set_messages_right(by=actor(bo), at=NOW)

    assert OWN_LINE not in str(before_the_visit(visit))


def test_a_stated_fact_brings_its_own_lines_of_the_protocol(ana, bo):
    plain = booked(ana, bo, decided(ana, bo))
    uma = make_patient(ana.location, "Uma", email="uma@mail.example")
    stated = [{"key": "retinoid_plan", "text": "A retinoid plan", "work": "fact"}]

    visit = booked(uma, bo, decided(uma, bo, "proceed_with_conditions", stated), TEN + timedelta(hours=3))

    assert "retinoid plan your prescriber gave you" not in str(before_the_visit(plain))
    assert "retinoid plan your prescriber gave you" in str(before_the_visit(visit))


# --- check-ins --------------------------------------------------------------------------------------------------------


@pytest.fixture
def clinic():
    """Ana, treated, whose clinician asks something of their own at every check-in."""
    found = recovering()
    decide(
        screening=make_screening(found.ana),
        kind="proceed_with_conditions",
        reason=REASON,
        conditions=[{"text": "Watch the naevus", "told": OWN_QUESTION, "work": "question"}],
        by=actor(found.bo),
        at=NOW,
    )
    return found


def own_key(checkin):
    return next(each.key for each in questions_of(checkin, after(days=1)) if each.label == OWN_QUESTION)


def test_the_clinicians_question_is_asked_once_at_every_check_in_in_the_patients_words(clinic):
    for checkin in clinic.ana.checkins.all():
        labels = [each.label for each in questions_of(checkin, after(days=checkin.day))]
        assert labels.count(OWN_QUESTION) == 1
        assert "naevus" not in str(labels)


def test_a_yes_to_it_is_a_task_for_clinicians_that_names_the_question(clinic):
    checkin = checkin_of(clinic)

    given = answer(clinic, {own_key(checkin): True})

    assert given.level == "R"
    task = Task.objects.get(kind="checkin_reply")
    assert (task.role, OWN_QUESTION in task.why) == ("clinician", True)
    assert "Your clinician reads this." in str(given.triage["advice"])


def test_a_no_to_it_wakes_nobody(clinic):
    given = answer(clinic, {own_key(checkin_of(clinic)): False})

    assert given.level == "ok"
    assert not Task.objects.filter(kind="checkin_reply").exists()


def test_once_another_decision_stands_it_is_not_asked_and_what_was_answered_can_still_be_read(clinic):
    checkin = checkin_of(clinic)
    key = own_key(checkin)
    standing = clinic.ana.decisions.get(status="in_force")
    decide(
        screening=standing.screening, kind="proceed", reason=REASON, conditions=[], replaces=standing,
        by=actor(clinic.bo), at=NOW,
    )  # fmt: skip

    assert OWN_QUESTION not in [each.label for each in questions_of(checkin, after(days=1))]
    assert in_words({key: True}, triage_of(checkin)[1]) == [(OWN_QUESTION, "Yes")]
    assert answer(clinic, {key: True}).triage["unreadable"] == []


# --- what must be said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", ["precare", "question"])
def test_what_the_patient_reads_must_be_written_for_the_patient(ana, bo, work):
    with pytest.raises(PatientWordsMissing) as refused:
        decided(ana, bo, "proceed_with_conditions", [{"text": "Watch the naevus", "work": work}])

    assert refused.value.field == "own_1_told"


def test_the_page_says_so_at_the_field_and_offers_the_facts_that_care_messages_follow(ana, bo):
    screening = make_screening(ana)
    client = signed_in(bo)
    url = reverse("screening_decide", args=[screening.ref])
    typed = {"kind": "proceed_with_conditions", "reason": REASON, "own_1": "Watch the naevus", "own_1_work": "question"}

    refused = client.post(url, typed)
    assert refused.status_code == 422
    assert "Please write it in words for the patient" in refused.content.decode()
    sent = client.post(url, {**typed, "own_1_told": OWN_QUESTION, "facts": ["sedation"]})

    assert sent.status_code == 302
    decision = ana.decisions.get()
    assert [(each["key"], each["work"], each["told"]) for each in decision.conditions] == [
        ("own-1", "question", OWN_QUESTION),
        ("sedation", "fact", ""),
    ]
    assert "Asked at check-ins" in words(client.get(reverse("screening", args=[screening.ref])))
