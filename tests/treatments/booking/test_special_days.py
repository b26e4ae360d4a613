"""Closed days, extra days and changed hours, wherever a time is offered, shown or booked."""

from datetime import date, datetime, time, timedelta

import pytest

from clinic.audit.states import Actor
from clinic.premises.actions import note_absence, set_hours_of_days
from tests.factories.people import NOW, make_location, make_patient, make_practitioner
from tests.factories.visits import BY, book, get_type, utc
from tests.treatments.booking.test_booking_races import together
from treatments.aftercare.queries import calendar_of
from treatments.aftercare.rules import Clock, due_by
from treatments.aftercare.states import ClockKind
from treatments.booking.actions import move_appointment
from treatments.booking.models import Appointment
from treatments.booking.queries import free_times, practitioners_at
from treatments.booking.states import Away, OutsideHours
from treatments.diary.grid import diary_of
from treatments.diary.week import week_of
from treatments.waitlist.actions import join_waitlist
from treatments.waitlist.queries import standing_of

pytestmark = pytest.mark.django_db

TUESDAY, SUNDAY = date(2026, 11, 24), date(2026, 11, 29)
TEN = utc("2026-11-24T10:00")
MANAGER = Actor.command("test")


def say(place, day, spans=(), reason="Bank holiday", people=(), last=None):
    set_hours_of_days(
        location=place, first=day, last=last or day, spans=spans, reason=reason, people=people, by=MANAGER, at=NOW
    )


def free(place, day, last=None):
    return free_times(type=get_type(), location=place, first=day, last=last or day)


def test_nothing_is_free_or_booked_on_a_closed_day(place, bo, ana):
    say(place, TUESDAY)

    assert free(place, TUESDAY) == []
    with pytest.raises(OutsideHours, match="Harley Street is closed for part of that time"):
        book(ana, bo, TEN)
    assert not Appointment.objects.exists()


def test_a_visit_is_not_moved_onto_a_closed_day(place, bo, ana):
    visit = book(ana, bo, TEN + timedelta(days=1))
    say(place, TUESDAY)

    with pytest.raises(OutsideHours):
        move_appointment(appointment=visit, starts_at=TEN, expected_version=1, by=BY, at=NOW)


def test_an_extra_sunday_can_be_booked_with_who_works_it(place, bo, ana):
    ida = make_practitioner("Ida Moss", place)
    say(place, SUNDAY, [(time(10), time(12))], "Open day", [bo])

    found = free(place, SUNDAY)

    assert {start.practitioner_id for start in found} == {bo.pk}
    assert [start.starts_at for start in found][::6] == [utc("2026-11-29T10:00"), utc("2026-11-29T11:30")]
    assert book(ana, bo, utc("2026-11-29T10:00")).pk
    with pytest.raises(OutsideHours, match="Ida Moss does not work"):
        book(make_patient(place, "Noa"), ida, utc("2026-11-29T11:00"))


def test_somebody_who_works_here_only_on_extra_days_can_be_chosen(place, bo):
    guest = make_practitioner("Guest", make_location("Lisbon"))
    assert practitioners_at(place) == [bo]

    say(place, SUNDAY, [(time(10), time(12))], "Guest day", [guest])

    assert set(practitioners_at(place)) == {bo, guest}


def test_changed_hours_cut_the_practitioners_too(place, bo, ana):
    say(place, TUESDAY, [(time(8), time(10)), (time(16), time(20))], "Late evening")

    starts = [start.starts_at.astimezone(place.zone).time() for start in free(place, TUESDAY)]

    assert (starts[0], starts[-1]) == (time(9), time(17, 30))  # their own hours are still nine to six
    assert time(10) not in starts


def test_the_day_is_grey_in_the_diary(place, bo, ana):
    say(place, TUESDAY)
    by_room = diary_of(place, TUESDAY, "room", NOW, private=False)
    assert [(column.open, column.gaps) for column in by_room.columns] == [((), ()), ((), ())]
    assert diary_of(place, TUESDAY, "practitioner", NOW, private=False).columns == ()

    say(place, TUESDAY, [(time(9), time(12))], "Half a day")
    column = diary_of(place, TUESDAY, "practitioner", NOW, private=False).columns[0]
    assert [block.rows for block in column.open] == [3 * 12]
    week = week_of(place, date(2026, 11, 23), bo, "practitioner", NOW, private=False)
    assert [sum(block.rows for block in day.open) for day in week.columns] == [108, 36, 108, 108, 108, 108, 0]


def test_the_diary_changes_its_mark_when_the_hours_do(place, bo):
    before = diary_of(place, TUESDAY, "room", NOW, private=False).etag
    say(place, TUESDAY)

    assert diary_of(place, TUESDAY, "room", NOW, private=False).etag != before


def test_nobody_on_the_waitlist_is_offered_a_closed_day(place, bo, ana):
    entry = join_waitlist(
        patient=ana, type=get_type(), location=place, earliest_on=TUESDAY, latest_on=TUESDAY, by=BY, at=NOW
    )
    assert standing_of(entry, NOW).start is not None

    say(place, TUESDAY)

    assert standing_of(entry, NOW).start is None


def test_working_days_leave_out_closed_ones(place, bo):
    one_day = Clock(ClockKind.WORKING_DAYS, 1)
    assert due_by(one_day, NOW, calendar_of(place)) == utc("2026-11-24T18:00")

    say(place, TUESDAY)

    assert due_by(one_day, NOW, calendar_of(place)) == utc("2026-11-25T18:00")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/London", date(2026, 3, 29), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ],
)
def test_a_day_opened_for_once_is_as_long_as_its_clock_says(zone, day, hours):
    """23 h and 25 h days: the doors of that Sunday are wall times, its slots are real time."""
    place = make_location("Far", zone)
    kim = make_practitioner("Kim", place)
    say(place, day, [(time(0), time(23, 59, 59))], "All day and night", [kim])

    found = free(place, day)

    assert len(found) == hours * 4 - 2
    assert {start.starts_at.astimezone(place.zone).date() for start in found} == {day}


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_booking_meets_a_closure_before_or_after_never_in_between():
    """Whoever closes the day sees every visit that got in, and nobody gets in behind them."""
    place = make_location()
    bo = make_practitioner("Bo", place)
    patients = [make_patient(place, f"P{number}") for number in range(4)]
    for number in range(10):
        day = TUESDAY + timedelta(days=7 * number)
        nine = datetime.combine(day, time(9), tzinfo=place.zone)
        seen = []

        def close(day=day, nine=nine, seen=seen):
            say(place, day)
            seen.append(
                Appointment.objects.filter(starts_at__gte=nine, starts_at__lt=nine + timedelta(hours=9)).count()
            )

        results = together(
            close,
            *[
                lambda who=who, at=nine + timedelta(minutes=30 * index): book(who, bo, at)
                for index, who in enumerate(patients)
            ],
        )
        booked = [each for each in results[1:] if isinstance(each, Appointment)]
        assert results[0] is None
        assert all(isinstance(each, Appointment | OutsideHours) for each in results[1:])
        assert len(booked) == seen[0]


def test_somebody_away_is_not_booked_with_whatever_the_page_showed(place, bo, ana):
    note_absence(resource=bo.resource, starts_at=TEN, ends_at=TEN + timedelta(hours=2), reason="x", by=BY, at=NOW)

    with pytest.raises(Away):
        book(ana, bo, TEN)
