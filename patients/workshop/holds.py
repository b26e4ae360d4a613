"""Whose visits a draft would hold if it were put in force now. A dry run: nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db.models import Exists, OuterRef

from clinic.packfile import PackError
from clinic.packs.models import RulePack
from clinic.premises.models import Location
from clinic.staff.models import User
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.rules import Pack, ScreeningResult, load_pack, screen
from patients.candidacy.settled import is_unsettled, settled_by_each
from patients.candidacy.states import ALLOWING
from patients.intake.queries import questionnaire_of
from patients.registry.models import Patient
from patients.workshop.queries import file_name, screenings_to_look_at
from patients.workshop.trial import gist_of

CHUNK = 500
# How many visits a page lists; the counts are always complete.
LISTED = 20
# A patient and a laser.
Lane = tuple[int, str]


@dataclass(frozen=True)
class ComingVisit:
    """A visit for a treatment that lies ahead."""

    patient_id: int
    modality: str
    starts_at: datetime
    location: Location


@dataclass(frozen=True)
class Held:
    """One visit that would be held, as the page lists it."""

    patient: Patient
    starts_at: datetime
    location: Location


@dataclass(frozen=True)
class Holds:
    """What would be held: the counts are of the whole clinic, the list is of one's own patients, soonest first."""

    decisions: int
    patients: int
    visits: int
    shown: tuple[Held, ...]

    @property
    def more(self) -> int:
        """How many visits are counted and not listed."""
        return self.visits - len(self.shown)


Finder = Callable[[Collection[int], datetime], Sequence[ComingVisit]]
_finder: list[Finder] = []


def find_visits_by(finder: Finder) -> None:
    """From now on `finder` is asked which visits lie ahead of these patients. This floor knows none."""
    _finder[:] = [finder]


def would_hold(*, draft: RulePack, user: User, at: datetime) -> Holds:
    """Return whose visits publishing the draft would hold, as current answers and decisions stand.

    Looked at is what publishing would look at and a visit can be booked on. Each screening is compared as on its own
    reference day, as publishing does; it would be held where the draft finds something that the decision in force did
    not settle. Raises PackError if the draft is not readable.
    """
    lanes = set(_reopened(draft))
    found = _finder[0]({patient for patient, _ in lanes}, at) if _finder and lanes else ()
    visits = sorted(
        (each for each in found if (each.patient_id, each.modality) in lanes), key=lambda each: each.starts_at
    )
    mine = Patient.objects.visible_to(user).filter(pk__in={each.patient_id for each in visits}).in_bulk()
    shown = (Held(mine[each.patient_id], each.starts_at, each.location) for each in visits if each.patient_id in mine)
    return Holds(
        decisions=len(lanes),
        patients=len({each.patient_id for each in visits}),
        visits=len(visits),
        shown=tuple(islice(shown, LISTED)),
    )


def _reopened(draft: RulePack) -> Iterator[Lane]:
    """Yield whose decision to treat would no longer cover what is found, by laser."""
    allowing = CandidacyDecision.objects.in_force().filter(kind__in=ALLOWING)
    rests = allowing.filter(patient=OuterRef("patient"), modality=OuterRef("modality"))
    rows = screenings_to_look_at(draft).filter(Exists(rests)).select_related("response").order_by("pk")
    packs: dict[str, Pack | None] = {}
    every = rows.iterator(chunk_size=CHUNK)
    while chunk := list(islice(every, CHUNK)):
        found = [(each, result) for each in chunk if (result := _otherwise(each, draft, packs)) is not None]
        decisions = {
            (each.patient_id, each.modality): each
            for each in allowing.filter(patient__in=[screening.patient_id for screening, _ in found])
        }
        settled = settled_by_each(list(decisions.values()))
        for screening, result in found:
            lane = (screening.patient_id, screening.modality)
            if is_unsettled(result, settled.get(decisions[lane].pk, ())):
                yield lane


def _otherwise(screening: Screening, draft: RulePack, packs: dict[str, Pack | None]) -> ScreeningResult | None:
    """Return what the draft finds, if it is something else than what was found.

    None too where the questionnaire of the time lacks what the draft reads: such a record stays as it was.
    """
    questionnaire = questionnaire_of(screening.response)
    if questionnaire.sha256 not in packs:
        try:
            packs[questionnaire.sha256] = load_pack(draft.body, file_name(draft), questionnaire)
        except PackError:
            packs[questionnaire.sha256] = None
    pack = packs[questionnaire.sha256]
    if pack is None:
        return None
    result = screen(screening.answers, pack, screening.modality, screening.reference_on)
    return result if gist_of(result.as_dict()) != gist_of(screening.result) else None
