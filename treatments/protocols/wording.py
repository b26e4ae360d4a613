"""A care protocol in words: when a step goes out, and what one version says otherwise than another. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time, timedelta

from patients.workshop.difference import NOTHING, Change
from treatments.plan.protocols import Line, Offset, Protocol, Step
from treatments.plan.states import Anchor, Condition

_FROM = {Anchor.BOOKING: "the booking", Anchor.VISIT: "the visit", Anchor.COMPLETION: "the treatment"}
# What is compared of a step, beside its lines: the field and what people call it.
_FIELDS: Mapping[str, str] = {
    "title": "Title",
    "what_is_normal": "What is normal",
    "contact_if": "Contact us if",
    "channel": "Channel",
    "template": "Letter",
    "important": "A call if it fails",
    "needs": "Only for",
    "unless": "Not for",
    "visit_kinds": "Kinds of visit",
    "quiet": "In quiet hours",
    "late": "When booked too late",
    "latest": "Latest before its anchor",
    "keep": "Still useful for",
    "nudge_after": "Asked again after",
    "call_after": "A call after",
    "stops_if_red": "Waits while something is red",
    "photo": "Asks for a photo",
    "source": "Source",
    "needs_decision": "Still to be decided by the clinic",
    "note": "Note",
}


def when_words(step: Step) -> str:
    """Return when a step goes out, as “7 days before the visit, at 10:00”."""
    offset, anchor = step.offset, _FROM[step.anchor]
    if not offset.is_calendar:
        return f"{_length(timedelta(minutes=abs(offset.minutes)))} {_side(offset.minutes)} {anchor}"
    clock = f"at {step.at:%H:%M}" if step.at else "at the same time of day"
    count = offset.days or offset.months
    if not count:
        return f"on the day of {anchor}, {clock}"
    unit = "day" if offset.days else "month"
    return f"{abs(count)} {unit}{'' if abs(count) == 1 else 's'} {_side(count)} {anchor}, {clock}"


def _side(count: int) -> str:
    return "before" if count < 0 else "after"


def _length(span: timedelta) -> str:
    for name, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if span and not span % size:
            count = span // size
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "no time"


def difference(old: Protocol, new: Protocol) -> list[Change]:
    """Return every value in which two versions of a protocol differ, steps in order; empty where they say the same."""
    found = [
        Change("Protocol", label, _words(getattr(old, key)), _words(getattr(new, key)))
        for key, label in _HEAD.items()
        if getattr(old, key) != getattr(new, key)
    ]
    old_steps, new_steps = ({step.id: step for step in protocol.steps} for protocol in (old, new))
    for key in dict.fromkeys([*old_steps, *new_steps]):
        found += _step(old_steps.get(key), new_steps.get(key))
    return found


_HEAD: Mapping[str, str] = {
    "title": "Title",
    "visit_kinds": "Kinds of visit",
    "is_enabled": "In use",
    "quiet": "Quiet hours",
    "reminder_gap": "Reminder gap",
    "late": "Late instruction",
}


def _step(old: Step | None, new: Step | None) -> Iterable[Change]:
    if old is None or new is None:
        step = old or new
        assert step is not None
        said = f"{step.title}: {when_words(step)}"
        yield Change(step.id, "Message", said if old else NOTHING, said if new else NOTHING)
        return
    if (was := when_words(old)) != (now := when_words(new)):
        yield Change(new.title, "When", was, now)
    for key, label in _FIELDS.items():
        before, after = getattr(old, key), getattr(new, key)
        if before != after:
            yield Change(new.title, label, _words(before), _words(after))
    for index in range(max(len(old.lines), len(new.lines))):
        one, other = (lines[index] if index < len(lines) else None for lines in (old.lines, new.lines))
        if one != other:
            yield Change(new.title, f"To do, line {index + 1}", _words(one), _words(other))


def _words(value: object) -> str:
    """Return any value of a protocol as a reader expects it."""
    match value:
        case None | "" | ():
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return _length(value)
        case time():
            return f"{value:%H:%M}"
        case Line():
            only = f" (only for: {_words(value.needs)})" if value.needs else ""
            never = f" (not for: {_words(value.unless)})" if value.unless else ""
            where = f" (areas: {_words(value.areas)})" if value.areas else ""
            return f"{value.text}{only}{never}{where} [{value.source}]"
        case Offset():
            return str(value)
        case frozenset():
            return ", ".join(sorted(_condition(str(each)) for each in value)) or NOTHING
        case tuple():
            return "; ".join(str(each) for each in value)
    label = getattr(value, "label", None)
    return str(label if label is not None else value)


def _condition(name: str) -> str:
    return str(Condition(name).label) if name in Condition.values else name.replace("_", " ")
