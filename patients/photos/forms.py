"""Forms around photos: one for the clinic, one for a phone, and the reason why one does not belong."""

from __future__ import annotations

import uuid
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout
from django import forms
from django.core import signing
from django.utils.translation import gettext_lazy as _

from clinic.catalogue.models import BodyArea
from clinic.pictures.rules import TOO_LARGE
from patients.photos.actions import REASON_LENGTH
from patients.photos.states import Angle
from patients.registry.forms import RefusableForm
from patients.registry.models import Patient

# Naming the formats makes an iPhone hand over a JPEG instead of its own HEIC.
ACCEPT = "image/jpeg,image/png,image/webp"
_SIGNER = signing.Signer(salt="photos.form")


class PhotoForm(RefusableForm):
    """A photo, what it shows and from where. The form knows whose it is, whatever page it comes back to."""

    whose = forms.CharField(widget=forms.HiddenInput, required=False)
    form_key = forms.UUIDField(widget=forms.HiddenInput)
    area = forms.ModelChoiceField(
        BodyArea.objects.all(),
        label=_("Which area"),
        empty_label=_("Please choose"),
        error_messages={"required": _("Please choose the area.")},
    )
    angle = forms.ChoiceField(
        label=_("Seen from where"),
        choices=Angle.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose from where it is taken.")},
    )
    photo = forms.FileField(
        label=_("Photo"),
        allow_empty_file=True,
        max_length=None,
        error_messages={"required": _("Please choose a photo.")},
    )

    def __init__(
        self, patient: Patient, data: Any = None, files: Any = None, *, too_large: bool = False, **initial: Any
    ):
        own = {"whose": _SIGNER.sign(str(patient.ref)), "form_key": uuid.uuid4()}
        super().__init__(data, files, initial={**own, **initial})
        self.patient = patient
        self.too_large = too_large

    @property
    def helper(self) -> FormHelper:
        """Lays out all but the file: the page has a picker of its own for that."""
        helper = FormHelper(self)
        helper.field_class = "ag-choices-inline"
        helper.layout = Layout(*[name for name in self.fields if name != "photo"])
        return helper

    @property
    def is_of_another(self) -> bool:
        """True if the form was opened for another patient than the page it came back to."""
        try:
            return _SIGNER.unsign(self.data.get("whose", "")) != str(self.patient.ref)
        except signing.BadSignature:
            return True

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.too_large:
            self.errors.pop("photo", None)
            self.add_error("photo", TOO_LARGE)
        return cleaned

    def facts(self) -> dict[str, Any]:
        """Return what the act takes, the file as bytes."""
        given = {name: value for name, value in self.cleaned_data.items() if name not in {"whose", "photo"}}
        return {**given, "data": self.cleaned_data["photo"].read()}


class StaffPhotoForm(PhotoForm):
    taken_on = forms.DateField(
        label=_("Taken on"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"required": _("Please give the day."), "invalid": _("Please give the day.")},
    )
    field_order = ("whose", "form_key", "area", "angle", "taken_on", "photo")


class PatientPhotoForm(PhotoForm):
    """As the clinic's, with the areas the patient named in the answers first."""

    def __init__(self, patient: Patient, *args: Any, first: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(patient, *args, **kwargs)
        areas = list(BodyArea.objects.all())
        mine = [area for area in areas if area.key in first]
        rest = [area for area in areas if area.key not in first]
        groups = [(_("You named these"), mine), (_("Other areas"), rest)] if mine else [("", rest)]
        choices: list[tuple[Any, Any]] = [("", _("Please choose"))]
        for label, group in groups:
            pairs = [(area.key, area.label) for area in group]
            choices += [(label, pairs)] if mine else pairs
        self.fields["area"].widget.choices = choices
        if len(mine) == 1:
            self.initial["area"] = mine[0].key


class StrikeForm(RefusableForm):
    reason = forms.CharField(
        label=_("Why does it not belong here?"),
        max_length=REASON_LENGTH,
        error_messages={"required": _("Please say why this photo does not belong here.")},
    )
