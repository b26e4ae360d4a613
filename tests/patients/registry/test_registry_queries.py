from datetime import date, timedelta

import pytest
from django.db import connection

from clinic.staff.states import Role
from patients.registry.models import Patient
from patients.registry.queries import contact_for, duplicates, find_patients, possible_duplicates, search_patients
from tests.factories.people import NOW, make_location, make_patient, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return make_location()


@pytest.fixture
def mia(place):
    return make_user("Mia Okafor", Role.FRONT_DESK, location=place)


def names(found):
    return [patient.full_name for patient in found]


def test_patients_are_found_from_either_name_whatever_case_and_accents(place, mia):
    for given, family in [("Ana", "Núñez-Reyes"), ("Nuala", "O’Brien"), ("Bo", "Lindqvist"), ("", "Nuno")]:
        make_patient(place, given, family)

    assert names(search_patients(mia, "NUN")) == ["Ana Núñez-Reyes", "Nuno"]
    assert names(search_patients(mia, "nu")) == ["Ana Núñez-Reyes", "Nuno", "Nuala O’Brien"]
    assert names(search_patients(mia, "obrien nuala")) == ["Nuala O’Brien"]
    assert names(search_patients(mia, "nuala o")) == ["Nuala O’Brien"]
    assert names(search_patients(mia, "ñ")) == ["Ana Núñez-Reyes", "Nuno", "Nuala O’Brien"]
    assert names(search_patients(mia, "zz")) == []


@pytest.mark.parametrize("text", ["%", "_", "\\", "' OR 1=1 --", "100%", "\x00", "a@\x00", "🙂", "a" * 5000])
def test_signs_with_a_meaning_elsewhere_have_none_here(place, mia, text):
    make_patient(place)

    assert search_patients(mia, text) in ([], list(Patient.objects.all()))
    assert len(search_patients(mia, "re%es")) == 0


def test_patients_of_other_locations_are_not_found(place, mia):
    elsewhere = make_location("Madrid", "Europe/Madrid")
    make_patient(elsewhere, "Ana", "Reyes", phone="+34612345678")

    for text in ("reyes", "ana", "", "14/5/1988", "ana.reyes@mail.example", "+34 612 345 678"):
        assert search_patients(mia, text) == []


@pytest.mark.parametrize("typed", ["1988-05-14", "14/5/1988", "14 May 1988", "reyes 14.5.1988", "ana 14 may 1988"])
def test_a_birth_date_alone_or_after_a_name_finds(place, mia, typed):
    ana = make_patient(place)
    make_patient(place, "Ana", "Reyes", born_on=date(1990, 1, 1))

    assert search_patients(mia, typed) == [ana]


def test_everyone_at_a_telephone_or_address_is_found_as_long_as_they_are_there(place, mia):
    ana = make_patient(place, phone="+447700900123")
    leo = make_patient(place, "Leo", email="", phone="+447700900123")
    gone = make_patient(place, "Max", email="", phone="+447700900123")
    gone.contacts.update(until_at=NOW + timedelta(days=1))

    assert search_patients(mia, "07700 900123") == [ana, leo]
    assert search_patients(mia, "+44 7700 900 123") == [ana, leo]
    assert search_patients(mia, "Ana.Reyes@MAIL.example") == [ana]
    assert search_patients(mia, "nobody@mail.example") == []


def test_pages_follow_each_other_without_gap_or_repetition(place, mia):
    for number in range(7):
        make_patient(place, f"Given{number}", "Same")
    for number in range(6):
        make_patient(place, "Sam", f"Other{number}")

    seen, after = [], ""
    for _ in range(20):
        page = find_patients(mia, "sam", after, limit=3)
        seen += page.patients
        after = page.after
        if not after:
            break

    assert names(seen) == [f"Given{n} Same" for n in range(7)] + [f"Sam Other{n}" for n in range(6)]


@pytest.mark.parametrize("after", ["f.nonsense", "g.", "...", "f.00000000-0000-0000-0000-000000000000", "x" * 999])
def test_a_made_up_page_mark_starts_anew(place, mia, after):
    ana = make_patient(place)

    assert find_patients(mia, "reyes", after).patients == [ana]
    assert find_patients(mia, "", after).patients == [ana]


def test_search_reads_the_indexes_and_neither_scans_nor_sorts_nor_counts(place, mia, django_assert_max_num_queries):
    many = [
        Patient(
            given_name=f"G{n}", family_name=f"F{n}", born_on=date(1980, 1, 1), location=place, created_at=NOW,
            search_text=f"f{n:05} g{n:05}", search_given=f"g{n:05} f{n:05}",
        )
        for n in range(3000)
    ]  # fmt: skip
    Patient.objects.bulk_create(many)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE patients_patient")
        visible = Patient.objects.visible_to(mia)
        for rows, index in [
            (
                visible.filter(search_text__startswith="f0012").order_by("search_text", "id")[:20],
                "patient_by_family_name",
            ),
            (
                visible.filter(search_given__startswith="g0012").order_by("search_given", "id")[:20],
                "patient_by_given_name",
            ),
        ]:
            plan = rows.explain()
            assert index in plan
            assert "Seq Scan on patients_patient" not in plan
    with django_assert_max_num_queries(4):
        assert len(search_patients(mia, "f00")) == 20


def test_where_a_patient_is_reached_is_the_latest_place(place):
    ana = make_patient(place, phone="")

    assert contact_for(ana, "email").value == "ana.reyes@mail.example"
    assert contact_for(ana, "phone") is None


@pytest.mark.parametrize(
    ("entered", "whys"),
    [
        (("Ana", "Reyes", date(1988, 5, 14), "", ""), ["Same name and date of birth"]),
        (("Anna", "Réyes", date(1988, 5, 14), "", ""), ["Similar name, same date of birth"]),
        (("Reyes", "Ana", date(1988, 5, 14), "", ""), ["Similar name, same date of birth"]),
        (("Ana", "Reyes", date(1988, 5, 15), "ana.reyes@mail.example", ""), ["Similar name, same email or telephone"]),
        (("Eva", "Moreau", date(1988, 5, 14), "", "+447700900123"), ["Same date of birth, same email or telephone"]),
        (("Ana", "Reyes", None, "", ""), ["Same name"]),
        (("Ana", "Reyes", date(1990, 1, 1), "", ""), []),
        (("Eva", "Moreau", date(1988, 5, 14), "", ""), []),
        (("Leo", "Novak", date(2015, 1, 1), "", "+447700900123"), []),
        (("", "", None, "", ""), []),
    ],
)
def test_two_of_name_birth_date_and_contact_make_a_possible_duplicate(place, entered, whys):
    ana = make_patient(place, phone="+447700900123")
    make_patient(place, "Bo", "Lindqvist", born_on=date(1975, 1, 1))

    found = duplicates(*entered)

    assert [each.why for each in found] == whys
    assert [each.patient for each in found] == [ana] * len(whys)


def test_the_likeliest_duplicate_comes_first(place):
    similar = make_patient(place, "Anna", "Reyes", email="")
    same = make_patient(place, "Ana", "Reyes", email="")

    assert possible_duplicates("Ana", "Reyes", date(1988, 5, 14), "", "") == [same, similar]
