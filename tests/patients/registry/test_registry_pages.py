import uuid
from datetime import date

import pytest
from django.urls import reverse

from clinic.audit.models import AuditEvent
from clinic.staff.states import Role
from patients.registry.models import Patient
from patients.registry.queries import contact_for
from tests.factories.people import make_location, make_patient, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return make_location()


@pytest.fixture
def desk(client, place):
    client.force_login(make_user("Mia Okafor", Role.FRONT_DESK, location=place))
    return client


def filled(place, **fields):
    return {
        "given_name": "Ana",
        "family_name": "Reyes",
        "born_on_day": "14",
        "born_on_month": "5",
        "born_on_year": "1988",
        "email": "ana@mail.example",
        "phone": "",
        "language": "en",
        "location": str(place.ref),
        "form_key": str(uuid.uuid4()),
        **fields,
    }


def test_the_list_shows_everyone_and_htmx_gets_the_rows_alone(desk, place):
    make_patient(place)
    make_patient(place, "Bo", "Lindqvist")

    page = desk.get(reverse("patients"))
    rows = desk.get(reverse("patients"), {"q": "lind"}, headers={"HX-Request": "true"})

    assert b"REYES, Ana" in page.content
    assert b"<html" in page.content
    assert b"LINDQVIST, Bo" in rows.content
    assert b"REYES" not in rows.content
    assert b"<html" not in rows.content


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_with_one_row_and_with_three(desk, place, count, django_assert_num_queries):
    for number in range(count):
        make_patient(place, f"Ana{number}")
    desk.get(reverse("patients"))

    with django_assert_num_queries(7):
        desk.get(reverse("patients"), {"q": "re"}, headers={"HX-Request": "true"})


def test_registering_leads_to_the_chart(desk, place):
    response = desk.post(reverse("patient_new"), filled(place))

    patient = Patient.objects.get()
    assert (response.status_code, response["Location"]) == (302, reverse("patient_chart", args=[patient.ref]))
    assert AuditEvent.objects.get(action="patient.registered").actor_name == "Mia Okafor"


def test_a_double_tap_registers_one_patient(desk, place):
    form = filled(place)

    assert desk.post(reverse("patient_new"), form).status_code == 302
    assert desk.post(reverse("patient_new"), form).status_code == 302
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"family_name": ""}, "Please give a name."),
        ({"family_name": "\u200b\u2060"}, "Please give a name."),
        ({"family_name": "A" * 10_000}, "This name has 10000 characters. Please keep it to 200."),
        ({"born_on_day": "31", "born_on_month": "2"}, "There is no such day in that month."),
        ({"born_on_year": "2088"}, "This date of birth is in the future."),
        ({"born_on_year": ""}, "The year is missing."),
        ({"email": "ana@"}, "Something is missing after the @."),
        ({"email": "ana.mail"}, "“ana.mail” has no @."),
        ({"phone": "12"}, "too few figures"),
        ({"location": str(uuid.uuid4())}, "Select a valid choice."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(desk, place, fields, sentence):
    response = desk.post(reverse("patient_new"), filled(place, **fields))

    text = response.content.decode()
    assert response.status_code == 422
    assert sentence in text
    assert 'value="Ana"' in text
    for name, value in fields.items():
        if name not in {"location"} and value:
            assert value in text
    assert Patient.objects.count() == 0


def test_possible_duplicates_are_shown_before_anything_is_saved(desk, place):
    ana = make_patient(place)

    first = desk.post(reverse("patient_new"), filled(place, given_name="Anna"))

    assert first.status_code == 422
    assert "Possible duplicates" in first.content.decode()
    assert reverse("patient_chart", args=[ana.ref]) in first.content.decode()
    assert Patient.objects.count() == 1

    second = desk.post(reverse("patient_new"), filled(place, given_name="Anna", seen=str(ana.ref)))

    assert second.status_code == 302
    assert Patient.objects.count() == 2


def test_a_duplicate_at_another_location_is_counted_and_not_shown(desk, place):
    make_patient(make_location("Madrid", "Europe/Madrid"), "Ana", "Reyes")

    response = desk.post(reverse("patient_new"), filled(place))

    text = response.content.decode()
    assert response.status_code == 422
    assert "One more is registered at a location where you do not work" in text
    assert "REYES" not in text


def test_someone_new_who_appears_meanwhile_is_shown_too(desk, place):
    ana = make_patient(place)
    make_patient(place, "Ana", "Reyes", email="other@mail.example")

    response = desk.post(reverse("patient_new"), filled(place, seen=str(ana.ref)))

    assert response.status_code == 422
    assert Patient.objects.count() == 2


def test_correcting_keeps_what_was_not_touched(desk, place):
    ana = make_patient(place)
    page = desk.get(reverse("patient_edit", args=[ana.ref])).content.decode()
    assert 'value="ana.reyes@mail.example"' in page
    assert 'value="1988"' in page

    form = filled(
        place, family_name="Réyes", email="", phone="07700 900123", preferred_channel="phone", known_as="Annie"
    )
    response = desk.post(reverse("patient_edit", args=[ana.ref]), form)

    ana.refresh_from_db()
    assert response.status_code == 302
    assert (ana.family_name, ana.known_as, ana.born_on) == ("Réyes", "Annie", date(1988, 5, 14))
    assert contact_for(ana, "email") is None
    assert contact_for(ana, "phone").value == "+447700900123"


def test_a_refused_correction_changes_nothing_and_keeps_what_was_typed(desk, place):
    ana = make_patient(place)

    form = filled(place, family_name="Réyes", phone="12", preferred_channel="email")
    response = desk.post(reverse("patient_edit", args=[ana.ref]), form)

    ana.refresh_from_db()
    assert response.status_code == 422
    assert 'value="Réyes"' in response.content.decode()
    assert ana.family_name == "Reyes"
    assert contact_for(ana, "email").value == "ana.reyes@mail.example"


@pytest.mark.parametrize("name", ["patient_edit"])
def test_patients_of_other_locations_are_not_there(desk, name):
    other = make_patient(make_location("Madrid", "Europe/Madrid"), "Bo", "Other")

    assert desk.get(reverse(name, args=[other.ref])).status_code == 404
    assert desk.post(reverse(name, args=[other.ref]), {}).status_code == 404


XSS = "<img src=x onerror=alert(1)>"


def test_names_are_text_wherever_they_stand(desk, place):
    make_patient(place, XSS, "{{ 7|add:7 }}")

    text = desk.get(reverse("patients")).content.decode()

    assert XSS not in text
    assert "&lt;img" in text
    assert "{{ 7|ADD:7 }}" in text
