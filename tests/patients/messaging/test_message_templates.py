"""Every template renders with exactly the fixed variables, gives nothing away, and fits two segments."""

import html
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Engine, Template

from patients.messaging.rules import VARIABLES, lint_discreet
from patients.messaging.wording import frame
from treatments.plan.states import TEMPLATES

ROOT = Path(settings.BASE_DIR) / "templates" / "messages"
NAMES = sorted(path.name for path in ROOT.iterdir() if path.is_dir())
PARTS = ["subject.txt", "body.txt", "body.html", "sms.txt"]
CARE = {"aftercare", "checkin", "checkin_nudge"}
STAFF = {"alarm"}

SAMPLE = {
    "first_name": "Ana",
    "clinic_name": "Harbour Clinic",
    "clinic_phone": "020 7946 0000",
    "out_of_hours": "At night call 111.",
    "emergency_number": "999",
    "when_local": "Wednesday 30 September, 09:00",
    "where": "4 Quay Street",
    "link": "https://afterglow.example.org/l/" + "k" * 43,
    "title": "Day 1",
    "what_is_normal": "Swelling is common.",
    "do_now": ["Rest."],
    "contact_if": ["it gets worse"],
    "old_when": "Tuesday 29 September, 09:00",
    "new_when": "Wednesday 30 September, 10:30",
    "answer": "We will call you today.",
}
# Nothing in the GSM alphabet's favour: long names, letters that cost 16 bits each.
LONG = SAMPLE | {"first_name": "Maximiliana-Konstantina", "clinic_name": "Saint Bartholomew's Harbour Clinic"}
ACCENTED = SAMPLE | {"first_name": "Íñigo"}


def render(name, part, values):
    return Template((ROOT / name / part).read_text()).render(Context(values | frame("en")))


def names_used(path):
    """Return the variables a template and what it includes ask for."""
    text = path.read_text()
    used = set(re.findall(r"\{\{\s*(\w+)", text)) | set(re.findall(r"\{% (?:if|for \w+ in) (\w+)", text))
    for part in re.findall(r'(?:include|extends) "messages/([^"]+)"', text):
        used |= names_used(ROOT / part)
    return used - {"line"} - set(frame("en"))


def test_every_template_a_protocol_sends_is_there():
    assert set(NAMES) >= TEMPLATES


@pytest.mark.parametrize("name", NAMES)
def test_a_template_has_all_its_parts_and_only_fixed_variables(name):
    assert sorted(path.name for path in (ROOT / name).iterdir()) == sorted(PARTS)
    for part in PARTS:
        assert names_used(ROOT / name / part) <= VARIABLES


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", NAMES)
def test_every_template_renders_with_nothing_left_over(name, part):
    strict = Engine(dirs=[settings.BASE_DIR / "templates"], string_if_invalid="MISSING %s")
    text = strict.from_string((ROOT / name / part).read_text()).render(Context(SAMPLE | frame("en")))

    assert "MISSING" not in text
    assert "{{" not in text
    assert "{%" not in text
    assert text.strip()


@pytest.mark.parametrize("values", [SAMPLE, LONG, ACCENTED], ids=["plain", "long", "accented"])
@pytest.mark.parametrize("name", NAMES)
def test_texts_are_discreet_and_short(name, values):
    text = render(name, "sms.txt", values).strip()

    assert lint_discreet(text, name=values["first_name"], allowed=[values["clinic_name"]]) == []
    assert lint_discreet((ROOT / name / "sms.txt").read_text(), max_segments=None) == []


@pytest.mark.parametrize("name", NAMES)
def test_subjects_are_discreet_and_one_line(name):
    subject = render(name, "subject.txt", SAMPLE)

    assert lint_discreet(subject.strip(), name="Ana", max_segments=None) == []
    assert subject.count("\n") == 1
    assert subject.endswith("\n")
    assert "Ana" not in subject


@pytest.mark.parametrize("name", NAMES)
def test_every_email_names_the_clinic_its_number_and_the_emergency_number(name):
    for part in ("body.txt", "body.html"):
        text = html.unescape(render(name, part, SAMPLE))
        assert "In an emergency call 999." in text
        assert "020 7946 0000" in text
        assert "At night call 111." in text


@pytest.mark.parametrize("name", sorted(CARE))
def test_texts_about_healing_name_the_emergency_number(name):
    assert "999" in render(name, "sms.txt", SAMPLE)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_name_leaves_no_hole(name):
    nobody = SAMPLE | {"first_name": "", "link": "", "where": ""}

    for part in PARTS:
        text = render(name, part, nobody)
        assert not re.search(r"(Hello|Hi) ,", text)
        assert 'href=""' not in text


@pytest.mark.parametrize("name", NAMES)
def test_what_people_typed_is_text_and_nothing_else(name):
    hostile = SAMPLE | {"first_name": "{{ clinic_phone }}<b>O'Neil & Co</b>", "what_is_normal": "{% load x %}"}

    page, plain, text = (render(name, part, hostile) for part in ("body.html", "body.txt", "sms.txt"))

    assert "<b>" not in page
    assert "{{ clinic_phone }}<b>O'Neil & Co</b>" in plain
    assert "&#x27;" not in plain + text
    assert "&amp;" not in plain + text


@pytest.mark.parametrize("name", NAMES)
def test_pages_in_the_mail_fetch_nothing_and_run_nothing(name):
    source = (ROOT / name / "body.html").read_text() + (ROOT / "_base.html").read_text()

    assert not re.search(r"<(script|img|link|iframe|form|table)\b|url\(|@import", source)
    assert set(re.findall(r'href="([^"]*)"', source)) <= {"{{ link }}"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("phrase", ["non-invasive", "non-wounding", "safe and effective", "long lasting", "guarantee"])
def test_no_template_promises(name, phrase):
    assert not any(phrase in (ROOT / name / part).read_text().casefold() for part in PARTS)
