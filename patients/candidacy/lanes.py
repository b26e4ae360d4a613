"""The results for one patient laser by laser, as chips beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clinic.catalogue.models import Modality
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.queries import (
    current_screenings,
)
from patients.candidacy.rules import Pack, alternative, screen
from patients.candidacy.states import (
    DecisionStatus,
    Outcome,
)

OUTCOME_TONES = {
    Outcome.NOT_RECOMMENDED: "alarm",
    Outcome.DEFER_UNTIL_DATE: "warn",
    Outcome.INCOMPLETE: "warn",
    Outcome.NEEDS_CLINICIAN_REVIEW: "calm",
    Outcome.ELIGIBLE: "good",
}
OUTCOME_ICONS = {
    Outcome.NOT_RECOMMENDED: "alarm",
    Outcome.DEFER_UNTIL_DATE: "clock",
    Outcome.INCOMPLETE: "question",
    Outcome.NEEDS_CLINICIAN_REVIEW: "review",
    Outcome.ELIGIBLE: "check",
}


@dataclass(frozen=True)
class Lane:
    """The result for one laser, as a chip; `ref` opens it, None where the laser is not offered here."""

    label: str
    short: str
    outcome: Outcome
    outcome_label: str
    tone: str
    icon: str
    ref: object | None
    is_here: bool
    decided: str


def lanes_of(screenings: Sequence[Screening]) -> tuple[Lane, ...]:
    """Return the results of several screenings as chips; one query however many."""
    lasers = all_lasers()
    return tuple(_lane(row, lasers) for row in screenings)


def all_lasers() -> dict[str, Modality]:
    return {laser.key: laser for laser in Modality.objects.all()}


def lanes_beside(screening: Screening, lasers: Mapping[str, Modality]) -> tuple[Lane, ...]:
    live = (DecisionStatus.IN_FORCE, DecisionStatus.AWAITING_COSIGN)
    decisions = CandidacyDecision.objects.filter(patient=screening.patient, status__in=live)
    words = {
        each.modality: each.get_kind_display() if each.status == DecisionStatus.IN_FORCE else each.get_status_display()
        for each in decisions
    }
    rows = current_screenings(screening.patient)
    return tuple(_lane(row, lasers, is_here=row == screening, decided=words.get(row.modality, "")) for row in rows)


def _lane(row: Screening, lasers: Mapping[str, Modality], *, is_here: bool = False, decided: str = "") -> Lane:
    return _chip(row.modality, lasers, Outcome(row.outcome), row.ref, is_here=is_here, decided=decided)


def _chip(
    modality: str,
    lasers: Mapping[str, Modality],
    outcome: Outcome,
    ref: object | None,
    *,
    is_here: bool = False,
    decided: str = "",
) -> Lane:
    laser = lasers.get(modality)
    short = f"{laser.group} {laser.wavelength_nm:,}" if laser and laser.wavelength_nm else modality
    label = laser.label if laser else modality
    return Lane(
        label, short, outcome, outcome.label, OUTCOME_TONES[outcome], OUTCOME_ICONS[outcome], ref, is_here, decided
    )


def gentler_lanes(screening: Screening, pack: Pack, lasers: Mapping[str, Modality]) -> tuple[Lane, ...]:
    """Return the gentler lasers' results beside a refused ablative one. For the clinician only, never the patient."""
    result = screen(screening.answers, pack, screening.modality, screening.reference_on)
    other = alternative(result, screening.answers, pack)
    if other is None:
        return ()
    group = pack.modalities(pack.group_of[other.modality])
    offered = [row for row in current_screenings(screening.patient) if row.modality in group]
    found = tuple(_lane(row, lasers) for row in offered)
    return found or (_chip(other.modality, lasers, other.outcome, None),)
