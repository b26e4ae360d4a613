"""New rows in one statement: its text is the same however many they are."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.expressions import DatabaseDefault
from psycopg.types.json import Jsonb


def insert(rows: Sequence[models.Model]) -> None:
    """These new rows of one model are stored in this order, and each knows its key. No signal is sent.

    The values travel as one JSON text. `save` and `bulk_create` write a placeholder a value, and for the rows of a
    booking, which others wait for, building and reading that statement cost three times as much as the rows.
    """
    if not rows:
        return
    model = rows[0]._meta
    fields = [field for field in model.concrete_fields if _is_given(rows[0], field)]
    names = ", ".join(str(field.column) for field in fields)
    told = model.db_returning_fields
    database = connections[DEFAULT_DB_ALIAS]
    statement = (
        f"INSERT INTO {model.db_table} ({names}) SELECT {names}"  # noqa: S608 - our own tables and columns
        f" FROM json_populate_recordset(NULL::{model.db_table}, %s)"
        f" RETURNING {', '.join(str(field.column) for field in told)}"
    )
    values = [
        {field.column: field.get_db_prep_save(getattr(row, field.attname), database) for field in fields}
        for row in rows
    ]
    with database.cursor() as cursor:
        cursor.execute(statement, [json.dumps(values, default=_as_json)])
        for row, answer in zip(rows, cursor.fetchall(), strict=True):
            for field, value in zip(told, answer, strict=True):
                setattr(row, field.attname, value)
            row._state.adding, row._state.db = False, database.alias


def _is_given(row: models.Model, field: models.Field[object, object]) -> bool:
    value = getattr(row, field.attname)
    return not isinstance(value, DatabaseDefault) and not (field.primary_key and value is None)


def _as_json(value: object) -> object:
    """Return what JSON has no form for as PostgreSQL reads it: as text."""
    if isinstance(value, bytes | memoryview):
        raise TypeError("Binary columns have no form in JSON.")
    return value.obj if isinstance(value, Jsonb) else str(value)
