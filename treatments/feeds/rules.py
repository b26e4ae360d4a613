"""What leaves the house as a calendar or a table: which days, and cells that are no formula. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import timedelta

from patients.registry.rules import calling_code

# How far back and ahead a calendar shows visits.
BACK, AHEAD = timedelta(days=14), timedelta(days=180)
MOST_DAYS = 366
# Spreadsheets read a cell that begins with one of these as something to work out; the wide ones too, where the
# keyboard writes them.
_LIVE = frozenset("=+-@\t\r\n|%＝＋－＠")
BOM = "\ufeff"  # tells spreadsheets that the letters are UTF-8


def safe_cell(text: str) -> str:
    """Return the text as a cell that is only ever text: one that could be a formula gets an apostrophe before it."""
    return f"'{text}" if text[:1] in _LIVE or text.lstrip()[:1] in _LIVE else text


def phone_cell(number: str) -> str:
    """Return an international number so that it can be read and dialled, and is no sum: (+44) 7700900123."""
    if not number.startswith("+"):
        return safe_cell(number)
    code = calling_code(number)
    return f"(+{code}) {number[len(code) + 1 :]}"


def csv_lines(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield each row as a line of CSV (RFC 4180). Cells are expected to be safe already."""
    line = io.StringIO()
    writer = csv.writer(line)
    yield BOM
    for row in rows:
        writer.writerow(row)
        yield line.getvalue()
        line.seek(0)
        line.truncate()
