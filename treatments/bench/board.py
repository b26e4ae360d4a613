"""`board`: the readiness board and the inbox of alarms, against bare queries that bring the same rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

from django.db import connection
from django.db.models import Exists, OuterRef
from django.test.utils import CaptureQueriesContext

from clinic.catalogue.models import AppointmentType
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.premises.models import Absence, Device, Location, Resource
from clinic.staff.models import Authorisation, Practitioner, User
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision, Flag, Screening
from patients.candidacy.queries import pack_in_force
from patients.consent.models import Consent
from patients.intake.models import QuestionnaireResponse
from patients.registry.models import Patient
from treatments.aftercare.models import CheckIn, Escalation
from treatments.aftercare.queries import open_alarms
from treatments.bench import ground
from treatments.bench.rules import Count, Figure, Goal, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.timing import Clock, in_turn
from treatments.booking.models import Appointment
from treatments.courses.models import Course
from treatments.journey.queries import readiness_board
from treatments.sessions.models import FitnessCheck, TreatmentSession

MODALITY = "nafl_1550"
DAYS = 14
PAST = 100  # closed alarms for each visit to come
_OF_PATIENT = "(SELECT id FROM {} WHERE patient_id = {} + n)"


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield the board of `size` coming visits and the inbox of half as many alarms, each against bare queries."""
    location = ground.make_place("Board", practitioners=1, rooms=0)
    clinician = ground.make_staff(location, "clinician@board.example", role="clinician")
    visit = _coming_visits(location, clinician, size)
    _alarms(visit, clinician, max(size // 2, 1), size * PAST)
    ground.settle()
    clock = Clock(ground.backend_pid())
    shown, bare = readiness_board(location, ground.AT, DAYS), _bare_board(location)
    if len(shown) != size or {row.visit.pk for row in shown} != {row[0] for row in bare}:
        raise RuntimeError(f"The board shows {len(shown)} visits, the floor {len(bare)}, of {size}.")
    yield Ratio(
        name="board",
        unit="board",
        floor="one query with the same facts of each visit, as rows",
        pairs=in_turn(lambda: readiness_board(location, ground.AT, DAYS), lambda: _bare_board(location), pairs, clock),
        units=1,
        goal=Goal(at_most=1.5),
        note=f"{size} visits in {DAYS} days",
    )
    yield Count("board.queries", _queries(lambda: readiness_board(location, ground.AT, DAYS)), "queries of the board")
    alarms = len(open_alarms(clinician))
    if alarms != len(_bare_alarms(location)):
        raise RuntimeError("Inbox and floor differ in their alarms.")
    yield Ratio(
        name="board.alarms",
        unit="inbox",
        floor="one query of the same rows, by values_list",
        pairs=in_turn(lambda: open_alarms(clinician), lambda: _bare_alarms(location), pairs, clock),
        units=1,
        goal=Goal(at_most=1.5),
        note=f"{alarms} open among {size * PAST:,} closed ones",
    )


def _queries(run: object) -> int:
    with CaptureQueriesContext(connection) as caught:
        assert callable(run)
        run()
    return len(caught)


def _bare_board(location: Location) -> list[tuple[object, ...]]:
    """Return each coming visit with what decides its readiness, read at once."""
    patient, modality = OuterRef("patient"), OuterRef("course__modality")
    in_force = CandidacyDecision.objects.filter(patient=patient, modality=modality, status="in_force")
    open_flags = Flag.objects.filter(screening__patient=patient, screening__modality=modality, status="open")
    tasks = Task.objects.unfinished().filter(patient_ref=OuterRef("patient__ref"), blocks_treatment=True)
    may_treat = Authorisation.objects.filter(practitioner=OuterRef("practitioner"), modality=modality, may_treat=True)
    away = Absence.objects.filter(
        resource__device=OuterRef("device"), starts_at__lte=OuterRef("starts_at"), ends_at__gt=OuterRef("starts_at")
    )
    visits = Appointment.objects.filter(
        location=location,
        type__kind__in=["treatment", "test_spot"],
        status__in=["booked", "arrived"],
        starts_at__gte=ground.AT - timedelta(hours=12),
        starts_at__lt=ground.AT + timedelta(days=DAYS),
    )
    return list(
        visits.order_by("starts_at").values_list(
            "pk", "starts_at", "patient__given_name", "patient__family_name", "type__label", "practitioner__name",
            "device__make", "device__service_due_on", "course__last_treated_at", "course__min_interval_days",
            Exists(in_force), Exists(open_flags), Exists(tasks),
            Exists(Consent.objects.filter(patient=patient, scope="treatment", status="active")),
            Exists(may_treat), Exists(away),
            Exists(FitnessCheck.objects.filter(session__appointment=OuterRef("pk"))),
        )
    )  # fmt: skip


def _bare_alarms(location: Location) -> list[tuple[object, ...]]:
    rows = Escalation.objects.filter(location=location).exclude(status="closed").order_by("raised_at")
    return list(
        rows.values_list(
            "ref", "status", "level", "raised_at", "act_by", "fault", "patient__given_name", "patient__family_name",
            "owner__name", "asked__name", "checkin__day", "checkin__session__modality", "location__name",
        )
    )  # fmt: skip


# --- rows -----------------------------------------------------------------------------------------------------------


def _coming_visits(location: Location, clinician: User, size: int) -> Appointment:
    """So many treatment visits come, each of a patient with answers, decision and course; none has consented yet."""
    first = ground.make_patients(location, size)
    patient = Patient.objects.get(pk=first)
    practitioner = Practitioner.objects.get(hours__weekday=0, hours__location=location)
    Authorisation.objects.create(practitioner=practitioner, modality=MODALITY, may_treat=True)
    device = Device.objects.create(
        location=location, make="Bench", model="One", serial="1", modality=MODALITY, wavelength_nm=1550
    )
    Resource.objects.create(device=device)
    response = QuestionnaireResponse.objects.create(
        patient=patient, pack=published(PackKind.QUESTIONNAIRE, "intake"), status="completed", started_at=ground.AT,
        completed_at=ground.AT, snapshot={},
    )  # fmt: skip
    screening = Screening.objects.create(
        patient=patient, response=response, modality=MODALITY, pack=pack_in_force(), reference_on=ground.AT.date(),
        answers={}, result={}, result_sha256="0" * 64, outcome="eligible", screened_at=ground.AT,
    )  # fmt: skip
    decision = CandidacyDecision.objects.create(
        patient=patient, screening=screening, modality=MODALITY, kind="proceed", reason="Suitable.", conditions=[],
        decided_by=clinician, decided_at=ground.AT,
    )  # fmt: skip
    course = Course.objects.create(
        patient=patient, decision=decision, modality=MODALITY, areas=["full_face"], sessions_planned=3,
        min_interval_days=28, planned_at=ground.AT,
    )  # fmt: skip
    starts_at = ground.AT + timedelta(hours=2)
    visit = Appointment.objects.create(
        patient=patient, type=AppointmentType.objects.get(key="treatment_nafl"), location=location, course=course,
        practitioner=practitioner, device=device, starts_at=starts_at, ends_at=starts_at + timedelta(minutes=105),
        booked_at=ground.AT, form_key=uuid.uuid4(), changed_at=ground.AT, changed_by_name="Dina",
    )  # fmt: skip
    others, own = size - 1, f"{first} + n"
    for row, more in (
        (response, {}),
        (screening, {"response_id": _of("patients_questionnaireresponse", first)}),
        (decision, {"screening_id": _of("patients_screening", first)}),
        (course, {"decision_id": _of("patients_candidacydecision", first)}),
        (visit, {"course_id": _of("treatments_course", first), "form_key": "gen_random_uuid()", **_later(size)}),
    ):
        ground.copy_row(row, others, ref="gen_random_uuid()", patient_id=own, **more)
    return visit


def _of(table: str, first: int) -> str:
    return _OF_PATIENT.format(table, first)


def _later(size: int) -> dict[str, str]:
    """Return when the copies of a visit are, spread over the days of the board."""
    seconds = (DAYS - 1) * 86_400 // max(size, 1)
    return {name: f"{name} + n * interval '{seconds} seconds'" for name in ("starts_at", "ends_at")}


def _alarms(visit: Appointment, clinician: User, count: int, past: int) -> None:
    """So many alarms are open, each of a check-in of its own, and many more were closed."""
    assert visit.course is not None
    assert visit.device is not None
    at = ground.AT - timedelta(days=1)
    earlier = Appointment.objects.get(pk=visit.pk)
    earlier.pk, earlier.ref, earlier.form_key, earlier.status = None, uuid.uuid4(), uuid.uuid4(), "fulfilled"
    earlier.starts_at, earlier.ends_at = at - timedelta(days=9), at - timedelta(days=9, hours=-1)
    earlier.save()
    session = TreatmentSession.objects.create(
        status="completed", appointment=earlier, patient=visit.patient, course=visit.course, number=1,
        modality=MODALITY, device=visit.device, operator=visit.practitioner, opened_at=earlier.starts_at,
        started_at=earlier.starts_at, completed_at=earlier.ends_at, anaesthesia="none", eye_protection="external",
    )  # fmt: skip
    checkin = CheckIn.objects.create(
        status="answered", patient=visit.patient, session=session, step="day_1", day=1, due_at=at, silent_at=at,
        answered_at=at, level="U1",
    )  # fmt: skip
    alarm = Escalation.objects.create(
        patient=visit.patient, location=visit.location, checkin=checkin, level="U1", raised_at=at, act_by=at,
        asked=clinician, climbs_at=at,
    )  # fmt: skip
    ground.copy_row(checkin, count - 1, ref="gen_random_uuid()", step="'day_1_' || n")
    own = "(SELECT id FROM treatments_checkin WHERE step = 'day_1_' || n)"
    ground.copy_row(alarm, count - 1, ref="gen_random_uuid()", checkin_id=own)
    closed = {"status": "'closed'", "outcome": "'advised'", "outcome_note": "'closed'", "closed_at": "t.raised_at"}
    ground.copy_row(alarm, past, ref="gen_random_uuid()", closed_by_id=str(clinician.pk), **closed)
