"""Floors, rooms and furniture: imports go one way."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_contract_is_kept():
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_rules_of_every_room_stand_by_themselves():
    """No rule reads a clock or a row; that it imports nothing of Django is one of the contracts."""
    rules = sorted(ROOT.glob("*/*/rules.py"))
    assert rules
    for path in rules:
        text = path.read_text(encoding="utf-8")
        for word in ("timezone.now", "datetime.now", "date.today", "time.time", ".objects."):
            assert word not in text, f"{path.relative_to(ROOT)} uses {word}"
