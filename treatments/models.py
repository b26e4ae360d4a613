"""The upper floor's rows, gathered from its rooms."""

from treatments.aftercare.models import AdverseEvent, CheckIn, CheckInAnswer, Escalation
from treatments.booking.models import Appointment, Claim, VisitCall
from treatments.courses.models import Course
from treatments.disruption.models import Disruption, DisruptionResult
from treatments.feeds.models import CalendarFeed
from treatments.journey.models import MessageCheck
from treatments.online.models import BookingAttempt
from treatments.sessions.models import Addendum, FitnessAnswers, FitnessCheck, SessionPass, TreatmentSession
from treatments.waitlist.models import WaitlistEntry, WaitlistOffer

__all__ = [
    "Addendum",
    "AdverseEvent",
    "Appointment",
    "BookingAttempt",
    "CalendarFeed",
    "CheckIn",
    "CheckInAnswer",
    "Claim",
    "Course",
    "Disruption",
    "DisruptionResult",
    "Escalation",
    "FitnessAnswers",
    "FitnessCheck",
    "MessageCheck",
    "SessionPass",
    "TreatmentSession",
    "VisitCall",
    "WaitlistEntry",
    "WaitlistOffer",
]
