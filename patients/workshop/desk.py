"""What the pages of a draft share, the workshop's own and those of rooms above: whose it is, its head, saving it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone

from clinic.audit.states import Refused
from clinic.clock import day_and_clock
from clinic.packfile import PackError
from clinic.packs.models import RulePack
from clinic.packs.states import DraftOutdated, NoDraftAnyMore, PackKind, PackStatus, StaleDraft
from clinic.staff.http import StaffRequest
from patients.workshop import actions
from patients.workshop.crafts import called, craft_of
from patients.workshop.forms import DraftForm
from patients.workshop.queries import editable_kinds
from patients.workshop.states import TextRefused

# The pages of a version that change nothing of its words; any other is its author's desk.
READING = frozenset({"rules_read", "rules_changes", "rules_try", "rules_publish"})


def find(ref: uuid.UUID) -> RulePack:
    """Return a version with its people, or answer that there is none."""
    rows = RulePack.objects.select_related("drafted_by", "approved_by", "based_on")
    return get_object_or_404(rows, ref=ref)


def own_draft(request: StaffRequest, ref: uuid.UUID) -> RulePack:
    """Return the person's own draft. Only the author opens a draft to change it: for everybody else there is none.

    What is sent for a draft that was put in force meanwhile is refused by the act, so that the page can say so and
    keep what was typed.
    """
    rows = RulePack.objects.select_related("drafted_by", "approved_by", "based_on")
    if request.method != "POST":
        rows = rows.filter(status=PackStatus.DRAFT)
    return get_object_or_404(rows, ref=ref, drafted_by=request.user, kind__in=editable_kinds())


def around(request: StaffRequest, pack: RulePack) -> dict[str, Any]:
    """Return what the head and the tabs of every page of a version show."""
    is_draft = pack.status == PackStatus.DRAFT
    here = (request.resolver_match.url_name if request.resolver_match else "") or ""
    return {
        "pack": pack,
        "is_mine": is_draft and pack.drafted_by_id == request.user.pk,
        "editable": pack.kind in editable_kinds(),
        "is_rules": pack.kind == PackKind.CANDIDACY,
        "craft": craft_of(pack.kind),
        "called": called(pack.kind, pack.name),
        "here": here,
        "is_editing": here not in READING,
    }


def save(request: StaffRequest, draft: RulePack, body: str, shown: str) -> None:
    """The draft has this text. Raises what `save_draft` raises."""
    actions.save_draft(pack=draft, body=body, shown=shown, by=request.actor, at=timezone.now())


def refuse(
    form: DraftForm,
    refused: Refused,
    draft: RulePack,
    field_of: Callable[[PackError, str], str | None] | None = None,
) -> int:
    """Put the sentence at the field it belongs to; after a stale draft the same form can be sent once more.

    Returns the answer's status: 409 where somebody else's act is in the way, 422 where it is what was typed.
    """
    field = refused.field
    sentence = conflict(refused, draft) or refused.for_people
    if isinstance(refused, TextRefused) and field_of is not None:
        field = field_of(refused.error, refused.text)
        sentence = refused.error.sentence if field else sentence
    form.add_error(field if field in form.fields else None, sentence)
    if isinstance(refused, StaleDraft):
        form.show_again(draft.sha256)
    return 409 if conflict(refused, draft) else 422


def conflict(refused: Refused, draft: RulePack) -> str:
    """Return who was quicker and when, on the clock of the page; "" where nobody was."""
    zone = timezone.get_current_timezone()
    if isinstance(refused, StaleDraft):
        return refused.on_the_clock(zone)
    if isinstance(refused, DraftOutdated):
        return refused.for_people
    if isinstance(refused, NoDraftAnyMore):
        row = RulePack.objects.select_related("approved_by").filter(pk=draft.pk).first()
        if row is None or row.published_at is None:
            return refused.for_people
        when = day_and_clock(row.published_at, zone)
        return f"{row.approved_by} put this draft in force on {when}. A version in force is never changed."
    return ""
