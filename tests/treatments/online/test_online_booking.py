"""Anyone may book a consultation: the desk's times and gates, one visit a form, and nothing told about anyone."""

import re
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from clinic.audit.models import AuditEvent
from clinic.staff.states import Role
from clinic.worklist.models import Task
from patients.messaging.models import Message
from patients.registry.models import Patient
from tests.factories.people import NOW, make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import book, get_type, utc
from treatments.booking.models import Appointment, Claim
from treatments.online.models import BookingAttempt
from treatments.online.rules import FOR_ONE_CONTACT, FROM_ONE_ADDRESS

pytestmark = pytest.mark.django_db
WEDNESDAY = utc("2026-11-25T10:00")


@pytest.fixture(autouse=True)
def _monday():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def place():
    return make_location(online_booking=True)


@pytest.fixture
def kind():
    row = get_type("consultation")
    type(row).objects.filter(pk=row.pk).update(is_bookable_online=True)
    return row


@pytest.fixture
def page(place, bo, kind):
    return reverse("online_details", args=[place.ref, kind.key])


@pytest.fixture
def times(place, bo, kind):
    return reverse("online_times", args=[place.ref, kind.key])


def filled(**fields):
    return {
        "given_name": "Noa",
        "family_name": "Castel",
        "born_on_day": "27",
        "born_on_month": "3",
        "born_on_year": "1985",
        "email": "noa@mail.example",
        "phone": "",
        "website": "",
        "starts_at": WEDNESDAY.isoformat(),
        "form_key": str(uuid.uuid4()),
        **fields,
    }


def text(answer):
    """What the page says, without what differs from one request to the next."""
    page = re.sub(r'name="(csrfmiddlewaretoken|form_key)" value="[^"]+"|nonce="[^"]+"', "", answer.content.decode())
    return page.replace("&#x27;", "'").replace("’", "'")


# --- it happens -------------------------------------------------------------------------------------------------------


def test_from_the_front_door_to_a_booked_visit_without_an_account(client, place, bo, kind, page, times):
    assert reverse("online") in text(client.get("/"))
    assert times in text(client.get(reverse("online")))
    offered = client.get(times, {"day": "2026-11-25"})
    assert f"{page}?at=2026-11-25T10%3A00%3A00%2B00%3A00" in text(offered)
    assert "Wednesday 25 November, 10:00" in text(client.get(page, {"at": WEDNESDAY.isoformat()}))

    answer = client.post(page, filled())

    visit = Appointment.objects.get()
    assert answer["Location"] == reverse("online_done")
    assert (visit.starts_at, visit.status, visit.practitioner, visit.type) == (WEDNESDAY, "booked", bo, kind)
    assert (visit.booked_online, visit.changed_by_name, visit.patient.full_name) == (True, "Visitor", "Noa Castel")
    done = text(client.get(answer["Location"]))
    assert "Wednesday 25 November 2026" in done
    assert "Castel" not in done
    assert "noa@" not in done


def test_the_confirmation_is_planned_and_carries_a_link_to_change_the_visit(client, page):
    client.post(page, filled())

    first = Message.objects.filter(about=Appointment.objects.get().about).order_by("due_at").first()
    assert (first.template, first.due_at) == ("booking_confirmation", NOW + timedelta(minutes=3))


def test_the_desk_sees_it_marked_and_is_asked_who_it_is(client, place, page):
    make_patient(
        place, "Noa", "Castel", email="other@mail.example", born_on=NOW.date().replace(year=1985, month=3, day=27)
    )
    client.post(page, filled())
    client.force_login(make_user("Mia Okafor", Role.FRONT_DESK, location=place))

    task = Task.objects.get(kind="identity")
    assert (task.role, task.title) == ("front_desk", "Check who Noa Castel is: booked online")
    assert "May be on record already: CASTEL, Noa (same name and date of birth)" in task.why
    assert "Booked online" in text(client.get(reverse("today"), {"day": "2026-11-25"}))
    assert "check who they are" in text(client.get(reverse("appointment", args=[Appointment.objects.get().ref])))


def test_it_is_in_the_audit_trail_as_done_by_a_visitor(client, page):
    client.post(page, filled())

    made = AuditEvent.objects.filter(action__in=["patient.registered", "appointment.booked"])
    assert {(each.action, each.actor_kind) for each in made} == {
        ("patient.registered", "visitor"),
        ("appointment.booked", "visitor"),
    }


# --- once -------------------------------------------------------------------------------------------------------------


def test_a_double_tap_is_one_visit_and_one_person(client, page):
    form = filled()

    answers = [client.post(page, form) for _ in range(3)]

    assert [each["Location"] for each in answers] == [reverse("online_done")] * 3
    assert (Appointment.objects.count(), Patient.objects.count(), Task.objects.count()) == (1, 1, 1)


def test_whoever_fills_in_the_trap_is_thanked_and_forgotten(client, page):
    answer = client.post(page, filled(website="https://spam.example"))

    assert answer["Location"] == reverse("online_done")
    assert (Appointment.objects.count(), Patient.objects.count()) == (0, 0)


# --- nothing is told --------------------------------------------------------------------------------------------------


def test_a_known_address_gets_the_same_pages_and_stands_apart_until_the_desk_has_looked(client, place, page):
    stranger = client.post(page, filled(email="new@mail.example", starts_at=utc("2026-11-26T10:00").isoformat()))
    unknown = text(client.get(stranger["Location"]))
    ana = make_patient(place, "Ana", "Reyes", email="ana@mail.example")

    answer = client.post(page, filled(email="ana@mail.example", starts_at=utc("2026-11-26T11:00").isoformat()))

    known = text(client.get(answer["Location"]))
    assert (answer.status_code, answer["Location"]) == (stranger.status_code, stranger["Location"])
    assert known.replace("11:00", "10:00") == unknown
    assert Patient.objects.count() == 3
    assert not ana.appointments.exists()


def test_the_pages_name_no_member_of_staff_and_no_other_patient(client, place, bo, page, times):
    book(make_patient(place, "Ana", "Quillfeather"), bo, WEDNESDAY)

    for url in (
        reverse("online"),
        times,
        f"{times}?day=2026-11-25",
        f"{page}?at={utc('2026-11-25T11:00').isoformat()}",
    ):
        shown = text(client.get(url))
        assert "Quillfeather" not in shown
        assert "Lindqvist" not in shown


# --- times ------------------------------------------------------------------------------------------------------------


def test_a_taken_time_is_not_offered_while_somebody_else_is_free_it_is(client, place, bo, kind, page, times):
    book(make_patient(place), bo, WEDNESDAY)
    at_ten = "at=2026-11-25T10%3A00"
    assert at_ten not in text(client.get(times, {"day": "2026-11-25"}))

    cy = make_practitioner("Cy Adeyemi", place)
    assert at_ten in text(client.get(times, {"day": "2026-11-25"}))

    client.post(page, filled())
    assert Appointment.objects.get(booked_online=True).practitioner == cy


def test_taken_meanwhile_keeps_what_was_typed_and_names_the_next_times(client, place, bo, page):
    book(make_patient(place), bo, WEDNESDAY)

    answer = client.post(page, filled())

    shown = text(answer)
    assert answer.status_code == 422
    assert "That time has just been taken." in shown
    assert 'value="Noa"' in shown
    assert 'value="1985"' in shown
    assert re.findall(r'type="radio" name="starts_at" value="([^"]+)"', shown)[0] == "2026-11-25T10:30:00+00:00"
    assert 'type="hidden" name="starts_at"' not in shown
    assert (Patient.objects.count(), BookingAttempt.objects.count()) == (1, 0)

    key = re.search(r'name="form_key" value="([^"]+)"', answer.content.decode())[1]
    again = client.post(page, filled(form_key=key, starts_at="2026-11-25T10:30:00+00:00"))
    assert again["Location"] == reverse("online_done")


@pytest.mark.parametrize(
    "starts_at",
    [
        utc("2026-11-23T15:00"),  # today: nearer than the place's lead time
        utc("2026-11-20T10:00"),  # over
        utc("2027-01-15T10:00"),  # farther than the days offered
        utc("2026-11-25T10:07"),  # not on the grid
    ],
)
def test_a_time_that_is_not_offered_cannot_be_booked_by_hand(client, page, starts_at):
    answer = client.post(page, filled(starts_at=starts_at.isoformat()))

    assert answer.status_code == 422
    assert "can no longer be booked here" in text(answer)
    assert not Patient.objects.exists()


@pytest.mark.parametrize("starts_at", [utc("2026-11-29T10:00"), utc("2026-11-25T20:00")])  # Sunday; after hours
def test_a_closed_hour_cannot_be_booked_by_hand(client, page, starts_at):
    assert client.post(page, filled(starts_at=starts_at.isoformat())).status_code == 422
    assert not Patient.objects.exists()


def test_the_lead_time_is_the_places_own(client, place, page, times):
    type(place).objects.update(online_lead_hours=2)

    client.post(page, filled(starts_at=utc("2026-11-23T12:00").isoformat()))

    assert Appointment.objects.get().starts_at == utc("2026-11-23T12:00")


@pytest.mark.parametrize("field", ["starts_at", "at"])
@pytest.mark.parametrize("value", ["", "nonsense", "2026-11-25T10:00", "9999-99-99T99:99:99+00:00", "\x00"])
def test_a_mangled_time_is_answered_calmly(client, page, times, field, value):
    if field == "at":
        assert client.get(page, {"at": value})["Location"] == times
    else:
        assert client.post(page, filled(starts_at=value)).status_code == 422


# --- switched off -----------------------------------------------------------------------------------------------------


def test_nothing_is_offered_where_a_place_or_a_kind_is_not_open(client, place, page, times):
    get_type("review")
    closed = reverse("online_times", args=[place.ref, "review"])
    assert client.get(closed).status_code == 404

    type(place).objects.update(online_booking=False)

    assert [client.get(url).status_code for url in (page, times)] == [404, 404]
    assert client.post(page, filled()).status_code == 404
    assert reverse("online") not in text(client.get("/"))
    assert "cannot be booked here at the moment" in text(client.get(reverse("online")))


def test_a_treatment_is_never_offered_whatever_the_catalogue_says(client, place, bo):
    row = get_type("treatment_nafl")
    type(row).objects.filter(pk=row.pk).update(is_bookable_online=True)

    assert client.get(reverse("online_times", args=[place.ref, row.key])).status_code == 404


# --- what is wrong is said --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"family_name": ""}, "Please give a name."),
        ({"given_name": "See www.evil.example"}, "Please give a name only, without an address."),
        ({"family_name": "a@b.example"}, "Please give a name only, without an address."),
        ({"given_name": "N" * 61}, "Please keep this to 60 characters."),
        ({"email": "", "phone": ""}, "Please give an email address or a mobile number"),
        ({"email": "noa.mail"}, "has no @"),
        ({"phone": "1"}, "too few figures"),
        ({"born_on_year": "2031"}, "in the future"),
        ({"born_on_month": "13"}, "There is no month 13"),
        ({"born_on_day": ""}, "The day is missing."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(client, page, fields, sentence):
    answer = client.post(page, filled(**fields))

    assert answer.status_code == 422
    assert sentence in text(answer)
    assert 'value="27"' in text(answer) or "born_on_day" in fields
    assert f'type="hidden" name="starts_at" value="{WEDNESDAY.isoformat()}"' in text(answer)
    assert not Patient.objects.exists()


@pytest.mark.parametrize("name", ["X", "🙂", "李小龍", "O’Brien", "<script>alert(1)</script>", "{{ secret }}"])
def test_names_of_every_kind_are_text_or_refused(client, place, page, name):
    answer = client.post(page, filled(given_name="", family_name=name))

    assert ("/" in name) == (answer.status_code == 422)
    assert "<script>alert" not in text(answer)


# --- how often --------------------------------------------------------------------------------------------------------


def later(number):
    return (utc("2026-11-25T09:00") + timedelta(minutes=30 * number)).isoformat()


def test_one_contact_is_booked_for_a_few_times_a_day_from_wherever(client, page):
    answers = [
        client.post(page, filled(starts_at=later(number)), REMOTE_ADDR=f"10.0.0.{number}").status_code
        for number in range(FOR_ONE_CONTACT + 1)
    ]

    assert answers == [302] * FOR_ONE_CONTACT + [429]
    with time_machine.travel(NOW + timedelta(hours=25), tick=False):
        assert client.post(page, filled(starts_at=later(60))).status_code in (302, 422)
        assert BookingAttempt.objects.count() <= 2


def test_one_network_books_a_dozen_in_an_hour_and_then_rings(client, page):
    answers = [
        client.post(page, filled(email=f"n{number}@mail.example", starts_at=later(number)))
        for number in range(FROM_ONE_ADDRESS + 1)
    ]

    assert [each.status_code for each in answers] == [302] * FROM_ONE_ADDRESS + [429]
    assert "Please ring us" in text(answers[-1])
    assert Appointment.objects.count() == FROM_ONE_ADDRESS


def test_the_count_names_nobody(client, page):
    client.post(page, filled())

    assert all(b"noa" not in bytes(each.digest) and len(each.digest) == 32 for each in BookingAttempt.objects.all())


# --- a failure in the last write leaves nothing -----------------------------------------------------------------------


def test_when_the_desk_cannot_be_asked_nothing_is_booked(client, page, monkeypatch):
    monkeypatch.setattr("treatments.online.actions.raise_task", lambda **facts: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        client.post(page, filled())

    assert not Appointment.objects.exists()
    assert not Patient.objects.exists()
    assert not Claim.objects.exists()
    assert not BookingAttempt.objects.exists()
