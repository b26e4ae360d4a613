"""Keeps out of every log line what lets somebody in, or says who is a patient here.

Links and feeds, whose address is a way in; addresses and numbers of people; and the rows that a database shows with
its refusals, which may be anything that was ever written down of anybody.
"""

from __future__ import annotations

import logging
import re

_TOKEN = re.compile(r"(/[lf]/)[^/\s?#\"']+")
_EMAIL = re.compile(r"[^\s<>()\[\]\",;:=&?/@]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?:\+|%2[bB])[1-9]\d{5,14}\b")
# A row may hold lines of its own: it ends where the next heading of the database or of the traceback begins.
_ROW = re.compile(
    r"(DETAIL:).*?(?=\n(?:CONTEXT|HINT|QUERY|LOCATION):|\n\n(?:The above|During handling)|\n\S*Error:|\Z)", re.DOTALL
)


class Masked(logging.Formatter):
    """Each line as a handler writes it, its traceback included, with … where something stood that nobody may read."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def masked(said: str) -> str:
    """Return the text without tokens, addresses, numbers and database rows."""
    for pattern, instead in ((_ROW, r"\1 …"), (_TOKEN, r"\1…"), (_EMAIL, "…@…"), (_PHONE, "+…")):
        said = pattern.sub(instead, said)
    return said
