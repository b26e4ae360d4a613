"""What the benchmarks stand on: a place with its people, and rows by the thousand, made in bulk."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection, models

from clinic.premises.models import Location, OpeningHours, Resource, Room
from clinic.staff.models import Practitioner, User
from patients.registry.models import Patient
from patients.registry.rules import search_texts

FOLDER = str(Path(settings.BASE_DIR))
# A Monday morning, no clock change within a month: every run looks at the same days.
AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ZONE = "Europe/London"
CHANCE = 20261121
_FAMILY = ["Abara", "Bennett", "Castell", "Duarte", "Eklund", "Farahani", "Grant", "Haddad", "Ibarra", "Jansen",
           "Keller", "Lindgren", "Marchetti", "Nwosu", "Okafor", "Park", "Quist", "Reyes", "Sato", "Tan", "Ueda",
           "Vogel", "Whitfield", "Xu", "Yilmaz", "Zeman"]  # fmt: skip
_GIVEN = ["Ana", "Bo", "Chloe", "Dina", "Elif", "Femi", "Grace", "Hana", "Ines", "Jo", "Kai", "Leila", "Maya", "Nils",
          "Omar", "Priya", "Rosa", "Sofia", "Tom", "Zoe"]  # fmt: skip


def backend_pid() -> list[int]:
    """Return the process of our database backend if it runs on this machine, else nothing."""
    host = connection.settings_dict["HOST"]
    if host and not host.startswith("/") and host not in {"localhost", "127.0.0.1", "::1"}:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return [cursor.fetchone()[0]]


def run(statement: str, **given: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, none if it returns none."""
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return list(cursor.fetchall()) if cursor.description else []


def settle() -> None:
    """The planner knows what the tables hold, and no vacuum is left to do in the middle of a measurement."""
    run("VACUUM (ANALYZE)")
    run("CHECKPOINT")


@contextmanager
def bare(table: str) -> Iterator[None]:
    """The table has its key alone and no other index while the block fills it: millions of rows go in far faster."""
    constraints = run(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = %(table)s::regclass AND contype IN ('f', 'u') ORDER BY contype DESC",
        table=table,
    )
    indexes = run(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index AS i"
        " WHERE indrelid = %(table)s::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        table=table,
    )
    for name, _ in constraints:
        run(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        run(f"DROP INDEX {name}")
    yield
    run("SET maintenance_work_mem = '1GB'")
    for _, definition in indexes:
        run(definition)
    for name, definition in constraints:
        run(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')


def make_place(name: str, practitioners: int = 10, rooms: int = 10) -> Location:
    """A location open Monday to Saturday 09:00 to 18:00, with as many people and rooms."""
    location = Location.objects.create(
        name=name,
        address="1 Bench Street, London",
        time_zone=ZONE,
        phone="+442079460000",
        emergency_number="999",
        out_of_hours="Call +44 20 7946 0001.",
    )
    _open(location, None)
    for number in range(practitioners):
        practitioner = Practitioner.objects.create(name=f"{name} practitioner {number:02}")
        Resource.objects.create(practitioner=practitioner)
        _open(location, practitioner)
    for number in range(rooms):
        Resource.objects.create(room=Room.objects.create(location=location, name=f"Room {number:02}"))
    return location


def _open(location: Location, practitioner: Practitioner | None) -> None:
    OpeningHours.objects.bulk_create(
        OpeningHours(location=location, practitioner=practitioner, weekday=day, opens=time(9), closes=time(18))
        for day in range(6)
    )


def make_staff(location: Location, email: str, *, role: str = "front_desk") -> User:
    """Somebody of the desk, or of another role, who works at the location."""
    user = User.objects.create_user(email, None, name=email.partition("@")[0].title())
    user.groups.set(Group.objects.filter(name=role))
    location.staff.add(user)
    return user


def make_patients(location: Location, count: int) -> int:
    """So many patients of the location, with names as people have them; return the lowest key."""
    dice = random.Random(f"{CHANCE} {location.pk} {location.patients.count()}")  # noqa: S311 - no secrets
    endings = ["".join(letters) for letters in itertools.product("aeiou", "lmnrst", "aeiou")]
    first = run("SELECT coalesce(max(id), 0) + 1 FROM patients_patient")[0][0]
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY patients_patient (ref, given_name, family_name, known_as, born_on, location_id, language, time_zone,"
            " preferred_channel, do_not_contact, search_text, search_given, created_at) FROM STDIN"
        ) as copy,
    ):
        for number in range(count):
            given = dice.choice(_GIVEN) + dice.choice(endings)
            family = dice.choice(_FAMILY) + dice.choice(endings)
            copy.write_row(
                (f"{dice.getrandbits(128):032x}", given, family, "", date(1950, 1, 1) + timedelta(days=number % 20_000),
                 location.pk, "en", "", "email", False, *search_texts(given, family), AT)
            )  # fmt: skip
    return int(first)


def a_patient(location: Location) -> Patient:
    """One more patient of the location."""
    return Patient.objects.get(pk=make_patients(location, 1))


def reach_by_email(first: int, count: int) -> None:
    """Each of so many patients, from the first key on, has an email address of their own."""
    run(
        "WITH point AS (INSERT INTO patients_contactpoint (kind, value, created_at)"
        " SELECT 'email', 'p' || n || '@mail.example', %(at)s"
        " FROM generate_series(%(first)s::bigint, %(first)s + %(count)s - 1) AS n RETURNING id, value)"
        " INSERT INTO patients_patientcontact (patient_id, point_id, since_at)"
        " SELECT substring(value FROM 2 FOR position('@' IN value) - 2)::bigint, id, %(at)s FROM point",
        at=AT,
        first=first,
        count=count,
    )


def reach_by_phone(first: int, count: int) -> None:
    """Each of so many patients, from the first key on, has a mobile number of their own."""
    run(
        "WITH point AS (INSERT INTO patients_contactpoint (kind, value, created_at)"
        " SELECT 'phone', '+4470' || lpad(n::text, 8, '0'), %(at)s"
        " FROM generate_series(%(first)s::bigint, %(first)s + %(count)s - 1) AS n RETURNING id, value)"
        " INSERT INTO patients_patientcontact (patient_id, point_id, since_at)"
        " SELECT substring(value FROM 6)::bigint, id, %(at)s FROM point",
        at=AT,
        first=first,
        count=count,
    )


def copy_row(row: models.Model, count: int, **columns: str) -> None:
    """There are so many more rows like this one. `columns` gives SQL for those that differ; `n` counts from 1."""
    table = row._meta.db_table
    names = [str(field.column) for field in row._meta.local_concrete_fields if not field.primary_key]
    values = [columns.get(name, f't."{name}"') for name in names]
    run(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {table} AS t"  # noqa: S608 - our own
        " CROSS JOIN generate_series(1, %(count)s) AS n WHERE t.id = %(key)s",
        count=count,
        key=row.pk,
    )
