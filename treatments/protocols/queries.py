"""Care protocols to rehearse, and what a rehearsal shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from clinic.catalogue.states import Group
from clinic.packfile import PackError
from clinic.packs.models import RulePack
from clinic.packs.states import PackKind, PackStatus
from clinic.premises.models import Location
from patients.messaging.rendering import write_email, write_sms
from patients.messaging.rules import Value, segments
from patients.messaging.states import Channel
from patients.workshop.difference import Change
from treatments.plan.actions import in_words
from treatments.plan.protocols import Protocol
from treatments.plan.rules import LATE_STEP, Visit, Wanted, parse_protocol, plan, text_of
from treatments.plan.states import Condition, Phase
from treatments.protocols.rules import sample_visit
from treatments.protocols.wording import difference

# As long as a real one, so that the segments are counted right.
SAMPLE_LINK = "https://your-clinic.example/l/" + "k" * 43
SAMPLE_NAME = "Ana"


@dataclass(frozen=True)
class Rehearsed:
    """One message of a rehearsal: when and how it goes out, why then, and as it would read."""

    title: str
    kind: str
    channel: str
    local: datetime
    utc: datetime
    why: str
    only_for: str
    is_important: bool
    subject: str
    text: str
    segments: int


def rehearsable() -> QuerySet[RulePack]:
    """Return the care protocols in force and the drafts of them."""
    rows = RulePack.objects.filter(kind=PackKind.CARE, status__in=[PackStatus.PUBLISHED, PackStatus.DRAFT])
    return rows.select_related("drafted_by").order_by("name", "-status", "-version")


def title_of(pack: RulePack) -> str:
    """Return what a care protocol calls itself; a draft that cannot be read has only the name of its pack."""
    try:
        return parse_protocol(pack.body, str(pack)).title
    except PackError:
        return pack.name


def rehearsed(pack: RulePack, starts_at: datetime, zone: ZoneInfo, location: Location) -> list[Rehearsed]:
    """Return every message of the protocol around a sample visit, in order, written for a made-up patient.

    `starts_at` is the naive wall time at the clinic. Raises PackError for a draft that cannot be read.
    """
    protocol = parse_protocol(pack.body, str(pack))
    visit = sample_visit(protocol, starts_at, zone)
    return [_rehearsed(wanted, visit, protocol, location) for wanted in plan(visit, protocol)]


def _rehearsed(wanted: Wanted, visit: Visit, protocol: Protocol, location: Location) -> Rehearsed:
    words = text_of(wanted, visit, protocol)
    variables: dict[str, Value] = {
        "first_name": SAMPLE_NAME,
        "clinic_name": location.name,
        "clinic_phone": location.phone,
        "out_of_hours": location.out_of_hours,
        "emergency_number": location.emergency_number,
        "link": SAMPLE_LINK,
        "title": words.title,
        "what_is_normal": words.what_is_normal,
        "do_now": words.do_now,
        "contact_if": words.contact_if,
    }
    if wanted.phase == Phase.BEFORE:
        variables |= {"when_local": in_words(visit), "where": location.address}
    is_text = wanted.channel == Channel.SMS
    written = write_sms(wanted.template, variables) if is_text else write_email(wanted.template, variables)
    needs = () if wanted.step == LATE_STEP else protocol.step(wanted.step).only_if
    return Rehearsed(
        title=words.title,
        kind=str(wanted.kind.label),
        channel=str(wanted.channel.label),
        local=wanted.local,
        utc=wanted.due_at.astimezone(UTC),
        why=wanted.note,
        only_for=" or ".join(str(Condition(need).label).lower() for need in needs),
        is_important=wanted.important,
        subject=written.subject,
        text=written.text,
        segments=segments(written.text) if is_text else 0,
    )


# --- what the workshop must know of care protocols --------------------------------------------------------------------


def check_protocol(text: str, name: str) -> None:
    """Raise PackError, with line and item, where a text could not be put in force: read, and planned on a sample."""
    protocol = parse_protocol(text, name)
    plan(sample_visit(protocol, datetime(2026, 6, 10, 10), ZoneInfo("Europe/London")), protocol)  # noqa: DTZ001


def protocol_called(name: str) -> str:
    """Return what people call the care protocol of a pack: its group of lasers, or the visits it is about."""
    key = name.upper()
    return str(Group(key).label) if key in Group.values else name.replace("_", " ").capitalize()


def protocol_changes(old: str, new: str) -> list[Change]:
    """Return what one text of a protocol says otherwise than another. Raises PackError for one that is not readable."""
    return difference(parse_protocol(old, "old"), parse_protocol(new, "new"))
