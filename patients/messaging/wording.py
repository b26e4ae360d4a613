"""The words of a letter as a clinic may write them: fixed variables, one kind of condition, nothing that can act. Pure.

Greeting and footer, with the number for an emergency, are ours and always there; what stands between them is the
clinic's. Its words become a template only after every sign that could do more than name a variable was refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser

from clinic.packfile import Item, Pack
from patients.messaging.rules import VARIABLES

PARTS = ("subject", "text", "html", "sms")
# Where a message of a care protocol says its title, what is normal, what to do and when to get in touch.
CARE = "care"
# Lists: they are written out by CARE alone.
_LISTS = frozenset({"do_now", "contact_if"})
NAMED = VARIABLES - _LISTS

_SIGN = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|\{\{|\{%|\{#|\}\}|%\}|#\}", re.DOTALL)
_NAMES = re.compile(r"\{\{ ?(\w+) ?\}\}")
_IF = re.compile(r"\{% ?if (\w+) ?%\}")
_ENDIF = re.compile(r"\{% ?endif ?%\}")
_AROUND = re.compile(r"\{% ?(?:if \w+|endif) ?%\}")

# What a letter may be made of, and how it looks where a mail program knows no style sheet.
_BUTTON = (
    "display:inline-block;padding:12px 22px;background:#2f5d50;color:#ffffff;text-decoration:none;border-radius:8px"
)
STYLES = {
    "p": "margin:0 0 16px",
    "h2": "margin:0 0 8px;font-size:18px",
    "ul": "margin:0 0 16px;padding:0 0 0 1.2em",
    "ol": "margin:0 0 16px;padding:0 0 0 1.2em",
    "li": "margin:0 0 8px",
    "a": _BUTTON,
    "strong": "",
    "em": "",
    "br": "",
}
_LINK = "{{ link }}"
# What stands around every letter, by language; a clinic does not change it, and it is where the eye looks first.
_FRAMES = {
    "en": {"lang": "en", "hello": "Hello", "emergency_words": "In an emergency call"},
    "es": {"lang": "es", "hello": "Hola", "emergency_words": "En una emergencia, llame al"},
}


# Days and months as our own sentences write them in English, and in the other languages of letters.
_ENGLISH = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday|" + (
    "January February March April May June July August September October November December"
)
_NAMES_OF_DAYS = {
    "es": "lunes martes miércoles jueves viernes sábado domingo|"
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
}
_DAYS, _MONTHS = (part.replace(" ", "|") for part in _ENGLISH.split("|"))
_DAY = re.compile(rf"\b(?:({_DAYS}) )?(\d{{1,2}}) ({_MONTHS})(?: (\d{{4}}))?\b")
# The variables that name a day.
WHEN = frozenset({"when_local", "old_when", "new_when"})


def day_in(language: str, words: str) -> str:
    """Return a day that was written in English in the words of a language; as it is in one we do not speak."""
    names = _NAMES_OF_DAYS.get(language)
    if names is None:
        return words
    own = dict(zip(re.split(r"[ |]", _ENGLISH), re.split(r"[ |]", names), strict=True))

    def said(found: re.Match[str]) -> str:
        weekday, day, month, year = found.groups()
        return f"{own[weekday] + ' ' if weekday else ''}{day} de {own[month]}{f' de {year}' if year else ''}"

    return _DAY.sub(said, words)


def frame(language: str) -> dict[str, str]:
    """Return greeting and emergency words in a language, in English for one we do not speak."""
    return _FRAMES.get(language, _FRAMES["en"])


@dataclass(frozen=True)
class Letter:
    """One letter in one language. `html` is empty where the letter is made from its text."""

    name: str
    language: str
    subject: str
    text: str
    html: str
    sms: str

    def source(self, part: str) -> str:
        """Return a part as the template it becomes: greeting and footer around it, styles on its elements."""
        match part:
            case "subject.txt":
                return f"{{% autoescape off %}}{self.subject}{{% endautoescape %}}"
            case "sms.txt":
                return f"{{% autoescape off %}}{self.sms}{{% endautoescape %}}"
            case "body.txt":
                text = _with_care(self.text, "messages/_step.txt")
                return (
                    "{% autoescape off %}{{ hello }}{% if first_name %} {{ first_name }}{% endif %},\n\n"
                    f'{text}\n\n{{% include "messages/_footer.txt" %}}{{% endautoescape %}}'
                )
        html = _with_care(dressed(self.html or html_of(self.text)), "messages/_step.html")
        return f'{{% extends "messages/_base.html" %}}{{% block content %}}{html}{{% endblock %}}'


def parse_letter(text: str, name: str) -> Letter:
    """Return the checked letter. Raises PackError, with the part, for anything but fixed variables and conditions."""
    pack = Pack(text, name)
    pack.only("letter")
    item = pack.one("letter")
    item.only("name", "language", *PARTS)
    letter = Letter(
        name=item.text("name"),
        language=item.text("language"),
        subject=item.text("subject"),
        text=item.text("text"),
        html=item.text("html", ""),
        sms=item.text("sms"),
    )
    for part in PARTS:
        for fault in faults(getattr(letter, part)):
            item.refuse(fault, part)
    _check_parts(item, letter)
    return letter


def _check_parts(item: Item, letter: Letter) -> None:
    for part in ("subject", "sms"):
        if "\n" in getattr(letter, part):
            item.refuse("This is one line: please take the line break out.", part)
        if CARE in named(getattr(letter, part)):
            item.refuse(f"{{{{ {CARE} }}}} is for the letter: it is too long for this.", part)
    for fault in html_faults(letter.html):
        item.refuse(fault, "html")


def faults(words: str) -> Iterator[str]:
    """Yield why words cannot become a template: an unknown variable, an open condition, any other sign of power."""
    open_conditions = 0
    for sign in _SIGN.findall(words):
        variable, condition = _NAMES.fullmatch(sign), _IF.fullmatch(sign)
        if found := variable or condition:
            if found[1] not in NAMED | {CARE} or (condition and found[1] == CARE):
                yield f"“{found[1]}” is not a variable of letters. Known: {', '.join(sorted(NAMED | {CARE}))}."
            open_conditions += bool(condition)
        elif _ENDIF.fullmatch(sign):
            open_conditions -= 1
            if open_conditions < 0:
                yield "There is an “endif” without its “if”."
                open_conditions = 0
        else:
            yield f"“{sign}” is not known here: only {{{{ variable }}}} and {{% if variable %}} … {{% endif %}} are."
    if open_conditions:
        yield "An “if” has no “endif”."


def named(words: str) -> frozenset[str]:
    """Return the variables that words print."""
    return frozenset(_NAMES.findall(words))


# --- HTML -------------------------------------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """Reads what a clinic wrote, notes what it may not write, and writes it anew with our styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.faults: list[str] = []
        self.written: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in STYLES:
            self.faults.append(f"<{tag}> is not known here. Known: {', '.join(sorted(STYLES))}.")
            return
        allowed = [("href", _LINK)] if tag == "a" else []
        if attrs != allowed:
            wanted = f'<a href="{_LINK}">' if tag == "a" else f"<{tag}>"
            self.faults.append(f"<{tag}> is written {wanted} here: styles and other addresses are not.")
        if tag != "br":
            self.open.append(tag)
        style = f' style="{STYLES[tag]}"' if STYLES[tag] else ""
        self.written.append(f'<a href="{_LINK}"{style}>' if tag == "a" else f"<{tag}{style}>")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes nothing that is open there.")
            return
        self.open.pop()
        self.written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.written.append(data)

    def handle_entityref(self, name: str) -> None:
        self.written.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.written.append(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        self.faults.append("Comments are not known here.")

    def handle_decl(self, decl: str) -> None:
        self.faults.append("Declarations are not known here.")

    def unknown_decl(self, data: str) -> None:
        self.faults.append("Declarations are not known here.")

    def handle_pi(self, data: str) -> None:
        self.faults.append("Instructions are not known here.")


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.faults += [f"<{tag}> is not closed." for tag in reader.open]
    return reader


def html_faults(html: str) -> list[str]:
    """Return what in this HTML a letter may not have, each as a sentence."""
    return _read(html).faults


def dressed(html: str) -> str:
    """Return HTML without faults with our styles on its elements."""
    return "".join(_read(html).written)


def html_of(text: str) -> str:
    """Return a text as HTML: paragraphs, and a button for a line above the link, conditions where they stood."""
    return "\n".join(_paragraph(block) for block in re.split(r"\n\s*\n", text.strip()))


def _paragraph(block: str) -> str:
    before: list[str] = []
    after: list[str] = []
    while found := re.match(rf"\s*({_AROUND.pattern})", block):
        before.append(found[1])
        block = block[found.end() :]
    while found := re.search(rf"({_AROUND.pattern})\s*\Z", block):
        after.insert(0, found[1])
        block = block[: found.start()]
    if len(_IF.findall(block)) != len(_ENDIF.findall(block)) and after:
        block, after = block + after[0], after[1:]
    lines = [line.strip() for line in block.strip().splitlines()]
    if lines == [f"{{{{ {CARE} }}}}"]:
        body = lines[0]
    elif lines and lines[-1] == _LINK:
        label = " ".join(lines[:-1]).rstrip(":") or "Open"
        body = f'<p><a href="{_LINK}">{_escaped(label)}</a></p>'
    else:
        body = f"<p>{'<br>'.join(_escaped(line) for line in lines)}</p>" if any(lines) else ""
    return "".join(before) + body + "".join(after)


def _escaped(line: str) -> str:
    """Escape the words between the signs; a variable is escaped when it is filled in."""
    parts = re.split(rf"({_SIGN.pattern})", line)
    return "".join(part if index % 2 else escape(part, quote=False) for index, part in enumerate(parts))


def _with_care(source: str, template: str) -> str:
    return re.sub(rf"\{{\{{ ?{CARE} ?\}}\}}", f'{{% include "{template}" %}}', source)
