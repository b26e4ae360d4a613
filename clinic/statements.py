"""Statements of our own that carry many rows at once: their values travel beside them, not in them."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

import psycopg
from django.db import connection

Row = tuple[Any, ...]


def run(statement: str, **given: object) -> list[Row]:
    """Return what a statement returns, on Django's connection and in its transaction; nothing for one without rows.

    Django writes values into the text of a statement, which the server must then read: for a hundred letters that cost
    more than storing them. psycopg does not prepare them: after a rollback it would drop every prepared statement of
    the connection, those of `clinic.prepared` too.
    """
    connection.ensure_connection()
    line: psycopg.Connection[Row] = connection.connection
    began = monotonic()
    with connection.wrap_database_errors, psycopg.Cursor(line) as cursor:
        cursor.execute(statement, given, prepare=False, binary=True)
        rows = cursor.fetchall() if cursor.description else []
    if connection.queries_logged:  # as Django does: whoever counts statements counts these too
        said = psycopg.ClientCursor(line).mogrify(statement, given)
        connection.queries_log.append({"sql": said, "time": f"{monotonic() - began:.3f}"})
    return rows


def columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    """Return rows as a list a column, as `unnest` takes them. There must be rows."""
    return [list(column) for column in zip(*rows, strict=True)]
