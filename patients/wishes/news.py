"""What follows when somebody agrees to news, or no longer does: only rooms above know what is planned of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from clinic.audit.states import Actor
from patients.registry.models import Patient

Follows = Callable[[Patient, Actor, datetime], None]
_following: list[Follows] = []


def follows_news(follow: Follows) -> None:
    """From now on `follow` is called, in the same transaction, when a patient's word about news has changed."""
    _following.append(follow)


def follow_news(patient: Patient, by: Actor, at: datetime) -> None:
    """What is planned for the patient says what they agreed to."""
    for follow in _following:
        follow(patient, by, at)
