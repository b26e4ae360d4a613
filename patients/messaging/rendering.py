"""From a message to what leaves: subject, text, HTML and SMS, out of fixed variables only.

A template sees texts and lists of texts, never a row: nothing that a patient typed can reach data, and nothing they
typed is ever compiled. HTML escapes, plain text does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.template import Context, Engine, TemplateDoesNotExist, TemplateSyntaxError

from patients.messaging.enclosures import CalendarFile
from patients.messaging.rules import VARIABLES, Value, fold

_MISSING = "\x00missing "
# What stands in the log where the patient's own link stood: links are ways in, and only their hash is kept.
LINK_MARK = "[personal link]"


class Unwritable(Exception):
    """The message cannot be written: its template is missing, broken, or lacks something it must say."""


@dataclass(frozen=True)
class Written:
    """What a message says. `html` and `subject` are empty for SMS."""

    subject: str
    text: str
    html: str = ""

    def without(self, link: str) -> dict[str, str]:
        """Return it as the log keeps it: word for word, but for the personal link."""
        parts = {"subject": self.subject, "text": self.text, "html": self.html}
        return {key: part.replace(link, LINK_MARK) if link else part for key, part in parts.items() if part}


@lru_cache(maxsize=4)
def _engine(folder: Path) -> Engine:
    return Engine(dirs=[str(folder)], string_if_invalid=_MISSING + "%s\x00")


def write_email(template: str, variables: Mapping[str, Value]) -> Written:
    """Return the letter of a template. Raises Unwritable, also when a variable that it prints was not given."""
    return Written(
        subject=fold(_render(template, "subject.txt", variables)),
        text=_tidy(_render(template, "body.txt", variables)),
        html=_render(template, "body.html", variables),
    )


def write_sms(template: str, variables: Mapping[str, Value]) -> Written:
    """Return the text message of a template. Raises Unwritable as write_email does."""
    return Written(subject="", text=fold(_render(template, "sms.txt", variables)))


def _render(template: str, part: str, variables: Mapping[str, Value]) -> str:
    unknown = sorted(set(variables) - VARIABLES)
    if unknown:
        raise Unwritable(f"No template knows {', '.join(unknown)}.")
    values = {key: _clean(value) for key, value in variables.items()}
    try:
        page = (
            _engine(settings.BASE_DIR / "templates").get_template(f"messages/{template}/{part}").render(Context(values))
        )
    except (TemplateDoesNotExist, TemplateSyntaxError) as error:
        raise Unwritable(f"The template {template}/{part} cannot be used: {error}.") from error
    if _MISSING in page:
        name = page.partition(_MISSING)[2].partition("\x00")[0]
        raise Unwritable(f"{template}/{part} must say “{name}”, and it is not known.")
    return page


def _clean(value: Value) -> Value:
    """Return a value without control signs; line breaks stay only between the items of a list."""
    return fold(value) if isinstance(value, str) else tuple(fold(each) for each in value)


def _tidy(text: str) -> str:
    """Return a plain text with at most one empty line in a row."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=4)
def _sender(configured: str) -> tuple[Address, str]:
    name, address = parseaddr(configured)
    return Address(fold(name), addr_spec=address), address


def envelope_sender() -> str:
    """Return the bare address that letters come from."""
    return _sender(settings.DEFAULT_FROM_EMAIL)[1]


def as_letter(written: Written, *, to: str, ref: object, at: datetime, calendar: CalendarFile | None = None) -> bytes:
    """Return the letter as SMTP carries it. The same message always has the same Message-ID, sent once or twice.

    Whether `to` is an address is for the transport to say: a refused one gives way to another channel.
    """
    sender, address = _sender(settings.DEFAULT_FROM_EMAIL)
    letter = EmailMessage(policy=SMTP if to.isascii() else SMTPUTF8)
    user, _, domain = fold(to).rpartition("@")
    letter["To"] = Address(username=user, domain=domain)
    letter["From"] = sender
    letter["Subject"] = written.subject
    letter["Date"] = format_datetime(at)
    letter["Message-ID"] = f"<{ref}@{address.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(written.text, cte="quoted-printable")
    if written.html:
        letter.add_alternative(written.html, subtype="html", cte="quoted-printable")
    if calendar:
        letter.add_attachment(
            calendar.text, subtype="calendar", filename="visit.ics", params={"method": calendar.method}, cte="base64"
        )
    return letter.as_bytes()
