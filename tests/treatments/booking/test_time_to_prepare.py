"""The clinic says how long ahead a treatment is booked; until it has, the desk is only warned."""

from datetime import date, time, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.catalogue.models import AppointmentType
from clinic.staff.models import Practitioner
from clinic.staff.states import Role
from tests.factories.people import (
    NOW,
    make_clinician,
    make_device,
    make_patient,
    make_user,
)
from tests.factories.visits import BY, book, get_type, make_course, utc
from treatments.booking.actions import move_appointment
from treatments.booking.models import Appointment
from treatments.booking.offers import Ask, offer_for
from treatments.booking.resizing import resize_appointment
from treatments.booking.states import OverrideRefused, TooSoon
from treatments.disruption.actions import note_disruption
from treatments.disruption.queries import preview
from treatments.disruption.states import What
from treatments.series.queries import Wanted, proposed_series
from treatments.visits.queries import free_days
from treatments.waitlist.actions import accept_offer, join_waitlist, offer_time
from treatments.waitlist.queries import standing_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_a_monday_at_ten")]
KEYS = ("treatment_nafl", "test_spot_nafl", "consultation")
TODAY, LEAD = date(2026, 11, 23), 3
FIRST = TODAY + timedelta(days=LEAD)
TUESDAY, THURSDAY = utc("2026-11-24T10:00"), utc("2026-11-26T10:00")


@pytest.fixture
def course(place):
    make_device(place)
    return make_course(make_patient(place))


def decide(days=LEAD):
    get_type("treatment_nafl")
    AppointmentType.objects.filter(key="treatment_nafl").update(lead_days=days)


def treat(course, bo, starts_at, **more):
    return book(course.patient, bo, starts_at, "treatment_nafl", course=course, **more)


def fresh(visit):
    return Appointment.objects.get(pk=visit.pk)


# --- booking and changing -----------------------------------------------------------------------------------------


def test_until_the_clinic_has_decided_tomorrow_can_be_booked(bo, course):
    assert get_type("treatment_nafl").lead_days is None

    assert treat(course, bo, TUESDAY).starts_at == TUESDAY


def test_the_first_day_that_leaves_enough_time_is_bookable_and_the_one_before_is_not(bo, course):
    decide()

    with pytest.raises(TooSoon) as refused:
        treat(course, bo, THURSDAY - timedelta(days=1))

    assert refused.value.earliest_on == FIRST
    assert treat(course, bo, THURSDAY).starts_at == THURSDAY


def test_a_clinician_sets_it_aside_with_a_reason_that_stays_on_the_visit(place, bo, course):
    decide()
    desk = Actor.staff(make_user("Mia Okafor", Role.FRONT_DESK, location=place))
    with pytest.raises(OverrideRefused):
        treat(course, bo, TUESDAY, by=desk, override_reason="She insists")

    by = Actor.staff(make_clinician("Dr Lena Roth", place))
    visit = treat(course, bo, TUESDAY, by=by, override_reason="Prepared since last week")
    resize_appointment(appointment=visit, minutes=45, expected_version=1, by=BY, at=NOW)

    assert fresh(visit).override_reason == "Prepared since last week"
    assert fresh(visit).overrides == [
        "The earliest date is 26 November 2026: it is booked at least 3 days ahead, so that there is time to prepare."
    ]


def test_who_prepares_already_is_moved_within_the_day_or_later_but_not_hurried(bo, course):
    visit = treat(course, bo, TUESDAY + timedelta(days=1))
    decide()

    def move(to, version):
        move_appointment(appointment=fresh(visit), starts_at=to, expected_version=version, by=BY, at=NOW)

    with pytest.raises(TooSoon):
        move(TUESDAY, 1)
    move(TUESDAY + timedelta(days=1, hours=2), 1)
    move(THURSDAY, 2)

    assert fresh(visit).starts_at == THURSDAY


# --- what is offered is what may be booked ------------------------------------------------------------------------


def ask(course, bo, **more):
    visit_type = get_type("treatment_nafl")
    return Ask(course.patient, visit_type, course.patient.location, course.modality, [bo], False, None, **more)


def test_the_desk_is_shown_the_first_day_that_may_be_and_why_not_before(bo, course):
    assert offer_for(ask(course, bo), NOW).earliest_reason == ""
    decide()

    offer = offer_for(ask(course, bo), NOW)

    assert (offer.day, offer.earliest_on) == (FIRST, FIRST)
    assert offer.earliest_reason == "it is booked at least 3 days ahead, so that there is time to prepare"


@pytest.mark.parametrize(("stands", "first"), [(TUESDAY, TUESDAY), (utc("2026-12-04T10:00"), THURSDAY)])
def test_the_patients_page_shows_no_earlier_day_that_would_be_too_soon(bo, course, stands, first):
    visit = treat(course, bo, stands)
    decide()

    assert free_days(fresh(visit), NOW - timedelta(hours=4))[0].day == first.date()


def test_a_series_begins_on_the_first_day_that_may_be(place, bo, course):
    decide()
    wanted = Wanted(TODAY, 28, time(10))

    sessions = proposed_series(course, place, wanted, [], NOW)

    assert [each.earliest_on for each in sessions][:2] == [FIRST, FIRST + timedelta(days=28)]
    assert sessions[0].why == (
        "Earliest date 26 November 2026, because it is booked at least 3 days ahead, so that there is time to prepare."
    )
    assert [each.against for each in sessions] == ["", "", ""]


def waiting(course, monkeypatch):
    monkeypatch.setattr("treatments.waitlist.queries._not_ready", lambda entry: iter(()))
    return join_waitlist(
        patient=course.patient,
        type=get_type("treatment_nafl"),
        location=course.patient.location,
        course=course,
        earliest_on=TODAY,
        latest_on=TODAY + timedelta(days=20),
        between=(time(0), time(23, 59)),
        by=BY,
        at=NOW,
    )


@pytest.mark.parametrize(("at", "first"), [(NOW, FIRST), (NOW + timedelta(hours=11), FIRST + timedelta(days=1))])
def test_who_waits_is_offered_a_time_that_may_still_be_taken_when_the_hold_ends(bo, course, monkeypatch, at, first):
    """At nine in the evening the message waits for the morning, and the day is a day less away by then."""
    decide()
    entry = waiting(course, monkeypatch)

    offer = offer_time(entry=entry, by=BY, at=at)
    accept_offer(offer=offer, by=BY, at=offer.ends_at - timedelta(minutes=1))

    visit = Appointment.objects.get()
    assert (visit.starts_at.date(), visit.status) == (first, "booked")


def test_who_wishes_only_days_that_leave_no_time_is_told_so(bo, course, monkeypatch):
    decide(days=30)

    assert standing_of(waiting(course, monkeypatch), NOW).reasons == (
        "Not before 23 December 2026: it is booked at least 30 days ahead, so that there is time to prepare.",
    )


def test_when_somebody_is_unwell_no_other_time_is_offered_that_leaves_no_time(place, bo, course):
    Practitioner.objects.exclude(pk=bo.pk).update(is_active=False)
    visit = treat(course, bo, TUESDAY)
    desk = make_user("Dina Desk", Role.FRONT_DESK, location=place)
    decide(days=9)
    disruption = note_disruption(
        what=What.PRACTITIONER,
        location=place,
        resource=bo.resource,
        starts_at=utc("2026-11-24T08:00"),
        ends_at=utc("2026-11-24T20:00"),
        reason="Unwell",
        by=BY,
        at=NOW,
    )

    (line,) = preview(disruption, desk, NOW)

    offered = [each.value.split("~")[1][:10] for each in line.options if each.value.startswith("offer~")]
    assert line.visit == visit
    assert offered[0] == "2026-12-02"


# --- saying so ----------------------------------------------------------------------------------------------------


@pytest.fixture
def manager(client, place):
    for key in KEYS:
        get_type(key)
    client.force_login(make_user("Max Berg", Role.MANAGER, location=place))
    return client


def stands():
    return dict(AppointmentType.objects.filter(key__in=KEYS).values_list("key", "lead_days"))


def test_the_manager_says_it_for_each_treatment_once_and_on_record(manager):
    for _ in range(2):
        manager.post(reverse("lead_times"), {"treatment_nafl": "7", "test_spot_nafl": ""})

    assert stands() == {"treatment_nafl": 7, "test_spot_nafl": None, "consultation": None}
    event = AuditEvent.objects.get(action="appointment_type.lead_days")
    assert (event.detail["was"], event.detail["now"]) == (None, 7)
    assert "consultation" not in manager.get(reverse("lead_times")).context["form"].fields

    manager.post(reverse("lead_times"), {"treatment_nafl": "", "test_spot_nafl": "0"})
    assert stands() == {"treatment_nafl": None, "test_spot_nafl": 0, "consultation": None}


@pytest.mark.parametrize("typed", ["-1", "91", "soon", "1.5"])
def test_days_that_make_no_sense_are_said_and_nothing_is_lost_or_changed(manager, typed):
    answer = manager.post(reverse("lead_times"), {"treatment_nafl": typed, "test_spot_nafl": "4"})

    page = answer.content.decode()
    assert (answer.status_code, "is-invalid" in page, f'value="{typed}"' in page, 'value="4"' in page) == (
        422,
        True,
        True,
        True,
    )
    assert set(stands().values()) == {None}


@pytest.mark.parametrize("days", [-1, 91])
def test_the_database_refuses_what_no_clinic_means(days):
    kind = get_type("treatment_nafl")

    with pytest.raises(IntegrityError, match="lead"), transaction.atomic():
        AppointmentType.objects.filter(pk=kind.pk).update(lead_days=days)
