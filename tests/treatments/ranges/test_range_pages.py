"""Triage and treatment ranges in the workshop: changed in a form, put in force by a second person, and followed."""

import pytest
from django.test import Client
from django.urls import reverse

from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.states import Role
from patients.workshop.actions import start_draft
from tests.factories.people import NOW, actor, make_clinician, make_location
from treatments.aftercare.queries import triage_in_force
from treatments.aftercare.states import Level
from treatments.sessions.queries import settings_in_force


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


def begin(bo, kind, name):
    return start_draft(pack=published(kind, name), by=actor(bo), at=NOW)


def sent_back(client, draft, table, part, **changes):
    address = reverse("range_part", args=[draft.ref, table, part])
    form = client.get(address).context["form"]
    fields = {field.html_name: field.value() for field in form} | changes
    return client.post(address, {key: value for key, value in fields.items() if value not in (False, None)})


def test_a_clock_is_changed_in_a_form_and_counts_once_a_second_person_approved_it(bo, cy):
    draft = begin(bo, PackKind.TRIAGE, "triage")
    client = as_person(bo)

    listed = client.get(reverse("range_parts", args=[draft.ref])).content.decode()
    saved = sent_back(client, draft, "level", "U1", respond="30 minutes")
    draft.refresh_from_db()
    page = as_person(cy).get(reverse("rules_publish", args=[draft.ref]))
    before = triage_in_force()[1].levels[Level.URGENT].respond.amount
    done = as_person(cy).post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})

    assert "How fast we answer" in listed
    assert saved.status_code == done.status_code == 302
    assert [(each.field, each.before, each.after) for each in page.context["changes"]] == [
        ("Answered within", "60 minutes", "30 minutes")
    ]
    assert "Check-ins answered from now on" in page.content.decode()
    assert (before, triage_in_force()[1].levels[Level.URGENT].respond.amount) == (60, 30)


def test_a_range_is_changed_by_its_number(bo, cy):
    draft = begin(bo, PackKind.SESSIONS, "settings")

    sent_back(as_person(bo), draft, "warning", "W02", limit_0_energy_mj="40", text="Above 40 mJ.")
    draft.refresh_from_db()
    as_person(cy).post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})

    rule = next(each for each in settings_in_force().rules if each.id == "W02")
    assert (rule.text, rule.checks[-1].against) == ("Above 40 mJ.", 40)


@pytest.mark.parametrize(
    ("kind", "name", "table", "part", "field", "typed"),
    [
        (PackKind.TRIAGE, "triage", "level", "U1", "respond", "soon"),
        (PackKind.SESSIONS, "settings", "warning", "W02", "limit_0_energy_mj", "lots"),
        (PackKind.SESSIONS, "settings", "warning", "W02", "source", ""),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_typed_is_lost(bo, kind, name, table, part, field, typed):
    draft = begin(bo, kind, name)
    body = draft.body

    answer = sent_back(as_person(bo), draft, table, part, note="Still here", **{field: typed})

    draft.refresh_from_db()
    assert answer.status_code == 422
    assert answer.context["form"]["note"].value() == "Still here"
    assert answer.context["form"][field].value() == typed
    assert draft.body == body


def test_only_its_author_opens_a_draft_and_only_what_is_in_it(bo, cy):
    draft = begin(bo, PackKind.TRIAGE, "triage")
    care = begin(bo, PackKind.CARE, "afl")

    assert as_person(cy).get(reverse("range_parts", args=[draft.ref])).status_code == 404
    assert as_person(bo).get(reverse("range_part", args=[draft.ref, "level", "U9"])).status_code == 404
    assert as_person(bo).get(reverse("range_parts", args=[care.ref])).status_code == 404
