"""Pauses, dropped connections, two phones, the next day: not one answer is lost, and the form goes on where it was."""

import random
import re
from datetime import timedelta

import pytest
import time_machine
from django.utils.timezone import now

from patients.intake.forms import mark_of, raw_of
from patients.intake.models import Answer
from patients.intake.queries import asked_groups, latest_answers, next_group, questionnaire_of
from patients.intake.states import QuestionType
from tests.factories.people import NOW
from tests.patients.intake.test_intake_pages import Form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("knowledge")]
PAUSE, LONGEST_QUIET = timedelta(minutes=25), timedelta(minutes=40)


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def form(clock, ana):
    return Form(ana)


def goes_on_at(form, client):
    """Return where the button of the first page leads."""
    page = client.get(form.url("intake")).content.decode()
    return re.search(r'class="btn btn-primary" href="([^"]+)"', page)[1]


def where_it_stopped(form):
    """The first screen with something to answer, else the check."""
    key = next_group(questionnaire_of(form.response), form.answers)
    return form.url("intake_group", key) if key else form.url("intake_check")


# --- a pause of twenty-five minutes -----------------------------------------------------------------------------------


def test_a_pause_between_two_answers_on_one_screen_loses_neither(form, clock):
    form.page("conditions")
    assert form.save("diabetes", "controlled").json()["saved"] == "10:00"

    clock.shift(PAUSE)

    assert form.save("epilepsy", "none").json()["saved"] == "10:25"
    assert (form.answers["diabetes"], form.answers["epilepsy"]) == ("controlled", "none")


def test_a_pause_before_continue_loses_nothing_of_the_screen(form, clock):
    hidden = dict(re.findall(r'name="(was-[a-z0-9_]+)" value="([^"]*)"', form.page("conditions")))
    marks = {name: value.replace("&quot;", '"') for name, value in hidden.items()}

    clock.shift(PAUSE)
    gone_on = form.client.post(
        form.url("intake_group", "conditions"), {**marks, "diabetes": "none", "epilepsy": "none"}
    )

    assert gone_on.status_code == 302
    assert (form.answers["diabetes"], form.answers["epilepsy"]) == ("none", "none")


def test_a_whole_afternoon_of_pauses_is_one_sitting(form, clock):
    asked = [q.key for q in questionnaire_of(form.response).questions if q.type == QuestionType.BOOL and q.by_patient]

    for key in asked[:16]:
        clock.shift(PAUSE)
        assert form.save(key, "false").status_code == 200

    assert set(asked[:16]) <= set(form.answers)


def test_a_page_left_open_over_lunch_says_that_its_answer_is_not_saved(form, clock):
    form.page("conditions")
    form.save("diabetes", "controlled")

    clock.shift(timedelta(minutes=41))

    assert form.save("epilepsy", "none").status_code == 403
    again = form.another_phone()
    assert goes_on_at(form, again) == form.url(
        "intake_group", next_group(questionnaire_of(form.response), form.answers)
    )
    assert form.answers["diabetes"] == "controlled"


# --- two phones, a bad line and the next day --------------------------------------------------------------------------


class Phone:
    """A browser on the form: what its page shows of each question, as the page's own script remembers it."""

    def __init__(self, form):
        self.form, self.marks = form, {}
        self.open()

    def open(self):
        self.client, self.used = self.form.another_phone(), now()
        self.marks.clear()

    def look(self, group):
        """Load a screen; a link that lay quiet for too long is opened again first."""
        if now() - self.used > LONGEST_QUIET:
            self.open()
        self.used = now()
        hidden = re.findall(r'name="was-([a-z0-9_]+)" value="([^"]*)"', self.form.page(group, self.client))
        self.marks |= {key: mark.replace("&quot;", '"') for key, mark in hidden}

    def give(self, key, raw, *, lost):
        """Give an answer over a line that loses the request, or the reply to it, so often before it holds.

        Returns what the page says of another answer that this one replaced.
        """
        notices = []
        for how in [*lost, "nothing"]:
            if how == "request":
                continue
            told = self.form.save(key, raw, was=self.marks[key], client=self.client)
            assert told.status_code == 200
            if how == "nothing":
                self.marks[key], self.used = told.json()["was"], now()
                notices.append(told.json()["notice"])
        return notices[-1]


def choices_of(question):
    """What can be tapped to answer the question."""
    own = [option.key for option in question.options] or {QuestionType.BOOL: ["true", "false"]}.get(question.type, [])
    return own + (["not_sure", "prefer_not_to_say"] if question.offers_unknown else [])


@pytest.mark.timeout(600)  # many hundred requests on a machine that is busy with other tests
def test_five_hundred_answers_from_two_phones_on_a_bad_line_and_not_one_is_lost(form, clock):
    chance = random.Random(20261123)
    questionnaire = questionnaire_of(form.response)
    phones = [Phone(form), Phone(form)]
    given, count, resumed = {}, 0, 0

    while count < 500:
        at = chance.random()
        if at < 0.02:  # the next day, or after lunch: the link is opened again
            clock.shift(timedelta(hours=chance.choice([1, 20])))
            for phone in phones:
                phone.open()
                assert goes_on_at(form, phone.client) == where_it_stopped(form)
            resumed += 1
        elif at < 0.06:
            clock.shift(PAUSE)
        phone = chance.choice(phones)
        group = chance.choice(asked_groups(questionnaire, latest_answers(form.response)))
        tappable = [q for q in group.questions if choices_of(q)]
        if not tappable:
            continue
        question = chance.choice(tappable)
        if question.key not in phone.marks or chance.random() < 0.15 or now() - phone.used > LONGEST_QUIET:
            phone.look(group.key)
        raw = chance.choice(choices_of(question))
        lost = chance.choices(["request", "reply"], k=chance.choice([0, 0, 0, 1, 2]))

        before = latest_answers(form.response).get(question.key)
        seen = phone.marks[question.key]
        notice = phone.give(question.key, raw, lost=lost)

        count += 1
        given[question.key] = (question, raw)
        if before is not None and "reply" not in lost:
            assert bool(notice) is (seen != mark_of(raw_of(question, before)))

    assert resumed > 3
    stored = latest_answers(form.response)
    assert {key: stored[key] for key in given} == {
        key: stored_as(question, raw) for key, (question, raw) in given.items()
    }
    # Nothing that was ever said is gone, and each question has one answer that counts.
    rows = Answer.objects.filter(response=form.response)
    assert rows.filter(is_latest=True).count() == len(given) + 1
    assert rows.exclude(question="age_years").count() > len(given)


def stored_as(question, raw):
    if raw in ("not_sure", "prefer_not_to_say"):
        return raw
    if question.type == QuestionType.BOOL:
        return raw == "true"
    if question.type == QuestionType.MULTI:
        return [raw]
    return int(raw) if question.type == QuestionType.INT else raw
