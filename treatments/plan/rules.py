"""What to say to a patient and when, computed from the visit. Pure: no rows, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from patients.messaging.states import Channel
from treatments.plan.clock import add_months, oddity, to_utc, to_wall
from treatments.plan.protocols import Line, Protocol, Step, parse_protocol
from treatments.plan.states import Anchor, LateRule, Phase, QuietRule, StepKind

__all__ = [
    "LATE_STEP",
    "UNDO",
    "Protocol",
    "StepText",
    "Visit",
    "Wanted",
    "late_steps",
    "merge_series",
    "parse_protocol",
    "plan",
    "text_of",
    "with_own_lines",
]

# A booking or a move can be undone this long before anybody is told.
UNDO = timedelta(minutes=3)
# What is only said to somebody who is going to be treated.
_PREPARES = frozenset({StepKind.PRECARE, StepKind.FITNESS})
# The step into which pre-care is joined whose day had passed at booking.
LATE_STEP = "precare_late"
# Where a line comes from that no protocol has.
OWN_SOURCE = "The clinician's decision about this patient"
_COUNTS_ANEW = frozenset({StepKind.RECALL, StepKind.REVIEW_REQUEST})


@dataclass(frozen=True)
class Visit:
    """What planning needs to know of a visit.

    `starts_at` is the naive wall time at the clinic, `zone` and `patient_zone` are IANA names; the other times are
    aware. `completed_at` is when the treatment truly ended, None before that. `moved_at` is when the visit was last
    moved. `sent_steps` are not repeated inside the late instruction. `own_lines` are what this patient is asked to do
    before the visit besides what the protocol says. `is_withdrawn` says that the patient took the consent to this
    treatment back: nobody prepares for it, but whoever was treated is cared for.
    """

    kind: str
    starts_at: datetime
    zone: str
    booked_at: datetime
    modality: str = ""
    completed_at: datetime | None = None
    moved_at: datetime | None = None
    areas: frozenset[str] = frozenset()
    conditions: frozenset[str] = frozenset()
    language: str = "en"
    patient_zone: str | None = None
    sent_steps: frozenset[str] = frozenset()
    own_lines: tuple[str, ...] = ()
    is_withdrawn: bool = False

    def __post_init__(self) -> None:
        if self.starts_at.tzinfo is not None:
            raise ValueError("starts_at is a wall time: without a time zone.")
        if any(each is not None and each.tzinfo is None for each in (self.booked_at, self.completed_at, self.moved_at)):
            raise ValueError("booked_at, completed_at and moved_at are instants: with a time zone.")

    @cached_property
    def clinic_clock(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @cached_property
    def reader_clock(self) -> ZoneInfo:
        """The clock the patient lives by: quiet hours are theirs."""
        return ZoneInfo(self.patient_zone or self.zone)

    @cached_property
    def start(self) -> datetime:
        return to_utc(self.starts_at, self.clinic_clock)


class Wanted(NamedTuple):
    """One message that should go out. `local` is the wall time where it is read; `note` says why it was moved.

    `any_hour` may leave in quiet hours; `stops_if_red` waits while an emergency or urgent answer is open.
    """

    step: str
    kind: StepKind
    due_at: datetime
    not_after: datetime
    channel: Channel
    template: str
    important: bool
    local: datetime
    note: str
    checkin: bool
    photo: bool
    phase: Phase
    day: int | None
    language: str
    includes: tuple[str, ...] = ()
    any_hour: bool = False
    stops_if_red: bool = False


@dataclass(frozen=True)
class StepText:
    """What a message says, with only the lines that are for this patient."""

    title: str
    what_is_normal: str
    do_now: tuple[str, ...]
    contact_if: tuple[str, ...]


class _Meant(NamedTuple):
    """A step and when the protocol means it, before quiet hours. `wall` is empty for one that counts minutes."""

    step: Step
    wall: datetime | None
    nominal: datetime


class _Slot(NamedTuple):
    meant: _Meant
    due: datetime
    not_after: datetime
    notes: tuple[str, ...] = ()

    @property
    def step(self) -> Step:
        return self.meant.step


def plan(visit: Visit | None, protocol: Protocol) -> list[Wanted]:
    """Return every message of the journey in the order it is read; none for a visit that is off or not ours.

    Pre-care counts back from the visit as booked and aftercare forward from the true completion, on the clinic's
    wall clock; the reader's quiet hours move messages, keeping their order. Before the completion no aftercare is
    planned; after it, nothing that was only of use before.
    """
    if visit is None or not protocol.is_enabled or visit.kind not in protocol.visit_kinds:
        return []
    steps = [_meant(step, visit) for step in _applicable(visit, protocol)]
    open_at = _open_at(visit, protocol)
    before = [
        slot
        for slot in _in_order(_before(steps, visit, protocol, open_at))
        # A reminder that would arrive together with the confirmation is none.
        if slot.step.kind != StepKind.REMINDER or slot.due >= open_at + protocol.reminder_gap
    ]
    wanted = [_wanted(slot, visit) for slot in before]
    late = _late_instruction(_late(steps, visit), visit, protocol, open_at)
    if late:
        # Of two due at the same time the confirmation comes first, then what should have been done already.
        place = sum(
            slot.due < late.due_at or (slot.due == late.due_at and slot.step.anchor == Anchor.BOOKING)
            for slot in before
        )
        wanted.insert(place, late)
    if visit.completed_at is None:
        return wanted
    told = [each for each in wanted if each.due_at < visit.completed_at]
    return told + [_wanted(slot, visit) for slot in _in_order(_after(steps, visit, protocol))]


def with_own_lines(protocol: Protocol, texts: Sequence[str]) -> Protocol:
    """Return the protocol with these lines at the end of every message before the visit."""
    if not texts:
        return protocol
    own = tuple(Line(text, frozenset(), frozenset(), frozenset(), OWN_SOURCE, needs_decision=False) for text in texts)
    steps = (
        replace(step, lines=(*step.lines, *own)) if step.kind == StepKind.PRECARE else step for step in protocol.steps
    )
    return replace(protocol, steps=tuple(steps))


def late_steps(visit: Visit, protocol: Protocol) -> tuple[Step, ...]:
    """Return the pre-care whose day had passed when the visit was booked or moved: a warning for the desk."""
    return _late((_meant(step, visit) for step in _applicable(visit, protocol)), visit)


def _late(steps: Iterable[_Meant], visit: Visit) -> tuple[Step, ...]:
    opened = _opened(visit) + UNDO
    return tuple(
        step
        for step, _, nominal in steps
        if nominal < opened and step.late == LateRule.COLLAPSE and step.id not in visit.sent_steps
    )


def merge_series(earlier: Sequence[Wanted], later: Sequence[Wanted], *, completed_at: datetime | None) -> list[Wanted]:
    """Return one series out of two treatments', of which the later was completed at `completed_at` (None: not yet).

    From then on the skin is on the later treatment's days: what the earlier one still had to say about healing is
    dropped, of its results whatever the later series asks too, and recalls and review requests, which count anew.
    Nobody reads two "day" messages.
    """
    if completed_at is None:
        return sorted([*earlier, *later], key=lambda each: each.due_at)
    again = {each.step for each in later if each.phase != Phase.BEFORE}
    kept = [
        each
        for each in earlier
        if each.due_at < completed_at
        or (each.phase == Phase.RESULT and each.step not in again and each.kind not in _COUNTS_ANEW)
    ]
    return sorted([*kept, *later], key=lambda each: each.due_at)


def text_of(wanted: Wanted, visit: Visit, protocol: Protocol) -> StepText:
    """Return the words of a message for this visit. Raises KeyError for a step the protocol does not have."""
    return _words(protocol, wanted.step, wanted.includes, visit.conditions, visit.areas)


@lru_cache(maxsize=2048)
def _words(
    protocol: Protocol, step_id: str, includes: tuple[str, ...], conditions: frozenset[str], areas: frozenset[str]
) -> StepText:
    if step_id == LATE_STEP and protocol.late:
        late = protocol.late
        lines = [line for each in includes for line in _lines(protocol.step(each), conditions, areas)]
        return StepText(late.title, late.what_is_normal, tuple(dict.fromkeys(lines)), late.contact_if)
    step = protocol.step(step_id)
    return StepText(step.title, step.what_is_normal, tuple(_lines(step, conditions, areas)), step.contact_if)


def _before(steps: Iterable[_Meant], visit: Visit, protocol: Protocol, open_at: datetime) -> Iterable[_Slot]:
    """Yield confirmation, reminders, pre-care and fitness check that can still do their work."""
    opened = _opened(visit) + UNDO
    for meant in steps:
        if meant.step.anchor != Anchor.COMPLETION:
            slot = _early_slot(meant, visit, protocol, opened, open_at)
            if slot is not None and slot.due < visit.start:
                yield slot


def _early_slot(meant: _Meant, visit: Visit, protocol: Protocol, opened: datetime, open_at: datetime) -> _Slot | None:
    step, wall, nominal = meant
    notes: tuple[str, ...] = ()
    if step.anchor == Anchor.VISIT and nominal < opened:
        if step.late != LateRule.NEXT_MORNING:
            return None
        nominal = _next_morning(step, visit, open_at)
        notes = ("its day had passed at booking: asked the next morning",)
    soft = visit.start - step.latest
    due = protocol.quiet.next_allowed(nominal, visit.reader_clock)
    if due > soft:
        evening = max(protocol.quiet.evening_before(soft, visit.reader_clock), open_at)
        if evening <= soft and not protocol.quiet.covers(evening, visit.reader_clock):
            due, notes = evening, (*notes, "the visit is too early in the day: sent before it")
    cap = soft if due < soft else visit.start
    return _Slot(_Meant(step, wall, nominal), due, min(due + step.keep, cap), notes)


def _after(steps: Iterable[_Meant], visit: Visit, protocol: Protocol) -> Iterable[_Slot]:
    for meant in steps:
        step, _, nominal = meant
        if step.anchor == Anchor.COMPLETION:
            due = nominal
            notes: tuple[str, ...] = ()
            if step.quiet == QuietRule.MOVE:
                due = protocol.quiet.next_allowed(nominal, visit.reader_clock)
            elif protocol.quiet.covers(nominal, visit.reader_clock):
                notes = ("sent in quiet hours: it can't wait",)
            yield _Slot(meant, due, due + step.keep, notes)


def _late_instruction(steps: Sequence[Step], visit: Visit, protocol: Protocol, due: datetime) -> Wanted | None:
    """One message for all pre-care whose day had passed: late steps are never dumped one by one."""
    if not steps or protocol.late is None or due >= visit.start:
        return None
    return Wanted(
        step=LATE_STEP,
        kind=StepKind.PRECARE,
        due_at=due,
        not_after=visit.start,
        channel=protocol.late.channel,
        template=protocol.late.template,
        important=any(step.important for step in steps),
        local=to_wall(due, visit.reader_clock),
        note=f"their days had passed at booking: {', '.join(f'“{step.title}”' for step in steps)}",
        checkin=False,
        photo=False,
        phase=Phase.BEFORE,
        day=None,
        language=visit.language,
        includes=tuple(step.id for step in steps),
    )


def _in_order(slots: Iterable[_Slot]) -> list[_Slot]:
    """Return the slots as the protocol means them to follow each other.

    A slot that was brought forward to the evening before takes with it whatever was meant to be read before it.
    """
    ordered = sorted(slots, key=lambda slot: slot.meant.nominal)
    for index in range(len(ordered) - 2, -1, -1):
        if ordered[index].due > ordered[index + 1].due:
            due = ordered[index + 1].due
            notes = (*ordered[index].notes, f"kept before “{ordered[index + 1].step.title}”")
            ordered[index] = ordered[index]._replace(due=due, notes=notes)
    return ordered


def _wanted(slot: _Slot, visit: Visit) -> Wanted:
    step = slot.step
    return Wanted(
        step=step.id,
        kind=step.kind,
        due_at=slot.due,
        not_after=slot.not_after,
        channel=step.channel,
        template=step.template,
        important=step.important,
        local=to_wall(slot.due, visit.reader_clock),
        note=_note(slot, visit),
        checkin=step.checkin,
        photo=step.photo,
        phase=step.phase,
        day=step.day,
        language=visit.language,
        any_hour=step.quiet == QuietRule.IGNORE,
        stops_if_red=step.stops_if_red,
    )


def _note(slot: _Slot, visit: Visit) -> str:
    """Return why the message is not due at the time its step names, empty when it is."""
    notes = list(slot.notes)
    _, wall, nominal = slot.meant
    if slot.due > nominal:
        was, now = (to_wall(each, visit.reader_clock) for each in (nominal, slot.due))
        notes.append(f"{was:%a %d %b %H:%M} is in quiet hours: moved to {now:%a %d %b %H:%M}")
    if wall is not None and (odd := oddity(wall, visit.clinic_clock)):
        notes.append(odd)
    return "; ".join(notes)


def _applicable(visit: Visit, protocol: Protocol) -> tuple[Step, ...]:
    """Return the steps meant for this visit so far; one whose every line is for somebody else is not."""
    is_done = visit.completed_at is not None
    return _steps(protocol, visit.kind, visit.conditions, visit.areas, is_done, visit.is_withdrawn)


@lru_cache(maxsize=256)
def _steps(
    protocol: Protocol, kind: str, conditions: frozenset[str], areas: frozenset[str], is_done: bool, is_withdrawn: bool
) -> tuple[Step, ...]:
    return tuple(
        step
        for step in protocol.steps
        if (is_done or step.anchor != Anchor.COMPLETION)
        and (not step.visit_kinds or kind in step.visit_kinds)
        and not (is_withdrawn and step.kind in _PREPARES)
        and _holds(step, conditions)
        and (not step.lines or any(True for _ in _lines(step, conditions, areas)))
    )


def _lines(step: Step, conditions: frozenset[str], areas: frozenset[str]) -> Iterable[str]:
    """Yield what this patient is to do. Areas not yet known leave no line out."""
    for line in step.lines:
        if _holds(line, conditions) and (not line.areas or not areas or line.areas & areas):
            yield line.text


def _holds(part: Step | Line, conditions: frozenset[str]) -> bool:
    return part.needs <= conditions and not part.unless & conditions


def _meant(step: Step, visit: Visit) -> _Meant:
    anchor = _anchor(step, visit)
    if step.offset.minutes:
        return _Meant(step, None, anchor + timedelta(minutes=step.offset.minutes))
    wall = visit.starts_at if step.anchor == Anchor.VISIT else to_wall(anchor, visit.clinic_clock)
    day = add_months(wall.date(), step.offset.months) + timedelta(days=step.offset.days)
    wall = datetime.combine(day, step.at or wall.time())
    return _Meant(step, wall, to_utc(wall, visit.clinic_clock))


def _anchor(step: Step, visit: Visit) -> datetime:
    if step.anchor == Anchor.VISIT:
        return visit.start
    if step.anchor == Anchor.BOOKING:
        return visit.booked_at
    if visit.completed_at is None:
        raise ValueError(f"{step.id} counts from a completion that has not happened.")
    return visit.completed_at


def _opened(visit: Visit) -> datetime:
    """Return when the visit got the time it has now."""
    return max(visit.booked_at, visit.moved_at or visit.booked_at)


def _open_at(visit: Visit, protocol: Protocol) -> datetime:
    """Return when the patient first reads of this visit's time."""
    return protocol.quiet.next_allowed(_opened(visit) + UNDO, visit.reader_clock)


def _next_morning(step: Step, visit: Visit, open_at: datetime) -> datetime:
    wall = to_wall(open_at, visit.clinic_clock)
    return to_utc(datetime.combine(wall.date() + timedelta(days=1), step.at or wall.time()), visit.clinic_clock)
