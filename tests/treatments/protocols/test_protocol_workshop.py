"""Care protocols in the workshop: drafted in a form, refused at the field, published by a second person."""

import pytest
from django.test import Client
from django.urls import reverse

from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.states import Role
from patients.workshop.actions import start_draft
from tests.factories.people import NOW, actor, make_clinician, make_location
from treatments.plan.rules import parse_protocol


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


@pytest.fixture
def draft(bo):
    return start_draft(pack=published(PackKind.CARE, "afl"), by=actor(bo), at=NOW)


def as_person(person):
    client = Client()
    client.force_login(person)
    return client


def sent_back(client, draft, step="reminder_24h", **changes):
    address = reverse("care_step", args=[draft.ref, step])
    form = client.get(address).context["form"]
    fields = {field.html_name: field.value() for field in form} | changes
    return client.post(address, {key: value for key, value in fields.items() if value not in (False, None)})


def test_a_message_is_changed_in_a_form_and_put_in_force_by_a_second_person(bo, cy, draft):
    saved = sent_back(as_person(bo), draft, title="See you tomorrow", offset="-2d")
    draft.refresh_from_db()
    page = as_person(cy).get(reverse("rules_publish", args=[draft.ref]))
    own = as_person(bo).post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})
    done = as_person(cy).post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})

    in_force = published(PackKind.CARE, "afl")
    step = parse_protocol(in_force.body, "afl").step("reminder_24h")
    assert saved.status_code == 302
    assert [(each.field, each.after) for each in page.context["changes"]] == [
        ("When", "2 days before the visit, at the same time of day"),
        ("Title", "See you tomorrow"),
    ]
    assert "messages of coming visits" in page.content.decode()
    assert own.status_code == 422
    assert done.status_code == 302
    assert (in_force.pk, in_force.version, step.title, step.offset.days) == (draft.pk, 2, "See you tomorrow", -2)


def test_a_fault_stands_at_its_field_and_nothing_typed_is_lost(bo, draft):
    answer = sent_back(as_person(bo), draft, title="Still here", offset="tomorrow")

    form = answer.context["form"]
    draft.refresh_from_db()
    assert answer.status_code == 422
    assert list(form.errors) == ["offset"]
    assert form["title"].value() == "Still here"
    assert draft.body == published(PackKind.CARE, "afl").body


def test_two_windows_of_one_draft_do_not_overwrite_each_other(bo, draft):
    first, second = as_person(bo), as_person(bo)
    address = reverse("care_step", args=[draft.ref, "reminder_24h"])
    stale = {field.html_name: field.value() for field in second.get(address).context["form"]}
    sent_back(first, draft, title="From the first window")

    answer = second.post(address, {key: value for key, value in stale.items() if value} | {"note": "A second thought"})
    form = answer.context["form"]
    again = second.post(address, {field.html_name: field.value() for field in form if field.value()})

    draft.refresh_from_db()
    assert answer.status_code == 409
    assert "after you opened the page" in answer.content.decode()
    assert form["note"].value() == "A second thought"
    assert again.status_code == 302
    assert parse_protocol(draft.body, "afl").step("reminder_24h").note == "A second thought"


def test_only_the_author_opens_the_messages_of_a_draft(bo, cy, draft):
    assert as_person(bo).get(reverse("care_steps", args=[draft.ref])).status_code == 200
    assert as_person(cy).get(reverse("care_steps", args=[draft.ref])).status_code == 404
    assert as_person(cy).get(reverse("care_step", args=[draft.ref, "reminder_24h"])).status_code == 404
    assert as_person(bo).get(reverse("care_step", args=[draft.ref, "no_such"])).status_code == 404


def test_a_draft_of_other_rules_has_no_messages(bo):
    rules = start_draft(pack=published(PackKind.CANDIDACY, "candidacy"), by=actor(bo), at=NOW)

    assert as_person(bo).get(reverse("care_steps", args=[rules.ref])).status_code == 404
