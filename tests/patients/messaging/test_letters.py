"""The quick way of writing a letter says, sign for sign, what the slow ways say."""

import email
import email.policy
import re
from email.message import EmailMessage

import pytest
from django.conf import settings
from django.template import Context, Engine
from hypothesis import given
from hypothesis import strategies as st

from patients.messaging import rendering
from patients.messaging.enclosures import CalendarFile
from patients.messaging.letter import as_letter
from patients.messaging.rendering import Unwritable, Written, write_email, write_sms
from patients.messaging.rules import VARIABLES, fold
from patients.messaging.wording import frame
from tests.factories.people import NOW

ROOT = settings.BASE_DIR / "templates"
NAMES = sorted(path.name for path in (ROOT / "messages").iterdir() if path.is_dir())
LISTS = {"do_now", "contact_if"}
# Whatever somebody may be called: markup, template signs, our own marks, line ends, other scripts.
SIGNS = st.text("ab <>&'\"{}%#=.\r\n\t\x00\u2028\ue000\ue001éñ你👍Vlink.0;", max_size=12)
VALUES = st.fixed_dictionaries(
    {name: st.lists(SIGNS, max_size=3).map(tuple) if name in LISTS else SIGNS for name in sorted(VARIABLES)}
)
ENGINE = Engine(dirs=[str(ROOT)])


def slowly(name, part, values):
    clean = {key: fold(value) if isinstance(value, str) else tuple(map(fold, value)) for key, value in values.items()}
    return ENGINE.get_template(f"messages/{name}/{part}").render(Context(clean | frame("")))


@given(st.sampled_from(NAMES), VALUES)
def test_filling_a_frame_says_what_rendering_says(name, values):
    letter, text = write_email(name, values), write_sms(name, values)

    assert letter.subject == fold(slowly(name, "subject.txt", values))
    assert letter.text == rendering._tidy(slowly(name, "body.txt", values))
    assert letter.html == slowly(name, "body.html", values)
    assert text.text == fold(slowly(name, "sms.txt", values))


@pytest.mark.parametrize(
    "source", ["{{ where|upper }}", "{{ where|lower }}", "{{ where|slice:'2' }}", "{{ where|title }}"]
)
def test_a_template_that_changes_a_variable_is_refused_not_misread(source, tmp_path, settings):
    folder = tmp_path / "templates" / "messages" / "odd"
    folder.mkdir(parents=True)
    (folder / "sms.txt").write_text(source)
    settings.BASE_DIR = tmp_path

    with pytest.raises(Unwritable, match="only as they are"):
        write_sms("odd", {"where": "1 Harley Street"})


def test_no_template_passes_a_variable_through_a_filter():
    """A frame is filled with the values as they are: a filter would see the mark instead."""
    found = [
        path
        for path in (ROOT / "messages").rglob("*")
        if path.is_file() and re.search(r"\{[{%][^}]*\|", path.read_text())
    ]

    assert found == []


TEXTS = st.text("ab .=\n<éñ你👍_-" + "x" * 3, max_size=300)


@given(subject=SIGNS.map(fold), text=TEXTS, html=TEXTS, has_calendar=st.booleans())
def test_a_letter_is_read_as_the_standard_library_would_have_written_it(subject, text, html, has_calendar):
    calendar = CalendarFile("REQUEST", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n") if has_calendar else None

    raw = as_letter(Written(subject, text, html), to="ana@mail.example", ref="r", at=NOW, calendar=calendar)

    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    assert not read.defects
    assert str(read["Subject"]).strip() == subject.strip()
    assert read.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    if html:
        assert read.get_body(("html",)).get_content().replace("\r\n", "\n").rstrip("\n") == html.rstrip("\n")
    attached = [part.get_content_type() for part in read.iter_attachments()]
    assert attached == (["text/calendar"] if has_calendar else [])
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("to", ["ana@mail.example", "a.very+odd'one@mail.example", "bea.núñez@m.example"])
def test_nothing_in_a_subject_begins_another_header(to):
    with pytest.raises((Unwritable, ValueError)):
        as_letter(Written("Hi\r\nBcc: eve@x.example", "x", ""), to=to, ref="r", at=NOW)

    raw = as_letter(Written(fold("Hi\r\nBcc: eve@x.example"), "x", ""), to=to, ref="r", at=NOW)

    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert (read["Bcc"], read["To"]) == (None, to)
