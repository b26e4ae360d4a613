"""Adding, drafting and publishing versions of knowledge."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.packs.models import RulePack
from clinic.packs.states import (
    DraftOutdated,
    DraftUnchanged,
    MayNotPublish,
    NoDraftAnyMore,
    NotYourDraft,
    PackKind,
    PackStatus,
    SecondPersonNeeded,
    StaleDraft,
)
from clinic.staff.models import User
from clinic.staff.states import Permission
from clinic.transitions import move


@transaction.atomic
def load_shipped(*, kind: PackKind, name: str, body: str, by: Actor, at: datetime) -> RulePack:
    """The shipped text is in force under this name, unless the clinic already published a version of its own.

    An unchanged text changes nothing; a newer shipped text becomes the next version. The caller has checked the text.
    """
    digest = hashlib.sha256(body.encode()).hexdigest()
    current = RulePack.objects.select_for_update(no_key=True).filter(kind=kind, name=name, status="published").first()
    if current and (not current.is_shipped or current.sha256 == digest):
        return current
    if current:
        move(current, PackStatus.RETIRED, by=by, at=at)
    pack = RulePack.objects.create(
        kind=kind,
        name=name,
        version=_next_version(kind, name),
        body=body,
        sha256=digest,
        status=PackStatus.PUBLISHED,
        is_shipped=True,
        created_at=at,
        published_at=at,
    )
    record(action="rulepack.shipped", subject=pack, by=by, at=at, sha256=digest)
    return pack


@transaction.atomic
def draft_from(*, pack: RulePack, by: Actor, at: datetime) -> RulePack:
    """The author has an open draft with the text of this version; an open draft of theirs is left as it is.

    It is based on the version in force, whichever text it starts from: that is what publishing it would replace.
    Raises MayNotPublish, and NoDraftAnyMore for the draft of somebody else.
    """
    author = _publisher(by)
    if pack.status == PackStatus.DRAFT and pack.drafted_by_id != author.pk:
        raise NoDraftAnyMore("Start from a published version, not from somebody else’s draft.")
    rows = _lock_open(pack)
    # Asked anew once the lock is held: a first tap may have made it while this one waited.
    mine = RulePack.objects.filter(kind=pack.kind, name=pack.name, status=PackStatus.DRAFT, drafted_by=author).first()
    if mine is not None:
        return mine
    draft = RulePack.objects.create(
        kind=pack.kind,
        name=pack.name,
        version=_next_version(pack.kind, pack.name),
        body=pack.body,
        sha256=pack.sha256,
        created_at=at,
        changed_at=at,
        drafted_by=author,
        based_on=_in_force(rows),
    )
    record(action="rulepack.drafted", subject=draft, by=by, at=at, started_from=pack, version=draft.version)
    return draft


@transaction.atomic
def draft_beside(*, pack: RulePack, name: str, body: str, by: Actor, at: datetime) -> RulePack:
    """The author has an open draft under a name of its own, beside the pack it was taken from.

    For what is not in force under that name yet; an open draft of theirs is left as it is. The caller has checked the
    text. Raises MayNotPublish.
    """
    author = _publisher(by)
    _lock_open(pack)
    mine = RulePack.objects.filter(kind=pack.kind, name=name, status=PackStatus.DRAFT, drafted_by=author).first()
    if mine is not None:
        return mine
    draft = RulePack.objects.create(
        kind=pack.kind,
        name=name,
        version=_next_version(pack.kind, name),
        body=body,
        sha256=hashlib.sha256(body.encode()).hexdigest(),
        created_at=at,
        changed_at=at,
        drafted_by=author,
    )
    record(action="rulepack.drafted", subject=draft, by=by, at=at, started_from=pack, version=draft.version)
    return draft


@transaction.atomic
def change_draft(*, pack: RulePack, body: str, shown: str, by: Actor, at: datetime) -> RulePack:
    """The author's draft has this text. `shown` is the sha256 of the text the author had before their eyes.

    The caller has checked the text. The same text again changes nothing. Raises MayNotPublish, NoDraftAnyMore,
    NotYourDraft (whoever changes a draft could no longer be its second pair of eyes) and StaleDraft.
    """
    author = _publisher(by)
    fresh = _open_draft(pack)
    if fresh.drafted_by_id != author.pk:
        raise NotYourDraft
    digest = hashlib.sha256(body.encode()).hexdigest()
    if fresh.sha256 == digest:
        return fresh
    _check_shown(fresh, shown)
    fresh.body, fresh.sha256, fresh.changed_at = body, digest, at
    fresh.save(update_fields=["body", "sha256", "changed_at"])
    record(action="rulepack.changed", subject=fresh, by=by, at=at, was=shown, sha256=digest)
    return fresh


@transaction.atomic
def carry_on_draft(*, pack: RulePack, shown: str, by: Actor, at: datetime) -> RulePack:
    """The draft keeps its text and is based on the version now in force, whose differences its author has seen.

    Raises MayNotPublish, NoDraftAnyMore, NotYourDraft, StaleDraft.
    """
    author = _publisher(by)
    rows = _lock_open(pack)
    fresh = _open_draft(pack)
    if fresh.drafted_by_id != author.pk:
        raise NotYourDraft
    _check_shown(fresh, shown)
    fresh.based_on, fresh.changed_at = _in_force(rows), at
    fresh.save(update_fields=["based_on", "changed_at"])
    record(action="rulepack.carried_on", subject=fresh, by=by, at=at, based_on=fresh.based_on)
    return fresh


@transaction.atomic
def discard_draft(*, pack: RulePack, by: Actor, at: datetime) -> None:
    """The author's draft is gone; the trail keeps its fingerprint.

    Raises MayNotPublish, NoDraftAnyMore, NotYourDraft.
    """
    author = _publisher(by)
    fresh = _open_draft(pack)
    if fresh.drafted_by_id != author.pk:
        raise NotYourDraft
    record(action="rulepack.discarded", subject=fresh, by=by, at=at, version=fresh.version, sha256=fresh.sha256)
    fresh.delete()


@transaction.atomic
def approve_and_publish(*, pack: RulePack, shown: str, by: Actor, at: datetime) -> RulePack:
    """The draft is in force, approved by a second person, and the version it replaces is retired.

    `shown` is the sha256 of the text the second person read. The caller has checked the text. A version published
    meanwhile outdates every draft made before it: its author looks at it first. Where another draft took the number,
    this one gets the next, so that versions are numbered in the order in which they were in force.

    Raises MayNotPublish, SecondPersonNeeded, NoDraftAnyMore, StaleDraft, DraftOutdated, DraftUnchanged.
    """
    approver = _publisher(by)
    rows = _lock_open(pack)
    fresh = _open_draft(pack)
    if fresh.drafted_by_id == approver.pk:
        raise SecondPersonNeeded
    _check_shown(fresh, shown)
    current = _in_force(rows)
    if current is not None:
        if fresh.based_on_id != current.pk:
            raise DraftOutdated(current.version)
        if fresh.sha256 == current.sha256:
            raise DraftUnchanged
        move(current, PackStatus.RETIRED, by=by, at=at)
        if fresh.version < current.version:
            fresh.version = _next_version(fresh.kind, fresh.name)
            fresh.save(update_fields=["version"])
    return move(fresh, PackStatus.PUBLISHED, by=by, at=at, approved_by=approver, published_at=at)


def _publisher(by: Actor) -> User:
    user = User.objects.filter(pk=by.user_id or 0, is_active=True).first()
    if user is None or not user.may(Permission.PUBLISH_PACKS):
        raise MayNotPublish
    return user


def _lock_open(pack: RulePack) -> list[RulePack]:
    """Lock everything open under this name, always in the same order, so that two approvers wait and never deadlock."""
    live = RulePack.objects.filter(kind=pack.kind, name=pack.name).exclude(status=PackStatus.RETIRED)
    return list(live.select_for_update(no_key=True).order_by("pk"))


def _open_draft(pack: RulePack) -> RulePack:
    found = RulePack.objects.select_for_update(no_key=True).filter(pk=pack.pk, status=PackStatus.DRAFT).first()
    if found is None:
        raise NoDraftAnyMore
    return found


def _in_force(rows: list[RulePack]) -> RulePack | None:
    return next((row for row in rows if row.status == PackStatus.PUBLISHED), None)


def _check_shown(draft: RulePack, shown: str) -> None:
    if draft.sha256 != shown:
        raise StaleDraft(draft.drafted_by.display_name if draft.drafted_by else "", draft.changed_at)


def _next_version(kind: str, name: str) -> int:
    return (RulePack.objects.filter(kind=kind, name=name).aggregate(Max("version"))["version__max"] or 0) + 1
