from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treatments.booking.gates import CourseFacts, Facts, Neighbour, refusals
from treatments.booking.rules import (
    Part,
    Shape,
    clock_label,
    conditions_of,
    covered,
    day_bounds,
    first_instant,
    grid,
    hours_of_day,
    instant,
    merged,
    open_starts,
    phases,
)
from treatments.booking.states import TRANSITIONS, AppointmentStatus
from treatments.diary.rules import Block, rows_between, side_by_side

LONDON = ZoneInfo("Europe/London")
NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def at(hour, minute=0):
    return datetime(2026, 11, 23, hour, minute, tzinfo=UTC)


# --- phases -----------------------------------------------------------------------------------------------------


def test_the_room_is_held_throughout_the_laser_for_the_work_and_the_practitioner_from_joining():
    shape = Shape(before=60, work=45, after=15, joins_after=50, needs_device=True)

    assert phases(shape, NINE) == [
        Part("practitioner", at(9, 50), at(10, 45)),
        Part("room", at(9), at(11)),
        Part("device", at(10), at(10, 45)),
    ]


def test_a_consultation_holds_no_laser():
    assert phases(Shape(0, 30, 0), NINE) == [Part("practitioner", at(9), at(9, 30)), Part("room", at(9), at(9, 30))]


def test_a_video_visit_holds_only_the_practitioner():
    assert phases(Shape(0, 30, 0, needs_room=False), NINE) == [Part("practitioner", at(9), at(9, 30))]


def test_minutes_pass_as_on_a_stopwatch_while_the_clocks_change():
    starts_at = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 01:30 the first time, in London

    room = phases(Shape(0, 60, 0), starts_at)[1]

    assert clock_label(room.starts_at, LONDON) == "01:30 BST"
    assert clock_label(room.ends_at, LONDON) == "01:30 GMT"


@pytest.mark.parametrize("shape", [(0, 0, 0, 0), (-1, 10, 0, 0), (0, 10, -5, 0), (10, 20, 0, 30), (0, 10, 0, -1)])
def test_a_shape_that_makes_no_sense_is_refused(shape):
    with pytest.raises(ValueError):
        Shape(*shape)


# --- wall clock -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "hours", "quarters"),
    [
        ("Europe/London", date(2026, 3, 29), 23, 92),
        ("Europe/London", date(2026, 10, 25), 25, 100),
        ("Europe/London", date(2026, 6, 1), 24, 96),
        ("America/New_York", date(2026, 3, 8), 23, 92),
        ("America/New_York", date(2026, 11, 1), 25, 100),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5, 94),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5, 98),
        ("Asia/Kathmandu", date(2026, 3, 29), 24, 96),
        ("America/Santiago", date(2026, 9, 6), 23, 92),  # midnight itself does not exist
    ],
)
def test_the_grid_has_as_many_slots_as_the_day_has_quarters(zone, day, hours, quarters):
    zone = ZoneInfo(zone)
    start, end = day_bounds(day, zone)

    ticks = grid(day, day, zone)

    assert (end - start) == timedelta(hours=hours)
    assert len(ticks) == quarters == len(set(ticks))
    assert all(datetime.fromtimestamp(tick, zone).date() == day for tick in ticks)


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("step", [5, 10, 15, 20, 30, 60])
def test_every_tick_of_a_year_stands_on_the_wall_clock(zone, step):
    zone, first = ZoneInfo(zone), date(2026, 1, 1)

    ticks = grid(first, date(2026, 12, 31), zone, step)

    walls = [datetime.fromtimestamp(tick, zone) for tick in ticks]
    assert all((wall.hour * 60 + wall.minute) % step == 0 and wall.second == 0 for wall in walls)
    assert ticks == sorted(set(ticks))


def test_a_grid_over_the_change_equals_its_days_put_together():
    days = [date(2026, 10, 24) + timedelta(days=each) for each in range(3)]

    assert grid(days[0], days[-1], LONDON) == [tick for day in days for tick in grid(day, day, LONDON)]


@pytest.mark.parametrize(
    ("wall", "hours", "typed"),
    [
        ("2026-03-29T01:30", "2026-03-29T01:30", "2026-03-29T01:30"),  # skipped: reads as 02:30 BST
        ("2026-10-25T01:30", "2026-10-25T01:30", "2026-10-25T00:30"),  # twice: hours mean the second, people the first
        ("2026-06-01T09:00", "2026-06-01T08:00", "2026-06-01T08:00"),
    ],
)
def test_odd_wall_times_are_read_in_one_way(wall, hours, typed):
    wall = datetime.fromisoformat(wall)

    assert instant(wall, LONDON) == datetime.fromisoformat(hours).replace(tzinfo=UTC)
    assert first_instant(wall, LONDON) == datetime.fromisoformat(typed).replace(tzinfo=UTC)


def test_nine_o_clock_stays_nine_o_clock_over_the_change():
    opens = [hours_of_day([(time(9), time(18))], day, LONDON)[0][0] for day in (date(2026, 3, 28), date(2026, 3, 29))]

    assert [clock_label(datetime.fromtimestamp(each, UTC), LONDON) for each in opens] == ["09:00", "09:00"]
    assert opens[1] - opens[0] == 23 * 3600


# --- free times -------------------------------------------------------------------------------------------------

spans = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 20)).map(lambda pair: (pair[0] * 900, (pair[0] + pair[1]) * 900)),
    max_size=4,
)
shapes = st.builds(
    lambda before, work, after, joins, room, device: Shape(
        before, work, after, min(joins, before), needs_room=room, needs_device=device
    ),
    st.sampled_from([0, 15, 30, 40]),
    st.sampled_from([10, 30, 45]),
    st.sampled_from([0, 5, 15]),
    st.sampled_from([0, 10, 40]),
    st.booleans(),
    st.booleans(),
)


@given(shapes, spans, st.dictionaries(st.integers(1, 3), spans), st.dictionaries(st.integers(1, 2), spans), spans)
def test_open_starts_are_those_at_which_every_part_is_free(shape, place, people, rooms, laser):
    ticks = list(range(0, 60 * 900, 900))
    free = {"practitioner": people, "room": rooms, "device": {9: laser}}
    free = {kind: {key: merged(value) for key, value in each.items()} for kind, each in free.items()}
    place = merged(place)

    found = open_starts(
        shape, ticks, place=place, practitioners=free["practitioner"], rooms=free["room"], devices=free["device"]
    )

    def fits(kind, key, tick):
        first, last = shape.window(kind)
        return covered((tick + first * 60, tick + last * 60), free[kind][key])

    expected = []
    for tick in ticks:
        room = next((key for key in free["room"] if fits("room", key, tick)), None)
        device = next((key for key in free["device"] if fits("device", key, tick)), None)
        if not covered((tick, tick + shape.minutes * 60), place):
            continue
        if (shape.needs_room and room is None) or (shape.needs_device and device is None):
            continue
        for person in free["practitioner"]:
            if fits("practitioner", person, tick):
                expected.append(
                    (tick, person, room if shape.needs_room else None, device if shape.needs_device else None)
                )
    assert sorted(map(tuple, found), key=str) == sorted(expected, key=str)
    assert [each.at for each in found] == sorted(each.at for each in found)


def test_merged_joins_what_touches_and_leaves_out_what_is_empty():
    assert merged([(5, 7), (1, 3), (3, 5), (9, 9), (10, 12), (11, 11)]) == [(1, 7), (10, 12)]


# --- gates ------------------------------------------------------------------------------------------------------

COURSE = CourseFacts(
    modality="nafl_1550",
    modality_label="Non-ablative 1550",
    is_active=True,
    status_label="Active",
    sessions_planned=3,
    sessions_taken=1,
    own_interval_days=28,
    decision_kind="proceed",
)
FINE = Facts(
    today=date(2026, 11, 23),
    day=date(2026, 11, 24),
    kind="treatment",
    span=(3600, 7200),
    practitioner_span=(4200, 7200),
    place_name="Harley Street",
    practitioner_name="Bo",
    place_open=((0, 9000),),
    practitioner_open=((4200, 9000),),
    service_due_on=date(2026, 11, 24),
    device_name="Fraxel",
    course=COURSE,
    earliest_on=date(2026, 11, 24),
    earliest_reason="because",
    neighbours=(Neighbour(date(2026, 12, 22), 28),),
)


def test_a_visit_that_is_fine_is_not_refused():
    assert refusals(FINE) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"lead_days": 0, "today": FINE.day},
        {"lead_days": 1},
        {"lead_days": 9, "stands_on": FINE.day},
        {"lead_days": 9, "stands_on": FINE.today},
    ],
)
def test_who_has_time_to_prepare_or_prepares_already_is_not_refused(changes):
    assert refusals(replace(FINE, **changes)) == []


def course(**changes):
    return replace(COURSE, **changes)


@pytest.mark.parametrize(
    ("changes", "word", "sentence"),
    [
        ({"today": date(2026, 11, 25)}, "TimeHasPassed", "That day has passed."),
        ({"course": None}, "NotCleared", "This visit needs a planned course. Plan one from the patient’s chart."),
        ({"course": course(is_active=False, status_label="On hold")}, "NotCleared", "The course is on hold."),
        (
            {"course": course(decision_kind="")},
            "NotCleared",
            "No decision in force allows Non-ablative 1550. A clinician needs to decide first.",
        ),
        (
            {"course": course(decision_kind="defer")},
            "NotCleared",
            "No decision in force allows Non-ablative 1550. A clinician needs to decide first.",
        ),
        (
            {"course": course(decision_kind="test_spot_first")},
            "NotCleared",
            "The decision asks for a test spot first. Book that visit.",
        ),
        (
            {"course": course(sessions_taken=3)},
            "NotCleared",
            "All 3 sessions of the course are done or booked.",
        ),
        ({"may_treat": False}, "NotAuthorised", "Bo is not authorised to treat with Non-ablative 1550."),
        ({"away": (("practitioner", "Bo"),)}, "Away", "Bo is not available then."),
        ({"away": (("room", "Room 1"),)}, "Away", "Room 1 is not available then."),
        ({"away": (("device", "Fraxel"),)}, "DeviceUnavailable", "Fraxel is not available then."),
        ({"patient_busy": True}, "PatientBusy", "The patient has another visit at that time."),
        ({"place_open": ((0, 7199),)}, "OutsideHours", "Harley Street is closed for part of that time."),
        ({"place_open": ((0, 5000), (5000, 9000))}, "OutsideHours", "Harley Street is closed for part of that time."),
        (
            {"practitioner_open": ((4201, 9000),)},
            "OutsideHours",
            "Bo does not work at Harley Street for all of that time.",
        ),
        (
            {"service_due_on": date(2026, 11, 23)},
            "ServiceOverdue",
            "The service of Fraxel was due on 23 November 2026.",
        ),
        ({"earliest_on": date(2026, 11, 25)}, "TooEarly", "The earliest date is 25 November 2026: because."),
        (
            {"lead_days": 2},
            "TooSoon",
            "The earliest date is 25 November 2026: "
            "it is booked at least 2 days ahead, so that there is time to prepare.",
        ),
        (
            {"lead_days": 2, "stands_on": date(2026, 11, 25)},
            "TooSoon",
            "The earliest date is 25 November 2026: "
            "it is booked at least 2 days ahead, so that there is time to prepare.",
        ),
        (
            {"neighbours": (Neighbour(date(2026, 12, 21), 28),)},
            "TooEarly",
            "Another treatment is booked for 21 December 2026, and 28 days must lie between.",
        ),
        (
            {"neighbours": (Neighbour(date(2026, 10, 1), 56),)},
            "TooEarly",
            "Another treatment is booked for 1 October 2026, and 56 days must lie between.",
        ),
    ],
)
def test_each_gate_refuses_with_its_own_word(changes, word, sentence):
    against = refusals(replace(FINE, **changes))

    assert [(type(each).__name__, each.for_people) for each in against] == [(word, sentence)]


@pytest.mark.parametrize(
    ("word", "may"),
    [
        ("TimeHasPassed", False),
        ("NotCleared", False),
        ("NotAuthorised", False),
        ("Away", False),
        ("DeviceUnavailable", False),
        ("PatientBusy", False),
        ("OutsideHours", True),
        ("ServiceOverdue", True),
        ("TooEarly", True),
        ("TooSoon", True),
    ],
)
def test_which_gates_a_clinician_may_set_aside(word, may):
    from treatments.booking import states

    assert getattr(states, word).may_be_overridden is may


@pytest.mark.parametrize("kind", ["consultation", "review"])
def test_a_visit_without_a_laser_needs_no_decision_or_interval(kind):
    facts = replace(FINE, kind=kind, course=None, earliest_on=date(2027, 1, 1), neighbours=(Neighbour(FINE.day, 28),))

    assert refusals(facts) == []


def test_a_test_spot_needs_a_decision_and_its_date():
    facts = replace(FINE, kind="test_spot", course=course(decision_kind="test_spot_first", sessions_taken=3))

    assert refusals(facts) == []
    assert [type(each).__name__ for each in refusals(replace(facts, earliest_on=date(2027, 1, 1)))] == ["TooEarly"]
    assert [type(each).__name__ for each in refusals(replace(facts, course=None))] == ["NotCleared"]


def test_the_table_of_states_is_complete():
    assert set(TRANSITIONS) == set(AppointmentStatus)
    assert all(target in set(AppointmentStatus) for targets in TRANSITIONS.values() for target in targets)


@pytest.mark.parametrize(
    ("answers", "named", "outcomes", "numbing", "expected"),
    [
        ({}, [], {}, False, set()),
        ({}, [], {}, True, {"numbing"}),
        ({"fst_confirmed": "3"}, [], {}, False, {"skin_type_1_3"}),
        ({"fst_confirmed": "4"}, [], {}, False, {"skin_type_4_6"}),
        ({"fst_confirmed": "not_sure", "smoking": "ex"}, [], {}, False, set()),
        ({}, ["retinoid_plan", "call_her_sister"], {}, False, {"retinoid_plan"}),
        ({}, [], {"antiviral_decision": "give: renal function checked"}, False, {"antiviral_prescribed"}),
        ({}, [], {"antiviral_decision": "not_needed: never had any"}, False, set()),
    ],
)
def test_what_planning_knows_of_the_patient(answers, named, outcomes, numbing, expected):
    assert conditions_of(answers, named, outcomes, numbing=numbing) == expected


# --- the page ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "ends", "block"),
    [
        (0, 300, Block(1, 1)),
        (3600, 5400, Block(13, 6)),
        (-600, 300, Block(1, 1)),
        (600, 700, Block(3, 1)),
        (11_700, 99_999, Block(40, 9)),
        (-900, 0, None),
        (14_400, 15_000, None),
    ],
)
def test_a_span_stands_on_the_rows_it_covers(starts, ends, block):
    assert rows_between(0, starts, ends, 48) == block


@pytest.mark.parametrize(
    ("times", "lanes"),
    [
        ([], []),
        ([(0, 2), (2, 4)], [(1, 1), (1, 1)]),
        ([(0, 3), (1, 2), (2, 4)], [(1, 2), (2, 2), (2, 2)]),
        ([(0, 3), (1, 4), (2, 5), (5, 6)], [(1, 3), (2, 3), (3, 3), (1, 1)]),
    ],
)
def test_visits_at_the_same_time_stand_side_by_side(times, lanes):
    assert side_by_side(times) == lanes


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=20))
def test_no_two_overlapping_visits_share_a_lane(pairs):
    times = sorted((start, start + length) for start, length in pairs)

    lanes = side_by_side(times)

    for one in range(len(times)):
        for other in range(one):
            if times[other][1] > times[one][0]:
                assert lanes[one][0] != lanes[other][0]
                assert lanes[one][1] == lanes[other][1]
    assert all(lane <= count for lane, count in lanes)
