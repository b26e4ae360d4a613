from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.worklist.models import Task

LONGEST_OUTCOME = 400


class FinishForm(forms.Form):
    """What came of a task. A task that closes with certain words offers them; the reason stands behind the word."""

    outcome = forms.CharField(
        label=_("What came of it?"),
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=LONGEST_OUTCOME,
        required=False,
        error_messages={"required": _("Please say what came of it.")},
    )

    def __init__(self, *args: Any, task: Task, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if task.closes_with:
            self.fields["choice"] = _choice(task.closes_with)
            self.fields["outcome"].label = _("Why?")
            self.order_fields(["choice", "outcome"])
        if task.closes_with or task.blocks_treatment:
            self.fields["outcome"].required = True
            self.fields["outcome"].help_text = _("This closes something that held a treatment back, so it is kept.")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("choice") and cleaned.get("outcome"):
            cleaned["outcome"] = f"{cleaned['choice']}: {cleaned['outcome']}"
            if len(cleaned["outcome"]) > LONGEST_OUTCOME:
                self.add_error("outcome", _("Please say it in fewer words."))
        return cleaned


def _choice(words: list[str]) -> forms.ChoiceField:
    """Return the question which of these words the task closes with."""
    return forms.ChoiceField(
        label=_("What was decided?"),
        choices=[(word, word.replace("_", " ").capitalize()) for word in words],
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose one.")},
    )
