"""Forms about what the clinic offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.catalogue.models import AppointmentType
from clinic.catalogue.states import MOST_LEAD_DAYS


class LeadForm(forms.Form):
    """How many days ahead each kind of treatment visit is booked; empty while the clinic has not decided."""

    def __init__(self, data: Any = None, *, types: Iterable[AppointmentType]) -> None:
        super().__init__(data)
        self.types = list(types)
        words = _("Please enter whole days, from 0 to %(most)d, or leave it empty.") % {"most": MOST_LEAD_DAYS}
        for each in self.types:
            self.fields[each.key] = forms.IntegerField(
                label=each.label,
                required=False,
                min_value=0,
                max_value=MOST_LEAD_DAYS,
                initial=each.lead_days,
                error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), words),
                help_text=_("Days ahead, at least. Empty: not decided."),
            )

    def decided(self) -> Iterator[tuple[AppointmentType, int | None]]:
        """Yield each kind of visit with what was typed for it."""
        for each in self.types:
            yield each, self.cleaned_data[each.key]
