"""New rows in one statement hold what `save` would have written."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from clinic.audit.models import AuditEvent
from clinic.premises.models import Device, Room
from clinic.rows import insert
from tests.factories.people import make_location, make_patient, make_practitioner
from tests.factories.visits import get_type, make_course, utc
from treatments.booking.models import Appointment, Claim

pytestmark = pytest.mark.django_db

AT = datetime(2026, 10, 25, 1, 30, 0, 123456, tzinfo=UTC)


def event(**fields):
    given = {"at": AT, "actor_kind": "task", "actor_id": "1", "actor_name": "Bo", "action": "x.y", "subject_type": "x"}
    return AuditEvent(**{**given, "subject_id": "1", **fields})


def told(row):
    """Every column as the database holds it, apart from the key and the moment of writing."""
    fresh = type(row).objects.get(pk=row.pk)
    names = {field.attname for field in row._meta.concrete_fields} - {"id", "recorded_at"}
    return {name: getattr(fresh, name) for name in names}


@pytest.mark.parametrize(
    "fields",
    [
        {"patient_ref": uuid.UUID(int=7)},
        {"patient_ref": None, "detail": {}},
        {"actor_name": 'Zoë \\ O\'Neil "x" 100% {1} 日本'},
        {"detail": {"text": 'é "quoted" \\n', "none": None, "list": [1, 2.5, True, {"a": []}]}},
    ],
)
def test_a_row_is_what_save_writes(fields):
    row, saved = event(**fields), event(**fields)
    insert([row])
    saved.save(force_insert=True)

    assert told(row) == told(saved)
    assert row.recorded_at == AuditEvent.objects.get(pk=row.pk).recorded_at
    assert not row._state.adding


def test_rows_keep_their_order_and_know_their_keys_after_one_statement():
    rows = [event(subject_id=str(number)) for number in range(30)]

    with CaptureQueriesContext(connection) as asked:
        insert(rows)

    assert len(asked) == 1
    assert list(AuditEvent.objects.order_by("pk").values_list("pk", "subject_id")) == [
        (row.pk, row.subject_id) for row in rows
    ]


def test_no_rows_ask_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        insert([])


def test_ranges_dates_and_keys_of_other_rows_arrive():
    place = make_location()
    bo, ana = make_practitioner("Bo Lindqvist", place), make_patient(place)
    course = make_course(ana)
    laser = Device(location=place, make="Lumen", model="A", serial="1", modality="nafl_1550", wavelength_nm=1550)
    laser.service_due_on, laser.limits = AT.date(), {"energy": [1, 70]}
    insert([laser])
    visit = Appointment(patient=ana, type=get_type(), location=place, practitioner=bo, course=course)
    visit.starts_at, visit.ends_at = utc("2026-11-24T10:00"), utc("2026-11-24T10:30")
    visit.booked_at, visit.changed_at, visit.changed_by_name, visit.form_key = AT, AT, "Bo", uuid.uuid4()
    insert([visit])
    insert([Claim(appointment=visit, resource=bo.resource, period=(visit.starts_at, visit.ends_at))])

    assert told(laser) == {name: getattr(laser, name) for name in told(laser)}
    assert told(visit) == {name: getattr(visit, name) for name in told(visit)}
    period = visit.claims.get().period
    assert (period.lower, period.upper - period.lower, period.bounds) == (
        visit.starts_at,
        timedelta(minutes=30),
        "[)",
    )


def test_what_the_database_refuses_stays_refused():
    place = make_location()
    name = place.rooms.values_list("name", flat=True)[0]

    with pytest.raises(IntegrityError, match="room_named_once_per_location"), transaction.atomic():
        insert([Room(location=place, name="Room 9"), Room(location=place, name=name)])

    assert not place.rooms.filter(name="Room 9").exists()
