"""Consent wordings as data, what pins a consent to its wording and plan, and what counts as a signature. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from math import hypot, isfinite

from clinic.catalogue.states import Group
from clinic.packfile import Item, Pack
from patients.consent.states import ConsentScope, SignatureRefused
from patients.registry.rules import age_on

Strokes = list[list[list[float]]]

# A drawn signature: at most so many strokes and points, in fractions of the drawing field, and longer than a dot.
MOST_STROKES = 100
MOST_POINTS = 4000
LEAST_LENGTH = 0.05
NAME_LENGTH = 200
QUESTION_LENGTH = 2000
MAJORITY = 18

# What no wording may say. Sources disagree about how long results last, and praise is not information (C3, C5, C13).
_PROMISES = re.compile(
    r"\b(guarantee\w*|permanent(ly)? (remov|eras|cur)\w*|long[- ](lasting|term)|safe and effective|risk[- ]free"
    r"|painless|no downtime|minimal(ly)? \w+|100 ?%|cure[sd]?|perfect\w*"
    r"|results? (can |may |will )?(last|stay)\w* (for )?(up to )?\w+ (months?|years?))\b",
    re.IGNORECASE,
)
_NOT_OF_ABLATIVE = re.compile(
    r"\b(non[- ]invasive|non[- ]wounding|surface intact|leav\w+ the (surface|skin) (intact|untouched))\b", re.IGNORECASE
)
ABLATIVE = frozenset({Group.AFL, Group.FULL})


@dataclass(frozen=True)
class Risk:
    """One risk, ticked by itself. `source` names where it is stated."""

    key: str
    text: str
    serious: bool
    source: str


@dataclass(frozen=True)
class Wording:
    """The words of one consent in one language. `group` is empty except for treatment."""

    scope: ConsentScope
    group: str
    language: str
    title: str
    summary: tuple[str, ...]
    paragraphs: tuple[tuple[str, str], ...]
    risks: tuple[Risk, ...]
    reflection_hours: int
    note: str

    @property
    def body(self) -> dict[str, object]:
        """Return the words as they are stored and hashed."""
        return {
            "title": self.title,
            "summary": list(self.summary),
            "paragraphs": [{"heading": heading, "text": text} for heading, text in self.paragraphs],
            "risks": [
                {"key": risk.key, "text": risk.text, "serious": risk.serious, "source": risk.source}
                for risk in self.risks
            ],
            "note": self.note,
        }

    @property
    def sha256(self) -> str:
        """Return the hash over the words and whom they are for."""
        return digest(
            {"scope": self.scope.value, "group": self.group, "language": self.language, "body": self.body,
             "reflection_hours": self.reflection_hours}
        )  # fmt: skip


# --- reading a wording ------------------------------------------------------------------------------------------------


def load_wording(text: str, name: str) -> Wording:
    """Return the wording that a TOML text describes. Raises PackError naming file, line and item.

    Refuses a risk without a source, a treatment without a serious risk, and phrases that promise or belittle.
    """
    pack = Pack(text, name)
    pack.only("wording", "paragraph", "risk")
    head = pack.one("wording")
    head.only(
        *("scope", "group", "language", "title", "summary", "reflection_hours", "note", "needs_decision"),
        *("status", "approved_by", "approved_on", "source"),
    )
    head.source()
    scope = ConsentScope(head.one_of("scope", ConsentScope.values))
    group = head.one_of("group", Group.values, "")
    if (scope == ConsentScope.TREATMENT) != bool(group):
        head.refuse("A treatment names its group of lasers; nothing else does.", "group")
    hours = head.integer("reflection_hours")
    if not 0 <= hours <= 24 * 60:
        head.refuse("“reflection_hours” must be from 0 to 1440.", "reflection_hours")
    summary = head.words("summary")
    if not summary:
        head.refuse("“summary” is missing.")
    _check_phrases(head, "summary", " ".join((head.text("title"), *summary)), group)
    risks = tuple(_risk(item, group) for item in pack.many("risk"))
    if scope == ConsentScope.TREATMENT and not any(risk.serious for risk in risks):
        head.refuse("A treatment must name its serious risks.")
    return Wording(
        scope=scope,
        group=group,
        language=head.text("language"),
        title=head.text("title"),
        summary=summary,
        paragraphs=tuple(_paragraph(item, group) for item in pack.many("paragraph")),
        risks=risks,
        reflection_hours=hours,
        note=head.text("note", ""),
    )


def _paragraph(item: Item, group: str) -> tuple[str, str]:
    item.only("key", "heading", "text", "source", "needs_decision")
    item.source()
    _check_phrases(item, "text", f"{item.text('heading')} {item.text('text')}", group)
    return item.text("heading"), item.text("text")


def _risk(item: Item, group: str) -> Risk:
    item.only("key", "text", "serious", "source", "needs_decision")
    _check_phrases(item, "text", item.text("text"), group)
    return Risk(item.text("key"), item.text("text"), item.flag("serious"), item.source())


def _check_phrases(item: Item, key: str, text: str, group: str) -> None:
    found = _PROMISES.search(text) or (_NOT_OF_ABLATIVE.search(text) if group in ABLATIVE else None)
    if found:
        item.refuse(f"“{found[0]}” promises or belittles; say what is known instead.", key)


# --- what pins a consent ----------------------------------------------------------------------------------------------


def digest(value: object) -> str:
    """Return the sha256 of a value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def plan_sha256(plan: Mapping[str, object]) -> str:
    """Return the hash of a plan; the order of its keys is of no account."""
    return digest(dict(plan))


def shown_sha256(wording_sha256: str, plan_hash: str) -> str:
    """Return the hash over what a patient has on the screen: the words and the plan."""
    return digest([wording_sha256, plan_hash])


def signed_sha256(
    *,
    wording_sha256: str,
    plan_hash: str,
    risks_ticked: Sequence[str],
    signed_name: str,
    signed_as: str,
    signature: Strokes,
    signed_at: datetime,
) -> str:
    """Return the hash over everything a signature stands for. A later change of any of it shows."""
    return digest(
        [
            wording_sha256,
            plan_hash,
            sorted(risks_ticked),
            signed_name,
            signed_as,
            signature,
            signed_at.astimezone(UTC).isoformat(),
        ]
    )


# --- what a patient must do -------------------------------------------------------------------------------------------


def unticked(risks: Iterable[Mapping[str, object]], ticked: Iterable[str]) -> list[str]:
    """Return the keys of the risks that were not ticked, in the order of the page."""
    done = set(ticked)
    return [str(risk["key"]) for risk in risks if risk["key"] not in done]


def clean_strokes(raw: object) -> Strokes:
    """Return a drawn signature as strokes of [x, y] points from 0 to 1; empty when nothing was drawn.

    Raises SignatureRefused for what is no drawing, or is too large to be a signature. A dot or a tap counts as
    nothing drawn.
    """
    if raw in (None, "", []):
        return []
    if not isinstance(raw, list) or len(raw) > MOST_STROKES:
        raise SignatureRefused(field="signature")
    strokes = [[_point(point) for point in _points(stroke)] for stroke in raw]
    if sum(len(stroke) for stroke in strokes) > MOST_POINTS:
        raise SignatureRefused(field="signature")
    return strokes if _length(strokes) >= LEAST_LENGTH else []


def read_strokes(text: str) -> object:
    """Return what a form field holds as data. Raises SignatureRefused unless it is JSON or empty."""
    try:
        return json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        raise SignatureRefused(field="signature") from None


def _points(stroke: object) -> list[object]:
    if not isinstance(stroke, list) or not stroke:
        raise SignatureRefused(field="signature")
    return stroke


def _point(point: object) -> list[float]:
    if not isinstance(point, list) or len(point) != 2:
        raise SignatureRefused(field="signature")
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) and isfinite(each) for each in point):
        raise SignatureRefused(field="signature")
    if not all(0 <= each <= 1 for each in point):
        raise SignatureRefused(field="signature")
    return [round(float(each), 4) for each in point]


def _length(strokes: Strokes) -> float:
    return sum(
        hypot(after[0] - before[0], after[1] - before[1]) for stroke in strokes for before, after in pairwise(stroke)
    )


def is_minor(born_on: date, on: date) -> bool:
    """True if somebody born on that day is under 18 on `on`; 29 February counts on 1 March."""
    return age_on(born_on, on) < MAJORITY
