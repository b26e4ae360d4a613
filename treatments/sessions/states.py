from django.db.models import TextChoices

from clinic.audit.states import Refused


class SessionStatus(TextChoices):
    """FHIR R4 Procedure."""

    PREPARATION = "preparation", "Getting ready"
    IN_PROGRESS = "in-progress", "Treatment under way"
    ON_HOLD = "on-hold", "Paused"
    STOPPED = "stopped", "Cut short"
    NOT_DONE = "not-done", "Not done"
    COMPLETED = "completed", "Completed"
    ENTERED_IN_ERROR = "entered-in-error", "Entered in error"


_S = SessionStatus
TRANSITIONS: dict[str, frozenset[str]] = {
    _S.PREPARATION: frozenset({_S.IN_PROGRESS, _S.NOT_DONE, _S.ENTERED_IN_ERROR}),
    _S.IN_PROGRESS: frozenset({_S.ON_HOLD, _S.STOPPED, _S.COMPLETED, _S.ENTERED_IN_ERROR}),
    _S.ON_HOLD: frozenset({_S.IN_PROGRESS, _S.STOPPED, _S.COMPLETED, _S.ENTERED_IN_ERROR}),
    _S.STOPPED: frozenset({_S.ENTERED_IN_ERROR}),
    _S.NOT_DONE: frozenset({_S.ENTERED_IN_ERROR}),
    _S.COMPLETED: frozenset({_S.ENTERED_IN_ERROR}),
    _S.ENTERED_IN_ERROR: frozenset(),
}
TREATED = frozenset({_S.COMPLETED, _S.STOPPED})  # the laser touched skin: aftercare follows
# Passes are written down from the start until sign-off, also those added or struck just after the end.
RECORDING = frozenset({_S.IN_PROGRESS, _S.ON_HOLD, _S.COMPLETED, _S.STOPPED})


class Anaesthesia(TextChoices):
    NONE = "none", "None"
    TOPICAL = "topical", "Topical cream"
    NERVE_BLOCK = "nerve_block", "Nerve block"
    SEDATION = "sedation", "Sedation"


class Cooling(TextChoices):
    NONE = "none", "None"
    CONTACT = "contact", "Contact"
    FORCED_AIR = "forced_air", "Forced air"
    CRYOGEN = "cryogen", "Cryogen spray"
    PACKS = "packs", "Cold packs"


class EyeProtection(TextChoices):
    EXTERNAL = "external", "External goggles or shields"
    INTERNAL = "internal", "Internal metal shield"


class Endpoint(TextChoices):
    ERYTHEMA = "erythema", "Redness"
    OEDEMA = "oedema", "Swelling"
    BRONZING = "bronzing", "Bronzing"
    FROSTING = "frosting", "Frosting or white"
    PINPOINT_BLEEDING = "pinpoint_bleeding", "Pinpoint bleeding"
    SEROUS_OOZE = "serous_ooze", "Clear ooze"
    CRUST = "crust", "Crust"
    NONE = "none", "None"
    UNEXPECTED_BLISTER = "unexpected_blister", "Unexpected blister"
    GREY = "grey", "Grey"


class ReadinessItem(TextChoices):
    """What must be true before the laser is switched on."""

    DECISION = "decision", "Clinician's decision"
    FLAGS = "flags", "Open flags"
    TASKS = "tasks", "Tasks before treatment"
    CONSENT = "consent", "Consent"
    INTERVAL = "interval", "Time since the last treatment"
    DEVICE = "device", "Laser"
    OPERATOR = "operator", "Operator"
    FITNESS = "fitness", "Check at the door"


class FitnessQuestion(TextChoices):
    """The answers that expire, asked again at the door (CLINICAL section 3, marked ^)."""

    TAN = "tan", "Has the area been in strong sun, on a sunbed or under self-tan lately?"
    COLD_SORE = "cold_sore", "Is there a cold sore, or a tingle where one starts?"
    INFECTION = "infection", "Is there any infection of the skin in the area?"
    OPEN_WOUND = "open_wound", "Is there a cut, a graze or any broken skin in the area?"
    UNWELL = "unwell", "Is there a fever, or does the patient feel ill today?"
    PREGNANCY = "pregnancy", "Could the patient be pregnant, or is she breastfeeding?"
    NEW_MEDICINE = "new_medicine", "Any new medicine, or retinol, acids or scrubs on the area, since the questionnaire?"


class FitnessAnswer(TextChoices):
    NO = "no", "No"
    YES = "yes", "Yes"
    NOT_SURE = "not_sure", "Not sure"
    NOT_APPLICABLE = "not_applicable", "Does not apply"


# Answers with which a patient is fit; "not sure" is never "no".
FIT_ANSWERS: dict[str, frozenset[str]] = {
    question: frozenset({FitnessAnswer.NO, FitnessAnswer.NOT_APPLICABLE})
    if question == FitnessQuestion.PREGNANCY
    else frozenset({FitnessAnswer.NO})
    for question in FitnessQuestion.values
}


# The same questions as the patient reads them at home, some days before the visit.
ASKED_AT_HOME: dict[str, str] = {
    FitnessQuestion.TAN: ("Has the area we will treat been in strong sun, on a sunbed or under self-tan lately?"),
    FitnessQuestion.COLD_SORE: "Do you have a cold sore, or a tingle where one usually starts?",
    FitnessQuestion.INFECTION: "Is there any infection of the skin in the area we will treat?",
    FitnessQuestion.OPEN_WOUND: "Is there a cut, a graze or any broken skin in that area?",
    FitnessQuestion.UNWELL: "Do you have a fever, or feel ill?",
    FitnessQuestion.PREGNANCY: "Could you be pregnant, or are you breastfeeding?",
    FitnessQuestion.NEW_MEDICINE: (
        "Since you filled in the questionnaire: any new medicine, or retinol, acids or scrubs on that area?"
    ),
}


# Consent to an area covers its parts (the areas of CLINICAL section 3).
PARTS_OF: dict[str, frozenset[str]] = {
    "full_face": frozenset({"forehead", "periorbital", "perioral", "cheeks", "nose"}),
}


class NotArrived(Refused):
    """The patient is not here, or the visit names no laser or course."""

    sentence = "A session opens when the patient has arrived."


class FitnessIncomplete(Refused):
    """A question at the door was not asked: unknown is never “no”."""

    sentence = "Please ask this too."


class VisitOver(Refused):
    """The visit was cancelled or its time is past: nobody waits for answers."""

    sentence = "This visit is over or was cancelled. There is nothing to answer."


class NotUnderWay(Refused):
    """Settings are recorded while the treatment is under way, until it is signed off."""

    sentence = "Passes are recorded from the start of the treatment until it is signed off."


class NotConsented(Refused):
    """The plan that was consented to does not include the area."""

    sentence = "The consent does not cover this area."


class DoseMissing(Refused):
    sentence = "Record an energy, a fluence or a depth."


class BeyondDevice(Refused):
    """The setting lies outside what the maker allows for this laser."""


class WarningsNeedReason(Refused):
    """The settings lie outside the usual published range; `warnings` say how."""

    def __init__(self, warnings: list[str]) -> None:
        self.warnings = warnings
        super().__init__("Please say why these settings are right.", field="warning_reason")


class ReasonMissing(Refused):
    sentence = "Please say why."


class RecordIncomplete(Refused):
    """A part of the record that may not be left out is missing."""


class WrongTime(Refused):
    """The treatment cannot have ended then."""


class NotYours(Refused):
    sentence = "Only the operator or a clinician who treats can do this."


class SignedOff(Refused):
    sentence = "The record is signed off. Add an addendum instead."


class NotSignedOff(Refused):
    sentence = "The record is not signed off yet: correct it directly."
