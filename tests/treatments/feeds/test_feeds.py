"""A practitioner's private calendar: whoever has the address sees hours and places, and nobody's name."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from icalendar import Calendar

from clinic.audit.models import AuditEvent
from clinic.staff.states import Role
from tests.factories.people import NOW, make_clinician, make_location, make_patient, make_user
from tests.factories.visits import BY, book, utc
from treatments.booking.actions import (
    cancel_appointment,
    enter_in_error,
    mark_noshow,
    move_appointment,
    propose_appointment,
    undo_status,
)
from treatments.feeds.actions import close_feed, open_feed
from treatments.feeds.models import CalendarFeed

pytestmark = pytest.mark.django_db
TUESDAY, THURSDAY = utc("2026-12-01T10:00"), utc("2026-12-03T14:30")


@pytest.fixture
def place(time_machine):
    time_machine.move_to(NOW, tick=False)
    return make_location()


@pytest.fixture
def bo(place):
    return make_clinician("Bo Lindqvist", place)


@pytest.fixture
def path(bo):
    return path_of(open_feed(practitioner=bo.practitioner, by=BY, at=NOW)[1])


def path_of(address):
    return "/" + address.partition("//")[2].partition("/")[2]


def events(path):
    answer = Client().get(path)
    assert answer.status_code == 200
    calendar = Calendar.from_ical(answer.content)
    assert (calendar["METHOD"], calendar["VERSION"]) == ("PUBLISH", "2.0")
    assert [str(each) for each in calendar.errors] == []
    return calendar.events


def facts(path):
    return [
        (str(each["UID"]), each["SEQUENCE"], each["DTSTART"].dt, each["DTEND"].dt, str(each["STATUS"]))
        for each in events(path)
    ]


# --- what it says -----------------------------------------------------------------------------------------------------


def test_a_visit_is_an_hour_and_a_place_without_a_name_or_a_treatment(place, bo, path):
    visit = book(make_patient(place, "Ana", "Quillfeather"), bo.practitioner, TUESDAY)

    event = events(path)[0]

    assert (str(event["SUMMARY"]), str(event["LOCATION"])) == ("Visit", "Harley Street, Room 1")
    assert event["DTSTART"].dt == TUESDAY
    assert event["DTEND"].dt == TUESDAY + timedelta(minutes=30)
    assert str(event["DESCRIPTION"]).endswith(f"/visits/{visit.ref}/")
    raw = Client().get(path).content.decode()
    for secret in ("Ana", "Quillfeather", "A. Q", "A.Q", "onsultation", str(visit.patient.ref), "mailto"):
        assert secret not in raw


def test_one_event_follows_every_change_and_its_number_only_grows(place, bo, path):
    visit = book(make_patient(place), bo.practitioner, TUESDAY)
    seen = [facts(path)[0]]
    move_appointment(appointment=visit, starts_at=THURSDAY, expected_version=1, by=BY, at=NOW)
    seen.append(facts(path)[0])
    visit.refresh_from_db()
    later = THURSDAY + timedelta(hours=1)
    mark_noshow(appointment=visit, by=BY, at=later)
    seen.append(facts(path)[0])
    visit.refresh_from_db()
    undo_status(appointment=visit, by=BY, at=later)
    seen.append(facts(path)[0])
    visit.refresh_from_db()
    cancel_appointment(appointment=visit, reason="patient", by=BY, at=later)
    seen.append(facts(path)[0])

    assert len({uid for uid, *_ in seen}) == 1
    numbers = [number for _, number, *_ in seen]
    assert numbers == sorted(set(numbers))
    assert [(starts, status) for _, _, starts, _, status in seen] == [
        (TUESDAY, "CONFIRMED"),
        (THURSDAY, "CONFIRMED"),
        (THURSDAY, "CANCELLED"),
        (THURSDAY, "CONFIRMED"),
        (THURSDAY, "CANCELLED"),
    ]


def test_a_held_time_is_tentative_an_error_is_gone_and_others_are_not_there(place, bo, path):
    ana = make_patient(place)
    other = make_clinician("Cy Adeyemi", place)
    held = propose_appointment(
        patient=ana,
        type=book(ana, other.practitioner, TUESDAY).type,
        location=place,
        practitioner=bo.practitioner,
        starts_at=THURSDAY,
        form_key="00000000-0000-4000-8000-000000000001",
        by=BY,
        at=NOW,
    )
    assert [(str(each["SUMMARY"]), str(each["STATUS"])) for each in events(path)] == [("Held", "TENTATIVE")]

    enter_in_error(appointment=held, reason="never meant", by=BY, at=NOW)

    assert events(path) == []


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("Europe/London", "2027-03-27T10:00", "2027-03-27T10:00"),
        ("Europe/London", "2027-03-29T10:00", "2027-03-29T09:00"),
        ("America/New_York", "2027-03-13T10:00", "2027-03-13T15:00"),
        ("America/New_York", "2027-03-15T10:00", "2027-03-15T14:00"),
        ("Australia/Lord_Howe", "2027-04-05T10:00", "2027-04-04T23:30"),
        ("Asia/Kathmandu", "2027-03-29T10:00", "2027-03-29T04:15"),
    ],
)
def test_the_instant_is_right_on_either_side_of_a_clock_change(time_machine, zone, wall, instant):
    time_machine.move_to(NOW, tick=False)
    place = make_location("Elsewhere", zone)
    cy = make_clinician("Cy Adeyemi", place)
    path = path_of(open_feed(practitioner=cy.practitioner, by=BY, at=NOW)[1])
    book(make_patient(place), cy.practitioner, utc(instant))

    assert events(path)[0]["DTSTART"].dt.astimezone(place.zone).strftime("%Y-%m-%dT%H:%M") == wall


# --- who gets it ------------------------------------------------------------------------------------------------------


def test_only_the_hash_is_kept_and_the_address_is_shown_once(client, place, bo):
    client.force_login(bo)

    made = client.post(reverse("my_feed")).content.decode()
    again = client.get(reverse("my_feed")).content.decode()

    token = made.partition("/f/")[2].partition("/")[0]
    assert len(token) >= 43
    assert token not in again
    assert token.encode() not in bytes(CalendarFeed.objects.get().token_hash)
    assert not AuditEvent.objects.filter(detail__icontains=token).exists()
    assert Client().get(f"/f/{token}/visits.ics").status_code == 200


def test_a_new_address_ends_the_old_one_and_ending_it_ends_all(client, place, bo, path):
    client.force_login(bo)
    client.post(reverse("my_feed"))

    assert Client().get(path).status_code == 404
    assert CalendarFeed.objects.filter(revoked_at=None).count() == 1

    client.post(reverse("my_feed_close"))
    assert not CalendarFeed.objects.filter(revoked_at=None).exists()
    assert AuditEvent.objects.filter(action="feed.revoked").count() == 2


def test_every_wrong_address_gets_the_same_bytes(place, bo, path):
    close_feed(practitioner=bo.practitioner, by=BY, at=NOW)

    answers = [
        Client().get(each) for each in (path, "/f/x/visits.ics", f"/f/{'A' * 43}/visits.ics", "/f/%F0%9F/visits.ics")
    ]

    assert {(each.status_code, each.content, each["Content-Type"]) for each in answers} == {
        (404, b"Not found\n", "text/plain")
    }


@pytest.mark.parametrize("who", ["user", "practitioner"])
def test_whoever_no_longer_works_here_has_no_address_either(place, bo, path, who):
    row = bo if who == "user" else bo.practitioner
    row.is_active = False
    row.save(update_fields=["is_active"])

    assert Client().get(path).status_code == 404


def test_a_manager_ends_somebodys_address_and_the_desk_may_not(client, place, bo, path):
    url = reverse("feed_close", args=[CalendarFeed.objects.get().ref])
    client.force_login(make_user("Mia Okafor", Role.FRONT_DESK, location=place))
    assert client.post(url).status_code == 403
    assert Client().get(path).status_code == 200

    client.force_login(make_user("Max Berg", Role.MANAGER, location=place))
    assert "Bo Lindqvist" in client.get(reverse("my_feed")).content.decode()
    client.post(url)

    assert Client().get(path).status_code == 404


def test_whoever_sees_no_patients_has_no_calendar(client, place):
    client.force_login(make_user("Mia Okafor", Role.FRONT_DESK, location=place))

    assert "Only people who see patients" in client.post(reverse("my_feed")).content.decode()
    assert not CalendarFeed.objects.exists()


# --- how it is kept ---------------------------------------------------------------------------------------------------


def test_unchanged_it_is_not_sent_again_and_nobody_keeps_a_copy(place, bo, path):
    book(make_patient(place), bo.practitioner, TUESDAY)
    first = Client().get(path)
    same = Client().get(path, headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content, same["Cache-Control"]) == (304, b"", "private, no-store")

    book(make_patient(place, "Eli", "Stone"), bo.practitioner, THURSDAY)

    changed = Client().get(path, headers={"If-None-Match": first["ETag"]})
    assert (changed.status_code, changed["Cache-Control"]) == (200, "private, no-store")


def test_the_database_keeps_one_address_each_and_every_row(place, bo, path):
    with pytest.raises(IntegrityError), transaction.atomic():
        CalendarFeed.objects.create(
            practitioner=bo.practitioner, token_hash=b"x", created_at=NOW, created_by_name="nobody"
        )
    with pytest.raises(DatabaseError), transaction.atomic():
        CalendarFeed.objects.all().delete()
