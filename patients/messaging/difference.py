"""What must change so that the messages of a visit say what is true now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from patients.messaging.rules import UNDO, Value, WantedMessage
from patients.messaging.states import Channel, MessageStatus, Purpose
from patients.registry.states import LinkScope

NOTICE_STEP = "correction"
CORRECTION, CANCELLED, CONFIRMATION = "correction", "cancelled", "booking_confirmation"

# The columns of what `words_of` returns, and `Known.said` begins with; its context and three times follow.
WORDS = ("purpose", "channel", "template", "is_important", "link_scope", "link_about", "note", "any_hour")

_TOLD = frozenset({MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.UNKNOWN})
_WAITING = frozenset({MessageStatus.PLANNED, MessageStatus.HELD})


@dataclass(frozen=True)
class Known:
    """A message as it stands. `out_at` is when it left, or may have left; None while it surely has not."""

    key: int
    step: str
    revision: int
    status: str
    in_plan: bool
    out_at: datetime | None
    said: tuple[object, ...]
    template: str
    channel: str
    context: Mapping[str, Value]
    due_at: datetime
    visit_at: datetime | None

    @property
    def purpose(self) -> object:
        return self.said[0]

    @property
    def is_waiting(self) -> bool:
        """It can still be changed: not out, not ended. One that is claimed but not handed over counts."""
        return self.status in _WAITING or (self.status == MessageStatus.SENDING and self.out_at is None)

    @property
    def is_told(self) -> bool:
        return self.status in _TOLD or (self.status == MessageStatus.SENDING and self.out_at is not None)

    @property
    def when(self) -> str:
        return _text(self.context, "new_when") or _text(self.context, "when_local") or _text(self.context, "old_when")

    @property
    def where(self) -> str:
        return _text(self.context, "where")


@dataclass(frozen=True)
class Difference:
    """What to write. `new` are messages with their revision; the others name rows by key.

    `overtaken` are on their way out with what is no longer true: if the gateway does not take them, they must not be
    tried again.
    """

    new: tuple[tuple[WantedMessage, int], ...] = ()
    changed: tuple[tuple[int, WantedMessage], ...] = ()
    withdrawn: tuple[int, ...] = ()
    overtaken: tuple[int, ...] = ()
    kept: int = 0
    already_sent: int = 0
    notice: tuple[WantedMessage, int] | None = None
    changed_notice: tuple[int, WantedMessage] | None = None
    dropped_notice: int | None = None
    has_notice: bool = False

    @property
    def is_empty(self) -> bool:
        lists = (self.new, self.changed, self.withdrawn, self.overtaken)
        return not (any(lists) or self.notice or self.changed_notice or self.dropped_notice)


@dataclass(frozen=True)
class Reconciled:
    """What setting the messages right came to, for whoever moved the visit. `is_change` if anything was written."""

    planned: int = 0
    moved: int = 0
    withdrawn: int = 0
    kept: int = 0
    already_sent: int = 0
    corrections: int = 0
    is_change: bool = False

    @property
    def sentence(self) -> str:
        parts = [
            _count(self.planned, "message planned", "messages planned"),
            _count(self.moved, "message moved", "messages moved"),
            _count(self.withdrawn, "message withdrawn", "messages withdrawn"),
            _count(self.already_sent, "already sent", "already sent"),
            _count(self.corrections, "correction will go out", "corrections will go out"),
        ]
        return ", ".join(part for part in parts if part) or "No message changes"


def said(wanted: WantedMessage) -> tuple[object, ...]:
    """Return everything of a wanted message that must be stored as it is; equal values mean nothing changed."""
    return *words_of(wanted), plain(wanted.context), wanted.visit_at, wanted.due_at, wanted.not_after


def words_of(wanted: WantedMessage) -> tuple[object, ...]:
    """Return what a wanted message is, without its context and times: the values of WORDS."""
    return (
        wanted.purpose,
        wanted.channel,
        wanted.template,
        wanted.important,
        wanted.link_scope,
        wanted.link_about,
        wanted.note[:200],
        wanted.any_hour,
    )


def plain(context: Mapping[str, Value]) -> dict[str, str | list[str]]:
    """Return a context as JSON keeps it."""
    return {key: value if isinstance(value, str) else list(value) for key, value in context.items()}


def difference(known: Sequence[Known], wanted: Sequence[WantedMessage], at: datetime) -> Difference:
    """Compare what should be said with what is planned and what was said already.

    Waiting messages are changed in place, what has ended gets a new revision, what is no longer wanted is withdrawn.
    What was told and is no longer true gets one notice that names old and new. The notice waits for UNDO: a second
    move rewrites it, moving back withdraws it.
    """
    latest = _latest(row for row in known if row.in_plan)
    revisions = {row.step: max(row.revision, 0) for row in sorted(known, key=lambda row: row.revision)}
    new, changed, kept = [], [], 0
    for each in wanted:
        row = latest.pop(each.step, None)
        if row is not None and row.is_waiting:
            if row.due_at == each.due_at and row.said == said(each):
                kept += 1
            else:
                changed.append((row.key, each))
        elif row is not None and not _wanted_again(row, each, at):
            kept += 1
        elif each.not_after > at:
            new.append((each, revisions.get(each.step, 0) + 1))
    withdrawn = tuple(row.key for row in latest.values() if row.is_waiting)
    overtaken = tuple(row.key for row in known if _is_overtaken(row, wanted))
    found = Difference(tuple(new), tuple(changed), withdrawn, overtaken, kept)
    return _with_notice(found, known, wanted, revisions.get(NOTICE_STEP, 0) + 1, at)


def _latest(rows: Iterable[Known]) -> dict[str, Known]:
    return {row.step: row for row in sorted(rows, key=lambda row: row.revision)}


def _wanted_again(row: Known, wanted: WantedMessage, at: datetime) -> bool:
    """Return whether a message that is out, or has ended, is said once more for the visit as it is now."""
    if row.is_told:
        # What was told of another time is said again at its new day; on the same day the notice does that.
        return row.visit_at != wanted.visit_at and None not in (row.visit_at, wanted.visit_at) and wanted.due_at > at
    if row.status == MessageStatus.SUPERSEDED:
        return True
    return (row.due_at, row.visit_at) != (wanted.due_at, wanted.visit_at)


def _is_overtaken(row: Known, wanted: Sequence[WantedMessage]) -> bool:
    if row.status != MessageStatus.SENDING or not row.is_told or not (row.in_plan or row.step == NOTICE_STEP):
        return False
    if row.step == NOTICE_STEP:
        times = {each.visit_at for each in wanted if each.visit_at}
        return (row.template == CANCELLED) == bool(times) or (bool(times) and row.visit_at not in times)
    return not any(each.step == row.step and each.visit_at == row.visit_at for each in wanted)


def _with_notice(
    found: Difference, known: Sequence[Known], wanted: Sequence[WantedMessage], revision: int, at: datetime
) -> Difference:
    told = sorted((row for row in known if row.is_told and row.visit_at), key=_order_of_telling)
    pending = next((row for row in known if row.step == NOTICE_STEP and row.is_waiting and not row.in_plan), None)
    truth = min((each for each in wanted if each.visit_at), key=_leads_elsewhere, default=None)
    if wanted and truth is None:
        return found  # it speaks of no visit's time: nothing that was told can have become wrong
    notice = _notice(told[-1], truth, found, known, at) if told else None
    if notice is not None and _was_let_go(notice, known):
        notice = None
    if notice is None:
        dropped = pending.key if pending else None
        return replace(found, dropped_notice=dropped)
    wrong = sum(row.visit_at == told[-1].visit_at for row in told)
    if pending is None:
        return replace(found, notice=(notice, revision), already_sent=wrong, has_notice=True)
    if (pending.template, plain(pending.context), pending.visit_at) == (
        notice.template,
        plain(notice.context),
        notice.visit_at,
    ):
        return replace(found, already_sent=wrong, has_notice=True)
    return replace(found, changed_notice=(pending.key, notice), already_sent=wrong, has_notice=True)


def _leads_elsewhere(wanted: WantedMessage) -> bool:
    return wanted.link_scope != LinkScope.VISIT


def _was_let_go(notice: WantedMessage, known: Sequence[Known]) -> bool:
    """Return whether this very notice was planned last and ended untold: by a person's word, or refused everywhere.

    Looking again must not bring back what the desk took out of the way.
    """
    notices = [row for row in known if row.step == NOTICE_STEP and not row.in_plan]
    last = max(notices, key=lambda row: row.revision, default=None)
    if last is None or last.status not in {MessageStatus.SKIPPED, MessageStatus.FAILED}:
        return False
    same = (last.template, plain(last.context), last.visit_at)
    return same == (notice.template, plain(notice.context), notice.visit_at)


def _order_of_telling(row: Known) -> tuple[datetime, int]:
    return row.out_at or row.due_at, row.key


def _notice(
    belief: Known, truth: WantedMessage | None, found: Difference, known: Sequence[Known], at: datetime
) -> WantedMessage | None:
    """Return what to tell somebody who was last told `belief`, None if that is still true or no longer matters."""
    if belief.visit_at is None:
        return None
    if truth is None:
        if belief.template == CANCELLED or belief.visit_at <= at:
            return None
        return _as_notice(belief, CANCELLED, {"old_when": belief.when}, belief.visit_at, at)
    if truth.visit_at is None or truth.visit_at <= at:
        return None
    when, where = _text(truth.context, "when_local"), _text(truth.context, "where")
    if belief.template == CANCELLED:
        if _confirms_anyway(found, known):
            return None
        return _as_notice(belief, CONFIRMATION, {"when_local": when, "where": where}, truth.visit_at, at, truth)
    # When the clinic's clock was changed the same words mean another instant: whoever was told them knows enough.
    moved = belief.visit_at != truth.visit_at and belief.when != when
    if not moved and (not belief.where or belief.where == where):
        return None
    old = belief.when if moved else belief.where
    context = {"old_when": old, "new_when": when, "where": where}
    return _as_notice(belief, CORRECTION, context, truth.visit_at, at, truth)


def _as_notice(
    belief: Known,
    template: str,
    context: Mapping[str, Value],
    visit_at: datetime,
    at: datetime,
    truth: WantedMessage | None = None,
) -> WantedMessage:
    """Return the notice. Its link leads where that of the messages about the visit does, if they have one."""
    visit_link = None if truth is None or _leads_elsewhere(truth) else truth
    ahead = [each for each in (belief.visit_at, visit_at) if each is not None and each > at]
    not_after = min(ahead, default=at)
    return WantedMessage(
        step=NOTICE_STEP,
        purpose=Purpose.CORRECTION,
        channel=Channel(belief.channel),
        template=template,
        context=context,
        due_at=min(at + UNDO, not_after),
        not_after=not_after,
        important=True,
        link_scope=visit_link.link_scope if visit_link else "",
        link_about=visit_link.link_about if visit_link else "",
        note="Three minutes after the change: until then it can be undone and nobody is told.",
        visit_at=visit_at,
    )


def _confirms_anyway(found: Difference, known: Sequence[Known]) -> bool:
    planned = [each for each, _ in found.new] + [each for _, each in found.changed]
    waiting = (row for row in known if row.in_plan and row.is_waiting and row.key not in found.withdrawn)
    return any(each.template == CONFIRMATION for each in planned) or any(
        row.template == CONFIRMATION for row in waiting
    )


def _text(context: Mapping[str, Value], key: str) -> str:
    value = context.get(key, "")
    return value if isinstance(value, str) else ""


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}" if number else ""
