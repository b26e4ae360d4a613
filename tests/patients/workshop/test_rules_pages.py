"""The pages of the workshop: who may open them, what they show, and that nothing typed is lost."""

from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse

from clinic.audit.models import AuditEvent
from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.states import Role
from clinic.worklist.models import Task
from patients.candidacy.actions import decide
from patients.candidacy.queries import shipped_pack
from patients.workshop import actions
from patients.workshop.actions import save_draft, start_draft
from patients.workshop.rules import SetDays, SetEffect, SetText, apply_edits
from patients.workshop.wording import topic_words
from tests.factories.people import NOW, actor, make_patient, make_user
from tests.factories.screenings import ago, make_response, make_screening

SUN = SetDays("sun_exposure", {"AFL": 42, "NAFL": 28, "PICO": 28, "FULL": 42})


@pytest.fixture(autouse=True)
def _no_second_factor(settings):
    settings.MFA_COMPULSORY = False


@pytest.fixture
def as_bo(client, bo):
    client.force_login(bo)
    return client


@pytest.fixture
def as_cy(cy):
    second = Client()
    second.force_login(cy)
    return second


@pytest.fixture
def draft(shipped, bo):
    row = start_draft(pack=shipped, by=actor(bo), at=NOW)
    return save_draft(pack=row, body=apply_edits(row.body, [SUN]), shown=row.sha256, by=actor(bo), at=NOW)


def page(client, name, *args, **query):
    return client.get(reverse(name, args=args), query)


def text_of(response):
    return response.content.decode()


def rule_form(client, draft, rule="R05", **changes):
    """Return what a browser would send back from the rule's form, with some fields changed."""
    form = page(client, "rules_edit_rule", draft.ref, rule).context["form"]
    return {field.html_name: field.value() for field in form} | changes


# --- who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.FRONT_DESK, Role.CLINICIAN, Role.MANAGER])
def test_nobody_else_opens_the_workshop(client, harley, draft, role):
    client.force_login(make_user("Someone Else", role, location=harley))

    statuses = {
        name: client.get(reverse(name, args=args)).status_code
        for name, args in {
            "rules": (),
            "rules_read": (draft.ref,),
            "rules_edit": (draft.ref,),
            "rules_try": (draft.ref,),
            "rules_publish": (draft.ref,),
        }.items()
    }
    posted = client.post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256}).status_code

    assert set(statuses.values()) | {posted} == {403}
    assert published(PackKind.CANDIDACY, "candidacy").version == 1


def test_a_draft_is_opened_for_editing_by_its_author_alone(as_cy, draft):
    for name, args in (
        ("rules_edit", ()), ("rules_edit_rule", ("R05",)), ("rules_edit_days", ()), ("rules_edit_text", ()),
    ):  # fmt: skip
        assert page(as_cy, name, draft.ref, *args).status_code == 404
    assert as_cy.post(reverse("rules_discard", args=[draft.ref])).status_code == 404


# --- reading ----------------------------------------------------------------------------------------------------------


def test_every_rule_can_be_read(as_bo, shipped):
    shown = page(as_bo, "rules_read", shipped.ref)

    assert [rule.id for rule in shown.context["rules"]] == [rule.id for rule in shipped_pack().rules]
    assert "Came with Afterglow" in text_of(shown)


@pytest.mark.parametrize(
    ("query", "found"), [("gold", {"R18"}), ("CHRYS", {"R18"}), ("wait pregnancy test", {"R03"}), ("zzz", set())]
)
def test_rules_are_found_by_any_of_their_words(as_bo, shipped, query, found):
    shown = page(as_bo, "rules_read", shipped.ref, q=query)

    assert {rule.id for rule in shown.context["rules"]} == found


def test_a_search_as_you_type_answers_with_the_list_alone(as_bo, shipped):
    answer = as_bo.get(reverse("rules_read", args=[shipped.ref]), {"q": "gold"}, headers={"HX-Request": "true"})

    assert "<html" not in text_of(answer)
    assert 'id="R18"' in text_of(answer)


def test_the_questionnaire_is_read_question_by_question(as_bo):
    row = published(PackKind.QUESTIONNAIRE, "intake")

    shown = page(as_bo, "rules_read", row.ref, q="gold")

    assert "gold_ever" in [question.key for question in shown.context["questions"]]


def test_the_shelves_ask_the_database_no_more_for_more_versions(as_bo, shipped, django_assert_max_num_queries):
    with django_assert_max_num_queries(14):
        assert page(as_bo, "rules").status_code == 200


def test_abbreviations_stay_capital():
    assert [topic_words(each) for each in ("hsv_prophylaxis", "pih_history", "sun_exposure")] == [
        "HSV prophylaxis", "PIH history", "Sun exposure",
    ]  # fmt: skip


# --- editing ----------------------------------------------------------------------------------------------------------


def test_a_draft_is_begun_with_one_button_and_a_second_press_finds_it(as_bo, shipped):
    first, second = (as_bo.post(reverse("rules_draft", args=[shipped.ref])) for _ in range(2))

    assert first["Location"] == second["Location"]
    assert RulePack.objects.filter(status="draft", kind="candidacy", drafted_by__isnull=False).count() == 1


def test_a_form_sent_back_as_it_was_changes_nothing(as_bo, draft):
    for rule in shipped_pack().rules:
        answer = as_bo.post(reverse("rules_edit_rule", args=[draft.ref, rule.id]), rule_form(as_bo, draft, rule.id))
        assert answer.status_code == 302, rule.id

    assert RulePack.objects.get(pk=draft.pk).sha256 == draft.sha256


def test_a_rule_is_changed_in_its_form(as_bo, draft):
    data = rule_form(
        as_bo, draft, "R05",
        patient_text="Please wait\r\n until it has healed.", effect_0_NAFL="review", days_after_infection="21", off="",
    )  # fmt: skip

    answer = as_bo.post(reverse("rules_edit_rule", args=[draft.ref, "R05"]), data)

    assert answer["Location"] == reverse("rules_edit", args=[draft.ref]) + "#R05"
    expected = apply_edits(
        draft.body,
        [
            SetText("R05", "patient_text", "Please wait until it has healed."),
            SetEffect("R05", 0, {"AFL": "defer", "NAFL": "review", "PICO": "defer", "FULL": "defer"}),
            SetDays("after_infection", 21),
        ],
    )
    assert RulePack.objects.get(pk=draft.pk).body == expected


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"source": "a friend"}, "source", "“a friend” in source names neither"),
        ({"patient_text": "Wait {no_such} days."}, "patient_text", "“no_such” is not among the [days]"),
        ({"patient_text": ""}, "patient_text", "Please write something here."),
        ({"rescreen_when_0": ""}, "effect_0_AFL", "A deferral needs"),
        ({"days_after_infection": "0"}, "days_after_infection", "greater than or equal to 1"),
        ({"effect_0_AFL": "cure"}, "effect_0_AFL", "Select a valid choice"),
    ],
)
def test_a_fault_stands_at_its_field_and_nothing_typed_is_lost(as_bo, draft, changes, field, sentence):
    data = rule_form(as_bo, draft, "R05", rationale="Typed and kept.", **changes)

    answer = as_bo.post(reverse("rules_edit_rule", args=[draft.ref, "R05"]), data)

    assert answer.status_code == 422
    form = answer.context["form"]
    assert [sentence in error for error in form.errors[field]] == [True]
    assert "Typed and kept." in text_of(answer)
    assert RulePack.objects.get(pk=draft.pk).sha256 == draft.sha256


def test_a_stale_form_is_refused_once_and_then_laid_over_what_is_there(as_bo, draft, bo):
    data = rule_form(as_bo, draft, "R05", rationale="Mine.")
    body = apply_edits(draft.body, [SetText("R06", "rationale", "In another window.")])
    save_draft(pack=draft, body=body, shown=draft.sha256, by=actor(bo), at=NOW)
    url = reverse("rules_edit_rule", args=[draft.ref, "R05"])

    refused = as_bo.post(url, data)
    assert refused.status_code == 409
    assert "Bo Lindqvist changed this draft on 23 November 2026 at 10:00" in text_of(refused)
    assert "Mine." in text_of(refused)
    again = {field.html_name: field.value() for field in refused.context["form"]}
    assert as_bo.post(url, again).status_code == 302

    body = RulePack.objects.get(pk=draft.pk).body
    assert "In another window." in body
    assert 'rationale = "Mine."' in body


@pytest.mark.parametrize("form", ["rule", "days", "text"])
def test_what_was_typed_into_a_draft_that_somebody_published_meanwhile_is_kept_and_says_who_and_when(
    as_bo, as_cy, draft, form
):
    name, args = {
        "rule": ("rules_edit_rule", [draft.ref, "R05"]),
        "days": ("rules_edit_days", [draft.ref]),
        "text": ("rules_edit_text", [draft.ref]),
    }[form]
    shown = page(as_bo, name, *args).context["form"]
    typed = {"rule": {"rationale": "Typed and kept."}, "days": {"days_after_birth": "123"}, "text": {}}[form]
    data = {field.html_name: field.value() for field in shown} | typed
    if form == "text":
        data["body"] += "\n# Typed and kept.\n"
    as_cy.post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})
    version = published(PackKind.CANDIDACY, "candidacy")

    refused = as_bo.post(reverse(name, args=args), data)

    assert refused.status_code == 409
    local = version.published_at.astimezone(ZoneInfo("Europe/London"))
    assert f"Cy Amadi put this draft in force on {local.day} {local:%B %Y} at {local:%H:%M}." in text_of(refused)
    assert ("123" if form == "days" else "Typed and kept.") in text_of(refused)
    assert RulePack.objects.get(pk=draft.pk).body == draft.body


def test_all_day_counts_are_changed_on_one_page(as_bo, draft):
    form = page(as_bo, "rules_edit_days", draft.ref).context["form"]
    data = {field.html_name: field.value() for field in form} | {"days_after_birth": "120", "days_waxing_AFL": "21"}

    assert as_bo.post(reverse("rules_edit_days", args=[draft.ref]), data).status_code == 302

    body = RulePack.objects.get(pk=draft.pk).body
    assert "after_birth = 120 # G" in body
    assert "waxing = { AFL = 21, NAFL = 7, PICO = 7, FULL = 14 }" in body


def test_the_text_is_refused_with_line_and_rule_and_kept(as_bo, draft):
    body = draft.body.replace('id = "R05"', 'id = "R05"\nsorce = "G"')
    line = body.splitlines().index('sorce = "G"') + 1

    answer = as_bo.post(reverse("rules_edit_text", args=[draft.ref]), {"shown": draft.sha256, "body": body})

    assert answer.status_code == 422
    assert answer.context["form"].errors["body"] == [f"Line {line}, R05: “sorce” is not known here."]
    assert answer.context["form"]["body"].value() == body
    assert (line, 'sorce = "G"', True) in answer.context["lines"]


def test_a_text_from_a_browser_keeps_its_line_ends(as_bo, draft):
    body = draft.body.replace("# Candidacy rules", "# Our candidacy rules").replace("\n", "\r\n")

    answer = as_bo.post(reverse("rules_edit_text", args=[draft.ref]), {"shown": draft.sha256, "body": body})

    assert answer.status_code == 302
    saved = RulePack.objects.get(pk=draft.pk).body
    assert "\r" not in saved
    assert saved.startswith("# Our candidacy rules")


def test_discarding_takes_the_draft_away(as_bo, draft):
    as_bo.post(reverse("rules_discard", args=[draft.ref]))

    assert not RulePack.objects.filter(pk=draft.pk).exists()


# --- trying and publishing --------------------------------------------------------------------------------------------


def test_a_try_out_names_whom_it_would_change_and_leaves_a_trace(as_bo, harley, draft):
    ana = make_patient(harley)
    make_response(ana, sun_exposure_last=ago(20))
    make_response(make_patient(harley, "Noa", "Levi"))

    shown = text_of(page(as_bo, "rules_try", draft.ref))

    assert "Ana Reyes" in shown
    assert "Noa Levi" not in shown
    event = AuditEvent.objects.get(action="rulepack.tried")
    assert (event.detail["intakes"], event.detail["changed"], event.detail["patients"]) == (2, 1, [str(ana.ref)])


def test_the_author_sees_no_button_to_publish(as_bo, draft):
    shown = page(as_bo, "rules_publish", draft.ref)
    assert "Approve and put" not in text_of(shown)

    answer = as_bo.post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})

    assert answer.status_code == 422
    assert "A second person must read and approve it." in text_of(answer)


def test_a_second_person_publishes_and_the_decision_it_touches_is_reopened(as_cy, bo, harley, draft):
    ana = make_patient(harley)
    screening = make_screening(ana, sun_exposure_last=ago(20))
    decide(screening=screening, kind="proceed", reason="Fits.", conditions=[], by=actor(bo), at=NOW)
    before = text_of(page(as_cy, "rules_publish", draft.ref))
    assert "Approve and put version 2 in force" in before
    assert "1 current patient is then looked at by it." in before
    assert "1 decision would be open again, and no visit is booked on it." in before

    answer = as_cy.post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256}, follow=True)

    assert "Version 2 is in force." in text_of(answer)
    assert "1 decision reopened." in text_of(answer)
    version = published(PackKind.CANDIDACY, "candidacy")
    assert (version.pk, version.applied_at is not None) == (draft.pk, True)
    assert Task.objects.filter(key__startswith="rescreen:").count() == 1


def test_who_publishes_is_told_of_a_patient_who_could_not_be_looked_at(as_cy, harley, draft, monkeypatch):
    make_screening(make_patient(harley), sun_exposure_last=ago(20))

    def broken(**_given):
        raise LookupError

    monkeypatch.setattr(actions, "screen_response", broken)

    answer = as_cy.post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256}, follow=True)

    assert "Version 2 is in force." in text_of(answer)
    assert "1 patient could not be looked at. Clinicians have a task to do it by hand." in text_of(answer)


def test_a_draft_changed_after_it_was_read_is_not_published(as_cy, bo, draft):
    body = apply_edits(draft.body, [SetText("R05", "off", "No.")])
    save_draft(pack=draft, body=body, shown=draft.sha256, by=actor(bo), at=NOW)

    answer = as_cy.post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})

    assert answer.status_code == 409
    assert "Bo Lindqvist changed this draft on 23 November 2026 at 10:00" in text_of(answer)
    assert "switched off: No." in text_of(answer)


def test_an_outdated_draft_says_so_and_its_author_carries_on(as_bo, as_cy, shipped, cy, draft):
    other = start_draft(pack=shipped, by=actor(cy), at=NOW)
    body = apply_edits(other.body, [SetDays("after_birth", 120)])
    other = save_draft(pack=other, body=body, shown=other.sha256, by=actor(cy), at=NOW)
    as_bo.post(reverse("rules_publish", args=[other.ref]), {"shown": other.sha256})

    assert "came into force since this draft was begun" in text_of(page(as_cy, "rules_publish", draft.ref))
    assert as_cy.post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256}).status_code == 409
    as_bo.post(reverse("rules_carry_on", args=[draft.ref]), {"shown": draft.sha256})
    as_cy.post(reverse("rules_publish", args=[draft.ref]), {"shown": draft.sha256})

    version = published(PackKind.CANDIDACY, "candidacy")
    assert (version.pk, version.version) == (draft.pk, 4)
    assert "120 days" in text_of(page(as_bo, "rules_changes", version.ref))
