"""Forms about places."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.premises.models import Location

MOST_HOURS = 14 * 24


class SelfServiceForm(forms.Form):
    """What visitors and patients may do at a place without the desk."""

    online_booking = forms.BooleanField(label=_("Visitors may book consultations online"), required=False)
    online_lead_hours = forms.IntegerField(
        label=_("Hours ahead, at least"),
        min_value=0,
        max_value=MOST_HOURS,
        help_text=_("A consultation that begins sooner is booked by telephone only."),
    )
    change_notice_hours = forms.IntegerField(
        label=_("Hours of notice"),
        min_value=0,
        max_value=MOST_HOURS,
        help_text=_("Until then patients move or cancel a visit by themselves, from the link in their messages."),
    )

    def __init__(self, data: Any = None, *, place: Location, prefix: str) -> None:
        super().__init__(data, prefix=prefix, initial={name: getattr(place, name) for name in self.base_fields})
