"""People and places to start a test from. Names are people's names, so that a test reads like a story."""

from datetime import UTC, date, datetime, time

from django.contrib.auth.models import Group
from django.db import connection

from clinic.audit.states import Actor
from clinic.premises.models import Device, Location, OpeningHours, Resource, Room
from clinic.staff.models import Authorisation, Practitioner, User
from clinic.staff.states import Role
from patients.registry.models import ContactPoint, Patient, PatientContact
from patients.registry.rules import search_texts

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)  # a Monday, 10:00 in London
PASSWORD = "a-long-enough-passphrase"
MODALITIES = [
    "afl_co2",
    "afl_eryag",
    "nafl_1410",
    "nafl_1440",
    "nafl_1540",
    "nafl_1550",
    "nafl_1927",
    "pico_755",
]


def make_location(name="Harley Street", time_zone="Europe/London", **fields) -> Location:
    """A location open Monday to Saturday 09:00-18:00, with two rooms."""
    location = Location.objects.create(
        name=name,
        time_zone=time_zone,
        **{
            "address": "1 Harley Street, London",
            "phone": "+442079460000",
            "emergency_number": "999",
            "out_of_hours": "Call +44 20 7946 0001. A nurse answers day and night.",
            **fields,
        },
    )
    for weekday in range(6):
        OpeningHours.objects.create(location=location, weekday=weekday, opens=time(9), closes=time(18))
    for room in ("Room 1", "Room 2"):
        make_room(location, room)
    return location


def set_clock(location, time_zone) -> None:
    """The place has lived by this zone from the start, whatever is booked already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('afterglow.time_zone_change', %s, true)", [str(location.pk)])
    location.time_zone = time_zone
    location.save()


def make_room(location, name) -> Room:
    room = Room.objects.create(location=location, name=name)
    Resource.objects.create(room=room)
    return room


def make_device(location, modality="nafl_1550", **fields) -> Device:
    device = Device.objects.create(
        location=location,
        modality=modality,
        **{
            "make": "Solta",
            "model": "Fraxel re:store",
            "serial": f"{modality}-{location.pk}",
            "wavelength_nm": 1550,
            "service_due_on": date(2027, 6, 1),
            **fields,
        },
    )
    Resource.objects.create(device=device)
    return device


def make_user(name, *roles: Role, location=None, **fields) -> User:
    """A member of staff who signs in as first.last@clinic.example with PASSWORD and works at the location."""
    email = fields.pop("email", name.lower().replace(" ", ".") + "@clinic.example")
    user = User.objects.create_user(email, PASSWORD, name=name, **fields)
    user.groups.set(Group.objects.filter(name__in=[role.value for role in roles]))
    if location is not None:
        location.staff.add(user)
    return user


def make_practitioner(name, location, user=None, modalities=MODALITIES) -> Practitioner:
    """Someone who sees patients at the location in its opening hours, authorised to decide and treat."""
    practitioner = Practitioner.objects.create(name=name, user=user)
    Resource.objects.create(practitioner=practitioner)
    for modality in modalities:
        Authorisation.objects.create(practitioner=practitioner, modality=modality, may_decide=True, may_treat=True)
    for weekday in range(6):
        OpeningHours.objects.create(
            location=location, practitioner=practitioner, weekday=weekday, opens=time(9), closes=time(18)
        )
    return practitioner


def make_clinician(name="Bo Lindqvist", location=None, role=Role.CLINICIAN) -> User:
    """A clinician who signs in and sees patients."""
    user = make_user(name, role, location=location)
    make_practitioner(name, location, user)
    return user


def make_patient(location, given_name="Ana", family_name="Reyes", born_on=date(1988, 5, 14), **fields) -> Patient:
    """A patient who can be reached at ana.reyes@mail.example, unless email or phone say otherwise."""
    email = fields.pop("email", f"{given_name}.{family_name}@mail.example".lower().replace(" ", ""))
    phone = fields.pop("phone", "")
    patient = Patient.objects.create(
        given_name=given_name,
        family_name=family_name,
        born_on=born_on,
        location=location,
        search_text=search_texts(given_name, family_name)[0],
        search_given=search_texts(given_name, family_name)[1],
        created_at=NOW,
        **fields,
    )
    for kind, value in (("email", email), ("phone", phone)):
        if value:
            point, _ = ContactPoint.objects.get_or_create(kind=kind, value=value, defaults={"created_at": NOW})
            PatientContact.objects.create(patient=patient, point=point, since_at=NOW)
    return patient


def actor(user) -> Actor:
    return Actor.staff(user)
