"""A visit as a calendar file (RFC 5545), and until when its patient may change it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from treatments.booking.rules import grid

PRODUCT = "-//Afterglow//Visits//EN"
LINE_OCTETS = 75
_ESCAPES = {"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"}


def is_in_time(starts_at: datetime, notice_hours: int, at: datetime) -> bool:
    """Return True while the visit is at least the clinic's notice away."""
    return at + timedelta(hours=notice_hours) <= starts_at


# By when the desk should have seen what a patient changed alone: the clinic's decision.
SEEN_WITHIN = timedelta(hours=4)
# How far ahead people may book or move a visit by themselves, in days: the clinic's decision.
OFFERED_DAYS = 30


def offered_days(zone: ZoneInfo, at: datetime) -> tuple[date, date]:
    """Return the first and last local day on which people may choose a time by themselves."""
    today = at.astimezone(zone).date()
    return today, today + timedelta(days=OFFERED_DAYS - 1)


def is_choosable(starts_at: datetime, notice_hours: int, zone: ZoneInfo, at: datetime) -> bool:
    """Return True for a time people may ask for alone: on the grid, within the days offered, with the clinic's notice.

    Whether it is free is for booking to say.
    """
    day = starts_at.astimezone(zone).date()
    return (
        is_in_time(starts_at, notice_hours, at)
        and day <= offered_days(zone, at)[1]
        and starts_at.timestamp() in grid(day, day, zone)
    )


@dataclass(frozen=True)
class Person:
    """Somebody with an email address, as a calendar names them."""

    email: str
    name: str = ""


@dataclass(frozen=True)
class Entry:
    """One visit in a calendar. Its `uid` never changes and `sequence` grows with each move: the highest one counts."""

    uid: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    stamped_at: datetime
    summary: str
    place: str = ""
    description: str = ""
    is_cancelled: bool = False
    is_tentative: bool = False
    organizer: Person | None = None
    attendee: Person | None = None

    def __post_init__(self) -> None:
        if any(each.tzinfo is None for each in (self.starts_at, self.ends_at, self.stamped_at)):
            raise ValueError("A calendar's times are instants: with a time zone.")


def calendar_text(entries: Iterable[Entry], *, method: str = "", name: str = "") -> str:
    """Return the entries as one iCalendar file: UTC times, CRLF, lines folded at 75 octets.

    Instants in UTC need no table of clock changes, and every calendar shows them in its owner's zone.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODUCT}", "CALSCALE:GREGORIAN"]
    lines += [f"METHOD:{method}"] if method else []
    lines += [f"X-WR-CALNAME:{_text(name)}"] if name else []
    for entry in entries:
        lines += _event(entry)
    lines.append("END:VCALENDAR")
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _event(entry: Entry) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(entry.uid)}"
    yield f"SEQUENCE:{entry.sequence}"
    yield f"DTSTAMP:{_instant(entry.stamped_at)}"
    yield f"DTSTART:{_instant(entry.starts_at)}"
    yield f"DTEND:{_instant(entry.ends_at)}"
    yield f"SUMMARY:{_text(entry.summary)}"
    if entry.place:
        yield f"LOCATION:{_text(entry.place)}"
    if entry.description:
        yield f"DESCRIPTION:{_text(entry.description)}"
    yield f"STATUS:{_status(entry)}"
    if entry.organizer:
        yield f"ORGANIZER{_name(entry.organizer)}:mailto:{_address(entry.organizer)}"
    if entry.attendee:
        # Nobody reads replies to an invitation: the link in the letter says whether the patient comes.
        yield f"ATTENDEE{_name(entry.attendee)};ROLE=REQ-PARTICIPANT;RSVP=FALSE:mailto:{_address(entry.attendee)}"
    yield "CLASS:PRIVATE"
    yield "TRANSP:OPAQUE"
    yield "END:VEVENT"


def _status(entry: Entry) -> str:
    return "CANCELLED" if entry.is_cancelled else "TENTATIVE" if entry.is_tentative else "CONFIRMED"


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    """Return a value that cannot end its line or begin another property."""
    plain = "".join(sign for sign in value.replace("\r\n", "\n").replace("\r", "\n") if sign >= " " or sign == "\n")
    return "".join(_ESCAPES.get(sign, sign) for sign in plain)


def _name(person: Person) -> str:
    """Return the name as a quoted parameter; quotation marks and controls have no place in one."""
    clean = "".join(sign for sign in person.name if sign >= " " and sign not in '"\x7f')
    return f';CN="{clean}"' if clean else ""


def _address(person: Person) -> str:
    return "".join(sign for sign in person.email if sign > " " and sign not in '"<>\x7f')


def _folded(line: str) -> Iterator[str]:
    """Yield the line in parts of at most 75 octets; those after the first begin with a blank. No letter is split."""
    part, octets = "", 0
    for sign in line:
        width = len(sign.encode())
        if octets + width > LINE_OCTETS:
            yield part
            part, octets = " ", 1
        part, octets = part + sign, octets + width
    yield part
