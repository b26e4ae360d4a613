"""The clinic's visits as a table: every cell is text to a spreadsheet, telephones can be read, and it is on record."""

import csv
import io
from datetime import date

import pytest
from django.urls import reverse

from clinic.audit.models import AuditEvent
from clinic.staff.states import Role
from tests.factories.people import NOW, make_clinician, make_location, make_patient, make_user
from tests.factories.visits import BY, book, utc
from treatments.booking.actions import cancel_appointment
from treatments.feeds.rules import phone_cell, safe_cell

TUESDAY = utc("2026-12-01T10:00")
LIVE = ["=", "+", "-", "@", "\t", "\r"]
PAYLOADS = [
    "1+1",
    "cmd|' /C calc'!A0",
    'HYPERLINK("http://x.example","y")',
    "SUM(A1:A9)",
    "2",
    "x",
    "-1",
    " ",
    "=1",
    '"a"',
]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("sign", LIVE)
def test_no_cell_of_sixty_is_live(sign, payload):
    cell = safe_cell(sign + payload)

    assert cell[0] not in "=+-@\t\r"
    assert cell.endswith(sign + payload)


@pytest.mark.parametrize("text", ["  =1+1", "\n=1", "＝1+1", "%0", "|x"])
def test_neither_is_one_that_hides_it(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["Ana", "O’Brien", "12:00", "", "李小龍", "a=b"])
def test_ordinary_text_stays_as_it_is(text):
    assert safe_cell(text) == text


@pytest.mark.parametrize(
    ("number", "cell"),
    [("+447700900123", "(+44) 7700900123"), ("+16175550142", "(+1) 6175550142"), ("", ""), ("=1", "'=1")],
)
def test_a_telephone_number_is_read_and_not_worked_out(number, cell):
    assert phone_cell(number) == cell


@pytest.fixture
def place(db, time_machine):
    time_machine.move_to(NOW, tick=False)
    return make_location()


@pytest.fixture
def manager(client, place):
    client.force_login(make_user("Max Berg", Role.MANAGER, location=place))
    return client


def table(answer):
    text = b"".join(answer.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def ask(client, first="2026-12-01", last="2026-12-31"):
    return client.post(reverse("export"), {"first": first, "last": last})


def test_the_table_holds_every_visit_of_the_days_by_the_clock_of_the_place(manager, place):
    bo = make_clinician("Bo Lindqvist", place).practitioner
    ana = make_patient(place, "@Ana", "=Reyes", phone="+447700900123", email="ana@mail.example")
    visit = book(ana, bo, TUESDAY, note='+cmd "x", y')
    cancel_appointment(appointment=visit, reason="unwell", by=BY, at=NOW)
    book(ana, bo, utc("2027-01-04T10:00"))

    answer = ask(manager)

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="visits-2026-12-01-to-2026-12-31.csv"'
    assert answer["Cache-Control"] == "no-store"
    rows = table(answer)
    assert len(rows) == 1
    wanted = {
        "Date": "2026-12-01",
        "Time": "10:00",
        "Place": "Harley Street",
        "Status": "Cancelled",
        "Cancelled because": "The patient is unwell",
        "Family name": "'=Reyes",
        "First name": "'@Ana",
        "Email": "ana@mail.example",
        "Phone": "(+44) 7700900123",
        "Note": '\'+cmd "x", y',
        "Visit ID": str(visit.ref),
    }
    assert {name: rows[0][name] for name in wanted} == wanted


def test_it_is_on_record_who_took_what(manager, place):
    table(ask(manager))

    event = AuditEvent.objects.get(action="visits.exported")
    assert (event.actor_name, event.detail["first"], event.detail["places"]) == (
        "Max Berg",
        "2026-12-01",
        ["Harley Street"],
    )


def test_other_places_are_not_in_it(manager, place):
    lisbon = make_location("Lisbon", "Europe/Lisbon")
    book(make_patient(lisbon), make_clinician("Eva Sanz", lisbon).practitioner, TUESDAY)

    assert table(ask(manager)) == []


@pytest.mark.parametrize("role", [Role.FRONT_DESK, Role.CLINICIAN, Role.LEAD_CLINICIAN])
def test_only_a_manager_takes_it(client, place, role):
    client.force_login(make_user("Sam Roe", role, location=place))

    assert ask(client).status_code == 403
    assert not AuditEvent.objects.filter(action="visits.exported").exists()


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        ("2026-12-02", "2026-12-01", "The last day comes before the first."),
        ("2026-01-01", "2027-06-01", "At most 366 days at once, please."),
        ("", "2026-12-01", "This field is required."),
        ("soon", "2026-12-01", "Enter a valid date."),
    ],
)
def test_days_that_make_no_sense_are_said_at_their_field(manager, first, last, sentence):
    answer = ask(manager, first, last)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not AuditEvent.objects.filter(action="visits.exported").exists()


def test_a_day_across_the_clock_change_is_whole(manager, place):
    bo = make_clinician("Bo Lindqvist", place).practitioner
    visit = book(make_patient(place), bo, utc("2027-03-27T16:00"))

    assert [row["Visit ID"] for row in table(ask(manager, "2027-03-27", "2027-03-28"))] == [str(visit.ref)]
    assert date(2027, 3, 28).weekday() == 6
