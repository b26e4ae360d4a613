"""The pages of reviewing: who sees them, what they keep apart, what a refused form keeps."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.staff.states import Role
from patients.candidacy.actions import decide, record_answers, submit_intake
from patients.candidacy.models import CandidacyDecision, Screening
from patients.candidacy.queries import decision_tasks, pack_of
from patients.candidacy.review import review_of
from patients.expiry.actions import expire_answers
from patients.intake.models import QuestionnaireResponse
from patients.registry.access import KEY
from patients.registry.actions import issue_link
from tests.factories.people import actor, make_clinician, make_device, make_location, make_patient, make_user
from tests.factories.screenings import answer_intake, make_screening

pytestmark = pytest.mark.django_db
KELOID = {"scar_tendency": "keloid", "concerns": ["acne_scars"]}


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


@pytest.fixture
def location():
    place = make_location()
    for modality in ("afl_co2", "nafl_1550"):
        make_device(place, modality)
    return place


@pytest.fixture
def ana(location):
    return make_patient(location)


@pytest.fixture
def bo(location):
    return make_clinician(location=location)


@pytest.fixture
def noor(location):
    return make_clinician("Noor Haddad", location=location)


@pytest.fixture
def at():
    return timezone.now()


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def page(client, screening, status=200):
    answer = client.get(reverse("screening", args=[screening.ref]))
    assert answer.status_code == status
    return answer.content.decode()


def send(client, name, ref, **fields):
    return client.post(reverse(name, args=[ref]), fields)


# --- who sees it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "status"), [(Role.FRONT_DESK, 403), (Role.MANAGER, 403), (Role.CLINICIAN, 200), (Role.LEAD_CLINICIAN, 200)]
)
def test_only_clinicians_open_the_review_pages(ana, location, at, role, status):
    screening = make_screening(ana, at=at, eczema="past")
    client = signed_in(make_user("Pat Role", role, location=location))

    for url in (reverse("review_queue"), reverse("screening", args=[screening.ref])):
        assert client.get(url).status_code == status
    assert AuditEvent.objects.filter(outcome="refused").count() == (2 if status == 403 else 0)


def test_a_clinician_of_another_place_finds_nothing(ana, at):
    screening = make_screening(ana, at=at)
    client = signed_in(make_clinician("Far Away", location=make_location("Lisbon", "Europe/Lisbon")))

    page(client, screening, status=404)
    assert send(client, "screening_decide", screening.ref, kind="proceed", reason="x").status_code == 404
    assert "Reyes" not in client.get(reverse("review_queue")).content.decode()


def test_every_look_is_in_the_trail(ana, bo, at):
    screening = make_screening(ana, at=at)

    page(signed_in(bo), screening)

    event = AuditEvent.objects.get(action="screening.viewed")
    assert (event.actor_name, event.patient_ref) == ("Bo Lindqvist", ana.ref)


def test_the_queue_shows_a_chip_for_each_laser(ana, bo, at):
    make_screening(ana, "afl_co2", at=at, **KELOID)
    make_screening(ana, "nafl_1550", at=at)

    text = signed_in(bo).get(reverse("review_queue")).content.decode()

    assert "REYES, Ana" in text
    assert "AFL 10,600: Not recommended" in text
    assert "NAFL 1,550: No rule fired" in text


def test_an_empty_queue_says_so(bo):
    assert "Nobody waits for a clinician." in signed_in(bo).get(reverse("review_queue")).content.decode()


# --- what the page keeps apart ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words", "kind"),
    [
        ({"silver": "none"}, "None", "answer"),
        ({"silver": "not_sure"}, "Not sure", "not_sure"),
        ({"silver": "prefer_not_to_say"}, "Prefers not to say", "prefer_not_to_say"),
        ({"without": ["silver"]}, "Not answered", "not_answered"),
        ({"silver": "not_applicable"}, "Does not apply", "not_applicable"),
    ],
)
def test_no_unsure_withheld_and_blank_stay_five_different_things(ana, at, given, words, kind):
    screening = make_screening(ana, at=at, **given)

    review = review_of(Screening.objects.get(pk=screening.pk))

    all_said = [each for _, items in review.sections for each in items]
    found = [each for each in all_said if "silver" in each.question.lower()]
    if kind == "not_applicable":
        assert found == []
    else:
        assert [(each.kind, each.text.startswith(words) or kind == "answer") for each in found] == [(kind, True)]


def test_a_reason_shows_the_patients_words_the_rule_its_version_and_its_source(ana, bo, at):
    screening = make_screening(ana, "afl_co2", at=at, **KELOID)

    text = page(signed_in(bo), screening)
    reason = review_of(screening).stops[0]

    assert (reason.rule, reason.rank, reason.status) == ("R20", "stop", "open")
    assert [(source.tag, source.letter) for source in reason.sources] == [("MED", "C"), ("TXTB", "C")]
    answers = [(said.text, said.by) for said in reason.said]
    assert answers[0][1] == "Ana Reyes"
    assert answers[0][0] in text
    assert "R20 · candidacy v1" in text
    assert "These rules are drafts your lead clinician has not approved yet." in text


def test_reasons_stand_in_three_ranks_and_undecided_ones_ask(ana, at):
    screening = make_screening(
        ana, "afl_co2", at=at, scar_tendency="keloid", wax_last=str(at.date()), smoking="current", gold_ever="not_sure"
    )

    review = review_of(screening)

    assert [each.rule for each in review.stops] == ["R20", "R47"]
    assert [(each.rule, each.undecided) for each in review.asks] == [("R18", True), ("R57", False)]
    assert {"R07", "R38"} <= {each.rule for each in review.notes}


def test_beside_a_refused_ablative_laser_stands_the_gentler_one_for_the_clinician(ana, bo, at):
    ablative = make_screening(ana, "afl_co2", at=at, **KELOID)
    assert "not offered here" in page(signed_in(bo), ablative)

    gentler = make_screening(ana, "nafl_1550", at=at, **KELOID)

    text = page(signed_in(bo), ablative)
    assert "not offered here" not in text
    assert text.count(reverse("screening", args=[gentler.ref])) == 2  # the tab and the card


def test_three_reviews_suggest_a_senior(ana, bo, at):
    few = make_screening(ana, at=at, poor_healing=True, bleeding_disorder=True)
    assert "senior" not in page(signed_in(bo), few)

    many = make_screening(ana, at=at, poor_healing=True, bleeding_disorder=True, laser_reaction=True)

    assert "consider a senior colleague" in page(signed_in(bo), many)


def test_the_self_score_stands_beside_what_the_clinician_saw(ana, bo, at):
    screening = make_screening(ana, at=at, **{f"fst_q{number}": 3 for number in range(1, 9)})

    text = page(signed_in(bo), screening)

    assert "IV-VI band, clinician to confirm" in text
    assert "(24/32, fst8-1)" in text


def test_a_replaced_screening_shows_the_way_to_the_newer_one_and_takes_no_decision(ana, bo, at):
    old = make_screening(ana, at=at)
    new = make_screening(ana, at=at, poor_healing=True)

    text = page(signed_in(bo), old)

    assert "replaced by a newer one" in text
    assert reverse("screening", args=[new.ref]) in text
    assert reverse("screening_decide", args=[old.ref]) not in text


# --- deciding on the page ---------------------------------------------------------------------------------------------


def test_a_decision_on_the_page_shows_its_conditions_as_tasks(ana, bo, at):
    screening = make_screening(ana, "afl_co2", at=at, cold_sores="yes")
    client = signed_in(bo)

    answer = send(
        client, "screening_decide", screening.ref, kind="proceed_with_conditions", reason="It fits.",
        conditions=["pigment_plan"], own_1="Ring the specialist",
        own_2="Prefers mornings", own_2_work="noted",
    )  # fmt: skip

    assert answer.status_code == 302
    decision = CandidacyDecision.objects.get()
    assert [(each["key"], each["blocks"]) for each in decision.conditions] == [
        ("antiviral_decision", True), ("pigment_plan", True), ("own-1", True), ("own-2", False),
    ]  # fmt: skip
    text = page(client, screening)
    assert text.count("Before treatment") == 3
    assert "Ring the specialist" in text


@pytest.mark.parametrize(
    ("fields", "sentence", "anchor"),
    [
        ({"kind": ""}, "Please choose one.", "#div_id_kind"),
        ({"reason": " "}, "Please give the reason in your own words.", "#id_reason"),
        ({"kind": "defer", "own_2": ""}, "Please say until when", "#id_earliest_on"),
        ({"earliest_on": "31.02.2027"}, "Please write the date as year-month-day", "#id_earliest_on"),
        ({"earliest_on": "2001-01-01"}, "This date is not in the future", "#id_earliest_on"),
        ({"kind": "proceed", "own_1": "Ring first"}, "Please choose “Proceed with conditions”", "#div_id_kind"),
        ({"own_1": "x" * 301}, "at most 300 characters", "#id_own_1"),
    ],
)
def test_a_refused_decision_keeps_everything_typed_and_says_what_is_wrong_at_its_field(
    ana, bo, at, fields, sentence, anchor
):
    screening = make_screening(ana, at=at)
    typed = {"kind": "proceed_with_conditions", "reason": "A reason of mine", "own_2": "A condition of mine"}

    answer = send(signed_in(bo), "screening_decide", screening.ref, **{**typed, **fields})

    text = answer.content.decode()
    assert answer.status_code == 422
    assert sentence in text
    assert anchor in text
    assert ("A condition of mine" in text) == ("own_2" not in fields)
    assert ("A reason of mine" in text) == ("reason" not in fields)
    assert CandidacyDecision.objects.count() == 0


def test_who_decides_second_is_told_keeps_the_words_and_may_then_decide_anew(ana, bo, noor, at):
    screening = make_screening(ana, at=at)
    decide(screening=screening, kind="decline", reason="No.", conditions=[], by=actor(bo), at=at)
    client = signed_in(noor)

    refused = send(client, "screening_decide", screening.ref, kind="proceed", reason="I differ.", replaces="")

    text = refused.content.decode()
    assert refused.status_code == 409
    assert "Bo Lindqvist decided “Decline” on " in text
    assert "I differ." in text
    standing = CandidacyDecision.objects.get()
    assert f'name="replaces" value="{standing.ref}"' in text
    again = send(client, "screening_decide", screening.ref, kind="proceed", reason="I differ.", replaces=standing.ref)
    assert again.status_code == 302
    assert CandidacyDecision.objects.get(status="in_force").decided_by == noor


def test_a_decision_typed_while_the_answers_changed_is_shown_again_beside_the_newer_result(ana, bo, at):
    old = make_screening(ana, at=at)
    new = make_screening(ana, at=at, poor_healing=True)

    refused = send(
        signed_in(bo), "screening_decide", old.ref,
        kind="proceed_with_conditions", reason="A reason of mine", own_1="A condition of mine",
    )  # fmt: skip

    text = refused.content.decode()
    assert refused.status_code == 409
    assert "screened again since you opened this page" in text
    assert reverse("screening_decide", args=[new.ref]) in text
    assert "A reason of mine" in text
    assert "A condition of mine" in text
    assert CandidacyDecision.objects.count() == 0
    assert AuditEvent.objects.get(action="screening.viewed").subject_id == str(new.ref)


def test_findings_typed_while_the_answers_changed_are_shown_again_beside_the_newer_result(ana, bo, at):
    old = make_screening(ana, at=at, without=["fst_confirmed"])
    new = make_screening(ana, at=at, poor_healing=True, without=["fst_confirmed"])

    refused = send(signed_in(bo), "screening_findings", old.ref, **{"found-fst_confirmed": "5"})

    text = refused.content.decode()
    assert refused.status_code == 409
    assert reverse("screening_findings", args=[new.ref]) in text
    assert re.search(r'value="5"[^>]*(checked|selected)', text)


def test_taking_back_what_somebody_took_back_already_says_who_and_when_and_keeps_the_words(ana, bo, noor, at):
    screening = make_screening(ana, at=at)
    decision = decide(screening=screening, kind="proceed", reason="Fits.", conditions=[], by=actor(bo), at=at)
    send(signed_in(bo), "decision_withdraw", decision.ref, **{"back-reason": "A slip"})

    refused = send(signed_in(noor), "decision_withdraw", decision.ref, **{"back-reason": "The skin is not calm"})

    text = refused.content.decode()
    assert refused.status_code == 409
    assert "Bo Lindqvist took this decision back on " in text
    assert "The skin is not calm" in text
    assert "taken back by Bo Lindqvist" in text


def test_taking_back_what_was_replaced_shows_the_newer_decision_and_keeps_the_words(ana, bo, noor, at):
    screening = make_screening(ana, at=at)
    first = decide(screening=screening, kind="proceed", reason="Fits.", conditions=[], by=actor(bo), at=at)
    newer = decide(
        screening=screening, kind="decline", reason="No.", conditions=[], replaces=first, by=actor(noor), at=at
    )

    refused = send(signed_in(bo), "decision_withdraw", first.ref, **{"back-reason": "The skin is not calm"})

    text = refused.content.decode()
    assert refused.status_code == 409
    assert "Noor Haddad decided “Decline” on " in text
    assert "The skin is not calm" in text
    assert CandidacyDecision.objects.get(status="in_force") == newer


def test_a_condition_that_somebody_closed_meanwhile_keeps_the_words(ana, bo, noor, at):
    screening = make_screening(ana, "afl_co2", at=at)
    decision = decide(screening=screening, kind="proceed", reason="Fits.", conditions=[], by=actor(bo), at=at)
    task = decision_tasks(decision)[0]
    prefix = str(task.ref)[:8]
    give = {f"{prefix}-choice": "give", f"{prefix}-reason": "From the day before"}
    send(signed_in(bo), "condition_settle", task.ref, **give)

    refused = send(
        signed_in(noor), "condition_settle", task.ref,
        **{f"{prefix}-choice": "contraindicated", f"{prefix}-reason": "Her kidneys, see the letter"},
    )  # fmt: skip

    text = refused.content.decode()
    assert refused.status_code == 409
    assert "already “done”" in text or "already “completed”" in text
    assert "Her kidneys, see the letter" in text
    task.refresh_from_db()
    assert task.outcome == "give: From the day before"


def test_declining_leaves_out_the_date_that_the_page_had_filled_in(ana, bo, at):
    screening = make_screening(ana, at=at, wax_last=str(at.date()))
    client = signed_in(bo)
    offered = screening.earliest_on.isoformat()
    assert f'value="{offered}"' in page(client, screening)

    typed = send(client, "screening_decide", screening.ref, kind="decline", reason="No.", earliest_on="2099-01-01")
    assert typed.status_code == 422
    answer = send(client, "screening_decide", screening.ref, kind="decline", reason="No.", earliest_on=offered)

    assert answer.status_code == 302
    assert CandidacyDecision.objects.get().earliest_on is None


def test_no_two_fields_of_the_page_share_an_id(ana, bo, at):
    screening = make_screening(ana, "afl_co2", at=at)
    decide(screening=screening, kind="proceed", reason="Fits.", conditions=[], by=actor(bo), at=at)

    ids = re.findall(r' id="([^"]+)"', page(signed_in(bo), screening))

    assert sorted(ids) == sorted(set(ids))


def test_a_second_tap_makes_no_second_decision(ana, bo, at):
    screening = make_screening(ana, at=at)
    client = signed_in(bo)

    answers = [send(client, "screening_decide", screening.ref, kind="proceed", reason="It fits.") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert CandidacyDecision.objects.count() == 1


def test_an_unauthorised_clinician_is_told_in_a_sentence(ana, location, at):
    screening = make_screening(ana, at=at)
    someone = make_user("Tia Trainee", Role.CLINICIAN, location=location)

    answer = send(signed_in(someone), "screening_decide", screening.ref, kind="proceed", reason="It fits.")

    assert answer.status_code == 422
    assert "You are not authorised to decide about this laser." in answer.content.decode()


def test_an_override_waits_on_the_page_for_another_clinician(ana, bo, noor, at):
    screening = make_screening(ana, "afl_co2", at=at, **KELOID)
    send(
        signed_in(bo),
        "screening_decide",
        screening.ref,
        kind="proceed",
        reason="Treating the scar itself, test spot fine.",
    )
    decision = CandidacyDecision.objects.get()
    cosign = reverse("decision_cosign", args=[decision.ref])

    assert cosign not in page(signed_in(bo), screening)
    assert "A different clinician must agree." in page(signed_in(bo), screening)
    assert cosign in page(signed_in(noor), screening)
    assert signed_in(noor).post(cosign).status_code == 302

    text = page(signed_in(noor), screening)
    assert "agreed by Noor Haddad" in text
    assert signed_in(noor).post(cosign, follow=True).status_code == 200  # a second tap says that it is done


def test_taking_back_without_a_reason_is_refused_at_its_field(ana, bo, at):
    screening = make_screening(ana, at=at)
    decision = decide(screening=screening, kind="proceed", reason="Fits.", conditions=[], by=actor(bo), at=at)
    client = signed_in(bo)

    refused = send(client, "decision_withdraw", decision.ref)
    assert refused.status_code == 422
    assert "Please say why." in refused.content.decode()

    assert send(client, "decision_withdraw", decision.ref, **{"back-reason": "A slip of the hand"}).status_code == 302
    text = page(client, screening)
    assert "Earlier decisions" in text
    assert "A slip of the hand" in text


def test_a_condition_is_closed_on_the_page_with_its_own_words(ana, bo, at):
    screening = make_screening(ana, "afl_co2", at=at)
    decision = decide(screening=screening, kind="proceed", reason="Fits.", conditions=[], by=actor(bo), at=at)
    task = decision_tasks(decision)[0]
    prefix, client = str(task.ref)[:8], signed_in(bo)

    refused = send(
        client, "condition_settle", task.ref, **{f"{prefix}-choice": "perhaps", f"{prefix}-reason": "My reason"}
    )
    assert refused.status_code == 422
    assert "Please choose one." in refused.content.decode()
    assert "My reason" in refused.content.decode()

    sent = send(
        client, "condition_settle", task.ref, **{f"{prefix}-choice": "give", f"{prefix}-reason": "From the day before"}
    )
    assert sent.status_code == 302
    assert "give: From the day before" in page(client, screening)


# --- what a clinician finds -------------------------------------------------------------------------------------------


def test_confirming_the_skin_type_on_the_page_screens_every_laser_anew(ana, bo, at):
    first = make_screening(ana, "afl_co2", at=at, without=["fst_confirmed"])
    client = signed_in(bo)
    assert "Skin type (Fitzpatrick), seen by the clinician" in page(client, first)

    answer = send(client, "screening_findings", first.ref, **{"found-fst_confirmed": "5"})

    newest = Screening.objects.get(status="current")
    assert answer["Location"] == reverse("screening", args=[newest.ref])
    assert newest.outcome == "not_recommended"
    assert "R28" in page(client, newest)


def test_findings_that_fit_nothing_are_refused_at_their_field(ana, bo, at):
    screening = make_screening(ana, at=at, without=["fst_confirmed"], eye_history="not_sure")
    client = signed_in(bo)

    blank = send(client, "screening_findings", screening.ref)
    assert blank.status_code == 422
    assert "Nothing was answered yet." in blank.content.decode()

    both = send(
        client, "screening_findings", screening.ref,
        **{"found-fst_confirmed": "2", "found-eye_history": ["none_of_these", "severe_dry_eye"]},
    )  # fmt: skip
    assert both.status_code == 422
    assert "Keep one." in both.content.decode()
    assert QuestionnaireResponse.objects.count() == 1


# --- the patient's last page ------------------------------------------------------------------------------------------


def opened(patient, response, at):
    link, _ = issue_link(
        patient=patient, scope="intake", about=f"response:{response.ref}", by=Actor.patient(patient.ref, "Ana"), at=at
    )
    client = Client()
    session = client.session
    now = int(at.timestamp())
    session[KEY] = {str(link.ref): {"opened": now, "used": now}}
    session.save()
    client.cookies["sessionid"] = session.session_key
    return client, link


def test_sending_shows_what_happens_next_and_no_result(ana, at):
    response = answer_intake(ana, at=at - timedelta(minutes=5), pregnancy="possible", eczema="active_in_area")
    client, link = opened(ana, response, at)

    sent = client.post(reverse("intake_submit", args=[link.ref]))
    again = client.post(reverse("intake_submit", args=[link.ref]))

    done = reverse("intake_done", args=[link.ref])
    assert (sent.status_code, sent["Location"], again["Location"]) == (302, done, done)
    assert Screening.objects.count() == 2
    text = client.get(done).content.decode().partition("<main")[2].partition("</main>")[0].lower()
    assert "a clinician reads your answers" in text
    for word in ("recommended", "eligible", "defer", "review", "flag", "eczema", "pregnan", "wait"):
        assert word not in text


def test_get_sends_nothing(ana, at):
    response = answer_intake(ana, at=at - timedelta(minutes=5))
    client, link = opened(ana, response, at)

    assert client.get(reverse("intake_submit", args=[link.ref])).status_code == 405
    assert Screening.objects.count() == 0


def test_a_link_for_other_answers_sends_nothing(ana, location, at):
    uma = make_patient(location, "Uma", email="uma@mail.example")
    mine = answer_intake(ana, at=at - timedelta(minutes=5))
    client, link = opened(uma, mine, at)

    assert client.post(reverse("intake_submit", args=[link.ref])).status_code == 404
    assert Screening.objects.count() == 0


# --- answers taken by telephone ---------------------------------------------------------------------------------------


def test_answers_taken_by_telephone_are_sent_in_by_staff_once(ana, bo, at):
    answer_intake(ana, at=at - timedelta(minutes=5))
    client = signed_in(bo)

    sent = send(client, "phone_intake_submit", ana.ref)
    again = send(client, "phone_intake_submit", ana.ref)

    first = Screening.objects.get(modality="afl_co2")
    assert (sent.status_code, sent["Location"]) == (302, reverse("screening", args=[first.ref]))
    assert again["Location"] == reverse("phone_intake", args=[ana.ref])
    assert Screening.objects.count() == 2
    assert AuditEvent.objects.filter(action="candidacy.screened", actor_name="Bo Lindqvist").count() == 2


def test_answers_with_a_starred_blank_are_not_sent_in_by_telephone_either(ana, bo, at):
    response = answer_intake(ana, at=at - timedelta(minutes=5), without=["gold_ever"])

    answer = signed_in(bo).post(reverse("phone_intake_submit", args=[ana.ref]), follow=True)

    assert "We still need an answer to" in answer.content.decode()
    response.refresh_from_db()
    assert response.status == "in-progress"


# --- since last time --------------------------------------------------------------------------------------------------


def test_a_returning_patients_changes_come_first_old_beside_new(location, ana):
    by = Actor.patient(ana.ref, ana.full_name)
    first = answer_intake(ana, psoriasis="past", silver="none", at=timezone.now() - timedelta(days=200))
    submit_intake(response=first, by=by, at=timezone.now() - timedelta(days=200))
    second = answer_intake(ana, psoriasis="not_sure", without=("silver",), at=timezone.now())

    screening = submit_intake(response=second, by=by, at=timezone.now())[0]

    changes = [(each.now.question, each.was.text, each.now.text) for each in review_of(screening).changes]
    labels = {key: question.label for key, question in pack_of(screening).questionnaire.by_key.items()}
    assert changes == [
        (labels["psoriasis"], "In the past", "Not sure"),
        (labels["silver"], "No", "Not answered"),
    ]
    assert review_of(Screening.objects.filter(response=first).first()).before_at is None


def changed(screening):
    return [(each.was.text, each.now.text) for each in review_of(screening).changes]


def came_back(patient, days_ago, **answers):
    """The patient sends the whole form in, so many days ago."""
    at = timezone.now() - timedelta(days=days_ago)
    by = Actor.patient(patient.ref, patient.full_name)
    return submit_intake(response=answer_intake(patient, at=at, **answers), by=by, at=at)[0]


def test_changes_are_those_since_the_answers_last_decided_on(location, ana, bo):
    first = came_back(ana, 400, psoriasis="past")
    seen = record_answers(screening=first, answers={"fst_confirmed": "2"}, by=actor(bo), at=first.screened_at)[0]
    reason = "Seen in person; fits well."
    decide(screening=seen, kind="proceed", reason=reason, conditions=[], by=actor(bo), at=first.screened_at)
    came_back(ana, 30, psoriasis="not_sure")
    third = came_back(ana, 1, psoriasis="active_elsewhere")
    corrected = record_answers(screening=third, answers={"silver": "argyria"}, by=actor(bo), at=timezone.now())[0]

    assert changed(seen) == [("Not answered", "II")]
    assert changed(third) == [("In the past", "Yes, but somewhere else")]
    assert sorted(changed(corrected)) == [("In the past", "Yes, but somewhere else"), ("No", "I have argyria")]
    assert review_of(corrected).before_at == seen.response.completed_at


def test_without_a_decision_changes_are_those_since_the_answers_screened_before(location, ana):
    came_back(ana, 400, psoriasis="past")
    came_back(ana, 30, psoriasis="not_sure")

    assert changed(came_back(ana, 1, psoriasis="none")) == [("Not sure", "No, never")]


def test_the_same_answers_screened_anew_after_a_decision_have_not_changed(location, ana, bo):
    first = came_back(ana, 400)
    seen = record_answers(screening=first, answers={"fst_confirmed": "2"}, by=actor(bo), at=first.screened_at)[0]
    reason = "Seen in person; fits well."
    decide(screening=seen, kind="proceed", reason=reason, conditions=[], by=actor(bo), at=first.screened_at)
    expire_answers(patient=ana, by=Actor.task("test"), at=timezone.now())

    anew = ana.screenings.get(status="current", modality=seen.modality)

    assert anew != seen
    assert (changed(anew), review_of(anew).before_at) == ([], None)


def test_the_page_says_which_answers_are_too_old_and_offers_to_ask_again(location, ana, bo):
    first = came_back(ana, 400, isotretinoin="stopped", isotretinoin_last="2019-01-01")
    expire_answers(patient=ana, by=Actor.task("test"), at=timezone.now())
    anew = ana.screenings.get(status="current", modality=first.modality)
    client, url = signed_in(bo), reverse("screening", args=[anew.ref])

    text = page(client, anew)

    assert "Answered too long ago to count" in text
    assert "was “I took it before”" in text
    assert "Too old to count: I took it before (Ana Reyes)" in text
    sent = client.post(reverse("send_link", args=[ana.ref]), {"scope": "intake", "next": url})
    assert sent["Location"] == url
    assert ana.responses.get(status="in-progress").amends == first.response


def test_the_page_says_who_may_go_ahead_against_not_recommended(ana, bo, at):
    barred = make_screening(ana, "afl_co2", at=at, scar_tendency="keloid", concerns=["fine_lines"])
    text = page(signed_in(bo), barred)
    assert "Nobody may go ahead against “Keloid” here" in text
    assert "counts only when a second clinician agrees" not in text

    treated = make_screening(ana, "nafl_1550", at=at, fst_confirmed="6", **KELOID)
    open_to_two = make_screening(ana, "afl_co2", at=at, **KELOID)
    assert review_of(treated).bars == review_of(open_to_two).bars == ()
    assert "counts only when a second clinician agrees" in page(signed_in(bo), open_to_two)
