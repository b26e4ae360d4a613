"""Forms with which patients change their own visit. Both say which version of it the patient has seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from patients.registry.forms import RefusableForm
from treatments.visits.states import OwnReason


class OwnConfirmForm(RefusableForm):
    version = forms.IntegerField(widget=forms.HiddenInput)


class OwnCancelForm(RefusableForm):
    reason = forms.ChoiceField(
        label=_("Why do you cancel?"),
        choices=OwnReason.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose one.")},
    )
    version = forms.IntegerField(widget=forms.HiddenInput)


class InstantField(forms.CharField):
    """One of the times shown: an instant."""

    def clean(self, value: Any) -> datetime:
        text = super().clean(value)
        try:
            found = parse_datetime(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            raise forms.ValidationError(_("Please choose one of the times."))
        return found


class OwnMoveForm(RefusableForm):
    starts_at = InstantField(label=_("Time"), error_messages={"required": _("Please choose a time.")})
    version = forms.IntegerField(widget=forms.HiddenInput)
