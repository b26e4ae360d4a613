"""Who waits, whether they are ready, and which free time suits them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from clinic.audit.models import AuditEvent
from clinic.audit.states import Refused
from clinic.catalogue.states import VisitKind
from clinic.premises.models import Location
from clinic.staff.models import Practitioner
from patients.candidacy.queries import decision_in_force
from patients.candidacy.states import ALLOWING
from patients.consent.states import ConsentStatus
from patients.messaging.rules import UNDO, quiet_until
from patients.registry.models import Patient
from treatments.booking.gates import refusals
from treatments.booking.models import Appointment
from treatments.booking.offers import late_precare
from treatments.booking.queries import devices_for, free_times, practitioners_at
from treatments.booking.rules import Start, lead_reason, prepared_from
from treatments.booking.standing import Wish, facts_of
from treatments.booking.states import AppointmentStatus
from treatments.courses.queries import consent_for, earliest_next
from treatments.courses.rules import say
from treatments.courses.states import CourseStatus
from treatments.waitlist.models import WaitlistEntry, WaitlistOffer
from treatments.waitlist.rules import HOLD, Hold, hold_for, overlaps, window
from treatments.waitlist.states import OfferStatus

# After so many free times that a gate refused, the next sweep looks again.
MOST_TRIED = 8
NO_TIME_LEFT = "No time is left to prepare:"


@dataclass(frozen=True)
class Standing:
    """Where somebody who waits stands: the offer that runs, why they are not ready, or the time that suits."""

    offer: WaitlistOffer | None = None
    reasons: tuple[str, ...] = ()
    start: Start | None = None
    practitioner: Practitioner | None = None

    @property
    def is_ready(self) -> bool:
        return not self.reasons


def standing_of(entry: WaitlistEntry, at: datetime) -> Standing:
    """Return where the person stands now. The gates are booking's own, asked for the time that would be offered."""
    running = entry.offers.filter(status=OfferStatus.OPEN).select_related("appointment__practitioner").first()
    if running is not None:
        return Standing(offer=running)
    reasons = tuple(_not_ready(entry))
    if reasons:
        return Standing(reasons=reasons)
    modality = entry.course.modality if entry.course else ""
    earliest_on, why = earliest_next(entry.patient, modality) if _is_treatment(entry) else (None, "")
    today = at.astimezone(entry.location.zone).date()
    lead = entry.type.lead_days
    if lead:
        prepared = first_prepared(entry, at)
        if earliest_on is None or earliest_on < prepared:
            earliest_on, why = prepared, lead_reason(lead)
    days = window(entry.wishes, today, earliest_on)
    if days is None:
        if earliest_on is not None and earliest_on > today:
            return Standing(reasons=(f"Not before {say(earliest_on)}: {why}.",))
        passed = entry.latest_on < today
        return Standing(reasons=("The last wished day has passed.",)) if passed else Standing()
    people = {each.pk: each for each in wished_people(entry)}
    if not people:
        return Standing(reasons=("Nobody of those wished for may treat this here.",))
    refused: list[str] = []
    too_soon, late, late_day = False, "", None
    for start in _suiting(entry, people, modality, days, at):
        hold = hold_of(entry, start.starts_at, at)
        if hold is None:
            too_soon = True
            continue
        day = start.starts_at.astimezone(entry.location.zone).date()
        if day == late_day:
            continue  # what there is no time for in the morning there is none for in the afternoon
        against = against_offering(entry, start, people[start.practitioner_id], at, hold)
        if not against:
            return Standing(start=start, practitioner=people[start.practitioner_id])
        if against.startswith(NO_TIME_LEFT):
            late, late_day = late or against, day
            continue
        refused.append(against)
        if len(refused) == MOST_TRIED:
            break
    if not (refused or late) and too_soon:
        refused.append("The free time is too soon to ask first.")
    reason = refused[0] if refused else late
    return Standing(reasons=(reason,)) if reason else Standing()


def wished_people(entry: WaitlistEntry) -> list[Practitioner]:
    """Return who could see the person: those wished for, or anyone, who work here and may treat with the laser."""
    here = practitioners_at(entry.location, entry.course.modality if entry.course else "")
    wished = set(entry.practitioners.values_list("pk", flat=True))
    return [each for each in here if not wished or each.pk in wished]


def against_offering(entry: WaitlistEntry, start: Start, practitioner: Practitioner, at: datetime, hold: Hold) -> str:
    """Return why this very time cannot be offered to the person, in a sentence; empty when it can.

    The gates are asked for the end of the hold: what may be taken until then must not be too late by then.
    """
    wish = wish_of(entry, practitioner, start.starts_at)
    found: Sequence[Refused] = refusals(facts_of(wish, (), hold.ends_at))
    if found:
        return found[0].for_people
    if entry.type.lead_days is not None:
        return ""  # the clinic has said how long ahead is enough
    # A visit that is not saved: what would have to be told at once, were it booked now.
    visit = Appointment(
        patient=entry.patient,
        type=entry.type,
        location=entry.location,
        course=entry.course,
        practitioner=practitioner,
        starts_at=start.starts_at,
        ends_at=wish.ends_at,
        booked_at=at,
    )
    late = late_precare(visit) if entry.course else []
    return f"{NO_TIME_LEFT} {late[0]}." if late else ""


def wish_of(entry: WaitlistEntry, practitioner: Practitioner, starts_at: datetime) -> Wish:
    """Return the visit that the person waits for, at a time with somebody."""
    return Wish(
        entry.patient,
        entry.type,
        entry.location,
        practitioner,
        starts_at,
        course=entry.course,
        leaving_out=entry.sooner_than_id,
    )


def hold_of(entry: WaitlistEntry, starts_at: datetime, at: datetime) -> Hold | None:
    """Return how long the time would be held, counted from when the person may be written to."""
    return hold_for(starts_at, readable_at=quiet_until(at, _zone(entry)) or at)


def first_prepared(entry: WaitlistEntry, at: datetime) -> date:
    """Return the first day that leaves time to prepare to whoever accepts at the last moment of an offer made now."""
    asked_until = (quiet_until(at, _zone(entry)) or at) + HOLD
    return prepared_from(asked_until.astimezone(entry.location.zone).date(), entry.type.lead_days)


def _zone(entry: WaitlistEntry) -> ZoneInfo:
    return ZoneInfo(entry.patient.time_zone or entry.location.time_zone)


def _is_treatment(entry: WaitlistEntry) -> bool:
    return entry.course is not None and entry.type.kind == VisitKind.TREATMENT


def _not_ready(entry: WaitlistEntry) -> Iterator[str]:
    """What stands in the way whatever the time. The desk reads that something is missing, never an answer."""
    patient, course = entry.patient, entry.course
    if patient.died_on or patient.do_not_contact:
        yield "The patient is not to be contacted."
    if entry.sooner_than is not None and entry.sooner_than.status != AppointmentStatus.BOOKED:
        yield "The visit that was to be earlier is no longer booked."
    if course is None:
        return
    if course.status != CourseStatus.ACTIVE:
        yield f"The course is {course.get_status_display().lower()}."
    decision = decision_in_force(patient, course.modality)
    if decision is None or decision.kind not in ALLOWING:
        yield "No decision in force allows this."
    consent = consent_for(course)
    if consent is None or consent.status != ConsentStatus.ACTIVE:
        yield "The consent is not signed."


def _suiting(
    entry: WaitlistEntry, people: dict[int, Practitioner], modality: str, days: tuple[object, object], at: datetime
) -> Iterator[Start]:
    """Yield the free times within the wishes, soonest first, that were not offered to this person before."""
    first, last = days
    zone = entry.location.zone
    starts = free_times(
        type=entry.type,
        location=entry.location,
        first=first,  # type: ignore[arg-type]
        last=last,  # type: ignore[arg-type]
        practitioners=list(people),
        devices=[each.pk for each in devices_for(entry.location, entry.type, modality)],
        not_before=at,
    )
    before = [
        (starts_at, ends_at)
        for starts_at, ends_at in entry.offers.values_list("appointment__starts_at", "appointment__ends_at")
    ]
    moving = _may_move_back(entry, at)
    minutes = timedelta(minutes=entry.type.minutes)
    for start in starts:
        ends_at = start.starts_at + minutes
        if (
            entry.wishes.suit(start.starts_at, zone)
            and (entry.sooner_than is None or ends_at <= entry.sooner_than.starts_at)
            and not overlaps(start.starts_at, ends_at, before)
            and not overlaps(start.starts_at, ends_at, moving)
        ):
            yield start


def _may_move_back(entry: WaitlistEntry, at: datetime) -> list[tuple[datetime, datetime]]:
    """Return the times that visits left a moment ago: while a move can be undone, nobody else is given its place."""
    moved = Appointment.objects.filter(
        location=entry.location, starts_at__gte=at - timedelta(days=1), moved_at__gt=at - UNDO
    )
    lengths = {str(ref): ends - starts for ref, starts, ends in moved.values_list("ref", "starts_at", "ends_at")}
    events = AuditEvent.objects.filter(
        subject_type="appointment", subject_id__in=lengths, action="appointment.moved", at__gt=at - UNDO
    )
    found = []
    for event in events:
        was = datetime.fromisoformat(str(event.detail["was"]))
        found.append((was, was + lengths[event.subject_id]))
    return found


def waits_sooner(visit: Appointment) -> WaitlistEntry | None:
    """Return the entry by which the visit's patient waits for an earlier time for it; None if they do not."""
    return WaitlistEntry.objects.waiting().filter(sooner_than=visit).first()


def booked_visits(patient: Patient, location: Location, at: datetime) -> list[Appointment]:
    """Return the visits the patient has here, the soonest first: somebody may wait for an earlier time for one."""
    rows = patient.appointments.filter(location=location, status=AppointmentStatus.BOOKED, starts_at__gt=at)
    return list(rows.select_related("type", "course", "location").order_by("starts_at", "id"))
