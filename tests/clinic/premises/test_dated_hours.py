"""Days that are not as usual: closed, open for once, other hours; and who cannot be used when."""

from datetime import date, time, timedelta

import pytest
from django.db import IntegrityError, transaction

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.premises.actions import end_absence, note_absence, set_hours_of_days, usual_hours_again
from clinic.premises.models import Absence, DatedHours
from clinic.premises.queries import hours_of_days
from clinic.premises.rules import Row, hours_on, without
from clinic.premises.states import HoursRefused
from tests.factories.people import NOW, make_location, make_practitioner

BY = Actor.command("test")
MONDAY, SATURDAY, SUNDAY = date(2026, 11, 23), date(2026, 11, 28), date(2026, 11, 29)
NINE, TEN, NOON, TWO, SIX = time(9), time(10), time(12), time(14), time(18)


# --- arithmetic ---------------------------------------------------------------------------------------------------


def test_a_days_own_rows_stand_instead_of_its_weekdays():
    rows = [
        Row(None, 0, None, NINE, SIX),
        Row(7, 0, None, NINE, SIX),
        Row(8, 0, None, TEN, SIX),
        Row(None, None, MONDAY, TWO, SIX),
        Row(None, None, MONDAY, NINE, NOON),
        Row(8, None, MONDAY, None, None),
        Row(9, None, SUNDAY, NINE, SIX),
    ]

    assert hours_on(rows, MONDAY) == {None: [(NINE, NOON), (TWO, SIX)], 7: [(NINE, SIX)]}
    assert hours_on(rows, MONDAY + timedelta(days=7)) == {None: [(NINE, SIX)], 7: [(NINE, SIX)], 8: [(TEN, SIX)]}
    assert hours_on(rows, SUNDAY) == {9: [(NINE, SIX)]}


@pytest.mark.parametrize(
    ("starts", "ends", "left"),
    [
        (NINE, SIX, []),
        (time(0), time(23, 59), []),
        (NINE, TEN, [(TEN, NOON), (TWO, SIX)]),
        (NOON, TWO, [(NINE, NOON), (TWO, SIX)]),
        (TEN, time(15), [(NINE, TEN), (time(15), SIX)]),
        (time(10), time(11), [(NINE, TEN), (time(11), NOON), (TWO, SIX)]),
    ],
)
def test_what_is_left_of_a_day_that_is_closed_for_a_while(starts, ends, left):
    assert without([(NINE, NOON), (TWO, SIX)], starts, ends) == left


# --- rows ---------------------------------------------------------------------------------------------------------

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return make_location()


def hours(place, day):
    return hours_of_days(place, day, day)[day]


def close(place, first, last=None, spans=(), reason="Bank holiday", **more):
    set_hours_of_days(
        location=place, first=first, last=last or first, spans=spans, reason=reason, by=BY, at=NOW, **more
    )


def test_a_closed_day_has_no_hours_and_says_why(place):
    bo = make_practitioner("Bo", place)

    close(place, MONDAY)

    assert hours(place, MONDAY) == {bo.pk: [(NINE, SIX)]}  # nobody has hours of the place to work within
    assert [(row.day, row.reason, row.set_by_name) for row in DatedHours.objects.all()] == [
        (MONDAY, "Bank holiday", "test")
    ]
    event = AuditEvent.objects.get(action="location.hours_set")
    assert (event.detail["first"], event.detail["hours"], event.detail["reason"]) == (
        "2026-11-23",
        [],
        "Bank holiday",
    )


def test_an_extra_sunday_is_worked_by_those_who_were_named(place):
    bo, _ida = make_practitioner("Bo", place), make_practitioner("Ida", place)

    close(place, SUNDAY, spans=[(TEN, NOON)], people=[bo], reason="Open day")

    assert hours(place, SUNDAY) == {None: [(TEN, NOON)], bo.pk: [(TEN, NOON)]}


def test_said_again_replaces_what_was_said(place):
    close(place, MONDAY, SATURDAY)
    close(place, SATURDAY, spans=[(NINE, NOON)], reason="Open after all")

    assert hours(place, SATURDAY) == {None: [(NINE, NOON)]}
    assert DatedHours.objects.count() == 6


def test_the_usual_hours_come_back_once(place):
    close(place, MONDAY, SATURDAY)

    assert usual_hours_again(location=place, first=MONDAY, last=MONDAY, by=BY, at=NOW) == 1
    assert usual_hours_again(location=place, first=MONDAY, last=MONDAY, by=BY, at=NOW) == 0
    assert hours(place, MONDAY) == {None: [(NINE, SIX)]}
    assert AuditEvent.objects.filter(action="location.usual_hours").count() == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"last": MONDAY - timedelta(days=1)}, "The last day comes before the first."),
        ({"last": MONDAY + timedelta(days=366)}, "At most a year at once, please."),
        ({"spans": [(SIX, NINE)]}, "Closing comes after opening."),
        ({"spans": [(NINE, NOON), (TEN, TWO)]}, "These hours overlap."),
        ({"reason": "  "}, "Please say why."),
    ],
)
def test_what_cannot_be_is_refused_in_words(place, fields, sentence):
    with pytest.raises(HoursRefused, match=sentence):
        close(place, MONDAY, **fields)

    assert not DatedHours.objects.exists()


@pytest.mark.parametrize(
    "spans", [[(None, None), (NINE, NOON)], [(NINE, NOON), (TEN, TWO)], [(None, None), (None, None)]]
)
def test_the_database_refuses_two_spans_that_overlap_and_any_beside_closed(place, spans):
    rows = [
        DatedHours(location=place, day=MONDAY, opens=opens, closes=closes, reason="-", set_at=NOW, set_by_name="-")
        for opens, closes in spans
    ]

    with pytest.raises(IntegrityError, match="dated_hours_no_overlap"), transaction.atomic():
        DatedHours.objects.bulk_create(rows)


def test_hours_of_many_days_are_one_query(place, django_assert_num_queries):
    make_practitioner("Bo", place)
    close(place, MONDAY, SATURDAY)

    with django_assert_num_queries(1):
        hours_of_days(place, MONDAY, MONDAY + timedelta(days=59))


# --- absences -----------------------------------------------------------------------------------------------------


def test_an_absence_says_who_and_why_and_ends_early(place):
    bo = make_practitioner("Bo", place)
    absence = note_absence(
        resource=bo.resource, starts_at=NOW, ends_at=NOW + timedelta(days=2), reason="Unwell", by=BY, at=NOW
    )

    later = NOW + timedelta(hours=5)
    end_absence(absence=absence, by=BY, at=later)
    end_absence(absence=absence, by=BY, at=later)

    assert [(each.starts_at, each.ends_at) for each in Absence.objects.all()] == [(NOW, later)]
    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True)) == [
        "absence.noted",
        "absence.ended",
    ]


def test_an_absence_that_has_not_begun_is_gone_when_it_ends(place):
    bo = make_practitioner("Bo", place)
    tomorrow = NOW + timedelta(days=1)
    absence = note_absence(
        resource=bo.resource, starts_at=tomorrow, ends_at=tomorrow + timedelta(days=2), reason="Leave", by=BY, at=NOW
    )

    end_absence(absence=absence, by=BY, at=NOW)

    assert not Absence.objects.exists()
