"""What a patient's courses say about the next session."""

from __future__ import annotations

from datetime import date

from clinic.catalogue.models import Modality
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.queries import decision_in_force
from patients.consent.models import Consent
from patients.registry.models import Patient
from treatments.courses.models import Course
from treatments.courses.rules import Earliest, Treated, earliest_of, later, say
from treatments.courses.states import CourseStatus


def earliest_next(patient: Patient, modality: str) -> tuple[date | None, str]:
    """Return the first local date on which the patient may be treated with the modality, and why not before.

    The later of the decision's own date and the least interval after the last completed treatment of any course;
    None and an empty reason when nothing holds it back.
    """
    found = later(_after_treatments(patient, modality), _by_decision(decision_in_force(patient, modality)))
    return found.on, found.reason


def own_interval(patient: Patient, modality: str) -> int:
    """Return the least days before a session of this modality: the open course's, else the catalogue's."""
    course = course_for(patient, modality)
    if course is not None:
        return course.min_interval_days
    return Modality.objects.values_list("min_interval_days", flat=True).filter(key=modality).first() or 0


def course_for(patient: Patient, modality: str) -> Course | None:
    """Return the patient's open course with the modality, the latest if there are several."""
    return (
        Course.objects.filter(
            patient=patient, modality=modality, status__in=[CourseStatus.ACTIVE, CourseStatus.ON_HOLD]
        )
        .order_by("-planned_at")
        .first()
    )


def consent_plan(course: Course) -> dict[str, object]:
    """Return what a consent to the course is given for; a change of it voids the consent."""
    return {"modality": course.modality, "areas": course.areas, "sessions": course.sessions_planned}


def consent_for(course: Course) -> Consent | None:
    """Return the latest consent asked for or given for the course, whatever became of it; None if never asked."""
    return Consent.objects.filter(patient=course.patient, about=course.about).order_by("-asked_at", "-id").first()


def courses_of(patient: Patient) -> list[Course]:
    """Return the patient's courses, the latest first."""
    return list(Course.objects.filter(patient=patient).select_related("decision"))


def _after_treatments(patient: Patient, modality: str) -> Earliest:
    done = Course.objects.filter(patient=patient, last_treated_at__isnull=False).exclude(
        status=CourseStatus.ENTERED_IN_ERROR
    )
    rows = list(done.values_list("modality", "last_treated_at", "min_interval_days"))
    if not rows:
        return Earliest(None)
    labels = dict(Modality.objects.filter(key__in={row[0] for row in rows}).values_list("key", "label"))
    treated = [Treated(key, labels.get(key, key), at, days) for key, at, days in rows if at is not None]
    return earliest_of(treated, own_interval(patient, modality), patient.location.zone)


def _by_decision(decision: CandidacyDecision | None) -> Earliest:
    if decision is None or decision.earliest_on is None:
        return Earliest(None)
    return Earliest(decision.earliest_on, f"the clinician's decision says not before {say(decision.earliest_on)}")
