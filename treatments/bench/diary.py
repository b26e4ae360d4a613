"""`diary`: a full day's page against the same rows by `values_list`, printed bare."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.premises.models import Location
from patients.candidacy.models import CandidacyDecision, Flag
from patients.consent.models import Consent
from patients.intake.models import QuestionnaireResponse
from patients.photos.models import Photo
from treatments.aftercare.models import AdverseEvent, Escalation
from treatments.bench import ground, slots
from treatments.bench.rules import Count, Figure, Goal, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.timing import Clock, in_turn
from treatments.booking.models import Appointment
from treatments.booking.rules import day_bounds
from treatments.diary.grid import diary_of
from treatments.today.queries import visits_of_day

MOST_QUERIES = 4
_COLUMNS = (
    "ref", "status", "starts_at", "ends_at", "version", "type__label", "type__kind", "type__minutes_before",
    "type__minutes_work", "type__minutes_after", "type__practitioner_joins_after", "patient__ref",
    "patient__given_name", "patient__family_name", "practitioner_id", "practitioner__name", "room_id", "room__name",
    "device_id", "device__make", "device__model", "course__modality", "note", "override_reason", "arrived_at",
    "confirmed_at", "in_room_at",
)  # fmt: skip


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield the day's data and its page against bare rows, and how many queries they take."""
    day = ground.AT.date() + timedelta(days=slots.DAYS - 1)
    location, quiet = _place("Full", size), _place("Quiet", max(size // 10, 1))
    ground.settle()
    clock = Clock(ground.backend_pid())
    if len(visits_of_day(location, day)) != size:
        raise RuntimeError("The day does not hold the visits it should.")

    def bare() -> str:
        return "\n".join(" ".join(map(str, row)) for row in _rows(location, day))

    what = f"the same {size} rows by values_list, printed bare"
    data = in_turn(lambda: visits_of_day(location, day), bare, pairs, clock)
    yield Ratio("diary.data", "day", what, data, 1, Goal(at_most=1.3))
    client = _signed_in(location)
    address = f"/diary/?day={day:%Y-%m-%d}"
    page = in_turn(lambda: _get(client, address), bare, pairs, clock)
    yield Ratio("diary.page", "page", what, page, 1, Goal(at_most=3), note="signed in, through every middleware")
    shown = in_turn(lambda: diary_of(location, day, "practitioner", ground.AT, private=False), bare, pairs, clock)
    yield Ratio("diary.grid", "day", what, shown, 1, note="the page's data arranged in columns, without template")
    yield Count("diary.queries", _queries_of_grid(location, day), "queries of the grid", Goal(at_most=MOST_QUERIES))
    more = _queries_of_page(client, address) - _queries_of_page(_signed_in(quiet), address)
    yield Count("diary.more", more, "queries more for ten times the visits", Goal(at_most=0))
    yield Count("diary.page.queries", _queries_of_page(client, address), "queries of the whole page")


def _place(name: str, visits: int) -> Location:
    """A location whose last day of the month has so many visits, half of them of people whose answers are in."""
    people = -(-visits // slots.A_DAY_EACH)
    location = ground.make_place(name, practitioners=people, rooms=people)
    first = ground.make_patients(location, slots.PATIENTS)
    slots.fill(location, visits, first)
    pack = published(PackKind.QUESTIONNAIRE, "intake")
    QuestionnaireResponse.objects.bulk_create(
        QuestionnaireResponse(
            patient_id=first + number, pack=pack, status="completed", started_at=ground.AT, completed_at=ground.AT,
            snapshot={},
        )
        for number in range(0, slots.PATIENTS, 2)
    )  # fmt: skip
    return location


def _rows(location: Location, day: date) -> list[tuple[object, ...]]:
    """Return the day as somebody would read it who wanted nothing but its rows."""
    opens, closes = day_bounds(day, location.zone)
    patient = OuterRef("patient")
    found = Appointment.objects.filter(location=location, starts_at__gte=opens, starts_at__lt=closes)
    return list(
        found.exclude(status="entered-in-error")
        .order_by("starts_at", "id")
        .values_list(
            *_COLUMNS,
            Exists(QuestionnaireResponse.objects.filter(patient=patient, status__in=["completed", "amended"])),
            Exists(
                CandidacyDecision.objects.filter(
                    patient=patient, modality=OuterRef("course__modality"), status="in_force"
                )
            ),
            Exists(Consent.objects.filter(patient=patient, scope="treatment", status="active")),
            Exists(Flag.objects.filter(screening__patient=patient, status="open")),
            Exists(
                Appointment.objects.filter(patient=patient, status="fulfilled", starts_at__lt=OuterRef("starts_at"))
            ),
            Exists(Photo.objects.filter(patient=patient, status="kept")),
            Exists(Escalation.objects.filter(patient=patient).exclude(status="closed")),
            Exists(AdverseEvent.objects.filter(patient=patient, reviewed_at=None, struck_at=None)),
        )
    )


def _signed_in(location: Location) -> Client:
    client = Client(SERVER_NAME=settings.ALLOWED_HOSTS[0].lstrip("."))
    client.force_login(ground.make_staff(location, f"desk@{location.name.lower()}.example"))
    return client


def _get(client: Client, address: str) -> bytes:
    answer = client.get(address, secure=True)
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answered {answer.status_code}.")
    return answer.content


def _queries_of_grid(location: Location, day: date) -> int:
    with CaptureQueriesContext(connection) as caught:
        diary_of(location, day, "practitioner", ground.AT, private=False)
    return len(caught)


def _queries_of_page(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as caught:
        _get(client, address)
    return len(caught)
