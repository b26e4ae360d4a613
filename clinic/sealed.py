"""A JSON column encrypted at rest. False, 0, "" and null stay four different things; tampering is an error.

AES-256-GCM under a key derived from each of `FIELD_KEYS`, with a random nonce: good for four billion values a key. What
earlier versions sealed as Fernet tokens is still opened.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models

_NONCE = 12  # bytes
_SEALED, _FERNET = "1", "gAAAA"  # how tokens begin
_as_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


class SealBroken(Exception):
    """The stored text was altered, or was sealed with a key this installation does not have."""


@lru_cache(maxsize=4)
def _boxes(keys: tuple[str, ...]) -> tuple[AESGCM, ...]:
    return tuple(AESGCM(HKDF(SHA256(), 32, None, b"afterglow fields").derive(urlsafe_b64decode(key))) for key in keys)


@lru_cache(maxsize=4)
def _former_box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def seal(value: object) -> str:
    """Return the value as JSON, encrypted with the newest of `FIELD_KEYS`."""
    nonce = os.urandom(_NONCE)
    sealed = _boxes(tuple(settings.FIELD_KEYS))[0].encrypt(nonce, _as_json(value).encode(), None)
    return _SEALED + urlsafe_b64encode(nonce + sealed).decode()


def unseal(token: str) -> Any:
    """Return the value sealed earlier. Raises SealBroken; never returns the cipher text as if it were data."""
    return json.loads(_opened(token))


def _opened(token: str) -> bytes:
    keys = tuple(settings.FIELD_KEYS)
    try:
        if token.startswith(_FERNET):
            return _former_box(keys).decrypt(token.encode())
        raw = b64decode(token[len(_SEALED) :], altchars=b"-_", validate=True) if token.startswith(_SEALED) else b""
        for box in _boxes(keys):
            try:
                return box.decrypt(raw[:_NONCE], raw[_NONCE:], None)
            except InvalidTag:
                continue
    except (InvalidToken, ValueError):  # not even the shape of a token
        pass
    raise SealBroken("A sealed value could not be opened: it was altered, or its key is missing.")


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
