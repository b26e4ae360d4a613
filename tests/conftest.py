"""The suite's own house: a database, clean rows, people and places to start from."""

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import psycopg
import pytest
import time_machine
from django.core.cache import cache
from django.db import connection, connections

from clinic.settings import database
from clinic.standalone import postgres as embedded

EMBEDDED = pytest.StashKey[Path]()

# A busy machine is slow, not wrong. The same examples each time, so that what is red stays red; `explore` draws others.
_slow = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=_slow, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, suppress_health_check=_slow)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

# Rows that migrations and knowledge files put there; they outlive a test that really commits.
REFERENCE = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
    "clinic_modality",
    "clinic_bodyarea",
    "clinic_concern",
    "clinic_appointmenttype",
    "clinic_rulepack",
    "patients_consentwording",
}


def pytest_configure(config):
    """Bring a PostgreSQL of our own unless one is named. The workers of a parallel run share it."""
    if os.environ.get("DATABASE_URL"):
        return
    folder = Path(tempfile.mkdtemp(prefix="afterglow-tests-")) / "postgres"
    url = embedded.start(folder)
    with psycopg.connect(url, autocommit=True) as raw:
        # Nothing here has to survive a power cut.
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            raw.execute(f"ALTER SYSTEM SET {setting}")
        raw.execute("SELECT pg_reload_conf()")
    config.stash[EMBEDDED] = folder
    os.environ["DATABASE_URL"] = embedded.url_for(url, database="postgres")
    connections["default"].settings_dict.update(database(os.environ["DATABASE_URL"]))


def pytest_unconfigure(config):
    shutil.rmtree(os.environ["AFTERGLOW_DATA"], ignore_errors=True)
    folder = config.stash.get(EMBEDDED, None)
    if folder is not None:
        embedded.stop(folder)
        shutil.rmtree(folder.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The test database also holds the knowledge that every clinic starts with."""
    with django_db_blocker.unblock():
        from django.core.management import call_command

        call_command("load_knowledge", verbosity=0)
        wipe()


def wipe() -> None:
    """Every row that a test committed is gone; reference rows stay. Triggers and keys sleep meanwhile."""
    with connection.cursor() as cursor:
        tables = [table for table in connection.introspection.table_names(cursor) if table not in REFERENCE]
        cursor.execute("SET session_replication_role = replica")
        for table in tables:
            if table == "clinic_audithead":
                cursor.execute("UPDATE clinic_audithead SET seq = 0, digest = ''::bytea")
            else:
                cursor.execute(f'DELETE FROM "{table}"')
        cursor.execute("SET session_replication_role = origin")


@pytest.fixture
def on_a_monday_at_ten():
    """The clock of this process stands at NOW: for tests whose fixed days meet pages, which read the clock."""
    from tests.factories.people import NOW

    with time_machine.travel(NOW, tick=False) as travelling:
        yield travelling


@pytest.fixture(autouse=True)
def _nothing_is_counted_yet():
    """How often somebody tried is counted per process: no test uses up the tries of another."""
    cache.clear()


@pytest.fixture(autouse=True, scope="session")
def _flush_by_wiping():
    """A test that really commits is cleaned by deleting rows: the audit trail refuses TRUNCATE, as it should."""
    from django.test import TransactionTestCase

    original = TransactionTestCase._fixture_teardown
    TransactionTestCase._fixture_teardown = lambda self: wipe()
    yield
    TransactionTestCase._fixture_teardown = original
