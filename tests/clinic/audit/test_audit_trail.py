import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from clinic.audit.actions import record
from clinic.audit.models import AuditEvent
from clinic.audit.queries import walk_chain
from clinic.audit.states import Actor

BO = Actor.command("test")


def write(action="test.done"):
    with transaction.atomic():
        return record(action=action, subject="thing:1", by=BO, at=timezone.now(), note='é "quoted"')


@pytest.mark.django_db
@pytest.mark.django_db(transaction=True)
def test_each_event_is_linked_and_the_chain_verifies():
    for _ in range(3):
        write()

    report = walk_chain()

    assert (report.events, report.broken) == (3, "")


@pytest.mark.django_db(transaction=True)
def test_record_outside_a_transaction_is_refused():
    with pytest.raises(RuntimeError, match="outside a transaction"):
        record(action="test.done", subject="thing:1", by=BO, at=timezone.now())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE clinic_auditevent SET action = 'other'",
        "DELETE FROM clinic_auditevent",
        "TRUNCATE clinic_auditevent",
        "UPDATE clinic_auditlink SET digest = ''",
        "DELETE FROM clinic_auditlink",
    ],
)
def test_the_database_refuses_to_rewrite_the_trail(statement):
    write()

    with pytest.raises(IntegrityError, match="refused"), connection.cursor() as cursor:
        cursor.execute(statement)

    assert AuditEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE clinic_auditevent SET action = 'other' WHERE id = {second}", "event {second} was altered"),
        ("DELETE FROM clinic_auditevent WHERE id = {second}", "event {second} was deleted"),
        ("DELETE FROM clinic_auditlink WHERE event_id = {third}", "event {third} was slipped in"),
        (
            "DELETE FROM clinic_auditlink WHERE event_id = {third}; DELETE FROM clinic_auditevent WHERE id = {third}",
            "the end of the chain, from link 3, was cut off",
        ),
    ],
)
def test_what_an_owner_with_triggers_off_does_is_found(tampering, found):
    first, second, third = (write().pk for _ in range(3))
    ids = {"first": first, "second": second, "third": third}
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(tampering.format(**ids))
        cursor.execute("SET session_replication_role = origin")

    assert found.format(**ids) in walk_chain().broken
