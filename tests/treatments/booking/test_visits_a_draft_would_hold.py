"""Before rules are put in force, the page says whose visits they would hold; putting them in force holds just those."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.states import Role
from patients.candidacy.actions import decide
from patients.candidacy.models import Screening
from patients.candidacy.queries import open_flags
from patients.workshop import holds
from patients.workshop.actions import publish, rescreen_all, save_draft, start_draft
from patients.workshop.holds import would_hold
from patients.workshop.rules import SetDays, apply_edits
from tests.factories.people import NOW, actor, make_clinician, make_device, make_location, make_patient
from tests.factories.screenings import ago, make_screening
from tests.factories.treating import sign
from tests.factories.visits import book, make_course, utc
from treatments.booking.actions import cancel_appointment
from treatments.booking.states import CancelReason

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_a_monday_at_ten")]
TEN = utc("2027-01-18T10:00")
# Twenty days after sun is soon enough by the rules in force and too soon by the draft.
SUN = SetDays("sun_exposure", {"AFL": 42, "NAFL": 28, "PICO": 28, "FULL": 42})
TANNED = {"sun_exposure_last": ago(20)}


@pytest.fixture
def location():
    place = make_location()
    make_device(place, "nafl_1550")
    return place


@pytest.fixture
def bo(location):
    return make_clinician("Bo Lindqvist", location, Role.LEAD_CLINICIAN)


@pytest.fixture
def cy(location):
    return make_clinician("Cy Amadi", location, Role.LEAD_CLINICIAN)


@pytest.fixture
def draft(bo):
    row = start_draft(pack=published(PackKind.CANDIDACY, "candidacy"), by=actor(bo), at=NOW)
    return save_draft(pack=row, body=apply_edits(row.body, [SUN]), shown=row.sha256, by=actor(bo), at=NOW)


def booked(patient, bo, at=TEN, kind="proceed", **answers):
    decision = decide(
        screening=make_screening(patient, **answers), kind=kind, reason="Fits.", conditions=[], by=actor(bo), at=NOW
    )
    course = make_course(patient, decision)
    sign(course, at=NOW)
    return book(patient, bo.practitioner, at, "treatment_nafl", course=course)


def named(found):
    return [(each.patient.given_name, each.starts_at) for each in found.shown]


def test_it_names_those_whose_decision_the_draft_does_not_cover_and_nobody_else(location, bo, cy, draft):
    ana, ben, cleo = (make_patient(location, name, email=f"{name}@mail.example") for name in ("Ana", "Ben", "Cleo"))
    visit = booked(ana, bo, **TANNED)
    booked(ben, bo, TEN + timedelta(hours=3), cold_sores="yes")
    off = booked(cleo, bo, TEN + timedelta(days=1), **TANNED)
    cancel_appointment(appointment=off, reason=CancelReason.PATIENT, by=actor(bo), at=NOW)

    found = would_hold(draft=draft, user=cy, at=NOW)

    assert named(found) == [("Ana", visit.starts_at)]
    assert (found.decisions, found.patients, found.visits, found.more) == (2, 1, 1, 0)
    assert [row.pack.version for row in Screening.objects.filter(status="current")] == [1, 1, 1]


def test_what_it_names_is_what_putting_it_in_force_opens(location, bo, cy, draft):
    people = [make_patient(location, name, email=f"{name}@mail.example") for name in ("Ana", "Ben", "Cleo")]
    for number, (person, answers) in enumerate(zip(people, (TANNED, {}, TANNED), strict=True)):
        booked(person, bo, TEN + timedelta(days=number), **answers)
    foretold = {each.patient for each in would_hold(draft=draft, user=cy, at=NOW).shown}

    publish(pack=draft, shown=draft.sha256, by=actor(cy), at=NOW)
    rescreen_all(kind=PackKind.CANDIDACY, by=actor(cy), at=NOW)

    assert {person for person in people if open_flags(person)} == foretold == {people[0], people[2]}


def test_what_the_decision_settled_already_holds_nothing(location, bo, cy, draft):
    booked(make_patient(location), bo, poor_healing=True)

    found = would_hold(draft=draft, user=cy, at=NOW)

    assert (found.decisions, found.visits) == (0, 0)


def test_a_visit_that_is_over_is_not_coming(location, bo, cy, draft):
    booked(make_patient(location), bo, **TANNED)

    assert would_hold(draft=draft, user=cy, at=TEN + timedelta(days=1)).visits == 0


def test_all_are_counted_the_list_is_short_and_of_ones_own_places(location, bo, cy, draft, monkeypatch):
    monkeypatch.setattr(holds, "LISTED", 2)
    for number in range(3):
        person = make_patient(location, f"P{number}", email=f"p{number}@mail.example")
        booked(person, bo, TEN + timedelta(days=number), **TANNED)
    elsewhere = make_clinician("Far Away", make_location("Lisbon", "Europe/Lisbon"), Role.LEAD_CLINICIAN)

    found = would_hold(draft=draft, user=cy, at=NOW)

    assert ([each.patient.given_name for each in found.shown], found.visits, found.more) == (["P0", "P1"], 3, 1)
    assert (would_hold(draft=draft, user=elsewhere, at=NOW).shown, found.patients) == ((), 3)


def test_the_queries_do_not_grow_with_the_patients(location, bo, cy, draft, django_assert_max_num_queries):
    for number in range(4):
        person = make_patient(location, f"P{number}", email=f"p{number}@mail.example")
        booked(person, bo, TEN + timedelta(days=number), **TANNED)

    with django_assert_max_num_queries(12):
        assert would_hold(draft=draft, user=cy, at=NOW).visits == 4


def test_the_page_says_names_and_dates_and_that_they_were_read_is_in_the_trail(location, bo, cy, draft, settings):
    settings.MFA_COMPULSORY = False
    ana = make_patient(location)
    soon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=58)
    visit = booked(ana, bo, soon + timedelta(days=soon.weekday() == 6), **TANNED)
    client = Client()
    client.force_login(cy)

    page = client.get(reverse("rules_publish", args=[draft.ref])).content.decode()
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())

    assert "1 coming visit would be held until a clinician has decided again. It is of 1 patient." in text
    assert "REYES, Ana" in text
    assert f"{visit.starts_at.astimezone(location.zone):%H:%M}" in text
    event = AuditEvent.objects.get(action="rulepack.holds_seen")
    assert (event.detail["visits"], event.detail["patients"]) == (1, [str(ana.ref)])
