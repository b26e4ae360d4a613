"""Free times as a form offers them: the days that have any, and the times of one day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from clinic.catalogue.models import AppointmentType
from clinic.catalogue.states import TREATING, VisitKind
from clinic.premises.models import Device, Location, Room
from clinic.staff.models import Practitioner
from patients.registry.models import Patient
from treatments.booking.models import Appointment
from treatments.booking.queries import devices_for, free_times, visit_of
from treatments.booking.rules import Start, clock_label, lead_reason, prepared_from
from treatments.booking.states import PENDING
from treatments.courses.queries import earliest_next, own_interval
from treatments.courses.rules import say
from treatments.plan.actions import protocol_in_force
from treatments.plan.rules import late_steps

DAYS_SHOWN = 21
NOON = 12


class Time(NamedTuple):
    """One time that can be chosen."""

    value: str
    label: str
    who: str
    is_chosen: bool


class OfferedDay(NamedTuple):
    day: date
    times: int


@dataclass(frozen=True)
class Offer:
    """The times of one day, and the days around it that have any."""

    day: date
    morning: tuple[Time, ...]
    afternoon: tuple[Time, ...]
    days: tuple[OfferedDay, ...]
    earliest_on: date | None
    earliest_reason: str
    is_too_early: bool
    missed: str = ""
    no_device_at: str = ""  # the place, where it has no device for such a visit

    @property
    def is_empty(self) -> bool:
        return not (self.morning or self.afternoon)


@dataclass(frozen=True)
class Ask:
    """What free times are wanted for. `day` None means the first day that has any."""

    patient: Patient
    type: AppointmentType
    location: Location
    modality: str
    people: Sequence[Practitioner]
    anyone: bool
    day: date | None
    room: Room | None = None
    device: Device | None = None
    chosen: str = ""
    leaving_out: int | None = None


def offer_for(ask: Ask, at: datetime) -> Offer:
    """Return the free times of the asked day, or of the first day that has any. One query for all of them."""
    zone = ask.location.zone
    today = at.astimezone(zone).date()
    earliest_on, reason = _earliest(ask, today)
    first = max(ask.day or earliest_on or today, today)
    if ask.day is None and earliest_on is not None:
        first = max(first, earliest_on)
    starts = _starts(ask, first, at)
    by_day: dict[date, list[Start]] = {}
    for start in starts:
        by_day.setdefault(start.starts_at.astimezone(zone).date(), []).append(start)
    day = ask.day if ask.day is not None else next(iter(by_day), first)
    names = {person.pk: person for person in ask.people}
    times = [_time(start, names, ask) for start in _once(by_day.get(day, []), ask.anyone)]
    noon = [time for time in times if int(time.label[:2]) < NOON]
    return Offer(
        day=day,
        morning=tuple(noon),
        afternoon=tuple(times[len(noon) :]),
        days=tuple(OfferedDay(each, len(_once(found, ask.anyone))) for each, found in by_day.items()),
        earliest_on=earliest_on,
        earliest_reason=reason,
        is_too_early=earliest_on is not None and day < earliest_on,
        missed=_missed(ask, times),
        no_device_at="" if times or not ask.type.modality_group or _devices(ask) else ask.location.name,
    )


def _missed(ask: Ask, times: Sequence[Time]) -> str:
    """Return the time that was clicked in the diary, if this visit does not fit there."""
    try:
        asked = datetime.fromisoformat(ask.chosen)
    except ValueError:
        return ""
    return "" if any(time.is_chosen for time in times) else clock_label(asked, ask.location.zone)


def _devices(ask: Ask) -> Sequence[Device]:
    return [ask.device] if ask.device else devices_for(ask.location, ask.type, ask.modality)


def _starts(ask: Ask, first: date, at: datetime) -> list[Start]:
    return free_times(
        type=ask.type,
        location=ask.location,
        first=first,
        last=first + timedelta(days=DAYS_SHOWN - 1),
        practitioners=[person.pk for person in ask.people],
        rooms=[ask.room.pk] if ask.room else None,
        devices=[device.pk for device in _devices(ask)],
        not_before=at,
        leaving_out=ask.leaving_out,
    )


def _earliest(ask: Ask, today: date) -> tuple[date | None, str]:
    """Return the first day on which the skin and the time to prepare allow the visit, and why not before.

    Who moves a visit has begun to prepare: whether an earlier day leaves enough time is for the gate to say.
    """
    earliest_on, reason = None, ""
    if ask.type.kind in TREATING and ask.modality:
        earliest_on, reason = earliest_next(ask.patient, ask.modality, is_spot=ask.type.kind == VisitKind.TEST_SPOT)
    booked_on, after = _after_booked(ask)
    if after is not None and (ask.day is None or ask.day >= booked_on) and (earliest_on is None or earliest_on < after):
        earliest_on, reason = after, f"another treatment is booked for {say(booked_on)}"
    lead = ask.type.lead_days
    if lead and ask.leaving_out is None:
        prepared = prepared_from(today, lead)
        if earliest_on is None or earliest_on < prepared:
            return prepared, lead_reason(lead)
    return earliest_on, reason


def _after_booked(ask: Ask) -> tuple[date, date | None]:
    """Return the day of the patient's last treatment to come, and the first that is far enough after it.

    None where there is none, and for a visit that is moved. A day far enough before it may be too: that is for the
    gate to say.
    """
    rows = ask.patient.appointments.filter(status__in=PENDING, type__kind=VisitKind.TREATMENT, course__isnull=False)
    last = rows.order_by("-starts_at", "-id").values_list("starts_at", "course__min_interval_days")
    is_new = ask.type.kind == VisitKind.TREATMENT and ask.modality and ask.leaving_out is None
    found = last.first() if is_new else None
    if found is None:
        return date.min, None
    on = found[0].astimezone(ask.location.zone).date()
    return on, on + timedelta(days=max(found[1], own_interval(ask.patient, ask.modality)))


def _once(starts: Sequence[Start], anyone: bool) -> list[Start]:
    """Return each time once, with whoever comes first, when it does not matter with whom."""
    return list({start.at: start for start in reversed(starts)}.values())[::-1] if anyone else list(starts)


def _time(start: Start, names: dict[int, Practitioner], ask: Ask) -> Time:
    value = value_of(start.starts_at, names[start.practitioner_id])
    label = clock_label(start.starts_at, ask.location.zone)
    who = names[start.practitioner_id].name if ask.anyone else ""
    return Time(value, label, who, ask.chosen in (value, value.partition("~")[0]))


def value_of(starts_at: datetime, person: Practitioner) -> str:
    """Return how a form names a time with a practitioner."""
    return f"{starts_at.isoformat()}~{person.ref}"


def late_precare(appointment: Appointment) -> list[str]:
    """Return the titles of pre-care whose day has passed already: the desk tells the patient at once."""
    visit = visit_of(appointment)
    protocol = protocol_in_force(visit)
    return [step.title for step in late_steps(visit, protocol)] if protocol else []
