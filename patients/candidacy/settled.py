"""What of a screening needs a person, and what of it a decision has settled already."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from patients.candidacy.models import CandidacyDecision, Flag
from patients.candidacy.rules import RANK, ScreeningResult
from patients.candidacy.states import Effect

# What a flag holds of one rule: what has fired, and what is open, as dictionaries; None for what is not.
Found = Mapping[str, Mapping[str, object] | None]


def needing_a_person(result: ScreeningResult) -> dict[str, dict[str, dict[str, object] | None]]:
    """Return the findings and the undecided rules that only a person can settle, by rule."""
    found: dict[str, dict[str, dict[str, object] | None]] = {}
    for finding in result.findings:
        if RANK[finding.effect] <= RANK[Effect.REVIEW]:
            found.setdefault(finding.rule, {"fired": None, "open": None})["fired"] = finding.as_dict()
    for undecided in result.undecided:
        if RANK[undecided.effect] <= RANK[Effect.REVIEW]:
            found.setdefault(undecided.rule, {"fired": None, "open": None})["open"] = undecided.as_dict()
    return found


def gist(found: Found) -> str:
    """Return what was settled: rule, effect, date and the answers it rests on, whatever the wording of the rule."""
    keys = ("rule", "effect", "answers", "earliest_date")
    said = (found["fired"], found["open"])
    return json.dumps([{key: each.get(key) for key in keys} if each else None for each in said], sort_keys=True)


def settled_by(decision: CandidacyDecision | None) -> Collection[str]:
    """Return the gist of every flag that the decision closed."""
    return settled_by_each([decision])[decision.pk] if decision else frozenset()


def settled_by_each(decisions: Sequence[CandidacyDecision | None]) -> Mapping[int, Collection[str]]:
    """Return, by decision, the gist of every flag that it closed; one query however many."""
    settled: dict[int, set[str]] = defaultdict(set)
    for flag in Flag.objects.filter(closed_by__in=[each for each in decisions if each is not None]):
        settled[flag.closed_by_id or 0].add(gist(flag.finding))
    return settled


def is_unsettled(result: ScreeningResult, settled: Collection[str]) -> bool:
    """Whether anything in the result needs a person that was not settled."""
    return any(gist(found) not in settled for found in needing_a_person(result).values())
