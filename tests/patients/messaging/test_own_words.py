"""A clinic's own words reach its patients: in their language, from the moment two people put them in force."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clinic.staff.states import Role
from patients.letters.actions import start_letter
from patients.letters.queries import letter_of
from patients.letters.rules import as_pack
from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from patients.messaging.queries import letters_in_force
from patients.messaging.states import Channel
from patients.registry.states import Language, LinkScope
from patients.workshop.actions import publish, save_draft
from tests.factories.letters import plan_message
from tests.factories.people import NOW, actor, make_clinician, make_patient

VISIT = {"when_local": "Monday 1 June 2026, 10:00", "where": "1 Harley Street"}


@pytest.fixture
def put_in_force(location):
    bo = make_clinician("Bo Lindqvist", location, Role.LEAD_CLINICIAN)
    cy = make_clinician("Cy Amadi", location, Role.LEAD_CLINICIAN)

    def put(template, language=Language.ENGLISH, **words):
        draft = start_letter(template=template, language=language, by=actor(bo), at=NOW)
        body = as_pack(replace(letter_of(draft), **words))
        draft = save_draft(pack=draft, body=body, shown=draft.sha256, by=actor(bo), at=NOW)
        return publish(pack=draft, shown=draft.sha256, by=actor(cy), at=NOW)

    return put


def test_a_letter_leaves_in_the_clinics_own_words(ana, server, put_in_force):
    put_in_force("reminder", subject="We expect you at {{ clinic_name }}, {{ when_local }}")
    plan_message(ana, template="reminder", context=VISIT)

    dispatch(at=NOW)

    letter = server.letters[0]
    assert letter.message["Subject"].startswith("We expect you at")
    assert "Hello Ana," in letter.text
    assert "In an emergency call" in letter.text
    assert Message.objects.get().sent_text["subject"] == letter.message["Subject"]


def test_a_text_follows_its_readers_language_and_falls_back_to_the_clinics_english(location, texts, put_in_force):
    english = "{{ clinic_name }}: see you {{ when_local }}. {{ clinic_phone }}"
    spanish = "{{ clinic_name }}: hasta {{ when_local }}. {{ clinic_phone }}"
    shipped = letter_of(start_it(location, "reminder"))
    put_in_force("reminder", sms=keep_link(english, shipped))
    for language, phone in ((Language.SPANISH, "+447700900021"), (Language.ENGLISH, "+447700900022")):
        plan_message(
            make_patient(location, phone=phone, language=language),
            template="reminder", context=VISIT, channel=Channel.SMS, step=f"reminder_{language}",
            link_scope=LinkScope.VISIT, link_about="appointment:1",
        )  # fmt: skip
    dispatch(at=NOW)
    put_in_force("reminder", Language.SPANISH, sms=keep_link(spanish, shipped))
    plan_message(
        make_patient(location, phone="+447700900077", language=Language.SPANISH),
        template="reminder", context=VISIT, channel=Channel.SMS, step="reminder_later",
        link_scope=LinkScope.VISIT, link_about="appointment:1",
        due_at=NOW + timedelta(minutes=1),
    )  # fmt: skip

    dispatch(at=NOW + timedelta(minutes=2))

    said = [text["text"] for text in texts()]
    assert [("see you" in text, "hasta" in text) for text in said] == [(True, False), (True, False), (False, True)]


def test_words_that_came_with_afterglow_are_no_letters_of_the_clinics_own(db, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert letters_in_force() == {}


def start_it(location, template):
    bo = make_clinician("Di Reader", location, Role.LEAD_CLINICIAN)
    return start_letter(template=template, language=Language.ENGLISH, by=actor(bo), at=NOW)


def keep_link(words, shipped):
    return f"{words} {{{{ link }}}}" if "link" in shipped.sms else words
