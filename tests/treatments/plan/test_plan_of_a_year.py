"""A year of generated visits in 40 zones: nothing at night, nothing out of order, nothing too late to make sense."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patients.messaging.difference import Known, difference
from treatments.plan.clock import to_utc
from treatments.plan.queries import shipped_protocol
from treatments.plan.rules import LATE_STEP, UNDO, Visit, merge_series, plan
from treatments.plan.states import Anchor, Condition, Phase, StepKind

ZONES = [
    "Europe/London",
    "Europe/Lisbon",
    "Europe/Paris",
    "Europe/Berlin",
    "Europe/Madrid",
    "Europe/Rome",
    "Europe/Athens",
    "Europe/Kyiv",
    "Europe/Istanbul",
    "Europe/Moscow",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "Asia/Jerusalem",
    "Asia/Beirut",
    "Asia/Tehran",
    "Asia/Dubai",
    "Asia/Kabul",
    "Asia/Karachi",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Dhaka",
    "Asia/Yangon",
    "Asia/Bangkok",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Darwin",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "America/St_Johns",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Santiago",
    "America/Sao_Paulo",
]
MODALITIES = ["afl_co2", "afl_eryag", "nafl_1410", "nafl_1550", "nafl_1927", "pico_755", "consultation", "review"]

visits = st.builds(
    lambda name, zone, day, minute, lead, lasts, move, away, conditions: _visit(
        name, zone, day, minute, lead, lasts, move, away, conditions
    ),
    name=st.sampled_from(MODALITIES),
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2026, 1, 1), date(2027, 1, 1)),
    minute=st.integers(7 * 60, 22 * 60),
    lead=st.one_of(st.integers(0, 100 * 24 * 60), st.integers(0, 4 * 24 * 60)),
    lasts=st.one_of(st.none(), st.integers(10, 300)),
    move=st.one_of(st.none(), st.floats(0, 1)),
    away=st.one_of(st.none(), st.sampled_from(ZONES)),
    conditions=st.frozensets(st.sampled_from(Condition.values)),
)


def _visit(name, zone, day, minute, lead, lasts, move, away, conditions):
    is_treatment = name not in {"consultation", "review"}
    starts_at = datetime.combine(day, time(minute // 60, minute % 60))
    start = to_utc(starts_at, ZoneInfo(zone))
    booked_at = start - timedelta(minutes=lead)
    return name, Visit(
        kind="treatment" if is_treatment else name,
        modality=name if is_treatment else "",
        starts_at=starts_at,
        zone=zone,
        booked_at=booked_at,
        moved_at=booked_at + (start - booked_at) * move if move is not None else None,
        completed_at=start + timedelta(minutes=lasts) if lasts and is_treatment else None,
        patient_zone=away,
        conditions=conditions,
    )


def test_there_are_forty_zones():
    assert len(set(ZONES)) == 40


@settings(max_examples=800, deadline=None)
@given(visits)
def test_nothing_is_sent_at_night_but_the_first_hours(drawn):
    name, visit = drawn

    for wanted in plan(visit, shipped_protocol(name)):
        read_at = wanted.due_at.astimezone(ZoneInfo(visit.patient_zone or visit.zone))
        assert wanted.local == read_at.replace(tzinfo=None, fold=0)
        if wanted.step != "after_2h":
            assert time(9) <= read_at.time() < time(20), (wanted.step, read_at)


@settings(max_examples=800, deadline=None)
@given(visits)
def test_messages_keep_the_order_of_the_protocol(drawn):
    name, visit = drawn
    protocol = shipped_protocol(name)

    wanted = plan(visit, protocol)

    assert [each.due_at for each in wanted] == sorted(each.due_at for each in wanted)
    assert len({each.step for each in wanted}) == len(wanted)
    for phase in ([Phase.BEFORE], [Phase.HEALING, Phase.RESULT]):
        meant = [
            _nominal_days(protocol.step(each.step))
            for each in wanted
            if each.phase in phase and each.step not in {LATE_STEP, "fitness", "confirmation"}
        ]
        assert meant == sorted(meant)


def _nominal_days(step):
    """Days by which two steps of one anchor can be compared, coarsely: months are 30.4 days."""
    return step.offset.days + step.offset.months * 30.4 + step.offset.minutes / 1440


@settings(max_examples=800, deadline=None)
@given(visits)
def test_every_message_can_still_do_its_work(drawn):
    name, visit = drawn
    protocol = shipped_protocol(name)
    opened = max(visit.booked_at, visit.moved_at or visit.booked_at)

    wanted = plan(visit, protocol)

    for each in wanted:
        assert each.due_at.tzinfo is UTC or each.due_at.utcoffset() == timedelta(0)
        assert each.due_at < each.not_after
        if each.phase == Phase.BEFORE:
            assert each.due_at < visit.start
            assert each.not_after <= visit.start
            assert each.due_at >= visit.booked_at + UNDO
            if each.kind != StepKind.CONFIRMATION:
                assert each.due_at >= opened + UNDO
        else:
            assert visit.completed_at is not None
            assert each.due_at > visit.completed_at
    confirmed = [each.due_at for each in wanted if each.kind == StepKind.CONFIRMATION]
    reminders = [each.due_at for each in wanted if each.kind == StepKind.REMINDER]
    for reminder in reminders:
        assert all(reminder - at >= protocol.reminder_gap for at in confirmed)


@settings(max_examples=400, deadline=None)
@given(visits)
def test_late_pre_care_is_one_message_and_never_repeated(drawn):
    name, visit = drawn
    protocol = shipped_protocol(name)

    wanted = plan(visit, protocol)

    late = [each for each in wanted if each.step == LATE_STEP]
    assert len(late) <= 1
    for each in late:
        steps = {other.step for other in wanted}
        assert each.includes
        assert not steps & set(each.includes)
        assert all(protocol.step(name).title in each.note for name in each.includes)


@settings(max_examples=300, deadline=None)
@given(visits)
def test_nothing_is_planned_after_a_cancel(drawn):
    name, _ = drawn

    assert plan(None, shipped_protocol(name)) == []


@settings(max_examples=300, deadline=None)
@given(visits)
def test_planning_twice_says_the_same(drawn):
    name, visit = drawn

    assert plan(visit, shipped_protocol(name)) == plan(visit, shipped_protocol(name))


@settings(max_examples=300, deadline=None)
@given(visits, st.integers(1, 40))
def test_a_second_treatment_never_leaves_two_day_messages(drawn, days):
    name, visit = drawn
    if visit.completed_at is None:
        return
    protocol = shipped_protocol(name)
    second = _visit(
        name, visit.zone, visit.starts_at.date() + timedelta(days), 600, 60 * 24 * 30, 60, None, None, frozenset()
    )[1]
    first_series, second_series = plan(visit, protocol), plan(second, protocol)

    merged = merge_series(first_series, second_series, completed_at=second.completed_at)

    healing = [each for each in merged if each.phase != Phase.BEFORE and each.due_at >= second.completed_at]
    assert healing == [each for each in second_series if each.phase != Phase.BEFORE]
    assert [each for each in first_series if each.due_at < second.completed_at] == [
        each for each in merged if each in first_series and each.due_at < second.completed_at
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_the_day_before_reminder_keeps_its_wall_time_over_both_clock_changes(zone):
    """T1: over each night of 2026 in which this zone changes its clocks, and one in which it does not."""
    nights = _changes(zone) or [date(2026, 6, 1)]

    for night in nights:
        visit = Visit(
            kind="treatment",
            starts_at=datetime.combine(night + timedelta(days=1), time(9)),
            zone=zone,
            booked_at=datetime.combine(night, time(12), tzinfo=UTC) - timedelta(days=40),
        )
        reminder = next(w for w in plan(visit, shipped_protocol("nafl_1550")) if w.step == "reminder_24h")
        assert reminder.local == datetime.combine(night, time(9))
        assert reminder.due_at.astimezone(ZoneInfo(zone)).time() == time(9)
        assert visit.start.astimezone(ZoneInfo(zone)).time() == time(9)


@pytest.mark.parametrize(
    ("starts_at", "day_before", "week_before"),
    [
        (datetime(2027, 1, 1, 10), date(2026, 12, 31), date(2026, 12, 25)),
        (datetime(2028, 3, 1, 10), date(2028, 2, 29), date(2028, 2, 23)),
        (datetime(2027, 3, 1, 10), date(2027, 2, 28), date(2027, 2, 22)),
    ],
)
def test_days_are_counted_over_the_end_of_a_year_and_the_29th_of_february(starts_at, day_before, week_before):
    visit = Visit("treatment", starts_at, "Europe/London", datetime(2026, 11, 2, 12, tzinfo=UTC))

    days = {each.step: each.local.date() for each in plan(visit, shipped_protocol("nafl_1550"))}

    assert (days["reminder_24h"], days["precare_7"]) == (day_before, week_before)


@pytest.mark.parametrize(
    ("zone", "hours"), [("Europe/London", {23, 25}), ("Australia/Lord_Howe", {23.5, 24.5}), ("Asia/Kathmandu", set())]
)
def test_a_day_before_a_visit_is_not_always_24_hours(zone, hours):
    found = set()
    for change in _changes(zone):
        visit = Visit(
            kind="consultation",
            starts_at=datetime.combine(change, time(12)),
            zone=zone,
            booked_at=datetime.combine(change, time(12), tzinfo=UTC) - timedelta(days=20),
        )
        reminder = next(w for w in plan(visit, shipped_protocol("consultation")) if w.step == "reminder_24h")
        found.add((visit.start - reminder.due_at) / timedelta(hours=1))

    assert found == hours


def _changes(zone):
    """Return the days of 2026 on which noon has another offset than the noon before."""
    clock = ZoneInfo(zone)
    days = [date(2026, 1, 1) + timedelta(n) for n in range(365)]
    return [
        day
        for day in days
        if datetime.combine(day, time(12), tzinfo=clock).utcoffset()
        != datetime.combine(day - timedelta(1), time(12), tzinfo=clock).utcoffset()
    ]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MODALITIES), st.sampled_from(ZONES), st.integers(1, 60), st.integers(9 * 60, 19 * 60))
def test_moving_a_visit_moves_exactly_what_counts_from_it(name, zone, days, minute):
    protocol = shipped_protocol(name)
    day, at = date(2026, 8, 3), time(minute // 60, minute % 60)
    booked_at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    kind = "treatment" if name not in {"consultation", "review"} else name
    before = plan(Visit(kind, datetime.combine(day, at), zone, booked_at), protocol)
    later = plan(Visit(kind, datetime.combine(day + timedelta(days), at), zone, booked_at), protocol)

    assert [each.step for each in before] == [each.step for each in later]
    for old, new in zip(before, later, strict=True):
        counts_from_visit = protocol.step(old.step).anchor == Anchor.VISIT
        assert new.local - old.local == timedelta(days=days if counts_from_visit else 0)


YEAR = [date(2026, 1, 1) + timedelta(n) for n in range(365)]


@pytest.mark.parametrize("zone", ZONES)
def test_a_visit_each_day_of_a_year_says_nothing_at_night_out_of_order_or_after_a_cancel(zone):
    """Every kind of visit in turn, at another hour each day, booked now long and now shortly before."""
    clock = ZoneInfo(zone)
    for number, day in enumerate(YEAR):
        name = MODALITIES[number % len(MODALITIES)]
        lead = (number * 37) % (60 * 24 * 45)
        visit = _visit(name, zone, day, 8 * 60 + (number * 25) % 660, lead, 45, None, None, frozenset({"numbing"}))[1]
        wanted = plan(visit, shipped_protocol(name))

        assert [each.due_at for each in wanted] == sorted(each.due_at for each in wanted)
        read_at = {each.step: each.due_at.astimezone(clock).time() for each in wanted if each.step != "after_2h"}
        assert all(time(9) <= at < time(20) for at in read_at.values()), (day, read_at)
        assert all(each.due_at < each.not_after for each in wanted)
        cancelled_at = visit.booked_at + (visit.start - visit.booked_at) * (number % 10) / 10
        _assert_silent_after_a_cancel([each for each in wanted if each.phase == Phase.BEFORE], visit, cancelled_at)


def _assert_silent_after_a_cancel(wanted, visit, at):
    """What waits is taken back, and only who was told of the visit hears one thing more: that it is off."""
    rows = [
        Known(
            key=key, step=each.step, revision=1, status="sent" if each.due_at <= at else "planned", in_plan=True,
            out_at=each.due_at if each.due_at <= at else None, said=(), template=each.template, channel=each.channel,
            context={"when_local": "then"}, due_at=each.due_at, visit_at=visit.start,
        )
        for key, each in enumerate(wanted)
    ]  # fmt: skip

    found = difference(rows, [], at)

    assert set(found.withdrawn) == {row.key for row in rows if row.due_at > at}
    assert (found.new, found.changed) == ((), ())
    told = any(row.due_at <= at for row in rows) and at < visit.start
    assert [found.notice[0].template] == ["cancelled"] if told else found.notice is None
