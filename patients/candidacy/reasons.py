"""Why a screening came out as it did: each rule that speaks, ranked, with the answers it rests on and its sources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from patients.candidacy.models import Flag, Screening
from patients.candidacy.rules import RANK, Pack
from patients.candidacy.said import Said, said
from patients.candidacy.states import (
    Effect,
)

STOP, ASK, NOTE = "stop", "ask", "note"
RANKS: Mapping[str, str] = {
    Effect.NOT_RECOMMENDED: STOP,
    Effect.DEFER: STOP,
    Effect.REVIEW: ASK,
    Effect.TASK: NOTE,
    Effect.INFO: NOTE,
}
EFFECT_TONES = {
    Effect.NOT_RECOMMENDED: "alarm", Effect.DEFER: "warn", Effect.REVIEW: "calm", Effect.TASK: "quiet",
    Effect.INFO: "quiet",
}  # fmt: skip
EVIDENCE = {
    "A": "trial, systematic review or consensus",
    "B": "cohort or case series",
    "C": "textbook, guideline extract or opinion",
    "D": "leaflet: convention, not evidence",
    "G": "general knowledge, no source",
}
ABBREVIATIONS = frozenset({"bdd", "ctd", "hsv", "pih"})
_TAG = re.compile(r"^(?P<tag>.+?)(?: (?P<letter>[A-D]))?$")


@dataclass(frozen=True)
class Source:
    """One source with its evidence letter and what the letter means."""

    tag: str
    letter: str
    meaning: str


@dataclass(frozen=True)
class Reason:
    """One rule that speaks: why, on which answers, and whether a decision has settled it."""

    rank: str
    rule: str
    topic: str
    effect: Effect
    effect_label: str
    tone: str
    undecided: bool
    said: tuple[Said, ...]
    rationale: str
    patient_text: str
    sources: tuple[Source, ...]
    earliest: date | None
    rescreen_when: str
    may_override: bool
    status: str


def reasons_of(screening: Screening, pack: Pack) -> Iterable[Reason]:
    flags = {flag.rule: flag for flag in screening.flags.all()}
    for finding in screening.result["findings"]:
        yield _fired(screening, pack, finding, flags.get(finding["rule"]))
    for undecided in screening.result["undecided"]:
        yield _undecided(screening, pack, undecided, flags.get(undecided["rule"]))


def _fired(screening: Screening, pack: Pack, finding: Mapping[str, object], flag: Flag | None) -> Reason:
    effect = Effect(str(finding["effect"]))
    needs_person = RANK[effect] <= RANK[Effect.REVIEW]
    earliest = finding["earliest_date"]
    return Reason(
        rank=RANKS[effect],
        rule=str(finding["rule"]),
        topic=_topic(finding),
        effect=effect,
        effect_label=effect.label,
        tone=EFFECT_TONES[effect],
        undecided=False,
        said=_answers(screening, pack, str(finding["rule"]), finding["answers"]),
        rationale=str(finding["rationale"]),
        patient_text=str(finding["patient_text"]),
        sources=_sources(str(finding["source"])),
        earliest=date.fromisoformat(str(earliest)) if earliest else None,
        rescreen_when=str(finding["rescreen_when"]),
        may_override=bool(finding["may_override"]),
        status=flag.status if flag and needs_person else "",
    )


def _undecided(screening: Screening, pack: Pack, undecided: Mapping[str, object], flag: Flag | None) -> Reason:
    """An undecided rule asks, whatever it could become: nobody has said yes."""
    effect = Effect(str(undecided["effect"]))
    rule = pack.rule(str(undecided["rule"]))
    needs_person = RANK[effect] <= RANK[Effect.REVIEW]
    return Reason(
        rank=ASK if needs_person else NOTE,
        rule=rule.id,
        topic=_topic(undecided),
        effect=Effect.REVIEW if needs_person else effect,
        effect_label=f"Open: could be “{effect.label.lower()}”",
        tone="warn" if needs_person else "quiet",
        undecided=True,
        said=_answers(screening, pack, rule.id, undecided["answers"]),
        rationale=rule.rationale,
        patient_text="",
        sources=_sources(rule.source),
        earliest=None,
        rescreen_when="",
        may_override=True,
        status=flag.status if flag and needs_person else "",
    )


def _answers(screening: Screening, pack: Pack, rule_id: str, used: object) -> tuple[Said, ...]:
    keys = list(used) if isinstance(used, Mapping) else []
    keys += [key for key in pack.rule(rule_id).shows if key not in keys]
    by_key = pack.questionnaire.by_key
    return tuple(said(screening, by_key[key]) for key in keys if key in by_key)


def _topic(finding: Mapping[str, object]) -> str:
    words = str(finding["topic"]).split("_")
    first = words[0].upper() if words[0] in ABBREVIATIONS else words[0].capitalize()
    return " ".join([first, *words[1:]])


def _sources(text: str) -> tuple[Source, ...]:
    found = []
    for part in re.split(r", | vs |; ", text):
        match = _TAG.match(part)
        tag = match["tag"] if match else part
        letter = (match["letter"] or "") if match else ""
        letter = "G" if tag == "G" else letter
        found.append(Source(tag, letter, EVIDENCE.get(letter, "")))
    return tuple(found)
