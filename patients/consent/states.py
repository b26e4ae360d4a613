from __future__ import annotations

from collections.abc import Sequence

from django.db.models import TextChoices

from clinic.audit.states import Refused


class ConsentScope(TextChoices):
    TREATMENT = "treatment", "Treatment"
    RECORD_PHOTOS = "record_photos", "Photos for the record"
    TEACHING = "teaching", "Photos for teaching"
    MARKETING_PHOTOS = "marketing_photos", "Photos for publicity"
    TEXTS = "texts", "Text messages"


class ConsentStatus(TextChoices):
    """FHIR's words: proposed until signed, active while in force, inactive after."""

    PROPOSED = "proposed", "Asked for"
    ACTIVE = "active", "In force"
    REJECTED = "rejected", "Declined"
    INACTIVE = "inactive", "No longer in force"
    ENTERED_IN_ERROR = "entered-in-error", "Entered in error"


# Why a consent ended that the clinic itself ended, by planning something else: nobody took it back.
PLAN_CHANGED = "The plan changed; consent is asked for anew."

_S = ConsentStatus
TRANSITIONS: dict[str, frozenset[str]] = {
    _S.PROPOSED: frozenset({_S.ACTIVE, _S.REJECTED, _S.INACTIVE, _S.ENTERED_IN_ERROR}),
    _S.ACTIVE: frozenset({_S.INACTIVE, _S.ENTERED_IN_ERROR}),
    _S.REJECTED: frozenset({_S.PROPOSED, _S.ENTERED_IN_ERROR}),
    _S.INACTIVE: frozenset({_S.ENTERED_IN_ERROR}),
    _S.ENTERED_IN_ERROR: frozenset(),
}


class SignedAs(TextChoices):
    PATIENT = "patient", "the patient"
    GUARDIAN = "guardian", "the patient's guardian"


# --- how a consent is refused -------------------------------------------------------------------------------------


class WordingMissing(Refused):
    """No wording is in force for what is asked."""

    sentence = "There is no wording for this yet. Run “manage.py load_knowledge”."


class NotAskedAnyMore(Refused):
    """The consent is over, or was never asked for: there is nothing to sign."""

    sentence = "This can’t be signed any more. Please call us if you expected to sign."


class AlreadySigned(Refused):
    """Signed once is signed."""

    sentence = "You have signed this already."


class PlanChanged(Refused):
    """What was on the screen is no longer what is planned."""

    sentence = "The plan has changed since you opened this page. Please read the new version first."


class RisksUnticked(Refused):
    """Each risk is ticked by itself. `risks` are the keys of those that are not."""

    def __init__(self, risks: Sequence[str]) -> None:
        self.risks = tuple(risks)
        count = "One point is" if len(risks) == 1 else f"{len(risks)} points are"
        super().__init__(f"{count} not ticked yet. Please tick each one you have read.", field="risks_ticked")


class SignatureMissing(Refused):
    """Neither drawn nor typed."""

    sentence = "Please draw your signature, or type your full name."


class SignatureRefused(Refused):
    """What arrived is no drawing."""

    sentence = "The drawing did not arrive whole. Please clear it and draw again, or type your name."


class ReflectionNotOver(Refused):
    """The time to think is not over. `until` is when it is, in the words of the patient's clinic."""

    def __init__(self, until: str) -> None:
        self.until = until
        super().__init__(f"Please take your time: you can sign from {until}.")


class GuardianNeeded(Refused):
    """A minor does not sign alone."""

    sentence = "Somebody under 18 can’t sign alone. A parent or guardian we know of must sign."


class GuardianUnknown(Refused):
    """Only a guardian on record, whose rights have not ended, signs for somebody."""

    sentence = "We have no guardian of that name on record. Please call us."


class RevokeReasonMissing(Refused):
    """The desk says why it records a withdrawal."""

    sentence = "Please write how the patient withdrew, and when."


class QuestionMissing(Refused):
    """An empty question is not sent."""

    sentence = "Please write your question first."
