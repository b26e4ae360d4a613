"""Statements that the database reads and plans once for each connection, and not anew each time they are asked."""

from __future__ import annotations

from weakref import WeakSet

import psycopg
from django.db import connection


class Prepared:
    """A statement with named values, `%(day)s`, and the type of each. For large ones that are asked while others wait.

    Planning them anew cost the database several times what running them does. Needs connections that stay one's own:
    a pooler that hands them on between transactions would have to be told of prepared statements.
    """

    def __init__(self, name: str, statement: str, **types: str) -> None:
        places = {value: f"${number}" for number, value in enumerate(types, start=1)}
        self._prepare = f"PREPARE {name} ({', '.join(types.values())}) AS {statement % places}"
        self._execute = f"EXECUTE {name} ({', '.join(f'%({value})s' for value in types)})"
        self._told: WeakSet[psycopg.Connection[object]] = WeakSet()

    def ready(self) -> str:
        """Return what asks for it on Django's connection, which has been told of it by then."""
        connection.ensure_connection()
        if connection.connection not in self._told:
            with connection.cursor() as cursor:
                cursor.execute(self._prepare)
            self._told.add(connection.connection)
        return self._execute
