"""A table of visits from another calendar: which columns, and what a row must say. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

NEEDED = ("Date", "Time", "Visit", "Practitioner", "Family name", "First name", "Born")
MORE = ("Room", "Device", "Email", "Phone", "Note")


class TableUnreadable(ValueError):
    """The file as a whole is no table of visits; the message says what is wrong with it."""


class RowUnreadable(ValueError):
    """One row does not say what it must; the message names the column."""


@dataclass(frozen=True)
class Row:
    """One visit as the table has it; `starts` is the wall time at the place."""

    starts: datetime
    visit: str
    practitioner: str
    family_name: str
    first_name: str
    born_on: date
    room: str = ""
    device: str = ""
    email: str = ""
    phone: str = ""
    note: str = ""


def read_table(text: str) -> Iterator[tuple[int, Row | RowUnreadable]]:
    """Yield each row with the line it ends on. Columns are named as in our own export, in any order.

    Raises TableUnreadable, before the first row, for a file without the columns that are needed.
    """
    lines = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), restval="")
    try:
        headings = {name.strip().casefold(): name for name in lines.fieldnames or () if name}
    except csv.Error as error:
        raise TableUnreadable(f"This is no table: {error}.") from None
    absent = [name for name in NEEDED if name.casefold() not in headings]
    if absent:
        raise TableUnreadable(f"The first line names no column {', '.join(f'“{name}”' for name in absent)}.")
    return _rows(lines, {name: headings[name.casefold()] for name in NEEDED + MORE if name.casefold() in headings})


def _rows(lines: csv.DictReader[str], columns: Mapping[str, str]) -> Iterator[tuple[int, Row | RowUnreadable]]:
    for cells in lines:
        said = {name: _plain(cells[column] or "") for name, column in columns.items()}
        if not any(said.values()):
            continue
        try:
            yield lines.line_num, _row(said)
        except RowUnreadable as error:
            yield lines.line_num, error


def _plain(cell: str) -> str:
    """Return the cell without the apostrophe that keeps a spreadsheet from working it out."""
    cell = cell.strip()
    return cell[1:].strip() if cell.startswith("'") else cell


def _row(said: Mapping[str, str]) -> Row:
    for name in NEEDED:
        if not said[name] and name != "First name":  # some people have one name
            raise RowUnreadable(f"“{name}” is empty.")
    return Row(
        starts=datetime.combine(_date(said, "Date"), _time(said["Time"])),
        visit=said["Visit"],
        practitioner=said["Practitioner"],
        family_name=said["Family name"],
        first_name=said["First name"],
        born_on=_date(said, "Born"),
        room=said.get("Room", ""),
        device=said.get("Device", ""),
        email=said.get("Email", ""),
        phone=said.get("Phone", ""),
        note=said.get("Note", ""),
    )


def _date(said: Mapping[str, str], name: str) -> date:
    try:
        return date.fromisoformat(said[name])
    except ValueError:
        raise RowUnreadable(f"“{name}” is no date like 2026-12-07: {said[name][:40]}.") from None


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a wall time has no zone yet
    except ValueError:
        raise RowUnreadable(f"“Time” is no time like 14:30: {text[:40]}.") from None
