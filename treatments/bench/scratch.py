"""A database of the benchmarks' own: made, filled with what a clinic starts with, dropped. Never the clinic's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from celery import current_app
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from clinic.standalone import postgres

NAME = "afterglow_bench"


class ScratchRefused(Exception):
    """The scratch database cannot be had; the sentence says why."""


@dataclass(frozen=True)
class Scratch:
    """Where the scratch database is; Django's default connection leads there meanwhile."""

    server: str
    name: str

    def url(self) -> str:
        """Return the URL of the database, for another process."""
        parts = {**conninfo_to_dict(self.server), "dbname": self.name}
        user, host = parts.get("user", "postgres"), parts.get("host", "")
        password = f":{parts['password']}" if parts.get("password") else ""
        where = f"{host}:{parts['port']}" if parts.get("port") and not str(host).startswith("/") else host
        if str(host).startswith("/"):
            return f"postgresql://{user}{password}@/{parts['dbname']}?host={host}"
        return f"postgresql://{user}{password}@{where}/{parts['dbname']}"

    @contextmanager
    def copy(self, word: str) -> Iterator[Scratch]:
        """Yield a second database with the same content, for as long as the block runs; nobody may use the first."""
        connection.close()
        copy = Scratch(self.server, f"{self.name}_{word}")
        with self._admin() as admin:
            admin.execute(_drop(copy.name))
            names = sql.Identifier(copy.name), sql.Identifier(self.name)
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        try:
            yield copy
        finally:
            self.use()
            copy.drop()

    def drop(self) -> None:
        """The database is gone."""
        with self._admin() as admin:
            admin.execute(_drop(self.name))

    def use(self) -> None:
        """Django's default connection leads to this database."""
        _lead_to(make_conninfo(self.server, dbname=self.name))

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server, autocommit=True)


@contextmanager
def scratch_database(database_url: str = "", name: str = NAME) -> Iterator[Scratch]:
    """A migrated database with the shipped knowledge, for as long as the block runs.

    On the server of `database_url`; without one, on an embedded PostgreSQL in a folder that is thrown away. Raises
    ScratchRefused where the URL itself names it, or somebody is connected to it.
    """
    with _server(database_url, name) as server:
        before = dict(connections["default"].settings_dict)
        scratch = Scratch(server, name)
        _create(scratch)
        try:
            scratch.use()
            with _ringing_nobody():
                call_command("migrate", verbosity=0, interactive=False)
                call_command("load_knowledge", verbosity=0)
                yield scratch
        finally:
            connections["default"].close()
            connections["default"].settings_dict.clear()
            connections["default"].settings_dict.update(before)
            scratch.drop()


@contextmanager
def _server(database_url: str, name: str) -> Iterator[str]:
    """Yield how to reach the server's own maintenance database."""
    if database_url:
        if conninfo_to_dict(database_url).get("dbname") == name:
            raise ScratchRefused(f"DATABASE_URL names “{name}”, which the benchmarks create and drop.")
        yield make_conninfo(database_url, dbname="postgres")
        return
    folder = Path(tempfile.mkdtemp(prefix="afterglow-bench-"))
    try:
        yield make_conninfo(postgres.start(folder / "postgres"))
    finally:
        postgres.stop(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)


def _create(scratch: Scratch) -> None:
    with scratch._admin() as admin:
        busy = admin.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", [scratch.name]).fetchone()
        if busy:
            raise ScratchRefused(f"Somebody is connected to “{scratch.name}”: another benchmark runs on this server.")
        admin.execute(_drop(scratch.name))
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(scratch.name)))


def _drop(name: str) -> sql.Composed:
    return sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))


def _lead_to(conninfo: str) -> None:
    parts = conninfo_to_dict(conninfo)
    default = connections["default"]
    default.close()
    options = {key: value for key, value in default.settings_dict["OPTIONS"].items() if key != "pool"}
    default.settings_dict.update(
        NAME=parts["dbname"],
        USER=parts.get("user", ""),
        PASSWORD=parts.get("password", ""),
        HOST=parts.get("host", ""),
        PORT=str(parts.get("port", "")),
        OPTIONS=options,
        CONN_MAX_AGE=None,
    )


@contextmanager
def _ringing_nobody() -> Iterator[None]:
    """Doorbells go nowhere meanwhile: the clinic's own workers must not hear of made-up messages."""
    conf = current_app.conf
    before = {"broker_url": conf.broker_url, "broker_transport_options": conf.broker_transport_options}
    conf.update(broker_url="memory://", broker_transport_options={})
    try:
        yield
    finally:
        conf.update(before)
