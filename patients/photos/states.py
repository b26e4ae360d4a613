from __future__ import annotations

from django.db.models import TextChoices

from clinic.audit.states import Refused


class Angle(TextChoices):
    """From where a picture is taken, so that before and after line up. Sides are the patient's own."""

    FRONTAL = "frontal", "From the front"
    OBLIQUE_RIGHT = "oblique_right", "Half from the right"
    OBLIQUE_LEFT = "oblique_left", "Half from the left"
    PROFILE_RIGHT = "profile_right", "Right side"
    PROFILE_LEFT = "profile_left", "Left side"
    CLOSE_UP = "close_up", "Close-up"


class Source(TextChoices):
    STAFF = "staff", "Taken at the clinic"
    PATIENT = "patient", "Sent by the patient"


class PhotoStatus(TextChoices):
    KEPT = "kept", "In the record"
    STRUCK = "struck", "Struck from the record"
    TAKEN_BACK = "taken_back", "Taken back by the patient"


_S = PhotoStatus
TRANSITIONS: dict[str, frozenset[str]] = {
    _S.KEPT: frozenset({_S.STRUCK, _S.TAKEN_BACK}),
    _S.STRUCK: frozenset(),
    _S.TAKEN_BACK: frozenset(),
}


# --- how an act is refused ------------------------------------------------------------------------------------------


class NoPhotoConsent(Refused):
    """The clinic photographs nobody who has not agreed to it in writing."""

    sentence = "The patient has not agreed to photos for the record yet. Ask for it first; then come back to this page."


class StrikeReasonMissing(Refused):
    """Whoever strikes a photo says why."""

    sentence = "Please say why this photo does not belong here."


class DateNotPossible(Refused):
    """No photo is taken tomorrow, or before its patient was born."""

    sentence = "Please check the day: it lies ahead, or before the patient was born."


class LookedAtAlready(Refused):
    """A photo that somebody at the clinic has looked at is part of the record."""

    sentence = (
        "The clinic has looked at this photo already, so it stays in your record. Call us if it should not be there."
    )


class EnoughForToday(Refused):
    """Many photos in a day are a mistake or a nuisance."""

    sentence = "That is as many photos as you can send in one day. Call us if you would like to show us more."


class FormOfAnotherPatient(Refused):
    """The form was opened for somebody else than the page it came back to."""

    sentence = (
        "This form was opened for another patient, so nothing was saved. Please check whose page this is and choose "
        "the photo again."
    )
