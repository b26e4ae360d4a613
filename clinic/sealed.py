"""A JSON column encrypted at rest. False, 0, "" and null stay four different things; tampering is an error."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class SealBroken(Exception):
    """The stored text was altered, or was sealed with a key this installation does not have."""


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def seal(value: object) -> str:
    """Return the value as JSON, encrypted with the newest of `FIELD_KEYS`."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return _box(tuple(settings.FIELD_KEYS)).encrypt(text.encode()).decode()


def unseal(token: str) -> Any:
    """Return the value sealed earlier. Raises SealBroken; never returns the cipher text as if it were data."""
    try:
        return json.loads(_box(tuple(settings.FIELD_KEYS)).decrypt(token.encode()))
    except InvalidToken:
        raise SealBroken("A sealed value could not be opened: it was altered, or its key is missing.") from None


if TYPE_CHECKING:

    class _Text(models.TextField[Any, Any]):
        """A text column to the database, any JSON value to Python."""

        _pyi_private_set_type: Any
        _pyi_private_get_type: Any
else:
    _Text = models.TextField


class SealedJSONField(_Text):
    """Holds any JSON value, encrypted. SQL NULL is None only where `null=True`; a sealed null is None too."""

    def get_prep_value(self, value: Any) -> Any:
        if value is None and self.null:
            return None
        return seal(value)

    def from_db_value(self, value: Any, expression: object, connection: object) -> Any:
        return None if value is None else unseal(value)

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return json.dumps(self.value_from_object(obj))

    def get_lookup(self, lookup_name: str) -> Any:
        # Equal values never seal to equal texts, so a comparison would silently find nothing.
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None
