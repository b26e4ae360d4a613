"""Planning messages, setting them right when what they are about changes, and taking them back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection, transaction

from clinic.audit.actions import record, record_all, trace
from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.premises.models import Location
from clinic.rows import insert
from clinic.staff.models import User
from patients.messaging.bell import ring_on_commit
from patients.messaging.difference import Difference, Known, Reconciled, difference, plain
from patients.messaging.models import Message
from patients.messaging.planned_rows import drop_rows, known_messages, let_run_out, rewrite_rows
from patients.messaging.rules import Value, WantedMessage
from patients.messaging.states import UNSENT, Channel, MessageStatus, Purpose
from patients.registry.models import Patient

ALERT_LIFE = timedelta(hours=24)


@transaction.atomic
def queue_message(
    *, patient: Patient, location: Location, about: str, wanted: WantedMessage, by: Actor, at: datetime
) -> Message:
    """One message is planned for the patient. One of the same (about, step) that still waits is left as it is."""
    one_at_a_time([about])
    latest = Message.objects.filter(about=about, step=wanted.step).order_by("-revision").first()
    if latest is not None and latest.status in {*UNSENT, MessageStatus.SENDING}:
        return latest
    message = _row(wanted, about, latest.revision + 1 if latest else 1, location, at, patient=patient)
    return plan_one(message, by, at)


@transaction.atomic
def alert_staff(
    *,
    user: User,
    location: Location,
    about: str,
    step: str,
    template: str,
    context: Mapping[str, Value],
    by: Actor,
    at: datetime,
) -> Message:
    """An email to a member of staff is due now, at any hour. The same step again is another revision of it."""
    wanted = WantedMessage(
        step=step,
        purpose=Purpose.ALARM,
        channel=Channel.EMAIL,
        template=template,
        context=context,
        due_at=at,
        not_after=at + ALERT_LIFE,
        important=True,
    )
    one_at_a_time([about])
    latest = Message.objects.filter(about=about, step=step).order_by("-revision").first()
    message = _row(wanted, about, latest.revision + 1 if latest else 1, location, at, staff=user)
    return plan_one(message, by, at)


@dataclass(frozen=True)
class Change:
    """What the messages of `about` are to say: `wanted` tells it, given the messages as they stand.

    `is_new` says that `about` was made in this transaction: it has no messages, and nobody else can plan any.
    """

    about: str
    patient: Patient
    location: Location
    wanted: Callable[[Sequence[Known]], Sequence[WantedMessage]]
    is_new: bool = False


def reconcile(
    *,
    about: str,
    patient: Patient,
    location: Location,
    wanted: Sequence[WantedMessage],
    by: Actor,
    at: datetime,
    reason: str = "",
) -> Reconciled:
    """The plan of `about` says what is wanted now; what was told and has become wrong gets one correction.

    Waiting messages are changed in place, so that nothing old can leave after this commits; those no longer wanted
    are withdrawn with the reason (a few words, as "visit cancelled"). A second call that wants the same changes
    nothing, in two queries.
    """
    change = Change(about, patient, location, lambda _known: wanted)
    return reconcile_many(changes=[change], by=by, at=at, reason=reason)[about]


@transaction.atomic(savepoint=False)
def reconcile_many(
    *,
    changes: Sequence[Change],
    by: Actor,
    at: datetime,
    reason: str = "",
    only_missing: bool = False,
    purposes: Collection[Purpose] | None = None,
) -> dict[str, Reconciled]:
    """As `reconcile`, for many at once: all of them or none, in as many queries as for one. Returns what came of each.

    With `only_missing` what stands is left as it stands, and only what was never planned is. With `purposes` messages
    of other purposes are left alone.
    """
    rows: dict[str, list[Known]] = {}
    if standing := [change.about for change in changes if not change.is_new]:
        one_at_a_time(standing)
        rows = known_messages(standing, lock=True)
    writing, done = _Writing(by, at), {}
    for change in changes:
        known = rows.get(change.about, [])
        wanted = change.wanted(known)
        if purposes is not None:
            known = [row for row in known if row.purpose in purposes]
            wanted = [each for each in wanted if each.purpose in purposes]
        found = difference(known, wanted, at)
        if only_missing:
            found = Difference(new=tuple((each, revision) for each, revision in found.new if revision == 1))
        if not found.is_empty:
            writing.take(change, found, known, _because(reason, change.location, by, at))
        done[change.about] = Reconciled(
            planned=len(found.new),
            moved=len(found.changed),
            withdrawn=len(found.withdrawn),
            kept=found.kept,
            already_sent=found.already_sent,
            corrections=int(found.has_notice),
            is_change=not found.is_empty,
        )
    writing.store()
    return done


@dataclass
class _Writing:
    """What has to be written so that the messages of many visits say what is wanted: a statement of each kind."""

    by: Actor
    at: datetime
    new: list[Message] = field(default_factory=list)
    changed: list[tuple[Known, WantedMessage]] = field(default_factory=list)
    dropped: list[tuple[int, str]] = field(default_factory=list)
    overtaken: list[int] = field(default_factory=list)
    events: list[AuditEvent] = field(default_factory=list)

    def take(self, change: Change, found: Difference, known: Sequence[Known], reason: str) -> None:
        """The difference of one visit is written with the others, and an event tells it."""
        about, patient, location = change.about, change.patient, change.location
        notices = [found.notice] if found.notice else []
        new = [
            _row(each, about, revision, location, self.at, patient=patient, in_plan=True)
            for each, revision in found.new
        ]
        new += [_row(each, about, revision, location, self.at, patient=patient) for each, revision in notices]
        rows = {row.key: row for row in known}
        keyed = [*found.changed, *([found.changed_notice] if found.changed_notice else [])]
        changed = [(rows[key], each) for key, each in keyed]
        dropped = [(key, reason) for key in found.withdrawn]
        if found.dropped_notice is not None:
            dropped.append((found.dropped_notice, "Changed back before it left: nobody was told."))
        self.new += new
        self.changed += changed
        self.dropped += dropped
        self.overtaken += found.overtaken
        self.events.append(
            trace(
                action="messages.reconciled",
                subject=about,
                by=self.by,
                at=self.at,
                patient_ref=patient.ref,
                planned=[f"{row.step}.{row.revision}" for row in new],
                changed=[row.step for row, _ in changed],
                withdrawn=[rows[key].step for key, _ in dropped],
                reason=reason,
            )
        )

    def store(self) -> None:
        """All of it stands in the rows and in the audit trail."""
        insert(self.new)
        rewrite_rows(self.changed)
        drop_rows(self.dropped)
        let_run_out(self.overtaken, self.at)
        record_all(self.events)
        if any(due_at <= self.at for due_at in self._due_times()):
            ring_on_commit()

    def _due_times(self) -> Iterator[datetime]:
        yield from (row.due_at for row in self.new)
        yield from (wanted.due_at for _, wanted in self.changed)


@transaction.atomic
def withdraw(*, about: str, reason: str, by: Actor, at: datetime, purposes: Iterable[Purpose] | None = None) -> int:
    """No message about this (of these purposes) that has not left will leave. Returns how many were taken back."""
    one_at_a_time([about])
    rows = Message.objects.filter(about=about, status__in=[*UNSENT, MessageStatus.SENDING])
    if purposes is not None:
        rows = rows.filter(purpose__in=list(purposes))
    found = list(rows.select_for_update(no_key=True).order_by("pk").only("step", "handed_at", "patient"))
    taken = [row for row in found if row.handed_at is None]
    drop_rows([(row.pk, reason) for row in taken])
    let_run_out([row.pk for row in found if row.handed_at is not None], at)
    if found:
        record(
            action="messages.withdrawn",
            subject=about,
            by=by,
            at=at,
            patient_ref=found[0].patient.ref if found[0].patient else None,
            withdrawn=[row.step for row in taken],
            reason=reason,
        )
    return len(taken)


def one_at_a_time(abouts: Sequence[str]) -> None:
    """Two that plan for the same thing take turns, also when there is no row yet that they could lock."""
    keys = [f"messages:{about}" for about in sorted(abouts)]  # in one order: nobody waits for whom they hold up
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(%s::text[]) AS key", [keys])


def _row(
    wanted: WantedMessage,
    about: str,
    revision: int,
    location: Location,
    at: datetime,
    *,
    patient: Patient | None = None,
    staff: User | None = None,
    in_plan: bool = False,
) -> Message:
    return Message(
        patient=patient,
        staff=staff,
        location=location,
        about=about,
        step=wanted.step,
        revision=revision,
        in_plan=in_plan,
        created_at=at,
        purpose=wanted.purpose,
        channel=wanted.channel,
        template=wanted.template,
        context=plain(wanted.context),
        link_scope=wanted.link_scope,
        link_about=wanted.link_about,
        is_important=wanted.important,
        any_hour=wanted.any_hour,
        visit_at=wanted.visit_at,
        due_at=wanted.due_at,
        not_after=wanted.not_after,
        note=wanted.note[:200],
        try_at=wanted.due_at,
    )


def _because(reason: str, location: Location, by: Actor, at: datetime) -> str:
    """Return why, when and who, as the log shows it: "Visit cancelled at 14:02 by Bo Lindqvist."."""
    words = reason.strip().rstrip(".") or "No longer part of the plan, changed"
    return f"{words[:1].upper()}{words[1:]} at {at.astimezone(location.zone):%H:%M} by {by.name}."


def plan_one(message: Message, by: Actor, at: datetime) -> Message:
    """This message is planned."""
    insert([message])
    record(action="message.planned", subject=message, by=by, at=at, step=message.step, template=message.template)
    if message.due_at <= at:
        ring_on_commit()
    return message
