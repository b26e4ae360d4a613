"""The visits of another calendar come in through the same gates as any other, or say why not."""

import io

import pytest
from django.core.management import CommandError, call_command

from clinic.audit.models import AuditEvent
from patients.messaging.models import Message
from patients.registry.models import Patient
from tests.factories.people import NOW, make_clinician, make_device, make_location, make_patient
from tests.factories.visits import BY, book, get_type, make_course, make_decision, utc
from treatments.booking.models import Appointment
from treatments.feeds.queries import table_of
from treatments.feeds.rules import csv_lines
from treatments.imports.actions import import_visits
from treatments.imports.rules import RowUnreadable, TableUnreadable, read_table

HEAD = "Date,Time,Visit,Practitioner,Family name,First name,Born,Email,Phone,Note\n"
ANA = "2026-12-07,10:00,consultation,Bo Lindqvist,Reyes,Ana,1988-05-14,ana@mail.example,,Prefers tea\n"


@pytest.fixture
def place(db, time_machine):
    time_machine.move_to(NOW, tick=False)
    return make_location()


@pytest.fixture
def bo(place):
    get_type("consultation")
    return make_clinician("Bo Lindqvist", place)


def run(place, *rows, **more):
    return import_visits(text=HEAD + "".join(rows), place=place, by=BY, at=NOW, **more)


def whys(found):
    return [each.why for each in found]


def test_a_row_is_a_patient_a_visit_and_its_messages_and_twice_is_once(place, bo):
    first = run(place, ANA)
    again = run(place, ANA)

    [visit] = Appointment.objects.all()
    assert [(each.line, each.visit, each.is_new, each.why) for each in first] == [(2, visit, True, "")]
    assert [(each.visit, each.is_new) for each in again] == [(visit, False)]
    assert (visit.patient.full_name, visit.practitioner, visit.note) == ("Ana Reyes", bo.practitioner, "Prefers tea")
    assert visit.starts_at == utc("2026-12-07T10:00")
    assert visit.patient.contacts.get().point.value == "ana@mail.example"
    assert Message.objects.filter(about=visit.about).exists()
    events = AuditEvent.objects.filter(action="visits.imported").order_by("id")
    assert [event.detail["new"] for event in events] == [1, 0]


def test_whoever_is_on_record_is_not_registered_again(place, bo):
    ana = make_patient(place)

    run(place, ANA)

    assert list(Patient.objects.all()) == [ana]
    assert Appointment.objects.get().patient == ana


def test_somebody_who_is_only_alike_is_left_to_a_person(place, bo):
    make_patient(place, given_name="Anna")

    found = run(place, ANA)

    assert whys(found)[0].startswith("May be on record already: ")
    assert Appointment.objects.count() == 0
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ANA.replace("10:00", "ten"), "“Time” is no time like 14:30: ten."),
        (ANA.replace("2026-12-07", "7/12/2026"), "“Date” is no date like 2026-12-07: 7/12/2026."),
        (ANA.replace("Reyes", ""), "“Family name” is empty."),
        (ANA.replace("1988-05-14", "2088-05-14"), "This date of birth is in the future."),
        (ANA.replace("consultation", "massage"), "No kind of visit is called “massage”."),
        (ANA.replace("Bo Lindqvist", "Nobody"), "Nobody called “Nobody” sees patients here."),
        (ANA.replace("2026-12-07,10:00", "2027-03-28,01:30"), "01:30 does not exist in Europe/London"),
        (ANA.replace("ana@mail.example", "ana"), "email"),
    ],
)
def test_a_row_that_makes_no_sense_says_so_and_leaves_nothing(place, bo, row, why):
    found = run(place, row, ANA.replace("10:00", "11:00"))

    assert why in whys(found)[0]
    assert whys(found)[1] == ""
    assert Appointment.objects.count() == Patient.objects.count() == 1


def test_a_taken_time_and_a_closed_hour_are_refused_and_the_new_patient_is_not_kept(place, bo):
    book(
        make_patient(place, given_name="Cleo", born_on=NOW.date().replace(year=1970)),
        bo.practitioner,
        utc("2026-12-07T10:00"),
    )

    found = run(place, ANA, ANA.replace("10:00", "03:00"))

    assert all(whys(found))
    assert Appointment.objects.count() == Patient.objects.count() == 1


def test_a_treatment_needs_a_decision_and_a_course_here_too(place, bo):
    get_type("treatment_nafl")
    make_device(place)
    row = ANA.replace("consultation", "treatment_nafl").replace("2026-12-07", "2027-01-11")

    refused = run(place, row)
    ana = make_patient(place)
    course = make_course(ana, make_decision(ana, decider=bo))
    taken = run(place, row)

    assert whys(refused) != [""]
    assert whys(taken) == [""]
    assert taken[0].visit.course == course


def test_trying_keeps_nothing_and_says_the_same(place, bo):
    tried = run(place, ANA, ANA.replace("10:00", "03:00"), only_try=True)

    assert [each.is_new for each in tried] == [True, False]
    assert not Appointment.objects.exists()
    assert not Patient.objects.exists()
    assert not Message.objects.exists()
    assert whys(tried) == whys(run(place, ANA, ANA.replace("10:00", "03:00")))


def test_our_own_export_is_read_again(place, bo):
    ana = make_patient(place, given_name="=Ana", phone="+447700900123")
    visit = book(ana, bo.practitioner, utc("2026-12-07T10:00"))
    text = "".join(csv_lines(table_of([place], visit.starts_at.date(), visit.starts_at.date())))

    [(line, row)] = read_table(text)

    assert line == 2
    assert (row.first_name, row.family_name, row.born_on, row.practitioner) == (
        "=Ana",
        "Reyes",
        ana.born_on,
        "Bo Lindqvist",
    )
    assert (row.starts.isoformat(), row.phone) == ("2026-12-07T10:00:00", "(+44) 7700900123")


def test_a_file_without_the_columns_is_refused_whole():
    with pytest.raises(TableUnreadable, match="“Time”, “Visit”"):
        read_table("Date,Practitioner,Family name,First name,Born\n")


def test_empty_lines_and_short_rows_are_no_trap():
    rows = list(read_table(f"{HEAD}\n,,,,,,,,,\n2026-12-07\n"))

    assert [line for line, _ in rows] == [4]
    assert isinstance(rows[0][1], RowUnreadable)


def test_the_command_says_what_came_of_each_row(place, bo, tmp_path):
    file = tmp_path / "visits.csv"
    file.write_text(HEAD + ANA + ANA.replace("Reyes", ""), encoding="utf-8-sig")
    said = io.StringIO()

    with pytest.raises(CommandError) as ended:
        call_command("import_visits", str(file), place=place.name, stdout=said)

    assert ended.value.returncode == 1
    assert said.getvalue() == "line 3: “Family name” is empty.\n1 booked, 0 known already, 1 refused.\n"


@pytest.mark.parametrize(("name", "text"), [("Nowhere", HEAD), (None, "Date\n"), (None, None)])
def test_the_command_refuses_what_it_cannot_read(place, tmp_path, name, text):
    file = tmp_path / "visits.csv"
    if text is not None:
        file.write_text(text)

    with pytest.raises(CommandError) as ended:
        call_command("import_visits", str(file), place=name or place.name)

    assert ended.value.returncode == 2
