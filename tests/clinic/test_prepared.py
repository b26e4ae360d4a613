"""The database is told of a large statement once for each connection."""

from datetime import date

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from clinic.prepared import Prepared

pytestmark = pytest.mark.django_db


@pytest.fixture
def later():
    """A statement of its own for each test: connections outlive them."""
    statement = Prepared(
        "later", "SELECT %(day)s + %(days)s, %(day)s, %(keys)s IS NULL", day="date", days="int", keys="bigint[]"
    )
    yield statement
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE later")


def ask(statement, **given):
    with connection.cursor() as cursor:
        cursor.execute(statement.ready(), given)
        return cursor.fetchall()


def test_it_answers_with_the_values_of_each_time(later):
    first = ask(later, day=date(2026, 2, 28), days=1, keys=None)
    second = ask(later, days=2, keys=[1, 2], day=date(2026, 12, 30))

    assert first == [(date(2026, 3, 1), date(2026, 2, 28), True)]
    assert second == [(date(2027, 1, 1), date(2026, 12, 30), False)]


def test_it_is_planned_once_also_when_what_was_done_meanwhile_is_undone(later):
    with CaptureQueriesContext(connection) as asked:
        with transaction.atomic():
            ask(later, day=date(2026, 1, 1), days=1, keys=[])
            transaction.set_rollback(True)
        ask(later, day=date(2026, 1, 1), days=2, keys=[])

    told = [each["sql"].split()[0] for each in asked if "SAVEPOINT" not in each["sql"]]
    assert told == ["PREPARE", "EXECUTE", "EXECUTE"]


def test_what_waits_in_one_breath_with_it_comes_first(later):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1;" + later.ready(), {"day": date(2026, 1, 1), "days": 1, "keys": None})
        first = cursor.fetchall()
        cursor.nextset()
        second = cursor.fetchall()

    assert (first, second) == ([(1,)], [(date(2026, 1, 2), date(2026, 1, 1), True)])


@pytest.mark.django_db(transaction=True)
def test_another_connection_is_told_anew(later):
    given = {"day": date(2026, 1, 1), "days": 1, "keys": None}
    before = ask(later, **given)

    connection.close()

    assert ask(later, **given) == before
