"""What is due stands in a table. A task with a far ETA would be lost with the broker."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("clinic", "patients", "treatments")
FORBIDDEN = {"eta", "countdown"}


def calls_with_eta(source: str) -> list[int]:
    """Return the lines where something is put off with eta= or countdown=."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and FORBIDDEN & {word.arg for word in node.keywords}
    ]


def test_nothing_is_put_off_in_the_broker():
    found = {
        str(path.relative_to(ROOT)): lines
        for floor in FLOORS
        for path in (ROOT / floor).rglob("*.py")
        if (lines := calls_with_eta(path.read_text(encoding="utf-8")))
    }

    assert found == {}


def test_the_search_finds_one():
    assert calls_with_eta("send.apply_async(args=[1],\n  countdown=3600)") == [1]
