"""What patients answer one by one, and what staff say about an alarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict

from clinic.staff.models import User
from treatments.aftercare.states import AnswerKind, EscalationOutcome
from treatments.aftercare.triage import FELT_HOT, NO_FEVER, Question
from treatments.aftercare.vocabulary import Vocabulary

SCALE_WORDS: Mapping[str, tuple[str, str, str]] = {
    "pain_now": ("No pain", "Hard to ignore", "The worst pain"),
    "itch": ("No itch", "Hard to ignore", "Unbearable"),
}
USUAL_WORDS = ("Not at all", "Hard to ignore", "Unbearable")
COLDEST, HOTTEST = 30.0, 45.0


class Unclear(ValueError):
    """What came back is not an answer to the question; the text says what to do."""


def answer_from(question: Question, data: QueryDict) -> object:
    """Return the answer as triage reads it. Raises Unclear; a question is never answered by sending nothing."""
    return _READERS[question.kind](question, [value.strip() for value in data.getlist("answer") if value.strip()])


def _choice(question: Question, given: list[str]) -> object:
    if len(given) != 1 or given[0] not in question.options:
        raise Unclear("Please choose one.")
    return given[0]


def _multi(question: Question, given: list[str]) -> object:
    if not given or any(value not in question.options for value in given):
        raise Unclear("Please choose at least one.")
    return given


def _scale(question: Question, given: list[str]) -> object:
    if len(given) != 1 or not given[0].isdigit() or not 0 <= int(given[0]) <= 10:
        raise Unclear("Please choose a number from 0 to 10.")
    return int(given[0])


def _yes_no(question: Question, given: list[str]) -> object:
    if given not in (["yes"], ["no"]):
        raise Unclear("Please choose one.")
    return given == ["yes"]


def _temperature(question: Question, given: list[str]) -> object:
    if given in ([FELT_HOT], [NO_FEVER]):
        return given[0]
    try:
        number = float(given[0].replace(",", ".").rstrip("°CFcf ")) if len(given) == 1 else 0.0
    except ValueError:
        number = 0.0
    if 86 <= number <= 115:  # can only be Fahrenheit
        number = round((number - 32) * 5 / 9, 1)
    if not COLDEST <= number <= HOTTEST:
        raise Unclear("Please write your temperature like 37.2, or choose an answer below.")
    return number


def _text(question: Question, given: list[str]) -> object:
    return " ".join(given)[:2000]


_READERS = {
    AnswerKind.CHOICE: _choice,
    AnswerKind.MULTI: _multi,
    AnswerKind.SCALE: _scale,
    AnswerKind.BOOL: _yes_no,
    AnswerKind.TEMPERATURE: _temperature,
    AnswerKind.TEXT: _text,
}


class SendForm(forms.Form):
    """The last screen of a check-in: what else there is to say."""

    wants_call = forms.BooleanField(label="I would like a call", required=False)
    note = forms.CharField(
        label="Anything else?", max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def said(self) -> dict[str, Any]:
        """Return what was said; nothing is not an answer."""
        data = self.cleaned_data
        return ({"wants_call": True} if data["wants_call"] else {}) | ({"note": data["note"]} if data["note"] else {})


class HandOverForm(forms.Form):
    def __init__(self, *args: Any, people: list[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"] = forms.ModelChoiceField(
            queryset=User.objects.filter(pk__in=[user.pk for user in people]),
            label="To",
            empty_label="Choose a person",
            to_field_name="ref",
        )


class CloseForm(forms.Form):
    """An alarm ends with what came of it."""

    outcome = forms.ChoiceField(
        label="What came of it?",
        choices=EscalationOutcome.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Please say what came of it."},
    )
    note = forms.CharField(
        label="What was found and done",
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Please write what was found and done."},
    )


class EventForm(forms.Form):
    """An adverse event in the clinic's words. What is reported most often stands first."""

    term = forms.ChoiceField(label="What happened")
    grade = forms.TypedChoiceField(label="How bad", coerce=int)
    relatedness = forms.ChoiceField(label="Caused by the treatment")
    onset_on = forms.DateField(label="Began on", widget=forms.DateInput(attrs={"type": "date"}))
    is_expected = forms.BooleanField(label="Within the usual for this treatment", required=False)
    note = forms.CharField(label="Note", max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, words: Vocabulary, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "event_%s"} | kwargs)
        often = [(word.key, word.label) for word in words.events if word.one_click]
        groups: dict[str, list[tuple[str, str]]] = {}
        for word in words.events:
            if not word.one_click:
                groups.setdefault(word.group.replace("_", " ").capitalize(), []).append((word.key, word.label))
        self._choose("term", [("", "Choose"), ("Reported most often", often), *groups.items()])
        self._choose("grade", [("", "Choose"), *((str(n), f"{n}: {label}. {text}") for n, label, text in words.grades)])
        self._choose("relatedness", [("", "Choose"), *words.relatedness])

    def _choose(self, name: str, choices: list[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


class ReviewForm(forms.Form):
    note = forms.CharField(
        label="What the review found",
        max_length=400,
        widget=forms.TextInput,
        error_messages={"required": "Please write what the review found."},
    )


class EndForm(forms.Form):
    """When the treatment truly ended, and why that was written down wrongly."""

    completed_at = forms.DateTimeField(
        label="Treatment ended",
        help_text="Day 0 of aftercare counts from here.",
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"required": "Please say when it ended.", "invalid": "Please give a day and a time."},
    )
    reason = forms.CharField(
        label="Why was the time wrong?",
        max_length=400,
        error_messages={"required": "Please say why the time was wrong."},
    )
