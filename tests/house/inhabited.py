"""A house with people in it: one row of every kind that an address can be about, each made when first asked for."""

import uuid
from datetime import timedelta
from functools import cached_property

from django.test import Client
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.catalogue.models import BodyArea
from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.states import Role
from clinic.worklist.actions import raise_task
from patients.candidacy.actions import decide
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.queries import decision_tasks
from patients.enquiries.actions import receive_enquiry
from patients.intake.actions import start_response
from patients.intake.queries import asked_groups, questionnaire_of
from patients.letters.actions import start_letter
from patients.messaging.models import Message
from patients.photos.actions import add_photo
from patients.photos.models import Photo
from patients.registry.access import KEY
from patients.registry.actions import issue_link
from patients.registry.models import ContactPoint, PatientContact, SecureLink
from patients.registry.states import Language, LinkScope
from patients.replies.actions import receive_reply
from patients.replies.rules import Heard
from patients.workshop.actions import start_draft
from tests.factories.people import make_location, make_patient, make_user
from tests.factories.pictures import saved
from tests.factories.screenings import make_screening
from tests.factories.treating import RECORD, make_clinic, make_visit, treated_area
from tests.factories.visits import get_type
from treatments.aftercare.actions import answer_checkin, finish_treatment
from treatments.aftercare.adverse import record_adverse_event
from treatments.aftercare.models import Escalation
from treatments.disruption.actions import note_disruption
from treatments.disruption.states import What
from treatments.feeds.actions import open_feed
from treatments.sessions.actions import open_session
from treatments.waitlist.actions import join_waitlist, offer_time

BY = Actor.task("house")
# A name that stands in no template: where it shows, a patient shows.
FAMILY_NAME = "Quillfeather"
ANONYMOUS = "anonymous"


class House:
    """Harley Street, where everything is, and Lisbon, where nothing is. `ref_of(kind)` fills a hole in an address."""

    def __init__(self) -> None:
        self.at = timezone.now()
        self.asking: str = Role.FRONT_DESK
        self.treated_at = self.at - timedelta(days=3)
        self.clinic = make_clinic(at=self.treated_at)
        self.location = self.clinic.location
        self.patient = self.clinic.ana
        self.patient.family_name = FAMILY_NAME
        self.patient.save(update_fields=["family_name"])
        self.people = {role.value: make_user(f"A {role.label}", role, location=self.location) for role in Role}
        self.lisbon = make_location("Lisbon", "Europe/Lisbon")
        self.strangers = {role.value: make_user(f"Lisbon {role.label}", role, location=self.lisbon) for role in Role}

    def client(self, person: str) -> Client:
        """A browser in which this person is signed in; `anonymous` is nobody."""
        client = Client(raise_request_exception=False)
        if person != ANONYMOUS:
            self.asking = person
            client.force_login(self.people[person])
        return client

    def client_in_lisbon(self, role: str) -> Client:
        """A browser of somebody with the same role who works elsewhere."""
        client = Client(raise_request_exception=False)
        self.asking = role
        client.force_login(self.strangers[role])
        return client

    def patients_client(self, *links: SecureLink) -> Client:
        """A patient's browser that opened these links a moment ago."""
        client = Client(raise_request_exception=False)
        session = client.session
        now = int(timezone.now().timestamp())
        session[KEY] = {str(link.ref): {"opened": now, "used": now} for link in links}
        session.save()
        client.cookies["sessionid"] = session.session_key
        return client

    def ref_of(self, kind: str) -> object:
        """Return what fills the hole in an address about this kind of row."""
        if kind.startswith("link:"):
            return self.links[LinkScope(kind.removeprefix("link:"))].ref
        found = getattr(self, kind)
        return getattr(found, "ref", found)

    def link_for(self, line) -> SecureLink:
        """Return the link that opens this line of the table."""
        return self.links[LinkScope(line.access.removeprefix("link:"))]

    def strangers_link(self, access: str) -> SecureLink:
        """A link of the same scope, of somebody else."""
        other = make_patient(self.location, "Uma", "Stranger")
        scope = LinkScope(access.removeprefix("link:"))
        return issue_link(patient=other, scope=scope, about="other:1", by=BY, at=self.at)[0]

    @cached_property
    def links(self) -> dict[LinkScope, SecureLink]:
        """One link of each scope, to the row it is about."""
        about = {
            LinkScope.INTAKE: (self.newcomer, f"response:{self.response.ref}"),
            LinkScope.CONSENT: (self.patient, f"consent:{self.consent.ref}"),
            LinkScope.CHECKIN: (self.patient, self.checkin.about),
            LinkScope.FITNESS: (self.patient, self.appointment.about),
            LinkScope.VISIT: (self.patient, self.appointment.about),
            LinkScope.HEALING: (self.patient, self.done.about),
            LinkScope.OFFER: (self.patient, self.waiting.offers.get().about),
            LinkScope.CONTACT: (self.patient, f"patient:{self.patient.ref}"),
            LinkScope.DECISION: (self.patient, f"decision:{self.decision.ref}"),
        }
        return {
            scope: issue_link(patient=patient, scope=scope, about=what, by=BY, at=self.at)[0]
            for scope, (patient, what) in about.items()
        }

    @cached_property
    def waiting(self):
        """Somebody on the waitlist, to whom a time is offered."""
        day = self.at.date()
        entry = join_waitlist(
            patient=self.patient,
            type=get_type("review"),
            location=self.location,
            earliest_on=day,
            latest_on=day + timedelta(days=20),
            by=BY,
            at=self.at,
        )
        offer_time(entry=entry, by=BY, at=self.at)
        return entry

    @cached_property
    def feed(self):
        """A practitioner's calendar address."""
        return open_feed(practitioner=self.clinic.practitioner, by=BY, at=self.at)[0]

    @property
    def place(self):
        """Where visitors may book, and what."""
        type(self.location).objects.filter(pk=self.location.pk).update(online_booking=True)
        return self.location

    @property
    def kind(self) -> str:
        row = get_type("consultation")
        type(row).objects.filter(pk=row.pk).update(is_bookable_online=True)
        return row.key

    @cached_property
    def disruption(self):
        """The clinician is out next week; the visits of that time wait."""
        starts_at = self.at + timedelta(days=6)
        return note_disruption(
            what=What.PRACTITIONER,
            location=self.location,
            resource=self.clinic.practitioner.resource,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(days=2),
            reason="Unwell",
            by=BY,
            at=self.at,
        )

    @cached_property
    def conversation(self):
        """A text that waits for an answer."""
        point = ContactPoint.objects.create(kind="phone", value="+447700900777", created_at=self.at)
        PatientContact.objects.create(patient=self.patient, point=point, since_at=self.at)
        heard = Heard(text_ref="SM1", number=point.value, text="May I come later?")
        return receive_reply(gateway="http", heard=heard, by=BY, at=self.at).conversation

    token = "a-token-that-never-was"
    nobody = uuid.UUID("00000000-0000-4000-8000-000000000000")

    @property
    def task(self):
        """A task for whoever is asking: each sees only those of their role."""
        return raise_task(
            key=f"house:{self.asking}",
            kind="call",
            title=f"Call {FAMILY_NAME}",
            role=Role(self.asking),
            location=self.location,
            due_at=self.at,
            patient_ref=self.patient.ref,
            by=BY,
            at=self.at,
        )

    @cached_property
    def enquiry(self):
        return receive_enquiry(
            location=self.location,
            given_name="Noa",
            family_name=FAMILY_NAME,
            email="noa@mail.example",
            phone="",
            concerns=["acne_scars"],
            note="",
            form_key=uuid.uuid4(),
            by=Actor.visitor(),
            at=self.at,
        )

    @cached_property
    def newcomer(self):
        """Somebody whose answers are being given and read."""
        return make_patient(self.location, "Eli", FAMILY_NAME)

    @cached_property
    def response(self):
        return start_response(patient=self.newcomer, by=BY, at=self.at)

    @cached_property
    def group(self) -> str:
        """The first screen of the questionnaire."""
        return asked_groups(questionnaire_of(self.response), {})[0].key

    @cached_property
    def frozen(self):
        return self.screening.response

    @cached_property
    def screening(self):
        return make_screening(self.patient, at=self.at, cold_sores="yes")

    @cached_property
    def decision(self) -> CandidacyDecision:
        return self.clinic.course.decision

    @cached_property
    def condition(self):
        """A task that a decision about ablative laser to the face raised."""
        screening = make_screening(self.newcomer, "afl_co2", at=self.at)
        decision = decide(
            screening=screening, kind="proceed", reason="Fits.", conditions=[], by=self.clinic.by, at=self.at
        )
        return decision_tasks(decision)[0]

    @cached_property
    def consent(self):
        return self.clinic.consent

    @cached_property
    def course(self):
        return self.clinic.course

    @cached_property
    def done(self):
        """The treatment of three days ago, with its check-ins and messages."""
        session = treated_area(self.clinic, self.treated_at)
        return finish_treatment(
            session=session,
            completed_at=self.treated_at + timedelta(minutes=40),
            record=RECORD,
            by=self.clinic.by,
            at=self.treated_at + timedelta(minutes=41),
        )

    @cached_property
    def appointment(self):
        """Today's visit, the patient has arrived."""
        practitioner = self.clinic.practitioner
        return make_visit(self.patient, self.course, practitioner, self.clinic.device, self.at)

    @cached_property
    def session(self):
        """Opened, not started."""
        return open_session(appointment=self.appointment, by=self.clinic.by, at=self.at)

    @cached_property
    def passed(self):
        """What fills the hole of one group of passes."""
        return self.done.passes.get().form_key

    @cached_property
    def checkin(self):
        return self.done.checkins.order_by("day").first()

    @cached_property
    def alarm(self):
        """Raised by a red answer."""
        answer_checkin(
            checkin=self.done.checkins.order_by("day").last(),
            answers={"eye": "vision_change"},
            is_complete=False,
            by=Actor.patient(self.patient.ref, self.patient.full_name),
            at=self.at,
        )
        return Escalation.objects.get()

    @cached_property
    def event(self):
        """An adverse event that the alarm brought to light."""
        return record_adverse_event(
            escalation=self.alarm,
            term="blister",
            grade=1,
            relatedness="possible",
            onset_on=self.at.astimezone(self.location.zone).date(),
            by=self.clinic.by,
            at=self.at,
        )

    def _sent(self, patient) -> Photo:
        return add_photo(
            patient=patient,
            data=saved(),
            area=BodyArea.objects.get(key="full_face"),
            angle="frontal",
            taken_on=self.at.astimezone(self.location.zone).date(),
            source="patient",
            by=Actor.patient(patient.ref, patient.full_name),
            at=self.at,
        )

    @cached_property
    def photo(self) -> Photo:
        """A photo in the patient's record."""
        return self._sent(self.patient)

    @cached_property
    def sent_photo(self) -> Photo:
        """A photo that came with the answers."""
        return self._sent(self.newcomer)

    @cached_property
    def pack(self) -> RulePack:
        """The rules in force, which belong to the whole clinic."""
        return published(PackKind.CANDIDACY, "candidacy")

    @cached_property
    def draft(self) -> RulePack:
        """A change that the lead clinician is working on."""
        return start_draft(pack=self.pack, by=Actor.staff(self.people[Role.LEAD_CLINICIAN]), at=self.at)

    rule = "R05"
    contact_kind = "email"

    @cached_property
    def care_draft(self) -> RulePack:
        """A change to the messages around a treatment that the lead clinician is working on."""
        pack = published(PackKind.CARE, "afl")
        return start_draft(pack=pack, by=Actor.staff(self.people[Role.LEAD_CLINICIAN]), at=self.at)

    step = "reminder_24h"

    @cached_property
    def triage_draft(self) -> RulePack:
        """A change to the triage of check-ins that the lead clinician is working on."""
        pack = published(PackKind.TRIAGE, "triage")
        return start_draft(pack=pack, by=Actor.staff(self.people[Role.LEAD_CLINICIAN]), at=self.at)

    range_table, range_part = "level", "U1"

    @cached_property
    def letter_draft(self) -> RulePack:
        """Words of a letter that the lead clinician is working on."""
        by = Actor.staff(self.people[Role.LEAD_CLINICIAN])
        return start_letter(template=self.template, language=Language.ENGLISH, by=by, at=self.at)

    template, language = "reminder", "en"

    @cached_property
    def message(self) -> Message:
        return self.done and Message.objects.filter(patient=self.patient).order_by("due_at").last()
