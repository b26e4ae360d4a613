"""What a drag on the grid sends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from clinic.premises.models import Device, Location, Room
from clinic.staff.models import Practitioner


class Named(forms.ModelChoiceField):
    """A practitioner, room or device of the place by its ref; nothing means: as it is."""

    def __init__(self) -> None:
        super().__init__(queryset=None, to_field_name="ref", required=False)


class DropForm(forms.Form):
    """Where a visit was dropped on the grid."""

    version = forms.IntegerField()
    starts_at = forms.IntegerField(help_text="Seconds since 1970.")
    practitioner, room, device = Named(), Named(), Named()

    def __init__(self, *args: Any, location: Location, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        here: dict[str, Any] = {
            "practitioner": Practitioner.objects.filter(is_active=True),
            "room": Room.objects.filter(location=location, is_active=True),
            "device": Device.objects.filter(location=location, is_active=True),
        }
        for name, rows in here.items():
            self.fields[name].queryset = rows  # type: ignore[attr-defined]

    def clean_starts_at(self) -> datetime:
        try:
            return datetime.fromtimestamp(self.cleaned_data["starts_at"], UTC)
        except (ValueError, OverflowError, OSError):
            raise forms.ValidationError(_("Please choose a time.")) from None


class ResizeForm(forms.Form):
    """How many minutes of work a visit has."""

    version = forms.IntegerField()
    minutes = forms.IntegerField()
