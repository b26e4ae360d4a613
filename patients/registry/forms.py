"""Forms for people. A date of birth is three boxes everywhere: nobody scrolls a calendar to 1961."""

from __future__ import annotations

import uuid
import zoneinfo
from datetime import date
from typing import TYPE_CHECKING, Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from clinic.audit.states import Refused
from clinic.premises.models import Location
from clinic.staff.models import User
from patients.registry.models import Patient
from patients.registry.rules import NAME_LIMIT, BirthDateRefused, date_from_boxes, facts_typed
from patients.registry.states import ContactKind, Language

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class ThreeBoxes(forms.MultiWidget):
    """Day, month and year, each with its word above it and the number pad of a phone."""

    use_fieldset = True
    template = "patients/registry/three_boxes.html"
    BOXES = (("day", "Day", 2), ("month", "Month", 2), ("year", "Year", 4))

    def __init__(self, autocomplete: str = "") -> None:
        self.autocomplete = autocomplete
        super().__init__({name: forms.TextInput for name, _, _ in self.BOXES})

    def decompress(self, value: date | None) -> list[str]:
        return [str(value.day), str(value.month), str(value.year)] if value else ["", "", ""]

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        typed = value if isinstance(value, list) else self.decompress(value)
        start = (attrs or {}).get("id", f"id_{name}")
        boxes = [
            {
                "name": f"{name}_{part}",
                "id": f"{start}_{index}",
                "label": label,
                "size": size,
                "value": typed[index] or "",
                "autocomplete": f"{self.autocomplete}-{part}" if self.autocomplete else "off",
            }
            for index, (part, label, size) in enumerate(self.BOXES)
        ]
        return render_to_string(
            self.template, {"boxes": boxes, "wrong": "is-invalid" in (attrs or {}).get("class", "")}
        )


class ThreeBoxDate(forms.MultiValueField):
    """A date typed into three boxes; the sentence of an impossible one says which box to look at."""

    def __init__(self, *, autocomplete: str = "", **kwargs: Any) -> None:
        boxes = [forms.CharField(required=False) for _ in ThreeBoxes.BOXES]
        super().__init__(boxes, widget=ThreeBoxes(autocomplete), require_all_fields=False, **kwargs)

    def clean(self, value: Any) -> date | None:
        parts = [str(part or "") for part in (value or ["", "", ""])]
        if not self.required and not any(part.strip() for part in parts):
            return None
        try:
            return date_from_boxes(*parts)
        except BirthDateRefused as refused:
            raise forms.ValidationError(refused.for_people) from None


class RefusableForm(forms.Form):
    """A form that can show why an act was refused, at the field it is about."""

    def refuse(self, refused: Refused) -> None:
        self.add_error(refused.field if refused.field in self.fields else None, refused.for_people)


class BirthDateForm(RefusableForm):
    born_on = ThreeBoxDate(label="Your date of birth", autocomplete="bday", help_text="For example 27 3 1985")


def name_field(label: StrOrPromise, *, required: bool, autocomplete: str) -> forms.CharField:
    """A name of at most 200 characters; a longer one is refused at the field and stays there to be shortened."""
    return forms.CharField(
        label=label,
        required=required,
        max_length=NAME_LIMIT,
        widget=forms.TextInput(attrs={"autocomplete": autocomplete, "maxlength": False}),
        error_messages={
            "required": "Please give a name.",
            "max_length": "This name has %(show_value)d characters. Please keep it to %(limit_value)d.",
        },
    )


def email_field(*, help_text: StrOrPromise = "", autocomplete: str = "off") -> forms.CharField:
    """An address as text: the room's own rule judges it, with its own sentences."""
    attrs = {"autocomplete": autocomplete, "inputmode": "email", "autocapitalize": "none", "spellcheck": "false"}
    return forms.CharField(
        label="Email", required=False, max_length=254, help_text=help_text, widget=forms.TextInput(attrs=attrs)
    )


def phone_field(*, help_text: StrOrPromise = "", autocomplete: str = "off") -> forms.CharField:
    attrs = {"autocomplete": autocomplete, "inputmode": "tel", "type": "tel"}
    return forms.CharField(
        label="Mobile phone", required=False, max_length=40, help_text=help_text, widget=forms.TextInput(attrs=attrs)
    )


class PersonForm(RefusableForm):
    """Who somebody is and how they are reached, as the desk types it."""

    given_name = name_field("First name", required=False, autocomplete="off")
    family_name = name_field("Family name, or their only name", required=True, autocomplete="off")
    born_on = ThreeBoxDate(label="Date of birth")
    email = email_field()
    phone = phone_field()


class RegisterForm(PersonForm):
    language = forms.ChoiceField(label="Language for messages", choices=Language.choices)
    location = forms.ModelChoiceField(Location.objects.none(), to_field_name="ref", label="Location", empty_label=None)
    form_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, user: User, here: Location | None, data: Any = None, *, typed: str = "") -> None:
        """`typed` is what somebody looked for before they found that nobody is there: it need not be typed again."""
        first = {"form_key": uuid.uuid4(), "location": here.ref if here else None, **facts_typed(typed)}
        super().__init__(data, initial=first)
        self.fields["location"].queryset = Location.objects.visible_to(user)  # type: ignore[attr-defined]


class CorrectForm(PersonForm):
    known_as = name_field("Likes to be called", required=False, autocomplete="off")
    preferred_channel = forms.ChoiceField(label="Write first by", choices=ContactKind.choices)
    language = forms.ChoiceField(label="Language for messages", choices=Language.choices)
    time_zone = forms.ChoiceField(
        label="Time zone",
        required=False,
        help_text="Only if they live in another one than the clinic: messages then keep to their night.",
    )
    field_order = ("given_name", "family_name", "known_as", "born_on", "email", "phone", "preferred_channel")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone and not zone.startswith("Etc/"))
        self.fields["time_zone"].choices = [  # type: ignore[attr-defined]
            ("", "As the clinic"),
            *((zone, zone.replace("_", " ")) for zone in zones),
        ]

    @classmethod
    def facts_of(cls, patient: Patient, email: str, phone: str) -> dict[str, Any]:
        """Return what the form shows before anything is typed."""
        kept = {name: getattr(patient, name) for name in cls.base_fields if hasattr(patient, name)}
        return {**kept, "email": email, "phone": phone}
