from __future__ import annotations

from clinic.audit.states import Refused


class HoursRefused(Refused):
    """The hours of a day, or the time somebody is away, cannot be as asked."""
