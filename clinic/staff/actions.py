"""Making and changing members of staff."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import Group
from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.staff.models import User
from clinic.staff.states import Role


@transaction.atomic
def add_user(*, email: str, name: str, password: str | None, roles: Iterable[Role], by: Actor, at: datetime) -> User:
    """A member of staff can sign in with the email address and holds the roles."""
    user = User.objects.create_user(email, password, name=name)
    record(action="user.added", subject=user, by=by, at=at)
    return set_roles(user=user, roles=roles, by=by, at=at)


@transaction.atomic
def set_roles(*, user: User, roles: Iterable[Role], by: Actor, at: datetime) -> User:
    """The member of staff holds exactly these roles, from the next request on."""
    names = sorted(role.value for role in roles)
    user.groups.set(Group.objects.filter(name__in=names))
    record(action="user.roles_set", subject=user, by=by, at=at, roles=names)
    return User.objects.get(pk=user.pk)


@transaction.atomic
def set_single_keys(*, user: User, on: bool, by: Actor, at: datetime) -> User:
    """Single letters are shortcuts for this person, or are not, in every browser they sign in with."""
    user = User.objects.select_for_update().get(pk=user.pk)
    if user.uses_single_keys != on:
        user.uses_single_keys = on
        user.save(update_fields=["uses_single_keys"])
        record(action="user.single_keys_set", subject=user, by=by, at=at, on=on)
    return user
