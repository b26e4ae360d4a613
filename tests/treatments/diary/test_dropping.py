"""Dragging as the server sees it: moved, made longer, refused in words, and taken back."""

import pytest
import time_machine

from clinic.audit.models import AuditEvent
from tests.factories.desk import text
from tests.factories.people import make_device, make_patient, make_practitioner
from tests.factories.visits import BY, book, make_course, utc
from treatments.booking.actions import mark_arrived, move_appointment
from treatments.booking.models import Appointment
from treatments.booking.resizing import resize_appointment

pytestmark = pytest.mark.django_db

NOW = utc("2026-11-24T09:05")
TEN = utc("2026-11-24T10:00")
BEFORE = utc("2026-11-23T10:00")
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


def drop(desk, visit, starts_at, version=1, **more):
    sent = {"version": version, "starts_at": int(starts_at.timestamp()), **more}
    return desk.post(f"/visits/{visit.ref}/drop/", sent, **HTMX)


def claims(visit):
    found = [
        (str(claim.resource), f"{claim.period.lower:%H:%M}-{claim.period.upper:%H:%M}") for claim in visit.claims.all()
    ]
    return sorted(found)


def test_a_drop_moves_and_offers_to_take_it_back(desk, place, bo, ana):
    ida = make_practitioner("Ida Moss", place)
    visit = book(ana, bo, TEN, at=BEFORE)

    moved = drop(desk, visit, utc("2026-11-24T12:00"), practitioner=ida.ref)

    visit.refresh_from_db()
    assert (moved.status_code, visit.starts_at, visit.practitioner) == (200, utc("2026-11-24T12:00"), ida)
    assert "Moved to Tuesday 24 November, 12:00 with Ida Moss." in text(moved)
    assert f'name="starts_at" value="{int(TEN.timestamp())}"' in text(moved)
    drop(desk, visit, TEN, version=2, practitioner=bo.ref)
    visit.refresh_from_db()
    assert (visit.starts_at, visit.practitioner) == (TEN, bo)


def test_a_drop_over_a_colleagues_move_says_who_and_when(desk, bo, ana):
    visit = book(ana, bo, TEN, at=BEFORE)
    move_appointment(appointment=visit, starts_at=utc("2026-11-24T11:00"), expected_version=1, by=BY, at=NOW)

    refused = drop(desk, visit, utc("2026-11-24T15:00"))

    visit.refresh_from_db()
    assert (refused.status_code, visit.starts_at) == (409, utc("2026-11-24T11:00"))
    assert "test changed this visit at 09:05." in text(refused)


def test_of_many_stale_drops_not_one_overwrites(desk, bo, ana):
    visit = book(ana, bo, TEN, at=BEFORE)
    lost = 0
    for turn in range(1, 21):
        mine = utc("2026-11-24T14:00") if turn % 2 else utc("2026-11-24T15:00")
        theirs = utc("2026-11-24T11:00") if turn % 2 else utc("2026-11-24T12:00")
        move_appointment(appointment=visit, starts_at=theirs, expected_version=turn, by=BY, at=NOW)
        answer = drop(desk, visit, mine, version=turn)
        visit.refresh_from_db()
        lost += answer.status_code != 409 or visit.starts_at != theirs

    assert lost == 0


@pytest.mark.parametrize(
    ("time", "sentence"),
    [
        ("2026-11-24T11:00", "Bo Lindqvist has just been taken for 11:00."),
        ("2026-11-24T21:00", "is closed for part of that time."),
        ("2026-11-20T11:00", "That day has passed."),
    ],
)
def test_a_drop_where_it_cannot_be_is_refused_in_words(desk, place, bo, ana, time, sentence):
    book(make_patient(place, "Ben", "Okafor"), bo, utc("2026-11-24T11:00"), at=BEFORE)
    visit = book(ana, bo, TEN, at=BEFORE)

    refused = drop(desk, visit, utc(time))

    visit.refresh_from_db()
    assert (refused.status_code, visit.starts_at, visit.version) == (422, TEN, 1)
    assert sentence in text(refused)
    assert "Move…" in text(refused)


@pytest.mark.parametrize("sent", [{"starts_at": "noon"}, {"starts_at": 10**30}, {"practitioner": "x"}, {"version": ""}])
def test_a_drop_that_makes_no_sense_moves_nothing(desk, bo, ana, sent):
    visit = book(ana, bo, TEN, at=BEFORE)

    assert desk.post(f"/visits/{visit.ref}/drop/", {"version": 1, "starts_at": 1795600000, **sent}).status_code == 422

    visit.refresh_from_db()
    assert visit.version == 1


# --- longer and shorter -------------------------------------------------------------------------------------------


def test_a_longer_treatment_claims_longer_and_keeps_its_length_when_moved(bo, place, ana):
    make_device(place)
    visit = book(ana, bo, TEN, "treatment_nafl", course=make_course(ana), at=BEFORE)
    before = claims(visit)

    resize_appointment(appointment=visit, minutes=45, expected_version=1, by=BY, at=NOW)
    visit.refresh_from_db()
    longer = claims(visit)
    move_appointment(appointment=visit, starts_at=utc("2026-11-24T11:00"), expected_version=2, by=BY, at=NOW)
    visit.refresh_from_db()

    assert [when for _, when in before] != [when for _, when in longer]
    assert sorted(when for _, when in longer) == ["10:00-12:00", "11:00-11:45", "11:00-11:45"]
    assert sorted(when for _, when in claims(visit)) == ["11:00-13:00", "12:00-12:45", "12:00-12:45"]
    assert visit.ends_at == utc("2026-11-24T13:00")
    assert AuditEvent.objects.filter(action="appointment.resized", subject_id=str(visit.ref)).count() == 1


def test_a_visit_does_not_grow_into_the_next_one(desk, place, bo, ana):
    book(make_patient(place, "Ben", "Okafor"), bo, utc("2026-11-24T10:30"), at=BEFORE)
    visit = book(ana, bo, TEN, at=BEFORE)
    held = claims(visit)

    refused = desk.post(f"/visits/{visit.ref}/length/", {"version": 1, "minutes": 45}, **HTMX)

    visit.refresh_from_db()
    assert refused.status_code == 422
    assert "Bo Lindqvist has just been taken for 10:00." in text(refused)
    assert (claims(visit), visit.version) == (held, 1)


@pytest.mark.parametrize("minutes", ["0", "-5", "7", "485", "99999999999", "long"])
def test_a_length_that_makes_no_sense_is_refused(desk, bo, ana, minutes):
    visit = book(ana, bo, TEN, at=BEFORE)

    answer = desk.post(f"/visits/{visit.ref}/length/", {"version": 1, "minutes": minutes}, **HTMX)

    assert answer.status_code == 422
    visit.refresh_from_db()
    assert visit.version == 1


def test_the_length_is_changed_by_number_too_and_only_while_booked(desk, bo, ana):
    visit = book(ana, bo, TEN, at=BEFORE)
    assert "Change the length" in text(desk.get(f"/visits/{visit.ref}/"))

    answer = desk.post(f"/visits/{visit.ref}/length/", {"version": 1, "minutes": 60}, follow=True)
    assert "Ana Reyes: until 11:00 now." in text(answer)
    mark_arrived(appointment=visit, by=BY, at=NOW)
    refused = desk.post(f"/visits/{visit.ref}/length/", {"version": 3, "minutes": 30}, **HTMX)

    assert refused.status_code == 422
    assert Appointment.objects.get().ends_at == utc("2026-11-24T11:00")


def test_what_was_typed_stays_text_in_the_grid(desk, place, bo):
    book(make_patient(place, "<b>Bob", '"><script>'), bo, TEN, at=BEFORE)

    page = text(desk.get("/diary/grid/"))

    assert "<script>" not in page
    assert "&lt;b&gt;Bob" in page
