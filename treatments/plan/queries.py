"""Reading the care protocols that are shipped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from clinic.catalogue.rules import group_of
from clinic.catalogue.states import VisitKind
from treatments.plan.rules import Protocol, parse_protocol

CARE = Path(__file__).resolve().parent.parent / "knowledge" / "care"
_BY_KIND = {VisitKind.CONSULTATION: "consultation", VisitKind.REVIEW: "consultation"}


class NoProtocol(LookupError):
    """Nothing is shipped for this modality or kind of visit."""


def protocol_name(modality_or_kind: str) -> str:
    """Return the name of the protocol for a modality key (afl_co2) or a kind of visit (consultation).

    Raises NoProtocol for a word that is neither, and for lasers that are not offered.
    """
    if modality_or_kind in _BY_KIND:
        return _BY_KIND[VisitKind(modality_or_kind)]
    try:
        name = group_of(modality_or_kind).lower()
    except ValueError:
        raise NoProtocol(f"“{modality_or_kind}” is neither a laser nor a kind of visit.") from None
    if not (CARE / f"{name}.toml").exists():
        raise NoProtocol(f"“{modality_or_kind}” is not offered: it has no care protocol.")
    return name


@cache
def shipped_protocol(modality_or_kind: str) -> Protocol:
    """Return the shipped protocol for a modality or a kind of visit. Raises NoProtocol, PackError."""
    path = CARE / f"{protocol_name(modality_or_kind)}.toml"
    return parse_protocol(path.read_text(encoding="utf-8"), path.name)
