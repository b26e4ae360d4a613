"""What cannot be used and when, the hours of a day, and what to do with each visit."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.premises.models import Device, Location, Resource, Room
from clinic.premises.rules import Walls, against_spans
from clinic.staff.models import Practitioner
from patients.registry.forms import RefusableForm
from treatments.booking.forms import parse_start
from treatments.booking.queries import practitioners_at
from treatments.booking.rules import day_bounds, first_instant
from treatments.disruption.states import Choice, What

WHOLE_PLACE = What.LOCATION.value


def _day(label: Any, **more: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **more)


def _clock(label: Any, **more: Any) -> forms.TimeField:
    return forms.TimeField(
        label=label, required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"), **more
    )


class DisruptionForm(RefusableForm):
    """Who or what is out, from when to when, and why."""

    fields: dict[str, Any]
    thing = forms.ChoiceField(label=_("Who or what is out?"))
    starts_on = _day(_("From"))
    starts_time = _clock(_("From what time"), help_text=_("Empty: from the beginning of the day."))
    ends_on = _day(_("Until"))
    ends_time = _clock(_("Until what time"), help_text=_("Empty: until the end of that day."))
    reason = forms.CharField(
        label=_("Why?"), max_length=200, help_text=_("The team reads it, patients do not. “Unwell” is enough.")
    )

    def __init__(self, *args: Any, location: Location, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.location = location
        groups: list[tuple[What, Iterable[Practitioner | Room | Device]]] = [
            (What.PRACTITIONER, practitioners_at(location)),
            (What.DEVICE, Device.objects.filter(location=location, is_active=True)),
            (What.ROOM, Room.objects.filter(location=location, is_active=True)),
        ]
        self.things = {f"{what.value}~{thing.ref}": (what, thing) for what, things in groups for thing in things}
        choices: list[tuple[Any, Any]] = [("", _("Please choose"))]
        for what, _things in groups:
            own = [(value, str(thing)) for value, (kind, thing) in self.things.items() if kind == what]
            choices += [(what.label, own)] if own else []
        self.fields["thing"].choices = [*choices, (WHOLE_PLACE, _("%(place)s, the whole place") % {"place": location})]

    def clean(self) -> dict[str, Any]:
        facts: dict[str, Any] = super().clean() or {}
        what, thing = self.things.get(facts.get("thing", ""), (What.LOCATION, None))
        facts["what"] = what
        facts["resource"] = Resource.objects.get(**{what.value: thing}) if thing is not None else None
        if facts.get("starts_on") and facts.get("ends_on"):
            zone = self.location.zone
            begins = datetime.combine(facts["starts_on"], facts.get("starts_time") or time(0))
            facts["starts_at"] = first_instant(begins, zone)
            facts["ends_at"] = (
                first_instant(datetime.combine(facts["ends_on"], facts["ends_time"]), zone)
                if facts.get("ends_time")
                else day_bounds(facts["ends_on"], zone)[1]
            )
        return facts


class HoursForm(RefusableForm):
    """The hours of one day, or of several alike."""

    fields: dict[str, Any]
    first = _day(_("Day"))
    last = _day(_("Until and with"), required=False, help_text=_("Empty: that one day."))
    kind = forms.ChoiceField(
        label=_("What holds then?"),
        choices=[("closed", _("Closed")), ("open", _("Open for these hours, whatever the weekday"))],
        widget=forms.RadioSelect,
        initial="closed",
    )
    opens = _clock(_("Opens"))
    closes = _clock(_("Closes"))
    opens_again = _clock(_("Opens again"), help_text=_("After a break, if there is one."))
    closes_again = _clock(_("Closes for the day"))
    people = forms.MultipleChoiceField(
        label=_("Who works those hours?"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("On a day that is usually closed, whoever is not ticked does not work."),
    )
    reason = forms.CharField(label=_("Why?"), max_length=200, help_text=_("For example “Bank holiday” or “Open day”."))

    def __init__(self, *args: Any, location: Location, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        self.workers = {str(person.ref): person for person in practitioners_at(location)}
        self.fields["people"].choices = [(ref, str(person)) for ref, person in self.workers.items()]

    def clean(self) -> dict[str, Any]:
        facts: dict[str, Any] = super().clean() or {}
        facts["last"] = facts.get("last") or facts.get("first")
        if facts.get("first") and facts["first"] < self.today:
            self.add_error("first", _("That day has passed."))
        elif facts.get("first") and facts["last"] < facts["first"]:
            self.add_error("last", _("The last day comes before the first."))
        facts["spans"] = self._spans(facts) if facts.get("kind") == "open" else []
        facts["people"] = [self.workers[ref] for ref in facts.get("people", [])]
        return facts

    def _spans(self, facts: dict[str, Any]) -> list[Walls]:
        spans: list[Walls] = []
        for opens, closes in (("opens", "closes"), ("opens_again", "closes_again")):
            if opens in self.errors or closes in self.errors:
                continue
            pair = facts.get(opens), facts.get(closes)
            if pair[0] and pair[1]:
                spans.append((pair[0], pair[1]))
            elif pair[0] or pair[1] or opens == "opens":
                self.add_error(closes if pair[0] else opens, _("Please give both times."))
        wrong = against_spans(spans)
        if wrong:
            self.add_error("closes_again" if len(spans) > 1 else "closes", wrong)
        return spans


class ClockForm(RefusableForm):
    """By which zone the place lives."""

    time_zone = forms.CharField(label=_("Time zone"), max_length=64, help_text=_("Write it like Europe/London."))


@dataclass(frozen=True)
class Wanted:
    """What the page sent for one visit."""

    ref: uuid.UUID
    version: int
    choice: Choice
    starts_at: datetime | None = None
    practitioner_ref: uuid.UUID | None = None


def wanted_of(data: Any) -> list[Wanted]:
    """Return what is to be done with each visit, in the order of the page; what cannot be read is left alone."""
    found = []
    for text in data.getlist("visit"):
        try:
            ref, version = uuid.UUID(text), int(data.get(f"version-{text}", ""))
            kind, _tilde, rest = data.get(f"do-{text}", "").partition("~")
            choice = Choice(kind)
            if choice == Choice.LEAVE:
                continue
            start = parse_start(rest) if choice == Choice.OFFER else None
            who = start[1] if start else (uuid.UUID(rest) if choice == Choice.MOVE else None)
        except ValueError:
            continue
        if choice == Choice.OFFER and start is None:
            continue
        found.append(Wanted(ref, version, choice, start[0] if start else None, who))
    return found


def usual_range(text_first: str, text_last: str) -> tuple[date, date] | None:
    """Return the days a button of the page names; None for anything else."""
    try:
        first, last = date.fromisoformat(text_first), date.fromisoformat(text_last)
    except ValueError:
        return None
    return (first, last) if first <= last <= first + timedelta(days=366) else None
