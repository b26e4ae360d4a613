"""Deciding, agreeing, taking back, and answering in place what was left open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Layout
from django import forms

from patients.candidacy.actions import CONDITION_LENGTH, REASON_LENGTH
from patients.candidacy.facts import known_facts
from patients.candidacy.review import Suggestion
from patients.candidacy.states import READ_BY_PATIENT, ConditionWork, DecisionKind, PatientWordsMissing
from patients.intake.queries import Given
from patients.intake.questionnaire import Question
from patients.intake.rules import NONE_OF_THESE
from patients.intake.states import QuestionType

OWN_ROWS = 2
OWN_WORK = [(work.value, work.label) for work in ConditionWork if work != ConditionWork.FACT]
# Always in view: only the clinician's own look may decide on skin type.
FIRST = frozenset({"fst_confirmed"})


class DecisionForm(forms.Form):
    """One decision about one laser. Suggested tasks are the rules' own; further conditions are free sentences."""

    kind = forms.ChoiceField(
        label="Decision",
        choices=DecisionKind.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Please choose one."},
    )
    reason = forms.CharField(
        label="Reason",
        help_text="In your own words. It stays with the decision for ever; the patient never reads it.",
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=REASON_LENGTH,
        error_messages={"required": "Please give the reason in your own words."},
    )
    conditions = forms.MultipleChoiceField(
        label="Also before treatment", required=False, widget=forms.CheckboxSelectMultiple
    )
    earliest_on = forms.DateField(
        label="Not before",
        help_text="The first day a treatment may be booked. Deferring needs a date or a condition.",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Please write the date as year-month-day, for example 2027-03-01."},
    )
    replaces = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, suggestions: Iterable[Suggestion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        free = [(each.key, each.label) for each in suggestions if not each.needed_by]
        if free:
            self.fields["conditions"].choices = free  # type: ignore[attr-defined]
        else:
            del self.fields["conditions"]
        rows: list[str] = []
        for number in range(1, OWN_ROWS + 1):
            self.fields[f"own_{number}"] = forms.CharField(
                label=f"{'Another' if number > 1 else 'Your own'} condition",
                required=False,
                max_length=CONDITION_LENGTH,
            )
            self.fields[f"own_{number}_work"] = forms.ChoiceField(
                label="What it does", choices=OWN_WORK, initial=ConditionWork.BEFORE, required=False
            )
            self.fields[f"own_{number}_told"] = forms.CharField(
                label="In words for the patient",
                help_text="They read it on their page, in a message or at a check-in. Blank: they read only that "
                "something is still to be talked through.",
                required=False,
                max_length=CONDITION_LENGTH,
            )
            rows += [f"own_{number}", f"own_{number}_work", f"own_{number}_told"]
        facts = known_facts()
        if facts:
            self.fields["facts"] = forms.MultipleChoiceField(
                label="Also true of this treatment",
                help_text="The messages before and after the visit follow what is ticked.",
                choices=list(facts.items()),
                widget=forms.CheckboxSelectMultiple,
                required=False,
            )
        self.helper = FormHelper(self)
        written = any(self.data.get(name) for name in [*rows, "facts"] if not name.endswith("_work"))
        fold = HTML(
            f"<details class='ag-card ag-card-quiet'{' open' if written else ''}>"
            "<summary>Conditions of your own, lines for the patient, questions at check-ins</summary><div class='mt-3'>"
        )
        self.helper.layout = Layout(
            "kind", "reason", "earliest_on", *(["conditions"] if free else []), fold, *rows,
            *(["facts"] if facts else []), HTML("</div></details>"),
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for number in range(1, OWN_ROWS + 1):
            read = cleaned.get(f"own_{number}_work") in READ_BY_PATIENT
            if read and cleaned.get(f"own_{number}") and not cleaned.get(f"own_{number}_told"):
                self.add_error(f"own_{number}_told", PatientWordsMissing.sentence)
        return cleaned

    def own_conditions(self) -> list[dict[str, object]]:
        """Return the free conditions that were written and the facts that were ticked, in the order of the page."""
        given, facts = self.cleaned_data, known_facts()
        written: list[dict[str, object]] = []
        for number in range(1, OWN_ROWS + 1):
            text, told = given[f"own_{number}"].strip(), given[f"own_{number}_told"].strip()
            work = given[f"own_{number}_work"] or ConditionWork.BEFORE
            if text or told:
                written.append({"key": f"own-{number}", "text": text, "told": told, "work": work})
        ticked = given.get("facts", [])
        return [*written, *({"key": key, "text": facts[key], "work": ConditionWork.FACT} for key in ticked)]


class WithdrawForm(forms.Form):
    """Why a decision no longer counts."""

    reason = forms.CharField(
        label="Why is it taken back?",
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=REASON_LENGTH,
        error_messages={"required": "Please say why."},
    )


class SettleForm(forms.Form):
    """What came of a condition, in one of its own words, and why."""

    choice = forms.ChoiceField(label="Outcome", required=False, error_messages={"invalid_choice": "Please choose one."})
    reason = forms.CharField(
        label="Reason or result", max_length=360, error_messages={"required": "Please give the reason."}
    )

    def __init__(self, *args: Any, choices: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = [(word, word.replace("_", " ").capitalize()) for word in choices]
        if words:
            self.fields["choice"].choices = [("", "Choose"), *words]  # type: ignore[attr-defined]
            self.fields["choice"].required = True
            self.fields["choice"].error_messages["required"] = "Please choose one."
        else:
            del self.fields["choice"]


class FindingsForm(forms.Form):
    """What a clinician found out: a field for each question that is open or theirs. A blank changes nothing."""

    def __init__(self, *args: Any, questions: Iterable[Question], said: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first: list[str] = []
        rest: list[str] = []
        for question in questions:
            self.fields[question.key] = _field(question, said[question.key])
            (first if question.key in FIRST or not said[question.key].is_known else rest).append(question.key)
        opened = " open" if self.is_bound else ""
        fold = HTML(
            f"<details class='mb-3'{opened}><summary>Confirm or correct other answers</summary><div class='mt-3'>"
        )
        self.helper = FormHelper(self)
        self.helper.layout = Layout(*first, *([fold, *rest, HTML("</div></details>")] if rest else []))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not any(_is_given(value) for value in cleaned.values()):
            raise forms.ValidationError("Nothing was answered yet.")
        return cleaned

    def found(self) -> dict[str, object]:
        """Return only what was answered, as the intake takes it."""
        return {
            key: value.isoformat() if isinstance(value, date) else value
            for key, value in self.cleaned_data.items()
            if _is_given(value)
        }


def _is_given(value: object) -> bool:
    return value not in (None, "", [])


def _field(question: Question, said: Any) -> forms.Field:
    before = f"Now: {said.text}" + (f" ({said.by})" if said.by and said.kind == Given.ANSWER else "")
    if said.is_expired:
        before = f"Too old to count: {said.text} ({said.by})"
    common: dict[str, Any] = {"label": question.label, "required": False, "help_text": before}
    options = [(option.key, option.label) for option in question.options]
    if question.type == QuestionType.MULTI:
        none = [(NONE_OF_THESE, "None of these")] if question.none_option else []
        return forms.MultipleChoiceField(choices=[*options, *none], widget=forms.CheckboxSelectMultiple, **common)
    if question.type == QuestionType.DATE:
        return forms.CharField(widget=forms.DateInput(attrs={"type": "date"}), **common)
    if question.type == QuestionType.INT:
        return forms.IntegerField(min_value=question.low, max_value=question.high, **common)
    if question.type == QuestionType.TEXT:
        return forms.CharField(max_length=500, **common)
    if question.type == QuestionType.BOOL:
        options = [("true", "Yes"), ("false", "No")]
    return forms.ChoiceField(choices=[("", "No change"), *options], **common)
