"""The arithmetic of a benchmark: pairs of costs in, ratios and lines of a table out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from treatments.bench.states import Basis, Sense


@dataclass(frozen=True)
class Cost:
    """What a run took, in seconds: on the wall, and of the processors that worked for it."""

    wall: float
    cpu: float

    def on(self, basis: Basis) -> float:
        return self.cpu if basis is Basis.CPU else self.wall


@dataclass(frozen=True)
class Pair:
    """The app and, right after it, the floor on the same data."""

    app: Cost
    floor: Cost


@dataclass(frozen=True)
class Spread:
    """Median, least and most of several values."""

    median: float
    least: float
    most: float

    def as_dict(self) -> dict[str, float]:
        return {"median": round(self.median, 4), "min": round(self.least, 4), "max": round(self.most, 4)}


def spread(values: Sequence[float]) -> Spread:
    """Return median, least and most. Raises ValueError for no values."""
    if not values:
        raise ValueError("Nothing was measured.")
    return Spread(median(values), min(values), max(values))


@dataclass(frozen=True)
class Goal:
    """At most, or at least, a value."""

    at_most: float | None = None
    at_least: float | None = None

    def is_met(self, value: float) -> bool:
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def __str__(self) -> str:
        parts = [("<=", self.at_most), (">=", self.at_least)]
        return " and ".join(f"{sign} {limit:g}" for sign, limit in parts if limit is not None)

    def as_dict(self) -> dict[str, float]:
        limits = {"at_most": self.at_most, "at_least": self.at_least}
        return {name: limit for name, limit in limits.items() if limit is not None}


@dataclass(frozen=True)
class Ratio:
    """The app against its floor. `units` is how many units of work each run of a pair did."""

    name: str
    unit: str
    floor: str
    pairs: tuple[Pair, ...]
    units: float
    goal: Goal | None = None
    basis: Basis = Basis.WALL
    sense: Sense = Sense.TIMES
    note: str = ""

    def ratios(self, basis: Basis) -> Spread:
        """Return the ratio of each pair, as median, least and most."""
        return spread([self._ratio(pair.app.on(basis), pair.floor.on(basis)) for pair in self.pairs])

    def _ratio(self, app: float, floor: float) -> float:
        above, below = (app, floor) if self.sense is Sense.TIMES else (floor, app)
        return above / below if below else float("inf")

    def per_unit(self, side: str, basis: Basis) -> float:
        """Return the median seconds that one unit took of a side, "app" or "floor"."""
        costs = [pair.app if side == "app" else pair.floor for pair in self.pairs]
        return median(cost.on(basis) for cost in costs) / self.units

    @property
    def is_met(self) -> bool | None:
        return self.goal.is_met(self.ratios(self.basis).median) if self.goal else None

    def as_dict(self) -> dict[str, object]:
        sides = {
            side: {f"{basis.value}_us": round(self.per_unit(side, basis) * 1e6, 3) for basis in Basis}
            for side in ("app", "floor")
        }
        return {
            "kind": "ratio",
            "figure": self.name,
            "unit": self.unit,
            "floor_is": self.floor,
            "sense": self.sense.value,
            "basis": self.basis.value,
            "pairs": len(self.pairs),
            "units": self.units,
            "ratio": self.ratios(self.basis).as_dict(),
            "ratio_by_clock": {basis.value: self.ratios(basis).as_dict() for basis in Basis},
            **sides,
            "goal": self.goal.as_dict() if self.goal else None,
            "met": self.is_met,
            "note": self.note,
        }

    def line(self) -> str:
        found, sign = self.ratios(self.basis), "x" if self.sense is Sense.TIMES else "of the floor"
        app, floor = (say_seconds(self.per_unit(side, Basis.CPU)) for side in ("app", "floor"))
        ratio = f"{found.median:.2f} {sign} ({found.least:.2f} to {found.most:.2f}, {self.basis.value})"
        return f"{self.name:<18} {ratio:<44} {_said(self.goal, self.is_met):<22} {app} CPU a {self.unit}, floor {floor}"


@dataclass(frozen=True)
class Count:
    """A number that needs no floor: how many, how much, how fast."""

    name: str
    value: float
    unit: str
    goal: Goal | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        return self.goal.is_met(self.value) if self.goal else None

    def as_dict(self) -> dict[str, object]:
        return {
            "kind": "count",
            "figure": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "goal": self.goal.as_dict() if self.goal else None,
            "met": self.is_met,
            "note": self.note,
        }

    def line(self) -> str:
        number = f"{self.value:,.0f}" if self.value >= 100 or self.value == int(self.value) else f"{self.value:.3g}"
        return f"{self.name:<18} {number + ' ' + self.unit:<44} {_said(self.goal, self.is_met)}".rstrip()


Figure = Ratio | Count


def _said(goal: Goal | None, is_met: bool | None) -> str:
    if goal is None:
        return ""
    return f"{'met' if is_met else 'MISSED'} (goal {goal})"


def say_seconds(seconds: float) -> str:
    """Return a duration with the unit that suits its size."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies (nearest rank). Raises ValueError for none."""
    if not values:
        raise ValueError("Nothing was measured.")
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def chosen(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the benches that were asked for in the order they are known, all of them if none was named.

    Raises ValueError with a sentence that names the ones there are.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        asked = ", ".join(f"“{name}”" for name in unknown)
        raise ValueError(f"There is no bench {asked}. Choose among: {', '.join(known)}.")
    return [name for name in known if not names or name in names]
