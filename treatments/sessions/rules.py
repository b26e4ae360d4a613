"""Soft warnings about laser settings and numbing, from ranges kept as data. They never stop anybody: the maker's
limits and the clinician do. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clinic.packfile import Item, Pack

Fact = float | bool | str | None

# What a rule may ask about one row of passes; units are in the names. None means: not recorded.
ROW_FACTS = {
    "energy_mj": "Energy per microbeam (mJ)",
    "fluence_j_cm2": "Fluence (J/cm²)",
    "coverage_percent": "Coverage (%)",
    "density_mtz_cm2": "Density (MTZ/cm²)",
    "spot_um": "Spot size (µm)",
    "pulse_us": "Pulse duration (µs)",
    "depth_um": "Depth (µm)",
    "passes": "Passes",
    "area": "Area",
    "area_cm2": "Area size (cm²)",
    "stacked_pulses": "Stacked pulses",
}
CONTEXT_FACTS = {
    "modality": "Laser",
    "skin_type": "Skin type",
    "tan_present": "Tan today",
    "device_kind": "Kind of laser source",
    "eye_protection": "Eye protection",
    "session_coverage_percent": "Coverage in this session (%)",
    "passes_over_plan": "Passes planned",
    "fluence_rise_j_cm2": "Fluence at the last session (J/cm²)",
}
ANAESTHESIA_FACTS = {
    "type": "Kind of numbing",
    "strength_percent": "Strength (%)",
    "mass_g": "Amount (g)",
    "area_cm2": "Area covered (cm²)",
    "minutes": "Time on the skin (min)",
    "occlusion": "Covered with film",
    "heat": "Warmed",
    "after_ablative_pass": "Put on again after an ablative pass",
}
_COMPARISON = re.compile(r"(>=|<=|!=|>|<|=)\s*(\S+)")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "!=": operator.ne,
}
UNCHECKED = "W99"  # the ranges' word for what could not be checked because something was not recorded


@dataclass(frozen=True)
class Context:
    """What surrounds a row of passes. `earlier` are this session's rows before it, `last` the same area last time.

    `device_kind` tells apart lasers of one wavelength ("diode", "thulium"). `skin_type` is 1 to 6 as confirmed.
    """

    modality: str
    device_modality: str
    device_wavelength_nm: int | None
    modality_wavelength_nm: int | None
    skin_type: int | None = None
    tan_present: str | None = None
    device_kind: str | None = None
    eye_protection: str | None = None
    planned_passes: int | None = None
    last: Mapping[str, Any] | None = None
    earlier: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class SettingWarning:
    """One reason to look again. `value` is what was entered, with `field` naming it; both empty where none belongs."""

    rule: str
    field: str
    value: str
    text: str
    source: str
    needs_decision: bool


@dataclass(frozen=True)
class Check:
    fact: str
    compare: str
    against: float | bool | str
    among: frozenset[float | str]


@dataclass(frozen=True)
class WarningRule:
    """Warns when every check holds. Sources give the value; `needs_decision` where none does."""

    id: str
    checks: tuple[Check, ...]
    text: str
    source: str
    needs_decision: bool


@dataclass(frozen=True)
class Usual:
    """Published values of one laser, for people to read beside what they enter."""

    modality: str
    text: str
    source: str


@dataclass(frozen=True)
class Settings:
    name: str
    rules: tuple[WarningRule, ...]
    anaesthesia: tuple[WarningRule, ...]
    usual: tuple[Usual, ...]


def parse_settings(text: str, name: str) -> Settings:
    """Return the checked ranges. Raises PackError with file, line and item."""
    pack = Pack(text, name)
    pack.only("settings", "warning", "anaesthesia", "usual")
    head = pack.one("settings")
    head.only("name", "title", "source", "note")
    return Settings(
        name=head.text("name"),
        rules=tuple(_rule(item, ROW_FACTS | CONTEXT_FACTS) for item in pack.many("warning")),
        anaesthesia=tuple(_rule(item, ANAESTHESIA_FACTS | CONTEXT_FACTS) for item in pack.many("anaesthesia")),
        usual=tuple(_usual(item) for item in pack.many("usual")),
    )


def warnings(pass_row: Mapping[str, Any], context: Context, settings: Settings) -> list[SettingWarning]:
    """Return the soft warnings for one row of passes, in the order of the pack.

    A range that could not be checked because something was not recorded is said once per missing fact: not recorded
    is never "within range".
    """
    facts = _facts(pass_row, context)
    found = _mismatch(context)
    return found + _evaluate(settings.rules, facts, ROW_FACTS | CONTEXT_FACTS)


def anaesthesia_warnings(detail: Mapping[str, Any], context: Context, settings: Settings) -> list[SettingWarning]:
    """Return the soft warnings for the numbing of a session; `detail` has the keys of ANAESTHESIA_FACTS."""
    facts = {key: _fact(detail.get(key)) for key in ANAESTHESIA_FACTS} | _surroundings(context)
    return _evaluate(settings.anaesthesia, facts, ANAESTHESIA_FACTS | CONTEXT_FACTS)


def limit_breaches(pass_row: Mapping[str, Any], limits: Mapping[str, Any]) -> list[str]:
    """Return how a row lies outside the maker's hard limits: a highest value, or a lowest and a highest, per setting.

    `limits` is like {"energy_mj": 50} or {"energy_mj": [5, 50]}. A setting not recorded breaks no limit.
    """
    breaches = []
    for key, limit in limits.items():
        value = _fact(pass_row.get(key))
        low, high = limit if isinstance(limit, list | tuple) else (None, limit)
        label = ROW_FACTS.get(key, key)
        if not isinstance(value, float):
            continue
        if high is not None and value > high:
            breaches.append(f"{label}: {value:g} is above this laser's limit of {high:g}.")
        if low is not None and value < low:
            breaches.append(f"{label}: {value:g} is below this laser's limit of {low:g}.")
    return breaches


def _rule(item: Item, known: Mapping[str, str]) -> WarningRule:
    item.only("id", "when", "text", "source", "needs_decision", "note")
    when = item.data.get("when")
    if not isinstance(when, dict) or not when:
        item.refuse("“when” must be a table of what is compared.", "when")
    return WarningRule(
        id=item.text("id"),
        checks=tuple(_check(item, fact, value, known) for fact, value in when.items()),
        text=item.text("text"),
        source=item.source(),
        needs_decision=item.flag("needs_decision"),
    )


def _check(item: Item, fact: str, value: Any, known: Mapping[str, str]) -> Check:
    if fact not in known:
        item.refuse(f"“{fact}” is not something that is recorded.", "when")
    if isinstance(value, bool):
        return Check(fact, "=", value, frozenset())
    if isinstance(value, list) and value:
        return Check(
            fact, "in", "", frozenset(float(each) if isinstance(each, int | float) else each for each in value)
        )
    compared = _COMPARISON.fullmatch(value) if isinstance(value, str) else None
    if not compared:
        item.refuse(f"“{fact}” must be compared like “>20”, “=internal”, true or [4, 5, 6].", "when")
    sign, text = compared.groups()
    try:
        return Check(fact, sign, float(text), frozenset())
    except ValueError:
        if sign not in {"=", "!="}:
            item.refuse(f"“{text}” is not a number.", "when")
        return Check(fact, sign, text, frozenset())


def _usual(item: Item) -> Usual:
    item.only("id", "modality", "text", "source", "note", "needs_decision")
    return Usual(item.text("modality"), item.text("text"), item.source())


def _mismatch(context: Context) -> list[SettingWarning]:
    """Warn when the laser in hand is not the one the plan names."""
    same = context.device_modality == context.modality and (
        context.modality_wavelength_nm is None or context.device_wavelength_nm == context.modality_wavelength_nm
    )
    if same:
        return []
    shown = f"{context.device_modality}, {context.device_wavelength_nm} nm"
    text = f"This laser ({shown}) is not the planned {context.modality}, {context.modality_wavelength_nm} nm."
    return [
        SettingWarning("W00", "modality", shown, text, "section 8: wavelength must match the device profile", False)
    ]


def _facts(row: Mapping[str, Any], context: Context) -> dict[str, Fact]:
    facts = {key: _fact(row.get(key)) for key in ROW_FACTS} | _surroundings(context)
    here = [each for each in context.earlier if _place(each) == _place(row)]
    coverage = _total([*here, row], "coverage_percent")
    passes = _total([*here, row], "passes")
    facts["session_coverage_percent"] = coverage
    if context.planned_passes is not None and passes is not None:
        facts["passes_over_plan"] = passes - context.planned_passes
    if context.last is None:
        facts["fluence_rise_j_cm2"] = 0.0  # a first session rises from nothing
    else:
        before, now = _fact(context.last.get("fluence_j_cm2")), facts["fluence_j_cm2"]
        if isinstance(before, float) and isinstance(now, float):
            facts["fluence_rise_j_cm2"] = round(now - before, 4)
    return facts


def _surroundings(context: Context) -> dict[str, Fact]:
    return {
        "modality": context.modality,
        "skin_type": _fact(context.skin_type),
        "tan_present": context.tan_present,
        "device_kind": context.device_kind,
        "eye_protection": context.eye_protection,
        "session_coverage_percent": None,
        "passes_over_plan": None,
        "fluence_rise_j_cm2": None,
    }


def _place(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row.get("area"), row.get("laterality") or ""


def _total(rows: Iterable[Mapping[str, Any]], key: str) -> float | None:
    values = [_fact(row.get(key)) for row in rows]
    numbers = [value for value in values if isinstance(value, float)]
    return sum(numbers) if len(numbers) == len(values) else None


def _fact(value: Any) -> Fact:
    """Return a value as it is compared: numbers as floats, nothing as None."""
    if value is None or value == "":
        return None
    if isinstance(value, bool | str):
        return value
    return float(value)


def _evaluate(
    rules: Iterable[WarningRule], facts: Mapping[str, Fact], labels: Mapping[str, str]
) -> list[SettingWarning]:
    found: list[SettingWarning] = []
    missing: dict[str, list[str]] = {}
    for rule in rules:
        results = {check.fact: _holds(check, facts[check.fact]) for check in rule.checks}
        if any(result is False for result in results.values()):
            continue
        absent = [fact for fact, result in results.items() if result is None]
        for fact in absent:
            missing.setdefault(fact, []).append(rule.id)
        if not absent:
            shown = rule.checks[-1].fact
            found.append(
                SettingWarning(rule.id, shown, _shown(facts[shown]), rule.text, rule.source, rule.needs_decision)
            )
    for fact, ids in missing.items():
        text = f"{labels[fact]} is not recorded, so not every range could be checked ({', '.join(ids)})."
        found.append(SettingWarning(UNCHECKED, fact, "", text, "design", False))
    return found


def _holds(check: Check, value: Fact) -> bool | None:
    if value is None:
        return None
    if check.compare == "in":
        return value in check.among
    if check.compare in {"=", "!="} or isinstance(value, float) == isinstance(check.against, float):
        return _COMPARE[check.compare](value, check.against)
    return None


def _shown(value: Fact) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
