"""Visits as the day's pages show them: a row each, with what is missing. Reads nothing, decides nothing."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from django.utils.translation import get_language, gettext_noop, override
from django.utils.translation import gettext as _

from clinic.catalogue.states import TREATING
from clinic.premises.models import Location
from treatments.booking.looks import LOOKS, Look
from treatments.booking.rules import clock_label
from treatments.booking.states import AppointmentStatus, Step
from treatments.today.queries import DayVisit

_S = AppointmentStatus
_OVER = frozenset({_S.FULFILLED, _S.CANCELLED, _S.NOSHOW})
# A day has few distinct times and each is shown often.
label_of_time = lru_cache(maxsize=4096)(clock_label)


class Mark(NamedTuple):
    """Something the desk should know of a visit, without any medical answer."""

    icon: str
    label: str
    tone: str


# Every sign there is, in the order in which a visit shows them; the legend lists the same. Labels are translated
# where they are shown.
MARKS: dict[str, Mark] = {
    "alert": Mark("alarms", gettext_noop("Alert: ask a clinician first"), "alarm"),
    "override": Mark("shield", gettext_noop("Booked past a rule"), "warn"),
    "online": Mark("enquiries", gettext_noop("Booked online"), "calm"),
    "intake": Mark("document", gettext_noop("Questionnaire missing"), "warn"),
    "review": Mark("review", gettext_noop("Waits for a clinician’s review"), "warn"),
    "decision": Mark("question", gettext_noop("No decision in force"), "alarm"),
    "consent": Mark("pen", gettext_noop("Consent missing"), "warn"),
    "photo": Mark("camera", gettext_noop("Photos missing"), "warn"),
    "first": Mark("leaf", gettext_noop("First visit"), "calm"),
}


class Line(NamedTuple):
    """A visit on the day's list."""

    visit: DayVisit
    name: str
    starts: str
    ends: str
    step: Step
    look: Look
    marks: tuple[Mark, ...]
    is_over: bool
    is_late: bool

    @property
    def is_treatment(self) -> bool:
        return self.visit.kind in TREATING


def name_of(visit: DayVisit, private: bool) -> str:
    """Return the patient's name, or initials while others can see the screen."""
    if not private:
        return visit.name
    return " ".join(f"{part[0]}." for part in (visit.given_name, visit.family_name) if part)


def lines_of(visits: Iterable[DayVisit], location: Location, at: datetime, *, private: bool) -> list[Line]:
    """Return the visits as rows of the day's list, in order."""
    return [line_of(visit, location, at, private=private) for visit in visits]


def line_of(visit: DayVisit, location: Location, at: datetime, *, private: bool) -> Line:
    """Return one visit as a row of the day's list."""
    zone, step = location.zone, visit.step
    return Line(
        visit=visit,
        name=name_of(visit, private),
        starts=label_of_time(visit.starts_at, zone),
        ends=label_of_time(visit.ends_at, zone),
        step=step,
        look=LOOKS[step],
        marks=marks_of(visit),
        is_over=visit.status in _OVER,
        is_late=visit.status == _S.BOOKED and visit.starts_at + timedelta(minutes=5) < at,
    )


def marks_of(visit: DayVisit) -> tuple[Mark, ...]:
    """Return what is missing or worth knowing of a visit; of one that is over only what stays true of it."""
    is_over, treats = visit.status in _OVER, visit.kind in TREATING
    shown = (
        (visit.has_alarm or visit.has_event_to_review) and not is_over,
        bool(visit.override_reason),
        visit.booked_online and not is_over,
        not (visit.has_answers or is_over),
        visit.has_open_flags and not is_over,
        treats and not (visit.is_cleared or is_over),
        treats and not (visit.has_consent or is_over),
        treats and not (visit.has_photos or is_over),
        not (visit.has_been_here or is_over),
    )
    return _worded(shown, get_language() or "")


@lru_cache(maxsize=1024)
def _worded(shown: tuple[bool, ...], language: str) -> tuple[Mark, ...]:
    """Return the signs in the words of a language. A day has few different sets of them."""
    with override(language or None):
        return tuple(mark._replace(label=_(mark.label)) for mark, on in zip(MARKS.values(), shown, strict=True) if on)


def counted(lines: Sequence[Line]) -> dict[str, int]:
    """Return how many visits there are, are expected, are here and are done."""
    by: dict[str, int] = defaultdict(int)
    for line in lines:
        by[line.visit.status] += 1
    return {
        "all": sum(count for status, count in by.items() if status != _S.CANCELLED),
        "expected": by[_S.BOOKED] + by[_S.PROPOSED],
        "here": by[_S.ARRIVED],
        "done": by[_S.FULFILLED],
    }


def etag_of(lines: Sequence[Line], private: bool) -> str:
    """Return a mark of the list as it is shown; equal lists have equal marks."""
    return digest((private, lines))


def digest(shown: object) -> str:
    """Return a mark of what is shown, as an ETag."""
    return f'"{hashlib.sha256(repr(shown).encode()).hexdigest()[:24]}"'
