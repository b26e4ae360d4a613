"""From a visit to its messages: the published protocol says what, the messaging room writes the difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from django.db import transaction

from clinic.audit.states import Actor
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.premises.models import Location
from patients.messaging.actions import Reconciled, known_of, reconcile
from patients.messaging.difference import difference
from patients.messaging.models import Message
from patients.messaging.rules import Value, WantedMessage
from patients.messaging.states import UNSENT, MessageStatus
from patients.registry.models import Patient
from patients.registry.states import LinkScope
from treatments.plan.clock import to_wall
from treatments.plan.queries import NoProtocol, protocol_name
from treatments.plan.rules import Protocol, Visit, Wanted, parse_protocol, plan, text_of
from treatments.plan.states import PURPOSES, Phase, StepKind

__all__ = ["Reconciled", "Wish", "differing", "protocol_in_force", "reconcile_plan"]

# What the link in a message opens, where the caller names nothing more exact.
_LINKS: dict[str, LinkScope] = {
    StepKind.PRECARE: LinkScope.HEALING,
    StepKind.FITNESS: LinkScope.FITNESS,
    StepKind.AFTERCARE: LinkScope.HEALING,
    StepKind.CHECKIN: LinkScope.CHECKIN,
}
_TOLD = frozenset({MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.UNKNOWN})


@transaction.atomic
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
) -> Reconciled:
    """The messages of `about` say what the visit as it is now asks for; None takes them all back.

    `reason` is a few words for the log ("visit cancelled"). `links` names, by step, the scope and what its link is
    about, as (scope, "checkin:<ref>"). A visit without a protocol has no messages. Raises PackMissing, PackError.
    """
    wanted = [] if visit is None else _wanted(about, location, visit, links or {})
    return reconcile(about=about, patient=patient, location=location, wanted=wanted, by=by, at=at, reason=reason)


@dataclass(frozen=True)
class Wish:
    """What the messages of `about` are to say: those of this visit."""

    about: str
    location: Location
    visit: Visit


def differing(wishes: Sequence[Wish], at: datetime) -> set[str]:
    """Return what each wish is about whose messages do not say what it asks for. Locks and changes nothing.

    The messages of all are read in one query; setting one right is `reconcile_plan`.
    """
    rows: dict[str, list[Message]] = defaultdict(list)
    for row in Message.objects.filter(about__in=[wish.about for wish in wishes]).defer("sent_text"):
        rows[row.about].append(row)
    return {
        wish.about
        for wish in wishes
        if not difference(
            [known_of(row) for row in rows[wish.about]], _wanted(wish.about, wish.location, wish.visit, {}), at
        ).is_empty
    }


def protocol_in_force(visit: Visit) -> Protocol | None:
    """Return the published protocol for the visit's laser, or for its kind; None where there is none."""
    for word in (visit.kind, visit.modality):  # a review belongs to a course, and is still a review
        try:
            name = protocol_name(word)
        except NoProtocol:
            continue
        pack = published(PackKind.CARE, name)
        return _parsed(pack.sha256, pack.body, pack.name)
    return None


@lru_cache(maxsize=32)
def _parsed(sha256: str, body: str, name: str) -> Protocol:
    return parse_protocol(body, name)


def _wanted(about: str, location: Location, visit: Visit, links: Mapping[str, tuple[str, str]]) -> list[WantedMessage]:
    protocol = protocol_in_force(visit)
    if protocol is None:
        return []
    known = _known_steps(about) if visit.moved_at or visit.completed_at else {}
    told = frozenset(step for step, status in known.items() if status in _TOLD)
    visit = replace(visit, sent_steps=visit.sent_steps | told)
    steps = plan(visit, protocol)
    if visit.completed_at is not None:
        # What was only of use before the treatment is neither begun after it nor sent late.
        over = {step for step, status in known.items() if status not in UNSENT}
        steps = [each for each in steps if each.phase != Phase.BEFORE or each.step in over]
    return [_message(each, about, location, visit, protocol, links) for each in steps]


def _known_steps(about: str) -> dict[str, str]:
    rows = Message.objects.filter(about=about, in_plan=True).order_by("revision")
    return dict(rows.values_list("step", "status"))


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
    wall = to_wall(visit.start, visit.clinic_clock)
    return f"{wall:%A} {wall.day} {wall:%B}, {wall:%H:%M}"
