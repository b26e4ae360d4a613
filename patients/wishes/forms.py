"""One form for the desk and for the phone: which way first, whose night, and what may come by each way."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from patients.registry.forms import RefusableForm
from patients.registry.models import Patient
from patients.registry.states import ContactKind
from patients.wishes.queries import Way
from patients.wishes.states import Kind

_BY = {ContactKind.EMAIL: _("Email to %(where)s"), ContactKind.PHONE: _("Text to %(where)s")}


class WishesForm(RefusableForm):
    first_by = forms.ChoiceField(label=_("Write first by"), required=False, widget=forms.RadioSelect)
    time_zone = forms.ChoiceField(
        label=_("Whose night counts"),
        required=False,
        help_text=_("Nothing is sent between 20:00 and 9:00 where the patient lives."),
    )

    news = forms.BooleanField(
        label=_("Has agreed to news and to being asked for a review"),
        required=False,
        help_text=_("Only tick this if they said so. Without it nobody asks for a review."),
    )

    def __init__(self, patient: Patient, ways: list[Way], data: Any = None, *, is_mine: bool = False) -> None:
        initial = {
            "first_by": patient.preferred_channel if patient.channel_is_wish else "",
            "time_zone": patient.time_zone,
            "news": patient.news_agreed,
            **{way.key: way.wanted for way in ways},
        }
        super().__init__(data, initial=initial)
        self.ways = ways
        where = {way.point.kind: way.masked if is_mine else way.point.value for way in ways}
        named = [(kind, _BY[ContactKind(kind)] % {"where": where[kind]}) for kind in where]
        self.fields["first_by"].choices = [("", _("As it suits each message")), *named]  # type: ignore[attr-defined]
        zones = sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone and not zone.startswith("Etc/"))
        at_clinic = _("The same as the clinic: %(zone)s") % {"zone": patient.location.time_zone.replace("_", " ")}
        self.fields["time_zone"].choices = [  # type: ignore[attr-defined]
            ("", at_clinic),
            *((zone, zone.replace("_", " ")) for zone in zones),
        ]
        if is_mine:
            self.fields["time_zone"].label = _("Which clock do you live by?")
            self.fields["time_zone"].help_text = _("We send nothing between 20:00 and 9:00 where you are.")
            self.fields["news"].label = _("Yes, send me news and ask me for a review")
            self.fields["news"].help_text = _("You can take it back here at any time.")
        elif patient.news_said_at:
            day = date_format(patient.news_said_at.astimezone(patient.location.zone), "j M Y")
            said = (
                _("Yes, as %(who)s wrote down on %(day)s.")
                if patient.news_agreed
                else _("No longer: %(who)s, %(day)s.")
            )
            self.fields["news"].help_text = said % {"who": patient.news_said_by, "day": day}
        for kind, label in named:
            self.fields[f"by_{kind}"] = forms.MultipleChoiceField(
                label=label,
                required=False,
                choices=Kind.choices,
                widget=forms.CheckboxSelectMultiple,
                help_text=_("Take out what should not come this way."),
            )
        self.order_fields([name for name in self.fields if name != "news"])  # last: most have no wish about it
        for field in self.fields.values():
            field.speaks_for_itself = True  # type: ignore[attr-defined]  # ticks, or none, say something: not “optional”

    def wishes(self) -> dict[str, Any]:
        """Return what the act takes."""
        given = self.cleaned_data
        return {
            "first_by": given["first_by"],
            "time_zone": given["time_zone"],
            "news": given["news"],
            "wanted": {way.point.kind: given[way.key] for way in self.ways},
        }
