"""From a visit to its messages: the published protocol says what, the messaging room writes the difference."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import lru_cache, partial

from django.db import connection, transaction

from clinic.audit.states import Actor
from clinic.packs.models import RulePack
from clinic.packs.queries import PackMissing
from clinic.packs.states import PackKind
from clinic.premises.models import Location
from patients.messaging.actions import Change, Reconciled, reconcile_many, withdraw
from patients.messaging.difference import Known, difference
from patients.messaging.planned_rows import known_messages
from patients.messaging.rules import Value, WantedMessage
from patients.messaging.silence import why_silent
from patients.messaging.states import UNSENT, MessageStatus, Purpose
from patients.registry.models import Patient
from patients.registry.states import LinkScope
from treatments.plan.clock import to_wall
from treatments.plan.queries import NoProtocol, protocol_name
from treatments.plan.rules import Protocol, Visit, Wanted, parse_protocol, plan, text_of, with_own_lines
from treatments.plan.states import PURPOSES, Phase, StepKind

__all__ = [
    "Protocols",
    "Reconciled",
    "Wish",
    "differing",
    "protocol_in_force",
    "reconcile_plan",
    "reconcile_plans",
    "stamp_of",
]

# What the link in a message opens, where the caller names nothing more exact.
_LINKS: dict[str, LinkScope] = {
    StepKind.CONFIRMATION: LinkScope.VISIT,
    StepKind.REMINDER: LinkScope.VISIT,
    StepKind.PRECARE: LinkScope.HEALING,
    StepKind.FITNESS: LinkScope.FITNESS,
    StepKind.AFTERCARE: LinkScope.HEALING,
    StepKind.CHECKIN: LinkScope.CHECKIN,
}
# By hand: it is asked while others wait for a booking, and building it anew cost more than asking.
_IN_FORCE = "SELECT name, sha256 FROM clinic_rulepack WHERE kind = %s AND status = 'published'"
_TOLD = frozenset({MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.UNKNOWN})


@dataclass(frozen=True)
class Wish:
    """What the messages of `about` are to say: those of this visit; None takes them all back.

    `links` names, by step, the scope and what its link is about, as (scope, "checkin:<ref>"). `is_new` says that the
    visit was made in this transaction.
    """

    about: str
    patient: Patient
    location: Location
    visit: Visit | None
    links: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    is_new: bool = False


def reconcile_plan(
    *,
    about: str,
    patient: Patient,
    location: Location,
    visit: Visit | None,
    by: Actor,
    at: datetime,
    reason: str = "",
    links: Mapping[str, tuple[str, str]] | None = None,
    is_new: bool = False,
) -> Reconciled:
    """The messages of `about` say what the visit as it is now asks for; None takes them all back.

    `reason` is a few words for the log ("visit cancelled"). `links` names, by step, the scope and what its link is
    about, as (scope, "checkin:<ref>"). `is_new` says that the visit was made in this transaction. A visit without a
    protocol has no messages. Raises PackMissing, PackError.
    """
    wish = Wish(about, patient, location, visit, links or {}, is_new)
    return reconcile_plans(wishes=[wish], by=by, at=at, reason=reason)[about]


@transaction.atomic(savepoint=False)
def reconcile_plans(
    *,
    wishes: Sequence[Wish],
    by: Actor,
    at: datetime,
    reason: str = "",
    only_missing: bool = False,
    purposes: Collection[Purpose] | None = None,
) -> dict[str, Reconciled]:
    """As `reconcile_plan`, for many visits at once: all of them or none, in as many queries as for one.

    With `only_missing` what stands is left as it stands, and only what was never planned is. With `purposes` messages
    of other purposes are left alone.
    """
    care = Protocols()

    def change(wish: Wish) -> Change:
        wanted = partial(_wanted, wish, care=care)
        return Change(wish.about, wish.patient, wish.location, wanted, wish.is_new)

    spoken_to = [change(wish) for wish in wishes if not wish.patient.is_silent]
    done = reconcile_many(changes=spoken_to, by=by, at=at, reason=reason, only_missing=only_missing, purposes=purposes)
    for wish in wishes:
        if silent := why_silent(wish.patient):
            # Taken back without a word: a notice that the visit is off would be one, too.
            count = withdraw(about=wish.about, reason=silent, by=by, at=at)
            done[wish.about] = Reconciled(withdrawn=count, is_change=count > 0)
    return done


def differing(wishes: Sequence[Wish], at: datetime, *, only_missing: bool = False) -> list[Wish]:
    """Return the wishes whose messages do not say what they ask for. Locks and changes nothing.

    The messages of all are read in one query, the protocols in another; setting them right is `reconcile_plans`. With
    `only_missing` those alone that ask for a message that was never planned.
    """
    care = Protocols()
    spoken_to = [wish for wish in wishes if not wish.patient.is_silent]
    known = known_messages([wish.about for wish in spoken_to])
    found = []
    for wish in spoken_to:
        gap = difference(known[wish.about], _wanted(wish, known[wish.about], care), at)
        if any(revision == 1 for _, revision in gap.new) if only_missing else not gap.is_empty:
            found.append(wish)
    return found


def stamp_of(wish: Wish, care: Protocols) -> str:
    """Return a mark of everything that decides what the messages of a visit say. Equal marks: nothing has changed.

    What was sent, skipped or deleted since does not change it; comparing with the messages themselves does, nightly.
    """
    visit = wish.visit
    facts: list[object] = [wish.location.address, why_silent(wish.patient)]
    if visit is not None:
        facts += [care.stamp(visit), *(_steady(getattr(visit, each.name)) for each in fields(visit))]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _steady(value: object) -> object:
    """Return a value whose `repr` is the same in every process."""
    return sorted(value) if isinstance(value, frozenset) else str(value)


class Protocols:
    """The published protocols, read once, when the first is asked for; for as long as one act takes."""

    def __init__(self) -> None:
        self._versions: dict[str, str] | None = None
        self._parsed: dict[str, Protocol] = {}

    def of(self, visit: Visit) -> Protocol | None:
        """Return the protocol for the visit's laser, or for its kind; None where there is none.

        It carries what a clinician asks of this patient besides.
        """
        name = _protocol_name(visit.kind, visit.modality)
        if name is None:
            return None
        if name not in self._parsed:
            self._parsed[name] = _parsed(self._version(name), name)
        return with_own_lines(self._parsed[name], visit.own_lines)

    def stamp(self, visit: Visit) -> str:
        """Return the sha256 of that protocol; empty where there is none."""
        name = _protocol_name(visit.kind, visit.modality)
        return self._version(name) if name else ""

    def _version(self, name: str) -> str:
        """Return the sha256 of what is in force: that is asked each time, what it says never changes."""
        if self._versions is None:
            with connection.cursor() as cursor:
                cursor.execute(_IN_FORCE, [PackKind.CARE])
                self._versions = dict(cursor.fetchall())
        if name not in self._versions:
            raise PackMissing
        return self._versions[name]


@lru_cache(maxsize=64)
def _protocol_name(kind: str, modality: str) -> str | None:
    for word in (kind, modality):  # a review belongs to a course, and is still a review
        try:
            return protocol_name(word)
        except NoProtocol:
            continue
    return None


def protocol_in_force(visit: Visit) -> Protocol | None:
    """Return the published protocol for the visit's laser, or for its kind; None where there is none.

    It carries what a clinician asks of this patient besides.
    """
    return Protocols().of(visit)


@lru_cache(maxsize=64)
def _parsed(sha256: str, name: str) -> Protocol:
    """Return the protocol of a published version. The database keeps the text of one as it is, so it is read once."""
    body = RulePack.objects.filter(kind=PackKind.CARE, name=name, sha256=sha256).values_list("body", flat=True)[0]
    return parse_protocol(body, name)


def _wanted(wish: Wish, known: Sequence[Known], care: Protocols) -> list[WantedMessage]:
    visit = wish.visit
    protocol = care.of(visit) if visit else None
    if visit is None or protocol is None:
        return []
    steps_known = _steps(known) if visit.moved_at or visit.completed_at else {}
    told = frozenset(step for step, status in steps_known.items() if status in _TOLD)
    if not told <= visit.sent_steps:
        visit = replace(visit, sent_steps=visit.sent_steps | told)
    steps = plan(visit, protocol)
    if visit.completed_at is not None:
        # What was only of use before the treatment is neither begun after it nor sent late.
        over = {step for step, status in steps_known.items() if status not in UNSENT}
        steps = [each for each in steps if each.phase != Phase.BEFORE or each.step in over]
    return [_message(each, wish.about, wish.location, visit, protocol, wish.links) for each in steps]


def _steps(known: Sequence[Known]) -> dict[str, str]:
    """Return the state of the latest revision of each step of the plan."""
    return {row.step: row.status for row in sorted(known, key=lambda row: row.revision) if row.in_plan}


def _message(
    wanted: Wanted,
    about: str,
    location: Location,
    visit: Visit,
    protocol: Protocol,
    links: Mapping[str, tuple[str, str]],
) -> WantedMessage:
    scope, link_about = links.get(wanted.step) or (_LINKS.get(wanted.kind, ""), about)
    tells_time = wanted.phase == Phase.BEFORE
    return WantedMessage(
        step=wanted.step,
        purpose=PURPOSES[wanted.kind],
        channel=wanted.channel,
        template=wanted.template,
        context=_context(wanted, location, visit, protocol, tells_time=tells_time),
        due_at=wanted.due_at,
        not_after=wanted.not_after,
        important=wanted.important,
        link_scope=str(scope),
        link_about=link_about if scope else "",
        note=wanted.note[:200],
        any_hour=wanted.any_hour,
        visit_at=visit.start if tells_time else None,
    )


def _context(
    wanted: Wanted, location: Location, visit: Visit, protocol: Protocol, *, tells_time: bool
) -> dict[str, Value]:
    """Return the step's own variables; name and clinic are added when the message leaves."""
    words = text_of(wanted, visit, protocol)
    context: dict[str, Value] = {
        "title": words.title,
        "what_is_normal": words.what_is_normal,
        "do_now": words.do_now,
        "contact_if": words.contact_if,
    }
    if tells_time:
        context |= {"when_local": in_words(visit), "where": location.address}
    return context


def in_words(visit: Visit) -> str:
    """Return the time of the visit as the clinic's wall clock shows it: "Tuesday 1 December, 10:00"."""
    return _in_words(to_wall(visit.start, visit.clinic_clock))


@lru_cache(maxsize=1024)
def _in_words(wall: datetime) -> str:
    return f"{wall:%A} {wall.day} {wall:%B}, {wall:%H:%M}"
