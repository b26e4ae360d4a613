"""Django's own checks find nothing, at whatever time of the day they are asked."""

from datetime import UTC, datetime

import pytest
from django.core import checks
from django.utils import timezone


@pytest.mark.parametrize("clock", ["00:00", "09:00", "12:00", "23:59"])
def test_a_check_says_the_same_at_any_time(monkeypatch, clock):
    monkeypatch.setattr(timezone, "now", lambda: datetime.fromisoformat(f"2026-11-22T{clock}:04").replace(tzinfo=UTC))

    assert [found for found in checks.run_checks(tags=["models"]) if not found.is_silenced()] == []
