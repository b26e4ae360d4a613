"""Which kinds of knowledge are changed in the workshop, and how each is checked, compared and edited.

The workshop knows candidacy rules and questionnaires by itself. A room above it, whose kind of pack it cannot read,
teaches it when the program starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clinic.packs.states import PackKind
from patients.workshop.difference import Change


@dataclass(frozen=True)
class Craft:
    """How one kind of pack is handled.

    `check(text, name)` raises PackError where the text could not be put in force. `changes(old, new)` compares two
    texts in words and raises PackError for one it cannot read. `editor` names the page that edits a draft in a form,
    given its ref. `after` says in a sentence what publishing means for people. `called(name)` is what people call the
    pack of that name.
    """

    check: Callable[[str, str], None]
    changes: Callable[[str, str], list[Change]]
    editor: str
    after: str
    called: Callable[[str], str] = str


_taught: dict[str, Craft] = {}


def teach(kind: PackKind, craft: Craft) -> None:
    """Packs of this kind are drafted, compared and published in the workshop from now on."""
    _taught[kind.value] = craft


def craft_of(kind: str) -> Craft | None:
    """Return how a taught kind is handled; None for the workshop's own kinds and for those nobody taught it."""
    return _taught.get(kind)


def called(kind: str, name: str) -> str:
    """Return what people call the pack of a kind by that name; nothing where the kind says it all."""
    craft = craft_of(kind)
    return craft.called(name) if craft else ""


def taught() -> frozenset[str]:
    """Return the kinds that rooms above have taught the workshop."""
    return frozenset(_taught)
