import uuid
from datetime import date, timedelta

import pytest
from django.db import connection

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor, Refused
from clinic.premises.models import Absence, OpeningHours
from clinic.staff.states import Role
from clinic.transitions import IllegalMove
from tests.factories.people import (
    NOW,
    make_clinician,
    make_device,
    make_location,
    make_patient,
    make_practitioner,
    make_room,
    make_user,
)
from tests.factories.visits import BY, book, get_type, make_course, make_decision, utc
from treatments.booking.actions import (
    book_appointment,
    cancel_appointment,
    enter_in_error,
    mark_arrived,
    mark_fulfilled,
    mark_noshow,
    move_appointment,
    undo_status,
)
from treatments.booking.models import Appointment, Claim
from treatments.booking.states import (
    Away,
    DeviceUnavailable,
    NotAuthorised,
    NotCleared,
    NotHere,
    NotYet,
    OutsideHours,
    OverrideRefused,
    PatientBusy,
    ServiceOverdue,
    SlotTaken,
    StaleVersion,
    TimeHasPassed,
    TooEarly,
)

pytestmark = pytest.mark.django_db

TEN = utc("2026-11-24T10:00")
REF = uuid.UUID(int=7)


@pytest.fixture
def ben(place):
    return make_patient(place, "Ben", "Okafor")


@pytest.fixture
def laser(place):
    return make_device(place)


def rooms(place):
    return list(place.rooms.order_by("name"))


def claims(visit, **which):
    rows = visit.claims.filter(**{"active": True, **which}).order_by("resource_id")
    return [(str(row.resource), row.period.lower, row.period.upper) for row in rows]


# --- booking ----------------------------------------------------------------------------------------------------


def test_a_booking_claims_practitioner_room_and_laser_each_for_its_part(place, bo, ana, laser):
    course = make_course(ana)

    visit = book(ana, bo, TEN, "treatment_nafl", course=course, room=rooms(place)[1], note="Brings her sister")

    assert (visit.status, visit.starts_at, visit.ends_at) == ("booked", TEN, TEN + timedelta(minutes=105))
    assert (visit.room, visit.device, visit.course, visit.note) == (rooms(place)[1], laser, course, "Brings her sister")
    assert sorted(claims(visit)) == [
        ("Bo Lindqvist", utc("2026-11-24T11:00"), utc("2026-11-24T11:30")),
        ("Room 2", utc("2026-11-24T10:00"), utc("2026-11-24T11:45")),
        ("Solta Fraxel re:store", utc("2026-11-24T11:00"), utc("2026-11-24T11:30")),
    ]
    assert (visit.override_reason, visit.overrides, visit.version, visit.plan_revision) == ("", [], 1, 1)
    event = AuditEvent.objects.get(action="appointment.booked")
    assert (event.subject_id, event.patient_ref, event.actor_name) == (str(visit.ref), ana.ref, "test")


def test_the_same_form_twice_is_one_visit(place, bo, ana):
    first = book(ana, bo, TEN, form_key=REF)
    second = book(ana, bo, TEN, form_key=REF)

    assert first == second
    assert Appointment.objects.count() == 1
    assert Claim.objects.count() == 2


def test_the_first_free_room_is_taken(place, bo, ana, ben):
    other = make_practitioner("Ida Moss", place)

    first, second = book(ana, bo, TEN), book(ben, other, TEN)

    assert [first.room.name, second.room.name] == ["Room 1", "Room 2"]


def test_a_closed_room_is_passed_over(place, bo, ana):
    Absence.objects.create(
        resource=rooms(place)[0].resource, starts_at=TEN, ends_at=TEN + timedelta(hours=1), reason="Paint"
    )

    assert book(ana, bo, TEN).room.name == "Room 2"


def test_an_overdue_laser_is_passed_over(place, bo, ana):
    make_device(place, make="Alma", serial="a", service_due_on=date(2026, 11, 23))
    good = make_device(place, make="Solta", serial="b")

    assert book(ana, bo, TEN, "treatment_nafl", course=make_course(ana)).device == good


def test_a_taken_slot_names_what_is_taken_and_the_next_free_times(place, bo, ana, ben):
    book(ana, bo, TEN)

    with pytest.raises(SlotTaken) as refused:
        book(ben, bo, TEN + timedelta(minutes=15))

    assert refused.value.for_people == "Bo Lindqvist has just been taken for 10:15."
    assert refused.value.field == "starts_at"
    assert [start.starts_at for start in refused.value.next_free] == [
        utc("2026-11-24T10:30") + timedelta(minutes=15 * each) for each in range(6)
    ]
    assert Appointment.objects.count() == 1


def test_when_both_rooms_are_taken_the_third_booking_is_refused(place, bo, ana, ben):
    for person, patient in (("Ida Moss", ana), ("Udo Wall", ben)):
        book(patient, make_practitioner(person, place), TEN)

    with pytest.raises(SlotTaken, match=r"Room 1 has just been taken for 10:00\."):
        book(make_patient(place, "Cy", "Lee"), bo, TEN)


@pytest.mark.parametrize("shift", [-29, -15, 0, 15, 29])
def test_neither_clinician_nor_room_is_booked_twice(place, bo, ana, ben, shift):
    """The same clinician in two rooms, or the same room for two clinicians."""
    first, second = rooms(place)
    book(ana, bo, TEN, room=first)

    with pytest.raises(SlotTaken):
        book(ben, bo, TEN + timedelta(minutes=shift), room=second)
    with pytest.raises(SlotTaken):
        book(ben, make_practitioner("Ida Moss", place), TEN + timedelta(minutes=shift), room=first)

    assert Claim.objects.filter(active=True).count() == 2


def test_clean_up_keeps_the_room_but_not_the_clinician(place, bo, ana, ben, laser):
    first, second = rooms(place)
    book(ana, bo, TEN, "treatment_nafl", course=make_course(ana), room=first)  # work ends 11:30, room free 11:45

    with pytest.raises(SlotTaken, match=r"Room 1 has just been taken for 11:30\."):
        book(ben, bo, utc("2026-11-24T11:30"), room=first)

    assert book(ben, bo, utc("2026-11-24T11:30"), room=second).pk


def test_while_cream_numbs_the_clinician_sees_somebody_else(place, bo, ana, ben, laser):
    book(ana, bo, TEN, "treatment_nafl", course=make_course(ana), room=rooms(place)[0])

    assert book(ben, bo, TEN, room=rooms(place)[1]).pk


def test_one_laser_cannot_be_in_two_rooms(place, bo, ana, ben, laser):
    book(ana, bo, TEN, "treatment_nafl", course=make_course(ana))

    with pytest.raises(SlotTaken, match=r"Solta Fraxel re:store has just been taken for 10:15\."):
        book(
            ben,
            make_practitioner("Ida Moss", place),
            TEN + timedelta(minutes=15),
            "treatment_nafl",
            course=make_course(ben),
        )


def test_the_constraint_refuses_what_slipped_past_the_check(place, bo, ana):
    visit = book(ana, bo, TEN)

    with pytest.raises(Exception, match="claim_no_overlap"):
        Claim.objects.create(
            appointment=visit, resource=bo.resource, period=(TEN + timedelta(minutes=10), TEN + timedelta(minutes=20))
        )


# --- gates ------------------------------------------------------------------------------------------------------


def refuse_treatment(ana, bo, **fields):
    with pytest.raises(Refused) as refused:
        book(ana, bo, fields.pop("starts_at", TEN), fields.pop("type", "treatment_nafl"), **fields)
    assert not Appointment.objects.exists()
    assert not Claim.objects.exists()
    return refused.value


def test_a_treatment_needs_a_course(place, bo, ana, laser):
    assert type(refuse_treatment(ana, bo)) is NotCleared


def test_a_course_of_somebody_else_does_not_count(place, bo, ana, ben, laser):
    assert type(refuse_treatment(ana, bo, course=make_course(ben))) is NotCleared


@pytest.mark.parametrize("kind", ["defer", "decline", "refer", "test_spot_first"])
def test_a_treatment_needs_a_decision_that_allows_it(place, bo, ana, laser, kind):
    assert type(refuse_treatment(ana, bo, course=make_course(ana, make_decision(ana, kind=kind)))) is NotCleared


def test_a_withdrawn_decision_allows_nothing(place, bo, ana, laser):
    decision = make_decision(ana, status="withdrawn", withdrawn_at=NOW, withdrawn_reason="New answers")

    assert type(refuse_treatment(ana, bo, course=make_course(ana, decision))) is NotCleared


def test_test_spot_first_allows_the_test_spot(place, bo, ana, laser):
    course = make_course(ana, make_decision(ana, kind="test_spot_first"))

    assert book(ana, bo, TEN, "test_spot_nafl", course=course).status == "booked"


def test_a_course_has_room_for_its_sessions_only(place, bo, ana, laser):
    course = make_course(ana, sessions_planned=1)
    book(ana, bo, TEN, "treatment_nafl", course=course)

    with pytest.raises(NotCleared, match="All 1 sessions of the course are done or booked"):
        book(ana, bo, TEN + timedelta(days=35), "treatment_nafl", course=course)


def test_a_practitioner_treats_only_what_they_are_authorised_for(place, ana, laser):
    ida = make_practitioner("Ida Moss", place, modalities=["afl_co2"])

    assert type(refuse_treatment(ana, ida, course=make_course(ana))) is NotAuthorised


def test_a_decision_says_not_before(place, bo, ana, laser):
    course = make_course(ana, make_decision(ana, earliest_on=date(2026, 11, 25)))

    refused = refuse_treatment(ana, bo, course=course)

    assert type(refused) is TooEarly
    assert refused.for_people == (
        "The earliest date is 25 November 2026: the clinician's decision says not before 25 November 2026."
    )
    assert refused.earliest_on == date(2026, 11, 25)
    assert book(ana, bo, TEN + timedelta(days=1), "treatment_nafl", course=course).pk


def test_the_interval_counts_from_the_completed_session(place, bo, ana, laser):
    course = make_course(ana, last_treated_at=utc("2026-10-28T17:00"), sessions_done=1)

    assert type(refuse_treatment(ana, bo, course=course)) is TooEarly
    assert book(ana, bo, TEN + timedelta(days=1), "treatment_nafl", course=course).pk


def test_an_ablative_treatment_holds_back_the_gentle_laser_too(place, bo, ana, laser):
    make_course(ana, modality="afl_co2", last_treated_at=utc("2026-10-01T17:00"), status="completed")

    refused = refuse_treatment(ana, bo, course=make_course(ana))

    assert refused.earliest_on == date(2026, 11, 26)


def test_two_booked_treatments_keep_their_distance(place, bo, ana, laser):
    course = make_course(ana)
    book(ana, bo, TEN, "treatment_nafl", course=course)

    with pytest.raises(
        TooEarly, match="Another treatment is booked for 24 November 2026, and 28 days must lie between"
    ):
        book(ana, bo, TEN + timedelta(days=27), "treatment_nafl", course=course)

    assert book(ana, bo, TEN + timedelta(days=28), "treatment_nafl", course=course).pk


def test_nobody_is_booked_outside_hours(place, bo, ana):
    for starts_at in (utc("2026-11-24T08:45"), utc("2026-11-24T17:45"), utc("2026-11-29T10:00")):
        with pytest.raises(OutsideHours):
            book(ana, bo, starts_at)

    OpeningHours.objects.filter(practitioner=bo, weekday=1).delete()
    with pytest.raises(OutsideHours, match="Bo Lindqvist does not work at Harley Street"):
        book(ana, bo, TEN)


def test_nobody_is_booked_while_away(place, bo, ana):
    Absence.objects.create(resource=bo.resource, starts_at=TEN, ends_at=TEN + timedelta(days=1), reason="Hospital")

    with pytest.raises(Away) as refused:
        book(ana, bo, TEN)

    assert refused.value.for_people == "Bo Lindqvist is not available then."  # why is nobody's business here


def test_no_booking_on_a_day_that_has_passed(place, bo, ana):
    with pytest.raises(TimeHasPassed):
        book(ana, bo, NOW - timedelta(days=2))


def test_a_patient_is_not_in_two_places(place, bo, ana):
    book(ana, bo, TEN)

    with pytest.raises(PatientBusy):
        book(ana, make_practitioner("Ida Moss", place), TEN)


def test_what_is_not_of_this_place_cannot_be_claimed(place, bo, ana):
    elsewhere = make_location("Pune", "Asia/Kolkata")

    with pytest.raises(NotHere):
        book(ana, bo, TEN, room=elsewhere.rooms.first())


def test_a_treatment_without_a_laser_in_the_house_is_refused(place, bo, ana):
    assert type(refuse_treatment(ana, bo, course=make_course(ana))) is DeviceUnavailable


def test_an_overdue_laser_needs_an_override(place, bo, ana):
    make_device(place, service_due_on=date(2026, 11, 23))

    assert type(refuse_treatment(ana, bo, course=make_course(ana))) is ServiceOverdue


def test_the_desk_cannot_set_a_rule_aside(place, bo, ana, laser):
    desk = Actor.staff(make_user("Pia Desk", Role.FRONT_DESK, location=place))
    course = make_course(ana, last_treated_at=utc("2026-11-20T17:00"), sessions_done=1)

    refused = refuse_treatment(ana, bo, course=course, by=desk, override_reason="She insists")

    assert type(refused) is OverrideRefused
    assert (
        type(refuse_treatment(ana, bo, course=course, by=BY, override_reason="A task cannot either")) is OverrideRefused
    )


def test_a_clinician_sets_a_rule_aside_with_a_reason_that_stays(place, bo, ana, laser):
    clinician = make_clinician("Eve Ash", place)
    course = make_course(ana, last_treated_at=utc("2026-10-30T17:00"), sessions_done=1)

    visit = book(
        ana, bo, TEN, "treatment_nafl", course=course, by=Actor.staff(clinician), override_reason="Healed early"
    )

    rule = "The earliest date is 27 November 2026: nafl_1550 was on 30 October 2026, and 28 days must lie between."
    assert (visit.override_reason, visit.override_by) == ("Healed early", clinician)
    assert [each.partition(": ")[0] for each in visit.overrides] == [rule.partition(": ")[0]]
    assert AuditEvent.objects.get(action="appointment.booked").detail["overridden"] == visit.overrides


def test_a_reason_without_a_rule_to_set_aside_is_not_an_override(place, bo, ana):
    visit = book(ana, bo, TEN, override_reason="Just in case")

    assert (visit.override_reason, visit.override_by, visit.overrides) == ("", None, [])


def test_no_reason_sets_aside_a_missing_decision(place, bo, ana, laser):
    clinician = Actor.staff(make_clinician("Eve Ash", place))

    assert type(refuse_treatment(ana, bo, by=clinician, override_reason="Trust me")) is NotCleared


# --- moving -----------------------------------------------------------------------------------------------------


def move(visit, starts_at, version=None, by=BY, at=NOW, **fields):
    return move_appointment(
        appointment=visit, starts_at=starts_at, expected_version=version or visit.version, by=by, at=at, **fields
    )


def test_moving_replaces_the_claims_and_says_so(place, bo, ana):
    visit = book(ana, bo, TEN)

    moved = move(visit, TEN + timedelta(hours=2))

    fresh = moved.appointment
    assert (fresh.starts_at, fresh.ends_at) == (TEN + timedelta(hours=2), TEN + timedelta(hours=2, minutes=30))
    assert (fresh.version, fresh.plan_revision, fresh.moved_at, fresh.changed_by_name) == (2, 2, NOW, "test")
    assert claims(fresh) == [
        ("Room 1", utc("2026-11-24T12:00"), utc("2026-11-24T12:30")),
        ("Bo Lindqvist", utc("2026-11-24T12:00"), utc("2026-11-24T12:30")),
    ]
    assert moved.sentence.startswith("Moved to Tuesday 24 November, 12:00 with Bo Lindqvist. ")
    event = AuditEvent.objects.get(action="appointment.moved")
    assert event.detail["was"] == "2026-11-24T10:00:00+00:00"
    assert visit.starts_at == TEN  # the row passed in is left alone


def test_a_visit_may_be_moved_onto_its_own_time(place, bo, ana):
    visit = book(ana, bo, TEN)

    assert move(visit, TEN + timedelta(minutes=15)).appointment.starts_at == TEN + timedelta(minutes=15)


def test_a_move_onto_somebody_else_is_refused_and_changes_nothing(place, bo, ana, ben):
    visit = book(ana, bo, TEN)
    book(ben, bo, TEN + timedelta(hours=1))

    with pytest.raises(SlotTaken) as refused:
        move(visit, TEN + timedelta(hours=1))

    assert refused.value.next_free[0].starts_at == utc("2026-11-24T11:30")
    visit.refresh_from_db()
    assert (visit.starts_at, visit.version) == (TEN, 1)
    assert {each[1] for each in claims(visit)} == {TEN}


def test_a_move_keeps_its_room_where_it_can_and_takes_another_where_it_cannot(place, bo, ana, ben):
    first, second = rooms(place)
    visit = book(ana, bo, TEN, room=second)
    book(ben, make_practitioner("Ida Moss", place), TEN + timedelta(hours=1), room=second)

    assert move(visit, TEN + timedelta(hours=2)).appointment.room == second
    visit.refresh_from_db()
    assert move(visit, TEN + timedelta(hours=1)).appointment.room == first


def test_a_named_room_that_is_taken_is_not_swapped_silently(place, bo, ana, ben):
    first, _ = rooms(place)
    visit = book(ana, bo, TEN, room=first)
    book(ben, make_practitioner("Ida Moss", place), TEN + timedelta(hours=1), room=first)

    with pytest.raises(SlotTaken, match="Room 1"):
        move(visit, TEN + timedelta(hours=1), room=first)


def test_a_visit_moves_to_another_practitioner(place, bo, ana):
    ida = make_practitioner("Ida Moss", place)
    visit = book(ana, bo, TEN)

    fresh = move(visit, TEN, practitioner=ida).appointment

    assert (fresh.practitioner, sorted(each[0] for each in claims(fresh))) == (ida, ["Ida Moss", "Room 1"])


def test_a_stale_page_is_told_who_changed_the_visit_and_when(place, bo, ana):
    visit = book(ana, bo, TEN)
    move(visit, TEN + timedelta(hours=1), by=Actor.task("Pia"), at=utc("2026-11-23T10:05"))

    with pytest.raises(StaleVersion) as refused:
        move(visit, TEN + timedelta(hours=2), version=1)

    assert refused.value.for_people == (
        "Pia changed this visit at 10:05. Please look at it again before you change it."
    )
    assert (refused.value.who, refused.value.when) == ("Pia", utc("2026-11-23T10:05"))


def test_the_same_gates_bind_a_move(place, bo, ana, laser):
    course = make_course(ana, make_decision(ana, earliest_on=date(2026, 11, 24)))
    visit = book(ana, bo, TEN, "treatment_nafl", course=course)

    with pytest.raises(TooEarly):
        move(visit, TEN - timedelta(days=1) + timedelta(hours=1))
    with pytest.raises(OutsideHours):
        move(visit, utc("2026-11-24T17:00"))


@pytest.mark.parametrize("act", [cancel_appointment, mark_arrived, mark_noshow])
def test_only_a_booked_visit_can_be_moved(place, bo, ana, act):
    visit = book(ana, bo, TEN)
    more = {"reason": "patient"} if act is cancel_appointment else {}
    visit = act(appointment=visit, by=BY, at=TEN, **more)

    with pytest.raises(IllegalMove):
        move(visit, TEN + timedelta(hours=1))


# --- keeping ----------------------------------------------------------------------------------------------------


def test_cancelling_frees_the_slot_once(place, bo, ana, ben):
    visit = book(ana, bo, TEN)

    visit = cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW)

    assert (visit.status, visit.cancel_reason, visit.version, claims(visit)) == ("cancelled", "patient", 2, [])
    assert book(ben, bo, TEN).status == "booked"
    with pytest.raises(IllegalMove, match="already “cancelled”"):
        cancel_appointment(appointment=visit, reason="patient", by=BY, at=NOW)


def test_a_cancellation_says_why(place, bo, ana):
    visit = book(ana, bo, TEN)

    with pytest.raises(ValueError, match="felt like it"):
        cancel_appointment(appointment=visit, reason="felt like it", by=BY, at=NOW)


def test_arriving_and_taking_it_back(place, bo, ana):
    visit = book(ana, bo, TEN)

    arrived = mark_arrived(appointment=visit, by=BY, at=TEN)
    back = undo_status(appointment=arrived, by=BY, at=TEN)

    assert (arrived.status, arrived.arrived_at) == ("arrived", TEN)
    assert (back.status, back.arrived_at, back.version, len(claims(back))) == ("booked", None, 3, 2)


def test_nobody_arrives_on_an_earlier_day(place, bo, ana):
    visit = book(ana, bo, TEN)

    with pytest.raises(NotYet):
        mark_arrived(appointment=visit, by=BY, at=utc("2026-11-23T23:59"))

    assert mark_arrived(appointment=visit, by=BY, at=utc("2026-11-24T00:01")).status == "arrived"


def test_a_no_show_gives_the_time_away_and_gets_it_back_while_it_is_free(place, bo, ana, ben):
    visit = book(ana, bo, TEN)
    with pytest.raises(NotYet, match="begins at 10:00"):
        mark_noshow(appointment=visit, by=BY, at=TEN - timedelta(seconds=1))

    visit = mark_noshow(appointment=visit, by=BY, at=TEN + timedelta(minutes=10))
    assert (visit.status, claims(visit)) == ("noshow", [])
    visit = undo_status(appointment=visit, by=BY, at=TEN + timedelta(minutes=11))
    assert (visit.status, len(claims(visit))) == ("booked", 2)

    visit = mark_noshow(appointment=visit, by=BY, at=TEN + timedelta(minutes=12))
    book(ben, bo, TEN + timedelta(minutes=15))
    with pytest.raises(SlotTaken, match="Somebody else has that time now") as refused:
        undo_status(appointment=visit, by=BY, at=TEN + timedelta(minutes=13))
    assert refused.value.next_free[0].starts_at == TEN + timedelta(minutes=45)


def test_only_who_arrived_can_be_done(place, bo, ana):
    visit = book(ana, bo, TEN)
    with pytest.raises(IllegalMove):
        mark_fulfilled(appointment=visit, by=BY, at=TEN)

    visit = mark_fulfilled(appointment=mark_arrived(appointment=visit, by=BY, at=TEN), by=BY, at=TEN)

    assert (visit.status, len(claims(visit))) == ("fulfilled", 2)
    with pytest.raises(IllegalMove):
        undo_status(appointment=visit, by=BY, at=TEN)


def test_an_error_holds_nothing_and_stays_on_record(place, bo, ana):
    visit = enter_in_error(appointment=book(ana, bo, TEN), reason="Wrong Ana", by=BY, at=NOW)

    assert (visit.status, claims(visit)) == ("entered-in-error", [])
    assert AuditEvent.objects.get(action="appointment.entered-in-error").detail["reason"] == "Wrong Ana"


# --- whole or not at all ----------------------------------------------------------------------------------------


@pytest.fixture
def broken_messages():
    """The last thing a booking writes is its messages: let the database refuse those."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER broken BEFORE INSERT OR UPDATE ON patients_message EXECUTE FUNCTION afterglow_refuse()"
        )


def test_a_booking_whose_last_write_fails_leaves_nothing(place, bo, ana, broken_messages):
    with pytest.raises(Exception, match="refused"):
        book(ana, bo, TEN)

    assert (Appointment.objects.count(), Claim.objects.count(), AuditEvent.objects.count()) == (0, 0, 0)


def test_a_room_of_ones_own(place, bo, ana):
    """Types that need no room claim none."""
    video = get_type("review")
    video.needs_room = False
    video.save()
    make_room(place, "Room 3")

    visit = book_appointment(
        patient=ana,
        type=video,
        location=place,
        practitioner=bo,
        starts_at=TEN,
        form_key=REF,
        by=BY,
        at=NOW,
    )

    assert [each[0] for each in claims(visit)] == ["Bo Lindqvist"]
