"""From a message to its words: subject, text, HTML and SMS, out of fixed variables only.

A template sees texts and lists of texts, never a row: nothing that a patient typed can reach data, and nothing they
typed is ever compiled. HTML escapes, plain text does not.

Django's engine renders a template once for each shape of its variables (which are given, how long the lists are),
with a mark where each stands; a message fills the marks. Rendering anew for each cost a third of a millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

from django.conf import settings
from django.template import Context, Engine, Template, TemplateDoesNotExist, TemplateSyntaxError

from patients.messaging.rules import VARIABLES, Value, fold
from patients.messaging.wording import WHEN, Letter, day_in, frame

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


def write_email(template: str, variables: Mapping[str, Value], letter: Letter | None = None) -> Written:
    """Return the letter of a template, in the clinic's own words where it has some.

    Raises Unwritable, also when a variable that it prints was not given.
    """
    return Written(*_render(template, ("subject.txt", "body.txt", "body.html"), variables, letter))


def write_sms(template: str, variables: Mapping[str, Value], letter: Letter | None = None) -> Written:
    """Return the text message of a template. Raises Unwritable as write_email does."""
    return Written("", *_render(template, ("sms.txt",), variables, letter))


def _render(
    template: str, parts: tuple[str, ...], variables: Mapping[str, Value], letter: Letter | None = None
) -> list[str]:
    values = {key: _clean(variables[key]) for key in sorted(variables)}
    if letter is not None and letter.language != "en":
        values |= {key: day_in(letter.language, str(values[key])) for key in WHEN & values.keys()}
    shape = tuple([(key, _shape(value)) for key, value in values.items()])
    said = _said(values)
    return [frame % said for frame in _frames(settings.BASE_DIR, template, parts, shape, letter)]


Shape = bool | tuple[bool, ...]


def _shape(value: Value) -> Shape:
    """Return all that a template's conditions and loops can see of a value."""
    return bool(value) if isinstance(value, str) else tuple(bool(each) for each in value)


def _said(values: Mapping[str, Value]) -> dict[str, str]:
    """Return what fills a frame: each value and each item of a list, as it is, and escaped with an ampersand before."""
    said: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, str):
            said[key], said["&" + key] = value, escape(value)
        else:
            for number, item in enumerate(value):
                said[f"{key}.{number}"], said[f"&{key}.{number}"] = item, escape(item)
    return said


# Two signs of no language stand around a mark. The ampersand tells whether the mark was escaped; small letters and
# a capital among them, that no filter changed it.
_MARK = re.compile("\ue000(&amp;|&)aV([a-z_]+(?:\\.[0-9]+)?)\ue001")
_TIDIED: dict[str, Callable[[str], str]]


@lru_cache(maxsize=512)
def _frames(
    root: Path, template: str, parts: tuple[str, ...], shape: tuple[tuple[str, Shape], ...], letter: Letter | None
) -> tuple[str, ...]:
    """Return the rendered parts with `%(key)s` in place of each value, as `%` fills them."""
    unknown = [key for key, _ in shape if key not in VARIABLES]
    if unknown:
        raise Unwritable(f"No template knows {', '.join(unknown)}.")
    marks = {key: _marks(key, each) for key, each in shape} | frame(letter.language if letter else "")
    return tuple(_frame(root / "templates", template, part, marks, letter) for part in parts)


def _frame(folder: Path, template: str, part: str, marks: Mapping[str, object], letter: Letter | None) -> str:
    try:
        page = _template_of(folder, template, part, letter).render(Context(marks))
    except (TemplateDoesNotExist, TemplateSyntaxError) as error:
        raise Unwritable(f"The template {template}/{part} cannot be used: {error}.") from error
    if _MISSING in page:
        name = page.partition(_MISSING)[2].partition("\x00")[0]
        raise Unwritable(f"{template}/{part} must say “{name}”, and it is not known.")
    found = _MARK.sub(_as_filler, _TIDIED[part](page).replace("%", "%%"))
    if "\ue000" in found or "\ue001" in found:
        raise Unwritable(
            f"{template}/{part} changes a variable before it prints it: templates may print them only as they are."
        )
    return found


def _as_filler(mark: re.Match[str]) -> str:
    return f"%({'&' if mark[1] == '&amp;' else ''}{mark[2]})s"


def _template_of(folder: Path, template: str, part: str, letter: Letter | None) -> Template:
    """Return the compiled words: the clinic's own where it has some, else those that came with Afterglow."""
    engine = _engine(folder)
    return engine.from_string(letter.source(part)) if letter else engine.get_template(f"messages/{template}/{part}")


def _marks(key: str, shape: Shape) -> str | tuple[str, ...]:
    if isinstance(shape, bool):
        return f"\ue000&aV{key}\ue001" if shape else ""
    return tuple(f"\ue000&aV{key}.{number}\ue001" if full else "" for number, full in enumerate(shape))


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


_TIDIED = {"subject.txt": fold, "body.txt": _tidy, "body.html": str, "sms.txt": fold}
