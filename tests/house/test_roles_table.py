"""The roles: the table is complete, Django's groups hold it, the docs show it."""

import io

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from clinic.management.commands.draw_roles import PATH, drawn
from clinic.staff.states import ROLE_TABLE, SECOND_FACTOR_ROLES, Permission, Role


def test_every_role_has_a_line_and_every_permission_somebody():
    assert set(ROLE_TABLE) == set(Role)
    assert frozenset().union(*ROLE_TABLE.values()) == set(Permission)


def test_who_reads_health_answers_or_makes_accounts_needs_a_second_factor():
    behind = {Permission.SEE_CHART, Permission.ANSWER_ALARMS, Permission.MANAGE_STAFF, Permission.PUBLISH_PACKS}

    assert {role for role, held in ROLE_TABLE.items() if held & behind} == SECOND_FACTOR_ROLES


def test_the_desk_and_the_manager_read_no_health_answers():
    medical = {Permission.SEE_CHART, Permission.DECIDE, Permission.TREAT, Permission.ANSWER_ALARMS}

    assert not ROLE_TABLE[Role.FRONT_DESK] & medical
    assert not ROLE_TABLE[Role.MANAGER] & medical


@pytest.mark.django_db
def test_the_groups_hold_what_the_table_says():
    held = {
        group.name: set(group.permissions.values_list("codename", flat=True))
        for group in Group.objects.prefetch_related("permissions")
    }

    assert held == {role.value: {p.value for p in permissions} for role, permissions in ROLE_TABLE.items()}


def test_the_drawing_in_the_docs_is_up_to_date():
    assert PATH.read_text(encoding="utf-8") == drawn(), "Run: python manage.py draw_roles"


def test_the_command_checks_without_writing(tmp_path):
    said = io.StringIO()

    call_command("draw_roles", "--check", stdout=said)

    assert "up to date" in said.getvalue()
