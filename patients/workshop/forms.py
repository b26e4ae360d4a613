"""Changing a draft: one rule, the day counts, or the whole text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from crispy_forms.helper import FormHelper
from django import forms

from clinic.catalogue.states import Group
from patients.candidacy.rules import Pack, Rule
from patients.candidacy.states import Effect
from patients.conditions.rules import Days
from patients.workshop.rules import OPTIONAL, RULE_TEXTS, Edit, Place, SetDays, SetEffect, SetRescreen, SetText
from patients.workshop.wording import days_of, group_label

TEXT_LENGTH = 1000
BODY_LENGTH = 400_000
MOST_DAYS = 9999
NO_EFFECT = ("nothing", "Nothing")

_LABELS = {
    "patient_text": ("Wording for the patient", "A day count stands in braces, for example {after_infection}."),
    "rationale": ("Rationale for the clinician", ""),
    "source": ("Source", "Tags with their evidence letter A to D, parted by commas; G for general knowledge."),
    "needs_decision": ("Still to be decided by the clinic", "Empty it when the clinic has decided."),
    "off": ("Switched off, because", "A rule with a reason here never speaks. Empty it to use the rule again."),
}


class DraftForm(forms.Form):
    """What every form of a draft carries: the fingerprint of the text its author saw."""

    shown = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, sha256: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["shown"].initial = sha256
        self.helper = FormHelper(self)

    def show_again(self, sha256: str) -> None:
        """What was typed stays; sent once more, it is laid over the text as it is now."""
        self.data = {**dict(self.data.items()), self.add_prefix("shown"): sha256}


class DaysMixin(forms.Form):
    """Fields for named day counts: one number, or one for each group of lasers."""

    def add_days(self, days: Iterable[Days]) -> list[tuple[Days, list[str]]]:
        """Add the fields and return them with the count they belong to."""
        added = []
        for count in days:
            names = []
            for group, name in day_fields(count).items():
                where = f", {group_label(group).lower()}" if group else ""
                self.fields[name] = forms.IntegerField(
                    label=f"{count.name.replace('_', ' ').capitalize()}{where}",
                    min_value=1,
                    max_value=MOST_DAYS,
                    initial=count.by_group[group] if group else next(iter(count.by_group.values())),
                    widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
                    error_messages={"required": "Please give a number of days."},
                )
                names.append(name)
            added.append((count, names))
        return added

    def day_edits(self, days: Iterable[Days]) -> Iterator[Edit]:
        """Yield an edit for each count that was changed."""
        for count in days:
            names = day_fields(count)
            if "" in names:
                now: int | dict[str, int] = self.cleaned_data[names[""]]
                same = now in count.by_group.values()
            else:
                now = {group: self.cleaned_data[name] for group, name in names.items()}
                same = now == dict(count.by_group)
            if not same:
                yield SetDays(count.name, now)


def day_fields(days: Days) -> dict[str, str]:
    """Return the fields of a day count by group of lasers; one field under "" where all groups share one number."""
    if len(set(days.by_group.values())) == 1 and len(days.by_group) == len(Group):
        return {"": f"days_{days.name}"}
    return {group: f"days_{days.name}_{group}" for group in days.by_group}


class DaysForm(DraftForm, DaysMixin):
    """Every day count of a pack."""

    def __init__(self, *args: Any, pack: Pack, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pack = pack
        self.add_days(pack.days.values())

    def edits(self) -> list[Edit]:
        return list(self.day_edits(self.pack.days.values()))

    def field_at(self, place: Place) -> str | None:
        """Return the field a fault in the text belongs to."""
        days = self.pack.days.get(place.key)
        return next(iter(day_fields(days).values())) if days else None


class RuleForm(DraftForm, DaysMixin):
    """One rule: its words, what each case does in each group of lasers, its day counts, and whether it is used."""

    def __init__(self, *args: Any, pack: Pack, rule: Rule, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pack, self.rule = pack, rule
        self.groups = list(dict.fromkeys(pack.group_of.values()))
        for key in RULE_TEXTS:
            self._add_text(key, getattr(rule, key), *_LABELS[key])
        for index, case in enumerate(rule.cases):
            for group in self.groups:
                self._add_effect(index, group, case.effects.get(group), has_task=bool(case.task))
            help_text = "Needed where a deferral has no date that can be computed."
            self._add_text(f"rescreen_when_{index}", case.rescreen_when, "Screen again when", help_text)
        self.used_days = [pack.days[name] for name in days_of(rule)]
        self.add_days(self.used_days)

    def _add_text(self, name: str, initial: str, label: str, help_text: str) -> None:
        optional = name in OPTIONAL or name.startswith("rescreen_when")
        self.fields[name] = forms.CharField(
            label=label,
            help_text=help_text,
            initial=initial,
            required=not optional,
            max_length=TEXT_LENGTH,
            widget=forms.Textarea(attrs={"rows": 1, "class": "ag-line"}),
            error_messages={"required": "Please write something here."},
        )

    def _add_effect(self, index: int, group: str, effect: Effect | None, *, has_task: bool) -> None:
        choices = [NO_EFFECT, *((each.value, each.label) for each in Effect if has_task or each != Effect.TASK)]
        self.fields[f"effect_{index}_{group}"] = forms.ChoiceField(
            label=group_label(group), choices=choices, initial=effect.value if effect else NO_EFFECT[0]
        )

    def cases(self) -> list[dict[str, Any]]:
        """Return the fields of each case, for the page."""
        return [
            {
                "effects": [self[f"effect_{index}_{group}"] for group in self.groups],
                "rescreen": self[f"rescreen_when_{index}"],
            }
            for index in range(len(self.rule.cases))
        ]

    def day_fields(self) -> list[Any]:
        return [self[name] for days in self.used_days for name in day_fields(days).values()]

    def edits(self) -> list[Edit]:
        """Return what was changed, as edits of the text; nothing for a field left as it was."""
        given = self.cleaned_data
        found: list[Edit] = list(self.day_edits(self.used_days))
        found += [
            SetText(self.rule.id, key, one_line(given[key]))
            for key in RULE_TEXTS
            if one_line(given[key]) != getattr(self.rule, key)
        ]
        for index, case in enumerate(self.rule.cases):
            chosen = {group: given[f"effect_{index}_{group}"] for group in self.groups}
            effects = {group: "" if each == NO_EFFECT[0] else each for group, each in chosen.items()}
            if {group: each for group, each in effects.items() if each} != case.effects:
                found.append(SetEffect(self.rule.id, index, effects))
            words = one_line(given[f"rescreen_when_{index}"])
            if words != case.rescreen_when:
                found.append(SetRescreen(self.rule.id, index, words))
        return found

    def field_at(self, place: Place) -> str | None:
        """Return the field a fault in the text belongs to, None for one that lies elsewhere."""
        if place.rule != self.rule.id:
            days = next((each for each in self.used_days if each.name == place.key), None)
            return next(iter(day_fields(days).values())) if days and not place.rule else None
        if place.case is None:
            return place.key if place.key in RULE_TEXTS else None
        if place.key == "effect":
            return f"effect_{place.case}_{self.groups[0]}"
        return f"rescreen_when_{place.case}" if place.key == "rescreen_when" else None


class TextForm(DraftForm):
    """The whole text. What is typed is never lost: a text with a fault is shown again with the fault named."""

    body = forms.CharField(
        label="The text of the pack",
        help_text="TOML. Comments are kept. It is checked as a whole before it is saved.",
        strip=False,
        max_length=BODY_LENGTH,
        widget=forms.Textarea(attrs={"rows": 30, "spellcheck": "false", "wrap": "off", "class": "ag-source-text"}),
        error_messages={"required": "The text cannot be empty. To give up the draft, discard it."},
    )

    def clean_body(self) -> str:
        body: str = self.cleaned_data["body"]
        return body.replace("\r\n", "\n").replace("\r", "\n").rstrip() + "\n"


def one_line(text: str) -> str:
    """Return the words of a field without line breaks: each is one paragraph."""
    return " ".join(text.split())


def used_elsewhere(pack: Pack, rule: Rule) -> Mapping[str, list[str]]:
    """Return which other rules share the day counts of a rule."""
    return {
        name: [other.id for other in pack.rules if other.id != rule.id and name in days_of(other)]
        for name in days_of(rule)
    }
