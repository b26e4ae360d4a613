"""The working page: ready, asked, started, recorded, signed; nothing typed is lost when something is refused."""

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client

from tests.factories.people import NOW, set_clock
from tests.factories.treating import ALL_CLEAR, RECORD, fit, make_clinic, minutes, opened, treated_area, under_way
from treatments.aftercare.actions import finish_treatment
from treatments.courses.models import Course
from treatments.sessions.models import TreatmentSession


@pytest.fixture
def clinic(db, time_machine):
    time_machine.move_to(NOW, tick=False)
    return make_clinic()


@pytest.fixture
def bo(clinic):
    return signed_in(clinic.bo)


def signed_in(user):
    browser = Client()
    browser.force_login(user)
    return browser


def text(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def url(session, act=""):
    return f"/sessions/{session.ref}/{act}"


def test_a_visit_opens_its_session(clinic, bo):
    answer = bo.post(f"/visits/{clinic.visit.ref}/session/")

    assert answer["Location"] == url(TreatmentSession.objects.get())


def test_the_desk_cannot_open_or_read_it(clinic):
    desk = signed_in(clinic.dee)
    session = opened(clinic)

    assert desk.post(f"/visits/{clinic.visit.ref}/session/").status_code == 403
    assert desk.get(url(session)).status_code == 403


def test_the_page_names_what_is_missing_and_whose_it_is(clinic, bo):
    Course.objects.update(last_treated_at=NOW - timedelta(days=20))

    said = text(bo.get(url(opened(clinic))))

    assert "Not ready yet" in said
    assert "Not before 01 Dec 2026" in said
    assert "Start treatment" not in said


def test_the_check_at_the_door_wants_every_answer(clinic, bo):
    session = opened(clinic)

    page = bo.post(url(session, "fitness/"), dict.fromkeys(list(ALL_CLEAR)[:-1], "no"))

    assert page.status_code == 422
    assert "Please ask this too." in text(page)
    assert page.content.decode().count("checked") == len(ALL_CLEAR) - 1


def test_start_is_offered_when_all_is_there_and_starts(clinic, bo):
    session = opened(clinic)
    bo.post(url(session, "fitness/"), ALL_CLEAR)

    assert "Ready to start" in text(bo.get(url(session)))
    bo.post(url(session, "start/"), {"eye_protection": "external"})

    session.refresh_from_db()
    assert (session.status, session.eye_protection) == ("in-progress", "external")


def test_an_unready_start_is_refused_naming_it(clinic, bo):
    page = bo.post(url(opened(clinic), "start/"), {"eye_protection": "external"})

    assert page.status_code == 422
    assert "Not ready: check at the door." in text(page)


def test_an_override_is_asked_for_and_shown_ever_after(clinic, bo):
    session = fit(clinic)
    Course.objects.update(last_treated_at=NOW - timedelta(days=27))

    assert "Why go on without what is missing?" in text(bo.get(url(session)))
    bo.post(url(session, "start/"), {"eye_protection": "external", "override_reason": "One day early."})

    assert "Started in spite of One day early. Bo Lindqvist" in text(bo.get(url(session)))


def passes(**more):
    return {
        "area": "full_face",
        "passes": "4",
        "energy_mj": "15",
        "coverage_percent": "8",
        "form_key": uuid.uuid4(),
    } | more


def test_a_pass_is_added_and_only_the_list_comes_back(clinic, bo):
    session = under_way(clinic)

    page = bo.post(url(session, "passes/"), passes(), headers={"HX-Request": "true"})

    assert page.status_code == 200
    assert "<html" not in page.content.decode()
    assert "15 mJ, 8 %, 4 passes" in text(page)


def test_without_scripts_it_goes_back_to_the_page(clinic, bo):
    session = under_way(clinic)

    assert bo.post(url(session, "passes/"), passes())["Location"] == url(session)


def test_a_double_tap_is_one_row(clinic, bo):
    session, row = under_way(clinic), passes()

    for _ in range(2):
        bo.post(url(session, "passes/"), row)

    assert session.passes.count() == 1


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "htmx"])
def test_outside_the_range_it_asks_why_and_keeps_what_was_typed(clinic, bo, headers):
    session = under_way(clinic)

    page = bo.post(url(session, "passes/"), passes(energy_mj="80"), headers=headers)

    assert page.status_code == 422
    assert "Above 70 mJ." in text(page)
    assert 'value="80"' in page.content.decode()
    bo.post(url(session, "passes/"), passes(energy_mj="80", warning_reason="Deep scar."), headers=headers)
    assert session.passes.get().warning_reason == "Deep scar."


def test_the_makers_limit_stands_at_its_field(clinic, bo):
    clinic.device.limits = {"spot_um": 200}
    clinic.device.save()

    page = bo.post(url(under_way(clinic), "passes/"), passes(spot_um="300"))

    assert page.status_code == 422
    assert "above this laser" in text(page)
    assert "open><summary>More settings" in page.content.decode()


def test_striking_wants_a_reason(clinic, bo):
    session = treated_area(clinic)
    strike = url(session, f"passes/{session.passes.get().form_key}/strike/")

    bo.post(strike, {"reason": ""})
    assert session.passes.get().struck_at is None
    bo.post(strike, {"reason": "Wrong area."})
    assert "Struck by Bo Lindqvist: Wrong area." in text(bo.get(url(session)))


def finish(bo, session, **more):
    data = RECORD | {"completed_at": "2026-11-23T10:40", "endpoints": ["erythema"]} | more
    return bo.post(url(session, "finish/"), data)


def test_finishing_records_and_begins_aftercare(clinic, bo, time_machine):
    session = treated_area(clinic)
    time_machine.move_to(minutes(45), tick=False)

    finish(bo, session)

    session.refresh_from_db()
    assert (session.status, session.completed_at, session.checkins.count()) == ("completed", minutes(40), 4)
    assert "Sign off" in text(bo.get(url(session)))


def test_the_time_is_the_clock_on_the_clinics_wall(clinic, bo, time_machine):
    set_clock(clinic.location, "America/New_York")
    session = treated_area(clinic)
    time_machine.move_to(minutes(45), tick=False)

    finish(bo, session, completed_at="2026-11-23T05:40")

    session.refresh_from_db()
    assert session.completed_at == minutes(40)


def test_a_time_typed_to_the_minute_may_be_the_minute_it_began(clinic, bo, time_machine):
    start = NOW + timedelta(seconds=30)
    time_machine.move_to(start, tick=False)
    session = treated_area(clinic, at=start)
    time_machine.move_to(minutes(5), tick=False)

    finish(bo, session, completed_at="2026-11-23T10:00")

    session.refresh_from_db()
    assert session.completed_at == start


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"completed_at": "2026-11-23T11:40"}, "cannot have ended in the future"),
        ({"completed_at": "2026-11-23T09:40"}, "The treatment started at 23 Nov 10:00."),
        ({"completed_at": "soon"}, "Enter a valid date/time."),
        ({"anaesthesia": ""}, "Say which anaesthesia was given, or none."),
        ({"pain_during": "12"}, "is not one of the available choices"),
    ],
)
def test_a_wrong_record_keeps_what_was_typed(clinic, bo, time_machine, wrong, said):
    session = treated_area(clinic)
    time_machine.move_to(minutes(45), tick=False)

    page = finish(bo, session, note="Skin calm.", **wrong)

    assert page.status_code == 422
    assert said in text(page)
    assert "Skin calm." in page.content.decode()
    session.refresh_from_db()
    assert session.status == "in-progress"


def test_strong_numbing_cream_asks_why(clinic, bo, time_machine):
    session = treated_area(clinic)
    time_machine.move_to(minutes(45), tick=False)
    numbing = {"anaesthesia": "topical", "strength_percent": "30", "minutes": "45", "agent": "Lidocaine"}

    page = finish(bo, session, **numbing)

    assert page.status_code == 422
    assert "Stronger than 7 %." in text(page)
    finish(bo, session, **numbing, anaesthesia_reason="Compounded, small area.")
    session.refresh_from_db()
    assert session.anaesthesia_detail["strength_percent"] == 30


def test_signing_and_adding(clinic, bo, time_machine):
    session = treated_area(clinic)
    finish_treatment(session=session, completed_at=minutes(40), record=RECORD, by=clinic.by, at=minutes(40))
    time_machine.move_to(minutes(60), tick=False)

    bo.post(url(session, "sign-off/"))
    bo.post(url(session, "addenda/"), {"body": "Tip lot 4711."})

    said = text(bo.get(url(session)))
    assert "Signed off" in said
    assert "Tip lot 4711." in said
    assert "Record passes" not in said


def test_closing_as_not_done_says_why(clinic, bo):
    session = fit(clinic, cold_sore="yes")

    assert bo.post(url(session, "not-done/"), {"reason": ""}).status_code == 422
    bo.post(url(session, "not-done/"), {"reason": "Cold sore today."})

    session.refresh_from_db()
    assert (session.status, session.stopped_reason) == ("not-done", "Cold sore today.")
