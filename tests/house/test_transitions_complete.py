"""Every status has a line in its table of transitions, and no table leads outside."""

import importlib
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parents[2]
# Where a row may begin besides its default, and no arrow leads.
BEGINS_ALSO = {"Appointment": {"proposed"}, "CandidacyDecision": {"awaiting"}}
MOVING = [model for model in apps.get_models() if hasattr(model, "TRANSITIONS")]


@pytest.mark.parametrize("model", MOVING, ids=lambda model: model.__name__)
def test_the_table_covers_every_status_and_nothing_else(model):
    statuses = {str(value) for value, _ in model._meta.get_field("status").flatchoices}

    assert {str(status) for status in model.TRANSITIONS} == statuses
    assert {str(to) for goals in model.TRANSITIONS.values() for to in goals} <= statuses


@pytest.mark.parametrize("model", MOVING, ids=lambda model: model.__name__)
def test_every_status_can_be_reached_from_the_first(model):
    reached = set()
    ahead = [str(model._meta.get_field("status").get_default())]
    while ahead:
        status = ahead.pop()
        if status not in reached:
            reached.add(status)
            ahead += [str(to) for to in model.TRANSITIONS[status]]

    assert {str(status) for status in model.TRANSITIONS} - reached == BEGINS_ALSO.get(model.__name__, set())


def test_every_model_with_a_status_has_a_table():
    assert [
        model.__name__
        for model in apps.get_models()
        if any(field.name == "status" for field in model._meta.fields) and model not in MOVING
    ] == []


def test_every_table_belongs_to_a_model():
    used = {id(model.TRANSITIONS) for model in MOVING}
    for path in sorted(ROOT.glob("*/*/states.py")):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        tables = {name: value for name, value in vars(module).items() if name.endswith("TRANSITIONS")}
        assert {name for name, value in tables.items() if id(value) not in used} == set(), module.__name__
