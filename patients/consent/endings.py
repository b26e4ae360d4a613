"""What follows when a patient takes a consent back, or says no: only rooms above know what was planned upon it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime

from clinic.audit.states import Actor
from patients.consent.models import Consent

# Entered before the consent ends, so that what depends on it is locked first; left after, in the same transaction.
Follows = Callable[[Consent, Actor, datetime], AbstractContextManager[None]]
_following: list[Follows] = []


def follows_ending(follow: Follows) -> None:
    """From now on the end of a consent by its patient's word happens inside `follow`."""
    _following.append(follow)


def what_follows(consent: Consent, by: Actor, at: datetime) -> ExitStack:
    """Return what the end of the consent happens inside."""
    stack = ExitStack()
    for follow in _following:
        stack.enter_context(follow(consent, by, at))
    return stack
