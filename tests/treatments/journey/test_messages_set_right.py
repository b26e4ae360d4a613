"""What changes beneath a booked visit reaches its messages without anybody touching the visit."""

from datetime import date, timedelta

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from clinic.packs.actions import load_shipped
from clinic.packs.models import RulePack
from clinic.packs.states import PackKind
from clinic.premises.models import Location
from patients.messaging.actions import dispatch, skip_message
from patients.messaging.models import Message
from patients.registry.actions import correct_patient
from patients.registry.models import Patient
from tests.factories.people import NOW, make_location, make_patient, make_practitioner
from tests.factories.recovering import RED, after, answer, recovering
from tests.factories.smtp import SmtpServer
from tests.factories.visits import BY, book, utc
from treatments.booking import keeping
from treatments.booking.actions import cancel_appointment, replan_visit
from treatments.booking.models import Appointment
from treatments.booking.queries import visit_of
from treatments.journey.actions import Repaired, check_messages, set_messages_right
from treatments.journey.models import MessageCheck
from treatments.journey.tasks import check_all_messages, set_coming_messages_right
from treatments.plan.actions import Wish, differing
from treatments.sessions.models import TreatmentSession

pytestmark = pytest.mark.django_db
DAYS = [utc(f"2027-01-{day}T10:00") for day in (18, 19, 20)]
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def visits():
    """Three consultations in January, of three people."""
    place = make_location()
    bo = make_practitioner("Bo Lindqvist", place)
    return [book(make_patient(place, name), bo, day) for name, day in zip(("Ana", "Ben", "Cleo"), DAYS, strict=True)]


@pytest.fixture
def server(settings):
    with SmtpServer() as running:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", running.port, False
        yield running


def set_right(at=LATER) -> Repaired:
    return set_messages_right(by=BY, at=at)


def plan_of(visit) -> list[tuple]:
    rows = Message.objects.filter(about=visit.about, status="planned").order_by("due_at", "step")
    return [(row.step, row.due_at, row.context, row.visit_at) for row in rows]


def test_when_nothing_changed_nothing_is_touched(visits):
    before = list(Message.objects.order_by("pk").values())

    assert set_right() == Repaired(looked_at=3)
    assert list(Message.objects.order_by("pk").values()) == before


def test_a_time_that_is_only_held_is_announced_by_nobody(visits):
    held = Appointment.objects.filter(pk=visits[0].pk)
    Message.objects.filter(about=visits[0].about).delete()
    held.update(status="proposed")

    assert set_right() == Repaired(looked_at=2)
    replan_visit(appointment=held.get(), by=BY, at=LATER)
    assert not Message.objects.filter(about=visits[0].about).exists()


def test_ten_rows_deleted_by_hand_are_all_planned_again(visits):
    before = [plan_of(visit) for visit in visits]
    gone = [row.pk for row in Message.objects.order_by("-pk")[:10]]
    assert len(gone) == min(10, sum(map(len, before)))
    Message.objects.filter(pk__in=gone).delete()

    assert set_right().repaired >= 2
    assert [plan_of(visit) for visit in visits] == before
    assert set_right() == Repaired(looked_at=3)


def test_a_new_address_is_in_every_message_and_who_was_told_the_old_one_gets_one_correction(visits, server):
    dispatch(at=NOW + timedelta(minutes=3))
    told = len(server.letters)
    Location.objects.update(address="9 Wimpole Street, London")

    assert set_right() == Repaired(looked_at=3, repaired=3)
    places = {row.context["where"] for row in Message.objects.filter(status="planned")}
    assert places == {"9 Wimpole Street, London"}
    assert set_right(LATER + timedelta(minutes=1)).repaired == 0
    dispatch(at=LATER + timedelta(minutes=10))
    assert len(server.letters) == told + 3
    assert "9 Wimpole Street" in server.letters[-1].text
    assert set_right(LATER + timedelta(minutes=20)).repaired == 0


def test_a_correction_the_desk_took_out_of_the_way_does_not_come_back(visits, server):
    dispatch(at=NOW + timedelta(minutes=3))
    Location.objects.update(address="9 Wimpole Street, London")
    set_right()
    for notice in Message.objects.filter(step="correction"):
        skip_message(message=notice, reason="I called them", by=BY, at=LATER)

    assert set_right(LATER + timedelta(minutes=5)).repaired == 0
    assert set(Message.objects.filter(step="correction").values_list("status", flat=True)) == {"skipped"}


def test_a_patient_who_moved_to_another_clock_is_written_to_by_day_there(visits):
    correct_patient(patient=visits[0].patient, time_zone="America/Los_Angeles", by=BY, at=LATER)

    assert set_right() == Repaired(looked_at=3, repaired=1)
    hours = {row[1].hour for row in plan_of(visits[0])}
    assert not hours & set(range(4, 17))  # 20:00 to 09:00 in California, in winter


def test_nothing_waits_for_somebody_who_has_died(visits):
    Patient.objects.filter(pk=visits[1].patient_id).update(died_on=date(2026, 11, 22))

    assert set_right() == Repaired(looked_at=3, repaired=1)
    assert plan_of(visits[1]) == []
    assert not Message.objects.filter(about=visits[1].about, step="correction").exists()
    assert set_right() == Repaired(looked_at=3)


def test_a_newly_published_protocol_changes_what_has_not_been_said(visits):
    pack = RulePack.objects.get(kind=PackKind.CARE, name="consultation", status="published")
    body = pack.body.replace("-24h", "-23h") if "-24h" in pack.body else pack.body.replace("09:00", "10:30")
    assert body != pack.body
    before = [plan_of(visit) for visit in visits]
    load_shipped(kind=PackKind.CARE, name="consultation", body=body, by=BY, at=LATER)

    assert set_right() == Repaired(looked_at=3, repaired=3)
    assert all(plan_of(visit) != old for visit, old in zip(visits, before, strict=True))
    assert set_right() == Repaired(looked_at=3)


def test_a_cancelled_visit_is_left_as_cancelling_left_it(visits):
    cancel_appointment(appointment=visits[2], reason="patient", by=BY, at=LATER)

    assert set_right() == Repaired(looked_at=2)
    assert plan_of(visits[2]) == []


def test_looking_at_many_costs_as_many_queries_as_looking_at_one(visits):
    wishes = [Wish(visit.about, visit.patient, visit.location, visit_of(visit)) for visit in visits]

    counts = []
    for few in (wishes[:1], wishes):
        with CaptureQueriesContext(connection) as caught:
            assert differing(few, LATER) == []
        counts.append(len([query for query in caught if "patients_message" in query["sql"]]))

    assert counts == [1, 1]


def test_the_task_is_a_doorbell():
    set_coming_messages_right()


# --- by a mark, and by night ------------------------------------------------------------------------------------------


def test_a_visit_that_has_not_changed_is_not_compared_again_until_night(visits):
    set_right()
    with CaptureQueriesContext(connection) as caught:
        assert set_right() == Repaired(looked_at=3)

    assert not [query for query in caught if "patients_message" in query["sql"]]


def test_ten_rows_deleted_by_hand_behind_the_mark_are_found_at_night_and_the_report_says_so(visits):
    set_right()
    before = [plan_of(visit) for visit in visits]
    gone = list(Message.objects.order_by("-pk")[:10])
    abouts = {row.about for row in gone}
    Message.objects.filter(pk__in=[row.pk for row in gone]).delete()

    check = check_messages(by=BY, at=LATER)

    assert [plan_of(visit) for visit in visits] == before
    assert (check.looked_at, check.repaired, check.failed) == (3, len(abouts), 0)
    assert {each["about"] for each in check.found} == abouts
    assert sum(int(each["what"].split()[0]) for each in check.found) == len(gone)
    assert check_messages(by=BY, at=LATER).repaired == 0


def test_one_visit_that_cannot_be_set_right_holds_up_no_other(visits, monkeypatch, caplog):
    Location.objects.update(address="9 Wimpole Street, London")
    real = keeping.visits_of

    def breaks(rows):
        if visits[1].pk in {row.pk for row in rows}:
            raise DatabaseError("this row is broken")
        return real(rows)

    monkeypatch.setattr(keeping, "visits_of", breaks)
    assert set_right() == Repaired(looked_at=3, repaired=2, failed=1)
    monkeypatch.undo()

    assert set_right() == Repaired(looked_at=3, repaired=1)


def test_the_nightly_task_is_a_doorbell(db):
    check_all_messages()

    assert MessageCheck.objects.get().looked_at == 0


def test_care_after_a_treatment_that_somebody_deleted_is_planned_again_and_nothing_else_is_touched(db):
    clinic = recovering()
    about = TreatmentSession.objects.get().about
    rows = Message.objects.filter(about=about)
    checkin = rows.filter(link_about__startswith="checkin:", status="planned").order_by("due_at").first()
    kept = rows.exclude(pk=checkin.pk).order_by("pk")
    skip_message(message=kept.filter(status="planned").last(), reason="asked by phone", by=BY, at=after(mins=1))
    before = list(kept.values())
    lost = (checkin.step, checkin.due_at, checkin.link_scope, checkin.link_about)
    checkin.delete()

    check = check_messages(by=BY, at=after(mins=5))

    assert (check.repaired, check.failed) == (1, 0)
    again = Message.objects.get(about=about, step=lost[0])
    assert (again.step, again.due_at, again.link_scope, again.link_about) == lost
    assert list(kept.exclude(pk=again.pk).values()) == before
    assert check_messages(by=BY, at=after(mins=6)).repaired == 0
    assert check.found[0]["patient"] == str(clinic.ana.ref)


def test_what_an_open_alarm_took_back_does_not_come_back_by_night(db):
    clinic = recovering()
    answer(clinic, RED)
    Message.objects.filter(about=TreatmentSession.objects.get().about, purpose="news").delete()

    assert check_messages(by=BY, at=after(days=1, mins=5)).repaired == 0
