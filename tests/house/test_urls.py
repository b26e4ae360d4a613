"""Every address, every role: the table says who may open it, and the house does what the table says.

A new view needs a line in `urls.csv`: its name, its mark, and for each hole in its address the kind of row that fills
it (a name of `inhabited.House`), as "ref=session row=passed". The `ref` of a patient's page is a link and needs none.
"""

import uuid

import pytest

from clinic.audit.models import AuditEvent
from clinic.staff.middleware import library_of
from clinic.staff.states import ROLE_TABLE, Permission, Role
from tests.house.inhabited import ANONYMOUS, FAMILY_NAME
from tests.house.walk import addresses, every_view, table

LINES = table()
STAFF = [line for line in LINES if line.access.startswith("staff:")]
PATIENTS = [line for line in LINES if line.access.startswith("link:")]
PUBLIC = [line for line in LINES if line.access == "public"]
SIGNED = [line for line in LINES if line.access == "signed"]
SIGN_IN = "/accounts/login/"
# Kinds of row that belong to the whole clinic, not to one of its locations.
OF_THE_CLINIC = {
    "pack", "draft", "rule", "care_draft", "step", "letter_draft", "template", "language",
    "triage_draft", "range_table", "range_part",
}  # fmt: skip
REF = uuid.UUID("00000000-0000-4000-8000-000000000000")  # of nothing


def kinds_of(line):
    """Return which kind of row fills each hole: a patient's page is about its link."""
    return ({"ref": line.access} if line in PATIENTS else {}) | line.kinds


def url_of(line, house):
    return line.url({hole: house.ref_of(kind) for hole, kind in kinds_of(line).items()})


def empty_url(line):
    """Return the address with nothing real in it."""
    return line.url({hole: "nothing" if kind == "token" else REF for hole, kind in kinds_of(line).items()})


def may(role, line):
    return Permission(line.access.removeprefix("staff:")) in ROLE_TABLE[Role(role)]


def shown_the_door(answer):
    return answer.status_code == 302 and answer["Location"].startswith(SIGN_IN)


def status_of(client, url):
    """Return what the address answers: to GET, or to POST where it takes nothing else."""
    status = client.get(url).status_code
    return client.post(url).status_code if status == 405 else status


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_view_carries_a_mark_or_belongs_to_a_library():
    naked = [
        name for name, pattern in every_view() if library_of(name) is None and not hasattr(pattern.callback, "access")
    ]

    assert naked == []


def test_the_table_is_the_house():
    assert {(line.name, line.access) for line in LINES} == {(each.name, each.access) for each in addresses()}


def test_the_table_names_each_address_once_and_in_order():
    names = [line.name for line in LINES]

    assert names == sorted(set(names))


def test_the_table_fills_every_hole():
    holes = {each.name: set(each.holes) for each in addresses()}

    assert {line.name: set(kinds_of(line)) for line in LINES} == holes


def test_every_mark_is_one_we_know():
    known = {"public", "signed"} | {f"staff:{permission.value}" for permission in Permission}

    assert {line.access for line in LINES if line not in PATIENTS} <= known


# --- who is let in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
def test_staff_open_what_their_role_may_and_nothing_else(house, role):
    client, wrong = house.client(role), {}
    for line in STAFF:
        url = url_of(line, house)
        answer = client.get(url)
        if may(role, line):
            right = answer.status_code in {200, 204, 302, 304, 405} and not shown_the_door(answer)
        else:
            right = status_of(client, url) == 403
        if not right:
            wrong[line.name] = answer.status_code

    assert wrong == {}


@pytest.mark.parametrize("role", list(Role))
def test_each_refusal_is_in_the_audit_trail(house, role):
    client, wrong = house.client(role), {}
    refused = [line for line in STAFF if not may(role, line)]
    for line in refused:
        before = AuditEvent.objects.filter(action="access.refused", subject_id=line.name).count()
        status = status_of(client, empty_url(line))
        after = AuditEvent.objects.filter(action="access.refused", subject_id=line.name).count()
        if (status, after - before) != (403, 1):
            wrong[line.name] = (status, after - before)

    assert wrong == {}


def test_a_visitor_is_shown_the_door_of_every_page_of_staff(house):
    client, wrong = house.client(ANONYMOUS), {}
    for line in STAFF:
        asked, sent = client.get(url_of(line, house)), client.post(url_of(line, house))
        # A view may say that it takes only POST before it says who may send one.
        if not shown_the_door(sent) and sent.status_code != 405:
            wrong[line.name] = ("POST", sent.status_code)
        if not shown_the_door(asked) and asked.status_code != 405:
            wrong[line.name] = ("GET", asked.status_code)
        if asked.status_code == sent.status_code == 405:
            wrong[line.name] = "answers neither"

    assert wrong == {}


@pytest.mark.parametrize("person", [ANONYMOUS, *Role])
def test_anyone_may_open_the_public_pages(house, person):
    client, wrong = house.client(person), {}
    for line in PUBLIC:
        answer = client.get(url_of(line, house))
        if answer.status_code not in {200, 302, 404, 405} or answer.get("Location", "").startswith(SIGN_IN):
            wrong[line.name] = answer.status_code

    assert wrong == {}


@pytest.mark.parametrize("person", [ANONYMOUS, *Role])
def test_a_public_page_shows_no_patient(house, person):
    client = house.client(person)
    for line in PUBLIC:
        assert FAMILY_NAME not in client.get(url_of(line, house)).content.decode(errors="replace"), line.name


@pytest.mark.parametrize("person", [ANONYMOUS, *Role])
def test_who_does_not_sign_is_refused_by_the_doors_of_gateways_and_that_is_told(house, person):
    client, wrong = house.client(person), {}
    for line in SIGNED:
        url = url_of(line, house)
        refusals = AuditEvent.objects.filter(action="access.refused", subject_id=line.name)
        before = refusals.count()
        statuses = client.get(url).status_code, client.post(url).status_code
        if (*statuses, refusals.count() - before) != (405, 403, 1):
            wrong[line.name] = statuses

    assert wrong == {}


# --- rows of others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
def test_rows_of_another_location_are_not_there(house, role):
    client, wrong = house.client_in_lisbon(role), {}
    for line in STAFF:
        if set(kinds_of(line).values()) - OF_THE_CLINIC and may(role, line):
            status = status_of(client, url_of(line, house))
            if status != 404:
                wrong[line.name] = status

    assert wrong == {}


def test_rows_that_never_were_are_not_there(house):
    client, wrong = house.client(Role.LEAD_CLINICIAN), {}
    for line in STAFF:
        if kinds_of(line) and may(Role.LEAD_CLINICIAN, line):
            status = status_of(client, empty_url(line))
            if status != 404:
                wrong[line.name] = status

    assert wrong == {}


# --- patients' pages --------------------------------------------------------------------------------------------------


def test_a_patient_opens_the_pages_of_an_opened_link(house):
    wrong = {}
    for line in PATIENTS:
        answer = house.patients_client(house.link_for(line)).get(url_of(line, house))
        if answer.status_code not in {200, 302, 405}:
            wrong[line.name] = answer.status_code

    assert wrong == {}


@pytest.mark.parametrize("person", [ANONYMOUS, *Role])
def test_without_an_opened_link_there_is_a_calm_page_and_no_patient(house, person):
    client, wrong = house.client(person), {}
    for line in PATIENTS:
        for send in (client.get, client.post):
            answer = send(url_of(line, house))
            if answer.status_code == 405:
                continue
            calm = "patients/registry/link_closed.html" in [template.name for template in answer.templates]
            if answer.status_code != 403 or not calm or FAMILY_NAME in answer.content.decode():
                wrong[line.name] = answer.status_code

    assert wrong == {}


def test_a_link_opens_nothing_but_its_own_scope(house):
    wrong = {}
    for line in PATIENTS:
        others = [link for link in house.links.values() if link != house.link_for(line)]
        client = house.patients_client(*others)
        statuses = {status_of(client, line.url(dict(kinds_with(line, house, other)))) for other in others}
        if statuses != {404}:
            wrong[line.name] = statuses

    assert wrong == {}


def kinds_with(line, house, link):
    """Yield what fills the holes when `ref` is another link's."""
    for hole, kind in kinds_of(line).items():
        yield hole, link.ref if hole == "ref" else house.ref_of(kind)


def test_a_link_that_another_browser_opened_is_not_there(house):
    wrong = {}
    for line in PATIENTS:
        stranger = house.patients_client(house.strangers_link(line.access))
        status = status_of(stranger, url_of(line, house))
        if status != 404:
            wrong[line.name] = status

    assert wrong == {}


def test_a_revoked_link_closes_at_once(house):
    wrong = {}
    for line in PATIENTS:
        link = house.link_for(line)
        client = house.patients_client(link)
        link.revoked_at = house.at
        link.save(update_fields=["revoked_at"])
        status = status_of(client, url_of(line, house))
        if status != 403:
            wrong[line.name] = status

    assert wrong == {}
