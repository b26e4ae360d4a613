"""What a patient's courses say about the next session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from clinic.catalogue.models import Modality
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.queries import decision_in_force
from patients.consent.models import Consent
from patients.registry.models import Patient
from treatments.courses.models import Course
from treatments.courses.rules import Earliest, Treated, earliest_of, later, say
from treatments.courses.states import CourseStatus

OPEN = (CourseStatus.ACTIVE, CourseStatus.ON_HOLD)


def earliest_next(patient: Patient, modality: str, *, is_spot: bool = False) -> tuple[date | None, str]:
    """Return the first local date on which the patient may be treated with the modality, and why not before.

    The later of the decision's own date and the least interval after the last completed treatment of any course;
    None and an empty reason when nothing holds it back. A test spot waits for the decision's date alone.
    """
    return earliest_by(decision_in_force(patient, modality), patient, modality, is_spot=is_spot)


def earliest_by(
    decision: CandidacyDecision | None, patient: Patient, modality: str, *, is_spot: bool = False
) -> tuple[date | None, str]:
    """As `earliest_next`, by the decision in force that was read already."""
    return past_of([patient.pk]).earliest(decision, patient, modality, is_spot=is_spot)


def own_interval(patient: Patient, modality: str) -> int:
    """Return the least days before a session of this modality: the open course's, else the catalogue's."""
    return past_of([patient.pk]).own_interval(patient, modality)


@dataclass(frozen=True)
class Past:
    """The courses of some patients, by the patient's key, the latest first; none that was entered in error."""

    courses: Mapping[int, Collection[Course]]

    @cached_property
    def _catalogue(self) -> dict[str, tuple[str, int]]:
        return {
            key: (label, days) for key, label, days in Modality.objects.values_list("key", "label", "min_interval_days")
        }

    def _label(self, modality: str) -> str:
        return self._catalogue[modality][0] if modality in self._catalogue else modality

    def own_interval(self, patient: Patient, modality: str) -> int:
        """As the function of this name, by what was read already."""
        for course in self.courses.get(patient.pk, ()):
            if course.modality == modality and course.status in OPEN:
                return course.min_interval_days
        return self._catalogue.get(modality, ("", 0))[1]

    def earliest(
        self, decision: CandidacyDecision | None, patient: Patient, modality: str, *, is_spot: bool = False
    ) -> tuple[date | None, str]:
        """As `earliest_by`, by what was read already."""
        decided = _by_decision(decision)
        found = decided if is_spot else later(self._after_treatments(patient, modality), decided)
        return found.on, found.reason

    def _after_treatments(self, patient: Patient, modality: str) -> Earliest:
        treated = [
            Treated(each.modality, self._label(each.modality), each.last_treated_at, each.min_interval_days)
            for each in self.courses.get(patient.pk, ())
            if each.last_treated_at is not None
        ]
        if not treated:
            return Earliest(None)
        return earliest_of(treated, self.own_interval(patient, modality), patient.location.zone)


def past_of(patients: Collection[int]) -> Past:
    """Return what is on record of the courses of these patients, by their keys, in one query."""
    courses: dict[int, list[Course]] = defaultdict(list)
    rows = Course.objects.filter(patient__in=patients).exclude(status=CourseStatus.ENTERED_IN_ERROR)
    for course in rows.order_by("-planned_at", "-id"):
        courses[course.patient_id].append(course)
    return Past(courses)


def course_for(patient: Patient, modality: str) -> Course | None:
    """Return the patient's open course with the modality, the latest if there are several."""
    return (
        Course.objects.filter(patient=patient, modality=modality, status__in=OPEN)
        .order_by("-planned_at", "-id")
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


def _by_decision(decision: CandidacyDecision | None) -> Earliest:
    if decision is None or decision.earliest_on is None:
        return Earliest(None)
    return Earliest(decision.earliest_on, f"the clinician's decision says not before {say(decision.earliest_on)}")
