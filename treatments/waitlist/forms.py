from __future__ import annotations

from datetime import date, time
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.catalogue.models import Modality
from clinic.premises.models import Location
from patients.registry.forms import RefusableForm
from patients.registry.models import Patient
from treatments.booking.forms import Purpose, purposes_for
from treatments.booking.queries import practitioners_at

WEEKDAYS = [
    (0, _("Monday")),
    (1, _("Tuesday")),
    (2, _("Wednesday")),
    (3, _("Thursday")),
    (4, _("Friday")),
    (5, _("Saturday")),
    (6, _("Sunday")),
]


class JoinForm(RefusableForm):
    """What somebody waits for, and when they could come."""

    fields: dict[str, Any]
    what = forms.ChoiceField(label=_("What for"))
    people = forms.MultipleChoiceField(
        label=_("With"), required=False, widget=forms.CheckboxSelectMultiple, help_text=_("None ticked: anyone.")
    )
    earliest_on = forms.DateField(
        label=_("First day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    latest_on = forms.DateField(label=_("Last day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    weekdays = forms.TypedMultipleChoiceField(
        label=_("Days of the week"),
        required=False,
        choices=WEEKDAYS,
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked: any day."),
    )
    not_before = forms.TimeField(
        label=_("Not before"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    not_after = forms.TimeField(
        label=_("Not later than"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text=_("When the visit begins at the latest."),
    )
    note = forms.CharField(
        label=_("Note"), required=False, max_length=400, help_text=_("Nothing about health: the desk reads it.")
    )

    def __init__(self, *args: Any, patient: Patient, location: Location, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        self.purposes: dict[str, Purpose] = {each.value: each for each in purposes_for(patient)}
        self.practitioners = {str(each.ref): each for each in practitioners_at(location)}
        labels = {each.key: each for each in Modality.objects.all()}
        self.fields["what"].choices = [(key, each.label(labels)) for key, each in self.purposes.items()]
        self.fields["people"].choices = [(ref, str(each)) for ref, each in self.practitioners.items()]

    def clean(self) -> dict[str, Any]:
        facts: dict[str, Any] = super().clean() or {}
        first, last = facts.get("earliest_on"), facts.get("latest_on")
        if last and last < self.today:
            self.add_error("latest_on", _("That day has passed."))
        elif first and last and last < first:
            self.add_error("latest_on", _("The last day comes before the first."))
        between = facts.get("not_before") or time(0), facts.get("not_after") or time(23, 59)
        if between[1] < between[0]:
            self.add_error("not_after", _("This is earlier than the time above."))
        facts["between"] = between
        return facts
