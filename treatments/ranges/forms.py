"""One entry of check-in triage or of the treatment ranges in a form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.workshop.forms import TEXT_LENGTH, DraftForm, one_line
from treatments.aftercare.states import SEVERITY, Level
from treatments.ranges.rules import FIELD_LABELS, FLAGS, OPTIONAL, Part

_HELP = {
    "respond": _("Like “60 minutes”, “4 working_hours” or “1 working_days”. Empty at a rule: as its level says."),
    "source": _("Tags with their evidence letter A to D, parted by commas; G for general knowledge."),
    "note": _("Not for patients."),
}
_SIGNS = {">": _("more than"), ">=": _("at least"), "<": _("less than"), "<=": _("at most")}
_SHORT = frozenset({"respond", "who", "heading"})


class PartForm(DraftForm):
    """Its words, its level and its clock, and each number of its condition."""

    def __init__(self, *args: Any, part: Part, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.part = part
        for limit in part.limits:
            self.fields[limit.field] = forms.RegexField(
                r"^\d{1,6}(\.\d{1,4})?$",
                label=f"{limit.label}: {_SIGNS[limit.sign]}",
                initial=limit.number,
                widget=forms.TextInput(attrs={"inputmode": "decimal"}),
                error_messages={"invalid": _("Please write a number, like 45 or 0.71.")},
            )
        for key in part.table.fields:
            self.fields[key] = self._field(key)

    def _field(self, key: str) -> forms.Field:
        common = {"label": FIELD_LABELS[key], "help_text": _HELP.get(key, ""), "initial": self.part.said[key]}
        if key in FLAGS:
            return forms.BooleanField(required=False, **common)
        if key == "level":
            levels = [(each.value, each.label) for each in SEVERITY if each != Level.EXPECTED]
            return forms.ChoiceField(choices=levels, **common)
        widget = forms.TextInput() if key in _SHORT else forms.Textarea(attrs={"rows": 1, "class": "ag-line"})
        required = key not in OPTIONAL or (key == "respond" and self.part.table.key == "level")
        return forms.CharField(required=required, max_length=TEXT_LENGTH, widget=widget, **common)

    def limits(self) -> list[Any]:
        return [self[limit.field] for limit in self.part.limits]

    def rest(self) -> list[Any]:
        return [self[key] for key in self.part.table.fields]

    def given(self) -> dict[str, Any]:
        """Return what was typed, lines folded as the text has them."""
        return {
            name: one_line(value) if isinstance(value, str) else value
            for name, value in self.cleaned_data.items()
            if name != "shown"
        }
