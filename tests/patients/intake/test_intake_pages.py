"""The questionnaire as pages: by the patient through a link, and by staff during a call."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.staff.states import Role
from patients.intake.actions import complete_response, save_answer, start_response
from patients.intake.models import Answer
from patients.intake.queries import asked_groups, critical_unanswered, latest_answers, questionnaire_of
from patients.registry.actions import issue_link
from patients.registry.states import LinkScope
from tests.factories.people import make_location, make_patient, make_user
from tests.patients.intake.test_intake_answers import easy_raw

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("knowledge")]
BY = Actor.command("desk")
RIGHT = {"born_on_day": "14", "born_on_month": "5", "born_on_year": "1988"}


class Form:
    """A patient's browser with the questionnaire open."""

    def __init__(self, patient):
        self.response = start_response(patient=patient, by=BY, at=timezone.now())
        about = f"response:{self.response.ref}"
        self.link, self.address = issue_link(
            patient=patient, scope=LinkScope.INTAKE, about=about, by=BY, at=timezone.now()
        )
        self.client = self.another_phone()

    def another_phone(self):
        client = Client()
        client.post("/l/" + self.address.rstrip("/").rpartition("/")[2] + "/", RIGHT)
        return client

    def url(self, name, *args):
        return reverse(name, args=[self.link.ref, *args])

    def page(self, group, client=None):
        return (client or self.client).get(self.url("intake_group", group)).content.decode()

    def save(self, question, value="", was='""', client=None, **boxes):
        data = {"question": question, question: value, "was": was, **boxes}
        return (client or self.client).post(self.url("intake_save"), data)

    def go_on(self, group, client=None, **fields):
        """Press Continue on a screen as it is shown to this phone, with these fields filled in."""
        hidden = dict(re.findall(r'name="(was-[a-z0-9_]+)" value="([^"]*)"', self.page(group, client)))
        data = {name: value.replace("&quot;", '"') for name, value in hidden.items()}
        return (client or self.client).post(self.url("intake_group", group), {**data, **fields})

    @property
    def answers(self):
        return latest_answers(self.response)


@pytest.fixture
def form(ana):
    return Form(ana)


# --- screen by screen -------------------------------------------------------------------------------------------------


def test_every_screen_shows_its_questions_why_they_are_asked_and_the_way_back(form):
    questionnaire = questionnaire_of(form.response)
    for group in asked_groups(questionnaire, form.answers):
        page = form.page(group.key)
        for question in group.questions:
            assert _text(question.label) in page
            assert _text(question.why) in page
            assert ("I am not sure" in page) or not question.offers_unknown
        assert "Back" in page
        assert "Step " in page


def _text(words):
    from django.utils.html import escape

    return escape(words)


def test_continue_saves_the_screen_and_leads_to_the_next_one_to_the_check(form):
    questionnaire = questionnaire_of(form.response)
    group, seen = asked_groups(questionnaire, form.answers)[0].key, []
    while group:
        seen.append(group)
        fields = {q.key: easy_raw(q) for q in asked_groups_of(form, group)}
        answer = form.go_on(group, **fields)
        assert answer.status_code == 302
        found = re.fullmatch(rf"/my/{form.link.ref}/intake/([a-z0-9_]+)/", answer["Location"])
        group = "" if found[1] == "check" else found[1]

    assert seen == [g.key for g in asked_groups(questionnaire, form.answers)]
    assert critical_unanswered(questionnaire, form.answers) == ()
    check = form.client.get(form.url("intake_check")).content.decode()
    assert "Send my answers" in check
    assert form.url("intake_submit") in check


def asked_groups_of(form, key):
    groups = asked_groups(questionnaire_of(form.response), form.answers)
    return next(group for group in groups if group.key == key).questions


def test_a_screen_may_be_left_blank_and_the_check_says_what_is_still_needed(form):
    answer = form.go_on("cold_sores")

    assert answer.status_code == 302
    check = form.client.get(form.url("intake_check")).content.decode()
    assert "still need an answer" in check
    assert "Have you ever had a cold sore?" in check
    assert "Send my answers" not in check


def test_what_is_wrong_stands_at_its_question_and_the_rest_is_saved(form):
    answer = form.go_on(
        "sun", tan_present="none", **{"sun_exposure_last-day": "31", "sun_exposure_last-month": "2",
                                      "sun_exposure_last-year": "2026"}, self_tanner_last="never",
    )  # fmt: skip

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "There is no such day in that month." in page
    assert 'value="31"' in page
    assert form.answers["tan_present"] == "none"
    assert form.answers["self_tanner_last"] == "never"
    assert "sun_exposure_last" not in form.answers


def test_a_date_and_never_together_are_asked_to_be_one(form):
    answer = form.save(
        "sun_exposure_last",
        "never",
        **{"sun_exposure_last-day": "1", "sun_exposure_last-month": "2", "sun_exposure_last-year": "2026"},
    )

    assert answer.status_code == 422
    assert "keep one" in answer.json()["error"]


def test_an_answer_that_brings_up_a_question_shows_the_screen_again(form):
    assert "hidden" in re.search(r'<fieldset[^>]*id="q-isotretinoin_last"[^>]*>', form.page("isotretinoin"))[0]

    answer = form.go_on("isotretinoin", isotretinoin="stopped")

    assert answer["Location"] == form.url("intake_group", "isotretinoin")
    fieldset = re.search(r'<fieldset[^>]*id="q-isotretinoin_last"[^>]*>', form.page("isotretinoin"))[0]
    assert "hidden" not in fieldset


def test_changing_from_the_check_leads_back_to_it(form):
    answer = form.go_on("smoking", smoking="never", then="check")

    assert answer["Location"] == form.url("intake_check")


@pytest.mark.parametrize("group", ["no_such_screen", "age", "plan", "confirm", "x" * 300])
def test_there_are_no_other_screens(form, group):
    assert form.client.get(form.url("intake_group", group)).status_code == 404
    assert form.client.post(form.url("intake_group", group), {}).status_code == 404


# --- one answer at a time ---------------------------------------------------------------------------------------------


def test_an_answer_is_saved_when_given_with_the_clock_of_the_clinic():
    ana = make_patient(make_location("Lisbon", "Europe/Lisbon", phone="+351210000000"))
    form = Form(ana)

    with time_machine.travel(timezone.now(), tick=False):
        told = form.save("smoking", "never").json()
        now = timezone.now().astimezone(ana.location.zone)

    assert told["saved"] == now.strftime("%H:%M")
    assert (told["notice"], told["asked"]) == ("", ["smoking"])
    assert form.answers["smoking"] == "never"
    assert 'value="never" id="smoking-never-is" checked' in form.page("smoking")


def test_saving_tells_which_questions_of_the_screen_apply_now(form):
    assert form.save("isotretinoin", "stopped").json()["asked"] == ["isotretinoin", "isotretinoin_last"]
    assert form.save("isotretinoin", "never").json()["asked"] == ["isotretinoin"]


@pytest.mark.parametrize(
    ("question", "value", "status"),
    [
        ("no_such_question", "yes", 422),
        ("age_years", "12", 422),
        ("modality", "afl_co2", 422),
        ("smoking", "perhaps", 422),
        ("smoking", "x" * 10_000, 422),
        ("", "", 422),
    ],
)
def test_what_is_no_answer_is_refused_with_a_sentence(form, question, value, status):
    answer = form.save(question, value)

    assert answer.status_code == status
    assert answer.json()["error"]
    assert set(form.answers) == {"age_years"}


def test_a_form_sent_in_takes_no_more_answers(form):
    for question in critical_unanswered(questionnaire_of(form.response), form.answers):
        save_answer(response=form.response, question=question.key, raw=easy_raw(question), by=BY, at=timezone.now())
    complete_response(response=form.response, by=BY, at=timezone.now())

    answer = form.save("smoking", "never")

    assert answer.status_code == 409
    assert "already been sent in" in answer.json()["error"]
    for name, args in [("intake", []), ("intake_check", []), ("intake_group", ["smoking"])]:
        assert form.client.get(form.url(name, *args))["Location"] == form.url("intake_done")


def test_saving_takes_post_alone_and_the_forms_own_token(form):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = form.client.cookies

    assert form.client.get(form.url("intake_save")).status_code == 405
    assert strict.post(form.url("intake_save"), {"question": "smoking", "smoking": "never"}).status_code == 403
    assert "smoking" not in form.answers


# --- two phones, one form ---------------------------------------------------------------------------------------------


def test_two_phones_lose_nothing_and_the_last_answer_counts_with_a_notice(form):
    other = form.another_phone()
    form.save("smoking", "never")

    told = form.save("smoking", "ex", was='""', client=other).json()

    assert "given elsewhere" in told["notice"]
    assert form.answers["smoking"] == "ex"
    assert list(Answer.objects.filter(question="smoking").values_list("value", flat=True)) == ["never", "ex"]


def test_continue_on_a_stale_page_does_not_undo_what_the_other_phone_said(form):
    other = form.another_phone()
    stale = dict(re.findall(r'name="(was-[a-z0-9_]+)" value="([^"]*)"', form.page("conditions", other)))
    stale = {name: value.replace("&quot;", '"') for name, value in stale.items()}
    form.save("diabetes", "controlled")

    other.post(form.url("intake_group", "conditions"), {**stale, "epilepsy": "none"})

    assert form.answers["diabetes"] == "controlled"
    assert form.answers["epilepsy"] == "none"


def test_the_form_goes_on_where_it_stopped_on_another_phone(form):
    first = asked_groups(questionnaire_of(form.response), form.answers)[0]
    for question in first.questions:
        form.save(question.key, easy_raw(question))

    start = form.another_phone().get(form.url("intake")).content.decode()

    second = asked_groups(questionnaire_of(form.response), form.answers)[1]
    assert "Welcome back" in start
    assert f'class="btn btn-primary" href="{form.url("intake_group", second.key)}"' in start


def test_after_a_long_pause_the_answers_are_there_when_the_link_is_opened_again(form):

    form.save("smoking", "never")
    with time_machine.travel(timezone.now() + timedelta(minutes=45)):
        assert form.client.get(form.url("intake")).status_code == 403
        again = form.another_phone()
        assert "checked" in form.page("smoking", again)


# --- words of the five ------------------------------------------------------------------------------------------------


def test_the_check_words_each_of_the_five_differently(form):
    form.save("pih_history", "false")
    form.save("smoking", "not_sure")
    form.save("ctd", "prefer_not_to_say")
    form.save("isotretinoin", "stopped")
    form.save("isotretinoin_last", "not_sure")
    form.save("isotretinoin", "never")

    page = form.client.get(form.url("intake_check")).content.decode()

    said = {key: _said(page, form, key) for key in ("pih_history", "smoking", "ctd", "isotretinoin_last", "diabetes")}
    assert said == {
        "pih_history": "No",
        "smoking": "Not sure",
        "ctd": "Prefers not to say",
        "isotretinoin_last": "Does not apply",
        "diabetes": "Not answered",
    }


def _said(page, form, key):
    label = _text(questionnaire_of(form.response).by_key[key].label)
    cell = page.split(f"<dt>{label}</dt><dd>")[1].split("</dd>")[0]
    return re.sub(r"<[^>]+>", "", cell).strip()


# --- by telephone -----------------------------------------------------------------------------------------------------


def test_a_clinician_types_what_the_patient_says_and_it_is_kept_as_such(client, place, ana):
    bo = make_user("Bo Lindqvist", Role.CLINICIAN, location=place)
    client.force_login(bo)
    assert "No questionnaire is open" in client.get(reverse("phone_intake", args=[ana.ref])).content.decode()
    client.post(reverse("phone_intake_start", args=[ana.ref]))

    told = client.post(reverse("phone_intake_save", args=[ana.ref]), {"question": "smoking", "smoking": "never"})

    assert told.status_code == 200
    row = Answer.objects.get(question="smoking")
    assert (row.value, row.by_phone, row.user, row.answered_by) == ("never", True, bo, "Bo Lindqvist, by phone")
    page = client.get(reverse("phone_intake", args=[ana.ref])).content.decode()
    assert "Bo Lindqvist, by phone" in page
    assert AuditEvent.objects.filter(action="response.seen", actor_name="Bo Lindqvist").exists()


@pytest.mark.parametrize("role", [Role.FRONT_DESK, Role.MANAGER])
def test_who_may_not_read_answers_may_not_type_them(client, place, response, role):
    client.force_login(make_user("Mia Okafor", role, location=place))
    ref = response.patient.ref

    assert client.get(reverse("phone_intake", args=[ref])).status_code == 403
    assert client.get(reverse("phone_intake_group", args=[ref, "smoking"])).status_code == 403
    assert client.post(reverse("phone_intake_save", args=[ref]), {"question": "smoking"}).status_code == 403
    assert AuditEvent.objects.filter(action="access.refused").count() == 3


def test_without_an_open_form_nothing_is_saved(client, place, ana):
    client.force_login(make_user("Bo Lindqvist", Role.CLINICIAN, location=place))

    assert client.get(reverse("phone_intake_group", args=[ana.ref, "smoking"])).status_code == 404
    saved = client.post(reverse("phone_intake_save", args=[ana.ref]), {"question": "smoking", "smoking": "never"})
    assert saved.status_code == 409


def test_words_of_ones_own_are_text_on_every_page(form, client, place):
    words = "<script>alert(1)</script>{{ 7|add:7 }}😀"
    form.save("allergies", "other")
    form.save("allergies_text", words)
    client.force_login(make_user("Bo Lindqvist", Role.CLINICIAN, location=place))

    pages = [
        form.page("numbing"),
        form.client.get(form.url("intake_check")).content.decode(),
        client.get(reverse("phone_intake", args=[form.response.patient.ref])).content.decode(),
    ]
    for page in pages:
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7|add:7 }}😀" in page
