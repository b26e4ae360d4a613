from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.packs.models import RulePack
from patients.messaging.states import Channel
from patients.workshop.forms import TEXT_LENGTH, DraftForm, one_line
from treatments.plan.protocols import Step
from treatments.protocols.edits import BEHIND, FLAGS, LINES, OPTIONAL
from treatments.protocols.queries import rehearsable, title_of
from treatments.protocols.rules import odd_wall_time


class _ProtocolField(forms.ModelChoiceField):
    def to_python(self, value: Any) -> RulePack | None:
        try:
            found: RulePack | None = super().to_python(value)
        except forms.ValidationError:
            raise forms.ValidationError(_("Choose one of the protocols in the list.")) from None
        return found

    def label_from_instance(self, obj: RulePack) -> str:
        if obj.status == "draft":
            return f"{title_of(obj)}: draft by {obj.drafted_by}"
        return f"{title_of(obj)}: version {obj.version}, in force"


class RehearsalForm(forms.Form):
    """Which protocol, and the wall time and zone of the sample visit."""

    protocol = _ProtocolField(
        queryset=RulePack.objects.none(), to_field_name="ref", label=_("Protocol"), empty_label=None
    )
    visit = forms.CharField(
        label=_("Time of the visit"),
        max_length=25,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    zone = forms.CharField(label=_("Time zone of the clinic"), max_length=64)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["protocol"].queryset = rehearsable()  # type: ignore[attr-defined]

    def clean_visit(self) -> datetime:
        """Return the naive wall time: the zone is asked for beside it."""
        try:
            return _wall(self.cleaned_data["visit"])
        except ValueError:
            raise forms.ValidationError(_("This is not a time. Write it like 2026-03-30T09:00.")) from None

    def clean_zone(self) -> ZoneInfo:
        name = self.cleaned_data["zone"].strip()
        if name not in available_timezones():
            raise forms.ValidationError(_("This is not a time zone. Write it like Europe/London."))
        return ZoneInfo(name)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("visit") and given.get("zone") and (odd := odd_wall_time(given["visit"], given["zone"])):
            self.add_error("visit", odd)
        return given


def _wall(text: str) -> datetime:
    wall = datetime.fromisoformat(text)
    if wall.tzinfo is not None or not 1970 <= wall.year <= 9000:
        raise ValueError(text)
    return wall


_SPAN = _("A length of time, like 90m, 6h or 3d.")
_STEP_LABELS: Mapping[str, tuple[Any, Any]] = {
    "title": (_("Title"), ""),
    "what_is_normal": (_("What is normal"), ""),
    "contact_if": (_("Contact us if"), _("One reason a line.")),
    "offset": (
        _("How long before or after"),
        _("-2d is two days before, 90m ninety minutes after, 6mo six months after."),
    ),
    "at": (
        _("Time of day"),
        _("Like 09:00, or “same” for that of the visit or treatment. Empty after minutes or hours."),
    ),
    "channel": (_("Channel"), ""),
    "important": (_("Somebody calls if it cannot be delivered"), ""),
    "latest": (_("Not later than so long before it"), _SPAN),
    "keep": (
        _("Still makes sense for"),
        _("After that it is skipped and listed, not sent late."),
    ),
    "source": (_("Source"), _("Tags with their evidence letter A to D, parted by commas; G for general knowledge.")),
    "needs_decision": (_("Still to be decided by the clinic"), ""),
    "note": (_("Note"), _("Not for patients.")),
}


class StepForm(DraftForm):
    """One message of a care protocol: its words, its time, what happens when it fails."""

    def __init__(self, *args: Any, step: Step, stated: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.step = step
        for name in ("title", "what_is_normal"):
            self.fields[name] = self._text(name, stated[name])
        for index, line in enumerate(step.lines):
            self.fields[f"do_{index}"] = self._text(
                f"do_{index}", stated[f"do_{index}"], _("To do, line %s") % (index + 1)
            )
            self.fields[f"do_{index}"].help_text = line.source
        for name in BEHIND:
            if name in self.fields:
                continue
            if name in FLAGS:
                label, help_text = _STEP_LABELS[name]
                self.fields[name] = forms.BooleanField(
                    label=label, help_text=help_text, required=False, initial=stated[name]
                )
            elif name == "channel":
                self.fields[name] = forms.ChoiceField(
                    label=_STEP_LABELS[name][0], choices=Channel.choices, initial=stated[name]
                )
            else:
                self.fields[name] = self._text(name, stated[name])

    def _text(self, name: str, initial: str, label: Any = "") -> forms.CharField:
        own, help_text = _STEP_LABELS.get(name, (label, ""))
        is_short = name in {"offset", "at", "latest", "keep"}
        rows = {"rows": 4} if name in LINES else {"rows": 1, "class": "ag-line"}
        return forms.CharField(
            label=own,
            help_text=help_text,
            initial=initial,
            required=name not in OPTIONAL,
            max_length=20 if is_short else TEXT_LENGTH,
            widget=forms.TextInput() if is_short else forms.Textarea(attrs=rows),
            error_messages={"required": _("Please write something here.")},
        )

    def words(self) -> list[Any]:
        return [self[name] for name in self.fields if name in {"title", "what_is_normal"} or name.startswith("do_")]

    def times(self) -> list[Any]:
        return [self[name] for name in ("offset", "at", "latest", "keep")]

    def given(self) -> dict[str, Any]:
        """Return what was typed, lines folded as the text has them."""
        return {
            name: one_line(value) if isinstance(value, str) and name not in LINES else value
            for name, value in self.cleaned_data.items()
            if name != "shown"
        } | {name: self.cleaned_data[name].replace("\r\n", "\n").strip() for name in LINES}
