"""Which visits cannot be as they are, and what could be done with each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from django.utils.translation import gettext as _

from clinic.premises.models import DatedHours, Location
from clinic.premises.queries import dated_hours, hours_of_days
from clinic.staff.models import Practitioner, User
from clinic.worklist.models import Task
from patients.messaging.due import AnyMessage
from patients.messaging.holds import Objection
from treatments.booking.gates import refusals
from treatments.booking.models import Appointment, AppointmentQuerySet
from treatments.booking.offers import value_of
from treatments.booking.pages import moment_words
from treatments.booking.queries import devices_for, free_times, practitioners_at, shape_of
from treatments.booking.rules import Start, covered, hours_of_day
from treatments.booking.standing import Wish, facts_of
from treatments.booking.states import PENDING, AppointmentStatus
from treatments.disruption.models import Disruption, DisruptionResult
from treatments.disruption.rules import Spoken, is_spoken_for, summary, takes
from treatments.disruption.states import CALL_KEY, SETTLED, Choice, Outcome, What
from treatments.waitlist.models import WaitlistEntry
from treatments.waitlist.queries import first_prepared, hold_of

DAYS_SEARCHED = 14  # how far another time is looked for
TIMES_OFFERED = 3
MOST_TRIED = 12  # so many free times are asked of every gate before a visit is left to a call


@dataclass(frozen=True)
class Option:
    """Something the desk can choose for a visit. `value` is what the form sends."""

    value: str
    label: str


@dataclass(frozen=True)
class Line:
    """A visit that cannot be as it is, what could be done, and what was tried last."""

    visit: Appointment
    options: tuple[Option, ...]
    chosen: str
    note: str = ""
    last: DisruptionResult | None = None

    @property
    def is_easy(self) -> bool:
        """The first choice settles it without anybody being asked."""
        return self.chosen.startswith(Choice.MOVE)


@dataclass
class _Pass:
    """What the visits before this one, in the same pass, would take."""

    spoken: list[Spoken] = field(default_factory=list)


def affected(disruption: Disruption, user: User, at: datetime) -> list[Appointment]:
    """Return the visits that cannot be as they are and are not over, the soonest first.

    Of a resource: those that hold it within the period, at any place the person works. Of a place: those within the
    period that its hours no longer hold.
    """
    rows: AppointmentQuerySet = (
        Appointment.objects.visible_to(user)
        .filter(status__in=PENDING, ends_at__gt=at)
        .select_related("patient", "type", "location", "course", "practitioner", "room", "device")
        .order_by("starts_at", "id")
    )
    if disruption.over_at is not None:
        return []
    if disruption.resource_id is not None:
        period = (disruption.starts_at, disruption.ends_at)
        held = rows.filter(claims__resource=disruption.resource_id, claims__active=True, claims__period__overlap=period)
        return list(held.distinct())
    within = rows.filter(
        location=disruption.location, starts_at__lt=disruption.ends_at, ends_at__gt=disruption.starts_at
    )
    return not_covered(disruption.location, list(within))


def not_covered(location: Location, visits: Sequence[Appointment]) -> list[Appointment]:
    """Return the visits at the location whose time its hours do not hold."""
    zone = location.zone
    days = {visit: visit.starts_at.astimezone(zone).date() for visit in visits}
    if not days:
        return []
    hours = hours_of_days(location, min(days.values()), max(days.values()), [])
    return [
        visit
        for visit, day in days.items()
        if not covered(
            (int(visit.starts_at.timestamp()), int(visit.ends_at.timestamp())),
            hours_of_day(hours[day].get(None, ()), day, zone),
        )
    ]


def preview(disruption: Disruption, user: User, at: datetime) -> list[Line]:
    """Return a line for each affected visit with what could be done; no two are promised the same thing.

    The soonest visit chooses first.
    """
    last = {result.appointment_id: result for result in disruption.results.all()}
    ongoing = _Pass()
    return [_line(disruption, visit, ongoing, last.get(visit.pk), at) for visit in affected(disruption, user, at)]


def settled(disruption: Disruption, waiting: Sequence[Line]) -> list[DisruptionResult]:
    """Return what became of each visit that no longer waits here, the last word on each."""
    open_here = {line.visit.pk for line in waiting}
    rows = disruption.results.select_related("appointment__patient", "appointment__type", "appointment__location")
    last = {result.appointment_id: result for result in rows}
    return [result for key, result in last.items() if key not in open_here]


def in_a_sentence(done: Sequence[DisruptionResult], waiting: Sequence[Line]) -> str:
    """Return how far the pass has come, as the desk says it."""
    to_call = [line for line in waiting if line.last is not None and line.last.outcome == Outcome.TO_CALL]
    words = [result.outcome for result in done if result.outcome in SETTLED] + [Outcome.TO_CALL] * len(to_call)
    return summary(words, len(waiting) - len(to_call))


def _line(
    disruption: Disruption, visit: Appointment, ongoing: _Pass, last: DisruptionResult | None, at: datetime
) -> Line:
    leave = Option(Choice.LEAVE, Choice.LEAVE.label)
    call = Option(Choice.CALL, _("Keep it, and put a call on the desk’s list"))
    cancel = Option(Choice.CANCEL, Choice.CANCEL.label)
    if visit.status == AppointmentStatus.ARRIVED:
        return Line(visit, (leave, call), leave.value, _("The patient is here already."), last)
    if visit.status == AppointmentStatus.PROPOSED:
        back = Option(Choice.GIVE_BACK, Choice.GIVE_BACK.label)
        return Line(visit, (back, leave), back.value, _("Only held for the patient, not booked."), last)
    called = last is not None and last.outcome == Outcome.TO_CALL
    here = next(_same_time(disruption, visit, ongoing, at), None)
    if here is not None:
        move, start = here
        ongoing.spoken += takes(shape_of(visit.sized_type), start)
        if called:
            return Line(visit, (move, cancel, leave), leave.value, last=last)
        return Line(visit, (move, call, cancel, leave), move.value, last=last)
    offers = [] if called else list(_other_times(visit, ongoing, at))
    if offers:
        ongoing.spoken += takes(shape_of(visit.type), offers[0][1])
    options = tuple(option for option, _start in offers)
    chosen = leave.value if called else (options[0].value if options else call.value)
    note = "" if options or called else _("No free time was found in the next two weeks.")
    rest = (cancel, leave) if called else (call, cancel, leave)
    return Line(visit, (*options, *rest), chosen, note, last)


def _same_time(
    disruption: Disruption, visit: Appointment, ongoing: _Pass, at: datetime
) -> Iterator[tuple[Option, Start]]:
    """Yield how the visit could begin when it was to: with the same person if they are there, else with another."""
    if disruption.what == What.LOCATION or visit.starts_at <= at:
        return
    people = {person.pk: person for person in _people(visit)}
    day = visit.starts_at.astimezone(visit.location.zone).date()
    starts = free_times(
        type=visit.sized_type,
        location=visit.location,
        first=day,
        last=day,
        practitioners=list(people),
        devices=[device.pk for device in devices_for(visit.location, visit.type, _modality(visit))],
        not_before=at,
        leaving_out=visit.pk,
        step_minutes=1,
    )
    same = [start for start in starts if start.starts_at == visit.starts_at]
    for start in sorted(same, key=lambda each: each.practitioner_id != visit.practitioner_id):
        person = people[start.practitioner_id]
        if _may_be(visit, start, person, ongoing, at, is_change=True):
            yield Option(f"{Choice.MOVE}~{person.ref}", _same_time_label(visit, person)), start


def _same_time_label(visit: Appointment, person: Practitioner) -> str:
    if person.pk != visit.practitioner_id:
        return _("Same time, with %(who)s") % {"who": person}
    return _("Same time, with %(who)s, in another room or with another device") % {"who": person}


def _other_times(visit: Appointment, ongoing: _Pass, at: datetime) -> Iterator[tuple[Option, Start]]:
    """Yield the next times that could be offered, the visit's own practitioner before others at the same time.

    None comes before the visit was to be: whoever has begun to prepare must not be hurried. Until the offer is taken
    nothing more is told, so the time to prepare counts from the end of the hold.
    """
    people = {person.pk: person for person in _people(visit)}
    after = max(at, visit.starts_at)
    entry = WaitlistEntry(patient=visit.patient, type=visit.type, location=visit.location, course=visit.course)
    first = after.astimezone(visit.location.zone).date()
    if visit.type.lead_days:
        first = max(first, first_prepared(entry, at))
    starts = free_times(
        type=visit.type,
        location=visit.location,
        first=first,
        last=first + timedelta(days=DAYS_SEARCHED - 1),
        practitioners=list(people),
        devices=[device.pk for device in devices_for(visit.location, visit.type, _modality(visit))],
        not_before=after,
    )
    tried = found = 0
    seen: set[int] = set()
    for start in sorted(starts, key=lambda each: (each.at, each.practitioner_id != visit.practitioner_id)):
        hold = hold_of(entry, start.starts_at, at)
        if start.at in seen or hold is None or _is_promised(visit, start, ongoing):
            continue  # promised to a visit before this one: no gate is asked, and it counts for no try
        seen.add(start.at)
        tried += 1
        person = people[start.practitioner_id]
        if _may_be(visit, start, person, ongoing, hold.ends_at):
            value = f"{Choice.OFFER}~{value_of(start.starts_at, person)}"
            when = moment_words(start.starts_at, visit.location)
            yield Option(value, _("Offer %(when)s with %(who)s") % {"when": when, "who": person}), start
            found += 1
        if found == TIMES_OFFERED or tried == MOST_TRIED:
            return


def _may_be(
    visit: Appointment, start: Start, person: Practitioner, ongoing: _Pass, at: datetime, *, is_change: bool = False
) -> bool:
    """Return True if nothing of it is promised to a visit before this one, and no gate stands against it."""
    if _is_promised(visit, start, ongoing):
        return False
    wish = Wish(
        visit.patient,
        visit.sized_type,
        visit.location,
        person,
        start.starts_at,
        course=visit.course,
        leaving_out=visit.pk,
        is_change=is_change,
    )
    return not refusals(facts_of(wish, (), at))


def _is_promised(visit: Appointment, start: Start, ongoing: _Pass) -> bool:
    return is_spoken_for(takes(shape_of(visit.sized_type), start), ongoing.spoken)


def _people(visit: Appointment) -> list[Practitioner]:
    return practitioners_at(visit.location, _modality(visit))


def _modality(visit: Appointment) -> str:
    return visit.course.modality if visit.course else ""


# --- reminders ----------------------------------------------------------------------------------------------------


def objections_to_reminders(messages: Sequence[AnyMessage], _at: datetime) -> dict[int, Objection]:
    """Return why nobody is reminded of a visit now: it cannot be as booked, and the desk has not rung yet.

    What says that a visit was moved or is off goes out, and so does preparation, whose day would not come again. A
    visit that was moved since the call was asked for is no longer in doubt.
    """
    calls = Task.objects.unfinished().filter(key__startswith=CALL_KEY)  # all there are: few, and often none
    asked_at = dict(calls.order_by("-due_at", "-id").values_list("about", "created_at"))
    reminders = [each for each in messages if each.template == "reminder" and each.about in asked_at]
    if not reminders:
        return {}
    visits = Appointment.objects.filter(ref__in=[each.about.partition(":")[2] for each in reminders])
    moved = {visit.about for visit in visits if visit.moved_at and visit.moved_at > asked_at[visit.about]}
    why = Objection("The visit is in doubt: held until the desk has rung the patient.")
    return {each.pk: why for each in reminders if each.about not in moved}


# --- days that are not as usual -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpecialDays:
    """Days in a row that are alike: no hours means closed."""

    first: date
    last: date
    hours: tuple[str, ...]
    people: tuple[str, ...]
    reason: str
    set_by_name: str


def special_days(location: Location, today: date) -> list[SpecialDays]:
    """Return the days from today on that are not as usual, those in a row that are alike as one."""
    by_day: dict[date, list[DatedHours]] = {}
    for row in dated_hours(location, today):
        by_day.setdefault(row.day, []).append(row)
    found: list[SpecialDays] = []
    for day, rows in by_day.items():
        place = [row for row in rows if row.practitioner_id is None]
        hours = tuple(f"{row.opens:%H:%M} – {row.closes:%H:%M}" for row in place if row.opens and row.closes)
        people = tuple(dict.fromkeys(str(row.practitioner) for row in rows if row.practitioner is not None))
        now = SpecialDays(day, day, hours, people, rows[0].reason, rows[0].set_by_name)
        before = found[-1] if found else None
        if (
            before
            and before.last + timedelta(days=1) == day
            and replace(now, first=before.first) == replace(before, last=day)
        ):
            found[-1] = replace(before, last=day)
        else:
            found.append(now)
    return found
