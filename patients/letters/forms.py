"""The words of a letter in a form. Every fault is said at the part it is in; nothing typed is lost."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.letters.queries import letter_faults
from patients.letters.rules import PART_LABELS
from patients.messaging.wording import PARTS, Letter, faults, html_faults
from patients.workshop.forms import DraftForm, one_line

_HELP = {
    "subject": _("One line. It says nothing of treatments: others may see it on a locked screen."),
    "text": _("Greeting and footer, with the number for an emergency, are added. An empty line starts a paragraph."),
    "html": _("Leave it empty and it is made from the letter. Else: p, h2, ul, ol, li, strong, em, br, and a button."),
    "sms": _("One line, at most two text messages long, and never a name and a link together."),
}
_ROWS = {"text": 14, "html": 6, "sms": 3}
_LENGTH = {"subject": 200, "text": 8000, "html": 12000, "sms": 500}


class LetterForm(DraftForm):
    """Subject, letter, HTML and text message of one letter."""

    def __init__(self, *args: Any, letter: Letter, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.letter = letter
        for part in PARTS:
            widget = forms.Textarea(attrs={"rows": _ROWS[part]}) if part in _ROWS else forms.TextInput()
            self.fields[part] = forms.CharField(
                label=PART_LABELS[part],
                help_text=_HELP[part],
                initial=getattr(letter, part),
                required=part != "html",
                max_length=_LENGTH[part],
                widget=widget,
                error_messages={"required": _("Please write something here.")},
            )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for part in PARTS:
            for sentence in faults(given.get(part, "")):
                self.add_error(part, sentence)
        for sentence in html_faults(given.get("html", "")):
            self.add_error("html", sentence)
        if not self.errors:
            for fault in letter_faults(self.written()):
                self.add_error(fault.part, fault.sentence)
        return given

    def written(self) -> Letter:
        """Return the letter as it was typed; subject and text message on one line."""
        given = self.cleaned_data
        return Letter(
            name=self.letter.name,
            language=self.letter.language,
            subject=one_line(given.get("subject", "")),
            text=given.get("text", "").replace("\r\n", "\n").strip(),
            html=given.get("html", "").replace("\r\n", "\n").strip(),
            sms=one_line(given.get("sms", "")),
        )
