"""Planning a course: which laser, where, how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crispy_forms.helper import FormHelper
from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.catalogue.models import BodyArea, Modality
from patients.candidacy.models import CandidacyDecision
from patients.registry.forms import RefusableForm
from treatments.courses.actions import MOST_SESSIONS


class PlanForm(RefusableForm):
    """The plan that the patient is asked to agree to."""

    fields: dict[str, Any]
    areas = forms.MultipleChoiceField(label=_("Areas"), widget=forms.CheckboxSelectMultiple)
    sessions_planned = forms.IntegerField(label=_("Sessions"), min_value=1, max_value=MOST_SESSIONS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["areas"].choices = list(BodyArea.objects.values_list("key", "label"))
        self.helper = FormHelper(self)
        self.helper.field_class = "ag-choices-inline"


class NewCourseForm(PlanForm):
    """A plan for one of the lasers a clinician has cleared the patient for."""

    decision = forms.ChoiceField(label=_("Laser"), widget=forms.RadioSelect)
    field_order = ("decision", "areas", "sessions_planned")

    def __init__(self, *args: Any, decisions: Sequence[CandidacyDecision], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        labels = dict(Modality.objects.values_list("key", "label"))
        self.decisions = {str(each.ref): each for each in decisions}
        self.fields["decision"].choices = [
            (ref, f"{labels.get(each.modality, each.modality)}: {each.get_kind_display().lower()}")
            for ref, each in self.decisions.items()
        ]

    def clean_decision(self) -> CandidacyDecision:
        return self.decisions[self.cleaned_data["decision"]]


class ChangeForm(PlanForm):
    """Another plan for a course under way; consent is asked for anew."""

    reason = forms.CharField(label=_("Why does the plan change?"), max_length=400)


class WhyForm(RefusableForm):
    """Why a course is put on hold, goes on, or ends early."""

    reason = forms.CharField(label=_("Why?"), max_length=400)
