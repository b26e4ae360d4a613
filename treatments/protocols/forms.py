from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.packs.models import RulePack
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
