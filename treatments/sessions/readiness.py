"""Whether visits may be treated: the one rule, asked by the desk's board, the working page and the act itself.

What is on record is read once for any number of visits; what it means is then said of each by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from clinic.audit.states import Refused
from clinic.catalogue.states import TREATING, VisitKind
from clinic.premises.models import Absence, Device
from clinic.staff.models import Authorisation
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.queries import count_open_flags
from patients.candidacy.states import DecisionKind
from patients.consent.queries import plans_agreed
from patients.consent.rules import plan_sha256
from patients.consent.states import ConsentScope
from treatments.booking.models import Appointment
from treatments.booking.states import AppointmentStatus
from treatments.courses.models import Course
from treatments.courses.queries import Past, consent_plan, past_of
from treatments.sessions.models import FitnessCheck
from treatments.sessions.queries import modality_of
from treatments.sessions.states import ReadinessItem

# Which kinds of visit a decision allows.
ALLOWS: dict[str, frozenset[str]] = {
    DecisionKind.PROCEED: frozenset({VisitKind.TREATMENT, VisitKind.TEST_SPOT}),
    DecisionKind.PROCEED_WITH_CONDITIONS: frozenset({VisitKind.TREATMENT, VisitKind.TEST_SPOT}),
    DecisionKind.TEST_SPOT_FIRST: frozenset({VisitKind.TEST_SPOT}),
}
TEST_SPOT_TASK = "candidacy.test_spot"  # the kind of task that a test spot, read, closes
ALARM_TASK = "escalation"  # the kind of task that an open alarm hangs in the way of the next treatment


@dataclass(frozen=True)
class Item:
    """One thing that must be true before the laser is switched on.

    `detail` says what is missing without any medical answer, `whose` turn it is, `due_on` the day by which it is
    wanted. `can_override` is true where a clinician may go on with a reason.
    """

    key: str
    label: str
    ok: bool
    detail: str
    whose: str = ""
    due_on: date | None = None
    can_override: bool = False


@dataclass(frozen=True)
class Readiness:
    """All items of one visit, in the order in which people see to them."""

    items: tuple[Item, ...]

    @property
    def ready(self) -> bool:
        return not self.missing

    @property
    def missing(self) -> list[Item]:
        return [item for item in self.items if not item.ok]

    @property
    def prepared(self) -> bool:
        """Everything that can be seen to before the day is done; only the check at the door is left."""
        return all(item.key == ReadinessItem.FITNESS for item in self.missing)

    @property
    def can_override(self) -> bool:
        """What is missing may be passed over by a clinician who gives a reason."""
        return bool(self.missing) and all(item.can_override for item in self.missing)


class NotReady(Refused):
    """Something that must be true before treatment is not. `items` name what, whose it is and by when."""

    def __init__(self, items: list[Item], sentence: str = "") -> None:
        self.items = items
        names = ", ".join(dict.fromkeys(item.label.lower() for item in items))
        super().__init__(sentence or f"Not ready: {names}.", field="override_reason")


def readiness(appointment: Appointment, at: datetime) -> Readiness:
    """Return what still stands between this visit and its treatment."""
    return readiness_of([appointment], at)[0]


def readiness_of(appointments: Sequence[Appointment], at: datetime) -> list[Readiness]:
    """Return, in their order, what still stands between each of these visits and its treatment.

    A visit to come is judged for its own day, one whose patient has arrived for today, both on the wall clock of its
    location. Each item stands alone: that one is missing never hides another. The number of queries does not grow
    with the visits.
    """
    if not appointments:
        return []
    found = _on_record(appointments)
    return [_judge(each, found, at) for each in appointments]


# --- what is on record ------------------------------------------------------------------------------------------------

Pair = tuple[int, str]  # a patient or practitioner, by key, and a modality


@dataclass(frozen=True)
class _Record:
    """What was read about the patients, lasers and operators of some visits."""

    decisions: Mapping[Pair, CandidacyDecision]
    flags: Mapping[Pair, int]
    tasks: Mapping[UUID | None, Sequence[Task]]
    agreed: Collection[tuple[int, str, str]]
    past: Past
    away: Mapping[int, Sequence[tuple[datetime, datetime]]]  # by the laser's key
    may_treat: Collection[Pair]
    checks: Mapping[int, FitnessCheck]  # by the visit's key, the latest


def _on_record(visits: Sequence[Appointment]) -> _Record:
    patients = {visit.patient_id for visit in visits}
    lasers = {visit.device_id for visit in visits if visit.device_id}
    decisions = CandidacyDecision.objects.in_force().filter(patient__in=patients)
    absences = Absence.objects.filter(resource__device__in=lasers).values_list(
        "resource__device", "starts_at", "ends_at"
    )
    away = defaultdict(list)
    for laser, starts_at, ends_at in absences.filter(ends_at__gt=min(visit.starts_at for visit in visits)):
        away[laser].append((starts_at, ends_at))
    operators = {visit.practitioner_id for visit in visits}
    may_treat = Authorisation.objects.filter(practitioner__in=operators, may_treat=True)
    checks = FitnessCheck.objects.filter(session__appointment__in=[visit.pk for visit in visits if visit.pk])
    checks = checks.select_related("session").defer("answers").order_by("checked_at", "id")
    return _Record(
        decisions={(each.patient_id, each.modality): each for each in decisions},
        flags=count_open_flags(patients),
        tasks=_blocking_tasks({visit.patient.ref for visit in visits}),
        agreed=plans_agreed(patients, ConsentScope.TREATMENT),
        past=past_of(patients),
        away=away,
        may_treat=set(may_treat.values_list("practitioner", "modality")),
        checks={each.session.appointment_id: each for each in checks},
    )


def _blocking_tasks(patients: Collection[UUID]) -> Mapping[UUID | None, Sequence[Task]]:
    """Return the patients' unfinished tasks that stand in the way of a treatment, first due first."""
    mine = Task.objects.unfinished().filter(patient_ref__in=patients, blocks_treatment=True)
    tasks = defaultdict(list)
    for task in mine.select_related("owner").order_by("due_at", "id"):
        tasks[task.patient_ref].append(task)
    return tasks


# --- what it means for one visit --------------------------------------------------------------------------------------


def _judge(appointment: Appointment, found: _Record, at: datetime) -> Readiness:
    today = at.astimezone(appointment.location.zone).date()
    visit_on = appointment.starts_at.astimezone(appointment.location.zone).date()
    on = today if appointment.status == AppointmentStatus.ARRIVED else max(today, visit_on)
    modality = modality_of(appointment)
    who = (appointment.patient_id, modality)
    decision = found.decisions.get(who)
    return Readiness(
        (
            _decision(appointment, decision, visit_on),
            _flags(found.flags.get(who, 0), visit_on),
            *_tasks(appointment, modality, found.tasks.get(appointment.patient.ref, ())),
            _consent(appointment, found.agreed, visit_on),
            _interval(appointment, modality, decision, found.past, on),
            _device(appointment, modality, found.away, on, at),
            _operator(appointment, modality, found.may_treat, visit_on),
            _fitness(appointment, found.checks.get(appointment.pk), today, visit_on),
        )
    )


def _decision(appointment: Appointment, decision: CandidacyDecision | None, due_on: date) -> Item:
    allowed = decision is not None and appointment.type.kind in ALLOWS.get(decision.kind, frozenset())
    if allowed:
        detail = "A clinician's decision allows this visit."
    elif decision is None:
        detail = "No clinician's decision is in force for this laser."
    elif decision.kind == DecisionKind.TEST_SPOT_FIRST:
        detail = "A test spot comes first, then a new decision."
    else:
        detail = "The decision in force does not allow treatment."
    return Item(ReadinessItem.DECISION, ReadinessItem.DECISION.label, allowed, detail, "Clinician", due_on)


def _flags(count: int, due_on: date) -> Item:
    detail = f"{count} open: a clinician must settle {'it' if count == 1 else 'them'}." if count else "None open."
    return Item(ReadinessItem.FLAGS, ReadinessItem.FLAGS.label, not count, detail, "Clinician", due_on)


def _tasks(appointment: Appointment, modality: str, blocking: Sequence[Task]) -> Iterable[Item]:
    """Yield an item for each task that blocks this laser, or one that says there is none."""
    open_tasks = [task for task in blocking if task.modality in {"", modality} and not _is_for(task, appointment)]
    if not open_tasks:
        yield Item(ReadinessItem.TASKS, ReadinessItem.TASKS.label, True, "All done.", "Clinician")
    zone = appointment.location.zone
    for task in open_tasks:
        yield Item(
            ReadinessItem.TASKS,
            "Alarm from an earlier treatment" if task.kind == ALARM_TASK else ReadinessItem.TASKS.label,
            False,
            "Still open: it must be closed first." if task.kind == ALARM_TASK else "A task before treatment is open.",
            task.owner.name if task.owner else task.get_role_display(),
            task.due_at.astimezone(zone).date(),
            can_override=task.kind != ALARM_TASK,
        )


def _is_for(task: Task, appointment: Appointment) -> bool:
    """True if the visit is what the task waits for: a test spot cannot wait for its own reading."""
    return task.kind == TEST_SPOT_TASK and appointment.type.kind == VisitKind.TEST_SPOT


def _consent(appointment: Appointment, agreed: Collection[tuple[int, str, str]], due_on: date) -> Item:
    course: Course | None = appointment.course
    signed = course is not None and (
        (appointment.patient_id, course.about, plan_sha256(consent_plan(course))) in agreed
    )
    detail = "In force for this plan." if signed else "No consent in force for the plan as it stands."
    if course is None:
        detail = "The visit belongs to no course, so nothing has been consented to."
    return Item(ReadinessItem.CONSENT, ReadinessItem.CONSENT.label, signed, detail, "Patient", due_on)


def _interval(
    appointment: Appointment, modality: str, decision: CandidacyDecision | None, past: Past, on: date
) -> Item:
    is_spot = appointment.type.kind == VisitKind.TEST_SPOT
    earliest, why = past.earliest(decision, appointment.patient, modality, is_spot=is_spot)
    if appointment.type.kind not in TREATING:
        earliest = None
    ok = earliest is None or on >= earliest
    detail = "Long enough since the last treatment." if ok else f"Not before {earliest:%d %b %Y}: {why}"
    return Item(
        ReadinessItem.INTERVAL, ReadinessItem.INTERVAL.label, ok, detail, "Front desk", earliest, can_override=True
    )


Spans = Sequence[tuple[datetime, datetime]]


def _device(appointment: Appointment, modality: str, away: Mapping[int, Spans], on: date, at: datetime) -> Item:
    fault, can_override = _device_fault(appointment, modality, away.get(appointment.device_id or 0, ()), on, at)
    return Item(
        ReadinessItem.DEVICE,
        ReadinessItem.DEVICE.label,
        not fault,
        fault or f"{appointment.device} is in service.",
        "Front desk",
        on,
        can_override=can_override,
    )


def _device_fault(appointment: Appointment, modality: str, away: Spans, on: date, at: datetime) -> tuple[str, bool]:
    """Return what is wrong with the visit's laser, empty if nothing, and whether a clinician may go on."""
    device: Device | None = appointment.device
    if device is None:
        return "No laser is set for this visit.", False
    if not device.is_active or device.location_id != appointment.location_id:
        return f"{device} is not in use here.", False
    if device.modality != modality:
        return f"{device} is another kind of laser than the course.", False
    when = max(at, appointment.starts_at)
    if any(starts_at <= when < ends_at for starts_at, ends_at in away):
        return f"{device} is out of service.", False
    if device.service_due_on is not None and device.service_due_on < on:
        return f"{device} was due for service on {device.service_due_on:%d %b %Y}.", True
    return "", False


def _operator(appointment: Appointment, modality: str, may_treat: Collection[Pair], due_on: date) -> Item:
    operator = appointment.practitioner
    ok = operator.is_active and (operator.pk, modality) in may_treat
    detail = f"{operator} may treat with this laser." if ok else f"{operator} is not authorised to treat with it."
    return Item(ReadinessItem.OPERATOR, ReadinessItem.OPERATOR.label, ok, detail, "Front desk", due_on)


def _fitness(appointment: Appointment, check: FitnessCheck | None, today: date, visit_on: date) -> Item:
    is_todays = check is not None and check.checked_at.astimezone(appointment.location.zone).date() == today
    fit = check is not None and is_todays and check.is_fit
    if fit:
        detail = "Checked today."
    elif check is not None and is_todays:
        detail = "Checked today: a clinician must look at the answers."
    else:
        detail = "To be asked at the door on the day."
    return Item(
        ReadinessItem.FITNESS,
        ReadinessItem.FITNESS.label,
        fit,
        detail,
        "Clinician",
        visit_on,
        # An answer may be judged by a clinician; not asking at all may not.
        can_override=check is not None and is_todays,
    )
