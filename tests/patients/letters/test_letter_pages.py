"""The pages of the letters: drafted by one lead clinician with the look beside the words, put in force by another."""

from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse

from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.states import Role
from patients.letters.actions import start_letter
from patients.letters.queries import letter_of
from patients.letters.rules import as_pack
from patients.messaging.wording import parse_letter
from patients.registry.states import Language
from patients.workshop.actions import save_draft
from patients.workshop.states import TextRefused
from tests.factories.people import NOW, actor, make_clinician, make_location


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


@pytest.fixture
def harley(db):
    return make_location()


@pytest.fixture
def bo(harley):
    return make_clinician("Bo Lindqvist", harley, Role.LEAD_CLINICIAN)


@pytest.fixture
def cy(harley):
    return make_clinician("Cy Amadi", harley, Role.LEAD_CLINICIAN)


def as_person(person):
    client = Client()
    client.force_login(person)
    return client


def fields_of(form, **changes):
    return {field.html_name: field.value() or "" for field in form} | changes


def begin(client, template="reminder", language="en"):
    answer = client.post(reverse("letter_draft", args=[template, language]))
    return RulePack.objects.get(kind=PackKind.LETTER, status="draft"), answer["Location"]


def test_every_letter_is_listed_and_a_change_is_begun_from_the_words_in_force(bo):
    client = as_person(bo)
    page = client.get(reverse("letters")).content.decode()
    draft, address = begin(client)

    form = client.get(address).context["form"]

    assert page.count("As it came") == 21
    assert form["sms"].value() == parse_letter(published(PackKind.LETTER, "reminder.en").body, "x").sms
    assert "9:30" not in form["sms"].value()
    assert draft.drafted_by == bo


def test_the_look_follows_the_words_and_nothing_is_saved(bo):
    client = as_person(bo)
    draft, address = begin(client)
    form = client.get(address).context["form"]
    look = client.post(
        reverse("letter_preview", args=[draft.ref]),
        fields_of(form, text=form["text"].value() + "\n\nBring <b>tea</b>."),
    ).content.decode()

    problem = client.post(
        reverse("letter_preview", args=[draft.ref]), fields_of(form, text="{% load x %}")
    ).content.decode()

    draft.refresh_from_db()
    assert "Bring &lt;b&gt;tea&lt;/b&gt;." in look
    assert " style=" not in look
    assert "is not known here" in problem
    assert "tea" not in draft.body


def test_own_words_are_in_force_once_a_second_person_approved_them(bo, cy):
    first, second = as_person(bo), as_person(cy)
    draft, address = begin(first)
    form = first.get(address).context["form"]
    saved = first.post(address, fields_of(form, subject="We expect you at {{ clinic_name }}, {{ when_local }}"))
    draft.refresh_from_db()

    page = second.get(reverse("rules_publish", args=[draft.ref]))
    done = second.post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})

    in_force = published(PackKind.LETTER, "reminder.en")
    assert saved.status_code == done.status_code == 302
    assert [(each.field, each.after) for each in page.context["changes"]] == [
        ("Subject", "We expect you at {{ clinic_name }}, {{ when_local }}")
    ]
    assert (in_force.pk, in_force.version, in_force.is_shipped) == (draft.pk, 2, False)
    assert "Your words, version 2" in first.get(reverse("letters")).content.decode()


def test_faults_stand_at_their_parts_and_nothing_typed_is_lost(bo):
    client = as_person(bo)
    draft, address = begin(client)
    form = client.get(address).context["form"]

    answer = client.post(address, fields_of(form, sms="Come for your laser.", html="<script>x</script>", subject=""))

    found = answer.context["form"]
    draft.refresh_from_db()
    assert answer.status_code == 422
    assert sorted(found.errors) == ["html", "subject"]
    assert found["sms"].value() == "Come for your laser."
    assert "laser" not in draft.body


def test_a_text_that_tells_too_much_is_refused_in_the_form_and_by_the_act(bo):
    client = as_person(bo)
    draft, address = begin(client)
    form = client.get(address).context["form"]
    telling = form["sms"].value() + " Your laser is ready."

    answer = client.post(address, fields_of(form, sms=telling))
    body = as_pack(replace(letter_of(draft), sms=telling))
    with pytest.raises(TextRefused, match="laser"):
        save_draft(pack=draft, body=body, shown=draft.sha256, by=actor(bo), at=NOW)

    assert answer.status_code == 422
    assert answer.context["form"].errors["sms"] == ["“laser” tells what the message is about."]


def test_a_language_it_was_never_written_in_starts_from_the_english_words(bo, cy):
    client = as_person(bo)
    draft, address = begin(client, language="es")
    again = start_letter(template="reminder", language=Language.SPANISH, by=actor(bo), at=NOW)
    form = client.get(address).context["form"]
    client.post(address, fields_of(form, subject="Su cita en {{ clinic_name }}, {{ when_local }}"))
    draft.refresh_from_db()
    page = as_person(cy).get(reverse("rules_publish", args=[draft.ref])).content.decode()

    done = as_person(cy).post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})

    in_force = published(PackKind.LETTER, "reminder.es")
    assert again == draft
    assert "Approve and put version 1 in force" in page
    assert "Reminder, Español" in page
    assert "Su cita en {{ clinic_name }}" in page  # who approves a first version reads it
    assert done.status_code == 302
    assert parse_letter(in_force.body, "x").language == "es"
    assert published(PackKind.LETTER, "reminder.en").is_shipped


@pytest.mark.parametrize("role", [Role.FRONT_DESK, Role.CLINICIAN, Role.MANAGER])
def test_nobody_else_writes_letters(harley, role):
    client = as_person(make_clinician("Dee Okafor", harley, role))

    assert client.get(reverse("letters")).status_code == 403
    assert client.post(reverse("letter_draft", args=["reminder", "en"])).status_code == 403


def test_only_the_author_opens_a_draft_and_unknown_letters_are_not_there(bo, cy):
    draft, address = begin(as_person(bo))

    assert as_person(cy).get(address).status_code == 404
    assert as_person(cy).post(reverse("letter_preview", args=[draft.ref])).status_code == 404
    assert as_person(bo).post(reverse("letter_draft", args=["alarm", "en"])).status_code == 404
    assert as_person(bo).post(reverse("letter_draft", args=["reminder", "xx"])).status_code == 404
