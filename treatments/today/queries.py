"""The day's visits in one query, with what the desk may know of each."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import CharField, Exists, OuterRef, Q, Value
from django.db.models.functions import Cast, Coalesce, Concat

from clinic.premises.models import Location
from patients.candidacy.models import CandidacyDecision, Flag
from patients.candidacy.states import ALLOWING, FlagStatus
from patients.consent.models import Consent
from patients.consent.states import ConsentScope
from patients.intake.models import QuestionnaireResponse
from patients.photos.models import Photo
from treatments.aftercare.models import AdverseEvent, Escalation
from treatments.booking.models import Appointment
from treatments.booking.rules import day_bounds
from treatments.booking.states import AppointmentStatus, Step, step_of


class DayVisit(NamedTuple):
    """A visit as the day's pages show it. The last eight say what is known, never what was answered."""

    ref: UUID
    status: str
    starts_at: datetime
    ends_at: datetime
    version: int
    type_label: str
    kind: str
    minutes_before: int
    minutes_work: int
    minutes_after: int
    joins_after: int
    patient_ref: UUID
    given_name: str
    family_name: str
    practitioner_id: int
    practitioner: str
    room_id: int | None
    room: str | None
    device_id: int | None
    device_make: str | None
    device_model: str | None
    modality: str | None
    note: str
    override_reason: str
    booked_online: bool
    arrived_at: datetime | None
    confirmed_at: datetime | None
    in_room_at: datetime | None
    has_answers: bool
    is_cleared: bool
    has_consent: bool
    has_open_flags: bool
    has_been_here: bool
    has_photos: bool
    has_alarm: bool
    has_event_to_review: bool

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip()

    @property
    def device(self) -> str:
        return f"{self.device_make} {self.device_model}" if self.device_make else ""

    @property
    def step(self) -> Step:
        return step_of(self.status, is_confirmed=self.confirmed_at is not None, is_in_room=self.in_room_at is not None)


_DAY_COLUMNS = (
    "ref",
    "status",
    "starts_at",
    "ends_at",
    "version",
    "type__label",
    "type__kind",
    "type__minutes_before",
    Coalesce("minutes_work", "type__minutes_work"),
    "type__minutes_after",
    "type__practitioner_joins_after",
    "patient__ref",
    "patient__given_name",
    "patient__family_name",
    "practitioner_id",
    "practitioner__name",
    "room_id",
    "room__name",
    "device_id",
    "device__make",
    "device__model",
    "course__modality",
    "note",
    "override_reason",
    "booked_online",
    "arrived_at",
    "confirmed_at",
    "in_room_at",
)


def visits_of_day(location: Location, day: date) -> list[DayVisit]:
    """Return every visit of the local day, cancelled ones included, in order. One query, however many there are."""
    opens, closes = day_bounds(day, location.zone)
    statement, values = _day_statement()
    asked: dict[Any, Any] = {_HERE: location.pk, _FROM: opens, _TO: closes}
    with connection.cursor() as cursor:
        cursor.execute(statement, [asked.get(value, value) for value in values])
        return list(map(DayVisit._make, cursor.fetchall()))


# What stands for the place, the first and the last instant while the statement is made.
_HERE, _FROM, _TO = -1, datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC)


@lru_cache(maxsize=1)
def _day_statement() -> tuple[str, tuple[Any, ...]]:
    """Return the statement of a day and its values. Made once: to build it takes as long as to run it."""
    rows = (
        Appointment.objects.filter(location_id=_HERE, starts_at__gte=_FROM, starts_at__lt=_TO)
        .exclude(status=AppointmentStatus.ENTERED_IN_ERROR)
        .order_by("starts_at", "id")
        .values_list(*_DAY_COLUMNS, *_known())
    )
    return rows.query.sql_with_params()


def _known() -> list[Exists]:
    """Return what the desk may know of a visit's patient: that things are there, not what they say."""
    patient = OuterRef("patient")
    about = Concat(Value("course:"), Cast(OuterRef("course__ref"), CharField()))
    answers = QuestionnaireResponse.objects.filter(patient=patient, status__in=["completed", "amended"])
    decision = CandidacyDecision.objects.in_force().filter(
        patient=patient, modality=OuterRef("course__modality"), kind__in=ALLOWING
    )
    consent = Consent.objects.in_force().filter(patient=patient, scope=ConsentScope.TREATMENT, about=about)
    # Another laser's flags are no concern of this treatment; before any decision every flag is.
    decided = CandidacyDecision.objects.in_force().filter(patient=OuterRef("screening__patient"))
    flags = Flag.objects.filter(screening__patient=patient, status=FlagStatus.OPEN).filter(
        Q(screening__modality=OuterRef("course__modality")) | ~Exists(decided)
    )
    earlier = Appointment.objects.filter(
        patient=patient, status=AppointmentStatus.FULFILLED, starts_at__lt=OuterRef("starts_at")
    )
    photos = Photo.objects.kept().filter(patient=patient)
    alarms = Escalation.objects.unfinished().filter(patient=patient)
    events = AdverseEvent.objects.filter(patient=patient, reviewed_at=None, struck_at=None)
    return [Exists(rows) for rows in (answers, decision, consent, flags, earlier, photos, alarms, events)]
