"""What a visitor tells us to book a consultation: who they are and where they can be told. Nothing about health."""

from __future__ import annotations

import uuid
from copy import copy
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.registry.forms import RefusableForm, ThreeBoxDate, email_field, name_field, phone_field
from treatments.online.rules import LONGEST_GIVEN_NAME
from treatments.visits.forms import InstantField


class DetailsForm(RefusableForm):
    """`website` is a trap: people do not see it, programs that fill in every field do."""

    fields: dict[str, Any]
    given_name = name_field(_("First name"), required=False, autocomplete="given-name")
    family_name = name_field(_("Family name, or your only name"), required=True, autocomplete="family-name")
    born_on = ThreeBoxDate(
        label=_("Date of birth"),
        autocomplete="bday",
        help_text=_("For example 27 3 1985. It opens the private links we send you."),
    )
    email = email_field(autocomplete="email", help_text=_("Give an email address, a mobile number, or both."))
    phone = phone_field(autocomplete="tel")
    website = forms.CharField(
        label=_("Leave this empty"),
        required=False,
        widget=forms.TextInput(attrs={"tabindex": "-1", "autocomplete": "off"}),
    )
    starts_at = InstantField(widget=forms.HiddenInput, error_messages={"required": _("Please choose a time.")})
    form_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, initial={"form_key": uuid.uuid4(), **kwargs})

    def clean_given_name(self) -> str:
        name: str = self.cleaned_data["given_name"]
        if len(name) > LONGEST_GIVEN_NAME:
            raise forms.ValidationError(_("Please keep this to %(n)s characters.") % {"n": LONGEST_GIVEN_NAME})
        return name

    @property
    def about_the_person(self) -> DetailsForm:
        """The form without its time, which the page shows by itself."""
        person = copy(self)
        person.fields = {name: field for name, field in self.fields.items() if name != "starts_at"}
        return person

    @property
    def is_a_trap(self) -> bool:
        return bool(self.data.get("website"))
