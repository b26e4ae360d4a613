"""A clinician is unwell, a laser is down, the place is closed: each visit is found another place, by its own act."""

from datetime import date, time, timedelta

import pytest
from django.db import IntegrityError, transaction

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.premises.models import Absence, DatedHours
from clinic.premises.states import HoursRefused
from clinic.staff.models import Practitioner, User
from clinic.staff.states import Role
from clinic.worklist.actions import finish_task
from clinic.worklist.models import Task
from patients.messaging.holds import objections_to
from patients.messaging.models import Message
from tests.factories.people import NOW, make_device, make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import BY, book, make_course, utc
from tests.treatments.booking.test_booking_races import together
from treatments.booking.actions import cancel_appointment, mark_arrived, move_appointment, propose_appointment
from treatments.booking.forms import parse_start
from treatments.booking.models import Appointment
from treatments.booking.states import OutsideHours
from treatments.disruption.actions import change_hours, end_disruption, note_disruption, rearrange
from treatments.disruption.models import Disruption, DisruptionResult
from treatments.disruption.queries import affected, in_a_sentence, preview, settled, special_days
from treatments.disruption.states import Choice, DisruptionOver, What
from treatments.waitlist.actions import accept_offer, decline_offer
from treatments.waitlist.models import WaitlistOffer

pytestmark = pytest.mark.django_db

TUESDAY = date(2026, 11, 24)
MORNING, EVENING = utc("2026-11-24T00:00"), utc("2026-11-25T00:00")
TEN = utc("2026-11-24T10:00")
KIM = Actor.command("Kim")


@pytest.fixture
def desk(place):
    return make_user("Dina Desk", Role.FRONT_DESK, location=place)


def out(place, resource, what=What.PRACTITIONER, starts_at=MORNING, ends_at=EVENING, at=NOW):
    return note_disruption(
        what=what,
        location=place,
        resource=resource,
        starts_at=starts_at,
        ends_at=ends_at,
        reason="Unwell",
        by=BY,
        at=at,
    )


def a_course(place, **fields):
    """A course that somebody decided who sees no patients here."""
    course = make_course(make_patient(place), **fields)
    Practitioner.objects.filter(name="Dr Decider").update(is_active=False)
    return course


def do(disruption, visit, value, version=None, at=NOW, by=BY):
    """What the page does with the value of its list."""
    kind, _tilde, rest = value.partition("~")
    start = parse_start(rest) if kind == "offer" else None
    ref = start[1] if start else rest
    return rearrange(
        disruption=disruption,
        appointment=visit,
        choice=Choice(kind),
        expected_version=version or visit.version,
        starts_at=start[0] if start else None,
        practitioner=Practitioner.objects.get(ref=ref) if rest else None,
        by=by,
        at=at,
    )


def chosen(disruption, user, at=NOW):
    return [(line.visit, line.chosen) for line in preview(disruption, user, at)]


# --- who is hit ---------------------------------------------------------------------------------------------------


def test_nothing_is_changed_and_nothing_new_is_booked(place, bo, desk):
    visit = book(make_patient(place), bo, TEN)

    disruption = out(place, bo.resource)

    assert affected(disruption, desk, NOW) == [visit]
    visit.refresh_from_db()
    assert (visit.status, visit.starts_at, visit.version) == ("booked", TEN, 1)
    assert Absence.objects.get().resource == bo.resource
    assert AuditEvent.objects.get(action="disruption.noted").detail["thing"] == "Bo Lindqvist"


def test_the_soonest_is_listed_first_and_who_is_not_hit_is_not(place, bo, desk):
    ida = make_practitioner("Ida Moss", place)
    late = book(make_patient(place, "Late"), bo, TEN + timedelta(hours=4))
    soon = book(make_patient(place, "Soon"), bo, TEN)
    book(make_patient(place, "Other"), ida, TEN)
    book(make_patient(place, "Tomorrow"), bo, TEN + timedelta(days=1))
    off = book(make_patient(place, "Off"), bo, TEN + timedelta(hours=2))
    cancel_appointment(appointment=off, reason="patient", by=BY, at=NOW)

    assert affected(out(place, bo.resource), desk, NOW) == [soon, late]


def test_a_visit_that_only_needs_the_laser_later_is_hit_when_the_laser_is(place, bo, desk):
    laser = make_device(place)
    course = make_course(make_patient(place))
    visit = book(course.patient, bo, TEN, "treatment_nafl", course=course)

    numbing = out(place, laser.resource, What.DEVICE, TEN, TEN + timedelta(minutes=60))
    work = out(place, laser.resource, What.DEVICE, TEN + timedelta(minutes=60), TEN + timedelta(minutes=90))

    assert affected(numbing, desk, NOW) == []
    assert affected(work, desk, NOW) == [visit]


def test_a_closed_afternoon_leaves_the_morning_alone(place, bo, desk):
    book(make_patient(place, "Early"), bo, TEN)
    later = book(make_patient(place, "Later"), bo, TEN + timedelta(hours=5))
    across = book(make_patient(place, "Across"), bo, TEN + timedelta(hours=3, minutes=45))

    disruption = out(place, None, What.LOCATION, utc("2026-11-24T14:00"), utc("2026-11-24T17:00"))

    assert affected(disruption, desk, NOW) == [across, later]
    assert [(row.opens, row.closes) for row in DatedHours.objects.order_by("opens")] == [
        (time(9), time(14)),
        (time(17), time(18)),
    ]
    with pytest.raises(OutsideHours):
        book(make_patient(place, "New"), bo, utc("2026-11-24T16:00"))


def test_who_works_for_once_that_day_still_does_when_part_of_it_is_closed(place, desk):
    kim = make_practitioner("Kim", make_location("Lisbon"))
    sunday = date(2026, 11, 29)
    change_hours(
        location=place, first=sunday, last=sunday, spans=[(time(9), time(17))], people=[kim], reason="x", by=BY, at=NOW
    )
    out(place, None, What.LOCATION, utc("2026-11-29T13:00"), utc("2026-11-29T18:00"))

    assert book(make_patient(place), kim, utc("2026-11-29T10:00")).pk


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "sentence"),
    [
        (EVENING, MORNING, "The end comes after the beginning."),
        (NOW - timedelta(days=2), NOW - timedelta(days=1), "That time has passed."),
    ],
)
def test_a_period_that_cannot_be_is_refused(place, bo, starts_at, ends_at, sentence):
    with pytest.raises(HoursRefused, match=sentence):
        out(place, bo.resource, starts_at=starts_at, ends_at=ends_at)

    assert not Disruption.objects.exists()
    assert not Absence.objects.exists()


# --- what could be done -------------------------------------------------------------------------------------------


def test_one_colleague_is_promised_to_one_visit_only(place, bo, desk):
    """Two of Bo's visits overlap by a quarter; Ida can take the first. The other is offered the next time."""
    ida = make_practitioner("Ida Moss", place)
    first = book(make_patient(place, "First"), bo, TEN)
    book(make_patient(place, "Hers"), ida, TEN + timedelta(minutes=30))
    second = book(make_patient(place, "Second"), bo, TEN + timedelta(minutes=30))

    found = chosen(out(place, bo.resource), desk)

    assert found[0] == (first, f"move~{ida.ref}")
    assert found[1][0] == second
    assert found[1][1].startswith("offer~2026-11-24T")
    assert found[1][1].endswith(f"~{ida.ref}")


def test_a_full_day_finds_each_visit_a_time_of_its_own(place, bo, desk):
    """What was promised to the visits before counted as tried: after a morning of them nothing more was found."""
    visits = [book(make_patient(place, f"Guest {n}"), bo, TEN + timedelta(hours=n - 1)) for n in range(8)]

    lines = preview(out(place, bo.resource), desk, NOW)

    times = [parse_start(line.chosen.partition("~")[2])[0] for line in lines if line.chosen.startswith("offer")]
    assert [line.visit for line in lines] == visits
    assert len(times) == 8
    ends = [time + timedelta(minutes=30) for time in times]
    assert all(end <= begin for end, begin in zip(ends, times[1:], strict=False))


def test_who_may_not_treat_with_the_laser_is_not_proposed(place, bo, desk):
    make_device(place)
    make_practitioner("New", place, modalities=["nafl_1927"])
    course = a_course(place)
    book(course.patient, bo, TEN, "treatment_nafl", course=course)

    (line,) = preview(out(place, bo.resource), desk, NOW)

    assert [option.value.partition("~")[0] for option in line.options] == [
        "offer",
        "offer",
        "offer",
        "call",
        "cancel",
        "leave",
    ]
    assert all(str(bo.ref) in option.value for option in line.options[:3])
    assert line.options[0].value.startswith("offer~2026-11-25T")


def test_who_is_here_already_is_left_to_people(place, bo, desk):
    at = TEN - timedelta(minutes=5)
    visit = mark_arrived(appointment=book(make_patient(place), bo, TEN), by=BY, at=at)

    (line,) = preview(out(place, bo.resource, at=at), desk, at)

    assert (line.visit, line.chosen, line.note) == (visit, "leave", "The patient is here already.")


# --- doing it -----------------------------------------------------------------------------------------------------


def test_all_in_one_pass_each_its_own_way(place, bo, desk):
    ida = make_practitioner("Ida Moss", place)
    stays = book(make_patient(place, "Stays"), bo, TEN)
    asked = book(make_patient(place, "Asked"), bo, TEN + timedelta(hours=1))
    book(make_patient(place, "Hers"), ida, TEN + timedelta(hours=1))
    off = book(make_patient(place, "Off"), bo, TEN + timedelta(hours=2))
    rung = book(make_patient(place, "Rung"), bo, TEN + timedelta(hours=3))
    disruption = out(place, bo.resource)
    lines = {line.visit: line for line in preview(disruption, desk, NOW)}

    do(disruption, stays, lines[stays].chosen)
    do(disruption, asked, lines[asked].chosen)
    do(disruption, off, "cancel")
    do(disruption, rung, "call")

    for each in (stays, asked, off, rung):
        each.refresh_from_db()
    assert (stays.practitioner, stays.starts_at, stays.status) == (ida, TEN, "booked")
    assert [asked.status, off.status, rung.status] == ["cancelled", "cancelled", "booked"]
    offer = WaitlistOffer.objects.get()
    assert (offer.entry.patient, offer.appointment.status) == (asked.patient, "proposed")
    assert Task.objects.get().title == "Ring Rung Reyes: the visit on Tue 24 Nov, 13:00 cannot be as booked"
    left = preview(disruption, desk, NOW)
    assert [(line.visit, line.chosen) for line in left] == [(rung, "leave")]
    done = settled(disruption, left)
    assert in_a_sentence(done, left) == "4 visits: 1 reassigned, 1 offered another time, 1 to call, 1 cancelled"


def test_nobody_is_reminded_of_a_visit_in_doubt_until_the_desk_has_rung(place, bo, desk):
    rung, other = (book(make_patient(place, name), bo, TEN + timedelta(hours=hour)) for hour, name in enumerate("RO"))
    disruption = out(place, bo.resource)

    def against(visit, template="reminder"):
        message = Message(pk=1, template=template, purpose="visit", about=visit.about, patient=visit.patient)
        found = objections_to([message], NOW).get(1)
        return found and (found.reason, found.for_good)

    assert against(rung) is None
    do(disruption, rung, "call")

    assert against(rung) == ("The visit is in doubt: held until the desk has rung the patient.", False)
    assert [against(other), against(rung, "visit_cancelled"), against(rung, "visit_corrected")] == [None, None, None]
    call = Task.objects.get()
    Appointment.objects.filter(pk=rung.pk).update(moved_at=call.created_at + timedelta(minutes=1))
    assert against(rung) is None
    Appointment.objects.filter(pk=rung.pk).update(moved_at=call.created_at - timedelta(days=1))
    assert against(rung) is not None

    finish_task(task=call, outcome="She comes another day", by=Actor.staff(desk), at=NOW)
    assert against(rung) is None


def test_the_offer_says_that_the_visit_is_off_and_no_second_message_does(place, bo, desk):
    ana = make_patient(place)
    visit = book(ana, bo, TEN + timedelta(days=2))
    Message.objects.filter(about=visit.about, template="booking_confirmation").update(
        status="sent", sent_at=NOW, handed_at=NOW
    )
    day = utc("2026-11-26T00:00")
    disruption = out(place, bo.resource, starts_at=day, ends_at=day + timedelta(days=1))
    value = chosen(disruption, desk)[0][1]

    do(disruption, visit, value)

    offer = WaitlistOffer.objects.get()
    told = Message.objects.get(about=offer.about)
    assert (told.template, told.context["old_when"], told.is_important) == (
        "new_time",
        "Thursday 26 November, 10:00",
        True,
    )
    assert told.due_at == NOW + timedelta(minutes=3)
    about_visit = Message.objects.filter(about=visit.about).exclude(status="sent")
    assert {row.status for row in about_visit} <= {"superseded", "skipped"}


def test_whoever_takes_the_offered_time_has_it_and_whoever_does_not_goes_on_waiting(place, bo, desk):
    takes, leaves = make_patient(place, "Takes"), make_patient(place, "Leaves")
    first, second = book(takes, bo, TEN), book(leaves, bo, TEN + timedelta(hours=1))
    disruption = out(place, bo.resource)
    for visit, value in chosen(disruption, desk):
        do(disruption, visit, value)

    accept_offer(offer=WaitlistOffer.objects.get(entry__patient=takes), by=BY, at=NOW)
    decline_offer(offer=WaitlistOffer.objects.get(entry__patient=leaves), by=BY, at=NOW)

    assert [each.status for each in Appointment.objects.filter(patient=takes).order_by("pk")] == ["cancelled", "booked"]
    assert [each.status for each in Appointment.objects.filter(patient=leaves).order_by("pk")] == [
        "cancelled",
        "cancelled",
    ]
    assert leaves.waits.get().status == "waiting"
    assert {first.pk, second.pk} == set(DisruptionResult.objects.values_list("appointment", flat=True))


def test_a_treatment_goes_to_another_laser_by_the_same_act(place, bo, desk):
    broken, other = make_device(place), make_device(place, serial="second", model="Fraxel two")
    course = make_course(make_patient(place))
    visit = book(course.patient, bo, TEN, "treatment_nafl", course=course)
    assert visit.device == broken
    disruption = out(place, broken.resource, What.DEVICE)
    ((_, value),) = chosen(disruption, desk)

    result = do(disruption, visit, value)

    visit.refresh_from_db()
    assert (visit.device, visit.practitioner, visit.starts_at) == (other, bo, TEN)
    assert result.sentence.startswith("Same time, now with Bo Lindqvist, Room 1, Solta Fraxel two.")


def test_a_treatment_is_offered_another_day_although_it_is_the_courses_last(place, bo, desk):
    """The visit that cannot be does not stand in the way of the one that takes its place."""
    make_device(place)
    course = a_course(place, sessions_planned=1)
    visit = book(course.patient, bo, TEN, "treatment_nafl", course=course)
    disruption = out(place, bo.resource)
    ((_, value),) = chosen(disruption, desk)

    assert do(disruption, visit, value).outcome == "offered"
    assert WaitlistOffer.objects.get().appointment.course == course


def test_a_held_time_is_given_back_and_its_patient_goes_on_waiting(place, bo, desk):
    held = propose_appointment(
        patient=make_patient(place),
        type=book(make_patient(place, "x"), bo, TEN + timedelta(hours=3)).type,
        location=place,
        practitioner=bo,
        starts_at=TEN,
        form_key="00000000-0000-0000-0000-00000000000a",
        by=BY,
        at=NOW,
    )
    disruption = out(place, bo.resource)
    line = preview(disruption, desk, NOW)[0]
    assert (line.visit, line.chosen) == (held, "give_back")

    do(disruption, held, "give_back")

    held.refresh_from_db()
    assert held.status == "cancelled"


# --- refused alone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["move", "cancel", "offer"])
def test_a_visit_that_another_desk_moved_meanwhile_is_refused_alone_with_who_and_when(place, bo, desk, value):
    ida = make_practitioner("Ida Moss", place)
    stale, fine = book(make_patient(place, "A"), bo, TEN), book(make_patient(place, "B"), bo, TEN + timedelta(hours=2))
    disruption = out(place, bo.resource)
    lines = {line.visit: line for line in preview(disruption, desk, NOW)}
    values = {
        "move": lines[stale].chosen,
        "cancel": "cancel",
        "offer": f"offer~{(TEN + timedelta(days=1)).isoformat()}~{ida.ref}",
    }
    move_appointment(
        appointment=stale,
        starts_at=TEN + timedelta(hours=4),
        practitioner=ida,
        expected_version=1,
        by=KIM,
        at=NOW + timedelta(minutes=1),
    )

    refused = do(disruption, stale, values[value], version=1)
    moved = do(disruption, fine, lines[fine].chosen)

    assert (refused.outcome, refused.sentence) == (
        "failed",
        "Kim changed this visit at 10:01. Please look at it again before you change it.",
    )
    assert moved.outcome == "moved"
    stale.refresh_from_db()
    assert (stale.status, stale.starts_at, stale.practitioner) == ("booked", TEN + timedelta(hours=4), ida)
    assert not WaitlistOffer.objects.exists()
    assert AuditEvent.objects.filter(action="disruption.failed").count() == 1


def test_a_time_that_was_taken_meanwhile_leaves_the_visit_as_it_was(place, bo, desk):
    visit = book(make_patient(place), bo, TEN)
    disruption = out(place, bo.resource)
    value = chosen(disruption, desk)[0][1]
    at = utc(value.split("~")[1][:16])
    book(make_patient(place, "Quick"), bo, at)

    refused = do(disruption, visit, value)

    visit.refresh_from_db()
    assert (refused.outcome, visit.status) == ("failed", "booked")
    assert refused.sentence.startswith("Bo Lindqvist has just been taken")
    assert (visit.claims.filter(active=True).count(), WaitlistOffer.objects.count()) == (2, 0)
    (line,) = preview(disruption, desk, NOW)
    assert (line.last, line.visit) == (refused, visit)


def test_reassigning_to_a_foreign_clinician_that_fails_half_way_saves_nothing(place, bo, desk, monkeypatch):
    """The message plan breaks after row, claims and audit are written: the visit stands as before."""
    ida = make_practitioner("Ida Moss", place)
    visit = book(make_patient(place), bo, TEN)
    disruption = out(place, bo.resource)
    audits = AuditEvent.objects.count()
    stranger = make_practitioner("Stranger", make_location("Lisbon"))

    refused = do(disruption, visit, f"move~{stranger.ref}")
    assert (refused.outcome, refused.sentence) == (
        "failed",
        "Stranger does not work at Harley Street for all of that time.",
    )

    def broken(*_args, **_kwargs):
        raise RuntimeError("the power is out")

    monkeypatch.setattr("treatments.booking.actions.reconcile_visit", broken)
    with pytest.raises(RuntimeError):
        do(disruption, visit, f"move~{ida.ref}")

    visit.refresh_from_db()
    assert (visit.practitioner, visit.version, visit.claims.count()) == (bo, 1, 2)
    assert {each.resource.practitioner for each in visit.claims.all()} == {bo, None}
    assert AuditEvent.objects.count() == audits + 1  # the refusal that is told; nothing of the one that broke
    assert DisruptionResult.objects.count() == 1


def test_what_became_of_a_visit_is_written_once(place, bo, desk):
    visit = book(make_patient(place), bo, TEN)
    result = do(out(place, bo.resource), visit, "cancel")

    for change in (lambda: DisruptionResult.objects.update(sentence="x"), result.delete):
        with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
            change()


# --- over ---------------------------------------------------------------------------------------------------------


def test_back_early_is_bookable_again_and_what_was_rearranged_stays(place, bo, desk):
    ida = make_practitioner("Ida Moss", place)
    visit = book(make_patient(place), bo, TEN)
    disruption = out(place, bo.resource)
    do(disruption, visit, chosen(disruption, desk)[0][1])

    end_disruption(disruption=disruption, by=BY, at=NOW)

    visit.refresh_from_db()
    assert visit.practitioner == ida
    assert not Absence.objects.exists()
    assert book(make_patient(place, "New"), bo, TEN).pk
    with pytest.raises(DisruptionOver):
        end_disruption(disruption=disruption, by=BY, at=NOW)


def test_a_place_that_opens_again_has_its_usual_hours(place, bo, desk):
    disruption = out(place, None, What.LOCATION)

    end_disruption(disruption=disruption, by=BY, at=NOW)

    assert not DatedHours.objects.exists()
    assert book(make_patient(place), bo, TEN).pk


# --- days that are not as usual -----------------------------------------------------------------------------------


def test_a_bank_holiday_that_hits_a_visit_leads_to_it(place, bo, desk):
    visit = book(make_patient(place), bo, TEN)

    hit = change_hours(location=place, first=TUESDAY, last=TUESDAY, spans=[], reason="Bank holiday", by=BY, at=NOW)
    spared = change_hours(
        location=place,
        first=TUESDAY + timedelta(days=1),
        last=TUESDAY + timedelta(days=3),
        spans=[],
        reason="Painting",
        by=BY,
        at=NOW,
    )

    assert spared is None
    assert affected(hit, desk, NOW) == [visit]
    visit.refresh_from_db()
    assert visit.status == "booked"
    assert [(each.first, each.last, each.hours, each.reason) for each in special_days(place, TUESDAY)] == [
        (TUESDAY, TUESDAY, (), "Bank holiday"),
        (TUESDAY + timedelta(days=1), TUESDAY + timedelta(days=3), (), "Painting"),
    ]


def test_shorter_hours_hit_only_what_no_longer_fits(place, bo, desk):
    book(make_patient(place, "Fits"), bo, TEN)
    late = book(make_patient(place, "Late"), bo, TEN + timedelta(hours=6))

    hit = change_hours(
        location=place, first=TUESDAY, last=TUESDAY, spans=[(time(9), time(13))], reason="Party", by=BY, at=NOW
    )

    assert affected(hit, desk, NOW) == [late]


# --- races --------------------------------------------------------------------------------------------------------


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_desks_rearrange_the_same_visits_at_once():
    """Each visit is settled by one of them; the other is told who; nobody deadlocks and no colleague is doubled."""
    place = make_location()
    bo, ida = make_practitioner("Bo", place), make_practitioner("Ida", place)
    desk = make_user("Dina Desk", Role.FRONT_DESK, location=place)
    visits = [book(make_patient(place, f"P{number}"), bo, TEN + timedelta(minutes=30 * number)) for number in range(8)]
    disruption = out(place, bo.resource)
    lines = {line.visit.pk: line.chosen for line in preview(disruption, desk, NOW)}

    def pass_by(name, order):
        return [do(disruption, visits[number], lines[visits[number].pk], by=Actor.command(name)) for number in order]

    results = together(
        lambda: pass_by("Dina", range(8)), lambda: pass_by("Kim", reversed(range(8))), lambda: pass_by("Lou", [3, 4, 0])
    )

    found = [result for each in results for result in each]
    assert sorted(result.appointment_id for result in found if result.outcome == "moved") == [v.pk for v in visits]
    assert all("changed this visit at" in result.sentence for result in found if result.outcome == "failed")
    assert set(Appointment.objects.values_list("practitioner", "version")) == {(ida.pk, 2)}
    assert User.objects.count() == 1
