"""A patient cancels or moves their own visit: in time, by the same gates as the desk, and never over its changes."""

from datetime import timedelta

import pytest

from clinic.audit.models import AuditEvent
from clinic.worklist.models import Task
from patients.registry.states import LinkScope
from tests.factories.people import NOW, make_patient
from tests.factories.visits import BY, book, utc
from treatments.booking.actions import move_appointment
from treatments.booking.models import Appointment

from .test_my_visit import TUESDAY, bo, opened, place, text, visit  # noqa: F401

pytestmark = pytest.mark.django_db
THURSDAY = utc("2026-12-03T14:30")


@pytest.fixture
def phone(visit):  # noqa: F811
    return Phone(visit.patient, visit)


class Phone:
    def __init__(self, patient, visit, scope=LinkScope.VISIT):  # noqa: F811
        self.client, link = opened(patient, visit.about, scope)
        self.home = f"/my/{link.ref}/visit/"

    def get(self, path, **query):
        return self.client.get(self.home + path, query)

    def confirm(self, version=1):
        return self.client.post(self.home + "confirm/", {"version": version})

    def cancel(self, version=1, reason="unwell"):
        return self.client.post(self.home + "cancel/", {"version": version, "reason": reason})

    def move(self, starts_at=THURSDAY, version=1):
        return self.client.post(self.home + "move/", {"version": version, "starts_at": starts_at.isoformat()})


def now(visit):  # noqa: F811
    return Appointment.objects.get(pk=visit.pk)


def test_confirmed_by_a_button_the_desk_sees_it_and_the_page_thanks(visit, phone):  # noqa: F811
    assert "Yes, I’ll come" in text(phone.get(""))

    assert [phone.confirm().status_code, phone.confirm().status_code] == [302, 302]

    assert (now(visit).step, now(visit).confirmed_by_name) == ("confirmed", visit.patient.full_name)
    assert AuditEvent.objects.filter(action="appointment.confirmed").count() == 1
    assert "You told us that you will come." in text(phone.get(""))
    assert "Yes, I’ll come" not in text(phone.get(""))


def test_a_visit_that_was_moved_meanwhile_is_not_confirmed_unread(visit, phone):  # noqa: F811
    move_appointment(appointment=visit, starts_at=THURSDAY, expected_version=1, by=BY, at=NOW)

    phone.confirm(version=1)

    assert now(visit).confirmed_at is None
    assert "We changed this visit meanwhile." in text(phone.get(""))


def test_a_cancelled_visit_cannot_be_confirmed(visit, phone):  # noqa: F811
    phone.cancel()

    assert phone.confirm(version=2).status_code == 302
    assert now(visit).confirmed_at is None


def test_the_desk_is_told_of_each_own_change_once_and_at_once(visit, phone):  # noqa: F811
    phone.move()
    phone.move()
    phone.cancel(version=2)
    phone.cancel(version=2)

    told = Task.objects.filter(kind="own_change").order_by("id")
    assert [(each.title, each.why, each.role, each.created_at) for each in told] == [
        (
            "Ana Reyes moved their visit",
            "Now Thursday 3 December, 14:30; it was Tuesday 1 December, 10:00.",
            "front_desk",
            NOW,
        ),
        (
            "Ana Reyes cancelled their visit",
            "It was on Thursday 3 December, 14:30. The time is free again.",
            "front_desk",
            NOW,
        ),
    ]


def test_when_the_desk_cannot_be_told_the_visit_stays(visit, phone, monkeypatch):  # noqa: F811
    monkeypatch.setattr("treatments.visits.actions.raise_task", lambda **facts: 1 / 0)

    for act in (phone.cancel, phone.move):
        with pytest.raises(ZeroDivisionError):
            act()

    assert (now(visit).status, now(visit).starts_at, now(visit).version) == ("booked", TUESDAY, 1)


def test_cancelled_with_a_reason_the_time_is_free_and_the_trail_says_who(visit, phone):  # noqa: F811
    answer = phone.cancel()

    assert (answer.status_code, answer["Location"]) == (302, phone.home)
    assert (now(visit).status, now(visit).cancel_reason) == ("cancelled", "unwell")
    assert not visit.claims.filter(active=True).exists()
    assert now(visit).changed_by_name == visit.patient.full_name
    assert text(phone.get("")).startswith("Your visit is cancelled")


def test_a_second_tap_cancels_once(visit, phone):  # noqa: F811
    assert [phone.cancel().status_code, phone.cancel().status_code] == [302, 302]
    assert AuditEvent.objects.filter(action="appointment.cancelled").count() == 1


@pytest.mark.parametrize("reason", ["", "clinic", "mistake"])
def test_only_a_reason_of_the_list_will_do(visit, phone, reason):  # noqa: F811
    assert phone.cancel(reason=reason).status_code == 422
    assert now(visit).status == "booked"


def test_moved_to_a_free_time_and_a_second_tap_moves_once(visit, phone):  # noqa: F811
    assert [phone.move().status_code, phone.move().status_code] == [302, 302]
    assert (now(visit).starts_at, now(visit).version) == (THURSDAY, visit.version + 1)
    assert AuditEvent.objects.filter(action="appointment.moved").count() == 1


def test_a_taken_time_is_said_with_the_next_free_ones_and_the_visit_stays(visit, phone, bo):  # noqa: F811
    book(make_patient(visit.location, "Uma", "Other"), bo, THURSDAY)

    answer = phone.move()

    assert answer.status_code == 422
    assert "That time has just been taken. These are the next free times." in text(answer)
    assert [label for _, _, label in answer.context["next_free"]] == [
        "15:00",
        "15:15",
        "15:30",
        "15:45",
        "16:00",
        "16:15",
    ]
    assert answer.context["one"].day == THURSDAY.date()
    assert now(visit).starts_at == TUESDAY


@pytest.mark.parametrize("act", ["cancel", "move"])
def test_what_the_clinic_changed_meanwhile_is_not_overwritten(visit, phone, act):  # noqa: F811
    friday = utc("2026-12-04T09:00")
    move_appointment(appointment=visit, starts_at=friday, expected_version=visit.version, by=BY, at=NOW)

    answer = getattr(phone, act)(version=visit.version)

    assert answer.status_code == 409
    assert "We changed this visit meanwhile." in text(answer)
    assert (now(visit).status, now(visit).starts_at) == ("booked", friday)
    assert getattr(phone, act)(version=now(visit).version).status_code == 302


@pytest.mark.parametrize("act", ["cancel", "move"])
def test_within_the_notice_only_a_call_helps(visit, phone, act, time_machine):  # noqa: F811
    visit.location.change_notice_hours = 48
    visit.location.save()
    time_machine.move_to(TUESDAY - timedelta(hours=48) + timedelta(seconds=1), tick=False)
    phone = Phone(visit.patient, visit)

    assert "too soon to change here. Please call us: +442079460000" in text(phone.get(""))
    assert "too soon to change here. Please call us: +442079460000" in text(phone.get(f"{act}/"))
    assert getattr(phone, act)().status_code == 422
    assert now(visit).version == visit.version
    time_machine.move_to(TUESDAY - timedelta(hours=48), tick=False)
    assert getattr(Phone(visit.patient, visit), act)().status_code == 302


@pytest.mark.parametrize(
    "starts_at",
    [
        NOW + timedelta(hours=5),  # within the notice
        THURSDAY + timedelta(minutes=7),  # off the grid
        THURSDAY + timedelta(days=60),  # beyond the days offered
        utc("2026-12-03T21:00"),  # closed
    ],
)
def test_a_time_that_is_not_offered_is_refused(visit, phone, starts_at):  # noqa: F811
    assert phone.move(starts_at).status_code == 422
    assert now(visit).starts_at == TUESDAY


@pytest.mark.parametrize("path", ["cancel/", "move/"])
def test_nobody_elses_visit_no_other_scope_and_looking_changes_nothing(visit, phone, path):  # noqa: F811
    before = Appointment.objects.values().get(pk=visit.pk)
    other = Phone(make_patient(visit.location, "Uma", "Stranger"), visit)
    healing = Phone(visit.patient, visit, LinkScope.HEALING)

    assert phone.get(path).status_code == 200
    for wrong in (other, healing):
        assert wrong.get(path).status_code == 404
        assert wrong.cancel().status_code == wrong.move().status_code == 404
    assert Appointment.objects.values().get(pk=visit.pk) == before


def test_another_day_shows_its_times(visit, phone):  # noqa: F811
    answer = phone.get("move/", day="2026-12-03")

    assert answer.context["one"].day == THURSDAY.date()
    assert "Thursday 3 December 09:00 09:15" in text(answer)
    assert "Sunday" not in text(answer)
