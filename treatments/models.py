"""The upper floor's rows, gathered from its rooms."""

from treatments.aftercare.models import AdverseEvent, CheckIn, CheckInAnswer, Escalation
from treatments.booking.models import Appointment, Claim, VisitCall
from treatments.courses.models import Course
from treatments.sessions.models import Addendum, FitnessAnswers, FitnessCheck, SessionPass, TreatmentSession
from treatments.waitlist.models import WaitlistEntry, WaitlistOffer

__all__ = [
    "Addendum",
    "AdverseEvent",
    "Appointment",
    "CheckIn",
    "CheckInAnswer",
    "Claim",
    "Course",
    "Escalation",
    "FitnessAnswers",
    "FitnessCheck",
    "SessionPass",
    "TreatmentSession",
    "VisitCall",
    "WaitlistEntry",
    "WaitlistOffer",
]
