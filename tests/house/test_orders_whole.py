"""Two rows never change places between two looks: whatever orders a model ends in something no two rows share."""

import pytest
from django.apps import apps

ORDERED = [model for model in apps.get_models() if model._meta.ordering and model.__module__.split(".")[0] != "django"]


@pytest.mark.parametrize("model", ORDERED, ids=lambda model: model.__name__)
def test_the_last_term_of_an_order_is_unique(model):
    last = model._meta.get_field(str(model._meta.ordering[-1]).lstrip("-"))

    assert last.unique
