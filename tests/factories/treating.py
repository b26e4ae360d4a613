"""A visit that is ready to be treated, step by step, so that a test can take one step away."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from clinic.audit.states import Actor
from clinic.catalogue.models import AppointmentType
from clinic.premises.models import Device, Location
from clinic.staff.models import Practitioner, User
from clinic.staff.states import Role
from patients.consent.actions import ask_consent, load_wordings, sign_consent
from patients.consent.models import Consent, ConsentWording
from patients.consent.states import ConsentScope
from patients.registry.models import Patient
from treatments.booking.models import Appointment
from treatments.courses.models import Course
from treatments.courses.queries import consent_plan
from treatments.sessions.actions import open_session, start_session
from treatments.sessions.fitness import record_fitness
from treatments.sessions.models import TreatmentSession
from treatments.sessions.passes import record_pass
from treatments.sessions.states import FitnessQuestion

from .people import NOW, actor, make_clinician, make_device, make_location, make_patient, make_user

RECORD = {"anaesthesia": "none", "eye_protection": "external", "cooling": "forced_air", "pain_during": 4}
ALL_CLEAR = dict.fromkeys(FitnessQuestion.values, "no")


@dataclass
class Clinic:
    """Bo the clinician, Kim the lead, Dee at the desk, one laser, and Ana who is to be treated today."""

    location: Location
    bo: User
    kim: User
    dee: User
    device: Device
    ana: Patient
    course: Course
    consent: Consent
    visit: Appointment

    @property
    def by(self) -> Actor:
        return actor(self.bo)

    @property
    def practitioner(self) -> Practitioner:
        return self.bo.practitioner


def make_clinic(modality="nafl_1550", at=NOW, **visit) -> Clinic:
    """Everything in place for Ana's treatment now, with the patient arrived; only the check at the door is left."""
    from .visits import make_course, make_decision

    location = make_location()
    bo = make_clinician("Bo Lindqvist", location)
    kim = make_clinician("Kim Osei", location, role=Role.LEAD_CLINICIAN)
    dee = make_user("Dee Novak", Role.FRONT_DESK, location=location)
    device = make_device(location, modality, **DEVICES.get(modality, {}))
    ana = make_patient(location)
    course = make_course(ana, make_decision(ana, modality, decider=bo), modality=modality)
    consent = sign(course, at=at - timedelta(days=3))
    appointment = make_visit(ana, course, bo.practitioner, device, at, **visit)
    return Clinic(location, bo, kim, dee, device, ana, course, consent, appointment)


DEVICES = {
    "afl_co2": {"make": "Sandstone", "model": "Fractional CO2", "wavelength_nm": 10600},
    "pico_755": {"make": "Cynosure", "model": "PicoSure Focus", "wavelength_nm": 755},
}


def sign(course, at) -> Consent:
    """The patient agreed to the course as planned, after the time to think."""
    if not ConsentWording.objects.filter(scope="treatment").exists():
        load_wordings(by=Actor.command("test"), at=at)
    group = {"a": "AFL", "n": "NAFL", "p": "PICO"}[course.modality[0]]
    by = Actor.patient(course.patient.ref, course.patient.full_name)
    asked = ask_consent(
        patient=course.patient,
        scope=ConsentScope.TREATMENT,
        about=course.about,
        plan=consent_plan(course),
        group=group,
        by=by,
        at=at - timedelta(days=20),
    )
    return sign_consent(
        consent=asked,
        risks_ticked=[risk["key"] for risk in asked.wording.body["risks"]],
        questions="",
        signed_name=course.patient.full_name,
        signed_as="patient",
        signature="",
        by=by,
        at=at,
    )


def make_visit(patient, course, practitioner, device, starts_at, kind="treatment", **fields) -> Appointment:
    """A visit whose patient has arrived."""
    group = {"a": "afl", "n": "nafl", "p": "pico"}[course.modality[0]]
    return Appointment.objects.create(
        patient=patient,
        type=AppointmentType.objects.get(key=f"{kind}_{group}"),
        location=device.location,
        course=course,
        practitioner=practitioner,
        device=device,
        **{
            "starts_at": starts_at,
            "ends_at": starts_at + timedelta(minutes=90),
            "status": "arrived",
            "booked_at": starts_at - timedelta(days=20),
            "arrived_at": starts_at,
            "form_key": uuid.uuid4(),
            "changed_at": starts_at,
            "changed_by_name": "Dee Novak",
            **fields,
        },
    )


def opened(clinic: Clinic, at=NOW) -> TreatmentSession:
    return open_session(appointment=clinic.visit, by=clinic.by, at=at)


def fit(clinic: Clinic, at=NOW, **answers) -> TreatmentSession:
    session = opened(clinic, at)
    record_fitness(session=session, answers=ALL_CLEAR | answers, by=clinic.by, at=at)
    return session


def under_way(clinic: Clinic, at=NOW) -> TreatmentSession:
    return start_session(session=fit(clinic, at), by=clinic.by, at=at)


def treated_area(clinic: Clinic, at=NOW, area="full_face", **settings) -> TreatmentSession:
    """A treatment under way with one group of passes on record."""
    session = under_way(clinic, at)
    record_pass(
        session=session,
        area=area,
        passes=4,
        **({"energy_mj": Decimal(15), "coverage_percent": Decimal(8)} | settings),
        by=clinic.by,
        at=at,
    )
    return session


def minutes(number: float, since: datetime = NOW) -> datetime:
    return since + timedelta(minutes=number)
