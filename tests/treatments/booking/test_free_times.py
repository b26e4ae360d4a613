"""Free times against a plain oracle: every wall-clock slot, every resource, one by one."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic.premises.models import Absence, DatedHours, Device, Location, OpeningHours, Resource, Room
from clinic.staff.models import Practitioner
from tests.factories.people import make_patient
from tests.factories.visits import NOW, get_modality, get_type, make_course
from treatments.booking.models import Appointment, Claim
from treatments.booking.queries import free_times, shape_of
from treatments.booking.rules import instant, phases

pytestmark = pytest.mark.django_db

MONDAY = date(2026, 11, 23)


def world(time_zone="Europe/London", people=2, rooms=2, lasers=0):
    """A bare place: resources without hours."""
    location = Location.objects.create(
        name="Place", address="-", time_zone=time_zone, phone="+1", emergency_number="112", out_of_hours="-"
    )
    for number in range(people):
        Resource.objects.create(practitioner=Practitioner.objects.create(name=f"P{number}"))
    for number in range(rooms):
        Resource.objects.create(room=Room.objects.create(location=location, name=f"R{number}"))
    for number in range(lasers):
        device = Device.objects.create(
            location=location, make="M", model="L", serial=str(number), modality="nafl_1550", wavelength_nm=1550
        )
        Resource.objects.create(device=device)
    get_modality("nafl_1550")
    return location


def open_daily(location, opens, closes, practitioner=None):
    for weekday in range(7):
        OpeningHours.objects.create(
            location=location, practitioner=practitioner, weekday=weekday, opens=opens, closes=closes
        )


def free(location, type, first=MONDAY, last=None, **more):
    found = free_times(type=type, location=location, first=first, last=last or first, **more)
    return [(start.starts_at, start.practitioner_id, start.room_id, start.device_id) for start in found]


def local_times(starts, zone):
    return [f"{at.astimezone(ZoneInfo(zone)):%d %H:%M}" for at, *_ in starts]


# --- by hand ----------------------------------------------------------------------------------------------------


def test_free_times_are_hours_minus_absences_minus_claims():
    location = world(people=1, rooms=1)
    person, room = Practitioner.objects.get(), Room.objects.get()
    open_daily(location, time(9), time(12))
    open_daily(location, time(9, 30), time(12), person)
    Absence.objects.create(
        resource=person.resource,
        starts_at=datetime(2026, 11, 23, 10, 0, tzinfo=UTC),
        ends_at=datetime(2026, 11, 23, 10, 20, tzinfo=UTC),
        reason="leave",
    )
    patient = make_patient(location)
    visit = Appointment.objects.create(
        patient=patient,
        type=get_type(),
        location=location,
        practitioner=person,
        starts_at=datetime(2026, 11, 23, 11, 15, tzinfo=UTC),
        ends_at=datetime(2026, 11, 23, 11, 30, tzinfo=UTC),
        booked_at=NOW,
        changed_at=NOW,
        changed_by_name="-",
        form_key="00000000-0000-0000-0000-000000000001",
    )
    Claim.objects.create(appointment=visit, resource=room.resource, period=(visit.starts_at, visit.ends_at))

    found = free(location, get_type())

    assert local_times(found, "Europe/London") == ["23 09:30", "23 10:30", "23 10:45", "23 11:30"]
    assert {each[1:] for each in found} == {(person.pk, room.pk, None)}
    # The visit that is being moved does not stand in its own way.
    moving = free(location, get_type(), leaving_out=visit.pk)
    assert local_times(moving, "Europe/London") == [
        "23 09:30",
        "23 10:30",
        "23 10:45",
        "23 11:00",
        "23 11:15",
        "23 11:30",
    ]


def test_no_time_is_free_before_now():
    location = world(people=1, rooms=1)
    open_daily(location, time(9), time(10))
    open_daily(location, time(9), time(10), Practitioner.objects.get())

    found = free(location, get_type(), not_before=datetime(2026, 11, 23, 9, 1, tzinfo=UTC))

    assert local_times(found, "Europe/London") == ["23 09:15", "23 09:30"]


def test_an_overdue_laser_is_not_free_after_its_day():
    location = world(people=1, rooms=1, lasers=1)
    open_daily(location, time(9), time(11))
    open_daily(location, time(9), time(11), Practitioner.objects.get())
    Device.objects.update(service_due_on=MONDAY)

    found = free(location, get_type("treatment_nafl"), last=MONDAY + timedelta(days=1))

    assert local_times(found, "Europe/London") == ["23 09:00", "23 09:15"]


def test_the_laser_and_the_practitioner_are_free_while_cream_numbs():
    location = world(people=1, rooms=2, lasers=1)
    open_daily(location, time(9), time(12))
    open_daily(location, time(10), time(12), Practitioner.objects.get())

    found = free(location, get_type("treatment_nafl"))

    assert local_times(found, "Europe/London")[:2] == ["23 09:00", "23 09:15"]


def test_people_without_hours_here_are_never_free():
    location = world(people=2, rooms=1)
    open_daily(location, time(9), time(10))
    open_daily(location, time(9), time(10), Practitioner.objects.first())

    assert {each[1] for each in free(location, get_type())} == {Practitioner.objects.first().pk}


def test_what_is_no_longer_used_is_never_free():
    location = world(people=1, rooms=1)
    person = Practitioner.objects.get()
    open_daily(location, time(9), time(10))
    open_daily(location, time(9), time(10), person)
    Room.objects.update(is_active=False)
    assert free(location, get_type()) == []

    Room.objects.update(is_active=True)
    Practitioner.objects.update(is_active=False)
    assert free(location, get_type()) == []


def test_sixty_days_of_everything_are_one_query():
    location = world(people=3, rooms=2, lasers=1)
    open_daily(location, time(9), time(18))
    for person in Practitioner.objects.all():
        open_daily(location, time(9), time(18), person)
    type = get_type("treatment_nafl")

    with CaptureQueriesContext(connection) as queries:
        found = free_times(type=type, location=location, first=MONDAY, last=MONDAY + timedelta(days=59))

    assert len(queries) == 1
    assert len(found) == 60 * 3 * 30  # from 09:00 to 16:15, the last that ends by 18:00


def test_more_than_sixty_days_are_refused():
    with pytest.raises(ValueError, match="60 days"):
        free(world(), get_type(), last=MONDAY + timedelta(days=60))


# --- clock changes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "slots"),
    [
        ("Europe/London", date(2026, 3, 29), 4 * 23 - 2),
        ("Europe/London", date(2026, 10, 25), 4 * 25 - 2),
        ("America/New_York", date(2026, 3, 8), 4 * 23 - 2),
        ("America/New_York", date(2026, 11, 1), 4 * 25 - 2),
        ("Australia/Lord_Howe", date(2026, 10, 4), 4 * 23.5 - 2),
        ("Australia/Lord_Howe", date(2026, 4, 5), 4 * 24.5 - 2),
        ("Asia/Kathmandu", date(2026, 3, 29), 4 * 24 - 2),
    ],
)
def test_a_place_that_never_closes_has_the_slots_of_its_day(zone, day, slots):
    location = world(zone, people=1, rooms=1)
    open_daily(location, time(0), time(23, 59, 59))
    open_daily(location, time(0), time(23, 59, 59), Practitioner.objects.get())

    found = [at for at, *_ in free(location, get_type(), first=day)]

    assert len(found) == slots
    assert all(later - earlier == timedelta(minutes=15) for earlier, later in pairwise(found))
    assert {at.astimezone(ZoneInfo(zone)).date() for at in found} == {day}


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_nine_to_five_is_nine_to_five_on_every_day_around_the_change(zone):
    location = world(zone, people=1, rooms=1)
    open_daily(location, time(9), time(17))
    open_daily(location, time(9), time(17), Practitioner.objects.get())

    for first in (date(2026, 3, 1), date(2026, 9, 20), date(2026, 10, 20)):
        found = local_times(free(location, get_type(), first=first, last=first + timedelta(days=49)), zone)
        walls = [f"{hour:02}:{minute:02}" for hour in range(9, 17) for minute in (0, 15, 30, 45)][:-1]
        days = [first + timedelta(days=each) for each in range(50)]
        assert found == [f"{day:%d} {wall}" for day in days for wall in walls]


# --- against the oracle -----------------------------------------------------------------------------------------

quarters = st.integers(0, 95)
days_of_change = st.sampled_from(
    [
        ("Europe/London", date(2026, 3, 28)),
        ("Europe/London", date(2026, 10, 24)),
        ("America/New_York", date(2026, 11, 1)),
        ("Australia/Lord_Howe", date(2026, 4, 5)),
        ("Australia/Lord_Howe", date(2026, 10, 3)),
        ("Asia/Kathmandu", date(2026, 11, 23)),
    ]
)
opening = st.lists(st.tuples(quarters, quarters).map(sorted).filter(lambda pair: pair[0] < pair[1]), max_size=2)
busy = st.lists(st.tuples(st.integers(-8, 200), st.integers(1, 20), st.booleans()), max_size=6)


def wall(quarter):
    return time(quarter // 4, quarter % 4 * 15)


def oracle(location, type, first, last):
    """Every quarter hour of the wall clock, tried by hand on every resource."""
    zone, shape = location.zone, shape_of(type)
    start = instant(datetime.combine(first, time()), zone) - timedelta(hours=2)
    moments = [start + timedelta(minutes=minute) for minute in range(0, 60 * 24 * ((last - first).days + 2), 15)]
    # Lord Howe's half hour keeps quarters on quarters; Kathmandu's offset does too.
    ticks = [each for each in moments if first <= each.astimezone(zone).date() <= last]
    things = {
        "practitioner": list(Practitioner.objects.order_by("pk")),
        "room": list(Room.objects.order_by("pk")),
        "device": list(Device.objects.order_by("pk")),
    }
    place = spans_of(location, None, first, last)
    around = first - timedelta(days=1), last + timedelta(days=1)
    hours = {person: spans_of(location, person, *around) for person in things["practitioner"]}
    taken = {thing: taken_of(thing) for each in things.values() for thing in each}
    found = []
    for tick in ticks:
        parts = {part.kind: (part.starts_at, part.ends_at) for part in phases(shape, tick)}
        whole = (tick, tick + timedelta(minutes=shape.minutes))
        if not inside(whole, place):
            continue
        free = {
            kind: [
                each
                for each in things[kind]
                if is_free(each, parts[kind], hours.get(each, place), taken[each], location)
            ]
            for kind in parts
        }
        if all(free.values()):
            for person in free["practitioner"]:
                room = free["room"][0].pk if "room" in free else None
                device = free["device"][0].pk if "device" in free else None
                found.append((tick, person.pk, room, device))
    return found


def spans_of(location, practitioner, first, last):
    zone, spans = location.zone, []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        own = DatedHours.objects.filter(location=location, practitioner=practitioner, day=day)
        usual = OpeningHours.objects.filter(location=location, practitioner=practitioner, weekday=day.weekday())
        for hours in own or usual:
            if hours.opens:
                spans.append(tuple(instant(datetime.combine(day, each), zone) for each in (hours.opens, hours.closes)))
    return spans


def inside(span, spans):
    """True if every five minutes of the span lie in one of the spans."""
    moment = span[0]
    while moment < span[1]:
        if not any(opens <= moment and moment + timedelta(minutes=5) <= closes for opens, closes in spans):
            return False
        moment += timedelta(minutes=5)
    return True


def taken_of(thing):
    claims = Claim.objects.filter(resource=thing.resource, active=True)
    away = Absence.objects.filter(resource=thing.resource)
    return [(each.period.lower, each.period.upper) for each in claims] + [(e.starts_at, e.ends_at) for e in away]


def is_free(thing, part, hours, taken, location):
    day = part[0].astimezone(location.zone).date()
    if isinstance(thing, Device) and thing.service_due_on and day > thing.service_due_on:
        return False
    return inside(part, hours) and not any(part[0] < ends and starts < part[1] for starts, ends in taken)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    where=days_of_change,
    key=st.sampled_from(["consultation", "test_spot_nafl", "treatment_nafl"]),
    place=opening,
    people=st.lists(opening, min_size=2, max_size=2),
    diary=busy,
    due=st.sampled_from([None, 0, 1]),
    special=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.none() | opening), max_size=3),
    data=st.data(),
)
def test_free_times_equal_the_oracle_on_random_diaries(where, key, place, people, diary, due, special, data):
    from django.db import transaction

    with transaction.atomic():
        zone, first = where
        last = first + timedelta(days=1)
        location = world(zone, people=2, rooms=2, lasers=1)
        fill(location, place, people, first, diary, data)
        dated(location, first, special)
        Device.objects.update(service_due_on=None if due is None else first - timedelta(days=1 - due))

        found = free(location, get_type(key), first=first, last=last)

        assert sorted(found, key=str) == sorted(oracle(location, get_type(key), first, last), key=str)
        transaction.set_rollback(True)


def dated(location, first, special):
    """Days with hours of their own: closed, nobody (0) for the place or one of its people."""
    who = [None, *Practitioner.objects.order_by("pk")]
    said = {(number, first + timedelta(days=offset)): spans for number, offset, spans in special}
    for (number, day), spans in said.items():
        for opens, closes in disjoint(spans or []) or [(None, None)]:
            DatedHours.objects.create(
                location=location,
                practitioner=who[number],
                day=day,
                opens=opens,
                closes=closes,
                reason="-",
                set_at=NOW,
                set_by_name="-",
            )


def disjoint(spans):
    """The spans that the database takes for one day: those that do not overlap an earlier one."""
    kept = []
    for opens, closes in spans:
        if all(closes <= start or end <= opens for start, end in kept):
            kept.append((opens, closes))
    return [(wall(opens), wall(closes)) for opens, closes in kept]


def fill(location, place, people, first, diary, data):
    for opens, closes in place:
        open_daily(location, wall(opens), wall(closes))
    for person, hours in zip(Practitioner.objects.order_by("pk"), people, strict=True):
        for opens, closes in hours:
            open_daily(location, wall(opens), wall(closes), person)
    course = make_course(make_patient(location))
    resources = list(Resource.objects.order_by("pk"))
    midnight = instant(datetime.combine(first, time()), location.zone)
    for number, (quarter, length, as_claim) in enumerate(diary):
        resource = data.draw(st.sampled_from(resources))
        starts_at = midnight + timedelta(minutes=15 * quarter)
        ends_at = starts_at + timedelta(minutes=15 * length)
        if not as_claim:
            Absence.objects.create(resource=resource, starts_at=starts_at, ends_at=ends_at, reason="-")
            continue
        if Claim.objects.filter(resource=resource, period__overlap=(starts_at, ends_at)).exists():
            continue
        visit = Appointment.objects.create(
            patient=course.patient,
            type=get_type(),
            location=location,
            practitioner=Practitioner.objects.first(),
            starts_at=starts_at,
            ends_at=ends_at,
            booked_at=NOW,
            changed_at=NOW,
            changed_by_name="-",
            form_key=f"00000000-0000-0000-0000-{number:012}",
        )
        Claim.objects.create(
            appointment=visit, resource=resource, period=(starts_at, ends_at), active=data.draw(st.booleans())
        )
