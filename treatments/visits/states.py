from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from clinic.audit.states import Refused
from treatments.booking.states import CancelReason


class OwnReason(TextChoices):
    """Why a patient cancels, in the patient's words; each is one of booking's reasons."""

    PATIENT = CancelReason.PATIENT.value, _("I can’t come")
    UNWELL = CancelReason.UNWELL.value, _("I am unwell")
    NOT_READY = CancelReason.NOT_READY.value, _("I don’t feel ready for it")


class TooLate(Refused):
    """The visit is nearer than the clinic's notice: only a person can change it now."""

    sentence = "Your visit is too soon to change here. Please call us."


class NotSooner(Refused):
    """There is no visit to come that could be earlier."""

    sentence = "Please call us about an earlier time."


class NotOffered(Refused):
    """The time is not one that a patient may choose alone."""

    sentence = "Please choose one of the free times."
