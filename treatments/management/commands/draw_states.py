"""`manage.py draw_states`: every table of transitions as a diagram in the docs."""

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import models

PATH = settings.BASE_DIR / "docs" / "states.md"
FLOORS = ("clinic", "patients", "treatments")
HEAD = """# States

Drawn from the tables of transitions in each room's `states.py` by `manage.py draw_states`; a test holds both together.
`clinic.transitions.move()` refuses what no arrow shows, whoever asks.
"""


def drawn() -> str:
    """Return the page: floor by floor, a diagram for each kind of row that has a status."""
    parts = [HEAD]
    for floor in FLOORS:
        moving = [model for model in apps.get_app_config(floor).get_models() if hasattr(model, "TRANSITIONS")]
        if moving:
            parts.append(f"\n## {floor}\n")
            parts += [diagram(model) for model in moving]
    return "".join(parts)


def diagram(model: type[models.Model]) -> str:
    """Return the heading and the Mermaid diagram of one kind of row."""
    field = model._meta.get_field("status")
    assert isinstance(field, models.Field)
    labels = {str(value): str(label) for value, label in field.flatchoices}
    transitions: dict[str, Iterable[str]] = model.TRANSITIONS  # type: ignore[attr-defined]
    lines = [f'    state "{label}" as {_id(value)}' for value, label in labels.items()]
    led_to = {str(goal) for goals in transitions.values() for goal in goals}
    begins = {str(field.get_default())} | (set(labels) - led_to)
    lines += [f"    [*] --> {_id(status)}" for status in labels if status in begins]
    for status in labels:
        goals = {str(goal) for goal in transitions[status]}
        lines += [f"    {_id(status)} --> {_id(goal)}" for goal in labels if goal in goals]
    room = model.__module__.split(".")[1]
    heading = f"\n### {str(model._meta.verbose_name).capitalize()} ({room})\n\n"
    return heading + "```mermaid\nstateDiagram-v2\n" + "\n".join(lines) + "\n```\n"


def _id(status: str) -> str:
    return status.replace("-", "_")


class Command(BaseCommand):
    help = "Draw the tables of transitions into docs/states.md; --check only says whether it is up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is old")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        if check:
            if not PATH.exists() or PATH.read_text(encoding="utf-8") != drawn():
                raise CommandError(f"{PATH} is old. Run: python manage.py draw_states")
            self.stdout.write(f"{PATH} is up to date.")
            return
        PATH.parent.mkdir(exist_ok=True)
        PATH.write_text(drawn(), encoding="utf-8")
        self.stdout.write(f"Drew {PATH}.")
