import uuid
from datetime import date, timedelta

import pytest
from django.db import connection

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.worklist.models import Task
from patients.registry import actions
from patients.registry.actions import (
    LinkExpired,
    LinkLocked,
    LinkUnknown,
    TimeZoneUnknown,
    WrongBirthDate,
    change_contact,
    correct_patient,
    issue_link,
    open_link,
    register_patient,
    revoke_links,
)
from patients.registry.models import ContactPoint, Patient, PatientContact, SecureLink
from patients.registry.queries import contact_for
from patients.registry.rules import BirthDateRefused, EmailRefused, NameRefused, PhoneRefused
from patients.registry.states import LINK_DAYS, LinkScope
from tests.factories.people import NOW, make_location, make_patient

pytestmark = pytest.mark.django_db
DESK = Actor.command("desk")
VISITOR = Actor.visitor()
BORN = date(1988, 5, 14)


@pytest.fixture
def place():
    return make_location()


@pytest.fixture
def ana(place):
    return make_patient(place)


def register(place, **fields):
    wanted = {"given_name": "Ana", "family_name": "Reyes", "born_on": BORN, "location": place, **fields}
    return register_patient(**wanted, by=DESK, at=NOW)


def trail():
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def break_the_trail(monkeypatch, at_action):
    real = actions.record

    def record(**kwargs):
        if kwargs["action"] == at_action:
            raise ZeroDivisionError
        return real(**kwargs)

    monkeypatch.setattr(actions, "record", record)


# --- people -----------------------------------------------------------------------------------------------------------


def test_registering_makes_a_patient_who_can_be_reached(place):
    patient = register(place, email=" Ana@Example.com", phone="07700 900123", given_name=" Ana  ")

    assert (patient.full_name, patient.born_on, patient.location) == ("Ana Reyes", BORN, place)
    assert (patient.search_text, patient.search_given) == ("reyes ana", "ana reyes")
    assert contact_for(patient, "email").value == "ana@example.com"
    assert contact_for(patient, "phone").value == "+447700900123"
    assert patient.preferred_channel == "email"
    assert trail() == ["patient.registered", "patient.contact_changed", "patient.contact_changed"]
    assert set(AuditEvent.objects.values_list("patient_ref", flat=True)) == {patient.ref}


def test_the_same_form_twice_registers_one_patient(place):
    key = uuid.uuid4()

    first = register(place, form_key=key)
    second = register(place, form_key=key, given_name="Other")

    assert first == second
    assert Patient.objects.count() == 1


def test_two_people_may_share_one_telephone(place):
    ana = register(place, phone="07700 900123")
    leo = register(place, given_name="Leo", phone="+44 7700 900123")

    assert ContactPoint.objects.count() == 1
    assert contact_for(ana, "phone") == contact_for(leo, "phone")
    assert ana.preferred_channel == "phone"


@pytest.mark.parametrize(
    ("fields", "refusal", "field"),
    [
        ({"family_name": "  "}, NameRefused, "family_name"),
        ({"family_name": "A" * 10_000}, NameRefused, "family_name"),
        ({"given_name": "A" * 10_000}, NameRefused, "given_name"),
        ({"born_on": date(2026, 11, 24)}, BirthDateRefused, "born_on"),
        ({"born_on": date(1800, 1, 1)}, BirthDateRefused, "born_on"),
        ({"email": "ana"}, EmailRefused, "email"),
        ({"phone": "12"}, PhoneRefused, "phone"),
        ({"time_zone": "Mars/Base"}, TimeZoneUnknown, "time_zone"),
    ],
)
def test_unusable_facts_register_nobody(place, fields, refusal, field):
    with pytest.raises(refusal) as refused:
        register(place, **fields)

    assert refused.value.field == field
    assert (Patient.objects.count(), ContactPoint.objects.count(), trail()) == (0, 0, [])


@pytest.mark.parametrize("name", ["X", "🙂", "李", "{{ patient.notes }}", "<script>alert(1)</script>", "A" * 200])
def test_one_word_names_of_any_kind_are_registered(place, name):
    patient = register(place, given_name="", family_name=name)

    assert Patient.objects.get(pk=patient.pk).full_name == name


def test_today_is_the_clinics_day_when_a_birth_date_is_judged():
    auckland = make_location("Ponsonby", "Pacific/Auckland", phone="+6491234567")
    tomorrow_in_london = date(2026, 11, 24)

    with pytest.raises(BirthDateRefused):
        register(make_location("Soho"), born_on=tomorrow_in_london)
    patient = register_patient(
        given_name="Kai",
        family_name="Tāne",
        born_on=tomorrow_in_london,
        location=auckland,
        by=DESK,
        at=NOW.replace(hour=12),
    )

    assert patient.search_text == "tane kai"


def test_when_the_last_write_of_registering_fails_nothing_stays(place, monkeypatch):
    break_the_trail(monkeypatch, "patient.contact_changed")

    with pytest.raises(ZeroDivisionError):
        register(place, email="ana@example.com")

    assert (Patient.objects.count(), ContactPoint.objects.count(), PatientContact.objects.count()) == (0, 0, 0)
    assert trail() == []


def test_correcting_changes_what_was_wrong_and_keeps_what_stood_there(ana):
    patient = correct_patient(patient=ana, family_name="Réyes", born_on=date(1988, 4, 15), by=DESK, at=NOW)

    assert (patient.family_name, patient.given_name, patient.search_text) == ("Réyes", "Ana", "reyes ana")
    event = AuditEvent.objects.get(action="patient.corrected")
    assert event.detail == {
        "was": {"family_name": "Reyes", "born_on": "1988-05-14"},
        "now": {"family_name": "Réyes", "born_on": "1988-04-15"},
    }


def test_correcting_nothing_leaves_no_trace(ana):
    correct_patient(patient=ana, family_name=" Reyes ", born_on=BORN, by=DESK, at=NOW)

    assert trail() == []


def test_a_refused_correction_changes_nothing(ana):
    with pytest.raises(NameRefused):
        correct_patient(patient=ana, given_name="Eva", family_name=" ", by=DESK, at=NOW)

    ana.refresh_from_db()
    assert (ana.given_name, ana.family_name) == ("Ana", "Reyes")


def test_when_the_trail_of_a_correction_fails_it_is_undone(ana, monkeypatch):
    break_the_trail(monkeypatch, "patient.corrected")

    with pytest.raises(ZeroDivisionError):
        correct_patient(patient=ana, given_name="Eva", by=DESK, at=NOW)

    ana.refresh_from_db()
    assert (ana.given_name, ana.search_given) == ("Ana", "ana reyes")


def test_a_new_address_ends_the_old_one_and_both_stay_on_record(ana):
    change_contact(patient=ana, email="new@mail.example", by=DESK, at=NOW + timedelta(days=1))

    assert contact_for(ana, "email").value == "new@mail.example"
    history = ana.contacts.order_by("since_at").values_list("point__value", "until_at")
    assert list(history) == [("ana.reyes@mail.example", NOW + timedelta(days=1)), ("new@mail.example", None)]


def test_the_same_address_again_changes_nothing(ana):
    change_contact(patient=ana, email="ANA.REYES@mail.example", by=DESK, at=NOW)

    assert trail() == []


def test_a_contact_can_be_taken_away(ana):
    change_contact(patient=ana, email="", by=DESK, at=NOW)

    assert contact_for(ana, "email") is None


def test_one_unusable_contact_changes_neither(ana):
    with pytest.raises(PhoneRefused):
        change_contact(patient=ana, email="new@mail.example", phone="12", by=DESK, at=NOW)

    assert contact_for(ana, "email").value == "ana.reyes@mail.example"


# --- secure links -----------------------------------------------------------------------------------------------------


def issue(patient, scope=LinkScope.INTAKE, **fields):
    wanted = {"about": "response:1", **fields}
    link, url = issue_link(patient=patient, scope=scope, **wanted, by=DESK, at=NOW)
    return link, url.rstrip("/").rpartition("/")[2]


def try_open(token, born_on=BORN, at=NOW):
    return open_link(token=token, born_on=born_on, by=VISITOR, at=at)


def test_a_link_carries_256_bits_of_which_only_the_hash_is_kept(ana, settings):
    settings.PUBLIC_URL = "https://clinic.example"

    link, url = issue_link(patient=ana, scope=LinkScope.INTAKE, about="response:1", by=DESK, at=NOW)

    token = url.removeprefix("https://clinic.example/l/").removesuffix("/")
    assert len(token) == 43
    assert link.expires_at == NOW + timedelta(days=LINK_DAYS[LinkScope.INTAKE])
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(l)::text FROM patients_securelink AS l")
        assert token not in cursor.fetchone()[0]


def test_the_right_birth_date_opens_and_says_so_in_the_trail(ana):
    link, token = issue(ana)

    opened = try_open(token)

    assert (opened, opened.opened_at, opened.tries) == (link, NOW, 0)
    event = AuditEvent.objects.get(action="link.opened")
    assert (event.actor_kind, event.actor_id, event.detail["seen_before"]) == ("patient", str(ana.ref), False)


def test_a_link_opens_again_on_another_phone(ana):
    _, token = issue(ana)

    try_open(token)
    try_open(token)

    assert AuditEvent.objects.filter(action="link.opened", detail__seen_before=True).count() == 1


def test_five_wrong_birth_dates_lock_the_link_and_tell_the_desk(ana):
    link, token = issue(ana)
    said = []

    for _ in range(5):
        with pytest.raises((WrongBirthDate, LinkLocked)) as refused:
            try_open(token, date(1999, 1, 1))
        said.append(refused.value.for_people)

    assert said[:4] == [f"That doesn’t match. {left} left." for left in ("4 tries", "3 tries", "2 tries", "1 try")]
    assert said[4].startswith("This link is locked")
    task = Task.objects.get(kind="link_locked")
    assert (task.role, task.location, task.patient_ref) == ("front_desk", ana.location, ana.ref)
    assert AuditEvent.objects.filter(action="link.refused", outcome="refused").count() == 5
    with pytest.raises(LinkLocked):
        try_open(token)
    link.refresh_from_db()
    assert (link.tries, link.opened_at) == (5, None)


def test_the_right_date_forgives_earlier_slips(ana):
    _, token = issue(ana)
    for _ in range(4):
        with pytest.raises(WrongBirthDate):
            try_open(token, date(1999, 1, 1))

    try_open(token)

    with pytest.raises(WrongBirthDate) as refused:
        try_open(token, date(1999, 1, 1))
    assert refused.value.left == 4


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=100)])
def test_an_expired_link_does_not_open_even_with_the_right_date(ana, late):
    link, token = issue(ana)

    with pytest.raises(LinkExpired):
        try_open(token, at=link.expires_at + late)

    link.refresh_from_db()
    assert (link.tries, link.opened_at) == (0, None)


def test_a_link_opens_until_the_last_second(ana):
    link, token = issue(ana)

    assert try_open(token, at=link.expires_at - timedelta(seconds=1)) == link


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "../../etc/passwd", "'; DROP TABLE", "😀", "\x00"])
def test_an_unknown_token_opens_nothing_and_says_what_an_expired_one_says(token):
    with pytest.raises(LinkUnknown) as refused:
        try_open(token)

    assert refused.value.for_people == LinkExpired().for_people


def test_revoking_closes_the_links_about_it_and_no_others(ana):
    intake, token = issue(ana, about="response:1")
    consent, _ = issue(ana, LinkScope.CONSENT, about="response:1")
    other, _ = issue(ana, about="response:2")

    closed = revoke_links(about="response:1", scope=LinkScope.INTAKE, by=DESK, at=NOW)

    assert closed == 1
    assert list(SecureLink.objects.filter(revoked_at=None).order_by("pk")) == [consent, other]
    with pytest.raises(LinkExpired):
        try_open(token)
    assert revoke_links(about="response:1", by=DESK, at=NOW) == 1
    assert revoke_links(about="response:1", by=DESK, at=NOW) == 0
    assert AuditEvent.objects.filter(action="link.revoked").count() == 2
    assert intake.revoked_at is None  # the row passed in is left alone


def test_when_the_trail_of_an_opening_fails_the_link_stays_shut(ana, monkeypatch):
    link, token = issue(ana)
    break_the_trail(monkeypatch, "link.opened")

    with pytest.raises(ZeroDivisionError):
        try_open(token)

    link.refresh_from_db()
    assert link.opened_at is None


def test_when_the_desk_cannot_be_told_the_fifth_try_is_not_counted(ana, monkeypatch):
    link, token = issue(ana)
    for _ in range(4):
        with pytest.raises(WrongBirthDate):
            try_open(token, date(1999, 1, 1))
    break_the_trail(monkeypatch, "link.refused")

    with pytest.raises(ZeroDivisionError):
        try_open(token, date(1999, 1, 1))

    link.refresh_from_db()
    assert (link.tries, link.locked_at, Task.objects.count()) == (4, None, 0)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_instant_are_all_counted():
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    ana = make_patient(make_location())
    link, token = issue(ana)
    barrier = Barrier(8)

    def guess(year):
        barrier.wait()
        try:
            return open_link(token=token, born_on=date(year, 1, 1), by=VISITOR, at=NOW)
        except (WrongBirthDate, LinkLocked) as refused:
            return type(refused).__name__
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        said = sorted(pool.map(guess, range(1990, 1998)))

    link.refresh_from_db()
    assert said == ["LinkLocked"] * 4 + ["WrongBirthDate"] * 4
    assert (link.tries, Task.objects.count()) == (5, 1)
