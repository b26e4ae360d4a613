"""Who may, who is on call."""

from __future__ import annotations

from datetime import datetime

from clinic.staff.models import OnCall, User
from clinic.staff.states import Permission, Role


def staff_with_role(role: Role) -> list[User]:
    """Return active staff who hold the role, by name."""
    return list(User.objects.filter(is_active=True, groups__name=role.value).order_by("name", "id"))


def staff_who_may(permission: Permission) -> list[User]:
    """Return active staff of any role that holds the permission, by name."""
    return list(
        User.objects.filter(is_active=True, groups__permissions__codename=permission.value)
        .distinct()
        .order_by("name", "id")
    )


def on_call_ladder(at: datetime) -> list[User]:
    """Return who answers a red flag at this instant, first to last.

    The rota comes first, then every lead clinician: a gap in the rota must never leave an alarm with nobody.
    """
    rota = OnCall.objects.filter(starts_at__lte=at, ends_at__gt=at, user__is_active=True).select_related("user")
    ladder = [shift.user for shift in rota.order_by("order", "starts_at", "id")]
    ladder += [lead for lead in staff_with_role(Role.LEAD_CLINICIAN) if lead not in ladder]
    return ladder
