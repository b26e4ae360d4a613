import uuid
from datetime import date, timedelta

import pytest

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.transitions import IllegalMove
from patients.enquiries import actions
from patients.enquiries.actions import (
    ConcernUnknown,
    NoteTooLong,
    NoWayToAnswer,
    ReasonMissing,
    close_enquiry,
    convert_enquiry,
    mark_contacted,
    receive_enquiry,
    reopen_enquiry,
)
from patients.enquiries.models import Enquiry
from patients.enquiries.states import ENQUIRY_TRANSITIONS, EnquiryStatus
from patients.intake.actions import renew_link, send_intake_link
from patients.intake.models import QuestionnaireResponse
from patients.messaging.models import Message
from patients.registry.actions import issue_link, revoke_links
from patients.registry.models import Patient
from patients.registry.queries import contact_for
from patients.registry.rules import BirthDateRefused, EmailRefused, NameRefused, PhoneRefused
from patients.registry.states import LinkScope
from tests.factories.people import NOW, make_patient

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("knowledge")]
MIA = Actor.command("desk")
VISITOR = Actor.visitor()
BORN = date(1988, 5, 14)


def receive(place, **fields):
    wanted = {
        "given_name": "Ana",
        "family_name": "Reyes",
        "email": "ana@mail.example",
        "phone": "",
        "concerns": ["acne_scars"],
        "note": "Can you help?",
        "form_key": uuid.uuid4(),
        **fields,
    }
    return receive_enquiry(location=place, **wanted, by=VISITOR, at=NOW)


def convert(enquiry, **fields):
    wanted = {
        "given_name": "Ana",
        "family_name": "Reyes",
        "born_on": BORN,
        "email": "ana@mail.example",
        "phone": "",
        **fields,
    }
    return convert_enquiry(enquiry=enquiry, **wanted, by=MIA, at=NOW)


def fail_at(monkeypatch, action):
    real = actions.record

    def record(**kwargs):
        if kwargs["action"] == action:
            raise ZeroDivisionError
        return real(**kwargs)

    monkeypatch.setattr(actions, "record", record)


def test_an_enquiry_waits_on_the_desks_list(place):
    enquiry = receive(place, phone="07700 900123", concerns=["melasma", "acne_scars", "melasma"])

    assert (enquiry.status, enquiry.full_name, enquiry.received_at) == ("new", "Ana Reyes", NOW)
    assert (enquiry.email, enquiry.phone) == ("ana@mail.example", "+447700900123")
    assert enquiry.concerns == ["melasma", "acne_scars"]
    event = AuditEvent.objects.get(action="enquiry.received")
    assert event.actor_kind == "visitor"
    assert "melasma" not in str(event.detail)


def test_a_double_tap_is_one_enquiry(place):
    key = uuid.uuid4()

    assert receive(place, form_key=key) == receive(place, form_key=key, family_name="Other")
    assert Enquiry.objects.count() == 1


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_taps_at_the_same_instant_are_one_enquiry(place):
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    from django.db import connection

    key, barrier = uuid.uuid4(), Barrier(6)

    def tap(_):
        barrier.wait()
        try:
            return receive(place, form_key=key).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(tap, range(6)))) == 1
    assert Enquiry.objects.count() == 1
    assert AuditEvent.objects.filter(action="enquiry.received").count() == 1


@pytest.mark.parametrize(
    ("fields", "refusal", "field"),
    [
        ({"family_name": " "}, NameRefused, "family_name"),
        ({"family_name": "A" * 10_000}, NameRefused, "family_name"),
        ({"email": "ana"}, EmailRefused, "email"),
        ({"phone": "12"}, PhoneRefused, "phone"),
        ({"email": "", "phone": " "}, NoWayToAnswer, "email"),
        ({"concerns": ["acne_scars", "world_peace"]}, ConcernUnknown, "concerns"),
        ({"note": "A" * 2001}, NoteTooLong, "note"),
    ],
)
def test_an_unusable_enquiry_is_refused_at_its_field_and_nothing_stays(place, fields, refusal, field):
    with pytest.raises(refusal) as refused:
        receive(place, **fields)

    assert refused.value.field == field
    assert (Enquiry.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_when_the_trail_fails_the_enquiry_is_not_kept(place, monkeypatch):
    fail_at(monkeypatch, "enquiry.received")

    with pytest.raises(ZeroDivisionError):
        receive(place)

    assert Enquiry.objects.count() == 0


def test_the_desk_answers_closes_and_reopens(place):
    enquiry = mark_contacted(enquiry=receive(place), by=MIA, at=NOW)
    assert enquiry.status == "contacted"

    enquiry = close_enquiry(enquiry=enquiry, reason="  Lives\ntoo far away ", by=MIA, at=NOW)
    assert (enquiry.status, enquiry.closed_reason) == ("closed", "Lives too far away")

    enquiry = reopen_enquiry(enquiry=enquiry, by=MIA, at=NOW)
    assert (enquiry.status, enquiry.closed_reason) == ("new", "")


def test_closing_needs_a_reason(place):
    enquiry = receive(place)

    with pytest.raises(ReasonMissing) as refused:
        close_enquiry(enquiry=enquiry, reason=" \n", by=MIA, at=NOW)

    assert refused.value.field == "reason"
    enquiry.refresh_from_db()
    assert enquiry.status == "new"


ACTS = {
    EnquiryStatus.CONTACTED: lambda enquiry: mark_contacted(enquiry=enquiry, by=MIA, at=NOW),
    EnquiryStatus.CLOSED: lambda enquiry: close_enquiry(enquiry=enquiry, reason="Spam", by=MIA, at=NOW),
    EnquiryStatus.NEW: lambda enquiry: reopen_enquiry(enquiry=enquiry, by=MIA, at=NOW),
    EnquiryStatus.CONVERTED: lambda enquiry: convert(enquiry),
}


@pytest.mark.parametrize("status", list(EnquiryStatus))
@pytest.mark.parametrize("wanted", list(EnquiryStatus))
def test_every_act_is_refused_from_every_state_the_table_does_not_list(place, status, wanted):
    enquiry = receive(place)
    if status != EnquiryStatus.NEW:
        if status == EnquiryStatus.CONVERTED:
            convert(enquiry)
        else:
            ACTS[status](enquiry)
    before = (Patient.objects.count(), Message.objects.count())

    if wanted in ENQUIRY_TRANSITIONS[status]:
        ACTS[wanted](enquiry)
        assert Enquiry.objects.get().status == wanted
    else:
        with pytest.raises(IllegalMove):
            ACTS[wanted](enquiry)
        assert Enquiry.objects.get().status == status
        assert (Patient.objects.count(), Message.objects.count()) == before


def test_a_converted_enquiry_is_a_patient_with_an_open_form_and_a_link_on_its_way(place):
    enquiry = receive(place)

    patient = convert(enquiry, phone="07700 900123")

    enquiry.refresh_from_db()
    assert (enquiry.status, enquiry.patient, patient.location) == ("converted", patient, place)
    response = QuestionnaireResponse.objects.get(patient=patient)
    assert response.status == "in-progress"
    message = Message.objects.get()
    assert (message.template, message.patient, message.link_scope) == ("intake_invitation", patient, "intake")
    assert message.link_about == f"response:{response.ref}"
    assert message.due_at >= NOW


def test_converting_to_somebody_we_know_adds_only_what_was_missing(place):
    ana = make_patient(place, phone="")
    enquiry = receive(place, phone="07700 900123")

    patient = convert(
        enquiry, existing=ana, given_name="Anna", born_on=None, email="other@mail.example", phone="07700 900123"
    )

    assert patient == ana
    assert (patient.given_name, Patient.objects.count()) == ("Ana", 1)
    assert contact_for(ana, "email").value == "ana.reyes@mail.example"
    assert contact_for(ana, "phone").value == "+447700900123"
    assert Message.objects.filter(patient=ana).count() == 1


def test_an_unusable_birth_date_leaves_the_enquiry_as_it_was(place):
    enquiry = receive(place)

    with pytest.raises(BirthDateRefused):
        convert(enquiry, born_on=date(2030, 1, 1))

    enquiry.refresh_from_db()
    assert (enquiry.status, Patient.objects.count()) == ("new", 0)


def test_when_the_message_cannot_be_planned_nothing_of_the_conversion_stays(place, monkeypatch):
    enquiry = receive(place)
    monkeypatch.setattr("patients.intake.actions.queue_message", lambda **kwargs: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        convert(enquiry)

    enquiry.refresh_from_db()
    assert enquiry.status == "new"
    assert (Patient.objects.count(), QuestionnaireResponse.objects.count(), Message.objects.count()) == (0, 0, 0)


def test_sending_the_link_again_keeps_the_form_and_one_waiting_message(ana):
    first = send_intake_link(patient=ana, by=MIA, at=NOW)
    second = send_intake_link(patient=ana, by=MIA, at=NOW + timedelta(minutes=1))

    assert first == second
    assert QuestionnaireResponse.objects.filter(patient=ana).count() == 1


# --- new links for old ones ------------------------------------------------------------------------------------------


def old_link(ana, scope=LinkScope.CHECKIN):
    link, url = issue_link(patient=ana, scope=scope, about="checkin:7", by=MIA, at=NOW)
    return link, url.rstrip("/").rpartition("/")[2]


def ask_anew(token, at):
    return renew_link(token=token, by=VISITOR, at=at)


def test_an_expired_link_sends_a_new_one_of_the_same_kind_to_the_contact_on_file(ana):
    link, token = old_link(ana)

    ask_anew(token, link.expires_at)

    message = Message.objects.get()
    assert (message.patient, message.template) == (ana, "new_link")
    assert (message.link_scope, message.link_about) == ("checkin", "checkin:7")


def test_asking_again_and_again_sends_one_a_day(ana):
    link, token = old_link(ana)

    for minutes in (0, 1, 600):
        ask_anew(token, link.expires_at + timedelta(minutes=minutes))
    Message.objects.update(status="sent", sent_at=NOW)
    ask_anew(token, link.expires_at + timedelta(minutes=601))
    assert Message.objects.count() == 1

    ask_anew(token, link.expires_at + timedelta(days=1))
    assert Message.objects.count() == 2


def test_nothing_is_sent_for_links_that_are_good_revoked_locked_or_unknown(ana):
    link, token = old_link(ana)
    ask_anew(token, link.expires_at - timedelta(seconds=1))
    ask_anew("a" * 43, link.expires_at)
    link.locked_at = NOW
    link.save()
    ask_anew(token, link.expires_at)
    link.locked_at = None
    link.save()
    revoke_links(about="checkin:7", by=MIA, at=NOW)
    ask_anew(token, link.expires_at)

    assert Message.objects.count() == 0
