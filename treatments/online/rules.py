"""What a visitor may book, and how often. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

# How often visits may be booked from one network address (a family, a clinic's own tablet) and for one email address
# or number: the clinic's decision. The second holds for a day, so that nobody's mailbox is filled by a stranger.
FROM_ONE_ADDRESS, ADDRESS_WINDOW = 12, timedelta(hours=1)
FOR_ONE_CONTACT, CONTACT_WINDOW = 3, timedelta(days=1)
# By when the desk should have looked at who it is: the clinic's decision.
CHECK_WITHIN = timedelta(hours=24)

LONGEST_GIVEN_NAME = 60
_ADDRESS = re.compile(r"://|www\.|@|/", re.IGNORECASE)


def is_only_a_name(text: str) -> bool:
    """Return False for a name that would carry an address into a letter."""
    return _ADDRESS.search(text) is None
