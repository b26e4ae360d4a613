"""Building the demo clinic: every fact comes about through the same act as a real one, at its own time in the past."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from allauth.account.models import EmailAddress
from django.db import transaction

from clinic.audit.states import Actor
from clinic.catalogue.models import AppointmentType, Modality
from clinic.catalogue.rules import Catalogue, DeviceEntry
from clinic.premises.models import Device, Location, OpeningHours, Resource, Room
from clinic.staff.actions import add_user
from clinic.staff.models import Authorisation, OnCall, Practitioner, User
from clinic.worklist.actions import finish_task
from clinic.worklist.models import Task
from patients.candidacy.actions import decide, record_answers, settle_condition, submit_intake
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.queries import decision_in_force
from patients.candidacy.states import DecisionKind, Outcome
from patients.consent.actions import sign_consent
from patients.consent.models import Consent
from patients.consent.states import ConsentStatus
from patients.enquiries.actions import convert_enquiry, receive_enquiry
from patients.intake.actions import save_answers, start_response
from patients.intake.models import QuestionnaireResponse
from patients.intake.queries import latest_answers, questionnaire_of
from patients.intake.questionnaire import Question
from patients.intake.rules import NONE_OF_THESE
from patients.intake.states import QuestionType
from patients.registry.models import ContactPoint, Patient
from patients.registry.states import ContactKind
from patients.replies.actions import close_conversation, receive_reply
from patients.replies.models import Conversation
from patients.replies.rules import Heard
from treatments.aftercare.actions import answer_checkin, finish_treatment
from treatments.aftercare.alarms import acknowledge, close_escalation
from treatments.aftercare.models import Escalation
from treatments.aftercare.queries import SILENCE_TASK
from treatments.aftercare.states import CheckInStatus, EscalationOutcome
from treatments.booking.actions import book_appointment, mark_arrived, mark_fulfilled
from treatments.booking.models import Appointment
from treatments.booking.queries import devices_for, free_times, practitioners_at
from treatments.booking.states import PatientBusy
from treatments.courses.actions import plan_course
from treatments.courses.models import Course
from treatments.courses.queries import earliest_next
from treatments.demo.photographs import send_photos, take_photos
from treatments.demo.states import CALM, DEMO_PASSWORD, ENQUIRIES, NEUTRAL, PEOPLE, PLACES, STAFF, STORIES, Place, Story
from treatments.sessions.actions import open_session, sign_off, start_session
from treatments.sessions.fitness import record_fitness
from treatments.sessions.passes import record_pass
from treatments.sessions.states import Anaesthesia, Cooling, Endpoint, EyeProtection, FitnessQuestion

A_DAY = timedelta(hours=20)
VISITS_A_DAY = 8
CHANCE = 20261121  # the same clinic every time, but for the days
# Ofcom keeps this number free for stories like this one.
UNKNOWN_NUMBER = "+447700900999"
TEXTS = ("Could I come an hour later on my next visit?", "Thank you, see you then!", "Hi, who is this please?")

SETTINGS: dict[str, dict[str, object]] = {
    # Inside the published ranges of the settings pack, so that nothing needs a reason.
    "afl_co2": {"energy_mj": Decimal(15), "coverage_percent": Decimal(10), "passes": 1},
    "nafl_1550": {"energy_mj": Decimal(40), "coverage_percent": Decimal(14), "passes": 8},
    "nafl_1540": {"energy_mj": Decimal(50), "passes": 3},
    "pico_755": {"fluence_j_cm2": Decimal("0.71"), "passes": 3},
}


@dataclass
class Clinic:
    """The places and people the stories use."""

    locations: list[Location]
    users: dict[str, User]
    at: datetime
    dice: random.Random

    def staff(self, email: str) -> Actor:
        return Actor.staff(self.users[email])

    @property
    def desk(self) -> Actor:
        return self.staff("desk@demo.example")

    @property
    def clinician(self) -> Actor:
        return self.staff("clinician@demo.example")

    @property
    def lead(self) -> Actor:
        return self.staff("lead@demo.example")

    def wall(self, location: Location, days_ago: int, hour: int, minute: int = 0) -> datetime:
        """Return an instant some days back (or ahead, negative), by the location's wall clock."""
        day = self.at.astimezone(location.zone).date() - timedelta(days=days_ago)
        return datetime.combine(day, time(hour, minute), tzinfo=location.zone)


def build_clinic(*, catalogue: Catalogue, by: Actor, at: datetime) -> bool:
    """A clinic that looks lived in stands in the tables; False, and nothing done, where one stood already."""
    if Location.objects.exists():
        return False
    dice = random.Random(CHANCE)  # noqa: S311 - made-up people need no secrecy
    locations = [_open_place(place, catalogue) for place in PLACES]
    clinic = Clinic(locations, _hire(locations, by, at), at, dice)
    for person, story in zip(_people(), STORIES, strict=True):
        _live(clinic, person, story)
    _receive_enquiries(clinic)
    _receive_texts(clinic)
    _fill_diary(clinic)
    return True


def _receive_texts(clinic: Clinic) -> None:
    """A few people have written back: one to be answered, one whom nobody knows, one who is done with."""
    by = Actor.task("gateway.demo")
    numbers = ContactPoint.objects.filter(kind=ContactKind.PHONE, people__until_at=None).distinct().order_by("pk")
    known = list(numbers.values_list("value", flat=True)[:2])
    told = zip([*known, UNKNOWN_NUMBER], TEXTS, (45, 20, 10), strict=False)
    for place, (number, text, minutes) in enumerate(told, start=1):
        heard = Heard(text_ref=f"demo-{place}", number=number, text=text)
        receive_reply(gateway="demo", heard=heard, by=by, at=clinic.at - timedelta(minutes=minutes))
    first = Conversation.objects.order_by("pk").first()
    if first is not None:
        close_conversation(conversation=first, outcome="booked", note="", by=clinic.desk, at=clinic.at)


# --- the house -------------------------------------------------------------------------------------------------------


@transaction.atomic
def _open_place(place: Place, catalogue: Catalogue) -> Location:
    location = Location.objects.create(
        name=place.name,
        address=place.address,
        time_zone=place.zone,
        phone=place.phone,
        emergency_number=place.emergency,
        out_of_hours=place.out_of_hours,
        online_booking=True,
    )
    _open_hours(location, None)
    for name in place.rooms:
        Resource.objects.create(room=Room.objects.create(location=location, name=name))
    by_key = {device.key: device for device in catalogue.devices}
    for number, key in enumerate(place.devices, start=1):
        Resource.objects.create(device=_install(location, by_key[key], number))
    return location


def _install(location: Location, entry: DeviceEntry, number: int) -> Device:
    return Device.objects.create(
        location=location,
        make=entry.make,
        model=entry.model,
        serial=f"DEMO-{location.pk}{number:03}",
        modality=entry.modality,
        wavelength_nm=entry.wavelength_nm,
        service_due_on=date.today() + timedelta(days=120),  # noqa: DTZ011 - a sticker on a machine
    )


def _open_hours(location: Location, practitioner: Practitioner | None) -> None:
    for weekday in range(6):
        closes = time(18) if weekday < 5 else time(13)
        OpeningHours.objects.create(
            location=location, practitioner=practitioner, weekday=weekday, opens=time(9), closes=closes
        )


@transaction.atomic
def _hire(locations: list[Location], by: Actor, at: datetime) -> dict[str, User]:
    users = {}
    for member in STAFF:
        user = add_user(email=member.email, name=member.name, password=DEMO_PASSWORD, roles=[member.role], by=by, at=at)
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        places = [location for location, place in zip(locations, PLACES, strict=True) if place in member.places]
        for location in places:
            location.staff.add(user)
        if member.treats:
            _let_treat(user, member.title, places)
        users[member.email] = user
    for order, email in enumerate(("clinician@demo.example", "lead@demo.example"), start=1):
        OnCall.objects.create(
            user=users[email], order=order, starts_at=at - timedelta(days=200), ends_at=at + timedelta(days=400)
        )
    return users


def _let_treat(user: User, title: str, places: list[Location]) -> None:
    practitioner = Practitioner.objects.create(user=user, name=user.name, title=title)
    Resource.objects.create(practitioner=practitioner)
    for modality in Modality.objects.filter(is_enabled=True):
        Authorisation.objects.create(practitioner=practitioner, modality=modality.key, may_decide=True, may_treat=True)
    # Who works at both places is where the month began: in Marylebone; a diary cannot be in two cities.
    _open_hours(places[0], practitioner)


def _people() -> Iterator[tuple[str, str, date]]:
    for person in PEOPLE.replace("\n", ";").split(";"):
        if person.strip():
            *names, born = person.split()
            given = " ".join(names[:1]) if len(names) > 1 else ""
            yield given, " ".join(names[1:] or names), date.fromisoformat(born)


# --- one patient's thread --------------------------------------------------------------------------------------------


def _live(clinic: Clinic, person: tuple[str, str, date], story: Story) -> None:
    """The patient has come as far as the story tells."""
    location = clinic.locations[story.place]
    began = story.days_ago + (story.sessions - 1) * 33 + 16 if story.sessions else story.days_ago
    patient, response = _arrive(clinic, location, person, began)
    if story.stage == "invited":
        return
    me = Actor.patient(patient.ref, patient.full_name)
    evening = clinic.wall(location, began, 20, clinic.dice.randrange(60))
    evening = min(evening, clinic.at - timedelta(hours=1))
    _fill_in(response, {**NEUTRAL, **story.answers}, me, evening, only=12 if story.stage == "answering" else None)
    if story.stage == "answering":
        return
    submit_intake(response=response, by=me, at=evening + timedelta(minutes=20))
    if story.stage == "review":
        if story.days_ago < 2:
            send_photos(patient, who=patient.pk, at=evening + timedelta(minutes=25))
        _book_consultation(clinic, patient, clinic.wall(location, -1, 9))
        return
    decided_at = clinic.wall(location, max(began - 2, 0), 11)
    _consult(clinic, patient, decided_at)
    decision = _decide(clinic, patient, story, min(decided_at + timedelta(hours=1), clinic.at))
    if story.stage in {"deferred", "declined", "cleared"}:
        return
    course = _plan(clinic, patient, story, decision, min(decided_at + timedelta(hours=2), clinic.at))
    if story.stage == "asked":
        return
    _sign(course, me, clinic.wall(location, began - 5, 19))
    if story.stage == "booked":
        day = clinic.wall(location, -clinic.dice.randrange(0, 12), 9)
        _book_treatment(clinic, course, day, clinic.wall(location, 3, 10))
        return
    for number in range(story.sessions):
        _treat(clinic, course, story.days_ago + (story.sessions - 1 - number) * 33)
    if story.sessions > 1 or story.days_ago == 1:
        _photograph(clinic, patient)
    _recover(clinic, course, story, me)
    if story.sessions < story.planned and story.days_ago >= 3:
        _book_treatment(clinic, course, clinic.wall(location, -1, 9), clinic.at - timedelta(hours=3))
    if story.days_ago in {7, 8, 27, 30, 95}:
        _book(clinic, patient, "review", clinic.wall(location, -clinic.dice.randrange(1, 8), 9), clinic.at)


def _arrive(
    clinic: Clinic, location: Location, person: tuple[str, str, date], began: int
) -> tuple[Patient, QuestionnaireResponse]:
    given, family, born = person
    asked_at = clinic.wall(location, began + 1, 9, clinic.dice.randrange(60))
    email = f"{given or 'hello'}.{family}@mail.example".replace(" ", "").replace("'", "").lower()
    email = email.encode("ascii", "ignore").decode()
    enquiry = receive_enquiry(
        location=location,
        given_name=given,
        family_name=family,
        email=email,
        phone=_phone(clinic, location),
        concerns=["fine_lines"],
        note="",
        form_key=_key(clinic),
        by=Actor.visitor(),
        at=asked_at,
    )
    converted_at = min(asked_at + timedelta(hours=2), clinic.at - timedelta(hours=2))
    patient = convert_enquiry(
        enquiry=enquiry,
        given_name=given,
        family_name=family,
        born_on=born,
        email=email,
        phone=enquiry.phone,
        by=clinic.desk,
        at=max(asked_at, converted_at),
    )
    return patient, start_response(patient=patient, by=clinic.desk, at=max(asked_at, converted_at))


def _phone(clinic: Clinic, location: Location) -> str:
    """Return a number set aside for fiction, for two of three patients."""
    if not clinic.dice.randrange(3):
        return ""
    prefix = "+447700900" if location.phone.startswith("+44") else "+16175550"
    return f"{prefix}{clinic.dice.randrange(100, 1000)}"


def _key(clinic: Clinic) -> uuid.UUID:
    return uuid.UUID(int=clinic.dice.getrandbits(128), version=4)


def _fill_in(
    response: QuestionnaireResponse, given: Mapping[str, object], by: Actor, at: datetime, only: int | None
) -> None:
    """The patient has answered what is asked of them, as given or with the harmless answer; `only` so many."""
    questionnaire = questionnaire_of(response)
    said = latest_answers(response)
    mine: dict[str, object] = {}
    for question in itertools.islice(questionnaire.questions, only):
        if not question.by_patient or question.key in said or question not in questionnaire.visible(said):
            continue
        value = given.get(question.key, _harmless(question))
        if value is not None:
            said[question.key] = mine[question.key] = value
    save_answers(response=response, given=mine, by=by, at=at)


def _harmless(question: Question) -> object:
    """Return the answer of somebody to whom none of it applies; None where leaving it blank says so."""
    if question.type == QuestionType.ENUM:
        return next((o.key for o in question.options if o.key in {"none", "never", "no"}), question.options[0].key)
    if question.type == QuestionType.DATE:
        return "never" if question.never_allowed else None
    if question.type == QuestionType.MULTI:
        return [NONE_OF_THESE] if question.none_option else None
    return False if question.type == QuestionType.BOOL else None


def _consult(clinic: Clinic, patient: Patient, at: datetime) -> None:
    visit = _book(clinic, patient, "consultation", at, at - timedelta(days=1))
    if visit is not None and visit.starts_at <= clinic.at:
        mark_arrived(appointment=visit, by=clinic.desk, at=visit.starts_at)
        mark_fulfilled(appointment=visit, by=clinic.desk, at=min(visit.ends_at, clinic.at))


def _decide(clinic: Clinic, patient: Patient, story: Story, at: datetime) -> CandidacyDecision:
    """A clinician has seen the answers, confirmed the skin type and decided for the first laser that fits."""
    screening = _screening(patient, story)
    record_answers(screening=screening, answers={"fst_confirmed": story.skin_type}, by=clinic.clinician, at=at)
    screening = _screening(patient, story)
    if story.stage == "deferred":
        kind, reason = DecisionKind.DEFER, "Agreed with the patient to wait and look again."
        earliest = screening.earliest_on or at.date() + timedelta(days=90)
        return decide(
            screening=screening,
            kind=kind,
            reason=reason,
            conditions=[],
            earliest_on=earliest,
            by=clinic.clinician,
            at=at,
        )
    if story.stage == "declined":
        reason = "Talked through the risks and the alternatives; the patient agrees not to go ahead."
        return decide(
            screening=screening, kind=DecisionKind.DECLINE, reason=reason, conditions=[], by=clinic.clinician, at=at
        )
    decision = decide(
        screening=screening,
        kind=DecisionKind.PROCEED,
        reason="Suitable. Aims, downtime and risks talked through.",
        conditions=[],
        by=clinic.clinician,
        at=at,
    )
    for task in Task.objects.unfinished().filter(about=f"decision:{decision.ref}", blocks_treatment=True):
        choice = task.closes_with[0] if task.closes_with else "Done"
        settle_condition(task=task, choice=choice, reason="As discussed today.", by=clinic.clinician, at=at)
    for task in Task.objects.unfinished().filter(patient_ref=patient.ref, kind="candidacy.review"):
        finish_task(task=task, outcome="Reviewed", by=clinic.clinician, at=at)
    return decision


def _screening(patient: Patient, story: Story) -> Screening:
    current = patient.screenings.filter(status="current")
    wanted = current.filter(modality=story.modality).first()
    gentle = current.exclude(modality__startswith="afl").order_by("modality").first()
    worst = current.filter(outcome=Outcome.NOT_RECOMMENDED).first() if story.stage == "declined" else None
    found = wanted or worst or gentle or current.first()
    assert found is not None
    return found


def _plan(clinic: Clinic, patient: Patient, story: Story, decision: CandidacyDecision, at: datetime) -> Course:
    areas = story.answers.get("treatment_areas", NEUTRAL["treatment_areas"])
    assert isinstance(areas, list)
    decision = decision_in_force(patient, decision.modality) or decision
    return plan_course(
        patient=patient,
        decision=decision,
        modality=decision.modality,
        areas=areas,
        sessions_planned=story.planned,
        by=clinic.desk,
        at=at,
    )


def _sign(course: Course, by: Actor, at: datetime) -> None:
    consent = Consent.objects.get(about=course.about, status=ConsentStatus.PROPOSED)
    at = max(at, consent.asked_at + timedelta(days=1))
    risks = [risk["key"] for risk in consent.wording.body["risks"]]
    sign_consent(
        consent=consent,
        risks_ticked=risks,
        questions="",
        signed_name=by.name,
        signed_as="patient",
        signature=None,
        by=by,
        at=at,
    )


# --- visits ----------------------------------------------------------------------------------------------------------


def _book_consultation(clinic: Clinic, patient: Patient, day: datetime) -> None:
    _book(clinic, patient, "consultation", day + timedelta(days=clinic.dice.randrange(0, 4)), clinic.at)


def _book_treatment(clinic: Clinic, course: Course, day: datetime, at: datetime) -> Appointment | None:
    group = Modality.objects.get(key=course.modality).group.lower()
    return _book(clinic, course.patient, f"treatment_{group}", day, at, course=course)


def _book(
    clinic: Clinic, patient: Patient, type_key: str, day: datetime, at: datetime, course: Course | None = None
) -> Appointment | None:
    """The patient has the first visit of the type that fits on or after the day; none if a month brings no room."""
    kind = AppointmentType.objects.get(key=type_key)
    location = patient.location
    modality = course.modality if course else ""
    earliest, _ = earliest_next(patient, modality) if course else (None, "")
    if earliest and earliest > day.date():
        day = datetime.combine(earliest, time(9), tzinfo=location.zone)
    starts = free_times(
        type=kind,
        location=location,
        first=day.date(),
        last=day.date() + timedelta(days=45),
        practitioners=[person.pk for person in practitioners_at(location, modality)],
        devices=[device.pk for device in devices_for(location, kind, modality)],
        not_before=day,
    )
    if not starts:
        return None
    for start in starts[min(clinic.dice.randrange(0, 14), len(starts) - 1) :]:
        try:
            return book_appointment(
                patient=patient,
                type=kind,
                location=location,
                practitioner=Practitioner.objects.get(pk=start.practitioner_id),
                starts_at=start.starts_at,
                form_key=_key(clinic),
                course=course,
                by=clinic.desk,
                at=at,
            )
        except PatientBusy:
            continue  # free for the clinic, but the patient is here for something else
    return None


def _treat(clinic: Clinic, course: Course, days_ago: int) -> None:
    """A session has been given some days ago, at the first time that was free that day, and signed off."""
    location = course.patient.location
    course.refresh_from_db()
    morning = clinic.wall(location, days_ago, 9)
    visit = _book_treatment(clinic, course, morning, morning - timedelta(days=15))
    if visit is None or visit.starts_at > clinic.at:
        return
    operator = Actor.staff(visit.practitioner.user) if visit.practitioner.user else clinic.clinician
    mark_arrived(appointment=visit, by=clinic.desk, at=visit.starts_at)
    session = open_session(appointment=visit, by=operator, at=visit.starts_at + timedelta(minutes=5))
    began = visit.starts_at + timedelta(minutes=visit.type.minutes_before)
    answers = {question: "not_applicable" if question == "pregnancy" else "no" for question in FitnessQuestion.values}
    record_fitness(session=session, answers=answers, by=operator, at=began)
    start_session(session=session, by=operator, at=began, eye_protection=EyeProtection.INTERNAL)
    for area in course.areas:
        settings = dict(SETTINGS[course.modality])
        record_pass(session=session, area=area, by=operator, at=began + timedelta(minutes=20), **settings)  # type: ignore[arg-type]
    ended = began + timedelta(minutes=visit.type.minutes_work)
    finish_treatment(session=session, completed_at=ended, record=_record(clinic, course), by=operator, at=ended)
    sign_off(session=session, by=operator, at=ended + timedelta(minutes=10))


def _photograph(clinic: Clinic, patient: Patient) -> None:
    """The clinic took photos before the first session and after each, always the same views."""
    ended = patient.sessions.order_by("completed_at").values_list("completed_at", flat=True)
    ends = [end for end in ended if end is not None]
    if not ends:
        return
    days = [(ends[0] - timedelta(hours=2), 0.1), *((end + timedelta(minutes=5), 0.9) for end in ends)]
    take_photos(patient, days, who=patient.pk, by=clinic.clinician)


def _record(clinic: Clinic, course: Course) -> dict[str, object]:
    return {
        "anaesthesia": Anaesthesia.TOPICAL,
        "eye_protection": EyeProtection.INTERNAL,
        "cooling": Cooling.FORCED_AIR,
        "pain_during": clinic.dice.randrange(2, 6),
        "endpoints": [Endpoint.ERYTHEMA, Endpoint.OEDEMA],
        "areas_treated": list(course.areas),
        "note": "Even response, no surprises.",
    }


def _recover(clinic: Clinic, course: Course, story: Story, by: Actor) -> None:
    """The patient has answered the check-ins as the story tells, and the rest as most people do."""
    session = course.sessions.order_by("-number").first()
    if session is None:
        return
    for checkin in session.checkins.filter(due_at__lt=clinic.at).order_by("due_at", "id"):
        said = story.checkins.get(checkin.day)
        if said is None and clinic.at - checkin.due_at > timedelta(days=2) and clinic.dice.randrange(8):
            said = CALM  # most people answer, and most of them are well
        answered_at = checkin.due_at + timedelta(minutes=clinic.dice.randrange(5, 300))
        if story.just_now:
            answered_at = clinic.at - timedelta(minutes=6)
        if said is not None and answered_at < clinic.at and checkin.status == CheckInStatus.PLANNED:
            answer_checkin(checkin=checkin, answers=said, is_complete=True, by=by, at=answered_at)
    for alarm in Escalation.objects.filter(patient=course.patient, status="open"):
        if story.closes_alarm:
            seen = alarm.raised_at + timedelta(minutes=12)
            acknowledge(escalation=alarm, by=clinic.clinician, at=seen)
            close_escalation(
                escalation=alarm,
                outcome=EscalationOutcome.ADVISED,
                note="Rang back. Redness is even and not warm; photographs tomorrow. Settled by the evening.",
                by=clinic.clinician,
                at=seen + timedelta(minutes=25),
            )


def _receive_enquiries(clinic: Clinic) -> None:
    for hours, given, family, note, place in ENQUIRIES:
        receive_enquiry(
            location=clinic.locations[place],
            given_name=given,
            family_name=family,
            email=f"{given}.{family}@mail.example".lower(),
            phone="",
            concerns=["acne_scars"] if "scar" in note else ["sun_damage"],
            note=note,
            form_key=_key(clinic),
            by=Actor.visitor(),
            at=clinic.at - timedelta(hours=hours),
        )


def _fill_diary(clinic: Clinic) -> None:
    """This week and the next have about as many visits a day as a working clinic."""
    for location in clinic.locations:
        patients = list(Patient.objects.filter(location=location).order_by("pk"))
        for days_ahead in range(12):
            day = clinic.wall(location, -days_ahead, 9)
            booked = (
                Appointment.objects.claiming().filter(location=location, starts_at__range=(day, day + A_DAY)).count()
            )
            if day.weekday() == 6:
                continue
            for patient in clinic.dice.sample(patients, max(0, VISITS_A_DAY - booked)):
                treated = patient.sessions.exists()
                kind = "review" if treated else "consultation"
                if not patient.appointments.claiming().filter(type=kind, starts_at__gte=clinic.at).exists():
                    _book(clinic, patient, kind, day, clinic.at - timedelta(days=4))


@transaction.atomic
def ring_the_silent(*, before: datetime, by: Actor) -> None:
    """Who had not been heard from by then was rung, and was well; the tasks say so."""
    for task in Task.objects.unfinished().filter(kind=SILENCE_TASK, due_at__lt=before):
        finish_task(task=task, outcome="Reached by telephone: healing as expected.", by=by, at=before)
