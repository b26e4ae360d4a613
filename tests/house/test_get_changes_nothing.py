"""GET never acts: whoever opens, previews or scans an address, no row changes but the trail of the look itself."""

import pytest
from django.db import connection

from clinic.staff.states import Role
from tests.house.inhabited import ANONYMOUS
from tests.house.test_urls import LINES, PATIENTS, url_of

# A look leaves its own trace, and a session remembers what this browser opened.
TRACES = {"clinic_auditevent", "clinic_auditlink", "clinic_audithead", "django_session"}


def all_rows():
    """Return for each table how many rows it holds and a sum over their hashes."""
    with connection.cursor() as cursor:
        found = {}
        for table in sorted(set(connection.introspection.table_names(cursor)) - TRACES):
            cursor.execute(f'SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM "{table}" AS t')
            found[table] = cursor.fetchone()
    return found


def touched_by(client, house, lines):
    """Return which addresses change which tables when asked by GET, HEAD and htmx."""
    wrong, urls = {}, {line.name: url_of(line, house) for line in lines}
    before = all_rows()
    for name, url in urls.items():
        client.get(url)
        client.head(url)
        client.get(url, headers={"HX-Request": "true"})
        after = all_rows()
        if after != before:
            wrong[name] = [table for table in after if after[table] != before[table]]
        before = after
    return wrong


@pytest.mark.parametrize("person", [ANONYMOUS, *Role])
def test_looking_changes_no_row(house, person):
    assert touched_by(house.client(person), house, LINES) == {}


def test_a_patient_looking_changes_no_row(house):
    client = house.patients_client(*house.links.values())

    assert touched_by(client, house, PATIENTS) == {}


def test_the_sum_sees_a_change(house):
    before = all_rows()
    house.patient.known_as = "Annie"
    house.patient.save(update_fields=["known_as"])

    assert [table for table, rows in all_rows().items() if rows != before[table]] == ["patients_patient"]
