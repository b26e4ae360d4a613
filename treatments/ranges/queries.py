"""What the workshop must know of check-in triage and of treatment ranges."""

from __future__ import annotations

from clinic.packfile import PackError
from treatments.aftercare.triage import parse_triage
from treatments.sessions.rules import parse_settings


def check_triage(text: str, name: str) -> None:
    """Raise PackError, with line and item, where a text could not be put in force as triage."""
    parse_triage(text, name)


def check_settings(text: str, name: str) -> None:
    """Raise PackError, with line and item, where a text could not be put in force as ranges of settings."""
    if not parse_settings(text, name).rules:
        raise PackError(name, 0, "warning", "There is no range left to warn by.")
