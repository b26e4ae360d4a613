"""What is typed on the working page of a treatment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Div, Field, Layout
from django import forms

from clinic.catalogue.models import BodyArea
from clinic.catalogue.states import Laterality
from treatments.sessions.models import TreatmentSession
from treatments.sessions.queries import consented_areas
from treatments.sessions.states import (
    ASKED_AT_HOME,
    FIT_ANSWERS,
    Anaesthesia,
    Cooling,
    Endpoint,
    EyeProtection,
    FitnessAnswer,
    FitnessQuestion,
)

# The settings each kind of laser is steered by; the others stay within reach.
MAIN_SETTINGS: dict[str, tuple[str, ...]] = {
    "afl_co2": ("energy_mj", "coverage_percent"),
    "afl_eryag": ("depth_um", "coverage_percent"),
    "pico_755": ("fluence_j_cm2", "spot_um"),
}
USUAL_MAIN = ("energy_mj", "coverage_percent")
SETTINGS = (
    "energy_mj",
    "fluence_j_cm2",
    "coverage_percent",
    "density_mtz_cm2",
    "spot_um",
    "pulse_us",
    "depth_um",
    "stacked_pulses",
    "area_cm2",
)

FOLD = "<details class='ag-more'{{% if form.wrong_in_more %}} open{{% endif %}}><summary>{}</summary>"


def _radios(label: str, choices: Any, **options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=choices, widget=forms.RadioSelect, **options)


def _number(label: str, places: int = 0, **options: Any) -> forms.Field:
    """Return an optional number with a unit in its label, never below zero."""
    step = 10**-places
    widget = forms.NumberInput(attrs={"inputmode": "decimal" if places else "numeric", "step": step, "min": 0})
    if not places:
        return forms.IntegerField(label=label, min_value=0, required=False, widget=widget, **options)
    return forms.DecimalField(
        label=label, min_value=0, max_digits=9, decimal_places=places, required=False, widget=widget, **options
    )


class Choices(Field):
    """Radios or checkboxes laid out by one of the house's classes."""

    def __init__(self, name: str, layout: str) -> None:
        super().__init__(name)
        self.layout = layout

    def render(self, *args: Any, extra_context: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        return super().render(*args, extra_context={**(extra_context or {}), "field_class": self.layout}, **kwargs)


def _inline(name: str) -> Field:
    return Choices(name, "ag-choices-inline")


class FitnessForm(forms.Form):
    """The answers that expire, asked again at the door: every one, none filled in beforehand."""

    ASKED: Mapping[str, str] = dict(FitnessQuestion.choices)
    UNANSWERED = "Please ask this too."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for question in FitnessQuestion:
            allowed = FIT_ANSWERS[question] | {FitnessAnswer.YES, FitnessAnswer.NOT_SURE}
            choices = [(answer.value, answer.label) for answer in FitnessAnswer if answer in allowed]
            self.fields[question.value] = _radios(
                self.ASKED[question], choices, error_messages={"required": self.UNANSWERED}
            )
        self.helper = FormHelper()
        self.helper.layout = Layout(*(_inline(name) for name in FitnessQuestion.values))


class HomeFitnessForm(FitnessForm):
    """The same questions as the patient answers them at home, in plain words."""

    ASKED = ASKED_AT_HOME
    UNANSWERED = "Please answer this too."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"form_key": uuid.uuid4()}} | kwargs)
        self.fields["form_key"] = forms.UUIDField(widget=forms.HiddenInput)
        # Four cards, one of them long: below each other they fit a phone.
        wide = {FitnessQuestion.PREGNANCY.value: "ag-choices"}
        cards = (Choices(name, wide.get(name, "ag-choices-inline")) for name in FitnessQuestion.values)
        self.helper.layout = Layout(*cards, "form_key")

    def answers(self) -> dict[str, str]:
        """Return what `answer_fitness` wants."""
        return {question: self.cleaned_data[question] for question in FitnessQuestion.values}


class StartForm(forms.Form):
    """Switching the laser on: what protects the eyes, and why in spite of what is missing."""

    eye_protection = _radios(
        "Eye protection, on now",
        EyeProtection.choices,
        error_messages={"required": "Say which eye protection is on."},
    )
    override_reason = forms.CharField(
        label="Why go on without what is missing?",
        max_length=400,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Stays on the record with your name.",
    )

    def __init__(self, *args: Any, asks_why: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not asks_why:
            del self.fields["override_reason"]
        self.helper = FormHelper()
        self.helper.layout = Layout(_inline("eye_protection"), *(["override_reason"] if asks_why else []))


class ReasonForm(forms.Form):
    """Why a row is struck or a session was not done."""

    reason = forms.CharField(
        label="Why?", max_length=400, widget=forms.TextInput, error_messages={"required": "Please say why."}
    )


class AddendumForm(forms.Form):
    body = forms.CharField(label="What is to be added", max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class PassForm(forms.Form):
    """One group of passes on one area. Units stand in the labels."""

    laterality = forms.ChoiceField(label="Side", choices=[("", "Not sided"), *Laterality.choices], required=False)
    passes = forms.IntegerField(label="Passes", min_value=1, max_value=50, initial=1)
    energy_mj = _number("Energy (mJ)", 2)
    fluence_j_cm2 = _number("Fluence (J/cm²)", 2)
    coverage_percent = _number("Coverage (%)", 2, max_value=100)
    density_mtz_cm2 = _number("Density (MTZ/cm²)")
    spot_um = _number("Spot (µm)")
    pulse_us = _number("Pulse (µs)", 6)
    depth_um = _number("Depth (µm)")
    stacked_pulses = _number("Stacked pulses")
    area_cm2 = _number("Area size (cm²)", 1)
    warning_reason = forms.CharField(
        label="Why these settings are right", max_length=400, required=False, widget=forms.TextInput
    )
    form_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, session: TreatmentSession, warned: bool = False, **kwargs: Any) -> None:
        kwargs = {"initial": {"form_key": uuid.uuid4()}, "auto_id": "pass_%s"} | kwargs
        super().__init__(*args, **kwargs)
        allowed = consented_areas(session)
        labels = {area.key: area.label for area in BodyArea.objects.filter(key__in=allowed)}
        chosen = [(key, labels.get(key, key)) for key in session.course.areas]
        parts = [(key, label) for key, label in labels.items() if key not in session.course.areas]
        self.fields["area"] = forms.ChoiceField(label="Area", choices=[*chosen, *parts])
        main = MAIN_SETTINGS.get(session.modality, USUAL_MAIN)
        self.more = more = [name for name in SETTINGS if name not in main]
        if not warned:
            self.fields["warning_reason"].widget = forms.HiddenInput()
        self.helper = FormHelper()
        self.helper.layout = Layout(
            Div(*(Field(name) for name in ("area", "laterality", "passes", *main)), css_class="ag-settings"),
            HTML(FOLD.format("More settings")),
            Div(*(Field(name) for name in more), css_class="ag-settings"),
            HTML("</details>"),
            "warning_reason",
            "form_key",
        )

    @property
    def wrong_in_more(self) -> bool:
        """A refused setting is never hidden behind a closed fold."""
        return any(name in self.errors for name in self.more)

    def settings(self) -> dict[str, Any]:
        """Return what `record_pass` wants."""
        return dict(self.cleaned_data)


class RecordForm(forms.Form):
    """The end of a treatment: what the record must say before aftercare begins."""

    completed_at = forms.DateTimeField(
        label="Treatment ended",
        help_text="Day 0 of aftercare counts from here.",
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    anaesthesia = _radios(
        "Anaesthesia",
        Anaesthesia.choices,
        error_messages={"required": "Say which anaesthesia was given, or none."},
    )
    agent = forms.CharField(label="Agent", max_length=100, required=False)
    strength_percent = _number("Strength (%)", 1)
    mass_g = _number("Amount (g)", 1)
    area_cm2 = _number("Area covered (cm²)")
    minutes = _number("Time on the skin (min)")
    occlusion = forms.BooleanField(label="Covered with film", required=False)
    heat = forms.BooleanField(label="Warmed", required=False)
    after_ablative_pass = forms.BooleanField(label="Put on again after an ablative pass", required=False)
    anaesthesia_reason = forms.CharField(label="Why this numbing was right", max_length=400, required=False)
    eye_protection = _radios(
        "Eye protection worn",
        EyeProtection.choices,
        error_messages={"required": "Say which eye protection was worn."},
    )
    cooling = _radios("Cooling", Cooling.choices, error_messages={"required": "Say how the skin was cooled, or not."})
    endpoints = forms.MultipleChoiceField(
        label="What the skin showed", choices=Endpoint.choices, widget=forms.CheckboxSelectMultiple, required=False
    )
    pain_during = forms.TypedChoiceField(
        label="How much it hurt",
        help_text="0 is no pain, 10 the worst imaginable.",
        choices=[(number, str(number)) for number in range(11)],
        coerce=int,
        widget=forms.RadioSelect,
        error_messages={"required": "Say how much it hurt, from 0 to 10."},
    )
    prophylaxis = forms.CharField(
        label="Prophylaxis and medicines given",
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    note = forms.CharField(label="Note", max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3}))
    stopped_reason = forms.CharField(
        label="If it was cut short, why?", max_length=400, required=False, widget=forms.TextInput
    )

    NUMBING = ("agent", "strength_percent", "mass_g", "area_cm2", "minutes")
    NUMBING_HOW = ("occlusion", "heat", "after_ablative_pass")

    def __init__(
        self, *args: Any, session: TreatmentSession, at: datetime, warned: bool = False, **kwargs: Any
    ) -> None:
        self.session = session
        kwargs.setdefault("initial", {"completed_at": at, "eye_protection": session.eye_protection})
        super().__init__(*args, **kwargs)
        if not warned:
            self.fields["anaesthesia_reason"].widget = forms.HiddenInput()
        self.helper = FormHelper()
        self.helper.layout = Layout(
            "completed_at",
            _inline("anaesthesia"),
            HTML(FOLD.format("How it was numbed")),
            Div(*(Field(name) for name in self.NUMBING), css_class="ag-settings"),
            *self.NUMBING_HOW,
            HTML("</details>"),
            "anaesthesia_reason",
            _inline("eye_protection"),
            _inline("cooling"),
            _inline("endpoints"),
            Choices("pain_during", "ag-scale"),
            "prophylaxis",
            "note",
            "stopped_reason",
        )

    @property
    def wrong_in_more(self) -> bool:
        """A refused answer is never hidden behind a closed fold."""
        return any(name in self.errors for name in (*self.NUMBING, *self.NUMBING_HOW, "anaesthesia_reason"))

    def clean_completed_at(self) -> datetime:
        """A time typed to the minute means that minute: the treatment may have started within it."""
        ended: datetime = self.cleaned_data["completed_at"]
        started = self.session.started_at
        if started is not None and timedelta(0) < started - ended < timedelta(minutes=1):
            return started
        return ended

    def record(self) -> dict[str, Any]:
        """Return the record as `complete_session` wants it."""
        data = self.cleaned_data
        detail = {name: data[name] for name in self.NUMBING if data[name] not in (None, "")}
        detail |= {name: data[name] for name in self.NUMBING_HOW}
        kept = ("anaesthesia", "anaesthesia_reason", "eye_protection", "cooling", "endpoints", "pain_during")
        return {
            **{name: data[name] for name in (*kept, "prophylaxis", "note")},
            "anaesthesia_detail": {key: _plain(value) for key, value in detail.items()},
        }


def _plain(value: Any) -> Any:
    """Return a number as JSON can hold it."""
    return float(value) if not isinstance(value, bool | str | int) else value
