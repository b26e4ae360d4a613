"""What a treatment's page shows: passes beside last time's, usual settings, what was said before and at the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from clinic.audit.states import Actor
from clinic.catalogue.models import Modality
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.models import User
from clinic.worklist.models import Task
from patients.intake.queries import answers_in_force
from treatments.booking.models import Appointment
from treatments.booking.states import PENDING
from treatments.sessions.models import FitnessAnswers, SessionPass, TreatmentSession
from treatments.sessions.rules import ROW_FACTS, Context, Settings, Usual, parse_settings
from treatments.sessions.states import PARTS_OF, FitnessAnswer, FitnessQuestion, NotYours

SETTINGS = "settings"  # the name under which the usual settings are published


def last_session(session: TreatmentSession) -> TreatmentSession | None:
    """Return the latest earlier session of the same patient and modality in which the laser touched skin."""
    earlier = TreatmentSession.objects.treated().filter(patient=session.patient, modality=session.modality)
    return (
        earlier.exclude(pk=session.pk)
        .filter(completed_at__lt=session.opened_at)
        .order_by("-completed_at", "-id")
        .first()
    )


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


def user_key(by: Actor) -> int:
    """Return the key of the member of staff who acts. Raises NotYours for anybody else."""
    if by.user_id is None:
        raise NotYours
    return by.user_id


def user_of(by: Actor) -> User:
    """Return the member of staff who acts. Raises NotYours for anybody else."""
    return User.objects.get(pk=user_key(by))
