"""`manage.py bench` at its door: names, sizes, and a database of its own."""

import json
import os
import subprocess
import sys

import psycopg
import pytest
from celery import current_app
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, connections
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from treatments.bench.benches import BENCHES
from treatments.bench.scratch import NAME, ScratchRefused, scratch_database

pytestmark = pytest.mark.timeout(1200)  # each migrates a database of its own


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(CommandError, match="There is no bench “speed”") as refused:
        call_command("bench", "speed")

    assert refused.value.returncode == 2
    assert all(name in str(refused.value) for name in BENCHES)


@pytest.mark.parametrize(("option", "value"), [("pairs", 4), ("size", 0)])
def test_too_few_pairs_and_no_data_are_refused(option, value):
    with pytest.raises(CommandError, match=f"--{option}: at least") as refused:
        call_command("bench", "screen", **{option: value})

    assert refused.value.returncode == 2


@pytest.fixture
def named(worker_id):
    """Workers of a parallel run share a server, so each has a scratch database of its own."""
    return f"{NAME}_{worker_id}"


@pytest.fixture
def outside(django_db_blocker):
    """These tests make their own database and leave the suite's alone."""
    with django_db_blocker.unblock():
        yield


def exists(name: str) -> bool:
    with psycopg.connect(make_conninfo(os.environ["DATABASE_URL"], dbname="postgres"), autocommit=True) as server:
        return server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def test_the_scratch_database_is_made_used_and_dropped(outside, named):
    before, bell = dict(connections["default"].settings_dict), current_app.connection_for_write().as_uri()

    with scratch_database(os.environ["DATABASE_URL"], named) as scratch:
        assert current_app.connection_for_write().as_uri().startswith("memory:")
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database(), (SELECT count(*) FROM clinic_rulepack)")
            database, packs = cursor.fetchone()
        assert (database, exists(named)) == (named, True)
        assert packs > 0
        assert conninfo_to_dict(scratch.url())["dbname"] == named

    assert exists(named) is False
    assert connections["default"].settings_dict == before
    assert current_app.connection_for_write().as_uri() == bell


def test_the_scratch_database_is_dropped_when_a_bench_fails(outside, named):
    with pytest.raises(ZeroDivisionError), scratch_database(os.environ["DATABASE_URL"], named):
        _ = 1 / 0

    assert exists(named) is False


def test_a_database_of_that_name_is_not_taken_from_those_who_use_it(outside, named):
    with scratch_database(os.environ["DATABASE_URL"], named):
        connection.ensure_connection()

        with pytest.raises(ScratchRefused, match="another benchmark"):
            scratch_database(os.environ["DATABASE_URL"], named).__enter__()


def test_a_clinic_whose_own_database_has_that_name_is_left_alone(named):
    url = make_conninfo(os.environ["DATABASE_URL"], dbname=named)

    with pytest.raises(ScratchRefused, match="DATABASE_URL names"):
        scratch_database(url, named).__enter__()


def test_without_a_server_it_brings_its_own_and_speaks_json(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "STATIC_ROOT"}}
    environment |= {"AFTERGLOW_DATA": str(tmp_path / "clinic"), "AFTERGLOW_MODE": "local"}

    done = subprocess.run(
        [sys.executable, "manage.py", "bench", "search", "--size", "40", "--json"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    document = json.loads(done.stdout)
    (bench,) = document["benches"]
    assert (bench["bench"], bench["size"]) == ("search", 40)
    by_name = {figure["figure"]: figure for figure in bench["figures"]}
    assert by_name["search"]["pairs"] == 5
    assert by_name["search.skips"]["value"] == 0
    assert not (tmp_path / "clinic").exists()  # the clinic's own folder was never needed


def test_a_stopped_run_leaves_nothing_behind(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "STATIC_ROOT"}}
    environment |= {"AFTERGLOW_MODE": "local", "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(
        [sys.executable, "manage.py", "bench", "search", "--size", "200000"],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = running.stdout.readline()  # the database stands: filling it takes a while

    running.terminate()
    _, said = running.communicate(timeout=200)

    assert first.startswith("search: 200,000")
    assert "Stopped. The scratch database is gone." in said
    assert running.returncode == 130
    assert list(tmp_path.glob("afterglow-bench-*")) == []
