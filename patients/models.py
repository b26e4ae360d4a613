"""The middle floor's rows, gathered from its rooms."""

from patients.candidacy.models import CandidacyDecision, Flag, Screening
from patients.consent.models import Consent, ConsentWording
from patients.enquiries.models import Enquiry
from patients.intake.models import Answer, QuestionnaireResponse
from patients.messaging.models import DeliveryAttempt, DeliveryReceipt, GatewayMinute, Message, OptOut, SenderPulse
from patients.photos.models import Photo
from patients.registry.models import ContactPoint, Patient, PatientContact, RelatedPerson, SecureLink
from patients.replies.models import Conversation, Reply

__all__ = [
    "Answer",
    "CandidacyDecision",
    "Consent",
    "ConsentWording",
    "ContactPoint",
    "Conversation",
    "DeliveryAttempt",
    "DeliveryReceipt",
    "Enquiry",
    "Flag",
    "GatewayMinute",
    "Message",
    "OptOut",
    "Patient",
    "PatientContact",
    "Photo",
    "QuestionnaireResponse",
    "RelatedPerson",
    "Reply",
    "Screening",
    "SecureLink",
    "SenderPulse",
]
