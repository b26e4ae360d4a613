"""Whether a visit may be treated: the one rule, asked by the desk's board, the working page and the act itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from clinic.catalogue.models import Modality
from clinic.catalogue.states import VisitKind
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.premises.models import Absence, Device
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.queries import decision_in_force, open_flags
from patients.candidacy.states import DecisionKind
from patients.consent.queries import consent_in_force
from patients.consent.states import ConsentScope
from patients.intake.queries import answers_in_force
from treatments.booking.models import Appointment
from treatments.booking.states import PENDING, AppointmentStatus
from treatments.courses.queries import consent_plan, earliest_next
from treatments.sessions.models import FitnessAnswers, FitnessCheck, SessionPass, TreatmentSession
from treatments.sessions.rules import ROW_FACTS, Context, Settings, Usual, parse_settings
from treatments.sessions.states import PARTS_OF, FitnessAnswer, FitnessQuestion, ReadinessItem

# Which kinds of visit a decision allows.
ALLOWS: dict[str, frozenset[str]] = {
    DecisionKind.PROCEED: frozenset({VisitKind.TREATMENT, VisitKind.TEST_SPOT}),
    DecisionKind.PROCEED_WITH_CONDITIONS: frozenset({VisitKind.TREATMENT, VisitKind.TEST_SPOT}),
    DecisionKind.TEST_SPOT_FIRST: frozenset({VisitKind.TEST_SPOT}),
}
SETTINGS = "settings"  # the name under which the usual settings are published
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


def readiness(appointment: Appointment, at: datetime) -> Readiness:
    """Return what still stands between this visit and its treatment.

    A visit to come is judged for its own day, one whose patient has arrived for today, both on the wall clock of its
    location. Each item stands alone: that one is missing never hides another.
    """
    today = at.astimezone(appointment.location.zone).date()
    visit_on = appointment.starts_at.astimezone(appointment.location.zone).date()
    on = today if appointment.status == AppointmentStatus.ARRIVED else max(today, visit_on)
    modality = modality_of(appointment)
    decision = decision_in_force(appointment.patient, modality)
    return Readiness(
        (
            _decision(appointment, decision, visit_on),
            _flags(appointment, modality, visit_on),
            *_tasks(appointment, modality),
            _consent(appointment, visit_on),
            _interval(appointment, modality, on),
            _device(appointment, modality, on, at),
            _operator(appointment, modality, visit_on),
            _fitness(appointment, today, visit_on),
        )
    )


def last_session(session: TreatmentSession) -> TreatmentSession | None:
    """Return the latest earlier session of the same patient and modality in which the laser touched skin."""
    earlier = TreatmentSession.objects.treated().filter(patient=session.patient, modality=session.modality)
    return earlier.exclude(pk=session.pk).filter(completed_at__lt=session.opened_at).order_by("-completed_at").first()


def standing_passes(session: TreatmentSession) -> list[SessionPass]:
    """Return the passes that count: recorded and not struck, in the order in which they were given."""
    return list(session.passes.filter(struck_at=None))


@dataclass(frozen=True)
class PassLine:
    """A recorded row beside the same area last time, with what differs said in words."""

    row: SessionPass
    before: SessionPass | None
    changes: tuple[str, ...]

    @property
    def not_recorded(self) -> str:
        """What would have been needed to check every range: skin type, passes planned."""
        return ", ".join(each["text"].partition(" is not recorded")[0].lower() for each in self.row.unchecked)


SHOWN_SETTINGS = (
    ("energy_mj", "mJ"),
    ("fluence_j_cm2", "J/cm²"),
    ("coverage_percent", "%"),
    ("density_mtz_cm2", "MTZ/cm²"),
    ("depth_um", "µm deep"),
    ("spot_um", "µm spot"),
    ("pulse_us", "µs"),
    ("stacked_pulses", "stacked"),
)


def settings_in_words(row: SessionPass) -> str:
    """Return what was set, with units: 40 mJ, 11 %, 3 passes."""
    said = [f"{_plain(getattr(row, name))} {unit}" for name, unit in SHOWN_SETTINGS if getattr(row, name) is not None]
    return ", ".join([*said, f"{row.passes} {'pass' if row.passes == 1 else 'passes'}"])


def pass_lines(session: TreatmentSession) -> list[PassLine]:
    """Return every row of the session, struck ones too, each beside the last session's row for its area."""
    earlier = last_session(session)
    before = {(row.area, row.laterality): row for row in standing_passes(earlier)} if earlier else {}
    rows = session.passes.select_related("struck_by", "recorded_by")
    return [PassLine(row, mate := before.get((row.area, row.laterality)), _changes(row, mate)) for row in rows]


def _changes(row: SessionPass, before: SessionPass | None) -> tuple[str, ...]:
    if before is None:
        return ()
    said = []
    for name, unit in (*SHOWN_SETTINGS, ("passes", "passes")):
        now, was = getattr(row, name), getattr(before, name)
        if now != was and now is not None and was is not None:
            share = f" ({(now - was) / was * 100:+.0f} %)" if was else ""
            said.append(f"{_plain(was)} → {_plain(now)} {unit}{share}")
    return tuple(said)


def _plain(number: Decimal | int) -> str:
    """Return a number without the zeros that its column keeps: 15, not 15.00."""
    return f"{float(number):g}"


def settings_in_force() -> Settings:
    """Return the published usual settings. Raises PackMissing if none are published."""
    pack = published(PackKind.SESSIONS, SETTINGS)
    return _parsed(pack.sha256, pack.body)


@lru_cache(maxsize=8)
def _parsed(sha256: str, body: str) -> Settings:
    return parse_settings(body, SETTINGS)


def usual_for(modality: str) -> Usual | None:
    """Return the published values of the laser, for people to read beside what they enter."""
    return next((usual for usual in settings_in_force().usual if usual.modality == modality), None)


def context_of(session: TreatmentSession, area: str, laterality: str = "") -> Context:
    """Return what surrounds a row of passes on the area: patient, laser, this session so far and the last one."""
    here = [row_facts(row) for row in standing_passes(session)]
    before = last_session(session)
    last = (
        [row_facts(r) for r in standing_passes(before) if (r.area, r.laterality) == (area, laterality)]
        if before
        else []
    )
    modality = Modality.objects.filter(key=session.modality).first()
    answers = answers_in_force(session.patient)
    skin_type = str(answers.get("fst_confirmed") or "")
    return Context(
        modality=session.modality,
        device_modality=session.device.modality,
        device_wavelength_nm=session.device.wavelength_nm,
        modality_wavelength_nm=modality.wavelength_nm if modality else None,
        skin_type=int(skin_type) if skin_type.isdigit() else None,
        tan_present=_tan_today(session),
        eye_protection=session.eye_protection or None,
        last=last[-1] if last else None,
        earlier=tuple(here),
    )


def _tan_today(session: TreatmentSession) -> str | None:
    """Return what was said at the door about tan, in the words of the ranges; None where it was not clear."""
    check = session.fitness
    said = check.answers.get(FitnessQuestion.TAN) if check else None
    return {FitnessAnswer.NO.value: "none", FitnessAnswer.YES.value: "tanned"}.get(str(said))


def row_facts(row: SessionPass) -> dict[str, Any]:
    """Return a recorded row as the ranges compare it."""
    return {"laterality": row.laterality} | {fact: getattr(row, fact) for fact in ROW_FACTS}


def awaits_answers(appointment: Appointment, at: datetime) -> bool:
    """True while the visit is still to come or under way: answers given at home can still do their work."""
    return appointment.status in PENDING and at < appointment.ends_at


def said_at_home(appointment: Appointment) -> FitnessAnswers | None:
    """Return the patient's latest answers before the visit, None if there are none."""
    return appointment.fitness_answers.order_by("-answered_at", "-id").first()


def held_by_answers(appointment: Appointment) -> bool:
    """True while a clinician has yet to look at something the patient answered at home."""
    return Task.objects.unfinished().filter(key__startswith=f"fitness:{appointment.ref}:").exists()


def fitness_in_words(answers: Mapping[str, str], asked: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return questions and answers in words, in the order asked. `asked` words the questions, else as staff read."""
    known, labels = dict(FitnessAnswer.choices), asked or dict(FitnessQuestion.choices)
    return [(labels[key], known.get(answers.get(key, ""), "Not asked")) for key in FitnessQuestion.values]


def consented_areas(session: TreatmentSession) -> frozenset[str]:
    """Return the areas the plan covers, parts of them included."""
    areas = session.course.areas
    return frozenset(areas).union(*(PARTS_OF.get(area, frozenset()) for area in areas))


def modality_of(appointment: Appointment) -> str:
    """Return the kind of laser the visit is for, empty where neither its course nor its device says."""
    if appointment.course is not None:
        return appointment.course.modality
    return appointment.device.modality if appointment.device else ""


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


def _flags(appointment: Appointment, modality: str, due_on: date) -> Item:
    count = len(open_flags(appointment.patient, modality))
    detail = f"{count} open: a clinician must settle {'it' if count == 1 else 'them'}." if count else "None open."
    return Item(ReadinessItem.FLAGS, ReadinessItem.FLAGS.label, not count, detail, "Clinician", due_on)


def _tasks(appointment: Appointment, modality: str) -> Iterable[Item]:
    """Yield an item for each blocking task, or one that says there is none."""
    open_tasks = [task for task in blocking_tasks(appointment.patient.ref, modality) if not _is_for(task, appointment)]
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


def blocking_tasks(patient_ref: UUID, modality: str) -> Iterable[Task]:
    """Return the patient's unfinished tasks that stand in the way of this modality, first due first."""
    mine = Task.objects.unfinished().filter(patient_ref=patient_ref, blocks_treatment=True)
    return mine.filter(modality__in=["", modality]).select_related("owner").order_by("due_at", "id")


def _consent(appointment: Appointment, due_on: date) -> Item:
    course = appointment.course
    signed = course is not None and consent_in_force(
        appointment.patient, ConsentScope.TREATMENT, course.about, consent_plan(course)
    )
    detail = "In force for this plan." if signed else "No consent in force for the plan as it stands."
    if course is None:
        detail = "The visit belongs to no course, so nothing has been consented to."
    return Item(ReadinessItem.CONSENT, ReadinessItem.CONSENT.label, bool(signed), detail, "Patient", due_on)


def _interval(appointment: Appointment, modality: str, on: date) -> Item:
    earliest, why = earliest_next(appointment.patient, modality)
    if appointment.type.kind != VisitKind.TREATMENT:
        earliest = None  # a test spot waits for no interval, as in the diary
    ok = earliest is None or on >= earliest
    detail = "Long enough since the last treatment." if ok else f"Not before {earliest:%d %b %Y}: {why}"
    return Item(
        ReadinessItem.INTERVAL, ReadinessItem.INTERVAL.label, ok, detail, "Front desk", earliest, can_override=True
    )


def _device(appointment: Appointment, modality: str, on: date, at: datetime) -> Item:
    fault, can_override = _device_fault(appointment, modality, on, at)
    return Item(
        ReadinessItem.DEVICE,
        ReadinessItem.DEVICE.label,
        not fault,
        fault or f"{appointment.device} is in service.",
        "Front desk",
        on,
        can_override=can_override,
    )


def _device_fault(appointment: Appointment, modality: str, on: date, at: datetime) -> tuple[str, bool]:
    """Return what is wrong with the visit's laser, empty if nothing, and whether a clinician may go on."""
    device: Device | None = appointment.device
    if device is None:
        return "No laser is set for this visit.", False
    if not device.is_active or device.location_id != appointment.location_id:
        return f"{device} is not in use here.", False
    if device.modality != modality:
        return f"{device} is another kind of laser than the course.", False
    when = max(at, appointment.starts_at)
    if Absence.objects.filter(resource__device=device, starts_at__lte=when, ends_at__gt=when).exists():
        return f"{device} is out of service.", False
    if device.service_due_on is not None and device.service_due_on < on:
        return f"{device} was due for service on {device.service_due_on:%d %b %Y}.", True
    return "", False


def _operator(appointment: Appointment, modality: str, due_on: date) -> Item:
    operator = appointment.practitioner
    ok = operator.is_active and operator.may_treat(modality)
    detail = f"{operator} may treat with this laser." if ok else f"{operator} is not authorised to treat with it."
    return Item(ReadinessItem.OPERATOR, ReadinessItem.OPERATOR.label, ok, detail, "Front desk", due_on)


def _fitness(appointment: Appointment, today: date, visit_on: date) -> Item:
    check = (
        FitnessCheck.objects.filter(session__appointment=appointment).order_by("-checked_at", "-id").first()
        if appointment.pk
        else None
    )
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
