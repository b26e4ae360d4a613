"""What the sender knows of a message that it is about to send: no row, only what its checks and its letter need.

Read anew just before it leaves, one statement for a whole batch. Names are those of the rows, so that what asks about
a message can be asked about either.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from clinic.statements import run
from patients.messaging.models import Message


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that is ours while its token stands. `deaths` says how many senders stopped that held it."""

    key: int
    token: int
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message comes from."""

    pk: int
    name: str
    phone: str
    out_of_hours: str
    emergency_number: str
    time_zone: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True, slots=True)
class Reader:
    """The patient a message is for."""

    pk: int
    first_name: str
    language: str
    time_zone: str
    preferred_channel: str
    channel_is_wish: bool
    died_on: object
    do_not_contact: bool
    news_agreed: bool


@dataclass(frozen=True, slots=True)
class Person:
    """The member of staff a message is for."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed message. Either `patient` or `staff` is who reads it."""

    location: Place
    patient: Reader | None
    staff: Person | None
    pk: int
    token: int
    ref: UUID
    reason: str
    patient_id: int | None
    about: str
    step: str
    purpose: str
    channel: str
    template: str
    context: dict[str, Any]
    link_scope: str
    link_about: str
    is_important: bool
    any_hour: bool
    due_at: datetime
    not_after: datetime
    night_until: datetime | None
    attempts: int
    deaths: int

    @property
    def claim(self) -> Claim:
        return Claim(self.pk, self.token)


AnyMessage = Message | Due

_READ = """
SELECT message.id, message.token, message.ref, message.reason, message.patient_id, message.about, message.step,
    message.purpose, message.channel, message.template, message.context, message.link_scope, message.link_about,
    message.is_important, message.any_hour, message.due_at, message.not_after, message.night_until, message.attempts,
    message.deaths,
    place.id, place.name, place.phone, place.out_of_hours, place.emergency_number, place.time_zone,
    patient.id, coalesce(nullif(patient.known_as, ''), nullif(patient.given_name, ''), patient.family_name),
    patient.language, patient.time_zone, patient.preferred_channel, patient.channel_is_wish, patient.died_on,
    patient.do_not_contact, patient.news_agreed,
    staff.name, staff.email
FROM unnest(%(keys)b::bigint[], %(tokens)b::int[]) AS claimed (id, token)
JOIN patients_message AS message USING (id, token)
JOIN clinic_location AS place ON place.id = message.location_id
LEFT JOIN patients_patient AS patient ON patient.id = message.patient_id
LEFT JOIN clinic_user AS staff ON staff.id = message.staff_id
WHERE message.lease_until IS NOT NULL AND message.handed_at IS NULL
ORDER BY message.due_at, message.id
"""
_OWN, _PLACE, _READER = 20, 26, 35  # where each part of a row ends


def read_due(claims: Collection[Claim]) -> list[Due]:
    """Return those of the claimed messages that are still ours and have not left, longest due first, as they stand now.

    Nothing is locked: whoever changes one takes it from us, and then our token or its state refuses what we write.
    """
    if not claims:
        return []
    rows = run(_READ, keys=[claim.key for claim in claims], tokens=[claim.token for claim in claims])
    places = {row[_OWN]: Place(*row[_OWN:_PLACE]) for row in rows}
    return [
        Due(
            places[row[_OWN]],
            Reader(*row[_PLACE:_READER]) if row[_PLACE] is not None else None,
            Person(*row[_READER:]) if row[_PLACE] is None else None,
            *row[:_OWN],
        )
        for row in rows
    ]
