"""What needs the whole view: where a patient stands, the chart, the readiness board, my healing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from django.urls import reverse

from clinic.catalogue.models import BodyArea, Modality
from clinic.premises.models import Location
from clinic.staff.models import User
from clinic.staff.states import Permission
from clinic.worklist.models import Task
from patients.candidacy.models import CandidacyDecision, Flag, Screening
from patients.candidacy.states import DecisionKind, Outcome
from patients.consent.models import Consent
from patients.intake.queries import FormState, form_state
from patients.messaging.models import Message
from patients.messaging.queries import with_ways
from patients.messaging.states import UNSENT
from patients.photos.queries import Shelf, has_photos, shelf_of
from patients.registry.models import Patient
from patients.registry.states import LinkScope
from treatments.aftercare.models import CheckIn, Escalation
from treatments.aftercare.states import ALARMING, SEVERITY, Level
from treatments.booking.models import Appointment
from treatments.booking.states import AppointmentStatus
from treatments.courses.models import Course
from treatments.courses.states import CourseStatus
from treatments.journey.states import Stage
from treatments.sessions.models import FitnessAnswers, TreatmentSession
from treatments.sessions.queries import fitness_in_words
from treatments.sessions.readiness import Item, readiness_of
from treatments.sessions.states import FIT_ANSWERS, FitnessQuestion, ReadinessItem

GOING_AHEAD = {DecisionKind.PROCEED, DecisionKind.PROCEED_WITH_CONDITIONS, DecisionKind.TEST_SPOT_FIRST}
COMING = {AppointmentStatus.PROPOSED, AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED}
ASIDE = {Stage.DEFERRED, Stage.CLOSED, Stage.ENDED}  # not on everybody's way
A_DAY = timedelta(days=1)
OUTCOME_TONES: dict[str, str] = {
    Outcome.ELIGIBLE: "good",
    Outcome.NOT_RECOMMENDED: "alarm",
    Outcome.INCOMPLETE: "quiet",
}
LEVEL_TONES: dict[str, str] = {
    Level.EMERGENCY: "alarm",
    Level.URGENT: "alarm",
    Level.SAME_DAY: "warn",
    Level.NEXT_DAY: "warn",
    Level.EXPECTED: "good",
}
HEALING_DAYS = 180  # the last check-in of the longest protocol


@dataclass(frozen=True)
class Entry:
    """One line of the timeline: when, what, who, and where it leads."""

    at: datetime
    title: str
    text: str = ""
    by: str = ""
    tone: str = "calm"
    url: str = ""


@dataclass(frozen=True)
class NextStep:
    """Where the patient stands, what comes next and, where staff must act, what the button says and does."""

    stage: Stage
    sentence: str
    label: str = ""
    url: str = ""
    posts_scope: str = ""
    needs: Permission | None = None

    def for_user(self, user: User) -> NextStep:
        """Return the step as this person may take it: without the button where it is somebody else's turn."""
        return self if self.needs is None or user.may(self.needs) else replace(self, url="")


@dataclass(frozen=True)
class Line:
    """One fact with its state: what it is, who and when, and where it leads."""

    title: str
    status: str
    tone: str
    by: str = ""
    at: datetime | None = None
    url: str = ""


@dataclass
class Chart:
    """Everything one page shows of a patient. The medical part stays empty for who may not read it."""

    patient: Patient
    contacts: list[str]
    next_step: NextStep
    coming: list[Appointment]
    courses: list[Line]
    consents: list[Line]
    tasks: list[Task]
    alarms: list[Escalation]
    messages: list[Message]
    form: FormState
    has_photos: bool
    shelf: Shelf | None = None
    flags: list[Line] = field(default_factory=list)
    decisions: list[Line] = field(default_factory=list)
    timeline: list[Entry] = field(default_factory=list)

    @property
    def stages(self) -> list[tuple[str, bool, bool]]:
        """Return the thread from enquiry to the end: label, whether it is behind, whether the patient is there."""
        here = self.next_step.stage
        thread = [stage for stage in Stage if stage not in ASIDE or stage == here]
        place = thread.index(here)
        return [(stage.label, position < place, position == place) for position, stage in enumerate(thread)]

    @property
    def alerts(self) -> list[str]:
        """Return what must be seen before anything else, worst first; no medical answer is in it."""
        return [f"{alarm.get_level_display()} alarm open" for alarm in self.alarms]


def labels() -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels of modalities and of body areas, by key."""
    return dict(Modality.objects.values_list("key", "label")), dict(BodyArea.objects.values_list("key", "label"))


def chart(patient: Patient, user: User, at: datetime) -> Chart:
    """Return the chart as this person may see it."""
    reads = user.may(Permission.SEE_CHART)
    modalities, areas = labels()
    visits = list(patient.appointments.select_related("type", "practitioner", "location"))
    courses = list(patient.courses.all())
    screenings = list(patient.screenings.filter(status="current"))
    decisions = list(patient.decisions.select_related("decided_by", "cosigned_by", "screening"))
    consents = list(patient.consents.all())
    found = Chart(
        patient=patient,
        contacts=[contact.point.value for contact in patient.contacts.filter(until_at=None).select_related("point")],
        next_step=next_step(patient, visits, courses, screenings, decisions, consents, at).for_user(user),
        coming=sorted(
            (visit for visit in visits if visit.status in COMING and visit.ends_at > at), key=lambda v: v.starts_at
        ),
        courses=[_course_line(course, modalities, areas, reads) for course in courses],
        consents=[_consent_line(consent, reads) for consent in consents],
        tasks=list(Task.objects.visible_to(user).unfinished().filter(patient_ref=patient.ref)),
        alarms=list(patient.escalations.unfinished().select_related("owner")),
        messages=_messages_about_now(patient, at),
        form=form_state(patient, at),
        has_photos=bool(has_photos([patient.pk])),
    )
    if reads:
        found.shelf = shelf_of(patient)
        found.flags = list(_flag_lines(screenings, modalities))
        found.decisions = [_decision_line(d, modalities) for d in decisions if d.status in {"in_force", "awaiting"}]
        found.timeline = timeline(patient, visits, decisions, consents, modalities)
    return found


def _messages_about_now(patient: Patient, at: datetime) -> list[Message]:
    """Return the next few messages and the latest few, newest first: what the desk is asked about."""
    known = patient.messages.select_related("point")
    coming = known.filter(due_at__gte=at, status__in=[*UNSENT]).order_by("due_at", "id")[:3]
    return with_ways([*reversed(coming), *known.filter(due_at__lt=at).order_by("-due_at", "-id")[:5]], at)


def _course_line(course: Course, modalities: dict[str, str], areas: dict[str, str], reads: bool) -> Line:
    where = ", ".join(areas.get(area, area).lower() for area in course.areas)
    return Line(
        f"{modalities.get(course.modality, course.modality)}: {where}",
        f"{course.sessions_done} of {course.sessions_planned} done",
        "good" if course.status == "completed" else "calm",
        at=course.planned_at,
        url=reverse("course", args=[course.ref]) if reads else "",
    )


def _consent_line(consent: Consent, reads: bool) -> Line:
    return Line(
        consent.get_scope_display(),
        consent.get_status_display(),
        {"active": "good", "proposed": "warn"}.get(consent.status, "quiet"),
        at=consent.signed_at or consent.asked_at,
        url=reverse("consent_record", args=[consent.ref]) if reads else "",
    )


def _decision_line(decision: CandidacyDecision, modalities: dict[str, str]) -> Line:
    waiting = decision.status == "awaiting"
    return Line(
        modalities.get(decision.modality, decision.modality),
        decision.get_status_display() if waiting else decision.get_kind_display(),
        "warn" if waiting else "good" if decision.kind in GOING_AHEAD else "quiet",
        by=" with ".join(str(person) for person in (decision.decided_by, decision.cosigned_by) if person),
        at=decision.decided_at,
        url=reverse("screening", args=[decision.screening.ref]),
    )


def _flag_lines(screenings: list[Screening], modalities: dict[str, str]) -> Iterator[Line]:
    """Yield a line for each screening with open flags, naming their topics."""
    flags = Flag.objects.filter(screening__in=screenings, status="open").order_by("screening_id", "id")
    topics: dict[int, list[str]] = {}
    for flag in flags:
        topics.setdefault(flag.screening_id, []).append(flag.topic.replace("_", " "))
    for screening in screenings:
        if screening.pk in topics:
            yield Line(
                modalities.get(screening.modality, screening.modality),
                screening.get_outcome_display(),
                OUTCOME_TONES.get(screening.outcome, "warn"),
                by=", ".join(dict.fromkeys(topics[screening.pk])),
                at=screening.screened_at,
                url=reverse("screening", args=[screening.ref]),
            )


def next_step(
    patient: Patient,
    visits: list[Appointment],
    courses: list[Course],
    screenings: list[Screening],
    decisions: list[CandidacyDecision],
    consents: list[Consent],
    at: datetime,
) -> NextStep:
    """Say where the patient stands and what must happen next."""
    course = next((course for course in courses if course.status in {"active", "on-hold"}), None)
    if course is not None:
        return _step_of_course(patient, course, visits, consents, at)
    if not screenings:
        return _step_of_intake(patient)
    in_force = [decision for decision in decisions if decision.status == "in_force"]
    cleared = [decision for decision in in_force if decision.kind in GOING_AHEAD]
    used = [course for decision in cleared if (course := _course_on(decision, courses)) is not None]
    if cleared and len(used) == len(cleared):
        return _step_after(max(used, key=_last_heard_of))
    if cleared:
        url = reverse("course_new", args=[patient.ref])
        return NextStep(
            Stage.COURSE,
            "A clinician cleared this patient for treatment.",
            "Plan the course",
            url,
            needs=Permission.DECIDE,
        )
    waiting = next((decision for decision in in_force if decision.kind == DecisionKind.DEFER), None)
    if waiting is not None:
        until = f" until {waiting.earliest_on:%-d %B %Y}" if waiting.earliest_on else ""
        return NextStep(Stage.DEFERRED, f"Waiting{until}, as decided on {waiting.decided_at:%-d %B %Y}.")
    if in_force:
        return NextStep(Stage.CLOSED, f"Not going ahead, as decided on {in_force[0].decided_at:%-d %B %Y}.")
    url = reverse("screening", args=[screenings[0].ref])
    return NextStep(
        Stage.REVIEW,
        "The answers wait for a clinician's decision.",
        "Review the answers",
        url,
        needs=Permission.SEE_CHART,
    )


def _course_on(decision: CandidacyDecision, courses: list[Course]) -> Course | None:
    """Return the course that has used the decision up: one with its laser that went on after it, and is over."""
    over = (CourseStatus.COMPLETED, CourseStatus.REVOKED)
    same = (course for course in courses if course.modality == decision.modality and course.status in over)
    return next((course for course in same if _last_heard_of(course) >= decision.decided_at), None)


def _last_heard_of(course: Course) -> datetime:
    return course.last_treated_at or course.planned_at


def _step_after(course: Course) -> NextStep:
    """Say that a course is over. Another one is a clinician's decision, not the next thing to do."""
    if course.status == CourseStatus.REVOKED:
        done, planned = course.sessions_done, course.sessions_planned
        return NextStep(Stage.ENDED, f"The course was ended after {done} of {planned} sessions.")
    return _all_done(course)


def _all_done(course: Course) -> NextStep:
    return NextStep(Stage.DONE, f"All {course.sessions_planned} sessions are done; follow-up goes on.")


def _step_of_intake(patient: Patient) -> NextStep:
    send = reverse("send_link", args=[patient.ref])
    response = patient.responses.order_by("-started_at", "-id").first()
    if response is None:
        return NextStep(
            Stage.INTAKE, "No questionnaire has been sent.", "Send the questionnaire", send, LinkScope.INTAKE
        )
    if response.status == "in-progress":
        given = response.answers.filter(is_latest=True).count()
        sentence = (
            f"Filling in the questionnaire: {given} answer{'' if given == 1 else 's'} so far."
            if given
            else "The questionnaire is not begun."
        )
        return NextStep(Stage.INTAKE, sentence, "Send the link again", send, LinkScope.INTAKE)
    return NextStep(Stage.INTAKE, "The questionnaire is in, but no laser is offered here to screen for.")


def _step_of_course(
    patient: Patient, course: Course, visits: list[Appointment], consents: list[Consent], at: datetime
) -> NextStep:
    coming = [v for v in visits if v.course_id == course.pk and v.status in COMING and v.ends_at > at - A_DAY]
    if coming:
        first = min(coming, key=lambda visit: visit.starts_at)
        when = f"{first.starts_at.astimezone(first.location.zone):%a %-d %B, %H:%M}"
        url = reverse("appointment", args=[first.ref])
        return NextStep(Stage.PRECARE, f"Session {course.sessions_done + 1} on {when}.", "Open the visit", url)
    if course.sessions_done >= course.sessions_planned:
        return _all_done(course)
    if not any(consent.about == course.about and consent.status == "active" for consent in consents):
        return NextStep(Stage.CONSENT, "The patient has been asked to consent and has not signed yet.")
    url = f"{reverse('book')}?patient={patient.ref}"
    if course.last_treated_at and at - course.last_treated_at < timedelta(days=course.min_interval_days):
        sentence = f"Healing after session {course.sessions_done} of {course.sessions_planned}."
        return NextStep(Stage.HEALING, sentence, "Book the next session", url)
    return NextStep(Stage.BOOK, "Consented and ready for a date.", "Book the treatment", url)


def timeline(
    patient: Patient,
    visits: list[Appointment],
    decisions: list[CandidacyDecision],
    consents: list[Consent],
    modalities: dict[str, str],
) -> list[Entry]:
    """Return what happened to the patient, newest first."""
    return sorted(
        itertools.chain(
            [Entry(patient.created_at, "Became a patient")],
            _answers(patient),
            _said_at_home(patient),
            (
                Entry(
                    decision.decided_at,
                    f"{decision.get_kind_display()}: {modalities.get(decision.modality, decision.modality)}",
                    by=" with ".join(str(person) for person in (decision.decided_by, decision.cosigned_by) if person),
                    tone="good",
                    url=reverse("screening", args=[decision.screening.ref]),
                )
                for decision in decisions
            ),
            (
                Entry(
                    consent.signed_at, f"Consent signed: {consent.get_scope_display().lower()}", by=consent.signed_name
                )
                for consent in consents
                if consent.signed_at
            ),
            (
                Entry(
                    visit.starts_at,
                    f"{visit.type}: {visit.get_status_display().lower()}",
                    by=str(visit.practitioner),
                    tone="quiet",
                    url=reverse("appointment", args=[visit.ref]),
                )
                for visit in visits
            ),
            _treatments(patient, modalities),
            _recovery(patient),
        ),
        key=lambda entry: entry.at,
        reverse=True,
    )


def _answers(patient: Patient) -> Iterator[Entry]:
    for response in patient.responses.exclude(completed_at=None):
        if response.completed_at:
            title = "Answers amended" if response.amends_id else "Answered the health questionnaire"
            yield Entry(response.completed_at, title)


def _said_at_home(patient: Patient) -> Iterator[Entry]:
    """Yield the answers before visits; only what is not a clear “no” is told."""
    for said in FitnessAnswers.objects.filter(appointment__patient=patient).select_related("appointment"):
        given = zip(FitnessQuestion.values, fitness_in_words(said.answers), strict=True)
        told = [f"{words} {answer}." for key, (words, answer) in given if said.answers[key] not in FIT_ANSWERS[key]]
        yield Entry(
            said.answered_at,
            "Answered the questions before the visit",
            text=" ".join(told) or "Nothing stands in the way.",
            by=str(patient),
            tone="good" if said.is_clear else "warn",
            url=reverse("appointment", args=[said.appointment.ref]),
        )


def _treatments(patient: Patient, modalities: dict[str, str]) -> Iterator[Entry]:
    for session in patient.sessions.exclude(completed_at=None).select_related("operator"):
        if session.completed_at:
            yield Entry(
                session.completed_at,
                f"Session {session.number}: {session.get_status_display().lower()}",
                text=modalities.get(session.modality, session.modality),
                by=str(session.operator),
                tone="good",
                url=reverse("session", args=[session.ref]),
            )


def _recovery(patient: Patient) -> Iterator[Entry]:
    for checkin in patient.checkins.exclude(answered_at=None):
        if checkin.answered_at:
            yield Entry(
                checkin.answered_at,
                f"Day {checkin.day} check-in: {checkin.get_level_display().lower()}",
                by=str(patient),
                tone=LEVEL_TONES.get(checkin.level, "quiet"),
            )
    for alarm in patient.escalations.select_related("closed_by"):
        if alarm.closed_at:
            url = reverse("alarm", args=[alarm.ref])
            yield Entry(
                alarm.closed_at, f"Alarm closed: {alarm.get_outcome_display()}", by=str(alarm.closed_by), url=url
            )


@dataclass(frozen=True)
class BoardRow:
    """One coming treatment visit, and what still stands in its way beside the check at the door."""

    visit: Appointment
    missing: list[Item]
    days: int

    @property
    def worst(self) -> tuple[bool, datetime]:
        """Sort key: what is unready and soon comes first."""
        return (not self.missing, self.visit.starts_at)


def readiness_board(location: Location, at: datetime, days: int = 14) -> list[BoardRow]:
    """Return the treatment visits of the coming days at the location, worst first."""
    today = at.astimezone(location.zone).date()
    visits = Appointment.objects.filter(
        location=location,
        type__kind__in=["treatment", "test_spot"],
        status__in=[AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED],
        starts_at__gte=at - timedelta(hours=12),
        starts_at__lt=at + timedelta(days=days),
    ).select_related("patient__location", "type", "course", "practitioner", "device", "location")
    rows = [
        BoardRow(
            visit,
            [item for item in found.missing if item.key != ReadinessItem.FITNESS],
            days_between(today, visit.starts_at.astimezone(location.zone).date()),
        )
        for visit, found in zip(visits, readiness_of(list(visits), at), strict=True)
    ]
    return sorted(rows, key=lambda row: row.worst)


@dataclass(frozen=True)
class Healing:
    """What a patient sees of their own recovery: which day it is and which words belong to it."""

    session: TreatmentSession
    day: int
    latest: Message | None
    coming: list[CheckIn]
    open_checkin: CheckIn | None
    is_answered: bool
    answered_at: datetime | None
    alarm: Escalation | None
    next_visit: Appointment | None

    @property
    def ahead(self) -> list[tuple[datetime, Appointment | None]]:
        """Return when the patient is asked again, and the next visit among it, soonest first."""
        asked: list[tuple[datetime, Appointment | None]] = [(checkin.due_at, None) for checkin in self.coming]
        seen: list[tuple[datetime, Appointment | None]] = []
        if self.next_visit is not None:
            seen = [(self.next_visit.starts_at, self.next_visit)]
        return sorted([*asked, *seen], key=lambda each: each[0])

    @property
    def words(self) -> dict[str, object]:
        """Return the texts of the latest care step: title, what_is_normal, do_now, contact_if.

        The first thing a check-in says to do is to answer it (a test holds the protocols to that): once it is answered,
        that has been done.
        """
        words = dict(self.latest.context) if self.latest else {}
        if self.is_answered:
            words["do_now"] = words.get("do_now", [])[1:]
        return words


def healing(patient: Patient, at: datetime) -> Healing | None:
    """Return the recovery from the latest treatment, None if there is none within its follow-up."""
    session = (
        TreatmentSession.objects.treated()
        .filter(patient=patient, completed_at__gt=at - timedelta(days=HEALING_DAYS))
        .select_related("appointment__location")
        .order_by("-completed_at", "-id")
        .first()
    )
    if session is None:
        return None
    assert session.completed_at is not None
    zone = session.appointment.location.zone
    said = (
        patient.messages.filter(about=session.about, due_at__lte=at)
        .exclude(status="superseded")
        .order_by("-due_at", "-id")
    )
    checkins = list(session.checkins.filter(status="planned").order_by("due_at", "id"))
    visit = patient.appointments.filter(status=AppointmentStatus.BOOKED, starts_at__gte=at).select_related(
        "type", "location"
    )
    latest = said.first()
    alarm = open_alarm_of(patient)
    answered = session.checkins.filter(status="answered", step=latest.step).first() if latest else None
    return Healing(
        session=session,
        day=days_between(session.completed_at.astimezone(zone).date(), at.astimezone(zone).date()),
        latest=latest,
        coming=[checkin for checkin in checkins if checkin.due_at > at],
        open_checkin=next((checkin for checkin in reversed(checkins) if checkin.due_at <= at), None),
        is_answered=answered is not None,
        answered_at=answered.answered_at if answered and alarm is None else None,
        alarm=alarm,
        next_visit=visit.order_by("starts_at", "id").first(),
    )


def open_alarm_of(patient: Patient) -> Escalation | None:
    """Return the most urgent alarm that an answer of the patient raised and that nobody has closed."""
    rows = Escalation.objects.unfinished().filter(patient=patient, level__in=ALARMING, checkin__isnull=False)
    return min(rows.select_related("checkin"), key=lambda row: SEVERITY.index(Level(row.level)), default=None)


def days_between(first: date, second: date) -> int:
    """Return whole calendar days from the first to the second."""
    return (second - first).days
