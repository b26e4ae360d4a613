"""What a link in a letter does, and what it never does."""

import re
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.worklist.models import Task
from patients.intake.actions import start_response
from patients.registry.access import KEY
from patients.registry.actions import issue_link, revoke_links
from patients.registry.models import SecureLink
from patients.registry.states import LinkScope
from patients.registry.views import LANDING
from tests.factories.people import make_location, make_patient

pytestmark = pytest.mark.django_db
BY = Actor.command("desk")
RIGHT = {"born_on_day": "14", "born_on_month": "5", "born_on_year": "1988"}
WRONG = {**RIGHT, "born_on_year": "1990"}


@pytest.fixture
def ana():
    return make_patient(make_location())


def intake_link(patient, **fields):
    response = start_response(patient=patient, by=BY, at=timezone.now())
    about = f"response:{response.ref}"
    link, url = issue_link(patient=patient, scope=LinkScope.INTAKE, about=about, by=BY, at=timezone.now(), **fields)
    return link, "/l/" + url.rstrip("/").rpartition("/")[2] + "/"


def row(link):
    return SecureLink.objects.values().get(pk=link.pk)


def test_the_birth_date_opens_the_form_at_a_clean_address(client, ana):
    link, url = intake_link(ana)

    response = client.post(url, RIGHT)

    assert (response.status_code, response["Location"]) == (302, reverse("intake", args=[link.ref]))
    page = client.get(response["Location"])
    assert page.status_code == 200
    assert "Ana" in page.content.decode()
    assert page["Cache-Control"] == "no-store"


def test_before_the_birth_date_the_page_says_nothing_about_the_patient(client, ana):
    _, url = intake_link(ana)

    for response in (client.get(url), client.post(url, WRONG), client.post(url, {})):
        text = response.content.decode()
        for secret in ("Ana", "Reyes", "1988", "mail.example"):
            assert secret not in text.replace('value="14"', "")


def test_scanners_and_previews_change_nothing_and_the_patient_still_gets_in(ana):
    link, url = intake_link(ana)
    before = row(link)
    events = AuditEvent.objects.count()

    for _ in range(30):
        scanner = Client(enforce_csrf_checks=True)
        assert scanner.get(url).status_code == 200
        assert scanner.head(url).status_code == 200
        assert scanner.post(url, RIGHT).status_code == 403
        assert scanner.options(url).status_code == 405

    assert row(link) == before
    assert AuditEvent.objects.count() == events
    assert Client().post(url, RIGHT).status_code == 302


def test_each_wrong_date_says_how_many_tries_are_left_and_the_fifth_locks(client, ana):
    _, url = intake_link(ana)

    for left in ("4 tries left", "3 tries left", "2 tries left", "1 try left"):
        response = client.post(url, WRONG)
        assert response.status_code == 422
        assert left in response.content.decode()
        assert 'value="1990"' in response.content.decode()
    fifth = client.post(url, WRONG)

    assert fifth.status_code == 403
    assert "This link is locked" in fifth.content.decode()
    assert "This link is locked" in client.get(url).content.decode()
    assert client.post(url, RIGHT).status_code == 403
    assert Task.objects.get().kind == "link_locked"
    assert KEY not in client.session


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {**RIGHT, "born_on_day": "31", "born_on_month": "2"},
        {**RIGHT, "born_on_year": "88"},
        {**RIGHT, "born_on_day": ""},
    ],
)
def test_a_date_that_is_none_costs_no_try(client, ana, typed):
    link, url = intake_link(ana)

    assert client.post(url, typed).status_code == 422
    assert row(link)["tries"] == 0


def test_expired_revoked_and_unknown_links_get_the_same_page(client, ana):
    _, expired_url = intake_link(ana, days=0)
    bo = make_patient(ana.location, "Bo", "Lindqvist")
    revoked, revoked_url = intake_link(bo)
    revoke_links(about=revoked.about, by=BY, at=timezone.now())
    unknown_url = "/l/" + "a" * 43 + "/"

    pages = set()
    for url in (expired_url, revoked_url, unknown_url):
        for response in (client.get(url), client.post(url, RIGHT)):
            assert response.status_code == 404
            text = response.content.decode()
            assert "can’t be used any more" in text
            pages.add(_without_tokens(text, url))

    assert len(pages) == 1
    assert "Ana" not in pages.pop()


def _without_tokens(text, url):
    """The page but for the address asked for and the one-time values of every page."""
    text = text.replace(url, "/l/TOKEN/")
    return re.sub(r'(csrfmiddlewaretoken" value|nonce)="[^"]+"', "", text)


def test_asking_for_a_new_link_answers_the_same_whatever_the_token(client, ana):
    _, expired_url = intake_link(ana, days=0)
    answers = {client.post(f"{url}again/").content for url in (expired_url, expired_url, "/l/" + "b" * 43 + "/")}

    assert len(answers) == 1
    assert client.get(f"{expired_url}again/").status_code == 405


def test_unknown_tokens_cost_the_same_work_as_expired_and_revoked_ones(client, ana):
    """Nothing to time: for each of them the database is asked the same questions, and the same template is written."""
    _, expired_url = intake_link(ana, days=0)
    revoked, revoked_url = intake_link(make_patient(ana.location, "Bo", "Lindqvist"))
    revoke_links(about=revoked.about, by=BY, at=timezone.now())
    work = []
    for url in (expired_url, revoked_url, "/l/" + "a" * 43 + "/"):
        for send in (client.get, lambda address: client.post(address, RIGHT)):
            with CaptureQueriesContext(connection) as asked:
                response = send(url)
            shapes = [re.sub(r"'[^']*'(::bytea)?", "?", query["sql"]) for query in asked]
            work.append((response.status_code, shapes, [template.name for template in response.templates]))

    assert all(each == work[0] for each in work)


def test_opening_gives_the_session_a_new_key_and_kills_the_old_one(ana):
    link, url = intake_link(ana)
    planted = Client()
    planted.get("/")
    session = planted.session
    session["anything"] = 1
    session.save()
    planted.cookies["sessionid"] = session.session_key
    old = session.session_key

    assert planted.post(url, RIGHT).status_code == 302

    assert planted.session.session_key != old
    thief = Client()
    thief.cookies["sessionid"] = old
    assert thief.get(reverse("intake", args=[link.ref])).status_code == 403


def test_another_patients_page_is_not_there(client, ana):
    _, url = intake_link(ana)
    bo = make_patient(ana.location, "Bo", "Lindqvist")
    bos_link, _ = intake_link(bo)
    client.post(url, RIGHT)

    for ref in (bos_link.ref, uuid.uuid4()):
        assert client.get(reverse("intake", args=[ref])).status_code == 404
        assert client.post(reverse("intake_save", args=[ref]), {"question": "smoking"}).status_code == 404


def test_a_link_opens_only_its_own_kind_of_page(client, ana):
    link, url = issue_link(patient=ana, scope=LinkScope.HEALING, about="patient:1", by=BY, at=timezone.now())
    client.post("/l/" + url.rstrip("/").rpartition("/")[2] + "/", RIGHT)

    assert client.get(reverse("intake", args=[link.ref])).status_code == 404


def test_a_link_about_somebody_elses_answers_shows_nothing(client, ana):
    bo = make_patient(ana.location, "Bo", "Lindqvist")
    bos = start_response(patient=bo, by=BY, at=timezone.now())
    link, url = issue_link(patient=ana, scope=LinkScope.INTAKE, about=f"response:{bos.ref}", by=BY, at=timezone.now())
    client.post("/l/" + url.rstrip("/").rpartition("/")[2] + "/", RIGHT)

    assert client.get(reverse("intake", args=[link.ref])).status_code == 404


def test_opening_another_persons_link_forgets_the_first(client, ana):
    first, first_url = intake_link(ana)
    leo = make_patient(ana.location, "Leo", "Reyes")
    second, second_url = intake_link(leo)

    client.post(first_url, RIGHT)
    client.post(second_url, RIGHT)

    assert client.get(reverse("intake", args=[second.ref])).status_code == 200
    assert client.get(reverse("intake", args=[first.ref])).status_code == 404


def test_the_page_closes_after_forty_quiet_minutes_and_slides_with_use(ana):
    link, url = intake_link(ana)
    page = reverse("intake", args=[link.ref])
    start = timezone.now()
    client = Client()
    with time_machine.travel(start, tick=False) as clock:
        client.post(url, RIGHT)
        for _ in range(3):
            clock.shift(timedelta(minutes=39))
            assert client.get(page).status_code == 200
        clock.shift(timedelta(minutes=41))
        closed = client.get(page)

    assert closed.status_code == 403
    assert "open your link again" in closed.content.decode()
    assert "Ana" not in closed.content.decode()


def test_the_page_closes_after_twelve_hours_however_busy(ana):
    link, url = intake_link(ana)
    page = reverse("intake", args=[link.ref])
    client = Client()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client.post(url, RIGHT)
        statuses = []
        for _ in range(25):
            clock.shift(timedelta(minutes=30))
            statuses.append(client.get(page).status_code)

    assert statuses[:24] == [200] * 24
    assert statuses[24] == 403


def test_a_revoked_link_closes_the_page_that_is_open(client, ana):
    link, url = intake_link(ana)
    client.post(url, RIGHT)

    revoke_links(about=link.about, by=BY, at=timezone.now())

    assert client.get(reverse("intake", args=[link.ref])).status_code == 403


def test_without_an_opened_link_every_address_is_the_same_calm_page(client, ana):
    link, _ = intake_link(ana)

    pages = [client.get(reverse("intake", args=[ref])) for ref in (link.ref, uuid.uuid4())]

    assert {page.status_code for page in pages} == {403}
    assert pages[0].content == pages[1].content


def test_the_token_goes_into_no_log_and_no_referer(client, ana, caplog):
    _, url = intake_link(ana)
    _, old_url = intake_link(make_patient(ana.location, "Bo", "Lindqvist"), days=0)

    with caplog.at_level("DEBUG"):
        answers = [client.get(url), client.post(url, WRONG), client.get(old_url), client.get("/l/unknown-token/")]

    for token in (url.split("/")[2], old_url.split("/")[2], "unknown-token"):
        assert token not in caplog.text
    for response in answers:
        assert response["Referrer-Policy"] == "strict-origin"
        assert "no-store" in response["Cache-Control"]


def test_a_link_that_no_page_waits_for_says_so_calmly(client, ana, monkeypatch):
    monkeypatch.setitem(LANDING, LinkScope.VISIT, "no_such_page")
    _, url = issue_link(patient=ana, scope=LinkScope.VISIT, about="appointment:1", by=BY, at=timezone.now())

    response = client.post("/l/" + url.rstrip("/").rpartition("/")[2] + "/", RIGHT)

    assert response.status_code == 404
    assert "Nothing to do here" in response.content.decode()


@pytest.mark.parametrize("scope", [LinkScope.INTAKE, LinkScope.CONSENT, LinkScope.CHECKIN, LinkScope.HEALING])
def test_every_kind_of_link_leads_to_its_page(client, ana, scope):
    link, url = issue_link(patient=ana, scope=scope, about="something:1", by=BY, at=timezone.now())

    response = client.post("/l/" + url.rstrip("/").rpartition("/")[2] + "/", RIGHT)

    assert response["Location"] == f"/my/{link.ref}/{scope.value}/"
