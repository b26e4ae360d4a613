"""How the workshop refuses."""

from __future__ import annotations

from clinic.audit.states import Refused
from clinic.packfile import PackError


class TextRefused(Refused):
    """The text cannot be put in force; `error` knows the line of it, the rule and why."""

    def __init__(self, error: PackError, text: str) -> None:
        self.error, self.text = error, text
        where = f"Line {error.line}" if error.line else error.name
        super().__init__(f"{where}{', ' + error.item if error.item else ''}: {error.sentence}", field="body")


class NotChangedHere(Refused):
    """A kind of knowledge that this floor cannot check."""

    sentence = "This kind of pack is shown here, but not changed here yet."
