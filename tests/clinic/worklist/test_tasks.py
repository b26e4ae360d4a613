"""Tasks: who sees them, who takes them, how they end."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.staff.states import Role
from clinic.transitions import IllegalMove
from clinic.worklist.actions import (
    OutcomeMissing,
    drop_task,
    finish_task,
    give_back_task,
    raise_task,
    reopen_task,
    take_task,
)
from clinic.worklist.models import Task
from clinic.worklist.queries import tasks_done, tasks_to_do
from clinic.worklist.states import ENDS_WITH_ITS_WORK, WAYS, TaskStatus
from tests.factories.people import NOW, actor, make_location, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_a_monday_at_ten")]
BY = Actor.task("test")


@pytest.fixture
def place():
    return make_location()


@pytest.fixture
def desk(place):
    return make_user("Dora Diaz", Role.FRONT_DESK, location=place)


def task_for(place, title="Call Ana Reyes", due_at=NOW, **fields):
    fields = {"key": title, "kind": "call", "role": Role.FRONT_DESK, **fields}
    return raise_task(title=title, location=place, due_at=due_at, by=BY, at=NOW, **fields)


def test_the_same_key_twice_is_one_task_left_as_it_is(place):
    first = task_for(place, key="call:1")
    again = task_for(place, title="Another title", key="call:1")

    assert again == first
    assert Task.objects.get().title == "Call Ana Reyes"
    assert AuditEvent.objects.filter(action="task.requested").count() == 1


def test_a_task_is_seen_by_its_role_and_its_owner_at_its_location_only(place, desk):
    lisbon = make_location("Lisbon", "Europe/Lisbon")
    clinician = make_user("Bo Lindqvist", Role.CLINICIAN, location=place)
    for_desk = task_for(place)
    task_for(lisbon, title="Elsewhere")
    for_clinician = task_for(place, title="Read the answers", role=Role.CLINICIAN)

    assert list(Task.objects.visible_to(desk)) == [for_desk]
    assert list(Task.objects.visible_to(clinician)) == [for_clinician]


def test_the_longest_overdue_stands_first(place, desk):
    later = task_for(place, title="Later", due_at=NOW + timedelta(hours=3))
    late = task_for(place, title="Late", due_at=NOW - timedelta(hours=1))
    latest = task_for(place, title="Latest", due_at=NOW - timedelta(days=1))

    found = list(tasks_to_do(desk, NOW))

    assert found == [latest, late, later]
    assert [task.is_overdue for task in found] == [True, True, False]


def test_taking_a_task_names_its_owner_and_the_second_to_try_is_refused(place, desk):
    task = take_task(task=task_for(place), by=actor(desk), at=NOW)
    other = make_user("Eli Okafor", Role.FRONT_DESK, location=place)

    assert (task.status, task.owner) == (TaskStatus.ACCEPTED, desk)
    with pytest.raises(IllegalMove):
        take_task(task=task, by=actor(other), at=NOW)
    task.refresh_from_db()
    assert task.owner == desk


def test_a_task_given_back_waits_for_anyone_again(place, desk):
    task = take_task(task=task_for(place), by=actor(desk), at=NOW)

    task = give_back_task(task=task, by=actor(desk), at=NOW)

    assert (task.status, task.owner) == (TaskStatus.REQUESTED, None)
    assert list(tasks_to_do(desk, NOW, only_mine=True)) == []


def test_a_finished_task_says_who_when_and_what_came_of_it(place, desk):
    task = finish_task(task=task_for(place), outcome=" She comes on Friday. ", by=actor(desk), at=NOW)

    assert (task.status, task.done_by, task.done_at) == (TaskStatus.COMPLETED, desk, NOW)
    assert task.outcome == "She comes on Friday."
    assert list(tasks_done(desk, NOW)) == [task]
    assert list(tasks_done(desk, NOW + timedelta(days=15))) == []


def test_what_holds_a_treatment_cannot_be_ticked_off_in_silence(place, desk):
    task = task_for(place, blocks_treatment=True)

    with pytest.raises(OutcomeMissing):
        finish_task(task=task, outcome="  ", by=actor(desk), at=NOW)

    task.refresh_from_db()
    assert task.status == TaskStatus.REQUESTED


def test_a_task_with_closing_words_takes_one_of_them_and_a_reason(place, desk):
    task = task_for(place, closes_with=["cleared", "declined"])

    for outcome in ("fine", "cleared", "cleared:", "maybe: later"):
        with pytest.raises(OutcomeMissing):
            finish_task(task=task, outcome=outcome, by=actor(desk), at=NOW)

    done = finish_task(task=task, outcome="cleared: letter of the GP read", by=actor(desk), at=NOW)
    assert done.outcome == "cleared: letter of the GP read"


def test_a_task_finished_by_mistake_can_be_reopened_and_a_dropped_one_cannot(place, desk):
    task = finish_task(task=task_for(place), outcome="", by=actor(desk), at=NOW)
    task = reopen_task(task=task, by=actor(desk), at=NOW)
    assert (task.status, task.done_at, task.done_by, task.outcome) == (TaskStatus.REQUESTED, None, None, "")

    task = drop_task(task=task, reason="The visit was cancelled.", by=BY, at=NOW)
    with pytest.raises(IllegalMove):
        reopen_task(task=task, by=actor(desk), at=NOW)


def test_a_failed_audit_write_leaves_the_task_as_it_was(place, desk, monkeypatch):
    task = task_for(place)

    def fail(**_kwargs):
        raise RuntimeError("the trail is full")

    monkeypatch.setattr("clinic.transitions.record", fail)
    with pytest.raises(RuntimeError):
        finish_task(task=task, outcome="", by=actor(desk), at=NOW)

    task.refresh_from_db()
    assert task.status == TaskStatus.REQUESTED


def test_the_list_shows_take_and_finish_and_reopen_as_pages(client, place, desk):
    client.force_login(desk)
    task = task_for(place, due_at=timezone.now() - timedelta(hours=1))

    page = client.get(reverse("tasks"))
    assert "Call Ana Reyes" in page.content.decode()
    assert "Overdue" in page.content.decode()

    client.post(reverse("task_take", args=[task.ref]))
    assert "Call Ana Reyes" in client.get(reverse("tasks"), {"show": "mine"}).content.decode()

    answer = client.post(reverse("task", args=[task.ref]), {"outcome": "She comes on Friday."}, follow=True)
    assert answer.redirect_chain == [(reverse("tasks"), 302)]
    assert "Done: Call Ana Reyes" in answer.content.decode()
    assert "She comes on Friday." in client.get(reverse("tasks"), {"show": "done"}).content.decode()

    client.post(reverse("task_reopen", args=[task.ref]))
    task.refresh_from_db()
    assert task.status == TaskStatus.REQUESTED


def test_a_refused_finish_says_why_at_the_field_and_keeps_what_was_typed(client, place, desk):
    client.force_login(desk)
    task = task_for(place, closes_with=["cleared", "declined"])

    answer = client.post(reverse("task", args=[task.ref]), {"outcome": "Letter of the GP read"})

    assert answer.status_code == 422
    assert answer.context["form"].errors == {"choice": ["Please choose one."]}
    assert "Letter of the GP read" in answer.content.decode()


def test_finishing_a_task_twice_is_refused_with_a_sentence(client, place, desk):
    client.force_login(desk)
    task = task_for(place)
    client.post(reverse("task", args=[task.ref]), {"outcome": ""})

    answer = client.post(reverse("task", args=[task.ref]), {"outcome": "again"})

    assert answer.status_code == 422
    assert answer.context["form"].non_field_errors() == ["This task is already “done”."]


def test_an_outcome_of_ten_thousand_letters_is_refused_not_cut(client, place, desk):
    client.force_login(desk)
    task = task_for(place)

    answer = client.post(reverse("task", args=[task.ref]), {"outcome": "x" * 10_000})

    assert answer.status_code == 422
    task.refresh_from_db()
    assert task.status == TaskStatus.REQUESTED


def test_a_task_of_another_role_is_not_there(client, place, desk):
    client.force_login(desk)
    task = task_for(place, role=Role.CLINICIAN)

    assert client.get(reverse("task", args=[task.ref])).status_code == 404
    assert client.post(reverse("task_take", args=[task.ref])).status_code == 404


def test_the_list_costs_the_same_queries_with_one_row_and_with_three(client, place, desk):
    client.force_login(desk)
    task_for(place, title="One")
    before = _queries_of(client, reverse("tasks"))
    for title in ("Two", "Three"):
        take_task(task=task_for(place, title=title), by=actor(desk), at=NOW)

    assert _queries_of(client, reverse("tasks")) == before


def _queries_of(client, url):
    with CaptureQueriesContext(connection) as captured:
        client.get(url)
    return len(captured)


def test_a_task_leads_to_where_its_work_is_done_and_only_whom_may_go_there(client, place, desk):
    ref = uuid.uuid4()
    seen = {}
    for role in (Role.FRONT_DESK, Role.CLINICIAN):
        client.force_login(make_user(f"Somebody {role.value}", role, location=place))
        for kind in WAYS:
            task = task_for(place, key=f"{role}:{kind}", role=role, about=f"{kind}:{ref}")
            seen[role, kind] = client.get(reverse("task", args=[task.ref])).context["address"]

    assert seen[Role.CLINICIAN, "decision"] == reverse("decision", args=[ref])
    assert seen[Role.CLINICIAN, "escalation"] == reverse("alarm", args=[ref])
    assert seen[Role.FRONT_DESK, "appointment"] == reverse("appointment", args=[ref])
    assert seen[Role.FRONT_DESK, "decision"] == seen[Role.FRONT_DESK, "escalation"] == ""


@pytest.mark.parametrize("about", ["", "checkin:1", "course:1"])
def test_a_task_about_nothing_with_a_page_has_no_way(client, place, desk, about):
    client.force_login(desk)

    page = client.get(reverse("task", args=[task_for(place, about=about).ref]))

    assert (page.status_code, page.context["way"]) == (200, None)


@pytest.mark.parametrize("kind", sorted(ENDS_WITH_ITS_WORK))
def test_what_ends_with_its_work_is_not_ticked_off_by_hand(client, place, desk, kind):
    client.force_login(desk)
    task = task_for(place, kind=kind)

    page = client.get(reverse("task", args=[task.ref])).content.decode()
    answer = client.post(reverse("task", args=[task.ref]), {"outcome": "I have looked at it."})

    task.refresh_from_db()
    assert "What came of it?" not in page
    assert "done here by itself" in page
    assert (answer.status_code, task.status) == (422, TaskStatus.REQUESTED)
    assert finish_task(task=task, outcome="The work was done.", by=actor(desk), at=NOW).status == TaskStatus.COMPLETED
