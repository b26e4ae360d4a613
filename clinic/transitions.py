"""The only way a status changes: lock the row, check the table, save, record."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from django.db import models, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused

Row = TypeVar("Row", bound=models.Model)


class IllegalMove(Refused):
    """The row is in a state from which it cannot get where it was asked to go."""

    def __init__(self, row: models.Model, now: str, wanted: str) -> None:
        self.now, self.wanted = now, wanted
        super().__init__(f"This {row._meta.verbose_name} is already “{_label(row, now)}”.")


def _label(row: models.Model, value: str) -> str:
    field = row._meta.get_field("status")
    assert isinstance(field, models.Field)
    return str(dict(field.flatchoices).get(value, value)).lower()


def lock(row: Row) -> Row:
    """Return the row as it stands now, locked until the transaction ends. The object passed in is left alone.

    FOR NO KEY UPDATE: foreign keys pointing here never wait, so two acts cannot deadlock over a parent.
    """
    return type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)


def move(row: Row, to: str, *, by: Actor, at: datetime, reason: str = "", **fields: object) -> Row:
    """The row's status is `to`, its named fields are saved and the audit trail says so. Returns the fresh row.

    The model's `TRANSITIONS` maps each status to the set of statuses it may move to. Raises IllegalMove if the table
    does not list this one, RuntimeError outside a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("move() outside a transaction.")
    fresh = lock(row)
    now: str = fresh.status  # type: ignore[attr-defined]
    if to not in fresh.TRANSITIONS[now]:  # type: ignore[attr-defined]
        raise IllegalMove(fresh, now, to)
    fresh.status = to  # type: ignore[attr-defined]
    for name, value in fields.items():
        setattr(fresh, name, value)
    fresh.save(update_fields=["status", *fields])
    record(action=f"{fresh._meta.model_name}.{to}", subject=fresh, by=by, at=at, was=now, reason=reason)
    return fresh
