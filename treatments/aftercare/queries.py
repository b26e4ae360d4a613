"""What is known of recoveries: the triage in force, who is asked, which alarms are open, who was not heard from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.premises.models import DatedHours, Location, OpeningHours
from clinic.staff.models import OnCall, User
from clinic.staff.queries import on_call_ladder, staff_who_may
from clinic.staff.states import Permission
from clinic.worklist.models import Task
from patients.candidacy.queries import asked_after, decisions_of
from patients.candidacy.states import DecisionStatus
from patients.intake.queries import answers_in_force
from patients.messaging.due import AnyMessage
from patients.messaging.holds import Objection
from treatments.aftercare.models import AdverseEvent, CheckIn, CheckInAnswer, Escalation
from treatments.aftercare.rules import Calendar, Triage, TriagePack, grade, parse_triage, questions_for
from treatments.aftercare.states import RED, SEVERITY, AnswerKind, CheckInStatus, EscalationStatus, Level
from treatments.aftercare.triage import FELT_HOT, NO_FEVER, Question, with_own_questions
from treatments.aftercare.vocabulary import Vocabulary, parse_vocabulary
from treatments.booking.models import Appointment
from treatments.booking.queries import visit_of
from treatments.booking.states import ANNOUNCED
from treatments.plan.actions import protocol_in_force
from treatments.plan.protocols import Step
from treatments.plan.rules import Visit
from treatments.plan.states import Condition
from treatments.sessions.models import TreatmentSession
from treatments.sessions.states import Anaesthesia

VOCABULARY_FILE = Path(__file__).resolve().parent.parent / "knowledge" / "aftercare" / "adverse_events.toml"
TRIAGE = "triage"  # the name under which the pack is published
SILENCE_TASK = "silence"  # the kind of task made by a check-in that nobody answered


@dataclass(frozen=True)
class Ladder:
    """Who is asked about an alarm, first to last, and what was wrong with finding them."""

    people: tuple[User, ...]
    fault: str = ""

    def rung(self, number: int) -> User | None:
        """Return who stands on the rung, counted from 1; past the top it begins again. None on an empty ladder."""
        return self.people[(number - 1) % len(self.people)] if self.people else None


def triage_in_force() -> tuple[RulePack, TriagePack]:
    """Return the published triage and its parsed rules. Raises PackMissing if none is published."""
    pack = published(PackKind.TRIAGE, TRIAGE)
    return pack, _parsed(pack.sha256, pack.body)


def triage_of(checkin: CheckIn) -> tuple[RulePack, TriagePack]:
    """Return the triage in force with what a clinician asks this patient besides, by the decision about the laser.

    Questions of earlier decisions are known, so that what was answered then can be read, and not asked again.
    """
    pack, triage = triage_in_force()
    decisions = decisions_of(checkin.patient, checkin.session.modality)
    known = dict.fromkeys(text for decision in decisions for text in asked_after(decision))
    standing = next((each for each in decisions if each.status == DecisionStatus.IN_FORCE), None)
    now = standing or checkin.session.course.decision
    return pack, with_own_questions(triage, list(known), asked_after(now) if now else ())


@lru_cache(maxsize=8)
def _parsed(sha256: str, body: str) -> TriagePack:
    return parse_triage(body, TRIAGE)


def day_of(session: TreatmentSession, at: datetime) -> int:
    """Return whole days since the treatment ended, by the wall calendar of the place where it was given."""
    if session.completed_at is None:
        return 0
    zone = session.appointment.location.zone
    return max((at.astimezone(zone).date() - session.completed_at.astimezone(zone).date()).days, 0)


def history_of(session: TreatmentSession) -> frozenset[str]:
    """Return what grading knows of the patient and the treatment beside the answers."""
    answers = answers_in_force(session.patient)
    known = {
        "cold_sores": answers.get("cold_sores") == "yes",
        "skin_type_4_6": str(answers.get("fst_confirmed")) in {"4", "5", "6"},
        "numbing": session.anaesthesia not in {"", Anaesthesia.NONE},
        "periorbital": "periorbital" in session.areas_treated,
        "neck": "neck" in session.areas_treated,
    }
    return frozenset(fact for fact, is_so in known.items() if is_so)


def graded(checkin: CheckIn, answers: Mapping[str, Any], at: datetime) -> tuple[Triage, RulePack]:
    """Return what the answers mean on the day they are given, by the triage in force."""
    pack, triage = triage_of(checkin)
    session = checkin.session
    result = grade(
        answers,
        day=day_of(session, at),
        modality=session.modality,
        triage=triage,
        history=history_of(session),
    )
    return result, pack


def questions_of(checkin: CheckIn, at: datetime) -> tuple[Question, ...]:
    """Return what is asked on the day it is answered, the open questions that may always be said last."""
    _, triage = triage_of(checkin)
    return questions_for(triage, day=day_of(checkin.session, at), modality=checkin.session.modality)


def draft_of(checkin: CheckIn, at: datetime) -> dict[str, Any]:
    """Return the answers given so far today; yesterday's half-filled form says nothing about today."""
    draft: dict[str, Any] = checkin.draft or {}
    return dict(draft.get("answers", {})) if draft.get("day") == day_of(checkin.session, at) else {}


def calendar_of(location: Location) -> Calendar:
    """Return when the location works."""
    hours: dict[int, list[tuple[time, time]]] = {}
    for row in OpeningHours.objects.filter(location=location, practitioner=None):
        hours.setdefault(row.weekday, []).append((row.opens, row.closes))
    dated: dict[date, list[tuple[time, time]]] = defaultdict(list)
    for special in DatedHours.objects.filter(location=location, practitioner=None):
        dated[special.day] += [(special.opens, special.closes)] if special.opens and special.closes else []
    return Calendar(
        zone=location.time_zone,
        hours={day: tuple(spans) for day, spans in hours.items()},
        dated={day: tuple(spans) for day, spans in dated.items()},
    )


def ladder(location: Location, at: datetime) -> Ladder:
    """Return who answers alarms of the location now: the rota, then lead clinicians, then whoever may.

    Only people who work there can open its alarms, so only they are asked. A gap is a fault that staff see.
    """
    here = set(User.objects.filter(is_active=True, locations=location).values_list("pk", flat=True))
    people = [user for user in on_call_ladder(at) if user.pk in here and user.may(Permission.ANSWER_ALARMS)]
    rota = set(OnCall.objects.filter(starts_at__lte=at, ends_at__gt=at).values_list("user_id", flat=True))
    if any(user.pk in rota for user in people):
        return Ladder(tuple(people))
    if people:
        return Ladder(tuple(people), "Nobody is on call now: the lead clinicians are asked instead.")
    anybody = tuple(user for user in staff_who_may(Permission.ANSWER_ALARMS) if user.pk in here)
    if anybody:
        return Ladder(anybody, "Nobody is on call and no lead clinician works here: every clinician is asked in turn.")
    return Ladder((), "Nobody who may answer alarms works here.")


def open_alarms(user: User) -> list[Escalation]:
    """Return alarms the person may see, nobody's first, then the most urgent, then the longest waiting."""
    rows = (
        Escalation.objects.visible_to(user)
        .unfinished()
        .select_related("patient", "location", "owner", "asked", "checkin__session")
    )
    return sorted(rows, key=_urgency)


def _urgency(alarm: Escalation) -> tuple[bool, int, datetime]:
    return (alarm.is_taken, SEVERITY.index(Level(alarm.level)), alarm.raised_at)


def unheard(user: User) -> list[CheckIn]:
    """Return check-ins whose silence somebody has still to follow up, the longest silence first."""
    waiting = Task.objects.unfinished().filter(kind=SILENCE_TASK).values_list("about", flat=True)
    refs = [about.removeprefix("checkin:") for about in waiting]
    rows = CheckIn.objects.visible_to(user).filter(status=CheckInStatus.MISSED, ref__in=refs)
    return list(rows.select_related("patient", "session__appointment__location").order_by("due_at", "id"))


def people_to_ask(alarm: Escalation) -> list[User]:
    """Return who else could take the alarm, by name."""
    here = set(User.objects.filter(is_active=True, locations=alarm.location).values_list("pk", flat=True))
    return [u for u in staff_who_may(Permission.ANSWER_ALARMS) if u.pk in here and u.pk != alarm.owner_id]


def red_among(patients: Collection[int | None]) -> set[int]:
    """Return those of the patients, by their keys, of whom an emergency or urgent alarm is unfinished."""
    rows = Escalation.objects.unfinished().filter(patient__in=patients, level__in=RED)
    return set(rows.values_list("patient_id", flat=True))


def objections_to_news(messages: Sequence[AnyMessage], at: datetime) -> dict[int, Objection]:
    """Return why nobody asks for a review, or calls back, now.

    They have not agreed to be asked, something red is open, or a visit is booked anyway.
    """
    patients = {message.patient_id for message in messages}
    red = red_among(patients)
    coming = Appointment.objects.filter(patient__in=patients, status__in=ANNOUNCED, starts_at__gt=at)
    booked = set(coming.values_list("patient_id", flat=True))
    found = {}
    for message in messages:
        if message.patient is None:
            continue
        if message.template == "review_request" and not message.patient.news_agreed:
            found[message.pk] = Objection("They have not agreed to be asked for a review.", for_good=True)
        elif message.patient_id in red:
            reason = "An urgent answer of the patient is open: looked at again when it may be closed."
            found[message.pk] = Objection(reason)
        elif message.template == "recall" and message.patient_id in booked:
            found[message.pk] = Objection("They have a visit already.", for_good=True)
    return found


def worst_open(checkin: CheckIn) -> Escalation | None:
    """Return the check-in's most urgent unfinished alarm."""
    rows = list(Escalation.objects.unfinished().filter(checkin=checkin).select_related("owner", "asked"))
    return min(rows, key=lambda row: SEVERITY.index(Level(row.level)), default=None)


def seen_by(checkin: CheckIn) -> Escalation | None:
    """Return the check-in's alarm that somebody took last, None while nobody has."""
    taken = checkin.escalations.exclude(acknowledged_at=None)
    return taken.select_related("owner__practitioner", "location").order_by("-acknowledged_at", "-id").first()


def latest_answer(checkin: CheckIn) -> CheckInAnswer | None:
    """Return the set of answers that counts: the latest."""
    return checkin.answer_sets.order_by("-answered_at", "-id").first()


def answer_behind(alarm: Escalation) -> CheckInAnswer | None:
    """Return the latest set of answers that is as urgent as the alarm: what the patient must still be told to do."""
    if alarm.checkin is None:
        return None
    return alarm.checkin.answer_sets.filter(level=alarm.level).order_by("-answered_at", "-id").first()


def closed_alarms(user: User, limit: int = 10) -> list[Escalation]:
    """Return the alarms closed last, the latest first."""
    rows = Escalation.objects.visible_to(user).filter(status=EscalationStatus.CLOSED)
    return list(rows.select_related("patient", "closed_by", "location").order_by("-closed_at", "-id")[:limit])


@cache
def vocabulary() -> Vocabulary:
    """Return the words in which adverse events are recorded, read once."""
    return parse_vocabulary(VOCABULARY_FILE.read_text(encoding="utf-8"), VOCABULARY_FILE.name)


def adverse_events_of(session: TreatmentSession) -> list[AdverseEvent]:
    """Return what went wrong with the treatment, the latest first; struck ones stay readable."""
    return list(session.adverse_events.select_related("recorded_by", "reviewed_by"))


def visit_after(session: TreatmentSession) -> Visit:
    """Return the visit as aftercare plans it: with the true end, the areas treated and the numbing given."""
    visit = visit_of(session.appointment, completed_at=session.completed_at)
    numbed = {Condition.NUMBING.value} if session.anaesthesia not in {"", Anaesthesia.NONE} else set()
    return replace(
        visit,
        modality=session.modality,
        areas=frozenset(session.areas_treated),
        conditions=(visit.conditions - {Condition.NUMBING.value}) | numbed,
    )


def normal_now(checkin: CheckIn, at: datetime) -> Step | None:
    """Return the care step whose words belong to today, None where the protocol says nothing."""
    protocol = protocol_in_force(visit_after(checkin.session))
    if protocol is None:
        return None
    day = day_of(checkin.session, at)
    said = [step for step in protocol.steps if step.day is not None and step.day <= day and step.what_is_normal]
    return max(said, key=lambda step: step.day or 0, default=None)


def next_checkin(checkin: CheckIn, at: datetime) -> CheckIn | None:
    """Return the next check-in of the same treatment that is still to come."""
    coming = checkin.session.checkins.filter(status=CheckInStatus.PLANNED, due_at__gt=at).exclude(pk=checkin.pk)
    return coming.order_by("due_at", "id").first()


def in_words(answers: Mapping[str, Any], triage: TriagePack) -> list[tuple[str, str]]:
    """Return the answers as (question, answer) in people's words; what is no longer known stands as given."""
    return [
        (question.label if question else key, _said(value, question))
        for key, value, question in (
            (key, answers[key], triage.questions.get(key)) for key in in_order(answers, triage)
        )
    ]


def in_order(answers: Mapping[str, Any], triage: TriagePack) -> list[str]:
    """Return the keys of the answers in the order in which the pack lists its questions."""
    return [key for key in triage.questions if key in answers] + [key for key in answers if key not in triage.questions]


def _said(value: Any, question: Question | None) -> str:
    if isinstance(value, list):
        return ", ".join(_said(each, question) for each in value)
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if value in (FELT_HOT, NO_FEVER):
        return {FELT_HOT: "Felt hot, not measured", NO_FEVER: "No"}[value]
    if question is not None and question.kind == AnswerKind.SCALE:
        return f"{value} of 10"
    if question is not None and question.kind == AnswerKind.TEMPERATURE:
        return f"{value} °C"
    return question.options.get(str(value), str(value)) if question is not None else str(value)
