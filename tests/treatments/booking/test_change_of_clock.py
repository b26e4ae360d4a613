"""A clinic changes its time zone: visits to come keep the time on the wall, and none moves silently."""

from datetime import datetime, time, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.premises.models import Location, OpeningHours
from patients.messaging.models import Message
from tests.factories.people import make_location, make_patient
from tests.factories.visits import BY, book
from treatments.booking.actions import cancel_appointment
from treatments.booking.models import Appointment
from treatments.booking.zone import ZoneRefused, change_time_zone

pytestmark = pytest.mark.django_db


@pytest.fixture
def at():
    return timezone.now()


@pytest.fixture
def monday(place, at):
    day = at.astimezone(place.zone).date()
    return day + timedelta(days=7 + (0 - day.weekday()) % 7)


def visit_at(place, bo, day, hour, at, name="Ana"):
    return book(make_patient(place, name), bo, datetime.combine(day, time(hour), tzinfo=place.zone), at=at)


def walls(place):
    zone = Location.objects.get(pk=place.pk).zone
    return [f"{each.starts_at.astimezone(zone):%a %H:%M}" for each in Appointment.objects.order_by("starts_at")]


def test_every_visit_to_come_keeps_its_wall_time_with_all_it_claims(place, bo, monday, at):
    first, second = visit_at(place, bo, monday, 9, at, "A"), visit_at(place, bo, monday, 10, at, "B")
    # Side by side: shifted by an hour each would meet the next one on its way.
    third = visit_at(place, bo, monday, 11, at, "C")

    assert change_time_zone(location=place, time_zone="Europe/Lisbon", by=BY, at=at) in (0, 3)
    assert change_time_zone(location=place, time_zone="Europe/Paris", by=BY, at=at) == 3

    assert walls(place) == ["Mon 09:00", "Mon 10:00", "Mon 11:00"]
    for visit in (first, second, third):
        was = visit.starts_at
        visit.refresh_from_db()
        assert visit.starts_at == was - timedelta(hours=1)
        assert {(each.period.lower, each.period.upper, each.active) for each in visit.claims.all()} == {
            (visit.starts_at, visit.ends_at, True)
        }
        event = AuditEvent.objects.get(action="appointment.kept_wall_time", subject_id=str(visit.ref))
        assert datetime.fromisoformat(event.detail["was"]) == was
    assert AuditEvent.objects.filter(action="location.time_zone").last().detail["now"] == "Europe/Paris"


def test_messages_follow_and_nobody_is_told_of_a_move_that_is_none(place, bo, monday, at):
    visit = visit_at(place, bo, monday, 10, at)
    told = Message.objects.filter(about=visit.about, template="booking_confirmation")
    told.update(status="sent", sent_at=at, handed_at=at)
    reminders = Message.objects.filter(about=visit.about, template="reminder", status="planned")
    before = list(reminders.order_by("step").values_list("due_at", flat=True))

    change_time_zone(location=place, time_zone="America/New_York", by=BY, at=at)

    visit.refresh_from_db()
    later = visit.starts_at - datetime.combine(monday, time(10), tzinfo=place.zone)
    assert later > timedelta(hours=3)
    assert list(reminders.order_by("step").values_list("due_at", flat=True)) == [each + later for each in before]
    assert not Message.objects.filter(about=visit.about, template="correction").exists()


def test_what_is_over_or_off_stays_where_it_was(place, bo, monday, at):
    off = visit_at(place, bo, monday, 10, at)
    cancel_appointment(appointment=off, reason="patient", by=BY, at=at)

    assert change_time_zone(location=place, time_zone="Asia/Kathmandu", by=BY, at=at) == 0

    was = off.starts_at
    off.refresh_from_db()
    assert off.starts_at == was


def test_no_other_way_changes_the_clock_of_a_place_with_visits(place, bo, monday, at):
    visit_at(place, bo, monday, 10, at)

    with pytest.raises(IntegrityError, match="its clock is changed together with them"), transaction.atomic():
        Location.objects.filter(pk=place.pk).update(time_zone="Europe/Paris")
    place.time_zone = "Europe/Paris"
    with pytest.raises(IntegrityError), transaction.atomic():
        place.save()

    assert walls(place) == ["Mon 10:00"]


def test_a_name_that_is_no_zone_is_refused_in_words(place, at):
    with pytest.raises(ZoneRefused, match=r"“London” is not a time zone\. Write it like Europe/London\."):
        change_time_zone(location=place, time_zone="London", by=BY, at=at)


def test_somebody_who_would_be_in_two_places_at_once_stops_it_all(place, bo, monday, at):
    annexe = make_location("Annexe")
    for weekday in range(6):
        OpeningHours.objects.create(location=annexe, practitioner=bo, weekday=weekday, opens=time(9), closes=time(18))
    here = visit_at(place, bo, monday, 11, at, "Here")
    visit_at(place, bo, monday, 15, at, "Later")
    visit_at(annexe, bo, monday, 10, at, "There")

    with pytest.raises(ZoneRefused, match="two places at once"):
        change_time_zone(location=place, time_zone="Europe/Paris", by=BY, at=at)

    place.refresh_from_db()
    was = here.starts_at
    here.refresh_from_db()
    assert (place.time_zone, here.starts_at, here.version) == ("Europe/London", was, 1)
    assert not AuditEvent.objects.filter(action="location.time_zone").exists()
