"""The clinic's knowledge on its shelves: in force, drafted, retired; what differs, and whom it would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date

from clinic.catalogue.models import Modality
from clinic.packfile import PackError
from clinic.packs.models import RulePack
from clinic.packs.states import PackKind, PackStatus
from clinic.staff.models import User
from patients.candidacy.models import ScreeningQuerySet
from patients.candidacy.queries import compiled, engine_answers, pack_in_force, screenings_that_matter
from patients.candidacy.rules import Pack, ScreeningResult, load_pack, screen
from patients.intake.models import QuestionnaireResponse, ResponseQuerySet
from patients.intake.pack import load_questionnaire
from patients.intake.queries import questionnaire_in_force, questionnaire_of
from patients.intake.questionnaire import Questionnaire
from patients.intake.states import ResponseStatus
from patients.workshop.crafts import called, craft_of, taught
from patients.workshop.difference import Change, difference, questionnaire_difference
from patients.workshop.trial import Shift, Trial, shift_of
from patients.workshop.wording import group_label

# What this floor can check by itself; other kinds are taught by the rooms that read them.
OWN = frozenset({PackKind.CANDIDACY, PackKind.QUESTIONNAIRE})
CHUNK = 500


@dataclass
class Shelf:
    """All versions of one pack, the one in force and the open drafts among them."""

    kind: PackKind
    name: str
    in_force: RulePack | None = None
    drafts: list[RulePack] = field(default_factory=list)
    versions: int = 0

    @property
    def called(self) -> str:
        return called(self.kind, self.name)

    @property
    def editable(self) -> bool:
        return self.kind in editable_kinds()


@dataclass(frozen=True)
class Intake:
    """What the list of a try-out shows of a past intake."""

    patient_ref: object
    patient_name: str
    sent_on: date


def editable_kinds() -> frozenset[str]:
    """Return the kinds of pack that are changed in the workshop."""
    return OWN | taught()


# --- what there is ----------------------------------------------------------------------------------------------------


def shelves() -> list[Shelf]:
    """Return every pack there is but letters, which have a page of their own; no text is read."""
    found: dict[tuple[str, str], Shelf] = {}
    for row in RulePack.objects.exclude(kind=PackKind.LETTER).defer("body").select_related("drafted_by", "approved_by"):
        shelf = found.setdefault((row.kind, row.name), Shelf(PackKind(row.kind), row.name))
        if row.status == PackStatus.PUBLISHED:
            shelf.in_force = row
        if row.status == PackStatus.DRAFT:
            shelf.drafts.append(row)
        else:
            shelf.versions += 1
    order = list(dict.fromkeys((PackKind.CANDIDACY, *PackKind)))
    return sorted(found.values(), key=lambda each: (order.index(each.kind), each.name))


def history(pack: RulePack) -> list[RulePack]:
    """Return every version under the pack's name that is or was in force, and the open drafts, newest first."""
    rows = RulePack.objects.filter(kind=pack.kind, name=pack.name).defer("body")
    return list(rows.select_related("drafted_by", "approved_by", "based_on").order_by("-version"))


def in_force(pack: RulePack) -> RulePack | None:
    """Return the version in force under the pack's name."""
    return RulePack.objects.filter(kind=pack.kind, name=pack.name, status=PackStatus.PUBLISHED).first()


def before(pack: RulePack) -> RulePack | None:
    """Return what a version is compared with: a draft with the one in force, any other with the one it followed."""
    if pack.status == PackStatus.DRAFT:
        return in_force(pack)
    earlier = RulePack.objects.filter(kind=pack.kind, name=pack.name, version__lt=pack.version)
    return earlier.exclude(status=PackStatus.DRAFT).order_by("-version").first()


# --- reading a text ---------------------------------------------------------------------------------------------------


def file_name(pack: RulePack) -> str:
    """Return what an error calls the text."""
    return f"{pack.name} v{pack.version}"


def read_rules(pack: RulePack) -> Pack:
    """Return a version of the candidacy rules, against today's questionnaire. Raises PackError."""
    return load_pack(pack.body, file_name(pack), questionnaire_in_force(), version=pack.version)


def read_questionnaire(pack: RulePack) -> Questionnaire:
    """Return a version of the questionnaire. Raises PackError."""
    return load_questionnaire(pack.body, file_name(pack), version=pack.version)


def check_text(kind: str, text: str, name: str) -> None:
    """Raise PackError, with line and item, where a text of this kind could not be put in force."""
    craft = craft_of(kind)
    check = craft.check if craft else _CHECKS[PackKind(kind)]
    check(text, name)


def _check_rules(text: str, name: str) -> None:
    load_pack(text, name, questionnaire_in_force())


def _check_questionnaire(text: str, name: str) -> None:
    """A questionnaire must also ask what the rules in force read."""
    asked = load_questionnaire(text, name)
    row = pack_in_force()
    try:
        load_pack(row.body, str(row), asked)
    except PackError as error:
        raise PackError(
            name, 0, error.item, f"The rules in force ({row}) need what this removes: {error.sentence}"
        ) from None


_CHECKS: dict[PackKind, Callable[[str, str], None]] = {
    PackKind.CANDIDACY: _check_rules,
    PackKind.QUESTIONNAIRE: _check_questionnaire,
}


def changes_between(old: RulePack, new: RulePack) -> list[Change] | None:
    """Return the differences in words; None where one of the two cannot be read, and only its lines can be compared."""
    try:
        if new.kind == PackKind.CANDIDACY:
            return difference(read_rules(old), read_rules(new))
        if new.kind == PackKind.QUESTIONNAIRE:
            return questionnaire_difference(read_questionnaire(old), read_questionnaire(new))
        craft = craft_of(new.kind)
        if craft:
            return craft.changes(old.body, new.body)
    except PackError:
        pass
    return None


# --- on past intakes --------------------------------------------------------------------------------------------------


def past_intakes(user: User) -> ResponseQuerySet:
    """Return the handed-in answers the person may see, newest first; an amended intake counts once, as it stands."""
    rows = QuestionnaireResponse.objects.visible_to(user).filter(status=ResponseStatus.COMPLETED)
    return rows.select_related("pack", "patient__location").defer("pack__body").order_by("-completed_at", "-pk")


def offered_groups(pack: Pack) -> dict[str, str]:
    """Return each group of lasers that the clinic uses with one laser that speaks for it: a group shares every rule."""
    used: dict[str, str] = {}
    for key in Modality.objects.filter(is_enabled=True).values_list("key", flat=True):
        if key in pack.group_of:
            used.setdefault(pack.group_of[key], key)
    return used


def try_pack(*, draft: RulePack, responses: ResponseQuerySet) -> Trial:
    """Return what the draft would have said otherwise than the rules in force, of every one of these intakes.

    Each is screened as on the day it was sent, by both packs, for each group of lasers the clinic uses. Rows are read
    in chunks and only counts are kept, so memory does not grow with them. Nothing is stored. An intake whose
    questionnaire lacks what a pack asks for is counted as unreadable. Raises PackError if the draft is not readable.
    """
    row = pack_in_force()
    groups = offered_groups(read_rules(draft))
    packs: dict[str, tuple[Pack, Pack] | None] = {}
    trial = Trial()
    for response in responses.iterator(chunk_size=CHUNK):
        questionnaire = questionnaire_of(response)
        if questionnaire.sha256 not in packs:
            packs[questionnaire.sha256] = _pair(row, draft, questionnaire)
        pair = packs[questionnaire.sha256]
        if pair is None:
            trial.unreadable += 1
            continue
        sent_at = response.completed_at or response.started_at
        on = sent_at.astimezone(response.patient.location.zone).date()
        intake = Intake(response.patient.ref, response.patient.full_name, on)
        trial.add(intake, _shifts(response, pair, groups, on))
    return trial


def _pair(row: RulePack, draft: RulePack, questionnaire: Questionnaire) -> tuple[Pack, Pack] | None:
    try:
        return compiled(row, questionnaire), load_pack(draft.body, file_name(draft), questionnaire)
    except PackError:
        return None


def _shifts(
    response: QuestionnaireResponse, pair: tuple[Pack, Pack], groups: dict[str, str], on: date
) -> Iterator[tuple[str, Shift | None]]:
    answers: dict[str, object] = {}
    for group, modality in groups.items():
        answers = (answers or engine_answers(response, modality, on)) | {"modality": modality}
        was, now = (_screened(answers, pack, modality, on) for pack in pair)
        yield group_label(group), shift_of(was, now)


def _screened(answers: dict[str, object], pack: Pack, modality: str, on: date) -> ScreeningResult:
    return screen(answers, pack, modality, on)


# --- current patients -------------------------------------------------------------------------------------------------


def screenings_to_look_at(row: RulePack) -> ScreeningQuerySet:
    """Return the current screenings that another version made and on which something still depends.

    See `screenings_that_matter`.
    """
    return screenings_that_matter().exclude(pack=row)


def patients_to_look_at(draft: RulePack) -> int:
    """Return how many current patients will be looked at by this draft once it is in force."""
    return screenings_to_look_at(draft).values("patient_id").distinct().count()


def not_yet_applied() -> RulePack | None:
    """Return the candidacy rules in force if current patients have still to be looked at by them."""
    return RulePack.objects.filter(
        kind=PackKind.CANDIDACY, status=PackStatus.PUBLISHED, applied_at__isnull=True
    ).first()
