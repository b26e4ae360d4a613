from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.messaging.queries import Wanted
from patients.messaging.states import PATIENT_PURPOSES, SHOWN, Channel, Shown
from patients.registry.forms import ThreeBoxDate


class WhyForm(forms.Form):
    """A reason that stays beside the message in the log."""

    reason = forms.CharField(
        label=_("Why?"), max_length=200, error_messages={"required": _("Please say why. The log shows it.")}
    )


class DiedForm(forms.Form):
    """The day on which the patient died."""

    died_on = ThreeBoxDate(label=_("Day of death"))


class SendForm(forms.Form):
    """Sending by hand: why, and whether it may wake somebody."""

    reason = forms.CharField(
        label=_("Why now?"), max_length=200, required=False, help_text=_("Stays beside the message in the log.")
    )
    at_night = forms.BooleanField(label=_("It cannot wait: send it in the night"), required=False)

    def __init__(self, *args: Any, is_night: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not is_night:
            del self.fields["at_night"]


class LogForm(forms.Form):
    """What the log is narrowed to. A value that is none is named at its field, and narrows nothing."""

    q = forms.CharField(label=_("Patient"), required=False, max_length=100)
    status = forms.ChoiceField(label=_("State"), required=False)
    channel = forms.ChoiceField(label=_("By"), required=False, choices=[("", _("Any way")), *Channel.choices])
    kind = forms.ChoiceField(
        label=_("Kind"),
        required=False,
        choices=[("", _("Any kind")), *((each.value, each.label) for each in PATIENT_PURPOSES)],
    )
    first = forms.DateField(
        label=_("From"), required=False, error_messages={"invalid": _("Please give a day, as 2026-12-31.")}
    )
    last = forms.DateField(
        label=_("Until"), required=False, error_messages={"invalid": _("Please give a day, as 2026-12-31.")}
    )

    def __init__(self, shown: Shown, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shown = shown
        states = [(each.value, each.label) for each in SHOWN[shown]]
        self.fields["status"].choices = [("", _("Any state")), *states]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if first and last and last < first:
            self.add_error("last", _("This day is before the first one."))
        return cleaned

    def wanted(self) -> Wanted:
        """Return what is asked for, as far as it can be understood."""
        self.full_clean()
        given = self.cleaned_data
        return Wanted(
            shown=self.shown,
            search=given.get("q", ""),
            status=given.get("status", ""),
            channel=given.get("channel", ""),
            purpose=given.get("kind", ""),
            first=given.get("first"),
            last=given.get("last"),
        )


class AskedForm(forms.Form):
    """Who asked that nobody writes to the patient any more."""

    reason = forms.CharField(
        label=_("Who asked for it, and how?"),
        max_length=300,
        error_messages={"required": _("Please say who asked for it, and how.")},
    )
