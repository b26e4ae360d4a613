"""`manage.py draw_roles`: the table of roles as a page of the docs."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from clinic.staff.states import ROLE_TABLE, SECOND_FACTOR_ROLES, Permission, Role

PATH = settings.BASE_DIR / "docs" / "roles.md"
HEAD = """# Who may do what

Drawn from `clinic/staff/states.py` by `manage.py draw_roles`; a test holds both together. A person may hold more than
one role. What nobody marked is closed to everyone: each page names the one permission that opens it.

"""


def drawn() -> str:
    """Return the page: a line per permission, a column per role."""
    lines = [
        "| | " + " | ".join(role.label for role in Role) + " |",
        "|---|" + "---|" * len(Role),
        *(
            f"| {permission.label} | " + " | ".join(_mark(permission in ROLE_TABLE[role]) for role in Role) + " |"
            for permission in Permission
        ),
        "| Needs a second factor to sign in | "
        + " | ".join(_mark(role in SECOND_FACTOR_ROLES) for role in Role)
        + " |",
    ]
    return HEAD + "\n".join(lines) + "\n"


def _mark(held: bool) -> str:
    return "yes" if held else ""


class Command(BaseCommand):
    help = "Draw the table of roles into docs/roles.md; --check only says whether it is up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is old")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        if check:
            if not PATH.exists() or PATH.read_text(encoding="utf-8") != drawn():
                raise CommandError(f"{PATH} is old. Run: python manage.py draw_roles")
            self.stdout.write(f"{PATH} is up to date.")
            return
        PATH.parent.mkdir(exist_ok=True)
        PATH.write_text(drawn(), encoding="utf-8")
        self.stdout.write(f"Drew {PATH}.")
