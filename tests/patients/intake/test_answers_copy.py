"""The answers copy: said, not said and never asked read differently, on the page and in the file."""

import html
import io
import json
import re
from datetime import timedelta

import pypdf
import pytest
from django.db import transaction
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.pdf import can_make_pdf
from clinic.staff.states import Role
from patients.intake.actions import amend_response, complete_response, save_answers, start_response
from patients.intake.answers_copy import answers_copy
from patients.intake.models import QuestionnaireResponse
from patients.intake.queries import DERIVED, Given, questionnaire_of
from patients.intake.states import QuestionType, ResponseStatus, Special
from tests.factories.people import NOW, make_clinician, make_location, make_user
from tests.factories.screenings import answer_intake, make_response, make_screening

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("knowledge", "on_a_monday_at_ten")]
ITEM = re.compile(r'<div class="an-item" data-question="(\w+)" data-state="(\w+)">(.*?)</dd>', re.S)
SPAN = re.compile(r'<span class="an-words an-(\w+)">(.*?)</span>', re.S)
BO = Actor.command("Bo Lindqvist")
LATER = NOW + timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


@pytest.fixture
def bo(place):
    return make_clinician(location=place)


@pytest.fixture
def client(bo):
    client = Client()
    client.force_login(bo)
    return client


def on_page(client, response):
    """Return what the page shows of each question: pairs of state and words, what stands now first."""
    return items_of(client.get(reverse("answers_copy", args=[response.ref])).content.decode())


def items_of(text):
    shown = {}
    for key, state, inside in ITEM.findall(text):
        shown[key] = [(kind, html.unescape(words)) for kind, words in SPAN.findall(inside)]
        assert shown[key][0][0] == state
    return shown


def on_paper(client, response):
    """Return the same of the text from which the PDF is made."""
    request = client.get(reverse("answers_copy", args=[response.ref])).wsgi_request
    words = {"copy": answers_copy(response), "response": response, "patient": response.patient, "paper": True}
    return items_of(render_to_string("patients/intake/answers_pdf.html", words, request))


def in_file(client, response):
    """Return the items of the file by question."""
    file = json.loads(client.get(reverse("answers_export", args=[response.ref])).content)
    return {item["linkId"]: item for section in file["item"] for item in section["item"]}


# --- for any answers at all -------------------------------------------------------------------------------------------


def values_of(question):
    """Any answer a person can give to the question, as it is stored."""
    unknown = [st.sampled_from([Special.NOT_SURE.value, Special.PREFER_NOT_TO_SAY.value])]
    special = (unknown if question.offers_unknown else []) + (
        [st.just(Special.NOT_APPLICABLE.value)] if question.may_not_apply else []
    )
    options = sorted(question.keys)
    if question.type == QuestionType.MULTI:
        chosen = st.lists(st.sampled_from(options), min_size=0 if question.none_option else 1, unique=True)
    elif options:
        chosen = st.sampled_from([int(key) for key in options] if question.type == QuestionType.INT else options)
    else:
        typed = st.sampled_from(["Not sure", "Not answered", "Does not apply", "no", "None of these", "<b>&amp;", "“”"])
        never = st.just("never") if question.never_allowed else st.nothing()
        chosen = {
            QuestionType.BOOL: st.booleans(),
            QuestionType.DATE: never | st.just("2026-01-05") if question.past else never | st.just("2027-01-05"),
            QuestionType.INT: st.integers(question.low, question.high),
            QuestionType.TEXT: typed,
        }[question.type]
    return st.one_of(chosen, *special)


def as_typed(value):
    """Return a stored value as the form sends it."""
    return ["none_of_these"] if value == [] else str(value).lower() if isinstance(value, bool) else value


def state_of(question, answers):
    """Return what the copy must say, from the definition: hidden, then blank, then the two ways of not telling."""
    if question.ask_if is not None and question.ask_if.holds(answers) is False and "fst_q" not in question.key:
        return Given.NOT_APPLICABLE
    if question.key not in answers:
        return Given.NOT_ANSWERED
    value = answers[question.key]
    known = isinstance(value, list | bool | int) or value not in set(Special.values) - question.keys
    return Given.ANSWER if known else Given(value)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_said_and_unsaid_stay_apart_in_the_database_on_the_page_on_paper_and_in_the_file(ana, client, data):
    with transaction.atomic():
        by = Actor.patient(ana.ref, ana.full_name)
        form = start_response(patient=ana, by=by, at=NOW)
        questionnaire = questionnaire_of(form)
        mine = [q for q in questionnaire.questions if q.by_patient and q.key not in DERIVED]
        said = {q.key: data.draw(st.none() | values_of(q), label=q.key) for q in mine}
        said = {key: value for key, value in said.items() if value is not None}
        # A starred question that applies cannot be left blank: the form would not be taken.
        while blank := [q for q in questionnaire.visible(said) if q in mine and q.critical and q.key not in said]:
            said |= {q.key: data.draw(values_of(q), label=q.key) for q in blank}
        save_answers(response=form, given={key: as_typed(value) for key, value in said.items()}, by=by, at=NOW)
        stored = QuestionnaireResponse.objects.get(pk=complete_response(response=form, by=by, at=NOW).pk)

        page, file = on_page(client, stored), in_file(client, stored)
        assert on_paper(client, stored) == page
        for question in mine:
            key, expected = question.key, state_of(question, said)
            assert (key, page[key][0][0], file[key]["state"]) == (key, expected, expected)
            assert page[key][0][1] == file[key]["stateText"]
            assert len(page[key]) == 1
            assert "changed" not in file[key]
            # In the database: the value itself, the mark of the hidden, or no key at all.
            hidden, blank = expected == Given.NOT_APPLICABLE, expected == Given.NOT_ANSWERED
            value = None if blank else Special.NOT_APPLICABLE.value if hidden else said[key]
            assert (key in stored.snapshot) is not blank
            frozen = stored.snapshot.get(key, {}).get("value")
            if isinstance(value, list):  # kept in the order of the questionnaire
                frozen, value = sorted(frozen), sorted(value)
            assert (type(frozen), frozen) == (type(value), value)
        words = {(state, text) for [(state, text), *_] in page.values()}
        unsaid = {text for state, text in words if state != Given.ANSWER}
        assert unsaid.isdisjoint(text for state, text in words if state == Given.ANSWER)
        assert len({text for state, text in words if state not in (Given.ANSWER, Given.NOT_APPLICABLE)}) == len(
            {state for state, _ in words if state not in (Given.ANSWER, Given.NOT_APPLICABLE)}
        )
        transaction.set_rollback(True)


# --- changed ----------------------------------------------------------------------------------------------------------


def test_a_changed_answer_says_since_when_and_what_it_was_with_each_author_and_day(ana, client):
    patient = Actor.patient(ana.ref, ana.full_name)
    first = amend_response(response=make_response(ana), answers={"smoking": "never"}, by=patient, at=NOW)
    second = amend_response(response=first, answers={"smoking": "current"}, by=BO, at=LATER)

    text = client.get(reverse("answers_copy", args=[second.ref])).content.decode()
    file = in_file(client, second)
    changed = {key: item["changed"] for key, item in file.items() if "changed" in item}

    assert on_page(client, second)["smoking"] == [("answer", "I smoke"), ("answer", "Never")]
    assert f"1 answer changed since {NOW.day} {NOW:%b %Y}" in text
    assert {key: (was["stateText"], was["answeredBy"], was["answeredAt"]) for key, was in changed.items()} == {
        "smoking": ("Never", ana.full_name, NOW.isoformat())
    }
    assert (file["smoking"]["answeredBy"], file["smoking"]["answeredAt"]) == (BO.name, LATER.isoformat())


def test_an_answer_that_was_blank_before_was_not_answered(ana, client):
    first = make_response(ana, without=["smoking"])
    second = amend_response(response=first, answers={"smoking": "current"}, by=BO, at=LATER)

    assert on_page(client, second)["smoking"] == [("answer", "I smoke"), ("not_answered", "Not answered")]
    assert in_file(client, second)["smoking"]["changed"]["state"] == "not_answered"


def test_the_replaced_answers_keep_their_own_copy(ana, client):
    first = make_response(ana, cold_sores="yes")
    amend_response(response=first, answers={"cold_sores": "never"}, by=BO, at=LATER)
    first.refresh_from_db()

    assert first.status == ResponseStatus.AMENDED
    assert on_page(client, first)["cold_sores"] == [("answer", "Yes")]
    assert b"Newer answers have taken the place" in client.get(reverse("answers_copy", args=[first.ref])).content


def test_what_the_patient_said_does_not_apply_survives_an_amendment(ana, client):
    first = make_response(ana, breastfeeding="not_applicable")
    second = amend_response(response=first, answers={"smoking": "current"}, by=BO, at=LATER)

    assert second.snapshot["breastfeeding"] == first.snapshot["breastfeeding"]
    assert on_page(client, second)["breastfeeding"] == [("not_applicable", "Does not apply")]


def test_ones_own_words_are_quoted(ana, client):
    response = make_response(ana, allergies=["other"], allergies_text="Not answered")

    assert on_page(client, response)["allergies_text"] == [("answer", "“Not answered”")]


def test_the_age_says_where_it_is_from(ana, client):
    by = Actor.patient(ana.ref, ana.full_name)
    response = complete_response(response=answer_intake(ana), by=by, at=NOW)

    page = client.get(reverse("answers_copy", args=[response.ref])).content.decode()

    assert "From the date of birth" in page
    assert "intake.age" not in page
    assert in_file(client, response)["age_years"]["answeredBy"] == "From the date of birth"


# --- who, and the trail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "status"), [(Role.FRONT_DESK, 403), (Role.MANAGER, 403), (Role.CLINICIAN, 200)])
def test_only_who_may_see_the_chart_opens_it(ana, place, role, status):
    response = make_response(ana)
    client = Client()
    client.force_login(make_user("Pat Role", role, location=place))

    for name in ("answers_copy", "answers_export", "answers_pdf"):
        assert client.get(reverse(name, args=[response.ref])).status_code == status


def test_a_clinician_of_another_place_finds_nothing(ana):
    client = Client()
    client.force_login(make_clinician("Far Away", location=make_location("Lisbon", "Europe/Lisbon")))

    assert client.get(reverse("answers_copy", args=[make_response(ana).ref])).status_code == 404


def test_a_form_being_filled_in_has_no_copy(response, client):
    assert client.get(reverse("answers_copy", args=[response.ref])).status_code == 404


def test_a_look_and_a_download_are_in_the_trail_and_the_file_names_nobody(ana, client):
    response = make_response(ana)

    client.get(reverse("answers_copy", args=[response.ref]))
    file = client.get(reverse("answers_export", args=[response.ref]))
    pdf = client.get(reverse("answers_pdf", args=[response.ref]))

    seen = AuditEvent.objects.filter(action__in=["answers.viewed", "answers.exported"]).order_by("id")
    assert [(e.action, e.actor_name, e.patient_ref, e.detail.get("format")) for e in seen] == [
        ("answers.viewed", "Bo Lindqvist", ana.ref, None),
        ("answers.exported", "Bo Lindqvist", ana.ref, "json"),
        ("answers.exported", "Bo Lindqvist", ana.ref, "pdf"),
    ]
    name = f"answers-{str(response.ref)[:8]}"
    assert file["Content-Disposition"] == f'attachment; filename="{name}.json"'
    assert pdf["Content-Disposition"] == f'attachment; filename="{name}.pdf"'


def test_the_review_page_leads_to_the_copy(ana, client):
    screening = make_screening(ana)

    page = client.get(reverse("screening", args=[screening.ref])).content.decode()

    assert reverse("answers_copy", args=[screening.response.ref]) in page


# --- as a PDF ---------------------------------------------------------------------------------------------------------


def text_of(pdf):
    """Return what a PDF says, page by page, line breaks as blanks."""
    return [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(pdf.content)).pages]


@pytest.mark.skipif(not can_make_pdf(), reason="this machine lacks Pango: apt install libpango-1.0-0 libpangoft2-1.0-0")
def test_the_pdf_says_five_different_things_in_five_different_words(ana, client):
    response = make_response(
        ana,
        without=["hydroquinone"],
        psoriasis="none",
        cold_sore_active=False,
        vitiligo="not_sure",
        smoking="prefer_not_to_say",
        breastfeeding="not_applicable",
        allergies=["other"],
        allergies_text="Not sure <img src=file:///etc/passwd>",
    )

    pdf = client.get(reverse("answers_pdf", args=[response.ref]))
    pages = text_of(pdf)
    whole = " ".join(pages)

    assert pdf["Content-Type"] == "application/pdf"
    labels = {key: question.label for key, question in questionnaire_of(response).by_key.items()}
    assert f"{labels['cold_sore_active']} No Ana Reyes, 23 Nov 2026" in whole
    assert f"{labels['vitiligo']} Not sure Ana Reyes" in whole
    assert f"{labels['smoking']} Prefers not to say Ana Reyes" in whole
    assert f"{labels['breastfeeding']} Does not apply Ana Reyes" in whole
    assert f"{labels['hydroquinone']} Not answered" in whole
    assert "“Not sure <img src=file:///etc/passwd>”" in whole
    assert "root:" not in whole
    assert len(pages) > 1
    assert all("Ana Reyes, born 14 May 1988" in page for page in pages)


@pytest.mark.skipif(not can_make_pdf(), reason="this machine lacks Pango")
def test_every_question_is_in_the_pdf_with_its_words(ana, client):
    first = make_response(ana, without=["smoking"], psoriasis="past")
    second = amend_response(response=first, answers={"psoriasis": "none"}, by=BO, at=LATER)

    whole = " ".join(text_of(client.get(reverse("answers_pdf", args=[second.ref]))))

    for section in answers_copy(second).sections:
        for item in section.items:
            assert stands_in(whole, item.question.label)
            assert stands_in(whole, item.line.words)
    assert stands_in(whole, "Changed since 23 Nov 2026. Before: In the past Ana Reyes, 23 Nov 2026")


def stands_in(whole, words):
    """The words stand there in order; where a line broke, those of the column beside it may come between."""
    return re.search(".{0,120}?".join(re.escape(word) for word in words.split()), whole) is not None


def test_where_no_pdf_can_be_made_the_page_says_so_and_print_stays(ana, client, monkeypatch):
    response = make_response(ana)
    monkeypatch.setattr("clinic.pdf._engine", lambda: None)

    page = client.get(reverse("answers_copy", args=[response.ref])).content.decode()
    tried = client.get(reverse("answers_pdf", args=[response.ref]))

    assert "this server lacks the Pango library" in page
    assert reverse("answers_pdf", args=[response.ref]) not in page
    assert tried["Location"] == reverse("answers_copy", args=[response.ref])
    assert not AuditEvent.objects.filter(action="answers.exported").exists()
