"""What came of a call."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from treatments.booking.forms import LONGEST_NOTE
from treatments.booking.states import CallOutcome


class CallForm(forms.Form):
    """What came of a call about a visit, and what was said."""

    outcome = forms.ChoiceField(choices=CallOutcome.choices)
    note = forms.CharField(required=False, max_length=LONGEST_NOTE)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("outcome") == CallOutcome.NOTE and not cleaned.get("note"):
            self.add_error("note", _("Please write the note first."))
        return cleaned
