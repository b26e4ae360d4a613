"""Reading published knowledge."""

from __future__ import annotations

from clinic.audit.states import Refused
from clinic.packs.models import RulePack
from clinic.packs.states import PackKind


class PackMissing(Refused):
    """No version of this knowledge is published."""

    sentence = "The clinic's rules have not been loaded yet. Run “manage.py load_knowledge”."


def published(kind: PackKind, name: str) -> RulePack:
    """Return the version in force. Raises PackMissing if there is none."""
    pack = RulePack.objects.filter(kind=kind, name=name, status="published").first()
    if pack is None:
        raise PackMissing
    return pack
