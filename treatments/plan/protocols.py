"""Care protocols as data: what a step says, when it is due, whom it is for. Checked when they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import time, timedelta
from functools import cached_property

from clinic.catalogue.states import Group, VisitKind
from clinic.packfile import Item, Pack
from patients.messaging.states import Channel
from treatments.plan.clock import QuietHours
from treatments.plan.states import TEMPLATES, Anchor, Condition, LateRule, Phase, QuietRule, StepKind

# Claims the sources contradict each other on, or that no doctor may make (results for a named time, "safe").
BANNED = (
    "non-invasive",
    "noninvasive",
    "non-wounding",
    "surface intact",
    "safe and effective",
    "long lasting",
    "long-lasting",
    "permanent result",
    "guarantee",
    "risk-free",
    "painless",
)

_OFFSET = re.compile(r"(-?\d+)(mo|m|h|d)")


@dataclass(frozen=True)
class Offset:
    """How far from its anchor: minutes pass on any clock, days and months are counted on the calendar."""

    minutes: int = 0
    days: int = 0
    months: int = 0

    @property
    def is_calendar(self) -> bool:
        return not self.minutes


@dataclass(frozen=True)
class Line:
    """One thing to do, and for whom."""

    text: str
    needs: frozenset[str]
    unless: frozenset[str]
    areas: frozenset[str]
    source: str
    needs_decision: bool


@dataclass(frozen=True)
class Step:
    """One message of a protocol."""

    id: str
    kind: StepKind
    anchor: Anchor
    offset: Offset
    at: time | None
    channel: Channel
    template: str
    important: bool
    checkin: bool
    photo: bool
    phase: Phase
    quiet: QuietRule
    late: LateRule
    latest: timedelta
    keep: timedelta
    needs: frozenset[str]
    unless: frozenset[str]
    visit_kinds: frozenset[str]
    visit: str
    nudge_after: timedelta | None
    call_after: timedelta | None
    stops_if_red: bool
    title: str
    what_is_normal: str
    lines: tuple[Line, ...]
    contact_if: tuple[str, ...]
    source: str
    needs_decision: bool
    note: str

    @property
    def day(self) -> int | None:
        """Days after the treatment this step speaks about; None for steps before it."""
        return self.offset.days if self.anchor == Anchor.COMPLETION and not self.offset.months else None

    @property
    def only_if(self) -> tuple[str, ...]:
        """Conditions without any of which the step is not sent; empty for a step everybody gets."""
        if self.needs or not all(line.needs for line in self.lines):
            return tuple(sorted(self.needs))
        return tuple(sorted({need for line in self.lines for need in line.needs}))


_STEP_KEYS = {each.name for each in fields(Step)} - {"lines"} | {"do"}


@dataclass(frozen=True)
class Late:
    """The one message into which late pre-care is joined."""

    channel: Channel
    template: str
    title: str
    what_is_normal: str
    contact_if: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Protocol:
    """All messages around one kind of visit. One equals itself alone, so what follows from it is soon looked up."""

    name: str
    title: str
    group: str
    visit_kinds: frozenset[str]
    is_enabled: bool
    quiet: QuietHours
    reminder_gap: timedelta
    late: Late | None
    steps: tuple[Step, ...]

    def step(self, step_id: str) -> Step:
        """Return the step of that id. Raises KeyError if there is none."""
        return self._by_id[step_id]

    @cached_property
    def _by_id(self) -> dict[str, Step]:
        return {step.id: step for step in self.steps}


def parse_protocol(text: str, name: str) -> Protocol:
    """Return the checked protocol. Raises PackError with file, line and item for anything it cannot rely on."""
    pack = Pack(text, name)
    pack.only("protocol", "quiet_hours", "late", "step")
    head = pack.one("protocol")
    head.only("name", "title", "group", "visit_kinds", "is_enabled", "reminder_gap", "source", "note")
    steps = tuple(_step(pack, item) for item in pack.many("step"))
    if not steps:
        head.refuse("The protocol has no steps.")
    late = _late(pack.one("late")) if "late" in pack.data else None
    if late is None and any(step.late == LateRule.COLLAPSE for step in steps):
        head.refuse("[late] is missing: some steps are joined to one late instruction.")
    return Protocol(
        name=head.text("name"),
        title=head.text("title"),
        group=head.one_of("group", Group.values, ""),
        visit_kinds=frozenset(head.words("visit_kinds", VisitKind.values)),
        is_enabled=head.flag("is_enabled", True),
        quiet=_quiet_hours(pack.one("quiet_hours")),
        reminder_gap=_span(head, "reminder_gap"),
        late=late,
        steps=steps,
    )


def _step(pack: Pack, item: Item) -> Step:
    item.only(*_STEP_KEYS)
    anchor = Anchor(item.one_of("anchor", Anchor.values))
    kind = StepKind(item.one_of("kind", StepKind.values))
    offset = _offset(item)
    at = _at(item)
    if offset.is_calendar and at is None and item.data.get("at") != "same":
        item.refuse("“at” is missing: a step counted in days needs a time of day, or “same” for its anchor's.")
    late = LateRule(item.one_of("late", LateRule.values, LateRule.DROP))
    if late != LateRule.DROP and anchor != Anchor.VISIT:
        item.refuse("Only a step that counts back from the visit can be late.", "late")
    checkin = item.flag("checkin")
    if checkin != (kind == StepKind.CHECKIN):
        item.refuse("“checkin” must be true for check-ins and only for them.", "checkin")
    return Step(
        id=item.text("id"),
        kind=kind,
        anchor=anchor,
        offset=offset,
        at=at,
        channel=Channel(item.one_of("channel", Channel.values)),
        template=item.one_of("template", TEMPLATES),
        important=item.flag("important"),
        checkin=checkin,
        photo=item.flag("photo"),
        phase=_phase(item, anchor),
        quiet=QuietRule(item.one_of("quiet", QuietRule.values, QuietRule.MOVE)),
        late=late,
        latest=_span(item, "latest", timedelta(0)),
        keep=_span(item, "keep"),
        needs=frozenset(item.words("needs", Condition.values)),
        unless=frozenset(item.words("unless", Condition.values)),
        visit_kinds=frozenset(item.words("visit_kinds", VisitKind.values)),
        visit=item.one_of("visit", VisitKind.values, ""),
        nudge_after=_span(item, "nudge_after") if "nudge_after" in item.data else None,
        call_after=_span(item, "call_after") if "call_after" in item.data else None,
        stops_if_red=item.flag("stops_if_red"),
        title=_plain(item, "title"),
        what_is_normal=_plain(item, "what_is_normal", ""),
        lines=tuple(_line(child, item) for child in pack.children(item, "do")),
        contact_if=_plain_list(item, "contact_if"),
        source=item.source(),
        needs_decision=item.flag("needs_decision"),
        note=item.text("note", ""),
    )


def _line(item: Item, step: Item) -> Line:
    item.only("text", "needs", "unless", "areas", "source", "needs_decision", "note")
    return Line(
        text=_plain(item, "text"),
        needs=frozenset(item.words("needs", Condition.values)),
        unless=frozenset(item.words("unless", Condition.values)),
        areas=frozenset(item.words("areas")),
        source=item.text("source", step.source()),
        needs_decision=item.flag("needs_decision"),
    )


def _late(item: Item) -> Late:
    item.only("channel", "template", "title", "what_is_normal", "contact_if", "source", "note", "needs_decision")
    item.source()
    return Late(
        channel=Channel(item.one_of("channel", Channel.values)),
        template=item.one_of("template", TEMPLATES),
        title=_plain(item, "title"),
        what_is_normal=_plain(item, "what_is_normal"),
        contact_if=_plain_list(item, "contact_if"),
    )


def _quiet_hours(item: Item) -> QuietHours:
    item.only("starts", "ends", "evening", "source", "note")
    hours = QuietHours(*(_clock_time(item, key) for key in ("starts", "ends", "evening")))
    if not hours.ends < hours.evening < hours.starts:
        item.refuse("The evening must lie between the end and the start of the quiet hours.", "evening")
    return hours


def _phase(item: Item, anchor: Anchor) -> Phase:
    after = anchor == Anchor.COMPLETION
    phase = Phase(item.one_of("phase", Phase.values, Phase.HEALING if after else Phase.BEFORE))
    if (phase == Phase.BEFORE) == after:
        item.refuse("A step after the completion is healing or result; any other is before.", "phase")
    return phase


def _at(item: Item) -> time | None:
    return None if item.data.get("at", "same") == "same" else _clock_time(item, "at")


def _clock_time(item: Item, key: str) -> time:
    try:
        return time.fromisoformat(item.text(key))
    except ValueError:
        item.refuse(f"“{item.text(key)}” is not a time of day. Write it like 09:00.", key)


def _offset(item: Item) -> Offset:
    amount, unit = _amount(item, "offset")
    if unit in {"m", "h"}:
        minutes = amount * (60 if unit == "h" else 1)
        if not minutes:
            item.refuse("An offset of no minutes: write 0d.", "offset")
        return Offset(minutes=minutes)
    return Offset(months=amount) if unit == "mo" else Offset(days=amount)


def _span(item: Item, key: str, default: timedelta | None = None) -> timedelta:
    """Return a length of time like 90m, 6h or 3d."""
    if default is not None and key not in item.data:
        return default
    amount, unit = _amount(item, key)
    if amount < 0 or unit == "mo":
        item.refuse(f"“{item.text(key)}” is not a length of time. Write it like 90m, 6h or 3d.", key)
    return {"m": timedelta(minutes=amount), "h": timedelta(hours=amount), "d": timedelta(days=amount)}[unit]


def _amount(item: Item, key: str) -> tuple[int, str]:
    found = _OFFSET.fullmatch(item.text(key))
    if not found:
        item.refuse(f"“{item.text(key)}” is not a length of time. Write it like 90m, -48h, -7d or 6mo.", key)
    return int(found[1]), found[2]


def _plain(item: Item, key: str, default: str | None = None) -> str:
    value = item.text(key, default)
    _refuse_banned(item, key, value)
    return value


def _plain_list(item: Item, key: str) -> tuple[str, ...]:
    values = item.words(key)
    for value in values:
        _refuse_banned(item, key, value)
    return values


def _refuse_banned(item: Item, key: str, value: str) -> None:
    for phrase in BANNED:
        if phrase in value.casefold():
            item.refuse(f"“{phrase}” may not be said to patients.", key)
