"""A course's sessions planned together, and one moved with those after it: gates hold and each has its result."""

import re
import uuid
from datetime import date, timedelta

import pytest
from django.urls import reverse

from clinic.staff.states import Role
from clinic.transitions import IllegalMove
from patients.messaging.models import Message
from tests.factories.people import NOW, make_device, make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import BY, book, get_type, make_course, make_decision, utc
from treatments.booking.actions import accept_proposal, cancel_appointment, move_appointment, propose_appointment
from treatments.booking.models import Appointment
from treatments.waitlist.actions import join_waitlist
from treatments.waitlist.models import WaitlistOffer

pytestmark = pytest.mark.django_db
# Monday 23 November 2026, 10:00; sessions 28 days apart, each an hour of numbing, half an hour of work
FIRST = utc("2026-11-24T10:00")
DATES = [FIRST, utc("2026-12-22T10:00"), utc("2027-01-19T10:00")]


@pytest.fixture
def place(time_machine):
    time_machine.move_to(NOW, tick=False)
    return make_location()


@pytest.fixture
def bo(place):
    get_type("treatment_nafl")
    make_device(place, service_due_on=None)
    return make_practitioner("Bo Lindqvist", place)


@pytest.fixture
def course(place, bo):
    return make_course(make_patient(place), max_interval_days=60)


@pytest.fixture
def desk(client, place, bo):
    client.force_login(make_user("Mia Okafor", Role.FRONT_DESK, location=place))
    return client


def text(answer):
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).replace("&#x27;", "'").split())


def picked(answer):
    return re.findall(r'<option value="([^"]+)" selected>', answer.content.decode().partition('id="dates"')[2])


def starts(answer):
    return [each.partition("~")[0] for each in picked(answer)]


def visits(course):
    return list(course.appointments.order_by("starts_at").values_list("starts_at", "status"))


def series(course):
    return reverse("series", args=[course.ref])


# --- all dates at once ------------------------------------------------------------------------------------------------


def test_every_session_is_proposed_the_interval_apart_and_says_why_not_before(desk, course):
    answer = desk.get(series(course), {"first": "2026-11-24", "interval": "28", "around": "10:00"})

    assert starts(answer) == [each.isoformat() for each in DATES]
    assert "Earliest safe date 22 December 2026, because session 1 is on 24 November 2026." in text(answer)
    assert not Appointment.objects.exists()


def test_the_first_says_which_treatment_it_counts_from(desk, course):
    course.last_treated_at, course.sessions_done = utc("2026-11-16T12:00"), 1
    course.save()

    answer = desk.get(series(course))

    assert re.search(r"Earliest safe date 14 December 2026, because .+ was on 16 November 2026", text(answer))
    assert starts(answer)[0].startswith("2026-12-14")
    assert len(starts(answer)) == 2


def test_a_later_day_moves_those_after_it(desk, course):
    query = {"first": "2026-11-24", "interval": "28", "around": "10:00"}
    shown = desk.get(series(course), query)
    options = re.findall(r'<option value="([^"]+)"', shown.content.decode().partition("pick-1")[2])
    thursday = next(each for each in options if each.startswith("2026-11-26"))

    again = desk.post(
        series(course), {**query, "practitioner": "", "pick": [thursday, *picked(shown)[1:]], "count": "1"}
    )

    assert again.status_code == 302
    assert "csrf" not in again["Location"]
    moved = starts(desk.get(again["Location"]))
    assert [each[:10] for each in moved] == ["2026-11-26", "2026-12-24", "2027-01-21"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"interval": "27"}, "At least 28 days must lie between two sessions."),
        ({"interval": "61"}, "At most 60 days, please."),
        ({"first": "2026-11-01"}, "That day has passed."),
        ({"around": "25:00"}, "Enter a valid time."),
        ({"first": "soon"}, "Enter a valid date."),
    ],
)
def test_a_wish_that_cannot_be_is_said_at_its_field(desk, course, query, sentence):
    answer = desk.get(series(course), {"first": "2026-11-24", "interval": "28", "around": "10:00", **query})

    assert answer.status_code == 422
    assert sentence in text(answer)


def test_all_are_booked_with_one_click_and_a_second_changes_nothing(desk, course):
    values = picked(desk.get(series(course), {"first": "2026-11-24", "interval": "28", "around": "10:00"}))
    form = {"pick": values, "form_key": str(uuid.uuid4())}

    answers = [desk.post(series(course), form), desk.post(series(course), form)]

    assert [each["Location"] for each in answers] == [reverse("patient_chart", args=[course.patient.ref])] * 2
    assert visits(course) == [(each, "booked") for each in DATES]
    assert Message.objects.filter(about__startswith="appointment:").exists()


def test_held_they_are_claimed_and_nobody_is_told(desk, course):
    values = picked(desk.get(series(course), {"first": "2026-11-24", "interval": "28", "around": "10:00"}))

    desk.post(series(course), {"pick": values, "form_key": str(uuid.uuid4()), "hold": "1"})

    assert visits(course) == [(each, "proposed") for each in DATES]
    assert not Message.objects.filter(about__startswith="appointment:").exists()


def test_one_that_was_taken_meanwhile_says_so_and_the_others_stand(desk, course, place, bo):
    values = picked(desk.get(series(course), {"first": "2026-11-24", "interval": "28", "around": "10:00"}))
    book(make_patient(place, "Eli", "Stone"), bo, DATES[1] + timedelta(minutes=60))

    answer = desk.post(series(course), {"pick": values, "form_key": str(uuid.uuid4())})

    assert answer.status_code == 422
    assert visits(course) == [(DATES[0], "booked"), (DATES[2], "booked")]
    assert "Tuesday 22 December 2026, 10:00 Bo Lindqvist has just been taken for 10:00." in text(answer)


def test_picks_too_near_are_refused_by_the_gate_whatever_was_sent(desk, course, bo):
    values = [f"{each.isoformat()}~{bo.ref}" for each in (FIRST, FIRST + timedelta(days=7))]

    answer = desk.post(series(course), {"pick": values, "form_key": str(uuid.uuid4())})

    assert answer.status_code == 422
    assert visits(course) == [(FIRST, "booked")]


def test_without_a_decision_each_says_so_and_nothing_is_booked(desk, place, bo):
    held = make_decision(make_patient(place, "Eli", "Stone"), kind="decline")
    course = make_course(held.patient, held)

    answer = desk.get(series(course))

    assert "dy-refusal" in answer.content.decode()
    desk.post(series(course), {"pick": picked(answer), "form_key": str(uuid.uuid4())})
    assert visits(course) == []


@pytest.mark.parametrize("value", ["", "nonsense", "~", "2026-11-24T10:00~x", "\x00"])
def test_a_mangled_pick_is_no_visit(desk, course, value):
    assert desk.post(series(course), {"pick": value, "form_key": "x"}).status_code == 422
    assert not Appointment.objects.exists()


# --- moving one with those after it -----------------------------------------------------------------------------------


@pytest.fixture
def booked(course, bo):
    return [book(course.patient, bo, each, "treatment_nafl", course=course) for each in DATES]


def shift(visit):
    return reverse("series_shift", args=[visit.ref])


def now(course):
    return list(course.appointments.order_by("id").values_list("starts_at", flat=True))


def test_old_and_new_stand_side_by_side_and_nothing_has_moved_yet(desk, course, booked):
    answer = desk.get(shift(booked[0]), {"to_day": "2026-12-01", "to_time": "10:00"})

    said = text(answer)
    for old, new in (
        ("Tuesday 24 November 2026, 10:00", "Tuesday 1 December 2026, 10:00"),
        ("Tuesday 22 December 2026, 10:00", "Tuesday 29 December 2026, 10:00"),
        ("Tuesday 19 January 2027, 10:00", "Tuesday 26 January 2027, 10:00"),
    ):
        assert f"{old} {new}" in said
    assert now(course) == DATES


def moves_of(answer):
    return re.findall(r'name="move" value="([^"]+)"', answer.content.decode())


@pytest.mark.parametrize("days", [7, 28, 35, -1])
def test_one_confirm_moves_all_even_onto_each_others_places(desk, course, booked, days):
    to = FIRST + timedelta(days=days) if days > 0 else utc("2026-11-23T15:00")
    shown = desk.get(shift(booked[0]), {"to_day": f"{to:%Y-%m-%d}", "to_time": f"{to:%H:%M}"})

    form = {"move": moves_of(shown)}
    assert [desk.post(shift(booked[0]), form).status_code for _ in range(2)] == [302, 302]

    assert now(course) == [to, *(each + timedelta(days=days) for each in DATES[1:])]


def test_after_a_move_the_rest_is_offered_and_follows(desk, course, booked):
    for visit, to in ((booked[2], "2027-02-02T10:00"), (booked[1], "2026-12-23T10:00")):
        move_appointment(appointment=visit, starts_at=utc(to), expected_version=1, by=BY, at=NOW)
    page = desk.get(reverse("appointment", args=[booked[1].ref])).content.decode()
    url = re.search(rf'href="({shift(booked[1])}\?was=[^"]+)"', page)[1]

    shown = desk.get(url)
    assert len(moves_of(shown)) == 1
    desk.post(url, {"move": moves_of(shown)})

    assert now(course) == [DATES[0], utc("2026-12-23T10:00"), utc("2027-02-03T10:00")]


def test_a_place_that_is_taken_gives_way_to_the_nearest_and_says_so(desk, course, booked, place, bo):
    book(make_patient(place, "Eli", "Stone"), bo, utc("2026-12-29T11:00"))

    answer = desk.get(shift(booked[0]), {"to_day": "2026-12-01", "to_time": "10:00"})

    assert "Tue 29 Dec, 10:00 cannot be; this is the nearest." in text(answer)
    desk.post(shift(booked[0]), {"move": moves_of(answer)})
    assert now(course)[1].date() == utc("2026-12-29T00:00").date()


def test_one_that_somebody_changed_meanwhile_stays_and_says_who(desk, course, booked):
    shown = desk.get(shift(booked[0]), {"to_day": "2026-12-01", "to_time": "10:00"})
    move_appointment(appointment=booked[2], starts_at=utc("2027-02-02T10:00"), expected_version=1, by=BY, at=NOW)

    answer = desk.post(shift(booked[0]), {"move": moves_of(shown)})

    assert answer.status_code == 422
    assert "changed this visit at" in text(answer)
    assert now(course) == [utc("2026-12-01T10:00"), utc("2026-12-29T10:00"), utc("2027-02-02T10:00")]


def test_a_visit_of_another_course_cannot_be_moved_along(desk, course, booked, place, bo):
    other = book(make_patient(place, "Eli", "Stone"), bo, utc("2026-11-25T15:00"))

    desk.post(shift(booked[0]), {"move": f"{other.ref}~1~2026-11-26T15:00:00+00:00"})

    other.refresh_from_db()
    assert other.starts_at == utc("2026-11-25T15:00")


# --- times that are only held -----------------------------------------------------------------------------------------


@pytest.fixture
def held(desk, course):
    """The whole course is held at its usual dates, and nobody was told."""
    values = picked(desk.get(series(course), {"first": "2026-11-24", "interval": "28", "around": "10:00"}))
    desk.post(series(course), {"pick": values, "form_key": str(uuid.uuid4()), "hold": "1"})
    return list(course.appointments.order_by("starts_at"))


def test_held_sessions_move_along_with_a_booked_one_and_nobody_is_told_of_them(desk, course, held):
    accept_proposal(appointment=held[0], by=BY, at=NOW)
    about = [f"appointment:{each.ref}" for each in held[1:]]

    shown = desk.get(shift(held[0]), {"to_day": "2026-12-01", "to_time": "10:00"})
    assert text(shown).count("only held: nobody is told") == 2
    desk.post(shift(held[0]), {"move": moves_of(shown)})

    assert visits(course) == [
        (utc("2026-12-01T10:00"), "booked"),
        (utc("2026-12-29T10:00"), "proposed"),
        (utc("2027-01-26T10:00"), "proposed"),
    ]
    assert not Message.objects.filter(about__in=about).exists()
    starts = [claim.period.lower for claim in held[1].claims.filter(active=True)]
    assert min(starts) == utc("2026-12-29T10:00")


def test_a_series_that_is_held_as_a_whole_is_moved_from_its_first(desk, course, held):
    page = desk.get(reverse("appointment", args=[held[0].ref])).content.decode()
    assert shift(held[0]) in page

    shown = desk.get(shift(held[0]), {"to_day": "2026-12-01", "to_time": "10:00"})
    assert desk.post(shift(held[0]), {"move": moves_of(shown)}).status_code == 302

    assert [starts_at for starts_at, _ in visits(course)] == [each + timedelta(days=7) for each in DATES]
    assert not Message.objects.filter(about__startswith="appointment:").exists()


def test_a_time_that_is_being_offered_stays_where_the_patient_was_told_it_is(desk, course, booked, held_offer):
    shown = desk.get(shift(booked[0]), {"to_day": "2026-12-01", "to_time": "10:00"})
    assert len(moves_of(shown)) == 2
    forged = f"{held_offer.ref}~{held_offer.version}~2027-03-02T10:00:00+00:00"

    answer = desk.post(shift(booked[0]), {"move": [*moves_of(shown), forged]})

    assert answer.status_code == 422
    assert "It stays until they answer." in text(answer)
    held_offer.refresh_from_db()
    assert held_offer.starts_at == utc("2027-02-23T10:00")


@pytest.fixture
def held_offer(course, booked, bo):
    """The third session is off again, and another time for it is being offered."""
    cancel_appointment(appointment=booked.pop(), reason="clinic", by=BY, at=NOW)
    entry = join_waitlist(
        patient=course.patient,
        type=get_type("treatment_nafl"),
        location=course.patient.location,
        course=course,
        earliest_on=date(2027, 2, 1),
        latest_on=date(2027, 3, 31),
        by=BY,
        at=NOW,
    )
    time = propose_appointment(
        patient=course.patient,
        type=get_type("treatment_nafl"),
        location=course.patient.location,
        course=course,
        practitioner=bo,
        starts_at=utc("2027-02-23T10:00"),
        form_key=uuid.uuid4(),
        by=BY,
        at=NOW,
    )
    WaitlistOffer.objects.create(
        entry=entry, appointment=time, offered_at=NOW, told_at=NOW, ends_at=NOW + timedelta(hours=4)
    )
    return time


def test_only_the_series_moves_what_is_held(course, held):
    with pytest.raises(IllegalMove):
        move_appointment(appointment=held[0], starts_at=utc("2026-12-01T10:00"), expected_version=1, by=BY, at=NOW)
