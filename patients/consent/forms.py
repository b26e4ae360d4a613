"""Signing on a phone: each risk its own box, a drawing or a name, and everything kept when something is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms

from patients.consent.actions import REASON_LENGTH
from patients.consent.models import Consent
from patients.consent.rules import NAME_LENGTH, QUESTION_LENGTH, read_strokes
from patients.consent.states import RisksUnticked, SignatureRefused, SignedAs

RISK = "risk_"
UNTICKED = "Please tick this when you have read it."


class SignForm(forms.Form):
    """What a patient ticks, draws or types. Whether it suffices is the action's to say."""

    signature = forms.CharField(required=False, widget=forms.HiddenInput, max_length=200_000)
    signed_name = forms.CharField(
        label="Or type your full name",
        required=False,
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={"max_length": f"Please keep the name to {NAME_LENGTH} characters."},
    )
    signed_as = forms.ChoiceField(
        label="Who signs?",
        choices=[(SignedAs.PATIENT, "I am the patient"), (SignedAs.GUARDIAN, "I am the patient’s guardian")],
        initial=SignedAs.PATIENT,
        widget=forms.RadioSelect,
    )
    shown = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, consent: Consent, asks_who: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for risk in consent.wording.body["risks"]:
            self.fields[f"{RISK}{risk['key']}"] = forms.BooleanField(label=risk["text"], required=False)
        if not asks_who:
            self.fields["signed_as"].required = False
            self.fields["signed_as"].widget = forms.HiddenInput()
        self._serious = {f"{RISK}{risk['key']}" for risk in consent.wording.body["risks"] if risk["serious"]}

    def clean_signature(self) -> object:
        try:
            return read_strokes(self.cleaned_data["signature"])
        except SignatureRefused as refused:
            raise forms.ValidationError(refused.for_people) from None

    def risks(self) -> Iterator[tuple[forms.BoundField, bool]]:
        """Yield each risk's box and whether the risk is serious, in the order of the page."""
        for name in self.fields:
            if name.startswith(RISK):
                yield self[name], name in self._serious

    def ticked(self) -> list[str]:
        """Return the keys of the risks that were ticked."""
        return [name.removeprefix(RISK) for name, value in self.cleaned_data.items() if name.startswith(RISK) and value]

    def show_unticked(self, refused: RisksUnticked) -> None:
        """Each box that is still empty says so at its own place."""
        for key in refused.risks:
            self.add_error(f"{RISK}{key}", UNTICKED)


class QuestionForm(forms.Form):
    """A question before signing."""

    questions = forms.CharField(
        label="Your question",
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=QUESTION_LENGTH,
        error_messages={"required": "Please write your question first."},
    )


class WithdrawForm(forms.Form):
    """A patient may say why, and need not."""

    reason = forms.CharField(
        label="Would you like to say why?",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=REASON_LENGTH,
    )


class RevokeForm(forms.Form):
    """The desk records that a patient withdrew."""

    reason = forms.CharField(
        label="How did the patient withdraw?",
        help_text="For example: rang today at 11, spoke to me.",
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=REASON_LENGTH,
        error_messages={"required": "Please write how the patient withdrew, and when."},
    )
