"""The public page, and what the desk does with what comes in."""

import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.staff.states import Role
from patients.enquiries.actions import receive_enquiry
from patients.enquiries.models import Enquiry
from patients.enquiries.views import FROM_ONE_ADDRESS, FROM_ONE_BROWSER
from patients.messaging.models import Message
from patients.registry.models import Patient
from tests.factories.people import make_location, make_patient, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("knowledge")]


@pytest.fixture
def desk(client, place):
    client.force_login(make_user("Mia Okafor", Role.FRONT_DESK, location=place))
    return client


def filled(place, **fields):
    return {
        "location": str(place.ref),
        "given_name": "Ana",
        "family_name": "Reyes",
        "email": "ana@mail.example",
        "phone": "",
        "concerns": ["acne_scars", "texture"],
        "note": "Can you help?",
        "website": "",
        "form_key": str(uuid.uuid4()),
        **fields,
    }


def enquiry_at(place, **fields):
    wanted = {"given_name": "Ana", "family_name": "Reyes", "email": "ana@mail.example", "phone": "", "note": "Hello"}
    return receive_enquiry(
        location=place, concerns=["acne_scars"], form_key=uuid.uuid4(), **{**wanted, **fields}, by=Actor.visitor(),
        at=timezone.now(),
    )  # fmt: skip


# --- the public page --------------------------------------------------------------------------------------------------


def test_anyone_may_ask_and_learns_what_happens_next(client, place):
    response = client.post(reverse("enquiry_new"), filled(place))

    assert response["Location"] == reverse("enquiry_thanks")
    assert "what happens next" in client.get(response["Location"]).content.decode()
    enquiry = Enquiry.objects.get()
    assert (enquiry.full_name, enquiry.location, enquiry.concerns) == ("Ana Reyes", place, ["acne_scars", "texture"])


def test_a_double_tap_is_one_enquiry(client, place):
    form = filled(place)

    assert [client.post(reverse("enquiry_new"), form).status_code for _ in range(3)] == [302] * 3
    assert Enquiry.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"family_name": ""}, "Please give a name."),
        ({"family_name": " \u200b "}, "Please give a name."),
        ({"family_name": "A" * 10_000}, "This name has 10000 characters. Please keep it to 200."),
        ({"email": "", "phone": ""}, "Please give an email address or a telephone number"),
        ({"email": "ana.mail"}, "has no @"),
        ({"phone": "1"}, "too few figures"),
        ({"concerns": ["world_peace"]}, "world_peace is not one of the available choices"),
        ({"note": "B" * 2001}, "at most 2000 characters"),
        ({"location": str(uuid.uuid4())}, "Select a valid choice."),
        ({"location": "nowhere"}, "is not a valid UUID"),
        ({"form_key": "x"}, "Enter a valid UUID."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(client, place, fields, sentence):
    make_location("Madrid", "Europe/Madrid")

    response = client.post(reverse("enquiry_new"), filled(place, **fields))

    text = response.content.decode()
    assert response.status_code == 422
    assert sentence in text.replace("&#x27;", "'")
    assert "Can you help?" in text or "note" in fields
    assert 'value="Ana"' in text
    assert Enquiry.objects.count() == 0


@pytest.mark.parametrize("name", ["X", "🙂", "李小龍", "O’Brien", "<script>alert(1)</script>", "{{ secret }}"])
def test_names_of_every_kind_get_through_and_are_text(desk, place, name):
    desk.post(reverse("enquiry_new"), filled(place, given_name="", family_name=name))

    assert Enquiry.objects.get().family_name == name
    page = desk.get(reverse("enquiries")).content.decode()
    assert "<script>alert" not in page


def test_whoever_fills_in_the_trap_is_thanked_and_forgotten(client, place):
    response = client.post(reverse("enquiry_new"), filled(place, website="https://spam.example"))

    assert response["Location"] == reverse("enquiry_thanks")
    assert Enquiry.objects.count() == 0


def test_too_many_from_one_browser_are_asked_to_ring(client, place):
    statuses = [client.post(reverse("enquiry_new"), filled(place)).status_code for _ in range(FROM_ONE_BROWSER + 1)]

    assert statuses == [302] * FROM_ONE_BROWSER + [429]
    assert Enquiry.objects.count() == FROM_ONE_BROWSER


def test_too_many_from_one_address_are_asked_to_ring_and_others_are_not(client_of, place):
    statuses = [
        client_of("198.51.100.7").post(reverse("enquiry_new"), filled(place)).status_code
        for _ in range(FROM_ONE_ADDRESS + 1)
    ]

    assert statuses == [302] * FROM_ONE_ADDRESS + [429]
    assert client_of("198.51.100.8").post(reverse("enquiry_new"), filled(place)).status_code == 302


@pytest.fixture
def client_of():
    from django.test import Client

    return lambda address: Client(REMOTE_ADDR=address)


# --- the desk ---------------------------------------------------------------------------------------------------------


def test_the_list_shows_what_waits_at_the_desks_own_locations(desk, place):
    enquiry_at(place)
    enquiry_at(make_location("Madrid", "Europe/Madrid"), given_name="Eva", family_name="Moreau")

    page = desk.get(reverse("enquiries")).content.decode()

    assert "Ana Reyes" in page
    assert "Acne scars" in page
    assert "Moreau" not in page


@pytest.mark.parametrize("show", ["open", "converted", "closed", "nonsense", "__class__"])
def test_any_tab_answers(desk, place, show):
    assert desk.get(reverse("enquiries"), {"show": show}).status_code == 200


def test_one_click_marks_as_contacted_and_a_second_says_why_not(desk, place):
    enquiry = enquiry_at(place)
    url = reverse("enquiry_contacted", args=[enquiry.ref])

    assert desk.post(url, {"back": "list"})["Location"] == reverse("enquiries")
    second = desk.post(url, follow=True)

    enquiry.refresh_from_db()
    assert enquiry.status == "contacted"
    assert "already “contacted”" in second.content.decode()


def test_closing_asks_for_a_reason_and_can_be_undone(desk, place):
    enquiry = enquiry_at(place)
    url = reverse("enquiry_close", args=[enquiry.ref])

    assert desk.post(url, {"reason": "  "}).status_code == 422
    assert desk.post(url, {"reason": "Lives too far away"}).status_code == 302
    assert "Lives too far away" in desk.get(reverse("enquiry", args=[enquiry.ref])).content.decode()
    desk.post(reverse("enquiry_reopen", args=[enquiry.ref]))

    enquiry.refresh_from_db()
    assert enquiry.status == "new"


def typed(**fields):
    return {
        "given_name": "Ana",
        "family_name": "Reyes",
        "born_on_day": "14",
        "born_on_month": "5",
        "born_on_year": "1988",
        "email": "ana@mail.example",
        "phone": "",
        "seen": "",
        **fields,
    }


def test_an_enquiry_becomes_a_patient_with_a_link_on_its_way(desk, place):
    enquiry = enquiry_at(place)
    url = reverse("enquiry_convert", args=[enquiry.ref])
    assert 'value="Reyes"' in desk.get(url).content.decode()

    response = desk.post(url, typed())

    patient = Patient.objects.get()
    assert response["Location"] == reverse("patient_chart", args=[patient.ref])
    assert Message.objects.get().patient == patient
    assert desk.post(url, typed())["Location"] == reverse("patient_chart", args=[patient.ref])
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"born_on_year": ""}, "The year is missing."),
        ({"born_on_year": "2050"}, "in the future"),
        ({"born_on_day": "30", "born_on_month": "2"}, "There is no such day"),
        ({"family_name": "A" * 10_000}, "This name has 10000 characters."),
        ({"phone": "12"}, "too few figures"),
    ],
)
def test_an_unusable_patient_is_refused_at_the_field(desk, place, fields, sentence):
    enquiry = enquiry_at(place)

    response = desk.post(reverse("enquiry_convert", args=[enquiry.ref]), typed(**fields))

    enquiry.refresh_from_db()
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert (enquiry.status, Patient.objects.count(), Message.objects.count()) == ("new", 0, 0)


def test_who_looks_alike_must_be_decided_by_the_desk(desk, place):
    ana = make_patient(place, email="ana@mail.example")
    enquiry = enquiry_at(place)
    url = reverse("enquiry_convert", args=[enquiry.ref])

    page = desk.get(url).content.decode()
    assert "REYES, Ana, born 14 May 1988" in page
    undecided = desk.post(url, typed(seen=str(ana.ref)))
    assert undecided.status_code == 422

    response = desk.post(
        url, typed(seen=str(ana.ref), existing=str(ana.ref), born_on_day="", born_on_month="", born_on_year="")
    )
    assert response["Location"] == reverse("patient_chart", args=[ana.ref])
    enquiry.refresh_from_db()
    assert (enquiry.patient, Patient.objects.count()) == (ana, 1)


def test_somebody_who_looks_alike_only_by_the_birth_date_typed_is_shown_first(desk, place):
    make_patient(place, "Anna", "Reyes", email="other@mail.example")
    url = reverse("enquiry_convert", args=[enquiry_at(place).ref])

    first = desk.post(url, typed())

    assert first.status_code == 422
    assert "Please look whether it is one of these people." in first.content.decode()
    assert Patient.objects.count() == 1
    refs = str(Patient.objects.get().ref)
    assert desk.post(url, typed(seen=refs, existing="new")).status_code == 302
    assert Patient.objects.count() == 2


def test_a_patient_of_another_location_cannot_be_taken_for_the_enquirer(desk, place):
    far = make_patient(make_location("Madrid", "Europe/Madrid"), email="ana@mail.example")
    url = reverse("enquiry_convert", args=[enquiry_at(place).ref])

    response = desk.post(url, typed(seen=str(far.ref), existing=str(far.ref)))

    assert response.status_code in {302, 422}
    assert Enquiry.objects.exclude(patient=None).filter(patient=far).count() == 0
    assert "REYES" not in desk.get(url).content.decode()


def test_sending_the_link_again(desk, place, ana):
    url = reverse("send_link", args=[ana.ref])

    for scope in ("intake", "healing"):
        assert desk.post(url, {"scope": scope})["Location"] == reverse("patient_chart", args=[ana.ref])
    assert desk.post(url, {"scope": "consent"}).status_code == 404
    assert desk.post(url, {"scope": "__all__"}).status_code == 404
    assert sorted(Message.objects.values_list("link_scope", flat=True)) == ["healing", "intake"]
