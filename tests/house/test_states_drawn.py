"""The diagrams in the docs are those of the tables."""

from django.apps import apps

from treatments.management.commands.draw_states import PATH, diagram, drawn


def test_the_drawing_in_the_docs_is_up_to_date():
    assert PATH.read_text(encoding="utf-8") == drawn(), "Run: python manage.py draw_states"


def test_a_diagram_has_every_status_once_and_an_arrow_for_every_transition():
    task = apps.get_model("clinic", "Task")

    lines = diagram(task).splitlines()

    assert sum(" as " in line for line in lines) == len(task.TRANSITIONS)
    assert sum("-->" in line for line in lines) == 1 + sum(len(goals) for goals in task.TRANSITIONS.values())
    assert '    state "To do" as requested' in lines
    assert "    completed --> requested" in lines
