"""Alarms on every staff page, by urgency; one click to take, an outcome to close; the desk reads no answers."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from tests.factories.people import make_location, make_user
from tests.factories.recovering import RED, SAME_DAY, SOON, URGENT, after, alarm_of, answer, checkin_of, recovering
from treatments.aftercare.alarms import acknowledge
from treatments.aftercare.models import Escalation
from treatments.aftercare.silence import note_missed_checkins
from treatments.aftercare.views import waited

RAISED = after(days=1)


@pytest.fixture
def clinic(db, time_machine):
    clinic = recovering()
    time_machine.move_to(RAISED + timedelta(minutes=3), tick=False)
    return clinic


@pytest.fixture
def alarm(clinic):
    answer(clinic, RED, at=RAISED)
    return alarm_of(clinic)


def signed_in(user):
    browser = Client()
    browser.force_login(user)
    return browser


def text(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_the_banner_says_who_is_asked_and_how_long_it_waits(clinic, alarm):
    said = text(signed_in(clinic.bo).get("/alarms/banner/"))

    assert said == "Emergency alarm: Ana Reyes, waiting 3 min. Bo Lindqvist is asked. Open"


def test_what_cannot_wait_has_a_bar_of_its_own_and_the_others_share_one(clinic, alarm):
    """Three tall bars stood above every page. Nothing that matters is left out: neither a name nor a fault."""
    answer(clinic, SAME_DAY, day=7, at=RAISED)
    answer(clinic, SOON, day=28, at=RAISED)
    Escalation.objects.filter(level="U3").update(asked=None, fault="Nobody is on call.")

    page = signed_in(clinic.bo).get("/alarms/banner/")

    assert text(page) == (
        "Emergency alarm: Ana Reyes, waiting 3 min. Bo Lindqvist is asked. Open"
        " Same day: Ana Reyes , 3 min · Next days: Ana Reyes , 3 min. Nobody is asked! Nobody is on call. Alarms"
    )
    assert page.content.decode().count("ag-alarm-bar") == 2


def test_the_banner_is_empty_when_nothing_is_open(clinic):
    assert text(signed_in(clinic.bo).get("/alarms/banner/")) == ""


def test_a_taken_alarm_says_whose_it_is(clinic, alarm):
    acknowledge(escalation=alarm, by=clinic.by, at=RAISED)

    assert text(signed_in(clinic.dee).get("/alarms/banner/")) == "In hand: Ana Reyes (Bo Lindqvist) Alarms"


def test_the_desk_sees_that_it_is_open_and_whose_but_no_answer(clinic, alarm):
    desk = signed_in(clinic.dee)

    page = desk.get("/alarms/")

    assert "Ana Reyes" in text(page)
    assert "Asked: Bo Lindqvist" in text(page)
    assert not re.search(r"\beyes?\b|vision|ophthal|T05", page.content.decode())
    assert desk.get(f"/alarms/{alarm.ref}/").status_code == 403


def test_somebody_of_another_place_sees_nothing(clinic, alarm):
    other = make_user("Lia Lisbon", *clinic.bo.roles, location=make_location("Lisbon", "Europe/Lisbon"))
    browser = signed_in(other)

    assert text(browser.get("/alarms/banner/")) == ""
    assert browser.get(f"/alarms/{alarm.ref}/").status_code == 404
    assert browser.post(f"/alarms/{alarm.ref}/acknowledge/").status_code == 404


def test_nobodys_come_first_then_the_worst(clinic, alarm):
    answer(clinic, SOON, day=28, at=RAISED)
    answer(clinic, URGENT, day=7, at=RAISED)
    acknowledge(escalation=alarm, by=clinic.by, at=RAISED)

    rows = signed_in(clinic.bo).get("/alarms/").context["rows"]

    assert [(row.level, row.status) for row, *_ in rows] == [("U1", "open"), ("U3", "open"), ("E", "acknowledged")]


def test_silence_stands_beside_the_red_list(db, time_machine):
    clinic = recovering("afl_co2")
    silent_at = checkin_of(clinic).silent_at
    note_missed_checkins(by=clinic.by, at=silent_at)
    time_machine.move_to(silent_at, tick=False)

    assert "Day 1 check-in, silent for 8 h" in text(signed_in(clinic.dee).get("/alarms/"))


def test_the_page_says_what_was_answered_and_why_it_matters(clinic, alarm):
    said = text(signed_in(clinic.bo).get(f"/alarms/{alarm.ref}/"))

    assert "How are your eyes? I see differently" in said
    assert "same-day ophthalmology" in said
    assert "T05, section 7: NCDE D, PERI C" in said
    assert "The patient was told: Go to an eye emergency department today, now." in said
    assert "REYES, Ana" in said


def test_a_late_answer_shows_both_days(clinic):
    answer(clinic, URGENT, day=1, at=after(days=3))

    said = text(signed_in(clinic.bo).get(f"/alarms/{alarm_of(clinic).ref}/"))

    assert "Asked for day 1, answered and graded on day 3." in said


def test_one_click_takes_it(clinic, alarm):
    browser = signed_in(clinic.bo)

    page = browser.post(f"/alarms/{alarm.ref}/acknowledge/", follow=True)

    alarm.refresh_from_db()
    assert (alarm.owner, alarm.status) == (clinic.bo, "acknowledged")
    assert "You have it." in text(page)


def test_too_late_says_who_was_first(clinic, alarm):
    acknowledge(escalation=alarm, by=clinic.by, at=RAISED)

    page = signed_in(clinic.kim).post(f"/alarms/{alarm.ref}/acknowledge/", follow=True)

    assert "Bo Lindqvist took it at 10:40." in text(page)


def test_closing_without_an_outcome_keeps_what_was_typed(clinic, alarm):
    acknowledge(escalation=alarm, by=clinic.by, at=RAISED)

    page = signed_in(clinic.bo).post(f"/alarms/{alarm.ref}/close/", {"note": "Called, all calm."})

    assert page.status_code == 422
    assert "Please say what came of it." in text(page)
    assert "Called, all calm." in page.content.decode()
    assert Escalation.objects.get().status == "acknowledged"


def test_closing_ends_it(clinic, alarm):
    acknowledge(escalation=alarm, by=clinic.by, at=RAISED)
    browser = signed_in(clinic.bo)

    browser.post(f"/alarms/{alarm.ref}/close/", {"outcome": "seen", "note": "Seen at noon."})

    alarm.refresh_from_db()
    assert (alarm.status, alarm.outcome, alarm.outcome_note) == ("closed", "seen", "Seen at noon.")
    assert text(browser.get("/alarms/banner/")) == ""


def test_handing_over_by_name(clinic, alarm):
    acknowledge(escalation=alarm, by=clinic.by, at=RAISED)

    page = signed_in(clinic.bo).post(f"/alarms/{alarm.ref}/hand-over/", {"to": str(clinic.kim.ref)}, follow=True)

    alarm.refresh_from_db()
    assert (alarm.status, alarm.asked) == ("open", clinic.kim)
    assert "Kim Osei is asked to take it." in text(page)


def test_handing_over_to_nobody_is_refused(clinic, alarm):
    acknowledge(escalation=alarm, by=clinic.by, at=RAISED)

    page = signed_in(clinic.bo).post(f"/alarms/{alarm.ref}/hand-over/", {"to": str(clinic.dee.ref)})

    assert page.status_code == 422


def test_the_list_asks_as_often_for_three_alarms_as_for_one(clinic, alarm, django_assert_max_num_queries):
    browser = signed_in(clinic.bo)
    with django_assert_max_num_queries(60) as one:
        browser.get("/alarms/")
    answer(clinic, URGENT, day=7, at=RAISED)
    answer(clinic, SOON, day=28, at=RAISED)

    with django_assert_max_num_queries(len(one)):
        browser.get("/alarms/")


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(-1, "just now"), (0.5, "just now"), (3, "3 min"), (60, "1 h"), (125, "2 h 5 min"), (3000, "2 days")],
)
def test_waiting_is_said_as_people_say_it(minutes, said):
    assert waited(RAISED, RAISED + timedelta(minutes=minutes)) == said
