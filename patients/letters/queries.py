"""The letters of the clinic: the words that came with Afterglow, those in force, and how they look on a sample."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from clinic.packfile import PackError
from clinic.packs.models import RulePack
from clinic.packs.states import PackKind, PackStatus
from clinic.premises.models import Location
from patients.letters.rules import SAMPLE, Fault, as_pack, changes_between, faults_of, pack_name, split_name
from patients.letters.states import KINDS, Kind
from patients.messaging.rendering import Unwritable, Written, write_email, write_sms
from patients.messaging.rules import MAX_SEGMENTS, segments
from patients.messaging.wording import CARE, Letter, parse_letter
from patients.registry.states import Language
from patients.workshop.difference import Change

SHIPPED_LANGUAGE = Language.ENGLISH.value
_AUTOESCAPE = re.compile(r"\A\{% autoescape off %\}|\{% endautoescape %\}\s*\Z")
_GREETING = re.compile(r"\AHello\{% if first_name %\} \{\{ first_name \}\}\{% endif %\},\s*")
_FOOTER = re.compile(r'\s*\{% include "messages/_footer\.txt" %\}\s*\Z')
_STEP = '{% include "messages/_step.txt" %}'


@dataclass
class Shelf:
    """One letter in one language: the version in force, none where it speaks as it came, and the open drafts."""

    kind: Kind
    language: Language
    in_force: RulePack | None = None
    drafts: list[RulePack] = field(default_factory=list)


@dataclass(frozen=True)
class Preview:
    """A letter on a sample: as an email and as a text message."""

    email: Written
    sms: str
    segments: int

    @property
    def is_too_long(self) -> bool:
        return self.segments > MAX_SEGMENTS


# --- the words that came with Afterglow -------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def shipped_letter(template: str) -> Letter:
    """Return the words a letter came with, as a clinic may change them: without greeting, footer and styles."""
    folder = Path(settings.BASE_DIR) / "templates" / "messages" / template
    parts = {name: _AUTOESCAPE.sub("", (folder / name).read_text(encoding="utf-8")) for name in _FILES}
    text = _FOOTER.sub("", _GREETING.sub("", parts["body.txt"])).replace(_STEP, f"{{{{ {CARE} }}}}\n\n")
    return Letter(
        name=template,
        language=SHIPPED_LANGUAGE,
        subject=parts["subject.txt"].strip(),
        text=re.sub(r"\n{3,}", "\n\n", text).strip(),
        html="",
        sms=parts["sms.txt"].strip(),
    )


_FILES = ("subject.txt", "body.txt", "sms.txt")


def shipped_packs() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of the pack of every letter that came with Afterglow."""
    for template in KINDS:
        yield pack_name(template, SHIPPED_LANGUAGE), as_pack(shipped_letter(template))


# --- what there is ----------------------------------------------------------------------------------------------------


def shelves() -> list[Shelf]:
    """Return every letter in every language that it is written in, in the order of a journey."""
    found = {(name, SHIPPED_LANGUAGE): Shelf(kind, Language.ENGLISH) for name, kind in KINDS.items()}
    rows = RulePack.objects.filter(kind=PackKind.LETTER).exclude(status=PackStatus.RETIRED)
    for row in rows.defer("body").select_related("drafted_by", "approved_by"):
        name, language = split_name(row.name)
        if name not in KINDS or language not in Language.values:
            continue
        shelf = found.setdefault((name, language), Shelf(KINDS[name], Language(language)))
        if row.status == PackStatus.DRAFT:
            shelf.drafts.append(row)
        else:
            shelf.in_force = row
    order = list(KINDS)
    return sorted(found.values(), key=lambda each: (order.index(each.kind.name), each.language != Language.ENGLISH))


def letter_of(pack: RulePack) -> Letter:
    """Return a version of a letter. Raises PackError for one that cannot be read."""
    return parse_letter(pack.body, str(pack))


def letter_called(name: str) -> str:
    """Return what people call the pack of a letter: "Reminder, Español"; its name where no letter is called so."""
    try:
        template, language = split_name(name)
        return f"{KINDS[template].title}, {Language(language).label}"
    except (PackError, KeyError, ValueError):
        return name


# --- checking and looking ---------------------------------------------------------------------------------------------


def check_letter(text: str, name: str) -> None:
    """Raise PackError, with the part, where a letter may not be put in force: see `faults_of`, on a sample as well."""
    letter = parse_letter(text, name)
    if letter.name not in KINDS or letter.language not in Language.values:
        raise PackError(name, 2, "letter", f"There is no letter “{letter.name}” in “{letter.language}”.")
    for fault in letter_faults(letter):
        line = next((n for n, each in enumerate(text.splitlines(), 1) if each.startswith(f"{fault.part} =")), 0)
        raise PackError(name, line, fault.part, fault.sentence)


def letter_faults(letter: Letter) -> Iterator[Fault]:
    """Yield everything for which a letter may not be put in force."""
    yield from faults_of(letter, shipped_letter(letter.name))
    try:
        preview = preview_of(letter, None)
    except Unwritable as error:
        yield Fault("text", str(error))
        return
    if preview.is_too_long:
        sentence = f"On the longest day it takes {preview.segments} text messages; {MAX_SEGMENTS} is the most."
        yield Fault("sms", sentence)


def preview_of(letter: Letter, location: Location | None) -> Preview:
    """Return a letter on the sample, from this place. Raises Unwritable where it cannot be written."""
    here = {
        "clinic_name": location.name if location else "The Harbour Clinic",
        "clinic_phone": location.phone if location else "+44 20 7946 0000",
        "out_of_hours": location.out_of_hours if location else "When we are closed, somebody answers this number.",
        "emergency_number": location.emergency_number if location else "999",
        "where": location.address if location else "4 Quay Street, London",
    }
    variables = dict(SAMPLE) | here
    sms = write_sms(letter.name, variables, letter).text
    return Preview(email=write_email(letter.name, variables, letter), sms=sms, segments=segments(sms))


def letter_changes(old: str, new: str) -> list[Change]:
    """Return what one text of a letter says otherwise than another. Raises PackError for one that is not readable."""
    return changes_between(parse_letter(old, "old"), parse_letter(new, "new"))
