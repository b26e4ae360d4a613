"""A clinic's own words in a letter: what they may hold, what they must keep, and how they become HTML."""

import html
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.packfile import PackError
from patients.letters.queries import check_letter, letter_faults, preview_of, shipped_letter, shipped_packs
from patients.letters.rules import SAMPLE_LINK, as_pack, changes_between
from patients.letters.states import KINDS
from patients.messaging.rendering import write_email, write_sms
from patients.messaging.rules import VARIABLES
from patients.messaging.wording import Letter, day_in, dressed, faults, frame, html_faults, html_of, parse_letter

REMINDER = shipped_letter("reminder")
HERE = {
    "first_name": "Ana",
    "clinic_name": "Harbour Clinic",
    "clinic_phone": "020 7946 0000",
    "out_of_hours": "At night call 111.",
    "emergency_number": "999",
    "when_local": "Wednesday 30 September 2026, 09:00",
    "where": "4 Quay Street",
    "link": SAMPLE_LINK,
    "title": "Day 1",
    "what_is_normal": "Swelling is common.",
    "do_now": ("Rest.",),
    "contact_if": ("it gets worse",),
    "old_when": "Tuesday 29 September 2026, 09:00",
    "new_when": "Wednesday 30 September 2026, 10:30",
}

TOO_LONG = "On the longest day it takes 3 text messages; 2 is the most."


def sentences(letter):
    return {(fault.part, fault.sentence.partition(":")[0]) for fault in letter_faults(letter)}


@pytest.mark.parametrize(("name", "body"), list(shipped_packs()))
def test_the_words_that_came_with_afterglow_could_be_put_in_force(name, body):
    check_letter(body, name)

    assert parse_letter(body, name) == shipped_letter(name.partition(".")[0])


@pytest.mark.parametrize("template", KINDS)
def test_the_shipped_words_read_the_same_as_a_clinics_own(template):
    shipped, own = write_email(template, HERE), write_email(template, HERE, shipped_letter(template))

    assert (own.subject, own.text.split()) == (shipped.subject, shipped.text.split())
    assert write_sms(template, HERE, shipped_letter(template)) == write_sms(template, HERE)
    for words in ("Hello Ana,", "In an emergency call 999.", "At night call 111."):
        assert words in own.html


@pytest.mark.parametrize(
    "words",
    [
        "{% load static %}", "{% include 'x' %}", "{{ first_name|safe }}", "{{ patient.notes }}", "{{ do_now }}",
        "{% for x in do_now %}", "{# hidden #}", "{{ first_name", "{% if link %}open", "{% endif %}",
        "{% if care %}x{% endif %}", "{% if link and title %}x{% endif %}", "{{ settings.SECRET_KEY }}", "{%",
    ],
)  # fmt: skip
def test_a_sign_that_could_do_more_than_name_a_variable_is_refused(words):
    assert list(faults(words))
    for part in ("subject", "text", "html", "sms"):
        with pytest.raises(PackError):
            check_letter(as_pack(replace(REMINDER, **{part: f"{getattr(REMINDER, part)} {words}"})), "reminder v2")


@given(st.text(alphabet="{}%# |.'\"<>&abcdefilnkst_\n", max_size=60))
def test_whatever_is_typed_is_refused_or_printed_and_nothing_else(words):
    letter = Letter("reminder", "en", "s", f"x {words}", "", "t")

    if not list(faults(words)):
        written = write_email("reminder", HERE, letter)
        assert "999" in written.text


@pytest.mark.parametrize(
    ("change", "part", "sentence"),
    [
        ({"sms": "{{ clinic_name }}: come soon. Call {{ clinic_phone }}."}, "sms", "It must say {{ when_local }}"),
        ({"sms": REMINDER.sms.replace("{{ clinic_name }}", "us")}, "sms", "It must say {{ clinic_name }}"),
        ({"text": "See you soon. {{ clinic_phone }} {{ link }} {{ where }}"}, "text", "It must say {{ when_local }}"),
        ({"html": "<p>See you {{ when_local }}</p>"}, "html", "It must say {{ clinic_phone }}"),
        ({"subject": f"Your laser visit, {REMINDER.subject}"}, "subject", "“laser” tells what the message is about."),
        ({"sms": f"{REMINDER.sms} Bring your cream."}, "sms", "“cream” tells what the message is about."),
        ({"sms": REMINDER.sms + " Please come." * 20}, "sms", TOO_LONG),
    ],
)  # fmt: skip
def test_what_people_rely_on_and_discretion_are_kept(change, part, sentence):
    assert (part, sentence) in sentences(replace(REMINDER, **change))


def test_a_name_and_a_link_never_stand_together_in_a_text():
    letter = replace(shipped_letter("checkin"), sms="{{ first_name }}, " + shipped_letter("checkin").sms)

    assert ("sms", "A name and a link may not stand together.") in sentences(letter)


@pytest.mark.parametrize(
    "bad",
    [
        "<script>x</script>", "<p onclick=x>x</p>", '<a href="https://evil.example">x</a>', "<img src=x>", "<p>open",
        "</p>", "<p><strong>x</p></strong>", "<!-- x -->", '<p style="color:red">x</p>', "<iframe></iframe>",
        "<!doctype html>", '<a href="{{ link }}" target="_blank">x</a>', "<a>x</a>", "<?php x ?>",
    ],
)  # fmt: skip
def test_html_is_a_small_known_set(bad):
    assert html_faults(bad)


def test_known_html_wears_our_styles():
    good = '<h2>Soon</h2><p><strong>{{ when_local }}</strong> &amp; here<br>x</p><p><a href="{{ link }}">Open</a></p>'

    assert html_faults(good) == []
    assert dressed(good).count(" style=") == 4
    assert "&amp; here<br>x" in dressed(good)


def test_a_letter_without_html_of_its_own_is_made_from_its_text():
    text = (
        "First line\nsecond <b>line</b>\n\n{% if link %}Open it:\n{{ link }}\n\n"
        "{% endif %}{% if where %}At {{ where }}{% endif %}"
    )

    assert html_of(text) == (
        "<p>First line<br>second &lt;b&gt;line&lt;/b&gt;</p>\n"
        '{% if link %}<p><a href="{{ link }}">Open it</a></p>\n'
        "{% endif %}{% if where %}<p>At {{ where }}</p>{% endif %}"
    )
    assert html_faults(html_of(text)) == []


@pytest.mark.parametrize(
    "name", ["{{ clinic_phone }}", "{% load static %}", "<b>Ana</b>", "{{ link }}", "O'Brien & co"]
)
def test_what_a_patient_is_called_is_never_read_as_words_of_the_letter(name):
    letter = replace(REMINDER, text="Dear {{ first_name }}, {{ when_local }} {{ where }} {{ link }} {{ clinic_phone }}")
    written = write_email("reminder", HERE | {"first_name": name}, letter)

    assert f"Dear {name}," in written.text
    assert f"Dear {html.escape(name)}," in written.html


def test_differences_are_said_by_part():
    changed = replace(REMINDER, sms=f"{REMINDER.sms} Bye.")

    assert [(each.field, each.after) for each in changes_between(REMINDER, changed)] == [
        ("Text message", f"{REMINDER.sms} Bye.")
    ]
    assert preview_of(changed, None).sms.endswith(" Bye.")


def test_spanish_letters_greet_and_warn_in_spanish():
    written = write_email("reminder", HERE, replace(REMINDER, language="es"))

    assert written.text.startswith("Hola Ana,")
    assert "En una emergencia, llame al 999." in written.text
    assert '<html lang="es">' in written.html
    assert not set(frame("es")) & VARIABLES


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("Wednesday 30 September 2026, 09:00", "miércoles 30 de septiembre de 2026, 09:00"),
        ("Tuesday 1 December, 10:00 GMT", "martes 1 de diciembre, 10:00 GMT"),
        ("1 March 2027", "1 de marzo de 2027"),
        ("in May or later", "in May or later"),
    ],
)
def test_a_spanish_letter_names_the_day_in_spanish(english, spanish):
    here = HERE | {"when_local": english}

    assert day_in("es", english) == spanish
    assert day_in("en", english) == day_in("fr", english) == english
    assert spanish in write_email("reminder", here, replace(REMINDER, language="es")).text
    assert spanish in write_sms("reminder", here, replace(REMINDER, language="es")).text
    assert english in write_sms("reminder", here, REMINDER).text


@pytest.mark.parametrize("month", range(1, 13))
def test_every_day_our_sentences_write_is_known(month):
    day = date(2026, month, month)

    assert day_in("es", f"{day:%A} {day.day} {day:%B}").split()[1:3] == [str(day.day), "de"]
