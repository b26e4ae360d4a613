"""What a sweep asks is answered by small indexes of what waits, however many messages were sent in years past."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from patients.messaging.claiming import sweep
from patients.messaging.models import Message
from patients.messaging.queries import sender_state
from tests.factories.letters import plan_message
from tests.factories.people import NOW

SENT = """
INSERT INTO patients_message ({names}) SELECT {values}
FROM patients_message AS t CROSS JOIN generate_series(1, 5000) AS n
"""
OWN = {
    "ref": "gen_random_uuid()",
    "about": "'past:' || n",
    "status": "'sent'",
    "try_at": "t.try_at - n * interval '1 minute'",
    "sent_at": "t.try_at - n * interval '1 minute'",
}


@pytest.fixture
def history(ana):
    """Five thousand messages were sent, and one waits."""
    plan_message(ana, due_at=NOW + timedelta(days=1))
    names = [field.column for field in Message._meta.concrete_fields if not field.primary_key]
    with connection.cursor() as cursor:
        cursor.execute(SENT.format(names=", ".join(names), values=", ".join(OWN.get(n, f"t.{n}") for n in names)))
        cursor.execute("ANALYZE patients_message")


def plans(look):
    """Return how PostgreSQL finds the rows of each statement of `look` that reads messages."""
    with CaptureQueriesContext(connection) as caught:
        look()
    statements = [query["sql"] for query in caught if "patients_message" in query["sql"]]
    with connection.cursor() as cursor:
        found = []
        for each in statements:
            cursor.execute("EXPLAIN " + each.replace("%", "%%"), [])
            found.append("\n".join(line for (line,) in cursor.fetchall()))
    return found


@pytest.mark.usefixtures("history")
def test_a_sweep_finds_what_is_due_and_whose_lease_is_over_by_the_partial_indexes():
    found = plans(lambda: sweep(NOW, 100))

    for index in ("message_due", "message_alarm_due", "message_leased"):
        assert any(index in plan for plan in found), found
    assert not any("Seq Scan on patients_message" in plan for plan in found), found


@pytest.mark.usefixtures("history")
def test_how_the_sender_is_doing_is_answered_by_the_same_index():
    found = plans(lambda: sender_state(NOW))

    assert all("message_due" in plan for plan in found), found
