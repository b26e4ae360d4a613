"""How the sessions of a course are wanted, and where one of them goes with all that follow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from crispy_forms.helper import FormHelper
from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.staff.models import Practitioner
from patients.registry.forms import RefusableForm
from treatments.booking.rules import first_instant
from treatments.courses.models import Course
from treatments.series.queries import Wanted

ANYBODY = ""
USUAL_TIME = time(10)


class WantedForm(RefusableForm):
    """From when, how far apart, at about what time, with whom. Nothing chosen means what is said beside it."""

    fields: dict[str, Any]
    first = forms.DateField(
        label=_("First session from"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    interval = forms.IntegerField(label=_("Days between sessions"))
    around = forms.TimeField(label=_("At about"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    practitioner = forms.ChoiceField(label=_("With"), required=False)

    def __init__(
        self, data: Any, *, course: Course, people: Sequence[Practitioner], earliest: date, today: date
    ) -> None:
        initial = {"first": earliest, "interval": course.min_interval_days, "around": USUAL_TIME}
        # A page that is opened without any wish shows what follows from the course.
        super().__init__(data if data and "first" in data else None, initial=initial)
        self.course, self.today = course, today
        self.people = {str(each.ref): each for each in people}
        self.fields["practitioner"].choices = [
            (ANYBODY, _("Anybody who may")),
            *((ref, str(each)) for ref, each in self.people.items()),
        ]
        self.helper = FormHelper(self)

    def clean_first(self) -> date:
        first: date = self.cleaned_data["first"]
        if first < self.today:
            raise forms.ValidationError(_("That day has passed."))
        return first

    def clean_interval(self) -> int:
        days: int = self.cleaned_data["interval"]
        least, most = self.course.min_interval_days, self.course.max_interval_days
        if days < least:
            raise forms.ValidationError(_("At least %(n)s days must lie between two sessions.") % {"n": least})
        if days > (most or 366):
            raise forms.ValidationError(_("At most %(n)s days, please.") % {"n": most or 366})
        return days

    @property
    def wanted(self) -> Wanted:
        """What was wished, or what follows from the course where nothing usable was."""
        facts = self.cleaned_data if self.is_bound and self.is_valid() else self.initial
        return Wanted(
            first=facts["first"],
            interval_days=facts["interval"],
            around=facts["around"],
            practitioner=self.people.get(facts.get("practitioner") or ""),
        )


class ShiftForm(RefusableForm):
    """Where the visit goes, by the clock of the place."""

    fields: dict[str, Any]
    to_day = forms.DateField(label=_("New day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    to_time = forms.TimeField(label=_("New time"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))

    def starts_at(self, zone: Any) -> datetime:
        wall = datetime.combine(self.cleaned_data["to_day"], self.cleaned_data["to_time"])
        return first_instant(wall, zone).astimezone(UTC)
