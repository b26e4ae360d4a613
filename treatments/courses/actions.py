"""Planning, changing and counting a course of treatments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.catalogue.models import BodyArea, Modality
from clinic.transitions import lock, move
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.states import ALLOWING, DecisionKind, DecisionStatus
from patients.consent.actions import ask_consent, void_changed_plan
from patients.consent.states import ConsentScope
from patients.registry.models import Patient
from treatments.courses.models import Course
from treatments.courses.queries import consent_plan, course_for
from treatments.courses.states import AlreadyPlanned, CourseClosed, CourseStatus, NotCleared

MOST_SESSIONS = 20


class BadPlan(Refused):
    """The plan itself makes no sense: no area, an unknown one, or a number of sessions outside 1 to 20."""


@transaction.atomic
def plan_course(
    *,
    patient: Patient,
    decision: CandidacyDecision,
    modality: str,
    areas: Sequence[str],
    sessions_planned: int,
    by: Actor,
    at: datetime,
) -> Course:
    """The patient has a course of the modality on the areas, and is asked to consent to exactly that.

    Needs a decision in force for the patient and the modality that allows treatment, or a test spot. Raises
    NotCleared, AlreadyPlanned, BadPlan.
    """
    # The patient first: two desks planning at once make one course.
    lock(patient)
    _allow(lock(decision), patient, modality)
    laser = Modality.objects.get(key=modality)
    _check_plan(areas, sessions_planned)
    if course_for(patient, modality):
        raise AlreadyPlanned(f"{patient.first_name} has an open course with {laser.label} already.")
    course = Course.objects.create(
        patient=patient,
        decision=decision,
        modality=modality,
        areas=list(areas),
        sessions_planned=sessions_planned,
        min_interval_days=laser.min_interval_days,
        max_interval_days=laser.max_interval_days,
        planned_at=at,
    )
    record(action="course.planned", subject=course, by=by, at=at, modality=modality, sessions=sessions_planned)
    _ask(course, laser.group, by, at)
    return course


@transaction.atomic
def change_course_plan(
    *, course: Course, areas: Sequence[str], sessions_planned: int, reason: str, by: Actor, at: datetime
) -> Course:
    """The course has the new plan; consent given for the old one is void and asked for again.

    A plan that stays the same is left alone, consent included. Raises CourseClosed, BadPlan.
    """
    fresh = _open(course)
    _check_plan(areas, sessions_planned)
    if sessions_planned < fresh.sessions_done:
        raise BadPlan(f"{fresh.sessions_done} sessions are done already.", field="sessions_planned")
    if list(areas) == fresh.areas and sessions_planned == fresh.sessions_planned:
        return fresh
    was = consent_plan(fresh)
    fresh.areas, fresh.sessions_planned = list(areas), sessions_planned
    fresh.save(update_fields=["areas", "sessions_planned"])
    record(action="course.changed", subject=fresh, by=by, at=at, was=was, now=consent_plan(fresh), reason=reason)
    void_changed_plan(about=fresh.about, plan=consent_plan(fresh), by=by, at=at)
    _ask(fresh, Modality.objects.get(key=fresh.modality).group, by, at)
    return fresh


@transaction.atomic
def note_treated(*, course: Course, treated_at: datetime, by: Actor, at: datetime, counts: bool = True) -> Course:
    """The course knows that a session truly ended at `treated_at`; intervals count from the latest of these.

    With the last planned session the course is complete. `counts` is False for a test spot: it uses up no session,
    and when treatment may follow is for the decision that its reading leads to.
    """
    fresh = lock(course)
    if not counts:
        record(action="course.test_spot", subject=fresh, by=by, at=at, treated_at=treated_at)
        return fresh
    fresh.last_treated_at = max(filter(None, [fresh.last_treated_at, treated_at]))
    fresh.sessions_done += 1
    fresh.save(update_fields=["last_treated_at", "sessions_done"])
    record(action="course.treated", subject=fresh, by=by, at=at, treated_at=treated_at, done=fresh.sessions_done)
    if fresh.status == CourseStatus.ACTIVE and fresh.sessions_done >= fresh.sessions_planned:
        fresh = move(fresh, CourseStatus.COMPLETED, by=by, at=at)
    return fresh


@transaction.atomic
def correct_treated(*, course: Course, last_treated_at: datetime, by: Actor, at: datetime) -> Course:
    """The latest session of the course truly ended at `last_treated_at`: intervals count from there."""
    fresh = lock(course)
    if fresh.last_treated_at != last_treated_at:
        was, fresh.last_treated_at = fresh.last_treated_at, last_treated_at
        fresh.save(update_fields=["last_treated_at"])
        record(action="course.treated_corrected", subject=fresh, by=by, at=at, was=was, now=last_treated_at)
    return fresh


@transaction.atomic
def hold_course(*, course: Course, reason: str, by: Actor, at: datetime) -> Course:
    """No session of the course can be booked until it is resumed."""
    return move(course, CourseStatus.ON_HOLD, by=by, at=at, reason=reason)


@transaction.atomic
def resume_course(*, course: Course, reason: str, by: Actor, at: datetime) -> Course:
    """The course goes on. Raises NotCleared if no decision allows it any more."""
    fresh = lock(course)
    if fresh.decision is not None:
        _allow(fresh.decision, fresh.patient, fresh.modality)
    return move(fresh, CourseStatus.ACTIVE, by=by, at=at, reason=reason)


@transaction.atomic
def end_course(*, course: Course, reason: str, by: Actor, at: datetime) -> Course:
    """The course is over before its last session."""
    return move(course, CourseStatus.REVOKED, by=by, at=at, reason=reason)


def _open(course: Course) -> Course:
    fresh = lock(course)
    if fresh.status not in (CourseStatus.ACTIVE, CourseStatus.ON_HOLD):
        raise CourseClosed(f"This course is {fresh.get_status_display().lower()}.")
    return fresh


def _allow(decision: CandidacyDecision, patient: Patient, modality: str) -> None:
    if decision.patient_id != patient.pk or decision.modality != modality:
        raise NotCleared("That decision is about another patient or another laser.")
    if decision.status != DecisionStatus.IN_FORCE:
        raise NotCleared("The decision is no longer in force. A clinician needs to decide again.")
    if decision.kind not in ALLOWING:
        raise NotCleared(f"The decision is “{DecisionKind(decision.kind).label}”: no treatment can be planned on it.")


def _check_plan(areas: Sequence[str], sessions_planned: int) -> None:
    if not areas:
        raise BadPlan("Please choose at least one area.", field="areas")
    if len(set(areas)) != len(areas) or BodyArea.objects.filter(key__in=areas).count() != len(areas):
        raise BadPlan("Please choose the areas from the list.", field="areas")
    if not 1 <= sessions_planned <= MOST_SESSIONS:
        raise BadPlan(f"Please plan between 1 and {MOST_SESSIONS} sessions.", field="sessions_planned")


def _ask(course: Course, group: str, by: Actor, at: datetime) -> None:
    ask_consent(
        patient=course.patient,
        scope=ConsentScope.TREATMENT,
        about=course.about,
        plan=consent_plan(course),
        group=group,
        by=by,
        at=at,
    )
