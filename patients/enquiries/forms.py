"""Forms of enquiries: what a visitor asks, and who the enquirer turns out to be."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms

from clinic.catalogue.models import Concern
from clinic.premises.models import Location
from patients.enquiries.models import Enquiry
from patients.registry.forms import PersonForm, RefusableForm, email_field, name_field, phone_field
from patients.registry.models import Patient
from patients.registry.queries import Duplicate


class EnquiryForm(RefusableForm):
    """What a visitor asks. `website` is a trap: people do not see it, programs that fill in every field do."""

    location = forms.ModelChoiceField(
        Location.objects.none(),
        to_field_name="ref",
        label="Which clinic?",
        empty_label=None,
        widget=forms.RadioSelect,
        error_messages={"required": "Please choose a clinic."},
    )
    given_name = name_field("First name", required=False, autocomplete="given-name")
    family_name = name_field("Family name, or your only name", required=True, autocomplete="family-name")
    email = email_field(autocomplete="email", help_text="Give an email address, a mobile number, or both.")
    phone = phone_field(autocomplete="tel")
    concerns = forms.MultipleChoiceField(
        label="What would you like to improve?", required=False, widget=forms.CheckboxSelectMultiple
    )
    note = forms.CharField(
        label="Anything you would like to ask",
        required=False,
        max_length=2000,
        help_text="Please do not write about your health here. We ask that later, where it is kept private.",
        widget=forms.Textarea(attrs={"rows": 4, "maxlength": False}),
    )
    website = forms.CharField(
        label="Leave this empty",
        required=False,
        widget=forms.TextInput(attrs={"tabindex": "-1", "autocomplete": "off"}),
    )
    form_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, data: Any = None) -> None:
        places = Location.objects.filter(is_active=True)
        first = places[0].ref if len(places) == 1 else None
        super().__init__(data, initial={"form_key": uuid.uuid4(), "location": first})
        self.fields["location"].queryset = places  # type: ignore[attr-defined]
        if len(places) == 1:
            self.fields["location"].widget = forms.HiddenInput()
        concerns = [(concern.key, concern.label) for concern in Concern.objects.all()]
        self.fields["concerns"].choices = concerns  # type: ignore[attr-defined]

    @property
    def is_a_trap(self) -> bool:
        return bool(self.data.get("website"))


class CloseForm(RefusableForm):
    reason = forms.CharField(
        label="Why is it closed?", max_length=200, error_messages={"required": "Please say why it is closed."}
    )


SOMEBODY_NEW = "new"


class ConvertForm(PersonForm):
    """Who the enquiry turned out to be: somebody new, or one of the people who look alike."""

    existing = forms.ChoiceField(
        label="Is it one of these people?",
        help_text="If so, we keep what we know of them; only a contact we did not have is added.",
        widget=forms.RadioSelect,
        choices=[],
        error_messages={"required": "Please choose who it is."},
    )
    field_order = ("existing",)

    def __init__(self, enquiry: Enquiry, suspects: list[Duplicate], data: Any = None) -> None:
        names = ("given_name", "family_name", "email", "phone")
        super().__init__(data, initial={name: getattr(enquiry, name) for name in names})
        if suspects:
            self.fields["existing"].choices = [  # type: ignore[attr-defined]
                *((str(each.patient.ref), _who(each)) for each in suspects),
                (SOMEBODY_NEW, "None of them: a new patient"),
            ]
        else:
            del self.fields["existing"]
        if data and data.get("existing", SOMEBODY_NEW) != SOMEBODY_NEW:
            self.fields["born_on"].required = False  # known already; what stands there is not touched

    def whom(self) -> str:
        """Return the ref of the person it is, "" for somebody new."""
        ref = self.cleaned_data.get("existing", SOMEBODY_NEW)
        return "" if ref == SOMEBODY_NEW else ref


def _who(suspect: Duplicate) -> str:
    patient: Patient = suspect.patient
    return f"{patient.formal_name}, born {patient.born_on:%-d %b %Y} ({suspect.why.lower()})"
