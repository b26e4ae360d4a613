"""After each migration: groups and permissions as in ROLE_TABLE, and what the application's database role may do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models.signals import post_migrate
from django.dispatch import receiver
from psycopg import sql

from clinic.staff.models import User
from clinic.staff.states import ROLE_TABLE, Permission


@receiver(post_migrate, dispatch_uid="clinic.roles")
def sync_roles(app_config: Any, **_kwargs: Any) -> None:
    """Django's groups hold exactly what ROLE_TABLE says."""
    if app_config.name != "clinic":
        return
    kind = ContentType.objects.get_for_model(User)
    known = {
        permission: DjangoPermission.objects.update_or_create(
            content_type=kind, codename=permission.value, defaults={"name": str(permission.label)[:255]}
        )[0]
        for permission in Permission
    }
    for role, permissions in ROLE_TABLE.items():
        group, _ = Group.objects.get_or_create(name=role.value)
        group.permissions.set([known[permission] for permission in permissions])


@receiver(post_migrate, dispatch_uid="clinic.grants")
def grant_application_role(app_config: Any, **_kwargs: Any) -> None:
    """The application's database role may read and write rows, owns nothing, and may only add to the audit trail."""
    role = settings.DATABASE_APP_ROLE
    if app_config.name != "treatments" or not role:
        return
    name = sql.Identifier(role)
    with connection.cursor() as cursor:
        for statement in (
            "GRANT USAGE ON SCHEMA public TO {0}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {0}",
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {0}",
            "REVOKE UPDATE, DELETE ON clinic_auditevent FROM {0}",
            "REVOKE INSERT, UPDATE, DELETE ON clinic_auditlink, clinic_audithead FROM {0}",
            "REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {0}",
        ):
            cursor.execute(sql.SQL(statement).format(name))
