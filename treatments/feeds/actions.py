"""Opening and closing practitioners' calendar addresses, and putting on record who took the clinic's table out."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import date, datetime

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.premises.models import Location
from clinic.staff.models import Practitioner
from clinic.transitions import lock
from treatments.feeds.models import CalendarFeed

TOKEN_BYTES = 32  # 256 bits: guessing is hopeless at any speed


@transaction.atomic
def open_feed(*, practitioner: Practitioner, by: Actor, at: datetime) -> tuple[CalendarFeed, str]:
    """The practitioner's visits answer under a new address, and under no other. Returns it: it is shown this once."""
    lock(practitioner)
    close_feed(practitioner=practitioner, by=by, at=at)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    feed = CalendarFeed.objects.create(
        practitioner=practitioner,
        token_hash=hashlib.sha256(token.encode()).digest(),
        created_at=at,
        created_by_name=by.name,
    )
    record(action="feed.opened", subject=feed, by=by, at=at, practitioner=practitioner)
    return feed, settings.PUBLIC_URL + reverse("feed", args=[token])


@transaction.atomic
def close_feed(*, practitioner: Practitioner, by: Actor, at: datetime) -> bool:
    """No address of the practitioner's visits answers any more. Returns False if none did."""
    feed = CalendarFeed.objects.select_for_update().filter(practitioner=practitioner, revoked_at=None).first()
    if feed is None:
        return False
    feed.revoked_at, feed.revoked_by_name = at, by.name
    feed.save(update_fields=["revoked_at", "revoked_by_name"])
    record(action="feed.revoked", subject=feed, by=by, at=at, practitioner=practitioner)
    return True


@transaction.atomic
def note_export(*, places: Sequence[Location], first: date, last: date, by: Actor, at: datetime) -> None:
    """It is on record who took which days of which places out of the house."""
    record(
        action="visits.exported",
        subject="visits",
        by=by,
        at=at,
        first=first,
        last=last,
        places=[place.name for place in places],
    )
