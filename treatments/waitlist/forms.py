from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.catalogue.models import Modality
from clinic.premises.models import Location
from patients.registry.forms import RefusableForm
from patients.registry.models import Patient
from treatments.booking.forms import Purpose, purposes_for
from treatments.booking.models import Appointment
from treatments.booking.pages import moment_words
from treatments.booking.queries import practitioners_at
from treatments.waitlist.queries import booked_visits

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
    sooner_than = forms.ChoiceField(label=_("If a time is taken"), required=False)
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

    def __init__(self, *args: Any, patient: Patient, location: Location, at: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = at.astimezone(location.zone).date()
        self.today = today
        self.purposes: dict[str, Purpose] = {each.value: each for each in purposes_for(patient)}
        self.practitioners = {str(each.ref): each for each in practitioners_at(location)}
        labels = {each.key: each for each in Modality.objects.all()}
        self.fields["what"].choices = [(key, each.label(labels)) for key, each in self.purposes.items()]
        self.visits = {str(each.ref): each for each in booked_visits(patient, location, at)}
        self._offer_sooner()
        self.fields["people"].choices = [(ref, str(each)) for ref, each in self.practitioners.items()]

    def _offer_sooner(self) -> None:
        """Whoever has a visit already mostly wants that one earlier, and not a second one."""
        if not self.visits:
            del self.fields["sooner_than"]
            return
        instead = [
            (
                ref,
                _("It replaces %(type)s, %(when)s")
                % {"type": each.type, "when": moment_words(each.starts_at, each.location)},
            )
            for ref, each in self.visits.items()
        ]
        self.fields["sooner_than"].choices = [*instead, ("", _("It is one more visit"))]
        ref, visit = next(iter(self.visits.items()))
        self.fields["sooner_than"].initial = ref
        self.fields["what"].initial = next((key for key, each in self.purposes.items() if _is_for(visit, each)), None)

    def clean(self) -> dict[str, Any]:
        facts: dict[str, Any] = super().clean() or {}
        visit = self.visits.get(facts.get("sooner_than", ""))
        facts["sooner_than"] = visit
        if visit is not None and "what" in facts and not _is_for(visit, self.purposes[facts["what"]]):
            self.add_error("sooner_than", _("That visit is for something else."))
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


def _is_for(visit: Appointment, purpose: Purpose) -> bool:
    return visit.type == purpose.type and visit.course == purpose.course
