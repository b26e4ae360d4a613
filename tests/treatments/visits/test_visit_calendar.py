"""A visit in the patient's calendar: one entry that follows every move, and says nothing of why."""

from datetime import timedelta

import pytest
from icalendar import Calendar

from clinic.transports.email import smtp
from patients.messaging import bell as messaging
from patients.messaging.sender import dispatch
from tests.factories.people import NOW, make_clinician, make_location, make_patient
from tests.factories.smtp import SmtpServer
from tests.factories.visits import BY, book, utc
from treatments.booking.actions import cancel_appointment, move_appointment
from treatments.visits.rules import Entry, calendar_text

TUESDAY, THURSDAY = utc("2026-12-01T10:00"), utc("2026-12-03T14:30")


@pytest.fixture
def server(settings, monkeypatch):
    monkeypatch.setattr(messaging, "_deaf_until", float("inf"))
    with SmtpServer() as running:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.EMAIL_USE_TLS, settings.EMAIL_TIMEOUT = False, 2
        yield running
        smtp().close()


def calendars(server):
    """Return (method, lines) of the calendar file in each letter; letters without one are left out."""
    found = []
    for letter in server.letters:
        for part in letter.message.iter_attachments():
            assert part.get_content_type() == "text/calendar"
            lines = part.get_content().replace("\r\n ", "").replace("\n ", "").splitlines()
            found.append((part.get_param("method"), lines))
    return found


def values(lines, *names):
    return [line.partition(":")[2] for name in names for line in lines if line.partition(":")[0] == name]


@pytest.mark.django_db(transaction=True)
def test_confirmed_moved_and_cancelled_letters_carry_one_visit_with_a_growing_number(server):
    location = make_location()
    bo = make_clinician("Bo Lindqvist", location).practitioner
    visit = book(make_patient(location), bo, TUESDAY)
    dispatch(at=NOW + timedelta(minutes=4))
    moved = move_appointment(
        appointment=visit, starts_at=THURSDAY, expected_version=visit.version, by=BY, at=NOW + timedelta(hours=1)
    ).appointment
    dispatch(at=NOW + timedelta(hours=1, minutes=4))
    cancel_appointment(appointment=moved, reason="patient", by=BY, at=NOW + timedelta(hours=2))
    dispatch(at=NOW + timedelta(hours=2, minutes=4))

    said = [(method, *values(lines, "METHOD", "SEQUENCE", "DTSTART", "STATUS")) for method, lines in calendars(server)]
    assert said == [
        ("REQUEST", "REQUEST", "0", "20261201T100000Z", "CONFIRMED"),
        ("REQUEST", "REQUEST", "1", "20261203T143000Z", "CONFIRMED"),
        ("CANCEL", "CANCEL", "2", "20261203T143000Z", "CANCELLED"),
    ]
    assert {values(lines, "UID")[0] for _, lines in calendars(server)} == {f"{visit.ref}@afterglow"}
    assert {values(lines, "SUMMARY")[0] for _, lines in calendars(server)} == {"Visit at Harley Street"}


def entry(**fields):
    return Entry(
        **{
            "uid": "1@afterglow",
            "sequence": 0,
            "starts_at": TUESDAY,
            "ends_at": TUESDAY + timedelta(minutes=30),
            "stamped_at": NOW,
            "summary": "Visit",
            **fields,
        }
    )


def test_no_text_can_end_its_line_or_begin_another_property():
    text = calendar_text([entry(summary="A, B; C\\D\r\nATTENDEE:mailto:x@y.example\x00")])

    assert "SUMMARY:A\\, B\\; C\\\\D\\nATTENDEE:mailto:x@y.example\r\n" in text


def test_lines_are_folded_at_75_octets_and_no_letter_is_split():
    text = calendar_text([entry(place="Ü" * 200)])

    assert max(len(line.encode()) for line in text.split("\r\n")) <= 75
    assert "LOCATION:" + "Ü" * 200 in text.replace("\r\n ", "")


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        entry(starts_at=TUESDAY.replace(tzinfo=None))


@pytest.mark.django_db(transaction=True)
def test_another_program_reads_each_file_as_it_was_meant(server):
    """RFC 5545 as icalendar reads it: an invitation, its update, its end; one event throughout."""
    location = make_location("Boston", "America/New_York", address="210 Newbury Street; Boston, MA")
    bo = make_clinician("Bo Lindqvist", location).practitioner
    before, after = utc("2027-03-12T15:00"), utc("2027-03-15T14:00")  # 10:00 there, on either side of the change
    at = before - timedelta(days=4)
    visit = book(make_patient(location), bo, before, at=at)
    dispatch(at=at + timedelta(minutes=4))
    moved = move_appointment(
        appointment=visit, starts_at=after, expected_version=1, by=BY, at=at + timedelta(hours=1)
    ).appointment
    dispatch(at=at + timedelta(hours=1, minutes=4))
    cancel_appointment(appointment=moved, reason="patient", by=BY, at=at + timedelta(hours=2))
    dispatch(at=at + timedelta(hours=2, minutes=4))

    said, uids = [], set()
    for letter in server.letters:
        for part in letter.message.iter_attachments():
            calendar = Calendar.from_ical(part.get_content())
            (event,) = calendar.events
            assert (calendar.errors, event.errors) == ([], [])
            assert calendar["METHOD"] == part.get_param("method")
            assert str(event["LOCATION"]) == "210 Newbury Street; Boston, MA"
            assert str(event["ATTENDEE"]) == "mailto:ana.reyes@mail.example"
            assert str(event["ORGANIZER"]).startswith("mailto:")
            uids.add(str(event["UID"]))
            local = event["DTSTART"].dt.astimezone(location.zone)
            said.append((str(calendar["METHOD"]), event["SEQUENCE"], str(event["STATUS"]), f"{local:%m-%d %H:%M}"))

    assert said == [
        ("REQUEST", 0, "CONFIRMED", "03-12 10:00"),
        ("REQUEST", 1, "CONFIRMED", "03-15 10:00"),
        ("CANCEL", 2, "CANCELLED", "03-15 10:00"),
    ]
    assert len(uids) == 1
