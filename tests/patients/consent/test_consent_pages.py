"""Reading and signing on a phone, and the clinic's page: what each shows, refuses and keeps."""

import io
import re
from datetime import timedelta

import pypdf
import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.pdf import can_make_pdf
from clinic.staff.states import Role
from clinic.worklist.models import Task
from patients.consent.actions import ask_consent, ask_question, note_read, sign_consent, void_changed_plan
from patients.consent.models import Consent, ConsentWording
from patients.consent.queries import wording_in_force
from patients.registry.access import KEY
from patients.registry.actions import issue_link, revoke_links
from tests.factories.people import make_location, make_patient, make_user

pytestmark = pytest.mark.django_db
PLAN = {"modality": "afl_co2", "areas": ["full_face", "neck"], "sessions": 3}
SYSTEM = Actor.task("test")


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


@pytest.fixture
def ana():
    return make_patient(make_location())


@pytest.fixture
def at():
    return timezone.now()


@pytest.fixture
def consent(ana, at):
    return ask_consent(
        patient=ana, scope="treatment", about="course:1", plan=PLAN, group="AFL", by=SYSTEM, at=at - timedelta(hours=1)
    )


class Phone:
    """A patient's browser that opened a link to a consent."""

    def __init__(self, patient, about, at):
        self.link, _ = issue_link(patient=patient, scope="consent", about=about, by=SYSTEM, at=at)
        self.client = Client()
        session = self.client.session
        now = int(at.timestamp())
        session[KEY] = {str(self.link.ref): {"opened": now, "used": now}}
        session.save()
        self.client.cookies["sessionid"] = session.session_key

    def get(self, name="consent"):
        return self.client.get(reverse(name, args=[self.link.ref]))

    def post(self, name="consent", **fields):
        return self.client.post(reverse(name, args=[self.link.ref]), fields)


@pytest.fixture
def phone(ana, consent, at):
    return Phone(ana, f"consent:{consent.ref}", at)


def main_of(answer):
    return answer.content.decode().partition("<main")[2].partition("</main>")[0]


def ticks(consent, *, but=()):
    return {f"risk_{risk['key']}": "on" for risk in consent.wording.body["risks"] if risk["key"] not in but}


def shown_on(answer):
    return re.search(r'name="shown" value="([0-9a-f]{64})"', answer.content.decode())[1]


def read(phone, consent):
    note_read(consent=consent, by=SYSTEM, at=timezone.now())
    return phone.get()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_summary_comes_first_and_the_plan_in_words(phone, consent):
    text = main_of(phone.get())

    assert "Plan 5 to 14 days to heal." in text
    assert "Whole face, Neck" in text
    assert 'type="checkbox"' not in text
    consent.refresh_from_db()
    assert consent.first_read_at is None


def test_going_on_is_on_record_and_shows_each_risk_with_a_box_of_its_own(phone, consent):
    answer = phone.post("consent_read")

    assert (answer.status_code, answer["Location"]) == (302, reverse("consent", args=[phone.link.ref]))
    text = main_of(phone.get())
    assert text.count('type="checkbox"') == len(consent.wording.body["risks"])
    assert text.count("<strong>Serious:</strong>") == sum(risk["serious"] for risk in consent.wording.body["risks"])
    consent.refresh_from_db()
    assert consent.first_read_at is not None


def test_get_changes_nothing(phone, consent):
    before = AuditEvent.objects.count()

    for name in ("consent", "consent_copy"):
        phone.get(name)
    for name in ("consent_read", "consent_question", "consent_decline", "consent_withdraw"):
        assert phone.get(name).status_code == 405

    consent.refresh_from_db()
    assert (consent.status, consent.first_read_at, AuditEvent.objects.count()) == ("proposed", None, before)


def test_a_question_goes_to_the_clinicians_and_is_shown_as_sent(phone, consent):
    read(phone, consent)

    refused = phone.post("consent_question", questions="  ")
    assert refused.status_code == 422
    assert "Please write your question first." in main_of(refused)
    phone.post("consent_question", questions="May I swim?")

    assert "May I swim?" in main_of(phone.get())
    assert Task.objects.get().kind == "consent.question"


# --- signing ----------------------------------------------------------------------------------------------------------


def test_signing_leads_to_the_copy(phone, consent):
    page = read(phone, consent)

    answer = phone.post(**ticks(consent), signed_name="Ana Reyes", signed_as="patient", shown=shown_on(page))

    assert (answer.status_code, answer["Location"]) == (302, reverse("consent_copy", args=[phone.link.ref]))
    text = main_of(phone.get("consent_copy"))
    assert "Signed. This is your copy." in text
    assert text.count("Ticked") == len(consent.wording.body["risks"])
    consent.refresh_from_db()
    assert consent.signed_sha256 in text


def test_a_drawing_is_on_the_copy_as_it_was_drawn(phone, consent):
    page = read(phone, consent)

    phone.post(**ticks(consent), signature="[[[0.1,0.5],[0.5,0.25],[0.9,0.5]]]", signed_name="", signed_as="patient",
               shown=shown_on(page))  # fmt: skip

    assert '<polyline points="60.0,100.0 300.0,50.0 540.0,100.0">' in main_of(phone.get("consent_copy"))


@pytest.mark.parametrize(
    ("fields", "sentence", "place"),
    [
        ({"untick": ["scars"]}, "Please tick this when you have read it.", "id_risk_scars_error"),
        ({"signed_name": " "}, "Please draw your signature, or type your full name.", "id_signed_name_error"),
        ({"signature": "[[[0.1,9]]]"}, "The drawing did not arrive whole.", "id_signature_error"),
        ({"signature": "{{"}, "The drawing did not arrive whole.", "id_signature_error"),
        ({"signed_name": "x" * 201}, "Please keep the name to 200 characters.", "id_signed_name_error"),
    ],
)
def test_a_refused_signature_keeps_everything_and_says_what_is_wrong_at_its_place(
    phone, consent, fields, sentence, place
):
    page = read(phone, consent)
    untick = fields.pop("untick", [])
    typed = {"signed_name": "Ana of Old Street", "signed_as": "patient", "signature": "", "shown": shown_on(page)}

    answer = phone.post(**ticks(consent, but=untick), **{**typed, **fields})

    text = main_of(answer)
    assert answer.status_code == 422
    assert sentence in text
    assert f'id="{place}"' in text
    assert ("Ana of Old Street" in text) == ("signed_name" not in fields)
    assert text.count(" checked") == len(consent.wording.body["risks"]) - len(untick)
    consent.refresh_from_db()
    assert consent.status == "proposed"


def test_a_drawing_survives_a_refusal(phone, consent):
    page = read(phone, consent)

    answer = phone.post(signature="[[[0.1,0.5],[0.9,0.5]]]", signed_name="", signed_as="patient", shown=shown_on(page))

    assert answer.status_code == 422
    assert 'value="[[[0.1,0.5],[0.9,0.5]]]"' in answer.content.decode()


def test_signing_twice_signs_once(phone, consent):
    page = read(phone, consent)
    fields = {**ticks(consent), "signed_name": "Ana Reyes", "signed_as": "patient", "shown": shown_on(page)}

    phone.post(**fields)
    again = phone.post(**{**fields, "signed_name": "Somebody Else"})

    assert (again.status_code, again["Location"]) == (302, reverse("consent", args=[phone.link.ref]))
    assert Consent.objects.get().signed_name == "Ana Reyes"


def test_a_plan_changed_while_the_page_was_open_is_said_and_not_signed(phone, consent):
    page = read(phone, consent)
    void_changed_plan(about="course:1", plan=PLAN | {"sessions": 9}, by=SYSTEM, at=timezone.now())

    answer = phone.client.post(
        reverse("consent", args=[phone.link.ref]),
        {**ticks(consent), "signed_name": "Ana Reyes", "signed_as": "patient", "shown": shown_on(page)},
        follow=True,
    )

    assert "The plan has changed since you opened this page." in answer.content.decode()
    assert "This is no longer in force" in answer.content.decode()
    assert Consent.objects.get().signed_at is None


def test_during_the_time_to_think_there_is_nothing_to_sign_with(ana, at):
    words = wording_in_force("treatment", "AFL", "en")
    ConsentWording.objects.filter(pk=words.pk).update(is_current=False)
    ConsentWording.objects.create(
        scope="treatment", group="AFL", language="en", version=99, body=words.body, sha256="1" * 64,
        reflection_hours=24, created_at=at,
    )  # fmt: skip
    consent = ask_consent(patient=ana, scope="treatment", about="course:1", plan=PLAN, group="AFL", by=SYSTEM, at=at)
    phone = Phone(ana, f"consent:{consent.ref}", at)

    text = main_of(read(phone, consent))

    assert "Take your time" in text
    assert "signed_name" not in text
    forced = phone.post(**ticks(consent), signed_name="Ana Reyes", signed_as="patient", shown="0" * 64)
    assert forced.status_code == 302  # what was shown is not what would be signed
    consent.refresh_from_db()
    assert consent.status == "proposed"


# --- saying no, taking back -------------------------------------------------------------------------------------------


def test_saying_no_is_one_tap_and_kindly_answered(phone, consent):
    phone.post("consent_decline")

    assert "Thank you for telling us." in main_of(phone.get())
    consent.refresh_from_db()
    assert consent.status == "rejected"
    phone.post("consent_decline")  # a second tap
    assert Task.objects.count() == 1


def test_taking_back_by_link_acts_at_once_and_keeps_the_copy(phone, consent):
    sign_consent(
        consent=consent, risks_ticked=[risk["key"] for risk in consent.wording.body["risks"]], questions="",
        signed_name="Ana Reyes", signed_as="patient", signature=[], by=SYSTEM, at=timezone.now(),
    )  # fmt: skip

    phone.post("consent_withdraw", reason="I changed my mind.")

    consent.refresh_from_db()
    assert (consent.status, consent.reason) == ("inactive", "I changed my mind.")
    assert "This is no longer in force" in main_of(phone.get())
    assert "This consent is no longer in force." in main_of(phone.get("consent_copy"))
    assert [task.title for task in Task.objects.all()] == ["Hold the visits of Ana Reyes: consent was withdrawn"]


# --- whose page it is -------------------------------------------------------------------------------------------------


def test_a_link_shows_only_its_own_patients_consent(ana, consent, at):
    uma = make_patient(ana.location, "Uma", email="uma@mail.example")
    stolen = Phone(uma, f"consent:{consent.ref}", at)
    lost = Phone(ana, "consent:00000000-0000-4000-8000-000000000000", at)
    odd = Phone(ana, "consent:nonsense", at)

    for phone in (stolen, lost, odd):
        assert phone.get().status_code == 404
        assert phone.post("consent_read").status_code == 404
        assert phone.post(signed_name="Ana").status_code == 404


def test_a_revoked_link_closes_the_page(phone, consent):
    revoke_links(about=f"consent:{consent.ref}", by=SYSTEM, at=timezone.now())

    answer = phone.get()
    assert answer.status_code == 403
    assert "Reyes" not in answer.content.decode()


# --- the clinic's page ------------------------------------------------------------------------------------------------


def staff_client(ana, role):
    client = Client()
    client.force_login(make_user(f"A {role.label}", role, location=ana.location))
    return client


@pytest.mark.parametrize(("role", "sees"), [(Role.FRONT_DESK, False), (Role.MANAGER, False), (Role.CLINICIAN, True)])
def test_what_the_patient_asked_is_for_the_clinicians_only(ana, consent, role, sees):
    ask_question(consent=consent, question="Is it bad with my psoriasis?", by=SYSTEM, at=timezone.now())

    text = staff_client(ana, role).get(reverse("consent_record", args=[consent.ref])).content.decode()

    assert "Asked for" in text
    assert ("Is it bad with my psoriasis?" in text) is sees


def test_the_desk_records_a_withdrawal_with_how_it_came(ana, consent):
    client = staff_client(ana, Role.FRONT_DESK)
    url = reverse("consent_revoke", args=[consent.ref])

    refused = client.post(url, {"reason": " "})
    assert refused.status_code == 422
    assert "Please write how the patient withdrew, and when." in refused.content.decode()
    assert client.post(url, {"reason": "Rang at 11."}).status_code == 302

    consent.refresh_from_db()
    assert (consent.status, consent.reason) == ("inactive", "Rang at 11.")
    late = client.post(url, {"reason": "Rang again."})
    assert late.status_code == 422
    assert "already" in late.content.decode()


def test_an_altered_row_raises_its_voice(ana, consent):
    sign_consent(
        consent=consent, risks_ticked=[risk["key"] for risk in consent.wording.body["risks"]], questions="",
        signed_name="Ana Reyes", signed_as="patient", signature=[], by=SYSTEM, at=timezone.now(),
    )  # fmt: skip
    client = staff_client(ana, Role.CLINICIAN)
    url = reverse("consent_record", args=[consent.ref])
    assert "were altered" not in client.get(url).content.decode()

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE patients_consent SET signed_name = 'Mallory'")
        cursor.execute("SET session_replication_role = origin")

    assert "were altered" in client.get(url).content.decode()


def test_a_desk_elsewhere_finds_nothing(ana, consent):
    client = Client()
    client.force_login(make_user("Far Away", Role.FRONT_DESK, location=make_location("Lisbon", "Europe/Lisbon")))

    assert client.get(reverse("consent_record", args=[consent.ref])).status_code == 404
    assert client.post(reverse("consent_revoke", args=[consent.ref]), {"reason": "x"}).status_code == 404


# --- the copy as a PDF ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not can_make_pdf(), reason="this machine lacks Pango: apt install libpango-1.0-0 libpangoft2-1.0-0")
def test_the_copy_can_be_kept_as_a_pdf_by_the_same_link(phone, consent):
    assert phone.get("consent_pdf")["Location"] == reverse("consent", args=[phone.link.ref])  # nothing is signed yet
    page = read(phone, consent)
    phone.post(**ticks(consent), signature="[[[0.1,0.5],[0.5,0.25]]]", signed_name="Ana Reyes", signed_as="patient",
               shown=shown_on(page))  # fmt: skip
    signed = Consent.objects.get(pk=consent.pk)

    assert reverse("consent_pdf", args=[phone.link.ref]) in main_of(phone.get("consent_copy"))
    pdf = phone.get("consent_pdf")
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf.content)).pages)

    whole = "".join(text.split())
    assert "".join(signed.wording.body["title"].split()) in whole
    assert signed.signed_sha256 in whole
    assert f"Name{''.join(signed.signed_name.split())}" in whole
    assert whole.count("Ticked") == len(signed.wording.body["risks"])
    assert pdf["Content-Disposition"] == f'attachment; filename="copy-{str(signed.ref)[:8]}.pdf"'


def test_where_no_pdf_can_be_made_the_copy_can_be_printed(phone, consent, monkeypatch):
    monkeypatch.setattr("clinic.pdf._engine", lambda: None)
    page = read(phone, consent)
    phone.post(**ticks(consent), signed_name="Ana Reyes", signed_as="patient", shown=shown_on(page))

    copy = main_of(phone.get("consent_copy"))

    assert reverse("consent_pdf", args=[phone.link.ref]) not in copy
    assert "Print or save" in copy
    assert phone.get("consent_pdf")["Location"] == reverse("consent_copy", args=[phone.link.ref])
