"""Statements of our own run on Django's connection, with their values beside them."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from clinic.prepared import Prepared
from clinic.statements import columns, run

pytestmark = pytest.mark.django_db


def test_values_come_back_as_they_were():
    ref, at = uuid4(), datetime(2026, 11, 23, 10, tzinfo=UTC)

    rows = run(
        "SELECT * FROM unnest(%(refs)b::uuid[], %(times)b::timestamptz[], %(words)b::text[], %(numbers)b::bigint[])",
        refs=[ref, None], times=[at, None], words=["it's 5 % of {\"a\"}", ""], numbers=[2**40, None],
    )  # fmt: skip

    assert rows == [(ref, at, 'it\'s 5 % of {"a"}', 2**40), (None, None, "", None)]


def test_a_statement_belongs_to_the_transaction_around_it():
    with transaction.atomic():
        run("CREATE TEMPORARY TABLE here_for_a_moment (id int)")
        transaction.set_rollback(True)

    assert run("SELECT to_regclass('here_for_a_moment')") == [(None,)]


@pytest.mark.django_db(transaction=True)
def test_after_a_rollback_what_was_prepared_is_still_there():
    """psycopg drops all of a connection's prepared statements with its own, if it has any."""
    prepared = Prepared("still_there", "SELECT %(number)s + 1", number="int")
    for _ in range(2):
        with transaction.atomic():
            run("SELECT %(number)s + 1", number=1)
            with connection.cursor() as cursor:
                cursor.execute(prepared.ready(), {"number": 41})
                assert cursor.fetchone() == (42,)
            transaction.set_rollback(True)


def test_what_the_database_refuses_is_raised_as_django_raises_it():
    with pytest.raises(IntegrityError), transaction.atomic():
        run("INSERT INTO patients_senderpulse (id, swept_at, claimed) VALUES (2, now(), 0)")

    assert connection.is_usable()


def test_whoever_counts_statements_counts_these_too_with_their_values(django_assert_num_queries):
    with django_assert_num_queries(1) as counted:
        run("SELECT unnest(%(keys)b::bigint[])", keys=[1, 2])

    with connection.cursor() as cursor:
        cursor.execute(counted[0]["sql"])
        assert cursor.fetchall() == [(1,), (2,)]


def test_rows_become_columns():
    assert columns([(1, "a"), (2, "b")]) == [[1, 2], ["a", "b"]]
