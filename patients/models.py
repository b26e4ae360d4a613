"""The middle floor's rows, gathered from its rooms."""

from patients.candidacy.models import CandidacyDecision, Flag, Screening
from patients.consent.models import Consent, ConsentWording
from patients.intake.models import Answer, Enquiry, QuestionnaireResponse
from patients.messaging.models import DeliveryAttempt, Message, OptOut, Reply, SenderPulse
from patients.registry.models import ContactPoint, Patient, PatientContact, RelatedPerson, SecureLink

__all__ = [
    "Answer",
    "CandidacyDecision",
    "Consent",
    "ConsentWording",
    "ContactPoint",
    "DeliveryAttempt",
    "Enquiry",
    "Flag",
    "Message",
    "OptOut",
    "Patient",
    "PatientContact",
    "QuestionnaireResponse",
    "RelatedPerson",
    "Reply",
    "Screening",
    "SecureLink",
    "SenderPulse",
]
