"""Facts about a treatment that a clinician may state with a decision, and that change what the patient is told.

This floor does not know care protocols. The room above that does says, when the program starts, which facts it reads.
"""

from __future__ import annotations

from collections.abc import Mapping

_known: dict[str, str] = {}


def offer_facts(facts: Mapping[str, str]) -> None:
    """From now on these may be stated with a decision: key and words for the clinician."""
    _known.update(facts)


def known_facts() -> Mapping[str, str]:
    """Return what may be stated, in the order in which it was offered."""
    return dict(_known)
