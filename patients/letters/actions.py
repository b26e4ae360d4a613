"""Beginning a letter in a language it is not written in yet; everything else is the workshop's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from clinic.audit.states import Actor
from clinic.packs.actions import draft_beside, draft_from
from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from patients.letters.queries import SHIPPED_LANGUAGE, letter_of
from patients.letters.rules import as_pack, pack_name
from patients.registry.states import Language


@transaction.atomic
def start_letter(*, template: str, language: Language, by: Actor, at: datetime) -> RulePack:
    """The author has an open draft of this letter in this language; it starts from the words in force.

    A language it was never written in starts from the English words, for its author to translate. Raises MayNotPublish
    and PackMissing.
    """
    name = pack_name(template, language)
    current = RulePack.objects.filter(kind=PackKind.LETTER, name=name, status="published").first()
    if current is not None:
        return draft_from(pack=current, by=by, at=at)
    english = published(PackKind.LETTER, pack_name(template, SHIPPED_LANGUAGE))
    body = as_pack(replace(letter_of(english), language=language.value))
    return draft_beside(pack=english, name=name, body=body, by=by, at=at)
